//! The bytes of a file as a body, one chunk at a time.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use crate::flow::Ticket;
use crate::proxy::BrokenBody;
use crate::stores::ByteStream;

/// A part of a file. A chunk is asked for only when the last one was taken.
pub(crate) struct FileBody {
    bytes: ByteStream,
    length: u64,
    ticket: Ticket,
}

impl FileBody {
    pub(crate) fn new(bytes: ByteStream, length: u64, ticket: Ticket) -> Self {
        Self { bytes, length, ticket }
    }
}

impl MessageBody for FileBody {
    type Error = BrokenBody;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        if self.ticket.is_over() {
            return Poll::Ready(Some(Err(BrokenBody::Cut)));
        }
        let chunk = ready!(self.bytes.as_mut().poll_next(context));
        Poll::Ready(chunk.map(|result| {
            result.map_err(|error| {
                tracing::warn!(%error, "a file was broken off");
                BrokenBody::Source(error.to_string())
            })
        }))
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileBody").field("length", &self.length).finish_non_exhaustive()
    }
}
