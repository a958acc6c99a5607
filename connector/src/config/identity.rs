//! The sections `identity` and `issuer`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use identity::dcp::issuer::IssuableCredential;
use identity::did::Did;
use identity::scope::Scopes;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value as Json};
use url::Url;

use super::peers::text;
use super::reader::Reader;

/// Most entries of one list of tables.
const MAX_ENTRIES: usize = 1000;
/// Longest name of a transit key, so that names of its versions can be those of keys.
const MAX_VAULT_KEY: usize = 48;
/// What a program says that has no client for a secret store.
pub(crate) const WITHOUT_VAULT: &str =
    "needs a program built with the feature `vault`: `cargo build --release -p connector --features vault`";

/// How we are known and how we know partners by verifiable credentials: the section `identity`.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Our DID; without it verifiable credentials are off.
    pub did: Option<Did>,
    /// Folder of our private keys.
    pub keys_dir: PathBuf,
    /// The secret store that holds our private keys instead.
    pub vault: Option<VaultSettings>,
    /// What every caller has to present.
    pub scopes: Scopes,
    /// Lifetime of the tokens that we send, seconds.
    pub token_lifetime_s: i64,
    /// How far clocks may differ, seconds.
    pub clock_leeway_s: i64,
    /// How long a DID document is believed, seconds.
    pub did_cache_s: u64,
    /// How long a status list is believed, seconds.
    pub status_cache_s: u64,
    /// How long a verified presentation is believed, seconds.
    pub presentation_cache_s: u64,
    /// Issuers that are trusted by configuration.
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// File with further ones.
    pub trusted_issuers_file: Option<PathBuf>,
    /// Registry with further ones.
    pub trusted_issuers_registry: Option<Url>,
    /// Hosts that schemas are fetched from.
    pub schema_hosts: Vec<String>,
    /// Request ids for which unasked credentials are taken.
    pub accepted_holder_pids: Vec<String>,
    /// Client of the token service: its id and its secret.
    pub sts_client: Option<(String, SecretString)>,
    /// Plain http may be used.
    pub danger_allow_http: bool,
    /// Loopback and private hosts may be called.
    pub danger_allow_loopback: bool,
}

/// The transit engine of a HashiCorp Vault or OpenBao.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// Its root.
    pub url: Url,
    /// Our token.
    pub token: SecretString,
    /// The file that the token came from, if it did.
    pub token_file: Option<PathBuf>,
    /// Where the engine is mounted.
    pub mount: String,
    /// Name of the transit key.
    pub key: String,
}

/// An issuer and what it is trusted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Its DID.
    pub issuer: String,
    /// Credential types, `*` for all.
    pub types: Vec<String>,
    /// The claims that it may speak of; empty for all.
    pub claims: Vec<String>,
}

pub(super) fn read(reader: &mut Reader, data_dir: &Path) -> Identity {
    Identity {
        did: did(reader),
        keys_dir: reader.path("identity.keys_dir").unwrap_or_else(|| data_dir.join("keys")),
        vault: vault(reader),
        scopes: scopes(reader),
        token_lifetime_s: reader.number("identity.token_lifetime_s", 10),
        clock_leeway_s: reader.number("identity.clock_leeway_s", 0),
        did_cache_s: reader.number("identity.did_cache_s", 1),
        status_cache_s: reader.number("identity.status_cache_s", 1),
        presentation_cache_s: reader.number("identity.presentation_cache_s", 1),
        trusted_issuers: trusted_issuers(reader),
        trusted_issuers_file: reader.path("identity.trusted_issuers_file"),
        trusted_issuers_registry: reader.url("identity.trusted_issuers_registry"),
        schema_hosts: reader.list("identity.schema_hosts"),
        accepted_holder_pids: reader.list("identity.accepted_holder_pids"),
        sts_client: sts_client(reader),
        danger_allow_http: reader.flag("identity.danger_allow_http"),
        danger_allow_loopback: reader.flag("identity.danger_allow_loopback"),
    }
}

fn did(reader: &mut Reader) -> Option<Did> {
    let text = reader.text("identity.did")?;
    match text.parse::<Did>() {
        Ok(did) if did.method() == "web" => return Some(did),
        Ok(_) => reader.fault("identity.did", "must be a did:web, whose document this installation serves"),
        Err(error) => reader.fault("identity.did", error),
    }
    None
}

