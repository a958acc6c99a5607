//! How we and the control plane authenticate to each other (DPS profiles, Authorization).

use std::path::PathBuf;
use std::sync::Arc;

use dps_signaling::Authorization as Entry;
use dps_signaling::token::{KeySet, is_fit_for_secrets};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::reader::Reader;
use super::{flag, parse_url};

/// Shortest shared secret that is accepted, in characters.
const MIN_SECRET: usize = 16;
/// Largest file with a key set, in bytes.
const MAX_KEYS: u64 = 256 * 1024;

/// How we and the configured control plane authenticate to each other.
#[derive(Debug, Clone)]
pub enum Authorization {
    /// One secret for both ways.
    Secret(SecretString),
    /// Tokens of OAuth 2.0.
    OAuth2(Box<OAuth2>),
}

/// Tokens for both ways.
#[derive(Debug, Clone)]
pub struct OAuth2 {
    /// How we get ours.
    pub ours: TokenRequest,
    /// Which of theirs are good.
    pub theirs: Acceptance,
}

/// What is asked of a token endpoint.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Its address: https, or on loopback.
    pub endpoint: Url,
    /// By what we get a token.
    pub grant: Grant,
    /// Each token is sent once.
    pub single_use: bool,
}

/// By what we get a token.
#[derive(Debug, Clone)]
pub enum Grant {
    /// By our name and secret (RFC 6749, 4.4).
    ClientCredentials {
        /// Our name.
        id: String,
        /// Our secret.
        secret: SecretString,
        /// What the token shall allow.
        scope: Option<String>,
    },
    /// By the token that this workload has got from its platform (RFC 8693).
    Exchange {
        /// File with that token; read at each exchange, since the platform replaces it.
        subject_token_file: PathBuf,
        /// Address of the control plane.
        resource: Option<String>,
        /// Name of the control plane.
        audience: Option<String>,
        /// What the token shall allow.
        scope: Option<String>,
    },
}

/// Which tokens of a control plane are good.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// `iss`; any when nothing is said.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: String,
    /// One of `aud`.
    pub audience: String,
    /// What `scope` must hold, separated by spaces.
    pub scope: Option<String>,
    /// `participant_context`, where it matters.
    pub participant_context: Option<String>,
    /// The keys that sign.
    pub keys: Keys,
    /// Each token counts once.
    pub single_use: bool,
}

/// Keys that sign tokens.
#[derive(Debug, Clone)]
pub enum Keys {
    /// These.
    Set(Arc<KeySet>),
    /// Those that are read here.
    At(Url),
    /// Signatures are not looked at.
    DangerUnverified,
}

/// What holds for every control plane, whatever its registration says.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// Tokens without a key set are believed.
    pub danger_unverified: bool,
    /// Each token counts once, in both directions.
    pub single_use: bool,
}

/// Reads how the control plane and we authenticate, and the entry of our registration.
pub(super) fn read(reader: &mut Reader, id: &str) -> (Option<Authorization>, TokenRules, Entry) {
    let rules = TokenRules {
        danger_unverified: flag(reader, "control_plane.danger_unverified_tokens"),
        single_use: flag(reader, "control_plane.single_use_tokens"),
    };
    let secret = reader.secret("control_plane.token");
    let ways =
        [secret.is_some(), reader.is_section("control_plane.oauth2"), reader.is_section("control_plane.exchange")];
    let entry = announced(reader);
    let chosen = ways.iter().filter(|chosen| **chosen).count();
    if chosen != 1 {
        let what = if chosen == 0 {
            "is missing; set it, `control_plane.token_file`, `control_plane.oauth2` or `control_plane.exchange`"
        } else {
            "excludes `control_plane.oauth2` and `control_plane.exchange`, and they each other"
        };
        reader.fault("control_plane.token", what);
    }
    if let Some(token) = secret {
        if token.expose_secret().chars().count() < MIN_SECRET {
            reader.fault("control_plane.token", format!("is shorter than {MIN_SECRET} characters"));
        }
        return (Some(Authorization::Secret(token)), rules, entry);
    }
    let control_plane = if chosen == 0 { String::new() } else { reader.required("control_plane.id") };
    let (found, entry) = if reader.is_section("control_plane.exchange") {
        let found = exchange(reader, &control_plane, id);
        let told = found.as_ref().map(|(_, entry)| entry.clone());
        (found.map(|(oauth2, _)| oauth2), told.unwrap_or(entry))
    } else if reader.is_section("control_plane.oauth2") {
        (client_credentials(reader, control_plane, id, &rules), entry)
    } else {
        (None, entry)
    };
    (found.map(|found| Authorization::OAuth2(Box::new(found))), rules, entry)
}

fn client_credentials(reader: &mut Reader, subject: String, audience: &str, rules: &TokenRules) -> Option<OAuth2> {
    let endpoint = secret_address(reader, "control_plane.oauth2.token_endpoint");
    let id = reader.required("control_plane.oauth2.client_id");
    let secret = reader.secret("control_plane.oauth2.client_secret");
    if secret.is_none() {
        reader.fault("control_plane.oauth2.client_secret", "is missing, and so is the file with it");
    }
    let scope = reader.text("control_plane.oauth2.scope");
    let issuer = reader.text("control_plane.oauth2.issuer");
    let keys = match keys(reader, "control_plane.oauth2") {
        Ok(None) if rules.danger_unverified => Some(Keys::DangerUnverified),
        Ok(None) => {
            reader.fault(
                "control_plane.oauth2.jwks_uri",
                "or `jwks_file` is needed to verify the control plane's tokens; only `control_plane.danger_unverified_tokens` does without",
            );
            None
        }
        Ok(found) => found,
        Err(()) => None,
    };
    let single_use = rules.single_use;
    let grant = Grant::ClientCredentials { id, secret: secret?, scope };
    Some(OAuth2 {
        ours: TokenRequest { endpoint: endpoint?, grant, single_use },
        theirs: Acceptance {
            issuer,
            subject,
            audience: audience.to_owned(),
            scope: None,
            participant_context: None,
            keys: keys?,
            single_use,
        },
    })
}

