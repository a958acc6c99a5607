//! What of a subscription an agreement admits, and how it goes to the broker.
//!
//! A subscription is read as the query for the same entities, so that it is held to the same rules as reading
//! ([`Filter::request`]). What goes to the broker is written anew from what was understood; what is not understood is refused.

use ngsi_ld_filter::{Asked, Filter, Upstream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use policy_plan::{Member, Refusal, Selection};
use serde_json::{Map, Value, json};

/// Where a broker has its entities.
pub(crate) const ENTITIES: &str = "/ngsi-ld/v1/entities";
/// Members of a subscription that are understood (ETSI GS CIM 009, 5.2.12).
const MEMBERS: [&str; 18] = [
    "id",
    "type",
    "subscriptionName",
    "description",
    "entities",
    "watchedAttributes",
    "notificationTrigger",
    "q",
    "geoQ",
    "scopeQ",
    "lang",
    "datasetId",
    "timeInterval",
    "throttling",
    "expiresAt",
    "isActive",
    "localOnly",
    "notification",
];
/// Members of `notification` that are understood (5.2.14).
const NOTIFICATION: [&str; 7] = ["attributes", "pick", "omit", "format", "sysAttrs", "showChanges", "endpoint"];
/// Members of an entity selector (5.2.8).
const SELECTOR: [&str; 3] = ["type", "id", "idPattern"];
/// Members of `geoQ` (5.2.13).
const GEO: [&str; 4] = ["georel", "geometry", "coordinates", "geoproperty"];
/// What may trigger a notification beside deletions: a deleted attribute has no value that rules could be applied to.
const TRIGGERS: [&str; 4] = ["entityCreated", "entityUpdated", "attributeCreated", "attributeUpdated"];
/// Most selectors, and most names in a list.
const MAX_ITEMS: usize = 100;
/// Shortest interval of periodic notifications, in seconds.
const MIN_INTERVAL: f64 = 1.0;

/// A subscription as the broker gets it.
#[derive(Debug)]
pub(crate) struct Narrowed {
    /// The body without `id` and without the address that notifications go to.
    pub(crate) body: Map<String, Value>,
    /// The queries for the same entities, one for each selector; there is at least one.
    pub(crate) queries: Vec<Upstream>,
    /// Whether an entity without attributes says something: it was made or deleted.
    pub(crate) bare_entities: bool,
}

/// Checks a subscription and writes it anew. `link` is the `Link` header under which its names are read.
///
/// # Errors
/// `subscription_not_admitted` with the member that is not admitted or not understood, and what [`Filter::request`] refuses.
pub(crate) fn narrow(
    filter: &Filter,
    selection: &Selection,
    subscription: &Map<String, Value>,
    link: Option<&str>,
    now_ms: i64,
) -> Result<Narrowed, Refusal> {
    known("", subscription, &MEMBERS)?;
    if subscription.get("type").and_then(Value::as_str) != Some("Subscription") {
        return Err(refused("`type` must be `Subscription`"));
    }
    let empty = Map::new();
    let notification = object("notification", subscription)?.unwrap_or(&empty);
    known("notification.", notification, &NOTIFICATION)?;
    let endpoint = object("endpoint", notification)?.unwrap_or(&empty);
    known("notification.endpoint.", endpoint, &["accept"])?;
    let accept = match endpoint.get("accept").map(|accept| accept.as_str()) {
        None | Some(Some("application/json" | "application/ld+json")) => "application/json",
        Some(Some("application/geo+json")) => "application/geo+json",
        Some(_) => return Err(refused("`notification.endpoint.accept` is no media type of NGSI-LD")),
    };
    let question = Question { filter, accept, link, now_ms };
    let interval = number("timeInterval", subscription)?;
    if interval.is_some_and(|seconds| seconds < MIN_INTERVAL) {
        return Err(refused("`timeInterval` must be at least one second"));
    }
    let throttling = number("throttling", subscription)?;
    if interval.is_some() && (throttling.is_some() || subscription.contains_key("watchedAttributes")) {
        return Err(refused("`timeInterval` excludes `throttling` and `watchedAttributes`"));
    }
    let mut shape = common(subscription, notification)?;
    shape.push(("pick".to_owned(), projection(selection, link, notification)?));
    let queries = selectors(selection, link, subscription)?
        .into_iter()
        .map(|selector| question.ask(selector.into_iter().chain(shape.iter().cloned()).collect()))
        .collect::<Result<Vec<Upstream>, Refusal>>()?;
    let first = queries.first().ok_or_else(|| refused("`entities` must name at least one type"))?;
    let triggers = triggers(selection, subscription)?;
    let bare_entities = triggers.iter().flatten().any(|trigger| trigger.starts_with("entity"));
    let mut body = written(first, &queries, notification);
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    if interval.is_none() {
        put("watchedAttributes", watched(&question, selection, subscription)?.into());
    }
    if let Some(triggers) = triggers {
        put("notificationTrigger", triggers.into());
    }
    for name in ["timeInterval", "throttling"] {
        if let Some(value) = subscription.get(name) {
            put(name, value.clone());
        }
    }
    if let Some(moment) = text("expiresAt", subscription)? {
        if policy_plan::instant_ms(moment).is_none() {
            return Err(refused("`expiresAt` must be a moment with its zone, as `2027-01-01T00:00:00Z`"));
        }
        put("expiresAt", moment.into());
    }
    for name in ["isActive", "localOnly"] {
        if let Some(value) = flag(name, subscription)? {
            put(name, value.into());
        }
    }
    Ok(Narrowed { body, queries, bare_entities })
}

/// What all questions have in common.
struct Question<'a> {
    filter: &'a Filter,
    accept: &'a str,
    link: Option<&'a str>,
    now_ms: i64,
}

