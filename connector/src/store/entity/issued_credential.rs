//! Table `issued_credential`: credentials that we have issued, with their place in a status list.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "issued_credential")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// The credential's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The request that it answers.
    pub issuance_id: String,
    /// DID of the subject.
    pub holder: String,
    /// Its type.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// `vc11-sl2021/jwt` or `vc20-bssl/jwt`.
    pub format: String,
    /// Id of the status list.
    pub list_id: String,
    /// Its index in the list.
    pub list_index: i64,
    /// `valid`, `revoked` or `suspended`.
    pub state: String,
    /// Why it was revoked or suspended.
    pub reason: String,
    /// When it expires, seconds since 1970.
    pub valid_until: i64,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
