//! Table `data_plane`: the data planes that we signal.

use sea_orm::entity::prelude::*;

/// A registered data plane.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "data_plane")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Data plane id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Base URL of its signaling API.
    pub endpoint: String,
    /// JSON array of transfer profiles.
    pub profiles: String,
    /// Signaling dialect: `rc2`, `rc3` or `rc4`.
    pub dialect: String,
    /// JSON array of labels.
    pub labels: String,
    /// How we authenticate to it: `shared` (the signaling token), `none`, `header`, `oauth2` or `exchange`.
    pub authorization: String,
    /// Header value when `authorization` is `header`; for `oauth2` JSON with the token endpoint, our secret there and the plane's keys; for
    /// `exchange` JSON with what is asked of the broker and expected of its tokens.
    pub authorization_value: String,
    /// What it says of itself over the connection that it keeps: `present`, `leaving` or `absent`; `None` when it never kept one.
    pub presence: Option<String>,
    /// Since when, ms.
    pub presence_since: Option<i64>,
    /// Until when it counts as present without further word, ms.
    pub present_until: Option<i64>,
    /// The connection that said so last.
    pub connection: Option<String>,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
