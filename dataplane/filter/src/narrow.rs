//! What a selection's conditions and moments add to the question that a broker is asked.
//!
//! What the broker leaves out needs not be read. It never counts as a decision: every entity of the answer is looked at.

use policy_plan::{Area, Comparison, Georel, Literal, Query, Refusal, Stretch, Test, Wanted, instant_ms, instant_text};

use crate::names::Names;
use crate::request::{not_admitted, refusal};
use crate::rules::Filter;

/// Longest coordinates that go into an address, in characters.
const MAX_COORDINATES: usize = 2000;
/// Parameters by which a caller searches.
const SEARCHING: [&str; 5] = ["q", "georel", "orderBy", "scopeQ", "idPattern"];
/// Parameters that leave out instances of attributes, which conditions may ask about.
const THINNING: [&str; 2] = ["lang", "datasetId"];

/// A parameter as it goes to the broker.
type Pair = (String, String);

/// Adds the conditions to the query of a request.
///
/// # Errors
/// What may not be asked while entities are removed that the broker counts and sorts.
pub(crate) fn by_conditions(
    filter: &Filter,
    names: &Names,
    single: bool,
    query: &mut Vec<Pair>,
) -> Result<(), Refusal> {
    let Some(conditions) = &filter.conditions else { return Ok(()) };
    if let Some((name, _)) = query.iter().find(|(name, _)| THINNING.contains(&name.as_str())) {
        return Err(not_admitted(name));
    }
    let watched = conditions.watched.iter().filter_map(|number| {
        let place = usize::try_from(*number).ok()?;
        Some((*number, filter.known.get(place)?))
    });
    for (number, iri) in watched {
        let spelled = names.short(iri).unwrap_or_else(|| iri.clone());
        for (name, value) in query.iter_mut() {
            let mut listed = value.split([',', '|']).map(|item| names.number(item.as_bytes()));
            let listed = listed.any(|item| item == Some(number));
            match name.as_str() {
                "pick" if !listed && value.contains('|') => *value = format!("{value}|{spelled}"),
                "pick" | "attrs" if !listed => *value = format!("{value},{spelled}"),
                "omit" if listed => {
                    let why = "`omit` names an attribute by which the agreement's rules are applied";
                    return Err(refusal("query_not_admitted", why));
                }
                _ => {}
            }
        }
    }
    let Some(rows) = filter.selection.rows.as_ref().filter(|_| !single) else { return Ok(()) };
    let ours = conditions.asked.as_ref().map(|query| written(query, names));
    let area = rows.geo.as_ref().map(|area| place(area, names).filter(|_| !has(query, "georel")));
    let pushed = !matches!(ours, Some(None)) && !matches!(area, Some(None));
    // A pattern of ids is ours where the selection has one.
    let searches = |name: &str| SEARCHING.contains(&name) && (name != "idPattern" || filter.selection.ids.is_none());
    if let Some((name, _)) = query.iter().find(|(name, _)| !pushed && searches(name)) {
        let why = format!(
            "`{name}` is not admitted: the agreement's rules cannot be asked of the source together with it, so the answer could tell of what is removed"
        );
        return Err(refusal("query_not_admitted", &why));
    }
    if let Some(Some(ours)) = ours {
        match query.iter_mut().find(|(name, _)| name == "q") {
            Some((_, theirs)) if theirs.contains(['|', '(']) => *theirs = format!("{ours};({theirs})"),
            Some((_, theirs)) => *theirs = format!("{ours};{theirs}"),
            None => query.push(("q".to_owned(), ours)),
        }
    }
    query.extend(area.flatten().into_iter().flatten());
    Ok(())
}

fn has(query: &[Pair], name: &str) -> bool {
    query.iter().any(|(known, _)| known == name)
}

/// A query of comparisons that all must hold, in short names; `None` for one that brokers could read differently.
fn written(query: &Query, names: &Names) -> Option<String> {
    match query {
        Query::All(parts) => {
            let parts: Option<Vec<String>> = parts.iter().map(|part| written(part, names)).collect();
            parts.map(|parts| parts.join(";"))
        }
        Query::Any(_) => None,
        Query::Term(term) => {
            let Test::Compare(comparison, wanted) = &term.test else { return None };
            if term.part.is_some() || !term.inside.is_empty() || *comparison == Comparison::Unequal {
                return None;
            }
            let values: Option<Vec<String>> = wanted
                .iter()
                .map(|wanted| match wanted {
                    Wanted::One(one) => spelled(one),
                    Wanted::Range(least, most) => Some(format!("{}..{}", spelled(least)?, spelled(most)?)),
                })
                .collect();
            Some(format!("{}{}{}", names.short(&term.attribute)?, comparison.sign(), values?.join(",")))
        }
    }
}

