//! Every setting of the control plane: name, kind, default, meaning. The reader and the reference in the manual are made from
//! this list, and a key that is not in it is refused.

use std::fmt::Write as _;

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IP address and port.
    Address,
    /// A number of bytes.
    Bytes,
    /// `true` or `false`.
    Flag,
    /// A whole number of milliseconds.
    Milliseconds,
    /// A whole number.
    Number,
    /// A path of a file or folder; a relative one begins at the folder of the configuration file.
    Path,
    /// A list of texts; in the environment separated by commas.
    List,
    /// A whole number of seconds.
    Seconds,
    /// A secret. The same key with `_file` names a file that holds it.
    Secret,
    /// A list of tables; in the environment a JSON array.
    Tables,
    /// Free text.
    Text,
    /// An http or https URL.
    Url,
}

impl Kind {
    /// In the words of the reference.
    pub fn words(self) -> &'static str {
        match self {
            Self::Address => "IP address and port",
            Self::Bytes => "bytes",
            Self::Flag => "`true` or `false`",
            Self::List => "list of texts",
            Self::Milliseconds => "milliseconds",
            Self::Number => "number",
            Self::Path => "path",
            Self::Seconds => "seconds",
            Self::Secret => "secret",
            Self::Tables => "list of tables",
            Self::Text => "text",
            Self::Url => "URL",
        }
    }
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key in the file, the section before the dot.
    pub key: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// The value when nothing is said; `None` where there is none.
    pub default: Option<&'static str>,
    /// What it does.
    pub meaning: &'static str,
}

const fn setting(key: &'static str, kind: Kind, default: Option<&'static str>, meaning: &'static str) -> Setting {
    Setting { key, kind, default, meaning }
}

