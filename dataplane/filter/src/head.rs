//! Headers: which media type the broker is asked for, and which context a `Link` names.

use policy_plan::Refusal;

/// The relation of a context in a `Link` header (JSON-LD 1.1, section 6.1).
const CONTEXT_RELATION: &str = "http://www.w3.org/ns/json-ld#context";

/// The `Link` that names a context.
#[must_use]
pub fn context_link(url: &str) -> String {
    format!("<{url}>; rel=\"{CONTEXT_RELATION}\"; type=\"application/ld+json\"")
}

/// The one media type that the broker is asked for.
pub(crate) fn accept(given: Option<&str>, temporal: bool, single: bool, csv: bool) -> Result<&'static str, Refusal> {
    let Some(given) = given.filter(|given| !given.trim().is_empty()) else { return Ok("application/json") };
    for item in given.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        if parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")) {
            continue;
        }
        match media.as_str() {
            "application/json" | "*/*" | "application/*" => return Ok("application/json"),
            "application/ld+json" => return Ok("application/ld+json"),
            "application/geo+json" if !temporal => return Ok("application/geo+json"),
            "application/x-ndjson" if !single => return Ok("application/x-ndjson"),
            "text/csv" if !single && csv => return Ok("text/csv"),
            "application/ndjson" if !single => return Ok("application/ndjson"),
            _ => {}
        }
    }
    Err(Refusal {
        code: "representation_not_admitted",
        message: "none of the accepted media types can be read by the agreement's rules".to_owned(),
        rule: None,
        fact: None,
    })
}

/// The targets of the context links in a `Link` header.
pub fn contexts(header: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else { break };
        // The parameters end at the next comma outside of quotes.
        let mut quoted = false;
        let end = after.find(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, next) = after.split_at(end.unwrap_or(after.len()));
        let relations = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
        let is_context = relations.filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel")).any(|(_, value)| {
            value.trim().trim_matches('"').split_ascii_whitespace().any(|relation| relation == CONTEXT_RELATION)
        });
        if is_context {
            found.push(target.to_owned());
        }
        rest = next;
    }
    found
}
