//! Where a program wants its notifications, and what of that leaves the city: nothing.

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::{Host, Url};

use crate::problem::Problem;

/// Headers that the program cannot set: they belong to the exchange itself.
const OURS: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "link",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// Most headers of a receiver.
const MAX_HEADERS: usize = 50;
/// What stands for "remove this" in a change (ETSI GS CIM 009, 4.5.0).
const NULL: &str = "urn:ngsi-ld:null";

/// A program's address for its notifications.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    pub(super) url: Url,
    /// The notification is JSON-LD with its context in the body.
    pub(super) linked: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Receiver {
    /// Reads `notification.endpoint` of a subscription.
    ///
    /// # Errors
    /// `bad_receiver` with what is wrong; `receiver_not_admitted` for an address that the configuration does not name.
    pub(super) fn of(subscription: &Map<String, Value>, admitted: &[Url]) -> Result<Self, Problem> {
        let endpoint =
            subscription.get("notification").and_then(|told| told.get("endpoint")).and_then(Value::as_object);
        let endpoint = endpoint.ok_or_else(|| bad("`notification.endpoint` is missing"))?;
        if let Some(name) = endpoint.keys().find(|name| !matches!(name.as_str(), "uri" | "accept" | "receiverInfo")) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err(bad(&format!("`notification.endpoint.{shown}` is not supported")));
        }
        let uri =
            endpoint.get("uri").and_then(Value::as_str).ok_or_else(|| bad("`notification.endpoint.uri` is missing"))?;
        let url = Url::parse(uri).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        let url = url.ok_or_else(|| bad("`notification.endpoint.uri` must be an http or https address"))?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(bad("`notification.endpoint.uri` must be without user and fragment"));
        }
        if !is_admitted(&url, admitted) {
            let detail = "the address for notifications is not one that `subscriptions.receivers` names";
            return Err(Problem::bad_request("receiver_not_admitted", detail));
        }
        let linked = endpoint.get("accept").and_then(Value::as_str) == Some("application/ld+json");
        let headers = match endpoint.get("receiverInfo") {
            None => Vec::new(),
            Some(Value::Array(pairs)) if pairs.len() <= MAX_HEADERS => {
                pairs.iter().map(header).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(bad("`receiverInfo` must be a short array of keys and values")),
        };
        Ok(Self { url, linked, headers })
    }
}