impl Question<'_> {
    fn ask(&self, query: Vec<(String, String)>) -> Result<Upstream, Refusal> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let query = query.join("&");
        self.filter.request(&Asked {
            method: "GET",
            path: ENTITIES,
            query: Some(&query),
            accept: Some(self.accept),
            link: self.link,
            now_ms: self.now_ms,
        })
    }
}

type Pairs = Vec<(String, String)>;

/// The parameters that choose and shape entities whatever their selector.
fn common(subscription: &Map<String, Value>, notification: &Map<String, Value>) -> Result<Pairs, Refusal> {
    let mut pairs = Pairs::new();
    let mut put = |name: &str, value: String| pairs.push((name.to_owned(), value));
    for name in ["q", "scopeQ", "lang"] {
        if let Some(value) = text(name, subscription)? {
            put(name, value.to_owned());
        }
    }
    if let Some(ids) = names("datasetId", subscription)? {
        put("datasetId", ids.join(","));
    }
    if let Some(geo) = object("geoQ", subscription)? {
        known("geoQ.", geo, &GEO)?;
        for name in GEO {
            match geo.get(name) {
                None => {}
                Some(Value::String(value)) => put(name, value.clone()),
                Some(value @ Value::Array(_)) if name == "coordinates" => put(name, value.to_string()),
                Some(_) => return Err(refused(&format!("`geoQ.{name}` has the wrong type"))),
            }
        }
        if !geo.contains_key("georel") {
            return Err(refused("`geoQ.georel` is missing"));
        }
    }
    if let Some(omitted) = names("omit", notification)? {
        put("omit", omitted.join(","));
    }
    let mut options = vec![text("format", notification)?.unwrap_or("normalized").to_owned()];
    if flag("sysAttrs", notification)?.unwrap_or_default() {
        options.push("sysAttrs".to_owned());
    }
    put("options", options.join(","));
    if flag("showChanges", notification)?.unwrap_or_default() {
        return Err(refused("`notification.showChanges` would show values from before, to which no rule was applied"));
    }
    Ok(pairs)
}

