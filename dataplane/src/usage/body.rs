//! Bodies whose bytes are counted or paced: each piece passes once it is paid for.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::{Limiter, pass, spend_bytes};
use crate::client::Outgoing;
use crate::flow::Flow;
use crate::plane::Plane;
use crate::problem::Problem;

/// A body of so many bytes or less is small.
const SMALL_BODY: u64 = 64 * 1024;

/// Why a body broke off.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct Unpaid(Problem);

type Passing = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send>>;

/// Lets pieces through, one after the other.
struct Gate {
    plane: Arc<Plane>,
    flow: Arc<Flow>,
    ended: CancellationToken,
    waiting: Option<(Bytes, Passing)>,
    /// Bytes that are paid already.
    prepaid: u64,
    /// What of the last piece has yet to come to the gate.
    rest: Bytes,
}

impl Gate {
    fn new(plane: &Arc<Plane>, flow: &Arc<Flow>, ended: CancellationToken) -> Self {
        Self { plane: Arc::clone(plane), flow: Arc::clone(flow), ended, waiting: None, prepaid: 0, rest: Bytes::new() }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_none() && self.rest.is_empty()
    }

    fn hold(&mut self, mut piece: Bytes) {
        // Small parts where the pace is slow, so that something moves all the time.
        let most = self.flow.paces().map(Limiter::largest_part).min().unwrap_or(usize::MAX);
        self.rest = piece.split_off(piece.len().min(most));
        let bytes = piece.len() as u64;
        let paid = bytes.min(self.prepaid);
        self.prepaid -= paid;
        let (plane, flow, ended) = (Arc::clone(&self.plane), Arc::clone(&self.flow), self.ended.clone());
        let passing = pass(plane, flow, ended, bytes, bytes - paid);
        self.waiting = Some((piece, Box::pin(passing)));
    }

    /// The part that is held, once it may pass; `None` when none is held.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unpaid>>> {
        if self.waiting.is_none() && !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            self.hold(rest);
        }
        let Some((_, passing)) = &mut self.waiting else { return Poll::Ready(None) };
        let outcome = ready!(passing.as_mut().poll(context));
        let piece = self.waiting.take().map(|(piece, _)| piece).unwrap_or_default();
        if let Err(problem) = &outcome {
            tracing::info!(flow = self.flow.terms.id, %problem, "a body was broken off");
        }
        Poll::Ready(Some(outcome.map(|()| piece).map_err(Unpaid)))
    }
}

/// The body of an answer.
pub(crate) struct MeteredBody {
    inner: BoxBody,
    gate: Gate,
}

impl MeteredBody {
    /// Puts the gate before the body of an answer. A small body is paid for as a whole before its head goes out, so that it is
    /// refused rather than broken off. `ended` is the end of the flow's run.
    ///
    /// # Errors
    /// As [`super::begin`].
    pub(crate) async fn around(
        response: HttpResponse,
        plane: &Arc<Plane>,
        flow: &Arc<Flow>,
        ended: CancellationToken,
    ) -> Result<HttpResponse, Problem> {
        let mut gate = Gate::new(plane, flow, ended);
        if let BodySize::Sized(bytes @ 1..=SMALL_BODY) = response.body().size() {
            spend_bytes(plane, flow, bytes).await?;
            gate.prepaid = bytes;
        }
        Ok(response.map_body(|_, inner| Self { inner, gate }.boxed()))
    }
}

impl MessageBody for MeteredBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.inner.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        loop {
            if let Some(passed) = ready!(self.gate.poll(context)) {
                return Poll::Ready(Some(passed.map_err(Into::into)));
            }
            match ready!(Pin::new(&mut self.inner).poll_next(context)) {
                Some(Ok(piece)) => self.gate.hold(piece),
                other => return Poll::Ready(other),
            }
        }
    }
}

impl fmt::Debug for MeteredBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MeteredBody").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// The body of a push.
struct MeteredOutgoing {
    inner: Outgoing,
    gate: Gate,
}

/// Puts the gate before a body that we push, where the flow needs one.
pub(crate) fn metered_outgoing(
    inner: Outgoing,
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    ended: CancellationToken,
) -> Outgoing {
    if !flow.counts_bytes() {
        return inner;
    }
    MeteredOutgoing { inner, gate: Gate::new(plane, flow, ended) }.boxed_unsync()
}

impl Body for MeteredOutgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(passed) = ready!(self.gate.poll(context)) {
                return Poll::Ready(Some(passed.map(Frame::data).map_err(io::Error::other)));
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => self.gate.hold(piece),
                    // Trailers do not pass.
                    Err(_) => continue,
                },
                other => return Poll::Ready(other),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.gate.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.gate.is_empty() { self.inner.size_hint() } else { SizeHint::default() }
    }
}
