//! Rewriting of `Link` and `Location`: addresses of the source become addresses of the flow.
//!
//! A broker writes its own address into paging links, sometimes that of a gateway before it. The reader can use neither and
//! should learn neither.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

/// Relations of paging links (RFC 8288, RFC 5005).
const PAGING: [&str; 7] = ["next", "prev", "previous", "first", "last", "self", "up"];

/// From where to where addresses are rewritten.
#[derive(Debug, Clone)]
pub(crate) struct Rewrite {
    /// The source's base.
    base: Url,
    /// The base's path without a slash at the end.
    base_path: String,
    /// The flow's address without a slash at the end.
    public: String,
}

impl Rewrite {
    /// Rewrites what lies below `base` to lie below `public`.
    pub(crate) fn new(base: &Url, public: &str) -> Self {
        Self {
            base: base.clone(),
            base_path: base.path().trim_end_matches('/').to_owned(),
            public: public.trim_end_matches('/').to_owned(),
        }
    }

    /// Rewrites the value of a `Link` header; `None` when no link is left.
    ///
    /// Links into the source are rewritten, or dropped when they lie outside its base. Paging links to another host are
    /// taken for a gateway's and treated by their path. All other links stay.
    pub(crate) fn link(&self, value: &str) -> Option<String> {
        let kept: Vec<String> = split(value)
            .into_iter()
            .filter_map(|link| {
                let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
                let target = self.target(target, is_paging(parameters))?;
                Some(format!("<{target}>{parameters}"))
            })
            .collect();
        (!kept.is_empty()).then(|| kept.join(", "))
    }

    /// The paging links of a `Link` header, rewritten; `None` when there are none. Parameters that the source was given and
    /// the caller did not give become the caller's again.
    pub(crate) fn paging(&self, value: &str, changed: &[(String, Option<String>)]) -> Option<String> {
        let links: Vec<String> = split(value)
            .into_iter()
            .filter_map(|link| {
                let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
                if !is_paging(parameters) {
                    return None;
                }
                let target = restored(&self.target(target, true)?, changed);
                Some(format!("<{target}>{parameters}"))
            })
            .collect();
        (!links.is_empty()).then(|| links.join(", "))
    }

    /// The flow's address of a path below the source's base; the path begins with a slash.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.public)
    }

    /// Rewrites the value of a `Location` header; `None` when it leads into the source but outside its base.
    pub(crate) fn location(&self, value: &str) -> Option<String> {
        self.target(value, false)
    }

    /// The target of the first `rel="next"` link, resolved against the base.
    pub(crate) fn next(&self, value: &str) -> Option<Url> {
        split(value).into_iter().find_map(|link| {
            let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
            if !relations(parameters).any(|relation| relation.eq_ignore_ascii_case("next")) {
                return None;
            }
            let found = self.base.join(target).ok()?;
            let mut own = self.base.clone();
            self.below(found.path())?;
            own.set_path(found.path());
            own.set_query(found.query());
            Some(own)
        })
    }

    /// The path below the base and the query of the first `rel="next"` link, as whoever asked would ask for it.
    pub(crate) fn next_asked(
        &self,
        value: &str,
        changed: &[(String, Option<String>)],
    ) -> Option<(String, Option<String>)> {
        let next = self.next(value)?;
        let path = self.below(next.path())?.to_owned();
        let query = next.query().map(|query| restored(&format!("?{query}"), changed));
        let query = query.map(|query| query.trim_start_matches('?').to_owned()).filter(|query| !query.is_empty());
        Some((path, query))
    }

    /// The address of another page of what was asked for here.
    pub(crate) fn page(&self, path: &str, query: Option<&str>, limit: u64, offset: u64) -> String {
        let place = [("limit", limit), ("offset", offset)];
        let place = place.map(|(name, value)| (name.to_owned(), Some(value.to_string())));
        restored(&format!("{}{path}?{}", self.public, query.unwrap_or_default()), &place)
    }

    fn target(&self, target: &str, paging: bool) -> Option<String> {
        // Relative to the request's own path: it stays right below the flow's address, unless it climbs.
        if !target.starts_with('/') && !target.contains("://") {
            return (!target.contains("..")).then(|| target.to_owned());
        }
        let absolute = self.base.join(target).ok()?;
        if absolute.origin() != self.base.origin() && !paging {
            return Some(target.to_owned());
        }
        let rest = self.below(absolute.path())?;
        let query = absolute.query().map(|query| format!("?{query}")).unwrap_or_default();
        Some(format!("{}{rest}{query}", self.public))
    }

    /// What follows the base's path.
    fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.base_path).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The target with the caller's own values of parameters that were changed on the way to the source.
fn restored(target: &str, changed: &[(String, Option<String>)]) -> String {
    if changed.is_empty() {
        return target.to_owned();
    }
    // A source may write our values without encoding, so that a part of one can stand behind a `#`.
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let plain = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let kept = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8_lossy();
        !pair.is_empty() && !changed.iter().any(|(known, _)| *known == name)
    });
    let ours = changed.iter().filter_map(|(name, value)| Some(format!("{name}={}", plain(value.as_deref()?))));
    let query: Vec<String> = kept.map(str::to_owned).chain(ours).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

