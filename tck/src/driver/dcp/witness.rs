//! What the connector did while the kit ran: its answers, seen on the way, and its own events.

use serde_json::Value;

use crate::driver::{Counts, Seen};
use crate::management::text;
use crate::recorder::Exchange;

/// Counts answers and events. Requests for the DID document are left out: their number depends on how long others keep it.
pub(super) fn seen(exchanges: &[Exchange], events: &Value) -> Seen {
    let mut seen = Seen::default();
    for Exchange { request, answer } in exchanges.iter().filter(|one| !one.request.path().ends_with("/did.json")) {
        if (200..300).contains(&answer.status) {
            count(&mut seen.accepted, format!("{} {}", request.method, pattern(request.path())));
        } else {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            count(&mut seen.refused, format!("{} {}", answer.status, text(&body, "code")));
        }
    }
    for event in events.get("items").and_then(Value::as_array).into_iter().flatten() {
        count(&mut seen.events, text(event, "type").to_owned());
    }
    seen
}

/// One line for each answer, for people.
pub(super) fn lines(exchanges: &[Exchange]) -> String {
    let line = |Exchange { request, answer }: &Exchange| {
        let body = if answer.status < 400 { "".into() } else { String::from_utf8_lossy(&answer.body) };
        format!("{} {} {} {body}\n", request.method, request.target, answer.status)
    };
    exchanges.iter().map(line).collect()
}

fn count(counts: &mut Counts, name: String) {
    *counts.entry(name).or_default() += 1;
}

/// The path with `{id}` for an id.
fn pattern(path: &str) -> String {
    let part = |part: &str| if uuid::Uuid::parse_str(part).is_ok() { "{id}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server::{Incoming, Outgoing};

    fn exchange(method: &str, target: &str, answer: Outgoing) -> Exchange {
        let (method, target) = (method.to_owned(), target.to_owned());
        Exchange { request: Incoming { method, target, headers: Vec::new(), body: Vec::new() }, answer }
    }

    #[test]
    fn answers_and_events_are_counted() {
        let path = format!("/issuer/requests/{}", uuid::Uuid::new_v4());
        let exchanges = [
            exchange("GET", "/connector/did.json", Outgoing::empty(200)),
            exchange("GET", &path, Outgoing::empty(200)),
            exchange("GET", &path, Outgoing::json(401, &json!({"code": "token_expired"}))),
            exchange("POST", "/dcp/offers?x=1", Outgoing::empty(200)),
            exchange("POST", "/dcp/offers", Outgoing::empty(502)),
        ];
        let seen = seen(&exchanges, &json!({"items": [{"type": "credential.held"}, {"type": "credential.held"}]}));
        let lists = [&seen.accepted, &seen.refused, &seen.events];
        let shown =
            lists.map(|counts| counts.iter().map(|(name, times)| format!("{name}: {times}")).collect::<Vec<_>>());
        assert_eq!(shown[0], ["GET /issuer/requests/{id}: 1", "POST /dcp/offers: 1"]);
        assert_eq!(shown[1], ["401 token_expired: 1", "502 : 1"]);
        assert_eq!(shown[2], ["credential.held: 2"]);
    }
}
