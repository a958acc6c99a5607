//! Which headers pass through the proxy, and which do not.

use actix_web::http::header as server;
use http::header as client;

/// Request headers that reach a source: negotiation, conditions, ranges, NGSI-LD, digests and tracing. Everything else stays
/// out: what concerns one hop, credentials, what a proxy in front might trust (`X-Forwarded-*`), and the unknown.
const REQUEST: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-digest",
    "content-encoding",
    "content-language",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "link",
    "ngsild-tenant",
    "pragma",
    "prefer",
    "range",
    "repr-digest",
    "traceparent",
    "tracestate",
    "user-agent",
    "want-content-digest",
    "want-digest",
    "want-repr-digest",
    "x-correlation-id",
    "x-request-id",
];

/// Response headers that stay out: what concerns one hop, cookies, the source's software and security settings, and
/// challenges, which are about our credential.
const RESPONSE_OUT: &[&str] = &[
    "alt-svc",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "public-key-pins",
    "server",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "www-authenticate",
    "x-powered-by",
];

/// Headers of a request that go on to the source.
pub(crate) fn to_source(given: &server::HeaderMap, further: &[String]) -> client::HeaderMap {
    let named = connection_options(given.get_all(server::CONNECTION).map(server::HeaderValue::as_bytes));
    let mut passed = client::HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let text = name.as_str();
        let listed = REQUEST.binary_search(&text).is_ok() || further.iter().any(|other| other == text);
        if !listed || named.iter().any(|other| other == text) {
            continue;
        }
        let pair = (client::HeaderName::from_bytes(text.as_bytes()), client::HeaderValue::from_bytes(value.as_bytes()));
        if let (Ok(name), Ok(value)) = pair {
            passed.append(name, value);
        }
    }
    passed
}

/// Headers of the source's answer that go on to the reader. `Link` and `Location` are left to the caller, who rewrites them.
pub(crate) fn to_reader(given: &client::HeaderMap, mut put: impl FnMut(server::HeaderName, server::HeaderValue)) {
    let named = connection_options(given.get_all(client::CONNECTION).iter().map(client::HeaderValue::as_bytes));
    for (name, value) in given {
        let text = name.as_str();
        if RESPONSE_OUT.binary_search(&text).is_ok()
            || text.starts_with("access-control-")
            || *name == client::LINK
            || *name == client::LOCATION
            || *name == client::CONTENT_LOCATION
            || named.iter().any(|other| other == text)
        {
            continue;
        }
        let pair = (server::HeaderName::from_bytes(text.as_bytes()), server::HeaderValue::from_bytes(value.as_bytes()));
        if let (Ok(name), Ok(value)) = pair {
            put(name, value);
        }
    }
}

/// The header names that `Connection` declares to be about this hop only, lower case.
fn connection_options<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    values
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .map(|option| option.trim().to_ascii_lowercase())
        .filter(|option| !option.is_empty() && option != "keep-alive" && option != "close")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> server::HeaderMap {
        let mut map = server::HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                server::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                server::HeaderValue::from_str(value).unwrap(),
            );
        }
        map
    }

    #[test]
    fn the_lists_are_sorted_for_the_search() {
        assert!(REQUEST.is_sorted() && RESPONSE_OUT.is_sorted());
    }

    #[test]
    fn what_reaches_a_source() {
        let map = given(&[
            ("accept", "application/ld+json"),
            ("link", "<https://c>; rel=\"x\""),
            ("ngsild-tenant", "t"),
            ("if-none-match", "\"e\""),
            ("range", "bytes=0-1"),
            ("prefer", "body=json"),
            ("authorization", "Bearer T"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1"),
            ("x-real-ip", "1"),
            ("x-client-cert", "1"),
            ("x-http-method-override", "DELETE"),
            ("host", "h"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("proxy-authorization", "x"),
            ("keep-alive", "1"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("x-own", "1"),
        ]);
        let mut names: Vec<String> = to_source(&map, &["x-own".to_owned()]).keys().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(names, ["accept", "if-none-match", "link", "ngsild-tenant", "prefer", "range", "x-own"]);
    }

    #[test]
    fn what_connection_names_is_about_one_hop() {
        let map = given(&[("connection", "close, Prefer"), ("prefer", "x"), ("accept", "y")]);
        let passed = to_source(&map, &[]);
        assert!(passed.get("prefer").is_none() && passed.get("accept").is_some());
    }

    #[test]
    fn what_reaches_the_reader() {
        let mut map = client::HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("etag", "\"e\""),
            ("ngsild-results-count", "5"),
            ("ngsild-tenant", "t"),
            ("content-range", "bytes 0-1/2"),
            ("set-cookie", "s=1"),
            ("server", "broker/1"),
            ("x-powered-by", "y"),
            ("transfer-encoding", "chunked"),
            ("www-authenticate", "Basic"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("access-control-allow-origin", "*"),
        ] {
            map.append(name, client::HeaderValue::from_static(value));
        }
        let mut names = Vec::new();
        to_reader(&map, |name, _| names.push(name.to_string()));
        names.sort();
        assert_eq!(names, ["content-range", "content-type", "etag", "ngsild-results-count", "ngsild-tenant"]);
    }
}
