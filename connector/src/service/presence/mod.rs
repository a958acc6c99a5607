//! Which data planes are there, and what becomes of the flows of one that is not.
//!
//! A data plane of ours keeps a request open ([`hold`]). Its end is the plane's end: the kernel of a killed plane closes the socket at
//! once, and a silent one counts as gone after some seconds. The row says until when the plane counts as present without further
//! word, so that other replicas know, and so that a control plane that was away does not take every plane for gone. What follows
//! from an absence is done by [`watch`]. See `docs/decisions/0015`.

mod hold;
mod leave;
mod watch;

use tokio::sync::Notify;

pub(crate) use hold::hold;
pub(crate) use leave::leave;
pub(crate) use watch::run;

use crate::store::data_plane;
use crate::store::presence::{ABSENT, LEAVING};

/// For so long a plane counts as present after the last word of it, ms.
pub(crate) const LEASE_MS: i64 = 30_000;
/// For so long after our own start nobody is taken for gone who had no time to come back, ms.
const GRACE_MS: i64 = 15_000;

/// Whether a data plane is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Presence {
    /// It keeps its connection.
    Present,
    /// It never kept one: of another maker, or an older one of ours. Nobody knows.
    Unknown,
    /// It is about to stop.
    Leaving,
    /// It is gone.
    Absent,
}

impl Presence {
    /// What a row says at this moment, to a control plane that has started at `started_at`.
    pub(crate) fn of(plane: &data_plane::Model, now: i64, started_at: i64) -> Self {
        let in_time = plane.present_until.is_some_and(|until| until >= now) || now < started_at + GRACE_MS;
        match plane.presence.as_deref() {
            None => Self::Unknown,
            Some(ABSENT) => Self::Absent,
            Some(_) if !in_time => Self::Absent,
            Some(LEAVING) => Self::Leaving,
            Some(_) => Self::Present,
        }
    }

    /// Whether it is given new flows.
    pub(crate) fn takes_flows(self) -> bool {
        matches!(self, Self::Present | Self::Unknown)
    }
}

/// Wakes [`run`].
#[derive(Default)]
pub(crate) struct Presences(Notify);

impl Presences {
    /// Something has changed.
    pub(crate) fn changed(&self) {
        self.0.notify_one();
    }

    async fn next(&self) {
        self.0.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(presence: Option<&str>, present_until: Option<i64>) -> data_plane::Model {
        data_plane::Model {
            context: "default".to_owned(),
            id: "plane".to_owned(),
            endpoint: String::new(),
            profiles: "[]".to_owned(),
            dialect: "rc3".to_owned(),
            labels: "[]".to_owned(),
            authorization: "shared".to_owned(),
            authorization_value: String::new(),
            presence: presence.map(str::to_owned),
            presence_since: Some(0),
            present_until,
            connection: None,
            created_at: 0,
            updated_at: 0,
        }
    }

    #[test]
    fn what_a_row_says() {
        const NOW: i64 = 1_000_000;
        for (word, until, started_at, expected) in [
            (None, None, 0, Presence::Unknown),
            (Some("present"), Some(NOW), 0, Presence::Present),
            (Some("leaving"), Some(NOW), 0, Presence::Leaving),
            (Some("present"), Some(NOW - 1), 0, Presence::Absent),
            (Some("leaving"), Some(NOW - 1), 0, Presence::Absent),
            // Nobody could say so while we were away.
            (Some("present"), Some(NOW - 600_000), NOW - GRACE_MS + 1, Presence::Present),
            (Some("present"), Some(NOW - 600_000), NOW - GRACE_MS, Presence::Absent),
            // What was seen is known.
            (Some("absent"), Some(0), NOW, Presence::Absent),
        ] {
            assert_eq!(Presence::of(&plane(word, until), NOW, started_at), expected, "{word:?} {until:?} {started_at}");
        }
    }

    #[test]
    fn who_is_given_flows() {
        for (presence, expected) in [
            (Presence::Present, true),
            (Presence::Unknown, true),
            (Presence::Leaving, false),
            (Presence::Absent, false),
        ] {
            assert_eq!(presence.takes_flows(), expected, "{presence:?}");
        }
    }
}
