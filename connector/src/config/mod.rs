//! Configuration: read completely, every fault told, before a port is opened.
//!
//! One TOML file, the environment over it (`HANSA__DSP__LISTEN` is `dsp.listen`), the defaults of [`SETTINGS`] below both.

mod identity;
mod installation;
mod listener;
mod peers;
mod reader;
mod settings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::config::{Environment, File, FileFormat};
use ::identity::StaticPeer;
use ::identity::dcp::issuer::IssuableCredential;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::Url;

#[cfg(not(feature = "vault"))]
pub(crate) use identity::WITHOUT_VAULT;
pub use identity::{Identity, TrustedIssuer, VaultSettings};
pub use installation::{Installation, InstallationError};
pub(crate) use installation::{SIGNALING_FILE, make_folder, new_secret, write_private};
use listener::Reach;
pub use listener::{Listener, Tls};
use reader::Reader;
pub use settings::{Kind, SETTINGS, Setting, reference};

/// Prefix of settings in the environment.
pub const ENVIRONMENT_PREFIX: &str = "HANSA";
/// The file that is read from the working directory when no other is named.
pub const DEFAULT_FILE: &str = "hansa.toml";
/// Shortest token for our own APIs, in characters.
const MIN_TOKEN: usize = 16;

/// Why the configuration cannot be used: all faults, each naming its setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the configuration cannot be used:\n  {}", .0.join("\n  "))]
pub struct ConfigError(pub Vec<String>);

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our id in the dataspace, if the settings say it; else [`Config::installation`] knows it.
    pub participant_id: Option<String>,
    /// Folder for the database and for what is made at the first start.
    pub data_dir: PathBuf,
    /// The log.
    pub log: Log,
    /// `sqlite:` or `postgres:` URL; it may hold a password.
    pub database_url: SecretString,
    /// Listener for partners.
    pub dsp: Listener,
    /// Listener for operators.
    pub management: Listener,
    /// The token of the management API, if the settings say it.
    pub management_token: Option<SecretString>,
    /// Listener for data planes.
    pub signaling: Listener,
    /// The secret shared with data planes, if the settings say it; else [`Config::installation`] knows it.
    pub signaling_token: Option<SecretString>,
    /// Where the token of this workload is exchanged, for data planes that authenticate so.
    pub broker: Option<Broker>,
    /// Participants that are known by a fixed token.
    pub danger_static_peers: Vec<StaticPeer>,
    /// Verifiable credentials: how we know partners and are known.
    pub identity: Identity,
    /// The credentials that we issue.
    pub issuer: Vec<IssuableCredential>,
    /// Rules and limits for calls to partners.
    pub outbound: Outbound,
    /// Delivery of messages.
    pub delivery: Delivery,
    /// Transfers.
    pub transfer: Transfer,
    /// Decisions by policies.
    pub policy: PolicySettings,
    /// Our catalog.
    pub catalog: Catalog,
    /// Limits on requests to us.
    pub limits: Limits,
    /// Settings that switch a protection off, to be logged at every start.
    pub warnings: Vec<String>,
}

/// A broker for token exchange (RFC 8693).
#[derive(Debug, Clone)]
pub struct Broker {
    /// Its token endpoint: https, or on loopback.
    pub endpoint: Url,
    /// `iss` of its tokens.
    pub issuer: String,
    /// Where its keys are read.
    pub jwks_uri: Url,
    /// File with the token of this workload.
    pub subject_token_file: PathBuf,
}

/// The log.
#[derive(Debug, Clone)]
pub struct Log {
    /// One JSON object in a line instead of text.
    pub json: bool,
    /// In the syntax of tracing's `EnvFilter`.
    pub filter: String,
}

/// Rules and limits for calls to partners: the section `partners`.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Loopback, private and link-local hosts may be called.
    pub danger_allow_private_addresses: bool,
    /// `http:` is accepted outside loopback.
    pub danger_plain_http: bool,
    /// PEM file with further trusted authorities.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for a whole answer.
    pub answer_timeout: Duration,
    /// Largest answer that is read, in bytes.
    pub max_answer_bytes: usize,
}

/// Delivery of messages.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Pause before the second attempt, ms.
    pub initial_backoff_ms: u64,
    /// Longest pause, seconds.
    pub max_backoff_s: u64,
    /// How long 404 and 409 are tried again, seconds.
    pub not_found_grace_s: u64,
    /// When delivery is given up, seconds.
    pub give_up_after_s: u64,
    /// Messages that are sent at the same time.
    pub concurrency: usize,
}