fn spelled(literal: &Literal) -> Option<String> {
    match literal {
        Literal::Number(_, text) | Literal::Instant(_, text) => Some(text.clone()),
        Literal::Truth(truth) => Some(truth.to_string()),
        // Some brokers write the question into links as it stands.
        Literal::Text(text) => {
            let plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | ':' | '/'));
            plain.then(|| format!("\"{text}\""))
        }
        // Brokers differ in how they take these.
        Literal::Bare(_) => None,
    }
}

fn place(area: &Area, names: &Names) -> Option<Vec<Pair>> {
    let coordinates = area.geometry.get("coordinates")?.to_string();
    if coordinates.len() > MAX_COORDINATES {
        return None;
    }
    let georel = match area.georel {
        Georel::Within => "within".to_owned(),
        Georel::Intersects => "intersects".to_owned(),
        Georel::Near => format!("near;maxDistance=={}", area.max_distance_meters?),
    };
    let pairs = [
        ("georel", georel),
        ("geometry", area.geometry.get("type")?.as_str()?.to_owned()),
        ("coordinates", coordinates),
        ("geoproperty", names.short(area.property())?),
    ];
    Some(pairs.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

/// Narrows a temporal query to the moments that are shown, and gives them.
///
/// # Errors
/// `query_not_admitted` for what cannot be read or lies outside.
pub(crate) fn by_moments(filter: &Filter, now_ms: i64, query: &mut Vec<Pair>) -> Result<Stretch, Refusal> {
    let Some(window) = &filter.selection.time else { return Ok(Stretch::ALWAYS) };
    let value = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let moment = |name: &str| {
        value(name).and_then(instant_ms).ok_or_else(|| {
            refusal(
                "query_not_admitted",
                &format!("`{name}` must be a moment with its zone, as `2026-01-01T00:00:00Z`"),
            )
        })
    };
    let theirs = match value("timerel") {
        None if value("timeAt").is_none() && value("endTimeAt").is_none() => Stretch::ALWAYS,
        Some("before") => Stretch { from: i64::MIN, until: moment("timeAt")? },
        Some("after") => Stretch { from: moment("timeAt")?, until: i64::MAX },
        Some("between") => Stretch { from: moment("timeAt")?, until: moment("endTimeAt")? },
        _ => return Err(not_admitted("timerel")),
    };
    let both = window.stretch(now_ms).and(theirs);
    // A period is shown when it was asked for as a whole.
    let until = if both.until == i64::MAX { both.until } else { window.floor(both.until) };
    let asked = Stretch { until, ..both };
    if asked.is_empty() {
        let why = "the agreement shows nothing of the time that is asked for";
        return Err(refusal("query_not_admitted", why));
    }
    query.retain(|(name, _)| !matches!(name.as_str(), "timerel" | "timeAt" | "endTimeAt"));
    let mut put = |name: &str, value: String| query.push((name.to_owned(), value));
    match (asked.from, asked.until) {
        (i64::MIN, i64::MAX) => {}
        (i64::MIN, until) => {
            put("timerel", "before".to_owned());
            put("timeAt", instant_text(until));
        }
        (from, i64::MAX) => {
            put("timerel", "after".to_owned());
            put("timeAt", instant_text(from));
        }
        (from, until) => {
            put("timerel", "between".to_owned());
            put("timeAt", instant_text(from));
            put("endTimeAt", instant_text(until));
        }
    }
    Ok(asked)
}

/// The parameters that were changed, with what the caller gave for them: links to other pages must not show ours.
pub(crate) fn changed(before: &[Pair], after: &[Pair]) -> Vec<(String, Option<String>)> {
    let value =
        |query: &[Pair], name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let mut names: Vec<&String> = before.iter().chain(after).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let changed = names.into_iter().filter(|name| value(before, name) != value(after, name));
    changed.map(|name| (name.clone(), value(before, name))).collect()
}
