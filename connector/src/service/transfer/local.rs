//! Where our own systems read the data of a transfer in which we are the consumer: at our data plane's local listener, which
//! registers it by the label `local=<url>`.

use dsp_protocol::Role;
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::flow::RESTARTED;
use super::row::is_push;
use crate::service::ServiceResult;
use crate::service::process::{event_data, role};
use crate::store::transfer::Model;
use crate::store::{Unit, data_plane, registry};

/// Kind of the event that tells the address. The transfer has started before, but our data plane had yet to be told.
const READABLE: &str = "transfer.readable";

/// Whether our data plane has the flow of a started transfer. A flow that is about to start anew has an address that is dead.
pub(super) fn readable(row: &Model) -> bool {
    role(row) == Role::Consumer
        && row.settled.as_deref() == Some("STARTED")
        && row.flow_state.as_deref() == Some("STARTED")
        && row.flow_target.as_deref() != Some(RESTARTED)
}

/// Whether everything has arrived in our data plane's inbox, where it stays.
fn received(row: &Model) -> bool {
    role(row) == Role::Consumer && is_push(row) && row.settled.as_deref() == Some("COMPLETED")
}

/// The address, while there is something to read.
///
/// # Errors
/// When the database fails.
pub(crate) async fn local_endpoint(db: &impl ConnectionTrait, row: &Model) -> ServiceResult<Option<String>> {
    let Some(id) = row.data_plane_id.as_ref().filter(|_| readable(row) || received(row)) else { return Ok(None) };
    let plane = registry::find::<data_plane::Entity>(db, &row.context, id).await?;
    let labels: Vec<String> = plane.and_then(|plane| serde_json::from_str(&plane.labels).ok()).unwrap_or_default();
    let local = labels.iter().find_map(|label| label.strip_prefix("local="));
    Ok(local.map(|url| format!("{}/flows/{}", url.trim_end_matches('/'), row.id)))
}

/// Says in an event that the data of a transfer can be read from now on, and where.
///
/// # Errors
/// When the database fails.
pub(super) async fn announce_readable(unit: &mut Unit, row: &Model) -> ServiceResult<()> {
    if let Some(endpoint) = local_endpoint(unit.db(), row).await? {
        let data = event_data(row, Some(("localEndpoint", json!(endpoint))));
        unit.event(&row.context, READABLE.to_owned(), &row.id, &data).await?;
    }
    Ok(())
}
