//! The list of peers with static tokens.

use ::identity::StaticPeer;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value as Json};

use super::reader::{Reader, secret_file};

const KEY: &str = "identity.danger_static_peers";
const MEMBERS: [&str; 6] = ["id", "accepts_token", "accepts_token_file", "sends_token", "sends_token_file", "claims"];

/// Reads the list; what cannot be read is noted as a fault and left out.
pub(super) fn read(reader: &mut Reader) -> Vec<StaticPeer> {
    let list = reader.tables(KEY);
    let mut peers = Vec::with_capacity(list.len());
    for (position, entry) in list.into_iter().enumerate() {
        match peer(reader, entry) {
            Ok(peer) => peers.push(peer),
            Err(faults) => {
                faults.into_iter().for_each(|what| reader.fault(KEY, format!("peer {}: {what}", position + 1)));
            }
        }
    }
    peers
}

fn peer(reader: &Reader, mut entry: Map<String, Json>) -> Result<StaticPeer, Vec<String>> {
    let unknown = entry.keys().filter(|key| !MEMBERS.contains(&key.as_str()));
    let mut faults: Vec<String> = unknown.map(|key| format!("there is no `{key}`")).collect();
    let mut note = |read: Result<String, String>| {
        read.unwrap_or_else(|what| {
            faults.push(what);
            String::new()
        })
    };
    let id = note(text(&mut entry, "id").and_then(|id| id.ok_or_else(|| "`id` is missing".to_owned())));
    let accepts_token = note(token(reader, &mut entry, "accepts_token"));
    let sends_token = note(token(reader, &mut entry, "sends_token"));
    let claims = entry.remove("claims").unwrap_or_default();
    if !faults.is_empty() {
        return Err(faults);
    }
    let (accepts_token, sends_token) = (SecretString::from(accepts_token), SecretString::from(sends_token));
    Ok(StaticPeer { id, accepts_token, sends_token, claims })
}

pub(super) fn text(entry: &mut Map<String, Json>, name: &str) -> Result<Option<String>, String> {
    match entry.remove(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` must be a text")),
    }
}

fn token(reader: &Reader, entry: &mut Map<String, Json>, name: &str) -> Result<String, String> {
    let file = format!("{name}_file");
    match (text(entry, name)?, text(entry, &file)?) {
        (Some(_), Some(_)) => Err(format!("`{name}` is set, and so is `{file}`; one of them is enough")),
        (Some(token), None) => Ok(token),
        (None, Some(path)) => {
            let secret = secret_file(&reader.below_folder(&path)).map_err(|what| format!("`{file}`: {what}"))?;
            Ok(secret.expose_secret().to_owned())
        }
        (None, None) => Err(format!("`{name}` is missing; set it or `{file}`")),
    }
}