fn exchange(reader: &mut Reader, control_plane: &str, id: &str) -> Option<(OAuth2, Entry)> {
    let endpoint = secret_address(reader, "control_plane.exchange.endpoint");
    let issuer = reader.required("control_plane.exchange.issuer");
    let jwks_uri = address(reader, "control_plane.exchange.jwks_uri");
    let file = PathBuf::from(reader.required("control_plane.exchange.subject_token_file"));
    if !file.as_os_str().is_empty()
        && let Err(error) = std::fs::metadata(&file)
    {
        let what = format!("cannot read `{}`: {error}", file.display());
        reader.fault("control_plane.exchange.subject_token_file", what);
    }
    let grant = Grant::Exchange {
        subject_token_file: file,
        resource: reader.text("control_plane.exchange.resource"),
        audience: reader.text("control_plane.exchange.audience").or_else(|| Some(control_plane.to_owned())),
        scope: reader.text("control_plane.exchange.scope"),
    };
    let subject = reader.text("control_plane.exchange.accept_subject").unwrap_or_else(|| control_plane.to_owned());
    let audience = reader.text("control_plane.exchange.accept_audience").unwrap_or_else(|| id.to_owned());
    let scope = reader.text("control_plane.exchange.accept_scope");
    let participant_context = reader.text("control_plane.exchange.accept_participant_context");
    let (endpoint, jwks_uri) = (endpoint?, jwks_uri?);
    let entry =
        Entry::TokenExchange { endpoint: endpoint.to_string(), issuer: issuer.clone(), jwks_uri: jwks_uri.to_string() };
    let theirs = Acceptance {
        issuer: Some(issuer),
        subject,
        audience,
        scope,
        participant_context,
        keys: Keys::At(jwks_uri),
        single_use: false,
    };
    Some((OAuth2 { ours: TokenRequest { endpoint, grant, single_use: false }, theirs }, entry))
}

/// What our registration tells the control plane: where it gets tokens for us, and the keys that sign ours.
fn announced(reader: &mut Reader) -> Entry {
    if !reader.is_section("signaling.oauth2") {
        return Entry::Agreed;
    }
    let token_endpoint = secret_address(reader, "signaling.oauth2.token_endpoint");
    let client_id = reader.required("signaling.oauth2.client_id");
    let client_secret = reader.secret("signaling.oauth2.client_secret");
    if client_secret.is_none() {
        reader.fault("signaling.oauth2.client_secret", "is missing, and so is the file with it");
    }
    let jwks_uri = address(reader, "signaling.oauth2.jwks_uri");
    match (token_endpoint, client_secret, jwks_uri) {
        (Some(token_endpoint), Some(secret), Some(jwks_uri)) => Entry::ClientCredentials {
            token_endpoint: token_endpoint.to_string(),
            client_id,
            client_secret: secret.expose_secret().to_owned(),
            jwks: None,
            jwks_uri: Some(jwks_uri.to_string()),
        },
        _ => Entry::Agreed,
    }
}

/// A key set by its address or its file; an error after a fault was noted.
fn keys(reader: &mut Reader, section: &str) -> Result<Option<Keys>, ()> {
    let (uri_key, file_key) = (format!("{section}.jwks_uri"), format!("{section}.jwks_file"));
    match (reader.text(&uri_key), reader.path(&file_key)) {
        (None, None) => Ok(None),
        (Some(text), None) => match parse_url(&text) {
            Ok(url) => Ok(Some(Keys::At(url))),
            Err(fault) => {
                reader.fault(&uri_key, fault);
                Err(())
            }
        },
        (Some(_), Some(_)) => {
            reader.fault(&uri_key, format!("is set, and so is `{file_key}`; one of them is enough"));
            Err(())
        }
        (None, Some(path)) => match key_file(&path) {
            Ok(set) => Ok(Some(Keys::Set(Arc::new(set)))),
            Err(fault) => {
                reader.fault(&file_key, format!("`{}` {fault}", path.display()));
                Err(())
            }
        },
    }
}

fn key_file(path: &std::path::Path) -> Result<KeySet, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_KEYS {
        return Err(format!("is larger than {MAX_KEYS} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let set: Value = serde_json::from_str(&text).map_err(|error| format!("is not JSON: {error}"))?;
    KeySet::from_jwks(&set).map_err(|error| error.to_string())
}

fn address(reader: &mut Reader, key: &str) -> Option<Url> {
    super::required_url(reader, key)
}

/// An address that gets a secret of ours.
fn secret_address(reader: &mut Reader, key: &str) -> Option<Url> {
    let url = address(reader, key)?;
    if is_fit_for_secrets(url.scheme(), url.host_str().unwrap_or_default()) {
        return Some(url);
    }
    reader.fault(key, "gets a secret: it must be https, or on loopback");
    None
}
