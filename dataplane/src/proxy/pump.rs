//! The body of a request on its way to a source. It cannot change threads, so a task beside the handler pumps it through a
//! short channel; the channel is the back-pressure.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::web::Payload;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::client::Outgoing;

/// Chunks on their way.
const CHUNKS: usize = 2;

/// A body that is being pumped.
pub(crate) struct Pumped {
    pub(crate) body: Outgoing,
    /// Set when the caller sent more than the limit; the body has failed then.
    pub(crate) exceeded: Arc<AtomicBool>,
}

/// Pumps the payload; the body fails when it grows beyond `limit` bytes.
pub(crate) fn outgoing(mut payload: Payload, limit: u64) -> Pumped {
    let exceeded = Arc::new(AtomicBool::new(false));
    let noticed = Arc::clone(&exceeded);
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(CHUNKS);
    actix_web::rt::spawn(async move {
        let mut total = 0_u64;
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| io::Error::new(io::ErrorKind::UnexpectedEof, error.to_string()));
            total += chunk.as_ref().map_or(0, |bytes| bytes.len() as u64);
            let chunk = if total > limit {
                noticed.store(true, Ordering::Release);
                Err(io::Error::other("the request body is too large"))
            } else {
                chunk
            };
            let failed = chunk.is_err();
            if sender.send(chunk).await.is_err() || failed {
                return;
            }
        }
    });
    let chunks = stream::unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((chunk.map(Frame::data), receiver))
    });
    Pumped { body: StreamBody::new(chunks).boxed_unsync(), exceeded }
}
