//! Keys in a folder: `keys.json` says what there is, `KEY.pem` holds the private half of the current key, unless that is in a
//! secret store.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ring::{MAX_KEYS, is_key_id};
use super::{KeyError, KeyRing, KeyState, KeyStore, RingKey};
use crate::jose::{PrivateKey, PublicKey};

const INDEX: &str = "keys.json";
/// What `private_half` says of a key in a secret store.
const ELSEWHERE: &str = "elsewhere";
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// A [`KeyStore`] in a folder that only its owner can read (files 0600, folder 0700). Files that others can read or write are
/// refused, because their keys may be known to others; a group may read what root gives it.
#[derive(Clone, Debug)]
pub struct FileKeyStore {
    folder: PathBuf,
}

impl FileKeyStore {
    /// Keys in `folder`, which is made when the first ring is stored.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn private_half(&self, id: &str) -> Result<PrivateKey, KeyError> {
        let path = self.path(&format!("{id}.pem"));
        let pem = read(&path)?.ok_or_else(|| bad(&path, "does not exist, but the list of keys names it"))?;
        PrivateKey::from_pem(&SecretString::from(pem)).map_err(|error| bad(&path, &error.to_string()))
    }

    fn read_key(&self, index: &Path, entry: &Value) -> Result<RingKey, KeyError> {
        let id = entry.get("id").and_then(Value::as_str).filter(|id| is_key_id(id));
        let id = id.ok_or_else(|| bad(index, "has a key without a usable `id`"))?;
        let time = |name: &str| {
            let value = entry.get(name).and_then(Value::as_i64);
            value.ok_or_else(|| bad(index, &format!("has a key `{id}` without the time `{name}`")))
        };
        let created = time("created")?;
        let jwk = entry.get("public_key_jwk").unwrap_or(&Value::Null);
        let public = PublicKey::from_jwk(jwk).map_err(|error| bad(index, &format!("has a key `{id}`: {error}")))?;
        match entry.get("state").and_then(Value::as_str) {
            Some("current") if entry.get("private_half").and_then(Value::as_str) == Some(ELSEWHERE) => {
                Ok(RingKey::held_elsewhere(id, created, public))
            }
            Some("current") => {
                let private = self.private_half(id)?;
                if *private.public() != public {
                    return Err(bad(index, &format!("and `{id}.pem` hold different keys")));
                }
                Ok(RingKey::current(id, created, private))
            }
            Some("retired") => {
                let state = KeyState::Retired { retired_at: time("retired_at")?, drop_after: time("drop_after")? };
                Ok(RingKey::former(id, created, state, public))
            }
            Some("revoked") => {
                Ok(RingKey::former(id, created, KeyState::Revoked { revoked_at: time("revoked_at")? }, public))
            }
            _ => Err(bad(index, &format!("has a key `{id}` without a known `state`"))),
        }
    }
}

impl KeyStore for FileKeyStore {
    fn load(&self) -> Result<Option<KeyRing>, KeyError> {
        let index = self.path(INDEX);
        let Some(text) = read(&index)? else { return Ok(None) };
        let list: Value = serde_json::from_str(&text).map_err(|_error| bad(&index, "is not JSON"))?;
        let entries = list.get("keys").and_then(Value::as_array).filter(|entries| entries.len() <= MAX_KEYS);
        let entries = entries.ok_or_else(|| bad(&index, &format!("has no list `keys` of at most {MAX_KEYS}")))?;
        let keys = entries.iter().map(|entry| self.read_key(&index, entry)).collect::<Result<Vec<_>, _>>()?;
        KeyRing::from_keys(keys).map(Some)
    }

