//! Table `duty`: what agreements oblige to, and how far it is.

use sea_orm::entity::prelude::*;

/// One duty, obligation, consequence or remedy of one agreement, seen from one of our roles.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "duty")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Its id in the management API.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The agreement.
    pub agreement_id: String,
    /// Our role in the agreement: `consumer` or `provider`.
    pub role: String,
    /// The counter-party's participant id.
    pub counter_party: String,
    /// The dataset of the agreement.
    pub dataset_id: String,
    /// Its identifier within the policy, such as `p0.d0`.
    pub name: String,
    /// The rule that it belongs to, in readable form.
    pub rule: String,
    /// `duty`, `obligation`, `consequence` or `remedy`.
    pub kind: String,
    /// What has to be done: a term of the ODRL vocabulary.
    pub action: String,
    /// The whole in readable form.
    pub text: String,
    /// Whether it has conditions other than a time.
    pub conditional: bool,
    /// `unset`, `due`, `fulfilled` or `violated`.
    pub state: String,
    /// From when on it has to be done, ms.
    pub due_from: Option<i64>,
    /// By when it has to be done, ms.
    pub due_by: Option<i64>,
    /// When the state changes by itself, ms.
    pub next_at: Option<i64>,
    /// What the operator wrote down about it.
    pub note: Option<String>,
    /// When it was fulfilled or violated, ms.
    pub decided_at: Option<i64>,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
