//! Verifiable credentials (DCP 1.0.1): our DID and keys, our credential service, our issuer service, and how partners are
//! verified. The rules are in `identity`; here are its parts put together, and what they keep in the database.

pub(crate) mod diagnosis;
pub(crate) mod holder;
pub(crate) mod issuer;
pub(crate) mod known_issuers;
pub(crate) mod operate;

mod key_home;
mod keys;
mod trust;
#[cfg(feature = "vault")]
mod vault;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use identity::credential::CredentialVerifier;
use identity::dcp::DcpClient;
use identity::dcp::holder::{Holder, HolderSettings, Unsolicited};
use identity::dcp::issuer::Issuer;
use identity::dcp::sts::{Sts, StsClient, StsSettings};
use identity::dcp::{Dcp, DcpParts, DcpSettings};
use identity::did::{Did, DidResolver, DidSettings, OwnService};
use identity::keys::FileKeyStore;
use identity::presentation::PresentationVerifier;
use identity::schema::SchemaChecker;
use identity::status::StatusChecker;
use identity::token::{ReplayMemory, TokenValidator};
use identity::trust::{AnyOf, IssuerList, IssuerRegistry, TrustedIssuers};
use identity::{Clock, Fetch, SystemClock};

pub(crate) use key_home::KeyHome;
pub(crate) use keys::OwnKeys;
use trust::{Reread, Stored};
pub(crate) use watch::run as watch;

use crate::config::Config;
use crate::fetch::{FetchSettings, Fetcher};
use crate::store::{DEFAULT_CONTEXT, Store};

/// Path of the credential service below the root.
pub(crate) const CREDENTIAL_SERVICE: &str = "/dcp";
/// Path of the issuer service below the root.
pub(crate) const ISSUER_SERVICE: &str = "/issuer";
/// Path of status lists below the root.
pub(crate) const STATUS_LISTS: &str = "/status";
/// How long what a trusted-issuers registry said is believed, seconds.
const REGISTRY_TTL_S: i64 = 300;
/// How long a status list of ours is served without making it anew.
const LIST_KEPT: Duration = Duration::from_secs(2);
/// Tokens of callers that are remembered at a time.
const MAX_REPLAY: usize = 1_000_000;

/// Everything that verifiable credentials need while the program runs.
pub(crate) struct DcpServices {
    /// Our DID.
    pub did: Did,
    /// The root of our listener for partners, as they see it.
    pub root: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Calls addresses that others named.
    pub fetcher: Fetcher,
    /// Our keys.
    pub keys: OwnKeys,
    /// Finds DID documents.
    pub resolver: Arc<DidResolver>,
    /// Checks ID tokens.
    pub tokens: Arc<TokenValidator>,
    /// Checks status lists.
    pub status: Arc<StatusChecker>,
    /// Checks credentials.
    pub credentials: Arc<CredentialVerifier>,
    /// Whom we believe.
    pub trust: Arc<dyn TrustedIssuers>,
    /// The part of it that operators change.
    pub stored_trust: Arc<Reread<Stored>>,
    /// Presents our credentials and takes new ones.
    pub holder: Holder,
    /// Issues, where there is anything to issue.
    pub issuer: Option<Issuer>,
    /// Gives tokens to our own programs, where there is a client.
    pub sts: Option<Sts>,
    /// Our status lists as they were published last.
    pub lists: moka::future::Cache<String, Arc<str>>,
    /// Calls services of others.
    pub client: DcpClient,
    /// Says who is calling.
    pub identity: Arc<Dcp>,
}

