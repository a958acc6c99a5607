//! Subscriptions under contract.
//!
//! A program of ours subscribes at its own data plane as at a broker ([`consumer`]). Its data plane asks the partner's for the
//! subscription ([`provider`]), which narrows it to what the agreement shows ([`narrow`]) and gives it to the broker with an
//! address of its own. So the broker never learns who the consumer is, and the partner never learns the program's address.
//!
//! Notifications of the broker are filtered, kept on disk and only then acknowledged. The consumer's data plane fetches them by
//! itself, keeps them on disk too, acknowledges them by the number of the last one, and hands them to the program. Each of
//! the two queues ([`queue`]) keeps the order and forgets a notification only when it has arrived at the next station.
//! See `docs/decisions/0011-subscriptions-are-fetched.md`.

pub(crate) mod consumer;
mod narrow;
pub(crate) mod provider;
pub(crate) mod queue;

use actix_web::web::{Bytes, Payload};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::proxy::too_large;

/// Where a broker has its subscriptions.
const SUBSCRIPTIONS: &str = "/ngsi-ld/v1/subscriptions";
/// Where the partner fetches what was notified, below [`SUBSCRIPTIONS`]; an id of a subscription has a colon.
const NOTIFICATIONS: &str = "notifications";
/// Largest body of a subscription, in bytes.
const MAX_SUBSCRIPTION: usize = 256 * 1024;
/// Longest id of a subscription, in bytes.
const MAX_ID: usize = 200;

/// What a path is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// All subscriptions.
    All,
    /// The notifications of all.
    Notifications,
    /// The one with this id.
    One(String),
}

/// What of the subscriptions a path below a flow means; `None` for any other path.
///
/// # Errors
/// 400 for a path that cannot be read.
pub(crate) fn place(path: &str) -> Result<Option<Place>, Problem> {
    let Ok(decoded) = percent_decode_str(path).decode_utf8() else { return Ok(None) };
    let Some(rest) = decoded.strip_prefix(SUBSCRIPTIONS) else { return Ok(None) };
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Ok(Some(Place::All)),
        // Such as `subscriptionsX`.
        None => Ok(None),
        Some("") => Ok(Some(Place::All)),
        Some(NOTIFICATIONS) => Ok(Some(Place::Notifications)),
        Some(id) if is_id(id) => Ok(Some(Place::One(id.to_owned()))),
        Some(_) => Err(Problem::bad_request("bad_value", "the id of a subscription must be a short plain URI")),
    }
}

/// Whether this can be the id of a subscription: a URI of plain characters.
fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '/' | '#' | '~');
    id.contains(':') && id.len() <= MAX_ID && id.chars().all(plain)
}

async fn read(payload: Payload, most: usize) -> Result<Bytes, Problem> {
    match payload.to_bytes_limited(most).await {
        Err(_) => Err(too_large(most as u64)),
        Ok(read) => read.map_err(|_| Problem::bad_request("body_lost", "the body did not arrive whole")),
    }
}

/// The object in a body.
async fn read_object(payload: Payload, most: usize) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(&read(payload, most).await?) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::bad_request("wrong_type", "the body must be a JSON object")),
        Err(error) => Err(Problem::bad_request("not_json", format!("the body is not JSON: {error}"))),
    }
}

fn unknown_subscription() -> Problem {
    Problem::not_found("unknown_subscription", "there is no such subscription")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let one = |id: &str| Some(Place::One(id.to_owned()));
        for (path, expected) in [
            ("/ngsi-ld/v1/subscriptions", Some(Place::All)),
            ("/ngsi-ld/v1/subscriptions/", Some(Place::All)),
            ("/ngsi-ld/v1/subscriptions/notifications", Some(Place::Notifications)),
            ("/ngsi-ld/v1/subscriptions/urn:a:1", one("urn:a:1")),
            ("/ngsi-ld/v1/subscriptions/urn%3Aa%3A1", one("urn:a:1")),
            ("/ngsi-ld/v1/%73ubscriptions/urn:a", one("urn:a")),
            ("/ngsi-ld/v1/subscriptionsX", None),
            ("/ngsi-ld/v1/entities", None),
        ] {
            assert_eq!(place(path).unwrap(), expected, "{path}");
        }
        for path in
            ["/ngsi-ld/v1/subscriptions/x", "/ngsi-ld/v1/subscriptions/urn:a b", "/ngsi-ld/v1/subscriptions/a%00:"]
        {
            assert!(place(path).is_err(), "{path}");
        }
    }
}
