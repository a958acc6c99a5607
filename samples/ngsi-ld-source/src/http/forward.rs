//! Distributed queries (GS CIM 009, clauses 4.3.6 and 6.3.18): what registered sources have is asked of them and put together with
//! what lies here. Requests carry `Via`; one that was here before is refused with 508.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::VIA;
use serde_json::Value;

use super::asked::Asked;
use super::{Fault, Served};
use crate::model::Entity;
use crate::problem::{Problem, ProblemKind};
use crate::query::{Selection, Selector};
use crate::registration::Registration;
use crate::store::Tenant;

/// Longest wait for a source.
const PATIENCE: Duration = Duration::from_secs(5);
/// Entities that are asked for at once.
const PAGE: usize = 100;
/// Most pages of one source.
const MAX_PAGES: usize = 100;

/// The tenant's data with what its registered sources have of the entities that are asked for; `None` when no source has any.
///
/// # Errors
/// 508 for a request that came here before.
pub(super) async fn gathered(
    request: &HttpRequest,
    served: &Served,
    asked: &Asked,
    selection: &Selection,
) -> Result<Option<Tenant>, Fault> {
    let sources = served.registrations.of(asked.tenant_name());
    if selection.local || sources.is_empty() {
        return Ok(None);
    }
    let via = chain(request, served, asked)?;
    let any = [Selector::default()];
    let selectors = if selection.selectors.is_empty() { any.as_slice() } else { selection.selectors.as_slice() };
    let mut gathered = asked.data()?.clone();
    for source in sources.iter().filter(|source| source.does("queryEntity")) {
        for selector in selectors {
            let types = source.types_for(selector);
            if types.is_empty() {
                continue;
            }
            let mut query = vec![("type", types.join(","))];
            query.extend(selector.ids.as_ref().map(|ids| ("id", ids.join(","))));
            for page in 0..MAX_PAGES {
                let mut query = query.clone();
                query.extend([("limit", PAGE.to_string()), ("offset", (page * PAGE).to_string())]);
                let found = ask(source, "", &query, &via, asked).await;
                let found = found.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
                let full = found.len() == PAGE;
                found.into_iter().for_each(|record| merge(&mut gathered, source, record));
                if !full {
                    break;
                }
            }
        }
    }
    Ok(Some(gathered))
}

/// The same for one entity.
///
/// # Errors
/// 508 for a request that came here before.
pub(super) async fn gathered_one(
    request: &HttpRequest,
    served: &Served,
    asked: &Asked,
    id: &str,
) -> Result<Option<Tenant>, Fault> {
    let mut sources = served.registrations.of(asked.tenant_name());
    sources.retain(|source| source.does("retrieveEntity") && source.may_have(id));
    if sources.is_empty() {
        return Ok(None);
    }
    let via = chain(request, served, asked)?;
    let mut gathered = asked.data()?.clone();
    for source in &sources {
        if let Some(record) = ask(source, &format!("/{id}"), &[], &via, asked).await {
            merge(&mut gathered, source, record);
        }
    }
    Ok(Some(gathered))
}

/// The chain of brokers with this one at its end.
fn chain(request: &HttpRequest, served: &Served, asked: &Asked) -> Result<String, Fault> {
    let values = request.headers().get_all(VIA).filter_map(|value| value.to_str().ok());
    let mut hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    if hops.iter().any(|hop| hop.split_ascii_whitespace().nth(1) == Some(served.alias.as_str())) {
        let detail = "the request came here before: sources forward it in a circle";
        return Err(asked.fault(Problem::new(ProblemKind::LoopDetected, detail)));
    }
    let own = format!("1.1 {}", served.alias);
    hops.push(&own);
    Ok(hops.join(", "))
}

/// What a source answers; a source that fails has nothing, which the standard lets a warning tell.
async fn ask(source: &Registration, below: &str, query: &[(&str, String)], via: &str, asked: &Asked) -> Option<Value> {
    let context = match &source.context {
        Some(context) => context.clone(),
        None => asked.context().ok()?,
    };
    let link = format!("<{context}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
    let mut request = reqwest::Client::new()
        .get(format!("{}/ngsi-ld/v1/entities{below}", source.endpoint))
        .timeout(PATIENCE)
        .query(query)
        .header("Accept", "application/json")
        .header("Via", via)
        .header("Link", link);
    for (name, value) in &source.headers {
        request = request.header(name, value);
    }
    // With `.error_for_status`, a source that refuses has nothing as well.
    request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
}

/// Puts an entity of a source beside those that are here; of one that is here too, attributes that are lacking are added.
fn merge(gathered: &mut Tenant, source: &Registration, record: Value) {
    let Ok((mut entity, _)) = Entity::parse(record) else { return };
    if !source.covers(entity.id(), entity.types()) {
        return;
    }
    if let Some(here) = gathered.entity(entity.id()) {
        let own = here.members().clone();
        entity.members_mut().extend(own);
    }
    gathered.put(entity);
}
