//! The enforcement plan that a control plane signs and a data plane obeys.
//!
//! A plan carries everything that a data request is judged by, so that the data plane asks nobody while data flows:
//! which methods, paths and query parameters are admitted ([`Admission`]), and what is left of the agreement's ODRL
//! policy once everything that does not change with time has been decided ([`Residual`]). It travels as a compact JWS
//! ([`sign`], [`verify`]).
//!
//! The crate is pure: no clock, no files, no network. Times are milliseconds since the Unix epoch and are always given
//! by the caller.

mod admission;
mod calendar;
mod expr;
mod jws;
mod limits;
mod path;
mod personal;
mod plan;
mod query;
mod residual;
mod row;
mod selection;
mod text;
mod usage;
mod window;
mod writing;

pub use admission::{Admission, MAX_PATH_BYTES, MAX_QUERY_BYTES, QueryRule, is_query, path_segments, query_pairs};
pub use calendar::{WEEK_SECONDS, Weekly};
pub use expr::{Expr, TimeOperator, Truth};
pub use jws::{MAX_PLAN_BYTES, PLAN_TYPE, PlanError, PlanSigner, PlanVerifier, sign, verify};
pub use limits::Limits;
pub use personal::{Marking, Personal, PersonalMode};
pub use plan::{EnforcementPlan, Source};
pub use query::{Comparison, Literal, Part, Query, Term, Test, Wanted, instant_ms};
pub use residual::{Conflict, PlanDecision, Reason, Residual, ResidualRule};
pub use row::{Area, Georel, Rows};
pub use selection::{AttributeRule, Member, NamedContext, PseudonymKey, Selection};
pub use text::instant_text;
pub use usage::{Meter, Used};
pub use window::{Stretch, Window};
pub use writing::{Operation, WritableAttribute, Writing, WritingPlan};

/// Why a request is refused: a machine code, a sentence, and, when a policy decided, the rule and the fact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable code in snake case, for example `method_not_admitted`.
    pub code: &'static str,
    /// One sentence for people; lower case, without a final period.
    pub message: String,
    /// The rule that refuses, in readable form.
    pub rule: Option<String>,
    /// The fact that the rule met.
    pub fact: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), rule: None, fact: None }
    }
}
