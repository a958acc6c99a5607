//! Queries that come as a body (ETSI GS CIM 009, 5.2.23, 6.23 and 6.24).
//!
//! Each selector is held to the rules of the same question by GET. What goes to the broker is written anew from what those
//! rules made of it; nothing of the caller's body passes as it came.

use policy_plan::Refusal;
use serde_json::{Map, Value};

use crate::body::{MAX_ITEMS, known, member, names, not_readable, object, text};
use crate::head::context_link;
use crate::names::is_core;
use crate::request::{Asked, CORE, not_admitted, refusal};
use crate::rules::Filter;
use crate::upstream::Upstream;

/// Longest body of a query, in bytes.
pub const MAX_QUERY_BODY: usize = 256 * 1024;
/// Members of a query that are understood.
const MEMBERS: [&str; 12] =
    ["type", "@context", "entities", "attrs", "pick", "omit", "q", "geoQ", "scopeQ", "temporalQ", "lang", "datasetId"];
/// Members of a selector of entities (5.2.33).
const SELECTOR: [&str; 3] = ["type", "id", "idPattern"];
/// Members of `geoQ` (5.2.13).
const GEO: [&str; 4] = ["georel", "geometry", "coordinates", "geoproperty"];
/// Members of `temporalQ` (5.2.21).
const TIME: [&str; 5] = ["timerel", "timeAt", "endTimeAt", "timeproperty", "lastN"];
/// What stays in the address.
const ADDRESS: [&str; 7] = ["limit", "offset", "count", "options", "format", "geometryProperty", "local"];

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The body, of at most [`MAX_QUERY_BODY`] bytes.
    pub body: &'a [u8],
}

type Pairs = Vec<(String, String)>;

impl Filter {
    /// Checks a query that came as a body, and writes it anew.
    ///
    /// # Errors
    /// A [`Refusal`] with a code of [`Filter::request`], or `content_type_not_admitted`, `body_not_readable`,
    /// `context_misplaced`.
    pub fn query(&self, asked: &Asked<'_>, posted: &Posted<'_>) -> Result<Upstream, Refusal> {
        if asked.method != "POST" || !policy_plan::is_query(asked.path) {
            return Err(refusal("method_not_admitted", "only queries are sent as a body"));
        }
        let temporal = asked.path.contains("/temporal/");
        let linked = linked(asked.link, posted.content_type)?;
        if posted.body.len() > MAX_QUERY_BODY {
            return Err(not_readable("the body is too long for a query"));
        }
        let body = object(posted.body)?;
        known("", &body, &MEMBERS)?;
        if body.get("type").and_then(Value::as_str) != Some("Query") {
            return Err(not_readable("`type` must be `Query`"));
        }
        let in_body = context_in_body(linked, &body)?;
        let asked = Asked { link: in_body.as_deref().or(asked.link), ..*asked };
        let address = policy_plan::query_pairs(asked.query.unwrap_or_default())?;
        if let Some((name, _)) = address.iter().find(|(name, _)| !ADDRESS.contains(&name.as_str())) {
            return Err(not_admitted(name));
        }
        let mut common = shape(&body, temporal)?;
        common.extend(address);
        let questions = selectors(&body)?
            .into_iter()
            .map(|selector| {
                self.question(&asked, temporal, None, selector.into_iter().chain(common.iter().cloned()).collect())
            })
            .collect::<Result<Vec<Upstream>, Refusal>>()?;
        let first = questions.first().ok_or_else(|| not_readable("`entities` must name something"))?;
        let body = written(first, &questions);
        let mut upstream = first.clone();
        upstream.query.retain(|(name, _)| ADDRESS.contains(&name.as_str()));
        // What is ours stands in the body, so links to other pages show nothing of it.
        upstream.changed.clear();
        upstream.body = Some(body.to_string());
        Ok(upstream)
    }
}

/// Whether the context is named by the `Link` header, as it is for JSON; the body of JSON-LD has it in itself (6.3.5).
fn linked(link: Option<&str>, content_type: Option<&str>) -> Result<bool, Refusal> {
    let mut parts = content_type.unwrap_or_default().split(';').map(|part| part.trim().to_ascii_lowercase());
    let media = parts.next().unwrap_or_default();
    let plain = parts.all(|part| matches!(part.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\""));
    match media.as_str() {
        "application/json" if plain => Ok(true),
        "application/ld+json" if plain && link.is_some() => {
            Err(refusal("context_misplaced", "a body of `application/ld+json` carries its context; it takes no `Link`"))
        }
        "application/ld+json" if plain => Ok(false),
        _ => Err(refusal(
            "content_type_not_admitted",
            "a query is a body of `application/json` or `application/ld+json`",
        )),
    }
}