fn header(pair: &Value) -> Result<(HeaderName, HeaderValue), Problem> {
    let member = |name: &str| pair.get(name).and_then(Value::as_str);
    let name = member("key").and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    let name = name.filter(|name| !OURS.contains(&name.as_str()));
    let value = member("value").and_then(|value| HeaderValue::from_str(value).ok());
    let (name, mut value) =
        name.zip(value).ok_or_else(|| bad("`receiverInfo` holds what cannot be a header of its own"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Whether notifications may go there: below an address of the configuration, or on this machine when it names none.
fn is_admitted(url: &Url, admitted: &[Url]) -> bool {
    if admitted.is_empty() {
        return match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
    }
    admitted.iter().any(|prefix| {
        let path = prefix.path().trim_end_matches('/');
        prefix.origin() == url.origin()
            && url.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The subscription as the partner may see it: without the program's address and what belongs to it.
pub(super) fn outward(subscription: &Map<String, Value>) -> Map<String, Value> {
    let mut outward = subscription.clone();
    for own in ["id", "subscriptionName", "description"] {
        outward.remove(own);
    }
    if let Some(told) = outward.get_mut("notification").and_then(Value::as_object_mut) {
        let accept = told.get("endpoint").and_then(|endpoint| endpoint.get("accept")).cloned();
        told.insert("endpoint".to_owned(), accept.map_or_else(|| json!({}), |accept| json!({"accept": accept})));
    }
    outward
}

/// A subscription after a change: members replace members, objects are changed member by member.
pub(super) fn merged(subscription: &Map<String, Value>, change: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = subscription.clone();
    for (name, value) in change {
        match (merged.get_mut(name), value) {
            (_, value) if value.is_null() || value.as_str() == Some(NULL) => {
                merged.remove(name);
            }
            (Some(Value::Object(before)), Value::Object(value)) if name == "notification" || name == "endpoint" => {
                *before = self::merged(before, value);
            }
            _ => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    merged
}

fn bad(detail: &str) -> Problem {
    Problem::bad_request("bad_receiver", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(endpoint: Value) -> Map<String, Value> {
        let all = json!({"type": "Subscription", "id": "urn:a", "description": "for the mayor",
            "notification": {"attributes": ["no2"], "endpoint": endpoint}});
        all.as_object().unwrap().clone()
    }

    fn of(endpoint: Value, admitted: &[&str]) -> Result<Receiver, Problem> {
        let admitted: Vec<Url> = admitted.iter().map(|url| Url::parse(url).unwrap()).collect();
        Receiver::of(&subscription(endpoint), &admitted)
    }

    #[test]
    fn addresses() {
        for (uri, admitted, expected) in [
            ("http://127.0.0.1:9/x?y=1", &[][..], None),
            ("http://localhost:9/", &[], None),
            ("http://[::1]/", &[], None),
            ("http://10.0.0.5/x", &[], Some("receiver_not_admitted")),
            ("http://localhost.evil.example/", &[], Some("receiver_not_admitted")),
            ("https://app.city.example/in/a", &["https://app.city.example/in"], None),
            ("https://app.city.example/inner", &["https://app.city.example/in"], Some("receiver_not_admitted")),
            ("https://app.city.example/in/../admin", &["https://app.city.example/in"], Some("receiver_not_admitted")),
            ("http://127.0.0.1:9/x", &["https://app.city.example/in"], Some("receiver_not_admitted")),
            ("mqtt://127.0.0.1/t", &[], Some("bad_receiver")),
            ("http://u:p@127.0.0.1/", &[], Some("bad_receiver")),
            ("nothing", &[], Some("bad_receiver")),
        ] {
            let code = of(json!({"uri": uri}), admitted).err().map(|problem| problem.code());
            assert_eq!(code, expected, "{uri}");
        }
    }

    #[test]
    fn headers_of_the_receiver() {
        let uri = "http://127.0.0.1/";
        let info = |key: &str, value: &str| json!({"uri": uri, "receiverInfo": [{"key": key, "value": value}]});
        assert_eq!(of(info("Authorization", "Bearer x"), &[]).unwrap().headers.len(), 1);
        for (key, value) in [("Host", "x"), ("Content-Length", "0"), ("a b", "x"), ("X-Y", "a\r\nb")] {
            assert!(of(info(key, value), &[]).is_err(), "{key}");
        }
        for member in ["notifierInfo", "timeout", "cooldown", "x"] {
            assert!(of(json!({"uri": uri, member: 1}), &[]).is_err(), "{member}");
        }
    }

    #[test]
    fn nothing_of_the_receiver_leaves() {
        let mine = subscription(json!({"uri": "http://127.0.0.1/secret", "accept": "application/ld+json",
            "receiverInfo": [{"key": "Authorization", "value": "secret"}]}));
        let outward = Value::Object(outward(&mine));
        assert!(!outward.to_string().contains("secret") && !outward.to_string().contains("mayor"), "{outward}");
        assert_eq!(outward["notification"]["endpoint"], json!({"accept": "application/ld+json"}));
        assert_eq!(outward["notification"]["attributes"], json!(["no2"]));
    }

    #[test]
    fn changes() {
        let before = json!({"a": 1, "geoQ": {"x": 1}, "notification": {"attributes": ["p"], "endpoint": {"uri": "u", "accept": "j"}}});
        let change = json!({"a": "urn:ngsi-ld:null", "geoQ": {"y": 2}, "notification": {"endpoint": {"uri": "v"}}});
        let after = merged(before.as_object().unwrap(), change.as_object().unwrap());
        let expected =
            json!({"geoQ": {"y": 2}, "notification": {"attributes": ["p"], "endpoint": {"uri": "v", "accept": "j"}}});
        assert_eq!(Value::Object(after), expected);
    }
}
