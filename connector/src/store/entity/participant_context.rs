//! Table `participant_context`: the participants that share this installation.

use sea_orm::entity::prelude::*;

/// One participant of the dataspace that this installation acts for.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "participant_context")]
pub struct Model {
    /// Local name of the context; `default` for the first.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The participant's id in the dataspace.
    pub participant_id: String,
    /// When the row was made, ms.
    pub created_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
