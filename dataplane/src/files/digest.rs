//! SHA-256 of files, computed once for each version of a file.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

/// Files up to this size are hashed before their first answer; larger ones beside it, and the header comes with later answers.
pub(crate) const INLINE_BYTES: u64 = 256 * 1024 * 1024;
/// Most digests kept.
const KEPT: usize = 10_000;
const BUFFER: usize = 128 * 1024;

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    /// Folder and path.
    pub(crate) path: String,
    pub(crate) modified: SystemTime,
    pub(crate) size: u64,
}

/// Digests by version; `None` while one is being computed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digests {
    known: Arc<Mutex<HashMap<Version, Option<[u8; 32]>>>>,
}

impl Digests {
    /// The digest of a version, computed now when the file is small and unknown. `open` gives the bytes.
    pub(crate) fn of(
        &self,
        version: &Version,
        open: impl FnOnce() -> io::Result<cap_std::fs::File> + Send + 'static,
    ) -> Option<[u8; 32]> {
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = known.get(version) {
                return *found;
            }
            if known.len() >= KEPT {
                known.clear();
            }
            known.insert(version.clone(), None);
        }
        if version.size <= INLINE_BYTES {
            return self.compute(version, open);
        }
        let (digests, version) = (self.clone(), version.clone());
        tokio::task::spawn_blocking(move || digests.compute(&version, open));
        None
    }

    fn compute(&self, version: &Version, open: impl FnOnce() -> io::Result<cap_std::fs::File>) -> Option<[u8; 32]> {
        let digest = open().and_then(|file| hash(file, version.size));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match digest {
            Ok(digest) => {
                known.insert(version.clone(), Some(digest));
                Some(digest)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot compute a digest");
                known.remove(version);
                None
            }
        }
    }
}

/// Hashes exactly `size` bytes; a file that has another length by now fails.
fn hash(mut file: impl Read, size: u64) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        total += read as u64;
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
    if total == size { Ok(hasher.finalize().into()) } else { Err(io::Error::other("the file changed meanwhile")) }
}
