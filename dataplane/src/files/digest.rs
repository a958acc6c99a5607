//! SHA-256 of files, computed once for each version of a file, and the headers that carry it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::header::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::stores::{ByteStream, OpenFile};

/// Most digests kept.
const KEPT: usize = 10_000;

/// A version of a file: root, path, and the tag of the version.
pub(crate) type Version = (String, String);

/// Digests by version; `None` while one is being computed.
#[derive(Debug, Clone)]
pub(crate) struct Digests {
    known: Arc<Mutex<HashMap<Version, Option<[u8; 32]>>>>,
    background: Handle,
}

/// How a digest stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Known([u8; 32]),
    Underway,
    Unknown,
}

impl Digests {
    /// None is known yet. `background` computes those of large files.
    pub(crate) fn new(background: Handle) -> Self {
        Self { known: Arc::default(), background }
    }

    /// What is known of a version.
    pub(crate) fn standing(&self, version: &Version) -> Standing {
        match self.lock().get(version) {
            Some(Some(digest)) => Standing::Known(*digest),
            Some(None) => Standing::Underway,
            None => Standing::Unknown,
        }
    }

    /// Computes the digest of a version that is not known, before anything else happens. It is not marked as being computed:
    /// whoever waits for it may go away.
    pub(crate) async fn compute(&self, version: &Version, file: &dyn OpenFile) -> Option<[u8; 32]> {
        let digest = file.sha256().await;
        self.end(version, digest)
    }

    /// Computes the digest beside everything else.
    pub(crate) fn compute_beside(&self, version: Version, file: Arc<dyn OpenFile>) {
        self.begin(&version);
        let digests = self.clone();
        self.background.spawn(async move {
            let digest = file.sha256().await;
            digests.end(&version, digest);
        });
    }

    /// Computes the digest of a whole file from the bytes that pass by.
    pub(crate) fn compute_passing(&self, version: Version, bytes: ByteStream) -> ByteStream {
        let passing = Some((bytes, Sha256::new(), self.clone(), version));
        stream::unfold(passing, |passing| async move {
            let (mut bytes, mut hasher, digests, version) = passing?;
            match bytes.next().await {
                Some(Ok(chunk)) => {
                    hasher.update(&chunk);
                    Some((Ok(chunk), Some((bytes, hasher, digests, version))))
                }
                Some(Err(error)) => Some((Err(error), None)),
                None => {
                    digests.end(&version, Ok(hasher.finalize().into()));
                    None
                }
            }
        })
        .boxed()
    }

    fn begin(&self, version: &Version) {
        let mut known = self.lock();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(version.clone(), None);
    }

    fn end(&self, version: &Version, digest: std::io::Result<[u8; 32]>) -> Option<[u8; 32]> {
        match digest {
            Ok(digest) => {
                self.lock().insert(version.clone(), Some(digest));
                Some(digest)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot compute a digest");
                self.lock().remove(version);
                None
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Version, Option<[u8; 32]>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The values of `Repr-Digest` (RFC 9530) and `Digest` (RFC 3230, for older readers) for a SHA-256.
pub(crate) fn headers(digest: &[u8; 32]) -> [(&'static str, String); 2] {
    let digest = STANDARD.encode(digest);
    [("repr-digest", format!("sha-256=:{digest}:")), ("digest", format!("SHA-256={digest}"))]
}

/// The SHA-256 of the whole that a message announces: `Repr-Digest`, for a whole body `Content-Digest`, else `Digest`.
///
/// # Errors
/// One is announced that is no SHA-256.
pub(crate) fn announced(headers: &HeaderMap) -> Result<Option<[u8; 32]>, ()> {
    for name in ["repr-digest", "content-digest", "digest"] {
        let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
        for item in values.flat_map(|value| value.split(',')) {
            let Some((algorithm, value)) = item.trim().split_once('=') else { continue };
            if !algorithm.eq_ignore_ascii_case("sha-256") {
                continue;
            }
            let value = if name == "digest" {
                Some(value)
            } else {
                value.strip_prefix(':').and_then(|value| value.strip_suffix(':'))
            };
            let digest = value.and_then(|value| STANDARD.decode(value).ok()).and_then(|bytes| bytes.try_into().ok());
            return digest.map(Some).ok_or(());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn rfc_9530_and_rfc_3230() {
        let digest: [u8; 32] = Sha256::digest(b"x").into();
        let of = |name: &'static str, value: &str| {
            let mut map = HeaderMap::new();
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
            announced(&map)
        };
        for (name, value) in headers(&digest) {
            assert_eq!(of(name, &value), Ok(Some(digest)));
        }
        let text = STANDARD.encode(digest);
        assert_eq!(of("content-digest", &format!("sha-512=:xx:, sha-256=:{text}:")), Ok(Some(digest)));
        assert_eq!(of("repr-digest", "sha-512=:xx:"), Ok(None));
        assert_eq!(of("repr-digest", "sha-256=abc"), Err(()));
        assert_eq!(of("digest", "SHA-256=abc"), Err(()));
        assert_eq!(announced(&HeaderMap::new()), Ok(None));
    }
}