/// The names that notifications show: what is asked for, else all that the agreement shows.
fn projection(selection: &Selection, link: Option<&str>, notification: &Map<String, Value>) -> Result<String, Refusal> {
    if notification.contains_key("attributes") && notification.contains_key("pick") {
        return Err(refused("`notification.attributes` and `notification.pick` exclude each other"));
    }
    if let Some(picked) = names("pick", notification)? {
        return Ok(picked.join(","));
    }
    let asked = match names("attributes", notification)? {
        Some(asked) => asked.iter().map(|name| (*name).to_owned()).collect(),
        None => {
            let omitted = names("omit", notification)?.unwrap_or_default();
            let all = selection.attributes.iter().map(|rule| spelled(selection, link, &rule.name));
            all.filter(|name| !omitted.contains(&name.as_str())).collect::<Vec<String>>()
        }
    };
    Ok(["id".to_owned(), "type".to_owned()].into_iter().chain(asked).collect::<Vec<_>>().join(","))
}

/// The parameters of each selector; without `entities` one for each type of the agreement.
fn selectors(
    selection: &Selection,
    link: Option<&str>,
    subscription: &Map<String, Value>,
) -> Result<Vec<Pairs>, Refusal> {
    let Some(given) = subscription.get("entities") else {
        let types = selection.types.iter().map(|kind| spelled(selection, link, kind));
        return Ok(types.map(|kind| vec![("type".to_owned(), kind)]).collect());
    };
    let given = given.as_array().filter(|given| !given.is_empty() && given.len() <= MAX_ITEMS);
    let given = given.ok_or_else(|| refused(&format!("`entities` must be an array of 1 to {MAX_ITEMS} selectors")))?;
    given
        .iter()
        .map(|selector| {
            let selector = selector.as_object().ok_or_else(|| refused("a selector must be an object"))?;
            known("entities.", selector, &SELECTOR)?;
            let mut pairs = Pairs::new();
            for name in SELECTOR {
                if let Some(value) = text(name, selector)? {
                    pairs.push((name.to_owned(), value.to_owned()));
                }
            }
            if pairs.iter().any(|(name, value)| name == "id" && value.contains(',')) || pairs.len() > 2 {
                return Err(refused("a selector has one `id` or one `idPattern`"));
            }
            match pairs.iter().any(|(name, _)| name == "type") {
                true => Ok(pairs),
                false => Err(refused("a selector without `type` is not understood")),
            }
        })
        .collect()
}

/// What triggers notifications, where the subscription says it.
fn triggers(selection: &Selection, subscription: &Map<String, Value>) -> Result<Option<Vec<String>>, Refusal> {
    let Some(given) = names("notificationTrigger", subscription)? else { return Ok(None) };
    for trigger in &given {
        // Without the moment of its deletion the entity would look as if it were there.
        let told = *trigger == "entityDeleted" && selection.members.contains(&Member::DeletedAt);
        if !told && !TRIGGERS.contains(trigger) {
            let shown: String = trigger.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err(refused(&format!("`notificationTrigger` names `{shown}`, which is not admitted")));
        }
    }
    Ok(Some(given.iter().map(|trigger| (*trigger).to_owned()).collect()))
}

/// The attributes whose change is told: none that are hidden, since the change alone would tell of them.
fn watched(
    question: &Question<'_>,
    selection: &Selection,
    subscription: &Map<String, Value>,
) -> Result<Vec<String>, Refusal> {
    let shown = |name: &str| question.ask(vec![("attrs".to_owned(), name.to_owned())]).map(drop);
    if let Some(given) = names("watchedAttributes", subscription)? {
        given.iter().try_for_each(|name| shown(name))?;
        return Ok(given.iter().map(|name| (*name).to_owned()).collect());
    }
    let all = selection.attributes.iter().map(|rule| spelled(selection, question.link, &rule.name));
    let watched: Vec<String> = all.filter(|name| shown(name).is_ok()).collect();
    if watched.is_empty() {
        return Err(refused("the agreement shows no attribute whose changes could be told"));
    }
    Ok(watched)
}

