//! Parts: what is not complete yet, hidden beside the file that it will be.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{join, split};

/// The path of the part of the upload `key` of a file.
pub(super) fn path(file: &str, key: &str) -> String {
    join(split(file).0, &format!(".{key}.part"))
}

/// The file of a part that is being written, which knows whether a write was left unfinished.
pub(super) struct PartFile<F> {
    pub(super) file: F,
    /// A write has begun and not ended.
    writing: bool,
}

impl<F: AsyncWrite + Unpin> PartFile<F> {
    pub(super) fn new(file: F) -> Self {
        Self { file, writing: false }
    }

    /// Adds to the end.
    ///
    /// # Errors
    /// The file does not take it.
    pub(super) async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.writing = true;
        self.file.write_all(chunk).await?;
        self.writing = false;
        Ok(())
    }

    /// Whether every write has come to its end.
    pub(super) fn is_sound(&self) -> bool {
        !self.writing
    }
}
