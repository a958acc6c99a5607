//! Follows a connector's events as they happen.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::management::Management;
use crate::management::text;
use crate::{Context as _, Error, Result};

/// How long after a broken connection the stream is asked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// One line of the event log.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number; numbers only grow.
    pub id: u64,
    /// Such as `negotiation.requested`.
    pub kind: String,
    /// The process that it is about.
    pub subject: String,
    /// What else is said.
    pub data: Value,
}

impl Event {
    /// Reads the JSON of one event.
    ///
    /// # Errors
    /// When a member is missing.
    pub fn parse(value: &Value) -> Result<Self> {
        let id = value.get("id").and_then(Value::as_u64).context(format_args!("an event without number: {value}"))?;
        let data = value.get("data").cloned().unwrap_or_default();
        Ok(Self { id, kind: text(value, "type").to_owned(), subject: text(value, "subject").to_owned(), data })
    }
}

/// Opens the stream of events after number `after` and goes on reading it, also across broken connections, until the
/// receiver is dropped.
///
/// # Errors
/// When the first connection is refused.
pub async fn follow(api: &Management, after: u64) -> Result<mpsc::UnboundedReceiver<Event>> {
    follow_kind(api, after, None).await
}

/// The same for the events of one kind, such as `negotiation.finalized`.
///
/// # Errors
/// As [`follow`].
pub async fn follow_kind(
    api: &Management,
    after: u64,
    kind: Option<&'static str>,
) -> Result<mpsc::UnboundedReceiver<Event>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let first = connect(api, after, kind).await?;
    let api = api.clone();
    tokio::spawn(async move {
        let mut last = after;
        let mut next = Some(first);
        while !sender.is_closed() {
            if let Some(response) = next.take() {
                read(response, &mut last, &sender).await;
            }
            tokio::time::sleep(PAUSE).await;
            next = connect(&api, last, kind).await.ok();
        }
    });
    Ok(receiver)
}

async fn connect(api: &Management, after: u64, kind: Option<&str>) -> Result<reqwest::Response> {
    let only = kind.map_or_else(String::new, |kind| format!("&type={kind}"));
    let response = reqwest::Client::new()
        .get(format!("{}/events?after={after}{only}", api.base()))
        .bearer_auth(api.token())
        .header("accept", "text/event-stream")
        .send()
        .await
        .context("the event stream")?;
    if response.status().is_success() {
        return Ok(response);
    }
    Err(Error::new(format!("the event stream was answered {}", response.status())))
}

async fn read(response: reqwest::Response, last: &mut u64, sender: &mpsc::UnboundedSender<Event>) {
    let mut chunks = response.bytes_stream();
    let mut buffer = Vec::new();
    while let Some(Ok(chunk)) = chunks.next().await {
        buffer.extend_from_slice(&chunk);
        while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let Some(event) = event_in(&line) else { continue };
            *last = event.id;
            if sender.send(event).is_err() {
                return;
            }
        }
    }
}

/// The event in a `data:` line; other lines repeat what is in it.
fn event_in(line: &[u8]) -> Option<Event> {
    let data = std::str::from_utf8(line).ok()?.trim_end().strip_prefix("data:")?;
    Event::parse(&serde_json::from_str(data).ok()?).ok()
}
