//! What data planes report of their own accord, and what becomes of the transfer (Data Plane Signaling, Control plane API).

use std::sync::Arc;

use dps_signaling::{Callback, DataFlowState, StatusMessage};
use dsp_protocol::Role;
use dsp_protocol::transfer::TransferMessage;

use super::answer::{change, take_status, without_address};
use crate::app::App;
use crate::service::process::{owe, role};
use crate::service::reason::error_object;
use crate::service::{ServiceError, ServiceResult};
use crate::store::processes;
use crate::store::transfer::Model;

/// What a callback is to a flow that we know in some state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It moves the flow.
    Fresh,
    /// We know it: it was sent again, or our answer was lost. It is taken and changes nothing.
    Known,
    /// It does not fit the flow.
    Unfit,
}

/// Compares a callback with the flow's last confirmed state; `None`: no answer of the data plane has been saved, which its
/// callback may have overtaken. `over`: the transfer has ended.
pub(super) fn news(role: Role, state: Option<DataFlowState>, over: bool, event: Callback) -> News {
    use DataFlowState::{Completed, Initialized, Prepared, Preparing, Started, Starting, Suspended, Terminated};
    match (event, role, state) {
        (Callback::Completed, _, Some(Completed)) => News::Known,
        _ if over => News::Unfit,
        (Callback::Errored, ..) => News::Fresh,
        (_, _, Some(Completed | Terminated)) => News::Unfit,
        (Callback::Prepared, Role::Consumer, None | Some(Initialized | Preparing)) => News::Fresh,
        (Callback::Prepared, Role::Consumer, Some(Prepared | Started | Suspended)) => News::Known,
        (Callback::Started, Role::Provider, None | Some(Initialized | Prepared | Starting)) => News::Fresh,
        (Callback::Started, Role::Provider, Some(Started | Suspended)) => News::Known,
        (Callback::Completed, Role::Provider, None | Some(Initialized | Starting | Started)) => News::Fresh,
        (Callback::Completed, Role::Consumer, Some(Started)) => News::Fresh,
        _ => News::Unfit,
    }
}

/// A call of the data plane about one of its flows.
///
/// # Errors
/// `not_found` for an unknown process; `transfer_over` and `wrong_state` when the event does not fit its state.
pub(crate) async fn callback(
    app: &Arc<App>,
    id: &str,
    event: Callback,
    status: Option<StatusMessage>,
) -> ServiceResult<()> {
    if processes::find::<Model>(app.store.reads(), app.context(), id).await?.is_none() {
        return Err(ServiceError::not_found(format!("no transfer `{id}`")));
    }
    change(app, id, move |app, row, now| {
        let over = matches!(row.settled.as_deref(), Some("COMPLETED" | "TERMINATED"));
        let state = row.flow_state.as_deref().and_then(|name| DataFlowState::parse(name).ok());
        match news(role(row), state, over, event) {
            News::Fresh => follow(app, row, event, status.as_ref(), now),
            News::Known => Ok(false),
            News::Unfit if over => Err(ServiceError::bad_request("transfer_over", "the transfer has ended")),
            News::Unfit => Err(unfit(role(row), state, event)),
        }
    })
    .await
}

/// Moves the row; `true` when that is worth an event.
fn follow(
    app: &App,
    row: &mut Model,
    event: Callback,
    status: Option<&StatusMessage>,
    now: i64,
) -> ServiceResult<bool> {
    match event {
        Callback::Prepared => take_status(row, DataFlowState::Prepared, status, now),
        Callback::Started => {
            without_address(row, DataFlowState::Started);
            take_status(row, DataFlowState::Started, status, now);
        }
        Callback::Completed => {
            take_status(row, DataFlowState::Completed, status, now);
            row.flow_target = None;
            return complete(app, row, now);
        }
        Callback::Errored => {
            let text = status.and_then(|status| status.error.clone());
            let text = text.unwrap_or_else(|| "the data plane reports a fault without saying which".to_owned());
            row.error = Some(error_object(&ServiceError::unavailable("data_flow_error", text)).to_string());
            return Ok(true);
        }
    }
    Ok(false)
}

/// All data has flowed: the counter-party is told as soon as it has heard of the start. `true`: now.
///
/// # Errors
/// When the state of the transfer does not admit it.
pub(in crate::service::transfer) fn complete(app: &App, row: &mut Model, now: i64) -> ServiceResult<bool> {
    let announced = row.owed.is_none() && row.settled.as_deref() == Some("STARTED");
    if announced {
        owe(app, row, TransferMessage::Completion, now)?;
    }
    Ok(announced)
}