/// The body for the broker, from what the filter made of the queries.
fn written(first: &Upstream, queries: &[Upstream], notification: &Map<String, Value>) -> Map<String, Value> {
    let value = |query: &Upstream, wanted: &str| {
        query.query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    };
    let listed = |text: String| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    put("type", "Subscription".into());
    let entities = queries.iter().map(|query| {
        let members = SELECTOR.iter().filter_map(|name| Some(((*name).to_owned(), Value::from(value(query, name)?))));
        Value::Object(members.collect())
    });
    put("entities", entities.collect::<Vec<Value>>().into());
    for name in ["q", "scopeQ", "lang"] {
        if let Some(value) = value(first, name) {
            put(name, value.into());
        }
    }
    if let Some(ids) = value(first, "datasetId") {
        put("datasetId", listed(ids).into());
    }
    if value(first, "georel").is_some() {
        let geo = GEO.iter().filter_map(|name| {
            let text = value(first, name)?;
            let parsed = (*name == "coordinates").then(|| serde_json::from_str(&text).ok()).flatten();
            Some(((*name).to_owned(), parsed.unwrap_or(Value::String(text))))
        });
        put("geoQ", Value::Object(geo.collect()));
    }
    let mut told = Map::new();
    let picked = value(first, "pick").map(listed).unwrap_or_default();
    let picked: Vec<String> =
        picked.into_iter().filter(|name| !matches!(name.as_str(), "id" | "type" | "scope")).collect();
    if !picked.is_empty() {
        told.insert("attributes".to_owned(), picked.into());
    }
    for name in ["omit", "sysAttrs"] {
        if let Some(value) = notification.get(name) {
            told.insert(name.to_owned(), value.clone());
        }
    }
    told.insert("format".to_owned(), notification.get("format").cloned().unwrap_or_else(|| "normalized".into()));
    told.insert("endpoint".to_owned(), json!({"accept": first.accept}));
    put("notification", Value::Object(told));
    body
}

/// The spelling of a whole name under the context of the subscription, where it is plain to see.
fn spelled(selection: &Selection, link: Option<&str>, iri: &str) -> String {
    let context = match link {
        Some(link) => selection.contexts.iter().find(|context| link.contains(&format!("<{}>", context.url))),
        None => selection.contexts.first(),
    };
    let term = context.and_then(|context| context.terms.iter().find(|(_, known)| *known == iri));
    let core = ["https://uri.etsi.org/ngsi-ld/default-context/", "https://uri.etsi.org/ngsi-ld/"];
    let core = core.iter().find_map(|base| iri.strip_prefix(base)).filter(|rest| !rest.contains('/'));
    term.map(|(term, _)| term.as_str()).or(core).unwrap_or(iri).to_owned()
}

fn known(place: &str, members: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            Err(refused(&format!("the member `{place}{shown}` is not admitted")))
        }
        None => Ok(()),
    }
}

fn object<'a>(name: &str, members: &'a Map<String, Value>) -> Result<Option<&'a Map<String, Value>>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(refused(&format!("`{name}` must be an object"))),
    }
}

fn text<'a>(name: &str, members: &'a Map<String, Value>) -> Result<Option<&'a str>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.chars().any(char::is_control) => Ok(Some(text)),
        Some(_) => Err(refused(&format!("`{name}` must be a text"))),
    }
}

fn flag(name: &str, members: &Map<String, Value>) -> Result<Option<bool>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(refused(&format!("`{name}` must be `true` or `false`"))),
    }
}

fn number(name: &str, members: &Map<String, Value>) -> Result<Option<f64>, Refusal> {
    match members.get(name).map(|value| value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)) {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number)),
        Some(None) => Err(refused(&format!("`{name}` must be a number of seconds"))),
    }
}

/// A list of names, each without what separates names in a query.
fn names<'a>(name: &str, members: &'a Map<String, Value>) -> Result<Option<Vec<&'a str>>, Refusal> {
    let Some(value) = members.get(name) else { return Ok(None) };
    let wrong = || refused(&format!("`{name}` must be an array of 1 to {MAX_ITEMS} plain names"));
    let list = value.as_array().filter(|list| !list.is_empty() && list.len() <= MAX_ITEMS).ok_or_else(wrong)?;
    let plain =
        |name: &&str| !name.is_empty() && !name.contains([',', '|', '{', '}']) && !name.chars().any(char::is_control);
    list.iter().map(|item| item.as_str().filter(plain).ok_or_else(wrong)).collect::<Result<Vec<_>, _>>().map(Some)
}

fn refused(message: &str) -> Refusal {
    Refusal { code: "subscription_not_admitted", message: message.to_owned(), rule: None, fact: None }
}

#[cfg(test)]
mod tests;
