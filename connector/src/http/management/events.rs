//! Events: as a list, and as a stream of server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use futures_util::stream;
use policy_plan::instant_text;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::crud::{Answer, ok};
use super::query::{DEFAULT_LIMIT, ListBody, MAX_LIMIT, Query, bad_parameter};
use super::stored;
use crate::app::App;
use crate::service::events::{Interest, Pattern, Reader, latest, page};
use crate::service::{ServiceError, ServiceResult};
use crate::store::event;

/// How often a stream without events says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Most streams at once.
const MAX_STREAMS: usize = 256;
/// Most events written at once.
const BURST: usize = 100;

/// The streams that are open: not too many, and none after the order to stop.
#[derive(Clone)]
pub(super) struct Streams {
    free: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Streams {
    /// No streams yet; they end with `stop`.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { free: Arc::new(Semaphore::new(MAX_STREAMS)), stop }
    }
}

/// An event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event, example = json!({
    "id": 17,
    "time": "2026-11-21T08:00:00.123Z",
    "type": "negotiation.requested",
    "subject": "urn:uuid:1f1e0f5c-54f4-4b0b-9d9b-0d3a2f0a7c11",
    "data": {"role": "provider", "state": "REQUESTED", "counterPartyId": "did:web:tirana.example"}
}))]
pub(crate) struct EventView {
    /// Sequence number; grows.
    id: i64,
    /// When it happened.
    time: String,
    /// What happened.
    #[serde(rename = "type")]
    kind: String,
    /// Id of the thing that it is about.
    subject: String,
    /// Details.
    #[schema(value_type = Object)]
    data: Value,
}

impl EventView {
    /// The event as the API shows it.
    pub(crate) fn new(row: &event::Model) -> ServiceResult<Self> {
        Ok(Self {
            id: row.seq,
            time: instant_text(row.time),
            kind: row.kind.clone(),
            subject: row.subject.clone(),
            data: stored(&row.data)?,
        })
    }
}

/// Lists events in their order, or follows them.
///
/// Without `after` the list holds the latest events, or with `before` the latest of the earlier ones. The kinds are
/// `negotiation.` and `transfer.` with the state that has been reached (`transfer.started`) or is being reached
/// (`transfer.starting`), and `transfer.readable` when our data plane has the data of a started transfer: `localEndpoint` in
/// its `data` says where. Changes of what is registered are told as well (`dataset.created`).
///
/// With `Accept: text/event-stream` the answer is a stream of server-sent events. It goes on after the header
/// `Last-Event-ID` or the parameter `after`; without either it begins with what happens next. A comment every 15 seconds
/// says that it is alive.
#[utoipa::path(
    tag = "events",
    params(
        ("after" = Option<i64>, Query, description = "Only events with a larger sequence number, the first of them"),
        ("before" = Option<i64>, Query, description = "Only events with a smaller sequence number, the last of them; not with `after`, not for a stream"),
        ("limit" = Option<u64>, Query, description = "Rows wanted, 1 to 500; 50 when left out; not for a stream"),
        ("type" = Option<String>, Query, description = "Only this kind, such as `transfer.started`, or family, such as `transfer.*`"),
        ("subject" = Option<String>, Query, description = "Only about this negotiation, transfer, ..."),
        ("Last-Event-ID" = Option<i64>, Header, description = "For a stream: the last event that was received")
    ),
    responses((
        status = 200,
        description = "A page of events, whose `next` is the next page's `after` (null at the end, and for the latest); or a stream of events",
        content((ListBody<EventView> = "application/json"), (String = "text/event-stream"))
    ))
)]
#[get("/events")]
pub(super) async fn list(app: Data<App>, streams: Data<Streams>, request: HttpRequest) -> Answer {
    let query = Query::read(&request, &["after", "before", "limit", "type", "subject"])?;
    let pattern = query.text("type").map(|text| {
        Pattern::parse(text)
            .ok_or_else(|| bad_parameter("type", "must be a kind such as `transfer.started`, or `transfer.*`"))
    });
    let interest = Interest {
        patterns: pattern.transpose()?.into_iter().collect(),
        subject: query.text("subject").map(str::to_owned),
    };
    let (after, before) = (sequence(&query, "after")?, sequence(&query, "before")?);
    if wants_stream(&request) {
        if query.text("limit").is_some() {
            return Err(bad_parameter("limit", "is not for a stream").into());
        }
        if before.is_some() {
            return Err(bad_parameter("before", "is not for a stream").into());
        }
        return follow(&app, &streams, interest, last_event_id(&request)?.or(after)).await;
    }
    let limit = query.number("limit", 1..=MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let (rows, next) = match (after, before) {
        (Some(_), Some(_)) => return Err(bad_parameter("before", "does not go with `after`").into()),
        (Some(after), None) => page(&app, &interest, after, limit).await?,
        (None, before) => (latest(&app, &interest, before, limit).await?, None),
    };
    let items = rows.iter().map(EventView::new).collect::<ServiceResult<Vec<_>>>()?;
    ok(&ListBody { items, next: next.map(|seq| seq.to_string()) })
}

fn sequence(query: &Query, name: &str) -> ServiceResult<Option<i64>> {
    let number = query.number(name, 0..=i64::MAX.unsigned_abs())?;
    Ok(number.and_then(|number| i64::try_from(number).ok()))
}

fn last_event_id(request: &HttpRequest) -> ServiceResult<Option<i64>> {
    let Some(value) = request.headers().get("Last-Event-ID") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|number| *number >= 0);
    let bad = || ServiceError::bad_request("bad_header", "the header `Last-Event-ID` must be the `id` of an event");
    number.map(Some).ok_or_else(bad)
}