fn unfit(role: Role, state: Option<DataFlowState>, event: Callback) -> ServiceError {
    let side = if role == Role::Provider { "provider" } else { "consumer" };
    let state = state.map_or("without a known state", DataFlowState::as_wire);
    let text = format!("callback `{}` does not fit a flow of the {side} that is {state}", event.as_str());
    ServiceError::bad_request("wrong_state", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::process::acknowledge;

    /// One row for each state of the flow, `None` first; in each the provider's and the consumer's reading of `prepared`,
    /// `started`, `completed`, `errored`. F: fresh, K: known, -: unfit.
    const TABLE: [(Option<DataFlowState>, &str, &str); 9] = [
        (None, "-FFF", "F--F"),
        (Some(DataFlowState::Initialized), "-FFF", "F--F"),
        (Some(DataFlowState::Preparing), "---F", "F--F"),
        (Some(DataFlowState::Prepared), "-F-F", "K--F"),
        (Some(DataFlowState::Starting), "-FFF", "---F"),
        (Some(DataFlowState::Started), "-KFF", "K-FF"),
        (Some(DataFlowState::Suspended), "-K-F", "K--F"),
        (Some(DataFlowState::Completed), "--KF", "--KF"),
        (Some(DataFlowState::Terminated), "---F", "---F"),
    ];

    const EVENTS: [Callback; 4] = [Callback::Prepared, Callback::Started, Callback::Completed, Callback::Errored];

    #[test]
    fn every_callback_in_every_state_on_both_sides() {
        for (state, provider, consumer) in TABLE {
            for (role, row) in [(Role::Provider, provider), (Role::Consumer, consumer)] {
                for (event, cell) in EVENTS.into_iter().zip(row.chars()) {
                    let expected = match cell {
                        'F' => News::Fresh,
                        'K' => News::Known,
                        _ => News::Unfit,
                    };
                    assert_eq!(news(role, state, false, event), expected, "{role:?} {state:?} {event:?}");
                    let late = if cell == 'K' && event == Callback::Completed { News::Known } else { News::Unfit };
                    assert_eq!(news(role, state, true, event), late, "late: {role:?} {state:?} {event:?}");
                }
            }
        }
    }

    async fn stored(app: &Arc<App>, settled: Option<&str>, owed: Option<&str>, flow: Option<&str>) {
        let mut row = Model::blank(
            app.context(),
            "provider",
            "urn:uuid:1".to_owned(),
            "did:web:them.example",
            "http://127.0.0.1:1",
        );
        row.format = "HttpData-PUSH".to_owned();
        row.counter_pid = Some("urn:uuid:2".to_owned());
        row.settled = settled.map(str::to_owned);
        row.owed = owed.map(str::to_owned);
        row.owed_id = owed.map(|_| "urn:uuid:m".to_owned());
        row.flow_state = flow.map(str::to_owned);
        app.store.write(move |unit| Box::pin(async move { processes::insert(unit, row).await })).await.unwrap();
    }

    async fn now(app: &Arc<App>) -> Model {
        processes::find::<Model>(app.store.reads(), app.context(), "urn:uuid:1").await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn data_that_was_sent_before_the_start_was_taken_completes_the_transfer_afterwards() {
        let (_folder, app) = crate::testing::app().await;
        stored(&app, Some("REQUESTED"), Some("Start"), None).await;
        callback(&app, "urn:uuid:1", Callback::Completed, None).await.unwrap();
        // The answer to the start comes after the callback of the same plane.
        let answer = super::super::Heard::Answer(None);
        super::super::signalled(&app, "urn:uuid:1", dps_signaling::Signal::Start, "plane", answer).await.unwrap();
        let row = now(&app).await;
        assert_eq!((row.flow_state.as_deref(), row.owed.as_deref()), (Some("COMPLETED"), Some("Start")));
        acknowledge::<Model>(&app, "urn:uuid:1", "urn:uuid:m", None).await.unwrap();
        let row = now(&app).await;
        assert_eq!((row.settled.as_deref(), row.owed.as_deref()), (Some("STARTED"), Some("Completion")));
    }

    #[tokio::test]
    async fn callbacks_say_what_is_wrong() {
        let (_folder, app) = crate::testing::app().await;
        let missing = callback(&app, "urn:uuid:1", Callback::Started, None).await.unwrap_err();
        assert_eq!(missing.kind.status(), 404);
        stored(&app, Some("TERMINATED"), None, Some("TERMINATED")).await;
        let late = callback(&app, "urn:uuid:1", Callback::Errored, None).await.unwrap_err();
        assert_eq!((late.kind.status(), late.code), (400, "transfer_over"));
    }

    #[tokio::test]
    async fn a_reported_fault_changes_no_state() {
        let (_folder, app) = crate::testing::app().await;
        stored(&app, Some("STARTED"), None, Some("STARTED")).await;
        let status = StatusMessage {
            message_id: None,
            data_flow_id: "f".to_owned(),
            state: DataFlowState::Started,
            data_address: None,
            error: Some("the source has gone".to_owned()),
        };
        callback(&app, "urn:uuid:1", Callback::Errored, Some(status)).await.unwrap();
        let row = now(&app).await;
        assert_eq!((row.settled.as_deref(), row.flow_state.as_deref()), (Some("STARTED"), Some("STARTED")));
        assert!(row.owed.is_none() && row.error.unwrap().contains("the source has gone"));
        let unfit = callback(&app, "urn:uuid:1", Callback::Prepared, None).await.unwrap_err();
        assert_eq!((unfit.kind.status(), unfit.code), (400, "wrong_state"));
    }
}
