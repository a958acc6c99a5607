//! Contract negotiations.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::arguments::{Id, IdAndOffer, IdAndReason, Negotiate, NegotiationCommand, ProcessList};
use super::client::{Client, read_object, text};
use super::failure::Outcome;
use super::partner;
use super::show::{Column, Printer};
use super::wait::{self, Goal, Verdict};

const KIND: &str = "negotiations";
const COLUMNS: [Column; 7] = [
    ("negotiation", "/id"),
    ("role", "/role"),
    ("state", "/state"),
    ("partner", "/counterPartyId"),
    ("dataset", "/datasetId"),
    ("agreement", "/agreementId"),
    ("next", "/next"),
];

/// `hansa negotiate`: begins a negotiation and waits for its end.
///
/// # Errors
/// When it cannot begin or ends without an agreement.
pub(super) async fn begin(client: &Client, print: Printer, options: &Negotiate) -> Outcome {
    let partner = partner::resolve(client, &options.partner).await?;
    let mut body = Map::from_iter([("partner".to_owned(), Value::from(partner))]);
    let texts = [("datasetId", &options.dataset), ("offerId", &options.offer)];
    body.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text.as_deref()?)))));
    if let Some(path) = &options.offer_file {
        body.insert("offer".to_owned(), Value::from(read_object(path)?));
    }
    if !options.purpose.is_empty() {
        body.insert("purpose".to_owned(), options.purpose.as_slice().into());
    }
    if options.provider {
        body.insert("role".to_owned(), Value::from("provider"));
    }
    if options.manual {
        body.insert("decision".to_owned(), Value::from("manual"));
    }
    let begun = client.post(&[KIND], &Value::from(body)).await?;
    if options.manual || options.patience.no_wait {
        return print.done(&format!("negotiation {} begun", text(&begun, "id")), &begun);
    }
    let done = finalized(client, text(&begun, "id"), Duration::from_secs(options.patience.timeout)).await?;
    let agreement = text(&done, "agreementId");
    print.done(
        &format!("agreement {agreement} on {}; next: hansa transfer {agreement}", text(&done, "datasetId")),
        &done,
    )
}

/// Waits until a negotiation has its agreement.
///
/// # Errors
/// When it ends without, with the reason.
pub(super) async fn finalized(client: &Client, id: &str, patience: Duration) -> Outcome<Value> {
    let judge = |negotiation: &Value| match text(negotiation, "state") {
        "FINALIZED" => Verdict::Reached,
        "TERMINATED" | "TERMINATING" => Verdict::Failed,
        _ => Verdict::Pending,
    };
    wait::until(client, Goal { kind: KIND, what: "the negotiation", id, judge }, patience).await
}

/// `hansa negotiations`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn list(client: &Client, print: Printer, options: &ProcessList) -> Outcome {
    processes(client, print, KIND, options, &COLUMNS, "there is no such negotiation").await
}

/// A list of negotiations or transfers.
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn processes(
    client: &Client,
    print: Printer,
    kind: &str,
    options: &ProcessList,
    columns: &[Column],
    none: &str,
) -> Outcome {
    let partner = match &options.partner {
        Some(named) => Some(partner::resolve(client, named).await?),
        None => None,
    };
    let state = options.state.as_ref().map(|state| state.to_uppercase());
    let filters =
        [("role", &options.role), ("state", &state), ("counterPartyId", &partner), ("datasetId", &options.dataset)];
    let mut filters: Vec<(&str, &str)> =
        filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    filters.push(("sort", "-updatedAt"));
    print.list(&client.list(kind, &filters, options.many.limit).await?, columns, none)
}

/// `hansa negotiation …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn run(client: &Client, print: Printer, command: NegotiationCommand) -> Outcome {
    let (word, id, body) = match command {
        NegotiationCommand::List(options) => return list(client, print, &options).await,
        NegotiationCommand::Show(Id { id }) => return print.item(&client.get(&[KIND, &id]).await?),
        NegotiationCommand::Offer(what) => ("offer", what.id.clone(), offer(&what)?),
        NegotiationCommand::Counter(what) => ("counter", what.id.clone(), offer(&what)?),
        NegotiationCommand::Accept(Id { id }) => ("accept", id, json!({})),
        NegotiationCommand::Agree(Id { id }) => ("agree", id, json!({})),
        NegotiationCommand::Verify(Id { id }) => ("verify", id, json!({})),
        NegotiationCommand::Finalize(Id { id }) => ("finalize", id, json!({})),
        NegotiationCommand::Terminate(what) => ("terminate", what.id.clone(), reason(&what)),
    };
    let after = client.post(&[KIND, &id, word], &body).await?;
    print.done(&format!("negotiation {id} is {}", text(&after, "state")), &after)
}

fn offer(what: &IdAndOffer) -> Outcome<Value> {
    match &what.file {
        Some(path) => Ok(json!({"offer": read_object(path)?})),
        None => Ok(json!({})),
    }
}

/// Code and reason, as far as they are given.
pub(super) fn reason(what: &IdAndReason) -> Value {
    let parts = [("code", &what.code), ("reason", &what.reason)];
    parts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text.as_deref()?)))).collect()
}
