//! Configuration: read completely, every fault told, before a port is opened.

mod authorization;
mod brokers;
mod credentials;
mod datasets;
mod listener;
mod reader;
mod roots;
mod settings;

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{Environment, File, FileFormat};
use dps_signaling::{Authorization as Entry, Dialect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

pub use authorization::{Acceptance, Authorization, Grant, Keys, OAuth2, TokenRequest, TokenRules};
pub use brokers::Broker;
pub use credentials::{AccessKey, Credential, Login};
pub use datasets::OwnDataset;
pub use listener::Listener;
use reader::Reader;
pub use roots::{BucketRoot, FileRoot, SftpRoot, WebRoot};
pub use settings::{SETTINGS, Setting, reference};

/// Prefix of settings in the environment: `HANSA_DATAPLANE__PUBLIC__LISTEN`.
pub const ENVIRONMENT_PREFIX: &str = "HANSA_DATAPLANE";

/// Why the configuration is not usable: all faults, each naming its setting.
#[derive(Debug, Error)]
#[error("the configuration has {} fault(s):\n  {}", .0.len(), .0.join("\n  "))]
pub struct ConfigError(pub Vec<String>);

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this data plane.
    pub id: String,
    /// Folder for the store and received files.
    pub data_dir: PathBuf,
    /// Threads of the public and local listeners.
    pub workers: usize,
    /// Time for running requests after the stop signal.
    pub drain: Duration,
    /// One JSON object for each line of the log.
    pub log_json: bool,
    /// Filter of the log.
    pub log_filter: String,
    /// Listener for partners.
    pub public: Listener,
    /// Limits of the public listener.
    pub limits: Limits,
    /// Listener for the control plane.
    pub signaling: Listener,
    /// How long prepare and start may take before they are answered with 202.
    pub answer_within: Duration,
    /// Listener for our own readers.
    pub local: Listener,
    /// Token that local readers must send.
    pub local_token: Option<SecretString>,
    /// How long a local read waits for the provider's new address.
    pub wait_for_address: Duration,
    /// Signaling address of the control plane.
    pub control_plane_url: Url,
    /// How the control plane and we authenticate to each other.
    pub control_plane_authorization: Authorization,
    /// What holds for the tokens of every control plane.
    pub token_rules: TokenRules,
    /// The authorization entry of our registration.
    pub announced: Entry,
    /// Draft of Data Plane Signaling in which we register with the control plane.
    pub control_plane_dialect: Dialect,
    /// Datasets that a control plane may start flows of without an enforcement plan, by their ids; `None`: it may not.
    pub without_plan: Option<HashMap<String, OwnDataset>>,
    /// What addresses of partners may be.
    pub partners: Partners,
    /// Renewal of tokens.
    pub renewal: Renewal,
    /// Subscriptions, on both sides.
    pub subscriptions: Subscriptions,
    /// Time limits towards sources and partners.
    pub timeouts: Timeouts,
    /// What happens when they do not answer.
    pub upstream: Upstream,
    /// How partners share the public listener.
    pub sharing: Sharing,
    /// Credentials for sources by name.
    pub credentials: HashMap<String, Credential>,
    /// Brokers of ours that data can be delivered to, by name.
    pub brokers: HashMap<String, Broker>,
    /// Places for files by name.
    pub file_roots: HashMap<String, FileRoot>,
    /// The file root for what partners push to us; `None` is a folder in `data_dir`.
    pub inbox_root: Option<String>,
    /// Time between two looks for new files where a change is not told.
    pub look_every: Duration,
}

/// Limits on what partners send.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body towards a source, in bytes.
    pub max_request_body: u64,
    /// Further request headers that reach a source, lower case.
    pub pass_headers: Arc<[String]>,
    /// Open connections for each thread.
    pub max_connections: usize,
    /// How long a reader may leave bytes untaken.
    pub stall: Option<Duration>,
    /// Largest pushed body, in bytes.
    pub inbox_max_file: u64,
    /// Most pushed files of one flow.
    pub inbox_max_files: u64,
}

/// Rules for addresses that partners give us.
#[derive(Debug, Clone)]
pub struct Partners {
    /// Loopback, private and link-local hosts are reachable.
    pub danger_allow_private_addresses: bool,
    /// `http:` is accepted outside loopback.
    pub danger_allow_plain_http: bool,
    /// Further trusted authorities, DER.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// Renewal of tokens while a transfer runs.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// Partners that the control plane knows by their DIDs get short-lived tokens that they can renew.
    pub offered: bool,
    /// Life of such a token, in seconds.
    pub access_token_seconds: u32,
    /// A partner's address for a pull must come with a token that can be renewed.
    pub required: bool,
}

