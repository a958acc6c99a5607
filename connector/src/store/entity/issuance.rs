//! Table `issuance`: requests for credentials that we issue; the row itself is the outbox of its credential message.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "issuance")]
pub struct Model {
    /// Our id of it: `issuerPid`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Participant context.
    pub context: String,
    /// DID of the holder.
    pub holder: String,
    /// The holder's id of it.
    pub holder_pid: String,
    /// JSON array of the ids of credential objects.
    pub requested: String,
    /// `RECEIVED`, `ISSUED` or `REJECTED`.
    pub state: String,
    /// Why it was rejected.
    pub reason: String,
    /// The CredentialMessage that we owe the holder.
    pub message: Option<String>,
    /// The holder's access token for its credential service; a secret, gone when the message is delivered.
    pub token: Option<String>,
    /// What hinders delivery.
    pub error: Option<String>,
    /// Delivery attempts.
    pub attempts: i32,
    /// When delivery was first tried, ms.
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

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
