//! Table `declared_event`: events that policies speak of, as the operator declares them.

use sea_orm::entity::prelude::*;

/// One event, such as a flood.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "declared_event")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// IRI of the event, as policies name it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Title for people, or empty.
    pub title: String,
    /// When it begins to be in force, ms.
    pub starts_at: i64,
    /// From when on it is in force no more, ms.
    pub ends_at: Option<i64>,
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
    /// Whether it is in force at `now`, ms.
    pub(crate) fn is_in_force(&self, now: i64) -> bool {
        self.starts_at <= now && self.ends_at.is_none_or(|ends_at| now < ends_at)
    }

    /// The first moment after `now` at which that changes, ms.
    pub(crate) fn next_change(&self, now: i64) -> Option<i64> {
        let moments =
            [Some(self.starts_at).filter(|starts_at| self.ends_at.is_none_or(|end| *starts_at < end)), self.ends_at];
        moments.into_iter().flatten().filter(|moment| *moment > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_in_force_from_its_start_until_before_its_end() {
        let event = |starts_at, ends_at| Model {
            context: String::new(),
            id: String::new(),
            title: String::new(),
            starts_at,
            ends_at,
            created_at: 0,
            updated_at: 0,
        };
        let bounded = event(10, Some(20));
        for (now, in_force, next) in
            [(9, false, Some(10)), (10, true, Some(20)), (19, true, Some(20)), (20, false, None)]
        {
            assert_eq!((bounded.is_in_force(now), bounded.next_change(now)), (in_force, next), "{now}");
        }
        assert_eq!((event(10, None).is_in_force(99), event(10, None).next_change(10)), (true, None));
        let called_off = event(10, Some(5));
        assert_eq!((called_off.is_in_force(10), called_off.next_change(6)), (false, None), "ended before it began");
    }
}
