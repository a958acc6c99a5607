//! The bytes of a file as a body, one chunk at a time.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::flow::Ticket;
use crate::proxy::BrokenBody;

/// Bytes read at once; the most that one stream keeps.
const CHUNK: u64 = 64 * 1024;

/// A part of a file. A chunk is read only when the last one was taken. A file that became shorter breaks the body off.
pub(crate) struct FileBody {
    chunks: Chunks,
    length: u64,
    ticket: Ticket,
}

impl FileBody {
    pub(crate) fn new(file: File, first: u64, length: u64, ticket: Ticket) -> Self {
        Self { chunks: Chunks::new(file, first, length), length, ticket }
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
        let chunk = ready!(self.chunks.poll_next(context));
        Poll::Ready(chunk.map(|result| result.map_err(|error| BrokenBody::Source(error.to_string()))))
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileBody").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Reads a part of a file on the threads for blocking work.
pub(crate) struct Chunks {
    file: Arc<File>,
    next: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Chunks {
    pub(crate) fn new(file: File, first: u64, length: u64) -> Self {
        Self { file: Arc::new(file), next: first, end: first + length, reading: None }
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.next >= self.end {
            return Poll::Ready(None);
        }
        let (file, offset, length) = (&self.file, self.next, CHUNK.min(self.end - self.next));
        let reading = self.reading.get_or_insert_with(|| {
            let file = Arc::clone(file);
            spawn_blocking(move || read(&file, offset, length))
        });
        let result = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other).flatten();
        self.reading = None;
        if let Ok(bytes) = &result {
            self.next += bytes.len() as u64;
        }
        Poll::Ready(Some(result))
    }
}

fn read(file: &File, offset: u64, length: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let read = file.read_at(&mut buffer, offset)?;
    if read == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    buffer.truncate(read);
    Ok(Bytes::from(buffer))
}
