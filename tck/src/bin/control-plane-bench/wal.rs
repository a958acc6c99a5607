//! Counts durable commits in SQLite's write-ahead log (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).

use std::path::{Path, PathBuf};

use tck::{Context as _, Result};

const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The log of one database.
pub struct Wal(PathBuf);

/// How far the log was written at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Changes whenever the log begins anew.
    salt: Vec<u8>,
    /// Commits in it since then.
    commits: u64,
}

impl Mark {
    /// Commits between an earlier mark and this one; `None` when the log began anew meanwhile.
    pub fn since(&self, earlier: &Self) -> Option<u64> {
        (self.salt == earlier.salt).then(|| self.commits.saturating_sub(earlier.commits))
    }
}

impl Wal {
    /// The log of the database in this file.
    pub fn of(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        Self(name.into())
    }

    /// Where the log stands now.
    ///
    /// # Errors
    /// When there is no log.
    pub fn mark(&self) -> Result<Mark> {
        let log = std::fs::read(&self.0).context(self.0.display())?;
        let salt = log.get(16..24).context(self.0.display())?.to_vec();
        let page = number(&log, 8).context(self.0.display())?;
        let mut commits = 0;
        let mut at = LOG_HEADER;
        // A frame with another salt is left over from before the log began anew.
        while log.get(at + 8..at + 16) == Some(&salt) {
            // The last frame of a commit says how large the database is now; in the others that is 0.
            if number(&log, at + 4).is_some_and(|pages| pages > 0) {
                commits += 1;
            }
            at += FRAME_HEADER + page;
        }
        Ok(Mark { salt, commits })
    }
}

fn number(log: &[u8], at: usize) -> Option<usize> {
    let bytes = log.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}