/// Transfers.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// How long a transfer waits for a data plane that cannot be reached, seconds.
    pub data_plane_patience_s: u64,
    /// Longest validity of a token for a data flow, seconds.
    pub token_lifetime_s: u32,
}

/// Decisions by policies.
#[derive(Debug, Clone)]
pub struct PolicySettings {
    /// How long records of decisions are kept, days.
    pub decision_record_days: u32,
    /// File of the areas that policies may name.
    pub areas: Option<PathBuf>,
    /// Folder of the operator's own Rego modules.
    pub site_modules: Option<PathBuf>,
}

/// Our catalog.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// Datasets on one page.
    pub page_size: u32,
}

/// Limits on requests to us.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest body, in bytes.
    pub body_bytes: usize,
    /// Deepest nesting of JSON.
    pub json_depth: usize,
    /// Longest time for the head of a request, and for the requests under way when we are told to stop.
    pub request_timeout: Duration,
}

impl Config {
    /// Reads a file and the environment over it. Without a file named, `hansa.toml` in the working directory is read if it is
    /// there.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault found.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let default = Path::new(DEFAULT_FILE);
        let path = file.or_else(|| default.exists().then_some(default));
        let text = match path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| ConfigError(vec![format!("cannot read `{}`: {error}", path.display())]))?,
        };
        let environment = Environment::with_prefix(ENVIRONMENT_PREFIX).prefix_separator("__").separator("__");
        Self::read(&text, path.and_then(Path::parent).unwrap_or(Path::new("")), environment)
    }

    /// `folder` is where relative paths begin.
    fn read(text: &str, folder: &Path, environment: Environment) -> Result<Self, ConfigError> {
        let tree = ::config::Config::builder()
            .add_source(File::from_str(text, FileFormat::Toml))
            .add_source(environment)
            .build()
            .and_then(|built| built.cache.into_table())
            .map_err(|error| ConfigError(vec![error.to_string()]))?;
        let mut reader = Reader::new(tree, folder);
        let read = read_all(&mut reader);
        let faults = reader.finish();
        match read {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(ConfigError(faults)),
        }
    }
}

/// `None` only after a fault was noted.
fn read_all(reader: &mut Reader) -> Option<Config> {
    let data_dir = reader.path("data_dir").unwrap_or_default();
    let dsp = Listener::read(reader, "dsp", Reach::Announced);
    let management = Listener::read(reader, "management", Reach::Known);
    let signaling = Listener::read(reader, "signaling", Reach::Announced);
    let management_token = token(reader, "management.token");
    let signaling_token = token(reader, "signaling.token");
    let read = Config {
        participant_id: participant_id(reader),
        log: log(reader),
        database_url: database_url(reader, &data_dir),
        broker: broker(reader),
        danger_static_peers: peers::read(reader),
        identity: identity::read(reader, &data_dir),
        issuer: identity::read_issuer(reader),
        outbound: outbound(reader),
        delivery: delivery(reader),
        transfer: Transfer {
            data_plane_patience_s: reader.number("transfer.data_plane_patience_s", 1),
            token_lifetime_s: reader.number("transfer.token_lifetime_s", 1),
        },
        policy: PolicySettings {
            decision_record_days: reader.number("policy.decision_record_days", 1),
            areas: reader.path("policy.areas"),
            site_modules: reader.path("policy.site_modules"),
        },
        catalog: Catalog { page_size: reader.number("catalog.page_size", 1) },
        limits: Limits {
            body_bytes: reader.number("limits.body_bytes", 1024),
            json_depth: reader.number("limits.json_depth", 8),
            request_timeout: reader.seconds("limits.request_timeout_s"),
        },
        warnings: warnings(reader),
        dsp: dsp?,
        management: management?,
        management_token,
        signaling: signaling?,
        signaling_token,
        data_dir,
    };
    Some(read)
}

/// With a DID that is the id, and nothing else can be.
fn participant_id(reader: &mut Reader) -> Option<String> {
    let did = reader.text("identity.did");
    let Some(id) = reader.text("participant_id") else { return did };
    if did.is_some_and(|did| did != id) {
        reader.fault("participant_id", "must be `identity.did`, or left out: with DCP the participant id is the DID");
    }
    if let Err(error) = dsp_protocol::pid::ParticipantId::parse(id.as_str()) {
        reader.fault("participant_id", error);
    }
    Some(id)
}