/// Subscriptions to brokers, ours and partners'.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    /// Address of the local listener as our brokers see it, without a slash at the end.
    pub broker_url: Option<String>,
    /// Addresses below which programs may have notifications sent; none is this machine.
    pub receivers: Vec<Url>,
    /// Most subscriptions of one flow.
    pub most_per_flow: usize,
    /// Most notifications that wait for one flow.
    pub keep_notifications: usize,
    /// Most bytes of them.
    pub keep_bytes: usize,
}

/// Time limits towards sources and partners.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer.
    pub head: Duration,
    /// For a pause inside a body.
    pub idle: Duration,
}

/// What happens when a source or a partner does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// How often a request is sent again that nobody has taken.
    pub retries: u32,
    /// Failed requests in a row after which it is left alone; 0: never.
    pub rest_after: u32,
    /// How long.
    pub rest: Duration,
}

/// How partners share the public listener; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Most requests that are answered at once.
    pub requests: Option<NonZeroU32>,
    /// Most of them of one partner.
    pub requests_each: Option<NonZeroU32>,
    /// Most requests of one partner that wait for their turn.
    pub queue_each: usize,
    /// Longest time that one waits.
    pub patience: Duration,
    /// Requests of one partner in a second, on average.
    pub rate_each: Option<NonZeroU32>,
    /// Bytes of answers to one partner in a second, on average.
    pub bytes_each: Option<NonZeroU32>,
}

impl Config {
    /// Reads the file and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault found.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(vec![format!("cannot read `{}`: {error}", path.display())]))?;
        let environment = Environment::with_prefix(ENVIRONMENT_PREFIX).prefix_separator("__").separator("__");
        Self::read(&text, Some(environment))
    }

    /// Reads the text of a file, without the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault found.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::read(text, None)
    }

    fn read(text: &str, environment: Option<Environment>) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder().add_source(File::from_str(text, FileFormat::Toml));
        if let Some(environment) = environment {
            builder = builder.add_source(environment);
        }
        let tree = builder
            .build()
            .and_then(|built| built.cache.into_table())
            .map_err(|error| ConfigError(vec![error.to_string()]))?;
        let mut reader = Reader::new(tree);
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
    let id = reader.required("id");
    let data_dir = reader.path("data_dir").unwrap_or_default();
    let workers: usize = reader.parsed("workers", "a number");
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let drain = seconds(reader, "drain_seconds");
    let log_json = match reader.text("log.format").as_deref() {
        Some("json") => true,
        Some("text") => false,
        _ => {
            reader.fault("log.format", "must be `text` or `json`");
            false
        }
    };
    let log_filter = reader.text("log.filter").unwrap_or_default();
    let public = Listener::read(reader, "public");
    let signaling = Listener::read(reader, "signaling");
    let answer_within = Duration::from_millis(reader.parsed("signaling.answer_within_ms", "a number of milliseconds"));
    let local = Listener::read(reader, "local");
    let local_token = reader.secret("local.token");
    if local.as_ref().is_some_and(|listener| !listener.address.ip().is_loopback()) && local_token.is_none() {
        reader.fault("local.token", "is required when the listener is not on loopback");
    }
    let limits = Limits {
        max_request_body: reader.parsed("public.max_request_body_bytes", "a number of bytes"),
        pass_headers: header_names(reader),
        max_connections: reader.parsed("public.max_connections", "a number"),
        stall: Some(seconds(reader, "public.stall_seconds")).filter(|limit| !limit.is_zero()),
        inbox_max_file: reader.parsed("inbox.max_file_bytes", "a number of bytes"),
        inbox_max_files: reader.parsed("inbox.max_files", "a number"),
    };
    let control_plane_url = required_url(reader, "control_plane.url");
    let (control_plane_authorization, token_rules, announced) = authorization::read(reader, &id);
    let dialect = reader.text("control_plane.dialect").unwrap_or_default();
    let control_plane_dialect = Dialect::parse(&dialect).unwrap_or_else(|| {
        reader.fault("control_plane.dialect", "must be `rc2`, `rc3` or `rc4`");
        Dialect::default()
    });
    let datasets = datasets::read(reader);
    let danger_without_plan = flag(reader, "control_plane.danger_without_plan");
    if !danger_without_plan && !datasets.is_empty() {
        reader
            .fault("datasets", "are for control planes without plans; `control_plane.danger_without_plan` is not set");
    }
    let partners = Partners {
        danger_allow_private_addresses: flag(reader, "partners.danger_allow_private_addresses"),
        danger_allow_plain_http: flag(reader, "partners.danger_allow_plain_http"),
        authorities: authorities(reader, "partners.ca_file"),
    };
    let renewal = Renewal {
        offered: flag(reader, "renewal.offered"),
        access_token_seconds: reader.parsed("renewal.access_token_seconds", "a whole number of seconds"),
        required: flag(reader, "renewal.required"),
    };
    if renewal.access_token_seconds == 0 {
        reader.fault("renewal.access_token_seconds", "must be at least 1");
    }
    let subscriptions = subscriptions(reader);
    let timeouts = Timeouts {
        connect: seconds(reader, "upstream.connect_timeout_seconds"),
        head: seconds(reader, "upstream.head_timeout_seconds"),
        idle: seconds(reader, "upstream.idle_timeout_seconds"),
    };
    let upstream = Upstream {
        retries: reader.parsed("upstream.retries", "a number"),
        rest_after: reader.parsed("upstream.rest_after_failures", "a number"),
        rest: seconds(reader, "upstream.rest_seconds"),
    };
    let sharing = sharing(reader);
    let credentials = credentials::read(reader);
    let brokers = brokers::read(reader, &credentials);
    let file_roots = roots::read(reader, &credentials);
    let inbox_root = reader.text("inbox.root");
    if let Some(name) = inbox_root.as_ref().filter(|name| !file_roots.contains_key(*name)) {
        reader.fault("inbox.root", format!("there is no `file_roots.{name}`"));
    }
    let look_every = seconds(reader, "files.look_every_seconds").max(Duration::from_millis(100));
    Some(Config {
        id,
        data_dir,
        workers: if workers == 0 { cores } else { workers },
        drain,
        log_json,
        log_filter,
        public: public?,
        limits,
        signaling: signaling?,
        answer_within,
        local: local?,
        local_token,
        wait_for_address: Duration::from_millis(reader.parsed("local.wait_for_address_ms", "a number of milliseconds")),
        control_plane_url: control_plane_url?,
        control_plane_authorization: control_plane_authorization?,
        token_rules,
        announced,
        control_plane_dialect,
        without_plan: danger_without_plan.then_some(datasets),
        partners,
        renewal,
        subscriptions,
        timeouts,
        upstream,
        sharing,
        credentials,
        brokers,
        file_roots,
        inbox_root,
        look_every,
    })
}