/// The context that the body names, as a `Link` header would.
fn context_in_body(linked: bool, body: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    let urls: Vec<&str> = match (body.get("@context"), linked) {
        (None, true) => return Ok(None),
        (Some(_), true) => {
            let why = "a body of `application/json` carries no `@context`; name it by the `Link` header";
            return Err(refusal("context_misplaced", why));
        }
        (Some(Value::String(url)), false) => vec![url],
        (Some(Value::Array(urls)), false) if urls.iter().all(Value::is_string) => {
            urls.iter().filter_map(Value::as_str).collect()
        }
        (Some(_), false) => {
            let why = "the `@context` must be given by addresses; what is written out could give names another meaning";
            return Err(refusal("context_not_admitted", why));
        }
        (None, false) => {
            return Err(refusal("context_misplaced", "a body of `application/ld+json` must carry its `@context`"));
        }
    };
    let mut own = urls.into_iter().filter(|url| !is_core(url));
    match (own.next(), own.next()) {
        (None, _) => Ok(Some(context_link(CORE))),
        (Some(url), None) if !url.contains(['<', '>', '"', ',']) => Ok(Some(context_link(url))),
        _ => Err(refusal("context_not_admitted", "the `@context` must name one context that the agreement lists")),
    }
}

/// The parameters that choose and shape entities whatever their selector.
fn shape(body: &Map<String, Value>, temporal: bool) -> Result<Pairs, Refusal> {
    let mut pairs = Pairs::new();
    let mut put = |name: &str, value: String| pairs.push((name.to_owned(), value));
    for name in ["q", "scopeQ", "lang"] {
        if let Some(value) = text(name, body)? {
            put(name, value.to_owned());
        }
    }
    for name in ["attrs", "pick", "omit", "datasetId"] {
        if let Some(items) = names(name, body)? {
            put(name, items.join(","));
        }
    }
    if let Some(geo) = member("geoQ", body)? {
        known("geoQ.", geo, &GEO)?;
        for name in GEO {
            match geo.get(name) {
                Some(value @ Value::Array(_)) if name == "coordinates" => put(name, value.to_string()),
                _ => text(name, geo)?.map_or((), |value| put(name, value.to_owned())),
            }
        }
        if !["georel", "geometry", "coordinates"].iter().all(|name| geo.contains_key(*name)) {
            return Err(not_readable("`geoQ` needs `georel`, `geometry` and `coordinates`"));
        }
    }
    match member("temporalQ", body)? {
        Some(_) if !temporal => return Err(not_admitted("temporalQ")),
        Some(time) => {
            known("temporalQ.", time, &TIME)?;
            for name in TIME {
                match time.get(name) {
                    Some(Value::Number(number)) if name == "lastN" => put(name, number.to_string()),
                    _ => text(name, time)?.map_or((), |value| put(name, value.to_owned())),
                }
            }
        }
        None if temporal => return Err(not_readable("a temporal query needs `temporalQ`")),
        None => {}
    }
    Ok(pairs)
}

/// The parameters of each selector; without `entities` one that names nothing, which is asked for the agreement's types.
fn selectors(body: &Map<String, Value>) -> Result<Vec<Pairs>, Refusal> {
    let Some(given) = body.get("entities") else { return Ok(vec![Pairs::new()]) };
    let given = given.as_array().filter(|given| !given.is_empty() && given.len() <= MAX_ITEMS);
    let wrong = || not_readable(&format!("`entities` must be an array of 1 to {MAX_ITEMS} selectors"));
    given
        .ok_or_else(wrong)?
        .iter()
        .map(|selector| {
            let selector = selector.as_object().ok_or_else(wrong)?;
            known("entities.", selector, &SELECTOR)?;
            let mut pairs = Pairs::new();
            for name in ["type", "idPattern"] {
                pairs.extend(text(name, selector)?.map(|value| (name.to_owned(), value.to_owned())));
            }
            pairs.extend(names("id", selector)?.map(|ids| ("id".to_owned(), ids.join(","))));
            if selector.contains_key("id") && selector.contains_key("idPattern") {
                return Err(not_readable("a selector has `id` or `idPattern`"));
            }
            Ok(pairs)
        })
        .collect()
}

/// The body for the broker, from what the rules made of the questions.
fn written(first: &Upstream, all: &[Upstream]) -> Value {
    let value = |question: &Upstream, wanted: &str| {
        question.query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    };
    let listed = |text: String| Value::from(text.split(',').map(str::to_owned).collect::<Vec<String>>());
    let selector = |question: &Upstream| {
        let members = SELECTOR.iter().filter_map(|name| {
            let text = value(question, name)?;
            let several = *name == "id" && text.contains(',');
            Some(((*name).to_owned(), if several { listed(text) } else { text.into() }))
        });
        Value::Object(members.collect())
    };
    let object = |members: &[&str]| {
        let members = members.iter().filter_map(|name| {
            let text = value(first, name)?;
            let parsed = matches!(*name, "coordinates" | "lastN").then(|| serde_json::from_str(&text).ok()).flatten();
            Some(((*name).to_owned(), parsed.unwrap_or(Value::String(text))))
        });
        Value::Object(members.collect())
    };
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    put("type", "Query".into());
    put("entities", all.iter().map(selector).collect::<Vec<Value>>().into());
    for name in ["q", "scopeQ", "lang"] {
        if let Some(text) = value(first, name) {
            put(name, text.into());
        }
    }
    for name in ["attrs", "pick", "omit", "datasetId"] {
        if let Some(text) = value(first, name) {
            put(name, listed(text));
        }
    }
    for (name, members) in [("geoQ", &GEO[..]), ("temporalQ", &TIME[..])] {
        let part = object(members);
        if part.as_object().is_some_and(|part| !part.is_empty()) {
            put(name, part);
        }
    }
    Value::Object(body)
}
