//! What happens between two participants, part by part. Every part uses datasets of its own.

mod catalog;
mod data;
mod negotiation;
mod purpose;

pub use catalog::{a_catalog_shows_what_the_caller_may_see, a_long_catalog_comes_in_pages};
pub use data::{
    a_file_arrives_whole_and_in_parts, a_transfer_without_an_agreement_is_refused,
    http_data_flows_until_the_transfer_ends, pauses_in_quick_succession_leave_the_flow_as_the_last_one_says,
};
pub use negotiation::{
    a_counter_offer_is_agreed_on, a_refusal_names_rule_and_fact, a_repeated_request_finds_the_same_process,
    an_agreement_is_reached_and_kept_on_both_sides, the_provider_makes_the_first_offer,
};
pub use purpose::a_declared_purpose_is_held_to;

use serde_json::{Value, json};

/// Permission to use without further terms.
pub fn open() -> Value {
    json!([{"action": "use"}])
}

/// Permission for members of a given kind only.
pub fn only_for(membership: &str) -> Value {
    json!([{"action": "use", "constraint": [
        {"leftOperand": "membership", "operator": "eq", "rightOperand": membership}
    ]}])
}