pub(crate) fn flag(reader: &mut Reader, key: &str) -> bool {
    reader.parsed(key, "`true` or `false`")
}

fn seconds(reader: &mut Reader, key: &str) -> Duration {
    Duration::from_secs(reader.parsed(key, "a whole number of seconds"))
}

fn sharing(reader: &mut Reader) -> Sharing {
    let mut limit = |key: &str| NonZeroU32::new(reader.parsed(key, "a number"));
    Sharing {
        requests: limit("public.max_requests"),
        requests_each: limit("public.max_requests_per_partner"),
        rate_each: limit("public.requests_per_second_per_partner"),
        bytes_each: limit("public.bytes_per_second_per_partner"),
        queue_each: reader.parsed("public.queue_per_partner", "a number"),
        patience: seconds(reader, "public.queue_seconds"),
    }
}

fn subscriptions(reader: &mut Reader) -> Subscriptions {
    let mut urls = |key: &str| -> Vec<Url> {
        let text = reader.text(key).unwrap_or_default();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.filter_map(|item| parse_url(item).map_err(|fault| reader.fault(key, fault)).ok()).collect()
    };
    let receivers = urls("subscriptions.receivers");
    let broker_url = urls("subscriptions.broker_url").pop().map(|url| url.as_str().trim_end_matches('/').to_owned());
    Subscriptions {
        broker_url,
        receivers,
        most_per_flow: reader.parsed("subscriptions.most_per_flow", "a number"),
        keep_notifications: reader.parsed("subscriptions.keep_notifications", "a number"),
        keep_bytes: reader.parsed("subscriptions.keep_bytes", "a number of bytes"),
    }
}

/// An http or https address without credentials, query and fragment.
pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must be an http or https URL".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must be a URL without user, query and fragment".to_owned());
    }
    Ok(url)
}

pub(crate) fn required_url(reader: &mut Reader, key: &str) -> Option<Url> {
    let text = reader.required(key);
    if text.is_empty() {
        return None;
    }
    parse_url(&text).map_err(|fault| reader.fault(key, fault)).ok()
}

fn header_names(reader: &mut Reader) -> Arc<[String]> {
    let key = "public.pass_headers";
    let text = reader.text(key).unwrap_or_default();
    let mut names = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match http::HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => names.push(name.as_str().to_owned()),
            Err(_) => reader.fault(key, format!("`{name}` is no header name")),
        }
    }
    names.into()
}

fn authorities(reader: &mut Reader, key: &str) -> Vec<CertificateDer<'static>> {
    let Some(path) = reader.path(key) else { return Vec::new() };
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect);
    match read {
        Ok(list) if list.is_empty() => {
            reader.fault(key, format!("`{}` holds no certificate", path.display()));
            list
        }
        Ok(list) => list,
        Err(error) => {
            reader.fault(key, format!("cannot read `{}`: {error}", path.display()));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
