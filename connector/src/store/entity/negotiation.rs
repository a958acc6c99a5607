//! Table `negotiation`: contract negotiations; the row itself is the outbox of the message that it owes.

use sea_orm::entity::prelude::*;

/// One contract negotiation, seen from our side.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "negotiation")]
pub struct Model {
    /// Our own pid, which is also the id in the management API.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Participant context.
    pub context: String,
    /// Our role: `consumer` or `provider`.
    pub role: String,
    /// The counter-party's participant id.
    pub counter_party: String,
    /// The counter-party's pid, once known.
    pub counter_pid: Option<String>,
    /// Base URL that our messages are sent below.
    pub counter_address: String,
    /// The state that both sides know (wire name), once there is one.
    pub settled: Option<String>,
    /// The message that we owe the counter-party (name of the kind).
    pub owed: Option<String>,
    /// `@id` of the owed message, kept when it is sent again.
    pub owed_id: Option<String>,
    /// Name of the state for people and filters, in-work names included.
    pub state: String,
    /// Dataset negotiated about.
    pub dataset_id: String,
    /// Id of the offer on the table.
    pub offer_id: String,
    /// JSON of the offer on the table.
    pub offer: String,
    /// JSON of the agreement, once proposed.
    pub agreement: Option<String>,
    /// Id of the agreement, once proposed.
    pub agreement_id: Option<String>,
    /// `automatic` or `manual`.
    pub decision: String,
    /// `automatic` or `manual`, for transfers under the agreement.
    pub transfer_decision: String,
    /// JSON object of the counter-party's verified claims, as they were when it last proved them.
    pub claims: String,
    /// What the consumer declares that the data is for: a JSON array of texts.
    pub purpose: String,
    /// Digest of the peer's initial message, to tell a repeat from a conflict.
    pub initial_digest: Option<String>,
    /// `@id` or digest of the message that we took last: a copy of it is refused.
    pub last_taken: Option<String>,
    /// JSON {code, reason[]} of a termination, ours or theirs.
    pub termination: Option<String>,
    /// JSON problem that ended or hinders the negotiation.
    pub error: Option<String>,
    /// Delivery attempts of the owed message.
    pub attempts: i32,
    /// When the owed message was first tried, ms.
    pub owed_since: i64,
    /// Not to be tried before, ms.
    pub next_attempt_at: i64,
    /// Replica that works on this row.
    pub lease_owner: Option<String>,
    /// Until when the lease holds, ms.
    pub lease_until: i64,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

impl Model {
    /// A row with nothing in it yet. `counter_address` may end with a slash.
    pub(crate) fn blank(context: &str, role: &str, id: String, counter_party: &str, counter_address: &str) -> Self {
        Self {
            id,
            context: context.to_owned(),
            role: role.to_owned(),
            counter_party: counter_party.to_owned(),
            counter_pid: None,
            counter_address: counter_address.trim_end_matches('/').to_owned(),
            settled: None,
            owed: None,
            owed_id: None,
            state: String::new(),
            dataset_id: String::new(),
            offer_id: String::new(),
            offer: String::new(),
            agreement: None,
            agreement_id: None,
            decision: "automatic".to_owned(),
            transfer_decision: "automatic".to_owned(),
            claims: "{}".to_owned(),
            purpose: "[]".to_owned(),
            initial_digest: None,
            last_taken: None,
            termination: None,
            error: None,
            attempts: 0,
            owed_since: 0,
            next_attempt_at: 0,
            lease_owner: None,
            lease_until: 0,
            created_at: 0,
            updated_at: 0,
        }
    }
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
