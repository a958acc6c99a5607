//! Conditional requests on a file (RFC 9110, section 13), in the order of section 13.2.2.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::header::HttpDate;
use actix_web::http::header::{self, HeaderMap};

/// What the conditions of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Judges `If-Match`, `If-Unmodified-Since`, `If-None-Match` and `If-Modified-Since` against a strong entity tag and a date.
pub(crate) fn judge(headers: &HeaderMap, etag: &str, modified: SystemTime) -> Verdict {
    let modified = whole_seconds(modified);
    if let Some(list) = joined(headers, &header::IF_MATCH) {
        if !names(&list, etag, true) {
            return Verdict::Failed;
        }
    } else if date(headers, &header::IF_UNMODIFIED_SINCE).is_some_and(|limit| modified > limit) {
        return Verdict::Failed;
    }
    if let Some(list) = joined(headers, &header::IF_NONE_MATCH) {
        if names(&list, etag, false) {
            return Verdict::NotModified;
        }
    } else if date(headers, &header::IF_MODIFIED_SINCE).is_some_and(|limit| modified <= limit) {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether a `Range` may be honoured: `If-Range` is absent or names the present representation.
pub(crate) fn range_applies(headers: &HeaderMap, etag: &str, modified: SystemTime) -> bool {
    let Some(value) = headers.get(header::IF_RANGE) else { return true };
    let Ok(text) = value.to_str() else { return false };
    if text.starts_with('"') || text.starts_with("W/") {
        return text.trim() == etag;
    }
    text.parse::<HttpDate>().is_ok_and(|limit| SystemTime::from(limit) == whole_seconds(modified))
}

/// The date of the last change as a header has it: whole seconds.
pub(crate) fn whole_seconds(time: SystemTime) -> SystemTime {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn joined(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Whether a list of entity tags names ours. Ours never holds a comma, so the list may be split there.
fn names(list: &str, etag: &str, strong: bool) -> bool {
    list.split(',').map(str::trim).any(|given| {
        given == "*" || given == etag || (!strong && given.strip_prefix("W/").is_some_and(|weak| weak == etag))
    })
}

fn date(headers: &HeaderMap, name: &header::HeaderName) -> Option<SystemTime> {
    headers.get(name)?.to_str().ok()?.parse::<HttpDate>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"abc-1\"";

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name.clone(), header::HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn rfc_9110_13_2_2_table() {
        let modified = UNIX_EPOCH + Duration::from_millis(784_111_777_500);
        let (before, same, after) =
            ("Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        let cases: &[(&[(header::HeaderName, &str)], Verdict)] = &[
            (&[], Verdict::Proceed),
            (&[(header::IF_NONE_MATCH, ETAG)], Verdict::NotModified),
            (&[(header::IF_NONE_MATCH, "W/\"abc-1\"")], Verdict::NotModified),
            (&[(header::IF_NONE_MATCH, "\"x\", \"abc-1\"")], Verdict::NotModified),
            (&[(header::IF_NONE_MATCH, "*")], Verdict::NotModified),
            (&[(header::IF_NONE_MATCH, "\"x\""), (header::IF_MODIFIED_SINCE, after)], Verdict::Proceed),
            (&[(header::IF_MODIFIED_SINCE, same)], Verdict::NotModified),
            (&[(header::IF_MODIFIED_SINCE, before)], Verdict::Proceed),
            (&[(header::IF_MODIFIED_SINCE, "yesterday")], Verdict::Proceed),
            (&[(header::IF_MATCH, "\"x\"")], Verdict::Failed),
            (&[(header::IF_MATCH, ETAG)], Verdict::Proceed),
            (&[(header::IF_MATCH, "W/\"abc-1\"")], Verdict::Failed),
            (&[(header::IF_MATCH, ETAG), (header::IF_UNMODIFIED_SINCE, before)], Verdict::Proceed),
            (&[(header::IF_UNMODIFIED_SINCE, before)], Verdict::Failed),
            (&[(header::IF_UNMODIFIED_SINCE, same)], Verdict::Proceed),
        ];
        for (given, expected) in cases {
            assert_eq!(judge(&headers(given), ETAG, modified), *expected, "{given:?}");
        }
        for (value, expected) in [(ETAG, true), ("\"x\"", false), ("W/\"abc-1\"", false), (same, true), (before, false)]
        {
            assert_eq!(range_applies(&headers(&[(header::IF_RANGE, value)]), ETAG, modified), expected, "{value}");
        }
    }
}
