//! Table `transfer_number`: which transfer under its agreement a started transfer is.

use sea_orm::entity::prelude::*;

/// One started transfer.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "transfer_number")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// The transfer.
    #[sea_orm(primary_key, auto_increment = false)]
    pub transfer_id: String,
    /// Its agreement.
    pub agreement_id: String,
    /// 1 for the first.
    pub number: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
