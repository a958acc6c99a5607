//! The connection that a data plane keeps.
//!
//! Both bodies of one request are open: lines of JSON, and empty lines as signs of life. The plane begins with the flows that it has;
//! the answer begins with those of them that are not its own any more. It forgets these, and its next byte says that it has: only from then on
//! it counts as present. So a plane that was away never serves a flow that has moved, or has ended, meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use dps_signaling::presence::{Ended, MAX_LINE, PERIOD, Presented, SILENCE};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::LEASE_MS;
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{now_ms, presence};

/// How often the row is renewed.
const RENEW: Duration = Duration::from_secs(10);

/// Why a connection is over.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    /// The plane, or the way to it.
    Gone,
    /// Another connection of the plane has replaced it, or the plane was removed.
    Replaced,
    /// We stop.
    Stopping,
}

/// Serves the connection of the data plane `id` until it ends; `answer` goes out as its body.
pub(crate) async fn hold(
    app: Arc<App>,
    id: String,
    mut payload: Payload,
    answer: mpsc::Sender<Bytes>,
    stop: CancellationToken,
) {
    let connection = Uuid::new_v4().to_string();
    if let Err(error) = greet(&app, &id, &connection, &mut payload, &answer).await {
        tracing::info!(data_plane = id, %error, "a data plane has not come");
        return;
    }
    tracing::info!(data_plane = id, "a data plane is present");
    let over = stay(&app, &id, &connection, &mut payload, &answer, &stop).await;
    tracing::info!(data_plane = id, ?over, "the connection of a data plane has ended");
    // When we stop, the plane finds us again, or another replica, before its time is over.
    if over == Over::Gone
        && let Err(error) = part(&app, &id, &connection).await
    {
        tracing::warn!(data_plane = id, %error, "an absence could not be written down; it is found later");
    }
    app.presences.changed();
}

/// Until the plane counts as present.
async fn greet(
    app: &Arc<App>,
    id: &str,
    connection: &str,
    payload: &mut Payload,
    answer: &mpsc::Sender<Bytes>,
) -> ServiceResult<()> {
    let silent = |_| ServiceError::bad_request("bad_signal", "nothing came in time");
    let line = tokio::time::timeout(SILENCE, first_line(payload)).await.map_err(silent)??;
    let presented =
        Presented::decode(&line).map_err(|error| ServiceError::bad_request("bad_signal", error.to_string()))?;
    let ended = Ended { flows: not_its_own(app, id, presented).await? };
    if !ended.flows.is_empty() {
        tracing::info!(
            data_plane = id,
            flows = ended.flows.len(),
            "flows that have moved or ended are taken from a data plane"
        );
    }
    let gone = || ServiceError::bad_request("bad_signal", "the connection broke off");
    answer.send(ended.encode().into()).await.map_err(|_| gone())?;
    tokio::time::timeout(SILENCE, payload.next()).await.map_err(silent)?.ok_or_else(gone)?.map_err(|_| gone())?;
    let (context, plane, connection) = (app.context(), id.to_owned(), connection.to_owned());
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let until = unit.now() + LEASE_MS;
                if !presence::arrive(unit, context, &plane, &connection, until).await? {
                    return Err(ServiceError::not_found(format!("no data plane `{plane}`")));
                }
                unit.event(context, "dataplane.present".to_owned(), &plane, &json!({})).await?;
                presence::wake_waiting(unit, context, &plane).await?;
                Ok(())
            })
        })
        .await?;
    app.presences.changed();
    Ok(())
}

/// The first line, and nothing after it: a plane waits for the answer.
async fn first_line(payload: &mut Payload) -> ServiceResult<Vec<u8>> {
    let mut line = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ServiceError::bad_request("bad_signal", "the connection broke off"))?;
        line.extend_from_slice(&chunk);
        if line.last() == Some(&b'\n') {
            return Ok(line);
        }
        if line.len() > MAX_LINE {
            break;
        }
    }
    Err(ServiceError::bad_request("bad_signal", format!("there is no first line of at most {MAX_LINE} bytes")))
}

/// Those of the plane's flows that another plane carries by now, or whose transfer has ended.
async fn not_its_own(app: &App, id: &str, presented: Presented) -> ServiceResult<Vec<String>> {
    let ours: Vec<_> = presented.flows.into_iter().filter(|flow| flow.control_plane == app.participant).collect();
    let processes: Vec<String> = ours.iter().map(|flow| flow.process.clone()).collect();
    let carried = presence::carried(&app.store, app.context(), &processes).await?;
    let carried: HashMap<String, (Option<String>, i64)> =
        carried.into_iter().map(|(process, plane, moves)| (process, (plane, moves))).collect();
    let lost = |process: &str| match carried.get(process) {
        Some((Some(plane), _)) => plane != id,
        // The answer to the first signal of all may have been lost: the same signal comes again. After a move it begins anew.
        Some((None, moves)) => *moves > 0,
        None => true,
    };
    Ok(ours.into_iter().filter(|flow| lost(&flow.process)).map(|flow| flow.id).collect())
}

async fn stay(
    app: &App,
    id: &str,
    connection: &str,
    payload: &mut Payload,
    answer: &mpsc::Sender<Bytes>,
    stop: &CancellationToken,
) -> Over {
    let mut signs = tokio::time::interval(PERIOD);
    let mut renewals = tokio::time::interval(RENEW);
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Over::Stopping,
            chunk = payload.next() => match chunk {
                Some(Ok(_)) => heard = tokio::time::Instant::now(),
                Some(Err(_)) | None => return Over::Gone,
            },
            () = tokio::time::sleep_until(heard + SILENCE) => return Over::Gone,
            // A plane that reads nothing is noticed by its silence.
            _ = signs.tick() => if answer.try_send(Bytes::from_static(b"\n")).is_err() && answer.is_closed() {
                return Over::Gone;
            },
            _ = renewals.tick() => match renew(app, id, connection).await {
                Ok(true) => {}
                Ok(false) => return Over::Replaced,
                // The next one may succeed before the time is over.
                Err(error) => tracing::warn!(data_plane = id, %error, "the presence of a data plane could not be renewed"),
            },
        }
    }
}

async fn renew(app: &App, id: &str, connection: &str) -> ServiceResult<bool> {
    let (context, id, connection) = (app.context(), id.to_owned(), connection.to_owned());
    let until = now_ms() + LEASE_MS;
    app.store
        .write(move |unit| Box::pin(async move { Ok(presence::renew(unit, context, &id, &connection, until).await?) }))
        .await
}

async fn part(app: &App, id: &str, connection: &str) -> ServiceResult<()> {
    let (context, id, connection) = (app.context(), id.to_owned(), connection.to_owned());
    app.store
        .write(move |unit| {
            Box::pin(async move {
                if presence::part(unit, context, &id, &connection).await? {
                    unit.event(context, "dataplane.absent".to_owned(), &id, &json!({})).await?;
                }
                Ok(())
            })
        })
        .await
}
