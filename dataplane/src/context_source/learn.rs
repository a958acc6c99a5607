//! What the partner shows: from its data plane, or from what any broker tells of its types.

use std::sync::Arc;

use actix_web::http::StatusCode;
use serde_json::Value;

use super::registration::Shown;
use crate::config::Broker;
use crate::flow::Flow;
use crate::partner::{self, Page};
use crate::plane::Plane;
use crate::problem::{Fault, Problem};

/// Where a broker tells its types (6.25).
const TYPES: &str = "/ngsi-ld/v1/types";

/// Asks the partner.
///
/// # Errors
/// `types_unknown` when it says nothing that could be registered; 502 and 504 when it does not answer.
pub(super) async fn shown(plane: &Arc<Plane>, flow: &Arc<Flow>, broker: &Broker) -> Result<Shown, Problem> {
    if let Some(said) = partner::own_page(plane, flow, crate::shown::PATH).await?
        && let Ok(shown) = serde_json::from_value::<Shown>(said)
        && let Some(shown) = shown.checked()
    {
        return Ok(shown);
    }
    // A data plane of another maker.
    let Page { status, data, .. } = partner::page(plane, flow, broker, TYPES).await?;
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(partner::refused(status));
    }
    let types = data.get("typeList").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let types = types.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Shown::of_types(types).ok_or_else(|| {
        let detail = "the partner does not say which types it shows, so that nothing can be registered";
        Problem::new(StatusCode::BAD_GATEWAY, "types_unknown", Fault::Peer, detail)
    })
}
