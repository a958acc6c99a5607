//! One file to a partner.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::{Outbox, Stop};
use crate::client::{self, Outgoing};
use crate::files::{digest_headers, disposition, media_type};
use crate::inbox::{OFFSET, PROPERTY, RESUMABLE};
use crate::push::partner_request;
use crate::stores::{ByteStream, OpenFile, hash};
use crate::usage::metered_outgoing;

/// Files up to this size are sent without asking first how much of them has arrived.
const UNASKED: u64 = 1024 * 1024;
/// Attempts that bring nothing before a file is given up.
const ATTEMPTS: u32 = 8;
/// The first pause between two attempts; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Most of a refusal that is read.
const MAX_REFUSAL: usize = 16 * 1024;
/// Characters of a path segment that stay as they are.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a file was not delivered.
enum Failed {
    /// Another attempt would end in the same way.
    Finally(Stop),
    /// Another attempt may do better. So much had arrived before this one.
    Passing(String, u64),
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        Self::Finally(Stop::Refused(text))
    }
}

fn unreadable(error: io::Error) -> Failed {
    tracing::warn!(%error, "a file cannot be read for a push");
    Failed::Finally(Stop::Later(format!("the source cannot be read: {error}")))
}

impl Outbox<'_> {
    /// Delivers a file.
    pub(super) async fn deliver(&self, path: &str) -> Result<(), Stop> {
        let address = self.flow.live().address.clone();
        let resumable = address.is_some_and(|address| address.property(PROPERTY) == Some(RESUMABLE));
        let (mut fruitless, mut arrived, mut attempt) = (0, 0, 0_u32);
        loop {
            let outcome = if resumable { self.send_rest(path, attempt).await } else { self.send_whole(path).await };
            let (text, begun_at) = match outcome {
                Ok(()) => return Ok(()),
                Err(Failed::Finally(stop)) => return Err(stop),
                Err(Failed::Passing(text, begun_at)) => (text, begun_at),
            };
            fruitless = if begun_at > arrived { 1 } else { fruitless + 1 };
            arrived = begun_at;
            attempt += 1;
            if !resumable || fruitless >= ATTEMPTS {
                return Err(Stop::Later(text));
            }
            let pause = PAUSE.saturating_mul(1 << (fruitless - 1).min(16)).min(LONGEST_PAUSE);
            tracing::info!(flow = self.flow.terms.id, path, reason = text, ?pause, "a file goes on after a pause");
            tokio::time::sleep(pause).await;
        }
    }

    /// To a receiver that knows nothing of pieces: one POST with all of it.
    async fn send_whole(&self, path: &str) -> Result<(), Failed> {
        let file = self.source.read(path).await.map_err(unreadable)?;
        let facts = file.facts().clone();
        let name = self.source.name(path);
        let last = name.rsplit('/').next().unwrap_or(name);
        let mut request = partner_request(self.plane, self.flow, Method::POST, "")?
            .header(CONTENT_TYPE, media_type(name))
            .header(CONTENT_LENGTH, facts.size)
            .header(CONTENT_DISPOSITION, disposition(last));
        if let Some(digest) = self.source.digest(path, file.as_ref()).await {
            for (name, value) in digest_headers(&digest) {
                request = request.header(name, value);
            }
        }
        let answer = self.send_body(request, body(file.read(0, facts.size))).await?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            _ => Err(match refused(answer, 0).await {
                // The whole of it may have arrived: it is not sent a second time unasked.
                Failed::Passing(text, _) => Failed::Finally(Stop::Later(text)),
                stop => stop,
            }),
        }
    }

    /// To another Hansa: what has not arrived yet.
    async fn send_rest(&self, path: &str, attempt: u32) -> Result<(), Failed> {
        let file = self.source.read(path).await.map_err(unreadable)?;
        let facts = file.facts().clone();
        let name = self.source.name(path);
        let segments: Vec<String> =
            name.split('/').map(|part| utf8_percent_encode(part, SEGMENT).to_string()).collect();
        let below = format!("/{}?version={}", segments.join("/"), utf8_percent_encode(&facts.tag, SEGMENT));
        let offset = if attempt == 0 && facts.size <= UNASKED { 0 } else { self.arrived(&below).await? };
        let offset = if offset > facts.size { 0 } else { offset };
        let known = self.source.digest(path, file.as_ref()).await;
        // What has arrived already is part of the digest, too.
        let hasher = match known {
            Some(_) => Sha256::new(),
            None => hash(file.read(0, offset), Sha256::new()).await.map_err(unreadable)?.0,
        };
        let hasher = Arc::new(Mutex::new(hasher));
        if offset < facts.size || facts.size == 0 {
            let answer = self.send_piece(&below, name, file.as_ref(), offset, known, &hasher).await?;
            match answer.status() {
                StatusCode::CREATED => return Ok(()),
                StatusCode::ACCEPTED => {}
                _ => return Err(refused(answer, offset).await),
            }
        }
        let digest = match known {
            Some(digest) => digest,
            None => hasher.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize().into(),
        };
        let mut request = partner_request(self.plane, self.flow, Method::PUT, &below)?
            .header(CONTENT_RANGE, format!("bytes */{}", facts.size))
            .header(CONTENT_LENGTH, 0);
        for (name, value) in digest_headers(&digest) {
            request = request.header(name, value);
        }
        let answer = self.request(request, client::empty(), offset).await?;
        if answer.status() == StatusCode::CREATED { Ok(()) } else { Err(refused(answer, offset).await) }
    }

    async fn send_piece(
        &self,
        below: &str,
        name: &str,
        file: &dyn OpenFile,
        offset: u64,
        known: Option<[u8; 32]>,
        hasher: &Arc<Mutex<Sha256>>,
    ) -> Result<Response<Incoming>, Failed> {
        let size = file.facts().size;
        let mut request = partner_request(self.plane, self.flow, Method::PUT, below)?
            .header(CONTENT_TYPE, media_type(name))
            .header(CONTENT_LENGTH, size - offset);
        if size > 0 {
            request = request.header(CONTENT_RANGE, format!("bytes {offset}-{}/{size}", size - 1));
        }
        let mut bytes = file.read(offset, size - offset);
        match known {
            Some(digest) => {
                for (name, value) in digest_headers(&digest) {
                    request = request.header(name, value);
                }
            }
            None => {
                let passing = Arc::clone(hasher);
                bytes = bytes
                    .inspect_ok(move |chunk| passing.lock().unwrap_or_else(PoisonError::into_inner).update(chunk))
                    .boxed();
            }
        }
        self.request(request, metered_outgoing(body(bytes), self.plane, self.flow, self.run.ended()), offset).await
    }

    /// How much of the file the partner has.
    async fn arrived(&self, below: &str) -> Result<u64, Failed> {
        let request = partner_request(self.plane, self.flow, Method::HEAD, below)?;
        let answer = self.request(request, client::empty(), 0).await?;
        if !answer.status().is_success() {
            return Err(refused(answer, 0).await);
        }
        Ok(answer.headers().get(OFFSET).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0))
    }

    async fn send_body(&self, request: http::request::Builder, body: Outgoing) -> Result<Response<Incoming>, Failed> {
        let body = metered_outgoing(body, self.plane, self.flow, self.run.ended());
        self.request(request, body, 0).await
    }

    async fn request(
        &self,
        request: http::request::Builder,
        body: Outgoing,
        offset: u64,
    ) -> Result<Response<Incoming>, Failed> {
        let request = request.body(body).map_err(|error| Failed::from(error.to_string()))?;
        self.plane.partners.send_while_moving(request).await.map_err(|error| {
            tracing::debug!(%error, "a partner's address gives no answer");
            Failed::Passing("the partner's address gives no answer".to_owned(), offset)
        })
    }
}

fn body(bytes: ByteStream) -> Outgoing {
    StreamBody::new(bytes.map_ok(Frame::data)).boxed_unsync()
}

/// What a refusal means: whether it is worth to come again.
async fn refused(answer: Response<Incoming>, offset: u64) -> Failed {
    let status = answer.status();
    let text = format!("the partner answered {}", status.as_u16());
    let body = Limited::new(answer.into_body(), MAX_REFUSAL).collect().await.map(|body| body.to_bytes());
    let problem: serde_json::Value = body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let code = problem.get("code").and_then(serde_json::Value::as_str).unwrap_or_default();
    let again = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT)
        // Bytes were changed on the way, or the file was while it was read.
        || matches!(code, "digest_mismatch" | "body_not_readable");
    if again { Failed::Passing(text, offset) } else { Failed::from(text) }
}