fn broker(reader: &mut Reader) -> Option<Broker> {
    let endpoint = reader.url("token_exchange.endpoint");
    let issuer = reader.text("token_exchange.issuer");
    let jwks_uri = reader.url("token_exchange.jwks_uri");
    let file = reader.path("token_exchange.subject_token_file");
    let Some(endpoint) = endpoint else {
        for (key, set) in [
            ("token_exchange.issuer", issuer.is_some()),
            ("token_exchange.jwks_uri", jwks_uri.is_some()),
            ("token_exchange.subject_token_file", file.is_some()),
        ] {
            if set {
                reader.fault(key, "is set, and `token_exchange.endpoint` is not");
            }
        }
        return None;
    };
    if !dps_signaling::token::is_fit_for_secrets(endpoint.scheme(), endpoint.host_str().unwrap_or_default()) {
        reader.fault("token_exchange.endpoint", "gets a secret: it must be https, or on loopback");
    }
    let missing = [
        ("token_exchange.issuer", issuer.is_none()),
        ("token_exchange.jwks_uri", jwks_uri.is_none()),
        ("token_exchange.subject_token_file", file.is_none()),
    ];
    for (key, _) in missing.into_iter().filter(|(_, missing)| *missing) {
        reader.fault(key, "is missing beside `token_exchange.endpoint`");
    }
    Some(Broker { endpoint, issuer: issuer?, jwks_uri: jwks_uri?, subject_token_file: file? })
}

fn log(reader: &mut Reader) -> Log {
    let json = match reader.text("log.format").as_deref() {
        Some("json") => true,
        Some("text") => false,
        _ => {
            reader.fault("log.format", "must be `text` or `json`");
            false
        }
    };
    let filter = reader.text("log.filter").unwrap_or_default();
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&filter) {
        reader.fault("log.filter", format!("`{filter}` is not a filter: {error}"));
    }
    Log { json, filter }
}

fn database_url(reader: &mut Reader, data_dir: &Path) -> SecretString {
    let Some(url) = reader.secret("database.url") else {
        return SecretString::from(format!("sqlite://{}", data_dir.join("hansa.db").display()));
    };
    let scheme = url.expose_secret().split(':').next().unwrap_or_default();
    if !matches!(scheme, "sqlite" | "postgres" | "postgresql") {
        reader.fault("database.url", "must begin with `sqlite:` or `postgres:`");
    }
    url
}

fn token(reader: &mut Reader, key: &str) -> Option<SecretString> {
    let token = reader.secret(key)?;
    if token.expose_secret().chars().count() < MIN_TOKEN {
        reader.fault(key, format!("is shorter than {MIN_TOKEN} characters"));
    } else if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.fault(key, "must be visible ASCII characters without spaces");
    }
    Some(token)
}

fn outbound(reader: &mut Reader) -> Outbound {
    Outbound {
        danger_allow_private_addresses: reader.flag("partners.danger_allow_private_addresses"),
        danger_plain_http: reader.flag("partners.danger_allow_plain_http"),
        ca_file: authorities(reader, "partners.ca_file"),
        answer_timeout: reader.seconds("partners.answer_timeout_s"),
        max_answer_bytes: reader.number("partners.max_answer_bytes", 1024),
    }
}

fn delivery(reader: &mut Reader) -> Delivery {
    Delivery {
        initial_backoff_ms: reader.number("delivery.initial_backoff_ms", 1),
        max_backoff_s: reader.number("delivery.max_backoff_s", 1),
        not_found_grace_s: reader.number("delivery.not_found_grace_s", 0),
        give_up_after_s: reader.number("delivery.give_up_after_s", 1),
        concurrency: reader.number("delivery.concurrency", 1),
    }
}

/// A file of certificates, found to be one.
fn authorities(reader: &mut Reader, key: &str) -> Option<PathBuf> {
    let path = reader.path(key)?;
    let read: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(&path).and_then(Iterator::collect);
    match read {
        Ok(list) if !list.is_empty() => return Some(path),
        Ok(_) => reader.fault(key, format!("`{}` holds no certificate", path.display())),
        Err(error) => reader.fault(key, format!("cannot read `{}`: {error}", path.display())),
    }
    None
}

/// The switches with `danger` in their name that are on. The list of static peers is announced where it is used.
fn warnings(reader: &mut Reader) -> Vec<String> {
    let dangerous = |setting: &&Setting| setting.kind == Kind::Flag && setting.key.contains("danger");
    let mut warnings = Vec::new();
    for setting in SETTINGS.iter().filter(dangerous) {
        if reader.flag(setting.key) {
            warnings.push(format!("`{}` is on: {}", setting.key, setting.meaning));
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