impl DcpServices {
    /// Puts the parts together.
    ///
    /// # Errors
    /// A sentence: keys that are missing or unsafe, a secret store that does not sign, a list that cannot be used.
    pub(crate) async fn open(config: &Config, did: Did, root: &str, store: &Store) -> Result<Self, String> {
        let settings = &config.identity;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let fetcher = fetcher(config)?;
        let fetch: Arc<dyn Fetch> = Arc::new(fetcher.clone());
        let folder = FileKeyStore::new(&settings.keys_dir);
        let home = KeyHome::of(config)?;
        let keys = OwnKeys::open(did.clone(), services(config, root), folder, home, clock.clone()).await?;
        let signer = keys.signer();
        let resolver = Arc::new(DidResolver::new(
            fetch.clone(),
            clock.clone(),
            DidSettings {
                ttl_s: u32::try_from(settings.did_cache_s).unwrap_or(u32::MAX),
                allow_http: settings.danger_allow_http,
            },
        ));
        keys.publish(&resolver)?;
        let stored_trust = Arc::new(Reread::new(Stored { store: store.clone(), context: DEFAULT_CONTEXT }));
        let trust = trusted(config, &fetch, &clock, stored_trust.clone())?;
        let replay = Arc::new(ReplayMemory::new(MAX_REPLAY));
        let leeway = settings.clock_leeway_s;
        let tokens = TokenValidator::new(resolver.clone(), clock.clone(), replay).with_limits(leeway, MAX_TOKEN_LIFE_S);
        let tokens = Arc::new(tokens);
        // Half of it for the list, half until `watch` looks again: together what the setting promises.
        let status_ttl = i64::try_from(settings.status_cache_s / 2).unwrap_or(i64::MAX).max(1);
        let status =
            Arc::new(StatusChecker::new(fetch.clone(), resolver.clone(), trust.clone(), clock.clone(), status_ttl));
        let schemas = Arc::new(SchemaChecker::new(fetch.clone(), settings.schema_hosts.clone(), clock.clone()));
        let credentials = Arc::new(CredentialVerifier::new(
            resolver.clone(),
            status.clone(),
            schemas,
            trust.clone(),
            clock.clone(),
            leeway,
        ));
        let presentations =
            Arc::new(PresentationVerifier::new(credentials.clone(), resolver.clone(), clock.clone(), leeway));
        let identity = Arc::new(Dcp::new(
            DcpParts {
                own: did.clone(),
                signer: signer.clone(),
                resolver: resolver.clone(),
                fetch: fetch.clone(),
                clock: clock.clone(),
                tokens: tokens.clone(),
                presentations,
                trust: trust.clone(),
            },
            DcpSettings {
                default_scopes: settings.scopes.clone(),
                token_lifetime_s: settings.token_lifetime_s,
                presentation_reuse_s: i64::try_from(settings.presentation_cache_s).unwrap_or(i64::MAX),
                ..DcpSettings::default()
            },
        ));
        let holder = Holder::new(
            did.clone(),
            signer.clone(),
            resolver.clone(),
            clock.clone(),
            HolderSettings {
                accepted_holder_pids: settings.accepted_holder_pids.iter().cloned().collect(),
                unsolicited: Unsolicited::Hold,
                ..HolderSettings::default()
            },
        );
        let issuer = match config.issuer.as_slice() {
            [] => None,
            list => Some(
                Issuer::new(did.clone(), signer.clone(), clock.clone(), list.to_vec())
                    .map_err(|error| error.to_string())?,
            ),
        };
        let sts = match &settings.sts_client {
            None => None,
            Some((id, secret)) => {
                let clients = [StsClient { id: id.clone(), secret: secret.clone() }];
                let lifetimes = StsSettings { token_lifetime_s: settings.token_lifetime_s, ..StsSettings::default() };
                let sts = Sts::new(did.clone(), signer.clone(), clock.clone(), &clients, lifetimes);
                Some(sts.map_err(|error| error.to_string())?)
            }
        };
        let client = DcpClient::new(
            did.clone(),
            signer,
            resolver.clone(),
            fetch.clone(),
            clock.clone(),
            settings.token_lifetime_s,
        );
        Ok(Self {
            root: root.trim_end_matches('/').to_owned(),
            did,
            clock,
            fetcher,
            keys,
            resolver,
            tokens,
            status,
            credentials,
            trust,
            stored_trust,
            holder,
            issuer,
            sts,
            lists: moka::future::Cache::builder().max_capacity(1000).time_to_live(LIST_KEPT).build(),
            client,
            identity,
        })
    }
}

/// The longest life of a caller's ID token, seconds: it bounds what has to be remembered against replay.
const MAX_TOKEN_LIFE_S: i64 = 3600;

fn fetcher(config: &Config) -> Result<Fetcher, String> {
    Fetcher::new(FetchSettings {
        allow_private_addresses: config.identity.danger_allow_loopback,
        allow_plain_http: config.identity.danger_allow_http,
        loopback_needs_tls: true,
        ca_file: config.outbound.ca_file.clone(),
        timeout: config.outbound.answer_timeout,
        max_answer_bytes: config.outbound.max_answer_bytes,
    })
}

/// What our DID document announces (DCP 1.0.1, 3.1).
pub(crate) fn services(config: &Config, root: &str) -> Vec<OwnService> {
    let root = root.trim_end_matches('/');
    let service =
        |name: &str, path: &str| OwnService { service_type: name.to_owned(), endpoint: format!("{root}{path}") };
    let mut services =
        vec![service("CredentialService", CREDENTIAL_SERVICE), service("DataService", "/.well-known/dspace-version")];
    if !config.issuer.is_empty() {
        services.push(service("IssuerService", ISSUER_SERVICE));
    }
    services
}

fn trusted(
    config: &Config,
    fetch: &Arc<dyn Fetch>,
    clock: &Arc<dyn Clock>,
    stored: Arc<Reread<Stored>>,
) -> Result<Arc<dyn TrustedIssuers>, String> {
    let settings = &config.identity;
    let fixed = IssuerList::new(trust::of_config(&settings.trusted_issuers)).map_err(|error| error.to_string())?;
    let mut lists: Vec<Arc<dyn TrustedIssuers>> = vec![Arc::new(fixed), stored];
    if let Some(path) = &settings.trusted_issuers_file {
        lists.push(Arc::new(Reread::new(trust::InFile(path.clone()))));
    }
    if let Some(url) = &settings.trusted_issuers_registry {
        lists.push(Arc::new(IssuerRegistry::new(fetch.clone(), clock.clone(), url.clone(), REGISTRY_TTL_S)));
    }
    Ok(Arc::new(AnyOf::new(lists)))
}
