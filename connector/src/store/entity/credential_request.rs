//! Table `credential_request`: credentials that we asked an issuer for.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credential_request")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Our id of the request: `holderPid`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// DID of the issuer.
    pub issuer: String,
    /// The issuer's id of it: the last segment of the status URL, or the URL.
    pub issuer_pid: String,
    /// JSON array of the ids of credential objects.
    pub requested: String,
    /// `REQUESTED`, `ISSUED` or `REJECTED`.
    pub state: String,
    /// Why it was rejected.
    pub reason: String,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
