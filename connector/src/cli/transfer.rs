//! Transfers.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::arguments::{Id, NewTransfer, ProcessList, Transfer, TransferCommand};
use super::client::{Client, read_object, text};
use super::failure::{Failure, Outcome};
use super::negotiation::{processes, reason};
use super::show::{Column, Printer};
use super::wait::{self, Goal, Verdict};

const KIND: &str = "transfers";
const COLUMNS: [Column; 7] = [
    ("transfer", "/id"),
    ("role", "/role"),
    ("state", "/state"),
    ("partner", "/counterPartyId"),
    ("dataset", "/datasetId"),
    ("read at", "/localEndpoint"),
    ("next", "/next"),
];

/// `hansa transfers`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn list(client: &Client, print: Printer, options: &ProcessList) -> Outcome {
    processes(client, print, KIND, options, &COLUMNS, "there is no such transfer").await
}

/// `hansa transfer …`: begins a transfer, or works with one.
///
/// # Errors
/// What the control plane refuses with; that the transfer ended before it started.
pub(super) async fn run(client: &Client, print: Printer, options: Transfer) -> Outcome {
    match (options.command, options.agreement) {
        (Some(command), _) => work(client, print, command).await,
        (None, None) => Err(Failure::new("the agreement is missing")),
        (None, Some(agreement)) => {
            let options = options.options;
            let mut body = json!({"agreementId": agreement, "format": options.format});
            if let (Some(path), Some(members)) = (&options.data_address, body.as_object_mut()) {
                members.insert("dataAddress".to_owned(), Value::from(read_object(path)?));
            }
            if let (false, Some(members)) = (options.purpose.is_empty(), body.as_object_mut()) {
                members.insert("purpose".to_owned(), options.purpose.as_slice().into());
            }
            if let (Some(delivery), Some(members)) = (delivery(&options), body.as_object_mut()) {
                members.insert("delivery".to_owned(), delivery);
            }
            if let (true, Some(members)) = (options.manual, body.as_object_mut()) {
                members.insert("decision".to_owned(), Value::from("manual"));
            }
            let begun = client.post(&[KIND], &body).await?;
            if options.patience.no_wait {
                return print.done(&format!("transfer {} begun", text(&begun, "id")), &begun);
            }
            let patience = Duration::from_secs(options.patience.timeout);
            let started = started(client, text(&begun, "id"), patience).await?;
            let id = text(&started, "id");
            let what = match text(&started, "localEndpoint") {
                "" => format!("transfer {id} is {}", text(&started, "state")),
                endpoint => format!("transfer {id} is {}; read the data at {endpoint}", text(&started, "state")),
            };
            print.done(&what, &started)
        }
    }
}

/// What our data plane shall do with the data beside showing it to programs.
fn delivery(options: &NewTransfer) -> Option<Value> {
    if let Some(broker) = &options.context_source {
        return Some(json!({"contextSource": {"broker": broker}}));
    }
    let broker = options.mirror.as_ref()?;
    Some(match &options.on_end {
        Some(on_end) => json!({"mirror": {"broker": broker, "onEnd": on_end}}),
        None => json!({"mirror": {"broker": broker}}),
    })
}

/// Waits until data flows, or has flowed; as consumer, until our own data plane has it and its address is known.
///
/// # Errors
/// When the transfer ends before, with the reason.
pub(super) async fn started(client: &Client, id: &str, patience: Duration) -> Outcome<Value> {
    let deadline = Instant::now() + patience;
    let judge = |transfer: &Value| match text(transfer, "state") {
        "STARTED" | "COMPLETING" | "COMPLETED" => Verdict::Reached,
        "TERMINATED" | "TERMINATING" => Verdict::Failed,
        _ => Verdict::Pending,
    };
    let started = wait::until(client, Goal { kind: KIND, what: "the transfer", id, judge }, patience).await?;
    if !gets_address(client, &started).await {
        return Ok(started);
    }
    // The event `transfer.readable` wakes.
    let judge = |transfer: &Value| match text(transfer, "state") {
        "TERMINATED" | "TERMINATING" => Verdict::Failed,
        "STARTED" if text(transfer, "localEndpoint").is_empty() => Verdict::Pending,
        _ => Verdict::Reached,
    };
    let left = deadline.saturating_duration_since(Instant::now());
    wait::until(client, Goal { kind: KIND, what: "the transfer", id, judge }, left).await
}