    /// Writes the private half before the list that names it, and removes private halves that nothing names any more last: a
    /// stop in between leaves the old ring or the new one.
    fn save(&self, ring: &KeyRing) -> Result<(), KeyError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| io(&self.folder, &error))?;
        check_private(&self.folder, &fs::metadata(&self.folder).map_err(|error| io(&self.folder, &error))?)?;
        let current = ring.current()?;
        if let Some(private) = current.private() {
            write(&self.path(&format!("{}.pem", current.id)), private.to_pem().expose_secret())?;
        }
        let entries: Vec<Value> = ring.keys().iter().map(describe).collect();
        write(&self.path(INDEX), &format!("{:#}\n", json!({"keys": entries})))?;
        self.remove_unnamed(&current.id)
    }
}

impl FileKeyStore {
    fn remove_unnamed(&self, current: &str) -> Result<(), KeyError> {
        let failed = |error: std::io::Error| io(&self.folder, &error);
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_pem = path.extension().is_some_and(|extension| extension == "pem");
            if is_pem && path.file_stem().is_none_or(|stem| stem != current) {
                fs::remove_file(&path).map_err(|error| io(&path, &error))?;
            }
        }
        Ok(())
    }
}

fn describe(key: &RingKey) -> Value {
    let mut entry = json!({"id": key.id, "created": key.created, "public_key_jwk": key.public.jwk()});
    let state = match key.state {
        KeyState::Current if key.is_held_elsewhere() => json!({"state": "current", "private_half": ELSEWHERE}),
        KeyState::Current => json!({"state": "current"}),
        KeyState::Retired { retired_at, drop_after } => {
            json!({"state": "retired", "retired_at": retired_at, "drop_after": drop_after})
        }
        KeyState::Revoked { revoked_at } => json!({"state": "revoked", "revoked_at": revoked_at}),
    };
    if let (Value::Object(entry), Value::Object(state)) = (&mut entry, state) {
        entry.extend(state);
    }
    entry
}

/// The text of a file of ours; `None` when there is none.
fn read(path: &Path) -> Result<Option<String>, KeyError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(path, &error)),
    };
    // Asked of the open file, so that it cannot be exchanged in between.
    check_private(path, &file.metadata().map_err(|error| io(path, &error))?)?;
    let mut text = String::new();
    let length = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| io(path, &error))?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_FILE) {
        Ok(Some(text))
    } else {
        Err(bad(path, "is too large"))
    }
}

/// Writes beside the file, then exchanges: the file is the old one or the new one, whatever happens.
fn write(path: &Path, text: &str) -> Result<(), KeyError> {
    let beside = path.with_extension(format!("new-{}", Uuid::new_v4()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    })();
    written.map_err(|error| {
        // The first error is the one that counts.
        let _removed = fs::remove_file(&beside);
        io(path, &error)
    })
}

fn check_private(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyError> {
    if is_private(metadata.uid(), metadata.mode()) {
        return Ok(());
    }
    let text = format!("others may use `{}`; keys need `chmod go= {}`", path.display(), path.display());
    Err(KeyError::new("unsafe_key_file", text))
}

/// Nobody but the owner; or a file of root's that a group may read, as Kubernetes hands out Secrets.
fn is_private(owner: u32, mode: u32) -> bool {
    mode & 0o077 == 0 || (owner == 0 && mode & 0o037 == 0)
}

fn bad(path: &Path, what: &str) -> KeyError {
    KeyError::new("bad_key_store", format!("`{}` {what}", path.display()))
}

fn io(path: &Path, error: &std::io::Error) -> KeyError {
    KeyError::new("key_store_unavailable", format!("`{}` cannot be read or written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::is_private;

    #[test]
    fn only_root_gives_a_group_keys_to_read() {
        for (owner, mode, private) in [
            (1000, 0o600, true),
            (1000, 0o400, true),
            (1000, 0o640, false),
            (0, 0o440, true),
            (0, 0o640, true),
            (0, 0o460, false),
            (0, 0o444, false),
            (0, 0o604, false),
        ] {
            assert_eq!(is_private(owner, mode), private, "{owner} {mode:o}");
        }
    }
}
