//! What a broker changed while nobody took its notifications: the present state is read once and told.

use std::sync::Arc;

use actix_web::http::StatusCode;
use http_body_util::{BodyExt, Limited};
use ngsi_ld_filter::Upstream;

use super::{Offer, arrival, broker};
use crate::clock::now_ms;
use crate::permit;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::proxy::{Described, describe, question, unreachable};
use crate::subscription::narrow::ENTITIES;

/// Entities of one page, and so of one notification; no broker gives fewer at most.
const PAGE: usize = 100;
/// Largest page, in bytes.
const MAX_PAGE: usize = 32 * 1024 * 1024;
/// Most pages of one selector; a source whose pages have no end must not keep us for ever.
const MAX_PAGES: usize = 10_000;

/// Reads what the subscription is about, and keeps each page as a notification. Each is one use.
///
/// # Errors
/// What the source, the filter or the agreement says; what was kept by then stays.
pub(super) async fn catch_up(plane: &Arc<Plane>, offer: &Offer) -> Result<(), Problem> {
    let body = &offer.narrowed.body;
    let paused = body.get("isActive").is_some_and(|active| active == false);
    // The broker tells everything by itself, or nothing is wanted.
    if body.contains_key("timeInterval") || paused {
        return Ok(());
    }
    let Some(filter) = offer.flow.filter()? else { return Ok(()) };
    let source = plane.source(&offer.flow).await?;
    let source = broker::http_source(&source)?;
    for narrowed in &offer.narrowed.queries {
        let mut upstream = asked(narrowed);
        for page in 0..MAX_PAGES {
            upstream.query.retain(|(name, _)| name != "offset");
            upstream.query.push(("offset".to_owned(), (page * PAGE).to_string()));
            let permitted = permit::notification(plane, &offer.flow).await?;
            let answer = plane.sources.send(question(source, ENTITIES, &upstream)?).await;
            let answer = answer.map_err(|error| unreachable(&error))?;
            let Described { context, links, stream, body, .. } = describe(&filter, &upstream, answer, now_ms())?;
            let bytes = Limited::new(body, MAX_PAGE).collect();
            let bytes = tokio::time::timeout(plane.config.timeouts.idle, bytes).await.ok().and_then(Result::ok);
            let bytes = bytes.ok_or_else(|| {
                Problem::new(
                    StatusCode::BAD_GATEWAY,
                    "source_failed",
                    Fault::Source,
                    "a page of the source did not arrive",
                )
            })?;
            if let Some(data) = arrival::filtered(offer, stream, &bytes.to_bytes())?
                && !permitted.ticket().is_over()
            {
                arrival::keep(plane, offer, &data, context).await?;
            }
            if links.and_then(|links| source.rewrite.next_asked(&links, &upstream.changed)).is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// The query in words that all versions of brokers know, for pages of our size.
fn asked(narrowed: &Upstream) -> Upstream {
    let mut upstream = narrowed.clone();
    for (name, value) in &mut upstream.query {
        if name == "pick" {
            let names: Vec<&str> = value.split(',').filter(|name| !matches!(*name, "id" | "type" | "scope")).collect();
            *value = names.join(",");
            "attrs".clone_into(name);
        }
    }
    upstream.query.retain(|(_, value)| !value.is_empty());
    upstream.query.push(("limit".to_owned(), PAGE.to_string()));
    upstream
}
