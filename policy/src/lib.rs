//! ODRL policies compiled, decided and explained.
//!
//! A [`Policy`] is compiled from the rules of a DSP offer or agreement ([`Policy::compile`]); what is not understood makes
//! it unusable instead of being left out. It is asked at a [`Scope`] with [`Facts`] about the party, and answers with a
//! [`Decision`] that carries the rules and facts that made it. For a data plane, [`Policy::residual`] folds all facts but
//! the clock into what is left of the policy.
//!
//! Truth has three values. A left operand for which there is no verified value, or values that cannot be compared, are
//! *unknown*; a permission needs to be certain, a prohibition counts unless it certainly does not apply. So what is not
//! known never opens access.
//!
//! The comparison and the logic are written in Rego (`rego/odrl.rego`) and run by regorus; this crate reads policies,
//! collects facts and explains. It does no I/O and has no clock.
//!
//! Standards: ODRL Information Model 2.2, ODRL Vocabulary and Expression 2.2, the policy part of DSP 2025-1.

mod area;
mod calendar;
mod clash;
mod compile;
mod constraint;
mod context;
mod decision;
mod dialect;
mod document;
mod duties;
mod error;
mod evaluation;
mod explain;
mod explanation;
mod facts;
mod fold;
mod gaia_x;
mod instant;
mod json;
mod lint;
mod model;
#[cfg(test)]
mod opa;
mod operand;
mod parse;
mod policy;
mod region;
mod rego;
mod rule;
mod scope;
mod site;
mod template;
mod tree;
mod turtle;
mod value;
mod vocabulary;

// The reader of the tables, which `tests/cases.rs` runs, too.
#[cfg(test)]
#[path = "../tests/table/mod.rs"]
mod table;

pub use area::check_area;
pub use decision::{Decision, DutyReport, Reason};
pub use duties::DutyTerm;
pub use error::PolicyError;
pub use evaluation::{CaseDecision, Premises, Report, RuleReport, State, evaluate};
pub use explanation::{ConditionExplanation, Effect, Explanation, RuleExplanation, Source};
pub use facts::{DutyState, Facts};
pub use lint::{Finding, Severity, lint};
pub use model::{DutyRole, Part};
pub use parse::MUNICIPAL_PROFILE;
pub use policy::{Looks, Policy, PolicySource};
pub use policy_plan::Used;
pub use region::REGIONS_VERSION;
pub use scope::Scope;
pub use site::{Site, SiteError, SiteInput, SiteModule};
pub use template::{
    DEFAULT_LANGUAGE, Instance, Parameter, ParameterType, Template, TemplateError, TemplateText, languages, template,
    templates,
};
pub use turtle::from_turtle;