fn is_paging(parameters: &str) -> bool {
    relations(parameters).any(|relation| PAGING.iter().any(|known| relation.eq_ignore_ascii_case(known)))
}

/// The relation types in a link's parameters.
fn relations(parameters: &str) -> impl Iterator<Item = &str> {
    parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel"))
        .flat_map(|(_, value)| value.trim().trim_matches('"').split_ascii_whitespace())
}

/// Splits a header value into links at commas that stand neither in `<>` nor in quotes.
fn split(value: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let (mut start, mut in_target, mut quoted) = (0, false, false);
    for (place, character) in value.char_indices() {
        match character {
            '<' if !quoted => in_target = true,
            '>' if !quoted => in_target = false,
            '"' if !in_target => quoted = !quoted,
            ',' if !quoted && !in_target => {
                links.extend(value.get(start..place));
                start = place + 1;
            }
            _ => {}
        }
    }
    links.extend(value.get(start..));
    links.into_iter().map(str::trim).filter(|link| !link.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(base: &str) -> Rewrite {
        Rewrite::new(&Url::parse(base).unwrap(), "https://dp.example/flows/f1")
    }

    #[test]
    fn links_table() {
        let plain = rewrite("http://broker:1026");
        for (given, expected) in [
            (
                "<http://broker:1026/ngsi-ld/v1/entities?type=A&offset=2>; rel=\"next\"",
                Some("<https://dp.example/flows/f1/ngsi-ld/v1/entities?type=A&offset=2>; rel=\"next\""),
            ),
            (
                "</ngsi-ld/v1/entities?offset=2>;rel=next",
                Some("<https://dp.example/flows/f1/ngsi-ld/v1/entities?offset=2>;rel=next"),
            ),
            (
                "<http://gateway/ngsi-ld/v1/entities?offset=2>;rel=\"prev\"",
                Some("<https://dp.example/flows/f1/ngsi-ld/v1/entities?offset=2>;rel=\"prev\""),
            ),
            (
                "<https://c.example/ctx.jsonld>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"",
                Some(
                    "<https://c.example/ctx.jsonld>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"",
                ),
            ),
            (
                "<https://c.example/a,b>; title=\"x, y\", <?page=2>; rel=\"next\"",
                Some("<https://c.example/a,b>; title=\"x, y\", <?page=2>; rel=\"next\""),
            ),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(plain.link(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn pages_show_what_the_caller_asked_and_nothing_of_ours() {
        let plain = rewrite("http://broker:1026");
        let changed = [("q".to_owned(), Some("a>1".to_owned())), ("georel".to_owned(), None)];
        for (given, expected) in [
            ("<http://gateway/e?q=secret==\"x\";a>1&offset=2&georel=within>; rel=\"next\"", None),
            (
                "<http://broker:1026/e?q=secret%3D%3D1&offset=2&georel=within>; rel=\"next\", <c>; rel=\"license\"",
                Some("<https://dp.example/flows/f1/e?offset=2&q=a%3E1>; rel=\"next\""),
            ),
            ("<?%71=secret&offset=2#secret>; rel=prev", Some("<?offset=2&q=a%3E1>; rel=prev")),
        ] {
            let shown = plain.paging(given, &changed);
            assert!(!shown.clone().unwrap_or_default().contains("secret"), "{shown:?}");
            if expected.is_some() {
                assert_eq!(shown.as_deref(), expected, "{given}");
            }
        }
    }

    #[test]
    fn pages_of_our_own() {
        let plain = rewrite("http://broker:1026");
        for (query, expected) in [
            (None, "https://dp.example/flows/f1/e?limit=5&offset=10"),
            (
                Some("type=A%2CB&limit=9&offset=3&count=true"),
                "https://dp.example/flows/f1/e?type=A%2CB&count=true&limit=5&offset=10",
            ),
            (Some("%6Cimit=9&q=a%3D%3D1"), "https://dp.example/flows/f1/e?q=a%3D%3D1&limit=5&offset=10"),
        ] {
            assert_eq!(plain.page("/e", query, 5, 10), expected);
        }
    }

    #[test]
    fn a_base_with_a_path_is_not_left() {
        let below = rewrite("http://broker/api/");
        assert_eq!(below.location("http://broker/api/x?y").as_deref(), Some("https://dp.example/flows/f1/x?y"));
        assert_eq!(below.location("http://broker/admin"), None);
        assert_eq!(below.location("http://broker/apix"), None);
        assert_eq!(below.link("<http://broker/admin?p=2>; rel=next"), None);
        assert_eq!(below.location("https://elsewhere/x").as_deref(), Some("https://elsewhere/x"));
        assert_eq!(below.location("../../admin"), None);
    }

    #[test]
    fn the_next_page_stays_at_the_source() {
        let plain = rewrite("http://broker:1026");
        let next = plain.next("<http://gateway/e?o=2>; rel=\"next\"").unwrap();
        assert_eq!(next.as_str(), "http://broker:1026/e?o=2");
        assert!(plain.next("<http://broker:1026/e>; rel=prev").is_none());
    }
}
