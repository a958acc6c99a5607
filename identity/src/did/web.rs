//! The method `web` (did:web Method Specification, W3C CCG): where a document lies.

use url::{Host, Url};

use super::{Did, DidError};

/// The URL of a did:web's document: `did:web:host%3Aport:a:b` is `https://host:port/a/b/did.json`, and without path it is
/// `/.well-known/did.json`. `allow_http` makes it plain http and allows IP addresses, for trials on one machine.
///
/// # Errors
/// `unsupported_did_method` for another method; `malformed_did` for what does not come out of a URL as it went in, such as `..`
/// or an escaped slash.
pub fn document_url(did: &Did, allow_http: bool) -> Result<Url, DidError> {
    if did.method() != "web" {
        return Err(DidError::new(
            "unsupported_did_method",
            format!("`{}` is not a did:web", crate::printable(did.as_str())),
        ));
    }
    let malformed = || {
        DidError::new("malformed_did", format!("`{}` does not name a host and a path", crate::printable(did.as_str())))
    };
    let mut parts = did.method_specific_id().split(':');
    let authority = parts.next().unwrap_or_default().replace("%3A", ":").replace("%3a", ":");
    let mut path = String::new();
    for part in parts {
        if part.is_empty() || !is_plain(part) {
            return Err(malformed());
        }
        path.push('/');
        path.push_str(part);
    }
    if path.is_empty() {
        path.push_str("/.well-known");
    }
    path.push_str("/did.json");
    let scheme = if allow_http { "http" } else { "https" };
    let url = Url::parse(&format!("{scheme}://{authority}{path}")).map_err(|_error| malformed())?;
    // What the URL parser changes (dot segments, numbers as addresses, escapes in the host) is not what the DID says.
    let host = authority.split_once(':').map_or(authority.as_str(), |(host, _port)| host);
    let same = url.path() == path
        && url.host_str().is_some_and(|parsed| parsed.eq_ignore_ascii_case(host))
        && url.username().is_empty();
    let named = matches!(url.host(), Some(Host::Domain(_))) || allow_http;
    if same && named { Ok(url) } else { Err(malformed()) }
}

/// No escape that would mean something to a server: a separator, a dot segment, or none at all.
fn is_plain(part: &str) -> bool {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            continue;
        }
        let hex = |byte: Option<u8>| byte.map(char::from).and_then(|digit| digit.to_digit(16));
        let (Some(high), Some(low)) = (hex(bytes.next()), hex(bytes.next())) else { return false };
        let decoded = u8::try_from(high * 16 + low).unwrap_or_default();
        if decoded.is_ascii_control() || b"/\\.?#%:".contains(&decoded) {
            return false;
        }
    }
    true
}
