//! Table `decision_record`: what was decided, by what facts.

use sea_orm::entity::prelude::*;

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "decision_record")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// `negotiation`, `transfer` or `monitor`.
    pub scope: String,
    /// The negotiation or transfer.
    pub process_id: String,
    /// The agreement, or empty before there is one.
    pub agreement_id: String,
    /// The dataset.
    pub dataset_id: String,
    /// The participant that asked.
    pub participant: String,
    /// Hash of the compiled policy.
    pub policy_hash: String,
    /// JSON of the facts that it was decided by.
    pub facts: String,
    /// Whether it was allowed.
    pub allow: bool,
    /// JSON array of the reasons: rule, fact, sentence.
    pub reasons: String,
    /// When the row was made, ms.
    pub created_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