fn vault(reader: &mut Reader) -> Option<VaultSettings> {
    const URL: &str = "identity.vault_url";
    let (url, token, key) = (reader.url(URL), reader.secret("identity.vault_token"), reader.text("identity.vault_key"));
    let mount = reader.text("identity.vault_mount").unwrap_or_default();
    if reader.text(URL).is_none() {
        for (name, is_set) in [("identity.vault_token", token.is_some()), ("identity.vault_key", key.is_some())] {
            if is_set {
                reader.fault(name, format!("is set only together with `{URL}`"));
            }
        }
        return None;
    }
    if !cfg!(feature = "vault") {
        reader.fault(URL, WITHOUT_VAULT);
        return None;
    }
    if token.is_none() {
        reader.fault("identity.vault_token", format!("is missing; `{URL}` needs it"));
    }
    if key.is_none() {
        reader.fault("identity.vault_key", format!("is missing; `{URL}` needs it"));
    }
    let (url, token, key) = (url?, token?, key?);
    if url.path() != "/" {
        reader.fault(URL, "must be without a path; a namespace belongs in front of `identity.vault_mount`");
    }
    let host = url.host_str().unwrap_or_default();
    let is_local =
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if url.scheme() != "https" && !is_local {
        reader.fault(URL, "must be https outside loopback: the token would be read on the way");
    }
    if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.fault("identity.vault_token", "must be visible ASCII characters without spaces");
    }
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if mount.split('/').any(|part| matches!(part, "" | "." | "..") || !is_plain(&part.replace('.', ""))) {
        reader.fault("identity.vault_mount", "must be names separated by `/`, of letters, digits, `-`, `_` and `.`");
    }
    if key.len() > MAX_VAULT_KEY || !is_plain(&key) {
        let what = format!("must be at most {MAX_VAULT_KEY} letters, digits, `-` and `_`");
        reader.fault("identity.vault_key", what);
    }
    let token_file = reader.path("identity.vault_token_file");
    Some(VaultSettings { url, token, token_file, mount, key })
}

fn scopes(reader: &mut Reader) -> Scopes {
    let texts = reader.list("identity.scopes");
    Scopes::parse_each(texts.iter().map(String::as_str)).unwrap_or_else(|error| {
        reader.fault("identity.scopes", error);
        Scopes::default()
    })
}

fn sts_client(reader: &mut Reader) -> Option<(String, SecretString)> {
    let id = reader.text("identity.sts_client_id");
    match (id, super::token(reader, "identity.sts_client_secret")) {
        (Some(id), Some(secret)) => Some((id, secret)),
        (None, None) => None,
        _ => {
            reader.fault("identity.sts_client_id", "is set only together with `identity.sts_client_secret`");
            None
        }
    }
}

fn trusted_issuers(reader: &mut Reader) -> Vec<TrustedIssuer> {
    entries(reader, "identity.trusted_issuers", &["issuer", "types", "claims"], |table| {
        let issuer = required(table, "issuer")?;
        issuer.parse::<Did>().map_err(|error| format!("`issuer`: {error}"))?;
        let types = texts(table, "types")?;
        if types.is_empty() {
            return Err("`types` is missing; `[\"*\"]` stands for all".to_owned());
        }
        Ok(TrustedIssuer { issuer, types, claims: texts(table, "claims")? })
    })
}

/// The credentials that we issue; none: we are not an issuer.
pub(super) fn read_issuer(reader: &mut Reader) -> Vec<IssuableCredential> {
    const KEY: &str = "issuer.credentials";
    let tables = reader.tables(KEY);
    let mut credentials = Vec::with_capacity(tables.len());
    for (position, table) in tables.into_iter().enumerate() {
        match serde_json::from_value(Json::Object(table)) {
            Ok(credential) => credentials.push(credential),
            Err(error) => reader.fault(KEY, format!("entry {}: {error}", position + 1)),
        }
    }
    credentials
}

/// The entries of a list of tables; each fault names its entry.
fn entries<T>(
    reader: &mut Reader,
    key: &str,
    members: &[&str],
    read: impl Fn(&mut Map<String, Json>) -> Result<T, String>,
) -> Vec<T> {
    let tables = reader.tables(key);
    if tables.len() > MAX_ENTRIES {
        reader.fault(key, format!("has more than {MAX_ENTRIES} entries"));
    }
    let mut found = Vec::with_capacity(tables.len());
    for (position, mut table) in tables.into_iter().enumerate() {
        let position = position + 1;
        for unknown in table.keys().filter(|name| !members.contains(&name.as_str())) {
            reader.fault(key, format!("entry {position}: there is no `{unknown}`"));
        }
        match read(&mut table) {
            Ok(entry) => found.push(entry),
            Err(what) => reader.fault(key, format!("entry {position}: {what}")),
        }
    }
    found
}

fn required(table: &mut Map<String, Json>, name: &str) -> Result<String, String> {
    text(table, name)?.filter(|text| !text.is_empty()).ok_or_else(|| format!("`{name}` is missing"))
}

fn texts(table: &mut Map<String, Json>, name: &str) -> Result<Vec<String>, String> {
    let list = match table.remove(name) {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(Json::Array(list)) => list,
        Some(single) => vec![single],
    };
    let text = |item: Json| match item {
        Json::String(text) if !text.is_empty() => Ok(text),
        _ => Err(format!("`{name}` must be a list of texts")),
    };
    list.into_iter().map(text).collect()
}
