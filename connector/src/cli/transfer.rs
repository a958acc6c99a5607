//! Transfers.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::arguments::{Id, ProcessList, Transfer, TransferCommand};
use super::client::{Client, read_object, text};
use super::failure::{Failure, Outcome};
use super::negotiation::{processes, reason};
use super::show::{Column, Printer};
use super::wait::{self, Goal, Verdict};

const KIND: &str = "transfers";
/// Longest wait for our own data plane after the start of a transfer.
const DATA_PLANE_PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two looks at it.
const DATA_PLANE_PAUSE: Duration = Duration::from_millis(10);
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

/// Waits until data flows, or has flowed.
///
/// # Errors
/// When the transfer ends before, with the reason.
pub(super) async fn started(client: &Client, id: &str, patience: Duration) -> Outcome<Value> {
    let judge = |state: &str| match state {
        "STARTED" | "COMPLETING" | "COMPLETED" => Verdict::Reached,
        "TERMINATED" | "TERMINATING" => Verdict::Failed,
        _ => Verdict::Pending,
    };
    let started = wait::until(client, Goal { kind: KIND, what: "the transfer", id, judge }, patience).await?;
    readable(client, started).await
}

/// Waits until our own data plane knows of the start too, which takes a moment and is no event; a transfer without a local
/// address, such as a push, is given back as it is.
async fn readable(client: &Client, mut transfer: Value) -> Outcome<Value> {
    let id = text(&transfer, "id").to_owned();
    let expected = text(&transfer, "role") == "consumer" && text(&transfer, "format") == "HttpData-PULL";
    let deadline = Instant::now() + DATA_PLANE_PATIENCE;
    while expected
        && text(&transfer, "state") == "STARTED"
        && text(&transfer, "localEndpoint").is_empty()
        && Instant::now() < deadline
    {
        tokio::time::sleep(DATA_PLANE_PAUSE).await;
        transfer = client.get(&[KIND, &id]).await?;
    }
    Ok(transfer)
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
