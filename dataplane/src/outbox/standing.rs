//! A push that does not end: files that come later are sent, each version once, as soon as they are complete.
//!
//! In a folder of this machine a file is complete when its writer has closed it or moved it there. A store that shows only whole
//! files needs no more than a look. Anywhere else a file is complete when two looks find the same version.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::{Outbox, Stop};
use crate::stores::FileFacts;

/// A file that nobody was seen to write is complete when it has not changed for so long.
const QUIET: Duration = Duration::from_secs(2);
/// A file that was made, but neither written nor closed, counts as open for no longer than this: a hard link is never closed.
const LONGEST_OPEN: Duration = Duration::from_secs(60);
/// Events that come together cause one look.
const TOGETHER: Duration = Duration::from_millis(50);

impl Outbox<'_> {
    /// Sends all files and every one that comes later; ends only with the run, or when the partner refuses.
    ///
    /// # Errors
    /// A sentence for the control plane, without addresses or secrets.
    pub(crate) async fn stand(&self) -> Result<(), String> {
        let mut sent = self.remembered().await?;
        let (store, base) = self.source.place();
        // The watch begins before the first look, so that nothing falls between them.
        let changes = store.local().and_then(|root| Changes::watch(&root.join(base)));
        let mut seen = HashMap::new();
        loop {
            let ready = |path: &str, facts: &FileFacts| match &changes {
                Some(changes) => changes.is_complete(path, facts),
                None => store.shows_whole_files_only() || seen.get(path) == Some(&facts.tag),
            };
            match self.send_new(&mut sent, ready).await {
                Ok(found) => seen = found,
                Err(Stop::Refused(text)) => return Err(text),
                // The partner, the source or the agreement's permission may be there again at the next look.
                Err(Stop::Later(text)) => {
                    tracing::warn!(flow = self.flow.terms.id, reason = text, "a standing push waits");
                }
            }
            let pause = self.plane.config.look_every;
            match &changes {
                Some(changes) => changes.next(pause).await,
                None => tokio::time::sleep(pause).await,
            }
        }
    }
}

/// What the operating system tells of a folder.
struct Changes {
    base: PathBuf,
    told: Arc<Told>,
    /// Watching ends with it.
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches a folder or a file; `None` where that is not possible, which the log says.
    fn watch(base: &Path) -> Option<Self> {
        let told = Arc::new(Told::default());
        let shared = Arc::clone(&told);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(event) => shared.take(&event),
            Err(error) => tracing::warn!(%error, "changes of a folder are not told any more"),
        });
        let watching = watcher.and_then(|mut watcher| {
            match base.parent().filter(|_| !base.is_dir()) {
                // A file that is replaced is another one to the operating system; its folder stays.
                Some(folder) => watcher.watch(folder, RecursiveMode::NonRecursive)?,
                None => watcher.watch(base, RecursiveMode::Recursive)?,
            }
            Ok(watcher)
        });
        match watching {
            Ok(watcher) => Some(Self { base: base.to_owned(), told, _watcher: watcher }),
            Err(error) => {
                tracing::warn!(%error, "changes of a folder are not told; it is looked at from time to time");
                None
            }
        }
    }

    /// Whether nobody writes the file any more.
    fn is_complete(&self, path: &str, facts: &FileFacts) -> bool {
        let full = if path.is_empty() { self.base.clone() } else { self.base.join(path) };
        let quiet = facts.modified.elapsed().is_ok_and(|since| since >= QUIET);
        self.told.files().get(&full).map_or(quiet, |state| state.is_complete(quiet))
    }

    /// Waits for something to happen, or for `most`.
    async fn next(&self, most: Duration) {
        // A file that will be quiet soon is looked at soon, although nothing happens to it any more.
        let most = if self.told.forget_old() { most.min(QUIET) } else { most };
        let _ = tokio::time::timeout(most, self.told.changed.notified()).await;
        tokio::time::sleep(TOGETHER).await;
    }
}

#[derive(Default)]
struct Told {
    /// Files to which something happened lately.
    files: Mutex<HashMap<PathBuf, State>>,
    changed: Notify,
}

/// What happened to a file last.
#[derive(Debug, Clone, Copy)]
enum State {
    /// It was made.
    Made(Instant),
    /// Somebody writes it.
    Written,
    /// Its writer has closed it, or it was moved here.
    Closed(Instant),
}

impl State {
    fn is_complete(self, quiet: bool) -> bool {
        match self {
            Self::Made(since) => quiet && since.elapsed() >= LONGEST_OPEN,
            Self::Written => false,
            Self::Closed(_) => true,
        }
    }
}

impl Told {
    fn files(&self) -> MutexGuard<'_, HashMap<PathBuf, State>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: &Event) {
        let state = match event.kind {
            EventKind::Create(_) => Some(State::Made(Instant::now())),
            EventKind::Modify(ModifyKind::Data(_)) => Some(State::Written),
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(State::Closed(Instant::now())),
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => None,
            // Events were lost: what is not known is decided by time.
            _ if event.need_rescan() => {
                self.files().clear();
                self.changed.notify_one();
                return;
            }
            _ => return,
        };
        let mut files = self.files();
        for path in &event.paths {
            match state {
                Some(state) => files.insert(path.clone(), state),
                // A rename within the folder names both places; the second one has told of itself.
                None if path.exists() => continue,
                None => files.remove(path),
            };
        }
        drop(files);
        self.changed.notify_one();
    }

    /// Forgets files that were closed long enough to be decided by time; tells whether one is left.
    fn forget_old(&self) -> bool {
        let mut files = self.files();
        files.retain(|_, state| !matches!(state, State::Closed(since) if since.elapsed() > QUIET * 2));
        !files.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(path: &Path) -> FileFacts {
        let metadata = std::fs::metadata(path).unwrap();
        FileFacts { size: metadata.len(), modified: metadata.modified().unwrap(), tag: String::new() }
    }

    async fn settled(changes: &Changes) {
        changes.next(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn a_file_is_complete_when_its_writer_has_closed_it() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let changes = Changes::watch(&folder).unwrap();
        let path = folder.join("a.csv");
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        settled(&changes).await;
        assert!(!changes.is_complete("a.csv", &facts(&path)), "it is open");
        file.write_all(b"whole").unwrap();
        drop(file);
        settled(&changes).await;
        assert!(changes.is_complete("a.csv", &facts(&path)));
        std::fs::create_dir(folder.join("deep")).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        std::fs::write(folder.join("part"), b"x").unwrap();
        std::fs::rename(folder.join("part"), folder.join("deep/b.csv")).unwrap();
        settled(&changes).await;
        assert!(changes.is_complete("deep/b.csv", &facts(&folder.join("deep/b.csv"))), "it was moved here");
    }

    #[test]
    fn a_file_that_was_only_made_waits_for_its_writer() {
        let now = Instant::now();
        assert!(!State::Made(now).is_complete(true));
        assert!(!State::Written.is_complete(true));
        assert!(State::Closed(now).is_complete(false));
    }
}
