//! Table `dataset`: what this participant can share.

use sea_orm::entity::prelude::*;

/// A dataset with its source; offered through rows of `offer`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dataset")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Dataset id, an IRI or a local name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Title for people.
    pub title: String,
    /// JSON: description, keywords, further DCAT members, distributions, source, admission.
    pub body: String,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
