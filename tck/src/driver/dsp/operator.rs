//! Follows the connector's events and gives the command that the script wants next.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::scripts::Script;
use crate::events::Event;
use crate::management::{Kind, Management, text};

/// Which script belongs to a dataset (negotiations) or an agreement (transfers).
pub(super) type Subjects = Arc<HashMap<String, &'static Script>>;

/// The kit is ready for the next message a moment after it has the answer to the one before.
const PAUSE: Duration = Duration::from_millis(300);

/// Works until the stream of events ends.
pub(super) async fn work(api: Management, mut events: mpsc::UnboundedReceiver<Event>, subjects: Subjects) {
    let mut done: HashMap<String, usize> = HashMap::new();
    while let Some(event) = events.recv().await {
        let Some((kind, state)) = reached(&event) else { continue };
        let Some(script) = subjects.get(subject(kind, &event.data)) else { continue };
        let position = done.entry(event.subject.clone()).or_default();
        let Some((_, command)) = script.steps.get(*position).filter(|(when, _)| *when == state) else { continue };
        *position += 1;
        tokio::spawn(give(api.clone(), kind, event.subject, script, command));
    }
}

/// The kind of process and the state that it has come to.
fn reached(event: &Event) -> Option<(Kind, &str)> {
    let (process, state) = event.kind.split_once('.')?;
    match process {
        "negotiation" => Some((Kind::Negotiation, state)),
        "transfer" => Some((Kind::Transfer, state)),
        _ => None,
    }
}

fn subject(kind: Kind, data: &Value) -> &str {
    match kind {
        Kind::Negotiation => text(data, "datasetId"),
        Kind::Transfer => text(data, "agreementId"),
    }
}

async fn give(api: Management, kind: Kind, id: String, script: &'static Script, command: &'static str) {
    tokio::time::sleep(PAUSE).await;
    if let Err(error) = api.command(kind, &id, command, json!({})).await {
        println!("{}: {error}", script.test);
    }
}