fn wants_stream(request: &HttpRequest) -> bool {
    let accepted = request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream"))
}

struct Stream {
    reader: Reader,
    keep_alive: Interval,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

async fn follow(app: &App, streams: &Streams, interest: Interest, after: Option<i64>) -> Answer {
    let permit = streams.free.clone().try_acquire_owned().map_err(|_| {
        ServiceError::unavailable("too_many_streams", format!("there are {MAX_STREAMS} event streams already"))
    })?;
    let reader = match after {
        Some(after) => Reader::after(app, interest, after),
        None => Reader::from_now(app, interest).await?,
    };
    let mut keep_alive = interval(KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stream = Stream { reader, keep_alive, stop: streams.stop.clone(), _permit: permit };
    // The first tick comes at once, so that the caller sees the head of the answer without waiting for an event.
    let chunks = stream::unfold(stream, |mut stream| async move {
        let chunk = tokio::select! {
            event = stream.reader.next() => {
                let first = event.inspect_err(|error| tracing::warn!(%error, "an event stream ends")).ok()?;
                let more = stream.reader.more(BURST);
                let frames = std::iter::once(first).chain(more).map(|event| frame(&event));
                Bytes::from(frames.collect::<ServiceResult<String>>().ok()?)
            }
            () = stream.stop.cancelled() => return None,
            _ = stream.keep_alive.tick() => Bytes::from_static(b": alive\n\n"),
        };
        Some((Ok::<_, Infallible>(chunk), stream))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(chunks))
}

/// One event in the format of server-sent events. JSON holds no line breaks, so each field is one line.
fn frame(row: &event::Model) -> ServiceResult<String> {
    let data = serde_json::to_string(&EventView::new(row)?).map_err(ServiceError::internal)?;
    Ok(format!("id: {}\nevent: {}\ndata: {data}\n\n", row.seq, row.kind))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_frame_has_one_line_for_each_field() {
        let row = event::Model {
            seq: 7,
            context: "default".into(),
            time: 0,
            kind: "transfer.started".into(),
            subject: "urn:x".into(),
            data: r#"{"reason":"a\nb"}"#.into(),
        };
        let frame = frame(&row).unwrap();
        assert!(frame.starts_with("id: 7\nevent: transfer.started\ndata: {\"id\":7,"), "{frame}");
        assert!(frame.ends_with("}\n\n"));
        assert_eq!(frame.lines().count(), 4);
    }

    #[test]
    fn streams_are_asked_for_by_accept() {
        let accept = |value: &str| wants_stream(&TestRequest::get().insert_header(("Accept", value)).to_http_request());
        assert!(accept("text/event-stream"));
        assert!(accept("application/json;q=0.1, Text/Event-Stream; q=1"));
        assert!(!accept("*/*"));
        assert!(!accept("application/json"));
    }

    #[test]
    fn last_event_ids_are_numbers() {
        let id =
            |value: &str| last_event_id(&TestRequest::get().insert_header(("Last-Event-ID", value)).to_http_request());
        assert_eq!(id("12").unwrap(), Some(12));
        for bad in ["", "-1", "x", "99999999999999999999"] {
            assert_eq!(id(bad).unwrap_err().code, "bad_header", "{bad}");
        }
    }
}