/// Whether a started transfer has yet to get its local address: not a push, and not one through a data plane that has no local
/// listener.
async fn gets_address(client: &Client, transfer: &Value) -> bool {
    let waits = text(transfer, "role") == "consumer"
        && text(transfer, "format") == "HttpData-PULL"
        && text(transfer, "state") == "STARTED"
        && text(transfer, "localEndpoint").is_empty();
    let plane = text(transfer, "dataPlaneId");
    if !waits || plane.is_empty() {
        return waits;
    }
    let Ok(plane) = client.get(&["data-planes", plane]).await else { return false };
    let labels = plane.get("labels").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    labels.iter().filter_map(Value::as_str).any(|label| label.starts_with("local="))
}

async fn work(client: &Client, print: Printer, command: TransferCommand) -> Outcome {
    let (word, id, body) = match command {
        TransferCommand::List(options) => return list(client, print, &options).await,
        TransferCommand::Show(Id { id }) => return print.item(&client.get(&[KIND, &id]).await?),
        TransferCommand::Start(Id { id }) => ("start", id, json!({})),
        TransferCommand::Suspend(what) => ("suspend", what.id.clone(), reason(&what)),
        TransferCommand::Resume(Id { id }) => ("resume", id, json!({})),
        TransferCommand::Complete(Id { id }) => ("complete", id, json!({})),
        TransferCommand::Terminate(what) => ("terminate", what.id.clone(), reason(&what)),
    };
    let after = client.post(&[KIND, &id, word], &body).await?;
    print.done(&format!("transfer {id} is {}", text(&after, "state")), &after)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::fake::Fake;
    use super::*;

    /// A started transfer through a data plane with these labels; its address is there after one event.
    async fn waited(labels: Value) -> (Outcome<Value>, Vec<String>) {
        let told = AtomicBool::new(false);
        let fake = Fake::start(move |asked, _| {
            let mut transfer = json!({
                "id": "t", "role": "consumer", "format": "HttpData-PULL", "state": "STARTED", "dataPlaneId": "p",
            });
            if told.load(Ordering::SeqCst) {
                transfer["localEndpoint"] = json!("http://127.0.0.1:1/flows/t");
            }
            match asked {
                _ if asked.contains("/events") => (200, json!("id: 1\ndata: {\"type\":\"transfer.readable\"}\n\n")),
                _ if asked.contains("/data-planes/p") => (200, json!({"id": "p", "labels": labels})),
                _ => {
                    // The second look of the second wait sees what the event told.
                    told.store(asked.contains("/transfers/t"), Ordering::SeqCst);
                    (200, transfer)
                }
            }
        })
        .await;
        let found = started(&fake.client, "t", Duration::from_secs(10)).await;
        (found, fake.asked())
    }

    #[tokio::test]
    async fn the_address_is_waited_for_by_events() {
        let (found, asked) = waited(json!(["local=http://127.0.0.1:1"])).await;
        assert_eq!(text(&found.unwrap(), "localEndpoint"), "http://127.0.0.1:1/flows/t");
        assert_eq!(asked.iter().filter(|asked| *asked == "GET transfers/t").count(), 2, "{asked:?}");
    }

    #[tokio::test]
    async fn a_data_plane_without_local_listener_gives_no_address_to_wait_for() {
        let (found, asked) = waited(json!(["region=north"])).await;
        assert_eq!(text(&found.unwrap(), "localEndpoint"), "");
        assert_eq!(asked.last().map(String::as_str), Some("GET data-planes/p"));
    }
}
