//! Table `consent`: consents of people to the use of data about them.

use sea_orm::entity::prelude::*;

/// One consent.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "consent")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Its id, as policies name it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Whose it is: a pseudonym that only the operator can resolve.
    pub subject: String,
    /// JSON array of datasets, empty for all.
    pub datasets: String,
    /// JSON array of participants, empty for all.
    pub recipients: String,
    /// JSON array of purposes, empty for all.
    pub purposes: String,
    /// When it was given, ms.
    pub given_at: i64,
    /// From when on it holds no more, ms.
    pub expires_at: Option<i64>,
    /// When it was withdrawn, ms.
    pub withdrawn_at: Option<i64>,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether it holds at `now`, ms, for the recipients, datasets and purposes that it is for.
    pub(crate) fn holds_at(&self, now: i64) -> bool {
        self.withdrawn_at.is_none() && self.given_at <= now && self.expires_at.is_none_or(|end| now < end)
    }

    /// The first moment after `now` at which that changes by itself, ms.
    pub(crate) fn next_change(&self, now: i64) -> Option<i64> {
        let moments = [Some(self.given_at), self.expires_at].into_iter().flatten();
        moments.filter(|moment| self.withdrawn_at.is_none() && *moment > now).min()
    }
}
