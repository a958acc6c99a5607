//! Bodies of answers: they end early, and with an error, when their run is cut.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use thiserror::Error;
use tokio::time::{Instant, Sleep};

use crate::flow::Ticket;

/// Why a body broke off. The connection to the reader is closed without a regular end.
#[derive(Debug, Error)]
pub(crate) enum BrokenBody {
    #[error("the flow was ended while data was moving")]
    Cut,
    #[error("the source paused for too long")]
    Stalled,
    #[error("the source broke off: {0}")]
    Source(String),
    #[error("the answer cannot be filtered: {0}")]
    Refused(ngsi_ld_filter::Fault),
}

/// The body of a source's answer on its way to the reader. A chunk is asked for only when the last one was taken.
pub(crate) struct StreamedBody {
    source: Pin<Box<Incoming>>,
    size: BodySize,
    ticket: Ticket,
    idle: Idle,
}

impl StreamedBody {
    /// `length` is what the source announced.
    pub(crate) fn new(source: Incoming, length: Option<u64>, ticket: Ticket, idle: Duration) -> Self {
        let size = length.map_or(BodySize::Stream, BodySize::Sized);
        Self { source: Box::pin(source), size, ticket, idle: Idle::new(idle) }
    }
}

impl MessageBody for StreamedBody {
    type Error = BrokenBody;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        loop {
            if self.ticket.is_over() {
                return Poll::Ready(Some(Err(BrokenBody::Cut)));
            }
            return match self.source.as_mut().poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.idle.progress();
                    match frame.into_data() {
                        Ok(data) if !data.is_empty() => Poll::Ready(Some(Ok(data))),
                        // Trailers and empty frames do not pass.
                        _ => continue,
                    }
                }
                Poll::Ready(Some(Err(error))) => broken(BrokenBody::Source(error.to_string())),
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => match self.idle.poll(context) {
                    Poll::Ready(()) => broken(BrokenBody::Stalled),
                    Poll::Pending => Poll::Pending,
                },
            };
        }
    }
}

fn broken(reason: BrokenBody) -> Poll<Option<Result<Bytes, BrokenBody>>> {
    tracing::warn!(%reason, "an answer was broken off");
    Poll::Ready(Some(Err(reason)))
}

impl fmt::Debug for StreamedBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StreamedBody").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Notices a pause of the source. The timer is touched once in a period and not for each chunk, so the limit is between one
/// and two periods.
struct Idle {
    period: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    progressed: bool,
}

impl Idle {
    fn new(period: Duration) -> Self {
        Self { period, timer: None, progressed: false }
    }

    fn progress(&mut self) {
        self.progressed = true;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let period = self.period;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(period)));
        while timer.as_mut().poll(context).is_ready() {
            if !std::mem::take(&mut self.progressed) {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + period);
        }
        Poll::Pending
    }
}

/// Announces a length and has no bytes: the answer to HEAD.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadOnly(pub(crate) u64);

impl MessageBody for HeadOnly {
    type Error = BrokenBody;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0)
    }

    fn poll_next(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        Poll::Ready(None)
    }
}