/// All settings in the order of the reference.
pub const SETTINGS: &[Setting] = &[
    setting(
        "participant_id",
        Kind::Text,
        None,
        "Our id in the dataspace. Without it an id is made at the first start and kept in the data folder.",
    ),
    setting(
        "data_dir",
        Kind::Path,
        Some("hansa-data"),
        "Folder for the database and for what is made at the first start.",
    ),
    setting("log.format", Kind::Text, Some("text"), "`text` for people or `json`, one object in a line."),
    setting(
        "log.filter",
        Kind::Text,
        Some("info,actix_server=warn,sea_orm_migration=warn"),
        "What is logged, in the syntax of tracing's EnvFilter.",
    ),
    setting(
        "database.url",
        Kind::Secret,
        None,
        "`sqlite://PATH` or `postgres://…`. Without it `hansa.db` in the data folder.",
    ),
    setting(
        "dsp.listen",
        Kind::Address,
        Some("127.0.0.1:8282"),
        "Where the Dataspace Protocol is served, for partners.",
    ),
    setting(
        "dsp.public_url",
        Kind::Url,
        None,
        "The root of that listener as partners see it. Required unless it listens on loopback.",
    ),
    setting("dsp.cert_file", Kind::Path, None, "PEM certificate chain; with it the listener speaks TLS."),
    setting("dsp.key_file", Kind::Path, None, "PEM private key for the certificate."),
    setting(
        "dsp.danger_plain_http",
        Kind::Flag,
        Some("false"),
        "Allow HTTP without TLS outside loopback: behind a proxy that ends TLS only.",
    ),
    setting(
        "management.listen",
        Kind::Address,
        Some("127.0.0.1:8283"),
        "Where the management API is served, for operators.",
    ),
    setting(
        "management.token",
        Kind::Secret,
        None,
        "Bearer token of the management API, at least 16 characters. Without it one is made at the first start and shown once.",
    ),
    setting("management.cert_file", Kind::Path, None, "As for `dsp`."),
    setting("management.key_file", Kind::Path, None, "As for `dsp`."),
    setting("management.danger_plain_http", Kind::Flag, Some("false"), "As for `dsp`."),
    setting("signaling.listen", Kind::Address, Some("127.0.0.1:8284"), "Where data planes register and report."),
    setting(
        "signaling.public_url",
        Kind::Url,
        None,
        "That listener as data planes see it. Required unless it listens on loopback.",
    ),
    setting(
        "signaling.token",
        Kind::Secret,
        None,
        "Secret shared with our data planes, at least 16 characters. Without it one is made at the first start and kept in the data folder.",
    ),
    setting("signaling.cert_file", Kind::Path, None, "As for `dsp`."),
    setting("signaling.key_file", Kind::Path, None, "As for `dsp`."),
    setting("signaling.danger_plain_http", Kind::Flag, Some("false"), "As for `dsp`."),
    setting(
        "token_exchange.endpoint",
        Kind::Url,
        None,
        "Broker at which the token of this workload is exchanged for one that a data plane accepts (OAuth 2.0 token exchange). Must be https, or on loopback.",
    ),
    setting("token_exchange.issuer", Kind::Text, None, "Issuer of the broker's tokens. Required with an endpoint."),
    setting("token_exchange.jwks_uri", Kind::Url, None, "Where the broker's keys are read. Required with an endpoint."),
    setting(
        "token_exchange.subject_token_file",
        Kind::Path,
        None,
        "File with the token of this workload, as a platform renews it; read at each exchange. Required with an endpoint.",
    ),
    setting(
        "identity.danger_static_peers",
        Kind::Tables,
        None,
        "Partners that are known by a fixed token: `id`, `accepts_token` (it sends this to us), `sends_token` (we send this to it), `claims` (what policies are decided with). Both tokens can be given as a file, too.",
    ),
    setting(
        "identity.did",
        Kind::Text,
        None,
        "Our DID, `did:web:HOST` or `did:web:HOST:PATH`, and with it our participant id. With it, partners are known by their verifiable credentials (DCP); its document is served by the `dsp` listener.",
    ),
    setting(
        "identity.keys_dir",
        Kind::Path,
        None,
        "Folder of our private keys, which `hansa identity init` makes. Without it `keys` in the data folder.",
    ),
    setting(
        "identity.vault_url",
        Kind::Url,
        None,
        "HashiCorp Vault or OpenBao whose transit engine holds our private keys: https, or http on loopback. Needs a program built with the feature `vault`.",
    ),
    setting(
        "identity.vault_token",
        Kind::Secret,
        None,
        "Token for it. A file is read again when the token is refused, so that an agent can renew it.",
    ),
    setting("identity.vault_mount", Kind::Text, Some("transit"), "Where its transit engine is mounted."),
    setting(
        "identity.vault_key",
        Kind::Text,
        None,
        "Name of the transit key, of this installation alone; letters, digits, `-` and `_`.",
    ),
    setting(
        "identity.scopes",
        Kind::List,
        Some("org.eclipse.dspace.dcp.vc.type:MembershipCredential:read"),
        "Which credentials every caller has to present. What a policy needs beyond them is asked for when it is decided.",
    ),
    setting(
        "identity.token_lifetime_s",
        Kind::Seconds,
        Some("300"),
        "How long the self-issued ID tokens that we send are valid.",
    ),
    setting("identity.clock_leeway_s", Kind::Number, Some("30"), "How far a partner's clock may differ, in seconds."),
    setting("identity.did_cache_s", Kind::Seconds, Some("300"), "How long a DID document is believed."),
    setting(
        "identity.status_cache_s",
        Kind::Seconds,
        Some("60"),
        "How long a status list is believed: a revocation is noticed within this time, in running transfers too.",
    ),
    setting(
        "identity.presentation_cache_s",
        Kind::Seconds,
        Some("300"),
        "How long a verified presentation is believed, unless a part of it ends before.",
    ),
    setting(
        "identity.trusted_issuers",
        Kind::Tables,
        None,
        "Whose credentials count: `issuer` (a DID), `types` (credential types, `*` for all), `claims` (what it may speak of; all without it). Further ones can be added by `hansa trust add`.",
    ),
    setting(
        "identity.trusted_issuers_file",
        Kind::Path,
        None,
        "JSON file with further ones: `{\"issuers\": [{\"did\": …, \"credentials\": [{\"type\": …, \"claims\": […]}]}]}`, `claims` left out for all; read again when it changes.",
    ),
    setting(
        "identity.trusted_issuers_registry",
        Kind::Url,
        None,
        "Root of a trusted-issuers registry (EBSI TIR v4, read interface).",
    ),
    setting(
        "identity.schema_hosts",
        Kind::List,
        None,
        "Hosts from which a `credentialSchema` is fetched. A credential with a schema elsewhere is refused.",
    ),
    setting(
        "identity.accepted_holder_pids",
        Kind::List,
        None,
        "Request ids under which a trusted issuer may deliver credentials that we have not asked for. Others wait for an operator.",
    ),
    setting(
        "identity.sts_client_id",
        Kind::Text,
        None,
        "Client of the token service (`/sts/token` of the `management` listener), if there is one.",
    ),
    setting("identity.sts_client_secret", Kind::Secret, None, "Secret of that client, at least 16 characters."),
    setting(
        "identity.danger_allow_http",
        Kind::Flag,
        Some("false"),
        "Resolve DIDs and call credential services by plain http.",
    ),
    setting(
        "identity.danger_allow_loopback",
        Kind::Flag,
        Some("false"),
        "Let DIDs, credential services, status lists and schemas lead to loopback and private hosts.",
    ),
    setting(
        "issuer.credentials",
        Kind::Tables,
        None,
        "Credentials that we issue; with one or more, this installation is an issuer. `id`, `type`, `profile` (`vc11-sl2021/jwt`, the default, or `vc20-bssl/jwt`), `validity_s`, `contexts`, `schema`, `claims` (for every holder), and `partners`: who may have it, by `holder` (a DID, `*` for any), `decision` (`automatic` or `manual`, the default) and `claims` (over those for everyone).",
    ),
    setting(
        "partners.danger_allow_private_addresses",
        Kind::Flag,
        Some("false"),
        "Let addresses of partners lead to loopback, private and link-local hosts: demos and closed networks only.",
    ),
    setting(
        "partners.danger_allow_plain_http",
        Kind::Flag,
        Some("false"),
        "Let addresses of partners be `http:` outside loopback.",
    ),
    setting(
        "partners.ca_file",
        Kind::Path,
        None,
        "PEM certificates of further authorities that servers of partners and data planes may use.",
    ),
    setting("partners.answer_timeout_s", Kind::Seconds, Some("30"), "Longest wait for a partner's whole answer."),
    setting("partners.max_answer_bytes", Kind::Bytes, Some("33554432"), "Largest answer of a partner that is read."),
    setting(
        "delivery.initial_backoff_ms",
        Kind::Milliseconds,
        Some("200"),
        "Pause before a message is sent again the first time; it doubles each time, with jitter.",
    ),
    setting("delivery.max_backoff_s", Kind::Seconds, Some("60"), "Longest such pause."),
    setting(
        "delivery.not_found_grace_s",
        Kind::Seconds,
        Some("10"),
        "How long 404 and 409 are taken for a partner that still stores the step before.",
    ),
    setting(
        "delivery.give_up_after_s",
        Kind::Seconds,
        Some("86400"),
        "When delivery of a message is given up and its process ends.",
    ),
    setting("delivery.concurrency", Kind::Number, Some("64"), "Messages that are sent at the same time."),
    setting(
        "transfer.data_plane_patience_s",
        Kind::Seconds,
        Some("60"),
        "How long a transfer waits for a data plane that cannot be reached.",
    ),
    setting(
        "transfer.token_lifetime_s",
        Kind::Seconds,
        Some("86400"),
        "How long a token for a data flow is valid at most; a transfer that is suspended and resumed gets a new one.",
    ),
    setting(
        "policy.areas",
        Kind::Path,
        None,
        "GeoJSON file (a FeatureCollection) of areas that policies may name by the `id` of the feature; read at start.",
    ),
    setting(
        "policy.decision_record_days",
        Kind::Number,
        Some("90"),
        "How long records of decisions are kept, in days.",
    ),
    setting(
        "policy.site_modules",
        Kind::Path,
        None,
        "Folder of our own rules: Rego modules (`*.rego`) of the package `site`, whose set `deny` closes what an agreement opens; read again when they change.",
    ),
    setting("catalog.page_size", Kind::Number, Some("50"), "Datasets on one page of our catalog."),
    setting("limits.body_bytes", Kind::Bytes, Some("1048576"), "Largest body of a request to any listener."),
    setting("limits.json_depth", Kind::Number, Some("64"), "Deepest nesting of JSON in a request."),
    setting(
        "limits.request_timeout_s",
        Kind::Seconds,
        Some("30"),
        "Longest time that a client may take for the head of its request.",
    ),
];

/// The reference of all settings as a Markdown table.
pub fn reference() -> String {
    let mut text = String::from("| Setting | Kind | Default | Meaning |\n| --- | --- | --- | --- |\n");
    for setting in SETTINGS {
        let name = match setting.kind {
            Kind::Secret => format!("`{0}`, `{0}_file`", setting.key),
            _ => format!("`{}`", setting.key),
        };
        let default = setting.default.map_or_else(|| "–".to_owned(), |value| format!("`{value}`"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {name} | {} | {default} | {} |", setting.kind.words(), setting.meaning);
    }
    text
}

/// The setting with this key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
