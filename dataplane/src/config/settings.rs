//! Every setting of the data plane: name, default, meaning. The reader and the reference in the docs are made from it.

use std::fmt::Write as _;

/// One setting, or one pattern of settings where the name holds `NAME`.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key in the file, sections before the dot.
    pub key: &'static str,
    /// The value when nothing is said; `None` where there is none.
    pub default: Option<&'static str>,
    /// What it does, with the unit.
    pub meaning: &'static str,
}

const fn setting(key: &'static str, default: Option<&'static str>, meaning: &'static str) -> Setting {
    Setting { key, default, meaning }
}

/// All settings in the order of the reference.
pub const SETTINGS: &[Setting] = &[
    setting("id", None, "Name under which this data plane registers with its control plane. Required."),
    setting("data_dir", Some("hansa-dataplane-data"), "Folder for the embedded store and for received files."),
    setting("workers", Some("0"), "Threads for each of the public and local listeners; 0 means one for each core."),
    setting("drain_seconds", Some("10"), "How long running requests may go on after SIGTERM."),
    setting("log.format", Some("text"), "`text` for people or `json`, one object in a line."),
    setting(
        "log.filter",
        Some("info,actix_http=off,actix_server=warn"),
        "What is logged, in the syntax of tracing's EnvFilter.",
    ),
    setting("public.listen", Some("127.0.0.1:8290"), "Address of the listener for partners."),
    setting("public.public_url", None, "Its address as partners see it. Required unless it listens on loopback."),
    setting("public.cert_file", None, "PEM certificate chain; with it the listener speaks TLS."),
    setting("public.key_file", None, "PEM private key for the certificate."),
    setting(
        "public.danger_plain_http",
        Some("false"),
        "Allow HTTP without TLS outside loopback: behind a TLS-ending proxy only.",
    ),
    setting("public.max_request_body_bytes", Some("16777216"), "Largest body that a partner may send to a source."),
    setting("public.pass_headers", Some(""), "Further request headers that reach a source, comma-separated."),
    setting("public.max_connections", Some("10000"), "Open connections for each thread; more have to wait."),
    setting(
        "public.max_requests",
        Some("0"),
        "Most requests of partners that are answered at once; more wait, and partners take turns. 0: no limit.",
    ),
    setting(
        "public.max_requests_per_partner",
        Some("0"),
        "Most of them of one partner. Less than `public.max_requests`, so that one partner's long downloads leave room. 0: no limit.",
    ),
    setting("public.queue_per_partner", Some("100"), "Most requests of one partner that wait; beyond it, 429."),
    setting("public.queue_seconds", Some("10"), "Longest time that a request waits for its turn; after it, 503."),
    setting("public.requests_per_second_per_partner", Some("0"), "Requests of one partner on average. 0: no limit."),
    setting(
        "public.bytes_per_second_per_partner",
        Some("0"),
        "Bytes of answers to one partner on average; streams are slowed down to it. 0: no limit.",
    ),
    setting(
        "public.stall_seconds",
        Some("120"),
        "How long a reader may leave bytes untaken before its connection is closed, also of the local listener. 0: for ever.",
    ),
    setting("signaling.listen", Some("127.0.0.1:8291"), "Address of the listener for the control plane."),
    setting("signaling.public_url", None, "Its address as the control plane sees it. Required unless on loopback."),
    setting(
        "signaling.answer_within_ms",
        Some("2000"),
        "How long prepare and start may take; after it they are answered with 202 and a callback follows. 0: always.",
    ),
    setting("signaling.cert_file", None, "As for `public`."),
    setting("signaling.key_file", None, "As for `public`."),
    setting("signaling.danger_plain_http", Some("false"), "As for `public`."),
    setting("local.listen", Some("127.0.0.1:8292"), "Address of the listener for our own readers of partners' data."),
    setting("local.public_url", None, "Its address as our readers see it. Required unless on loopback."),
    setting("local.cert_file", None, "As for `public`."),
    setting("local.key_file", None, "As for `public`."),
    setting("local.danger_plain_http", Some("false"), "As for `public`."),
    setting("local.token", None, "Bearer token that readers must send. Required outside loopback."),
    setting("local.token_file", None, "File with that token."),
    setting(
        "local.wait_for_address_ms",
        Some("10000"),
        "How long a read waits for the provider's new address while the data plane that had the flow is gone, where the provider moves flows; 0: not at all.",
    ),
    setting("control_plane.url", None, "Signaling address of the control plane. Required."),
    setting(
        "control_plane.token",
        None,
        "Secret shared with the control plane, at least 16 characters. Required here or as a file, unless `oauth2` or `exchange` is set.",
    ),
    setting("control_plane.token_file", None, "File with that secret."),
    setting(
        "control_plane.id",
        None,
        "Id of the control plane, which is the subject of its tokens. Required with `oauth2` and `exchange`.",
    ),
    setting(
        "control_plane.oauth2.token_endpoint",
        None,
        "Instead of a shared secret: where we get tokens for the control plane by OAuth 2.0 client credentials. Must be https, or on loopback.",
    ),
    setting("control_plane.oauth2.client_id", None, "Our client id there."),
    setting("control_plane.oauth2.client_secret", None, "Our secret there."),
    setting("control_plane.oauth2.client_secret_file", None, "File with that secret."),
    setting("control_plane.oauth2.scope", None, "Scope that we ask for."),
    setting("control_plane.oauth2.issuer", None, "Issuer of the control plane's tokens; any when nothing is said."),
    setting(
        "control_plane.oauth2.jwks_uri",
        None,
        "Where the keys are read that sign the control plane's tokens. Required here or as a file.",
    ),
    setting("control_plane.oauth2.jwks_file", None, "File with those keys, a JSON Web Key set."),
    setting(
        "control_plane.single_use_tokens",
        Some("false"),
        "Each token of client credentials counts once, by its `jti`, and we get a new one for each call.",
    ),
    setting(
        "control_plane.danger_unverified_tokens",
        Some("false"),
        "Believe tokens of control planes that name no keys, without a look at their signature.",
    ),
    setting(
        "control_plane.exchange.endpoint",
        None,
        "Instead of a shared secret: the broker at which the token of this workload is exchanged for one that the control plane accepts (OAuth 2.0 token exchange). Must be https, or on loopback.",
    ),
    setting("control_plane.exchange.issuer", None, "Issuer of the broker's tokens."),
    setting("control_plane.exchange.jwks_uri", None, "Where the broker's keys are read."),
    setting(
        "control_plane.exchange.subject_token_file",
        None,
        "File with the token of this workload, as a platform renews it; read at each exchange.",
    ),
    setting("control_plane.exchange.resource", None, "Address of the service that the token is asked for."),
    setting(
        "control_plane.exchange.audience",
        None,
        "Name of the service that the token is asked for; `control_plane.id` when nothing is said.",
    ),
    setting("control_plane.exchange.scope", None, "Scope that we ask for."),
    setting(
        "control_plane.exchange.accept_subject",
        None,
        "Subject that the control plane's tokens must have; `control_plane.id` when nothing is said.",
    ),
    setting("control_plane.exchange.accept_audience", None, "Audience that they must have; `id` when nothing is said."),
    setting("control_plane.exchange.accept_scope", None, "Scopes that they must hold, separated by spaces."),
    setting(
        "control_plane.exchange.accept_participant_context",
        None,
        "Participant context that they must name; none is asked for when nothing is said.",
    ),
    setting(
        "signaling.oauth2.token_endpoint",
        None,
        "Told in our registration: where the control plane gets tokens for us by client credentials.",
    ),
    setting("signaling.oauth2.client_id", None, "The control plane's client id there."),
    setting("signaling.oauth2.client_secret", None, "The control plane's secret there."),
    setting("signaling.oauth2.client_secret_file", None, "File with that secret."),
    setting("signaling.oauth2.jwks_uri", None, "Where the keys are read that sign our tokens."),
    setting(
        "control_plane.dialect",
        Some("rc3"),
        "Draft of Data Plane Signaling in which we register: `rc2`, `rc3` or `rc4`. What comes is understood in all three.",
    ),
    setting(
        "control_plane.danger_without_plan",
        Some("false"),
        "Start flows of the datasets below `datasets` for a control plane that sends no enforcement plan. Agreements are then enforced by its signals alone.",
    ),
    setting("datasets.NAME.id", None, "Id by which such a control plane names a dataset."),
    setting("datasets.NAME.base_url", None, "Address of its HTTP source."),
    setting("datasets.NAME.credential", None, "Credential for that source, of `credentials`."),
    setting("datasets.NAME.root", None, "Instead of an address: the place of its files, of `file_roots`."),
    setting("datasets.NAME.path", None, "Path below that place; all of it when left out."),
    setting(
        "datasets.NAME.paths",
        None,
        "Paths that may be read, comma-separated, as in `admission`; all when left out.",
    ),
    setting(
        "partners.danger_allow_private_addresses",
        Some("false"),
        "Let data addresses of partners lead to loopback, private and link-local hosts: demos and closed networks only.",
    ),
    setting(
        "partners.danger_allow_plain_http",
        Some("false"),
        "Let data addresses of partners be `http:` outside loopback.",
    ),
    setting(
        "partners.ca_file",
        None,
        "PEM certificates of further authorities that partners' and sources' servers may use.",
    ),
    setting(
        "renewal.offered",
        Some("false"),
        "Give partners that are known by their DIDs short-lived tokens for pulls, which they renew while the transfer runs.",
    ),
    setting("renewal.access_token_seconds", Some("300"), "Life of such a token."),
    setting(
        "renewal.required",
        Some("false"),
        "Refuse a partner's address for a pull when its token cannot be renewed.",
    ),
    setting("upstream.connect_timeout_seconds", Some("10"), "Longest wait for a connection to a source or a partner."),
    setting("upstream.head_timeout_seconds", Some("60"), "Longest wait for the head of an answer."),
    setting(
        "upstream.idle_timeout_seconds",
        Some("60"),
        "Longest pause inside the body of an answer, or of what a partner pushes.",
    ),
    setting(
        "upstream.retries",
        Some("2"),
        "How often a GET or HEAD is sent again when there was no connection or it closed before an answer; after 50 ms, 100 ms and so on.",
    ),
    setting(
        "upstream.rest_after_failures",
        Some("5"),
        "After so many failed requests in a row a source or a partner is left alone for a while, and requests to it are answered with 503. 0: never.",
    ),
    setting("upstream.rest_seconds", Some("5"), "How long; then one request tries."),
    setting("inbox.max_file_bytes", Some("10737418240"), "Largest body that a partner may push."),
    setting("inbox.max_files", Some("10000"), "Most files that one flow may push."),
    setting(
        "inbox.root",
        None,
        "Name of the file root that pushed files go to; a folder in `data_dir` when nothing is said.",
    ),
    setting("credentials.NAME.url_prefix", None, "The credential is sent only to addresses that begin with this."),
    setting("credentials.NAME.authorization", None, "Value of the `Authorization` header for the source."),
    setting("credentials.NAME.authorization_file", None, "File with that value."),
    setting(
        "credentials.NAME.tenant",
        None,
        "Fixed `NGSILD-Tenant` for the source; the caller's own is then not passed.",
    ),
    setting("credentials.NAME.access_key_id", None, "Access key of an S3-compatible store."),
    setting("credentials.NAME.secret_access_key", None, "The secret that belongs to it."),
    setting("credentials.NAME.secret_access_key_file", None, "File with that secret."),
    setting("credentials.NAME.user", None, "Our name at an SFTP server."),
    setting(
        "credentials.NAME.private_key_file",
        None,
        "OpenSSH private key for it, without a passphrase; tried first.",
    ),
    setting("credentials.NAME.password", None, "Password for it."),
    setting("credentials.NAME.password_file", None, "File with that password."),
    setting("brokers.NAME.url", None, "Address of an NGSI-LD broker of ours that data can be delivered to."),
    setting("brokers.NAME.credential", None, "Credential for it, of `credentials`."),
    setting("brokers.NAME.tenant", None, "Tenant there; the credential's when nothing is said."),
    setting(
        "brokers.NAME.context",
        Some("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"),
        "Context in which names are read and written. With the core context they are written in full where they have to be.",
    ),
    setting(
        "brokers.NAME.reconcile_seconds",
        Some("900"),
        "Time between two passes that compare a mirror with all that the partner shows.",
    ),
    setting(
        "brokers.NAME.local_url",
        None,
        "Address of the local listener as this broker sees it, for context sources; `local.public_url` when nothing is said.",
    ),
    setting("brokers.NAME.most_entities", Some("1000000"), "Most entities of one mirror."),
    setting("file_roots.NAME", None, "Folder that datasets may name by NAME."),
    setting(
        "file_roots.NAME.url",
        None,
        "Instead of a folder: `s3://BUCKET/PREFIX`, `sftp://HOST:PORT/PATH`, or the http or https address that files lie below.",
    ),
    setting("file_roots.NAME.credential", None, "Name of the credential for it. Required for `sftp:`."),
    setting("file_roots.NAME.endpoint", None, "Address of the S3-compatible store. Required for `s3:`."),
    setting(
        "file_roots.NAME.region",
        Some("us-east-1"),
        "Region that requests to the S3-compatible store are signed for.",
    ),
    setting(
        "file_roots.NAME.host_key_file",
        None,
        "The SFTP server's host keys, in the form of `known_hosts`; others are refused. Required for `sftp:`.",
    ),
    setting(
        "files.look_every_seconds",
        Some("10"),
        "Time between two looks for new files of a standing push, in places that do not tell of changes.",
    ),
    setting(
        "subscriptions.broker_url",
        None,
        "Address of the local listener as our brokers see it, for their notifications; `local.public_url` when nothing is said.",
    ),
    setting(
        "subscriptions.receivers",
        Some(""),
        "Addresses below which programs of ours may have notifications sent, comma-separated; on this machine only when empty.",
    ),
    setting("subscriptions.most_per_flow", Some("1000"), "Most subscriptions of one transfer."),
    setting(
        "subscriptions.keep_notifications",
        Some("10000"),
        "Most notifications that wait on one transfer's way; beyond it the oldest are dropped.",
    ),
    setting("subscriptions.keep_bytes", Some("67108864"), "Most bytes of them, held in memory and on disk."),
];

/// The reference of all settings as a Markdown table.
pub fn reference() -> String {
    let mut text = String::from("| Setting | Default | Meaning |\n| --- | --- | --- |\n");
    for setting in SETTINGS {
        let default = match setting.default {
            Some("") | None => "–".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{}` | {} | {} |", setting.key, default, setting.meaning);
    }
    text
}

/// The setting with this key; `NAME` in a pattern stands for any name.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| {
        setting.key == key
            || (setting.key.contains("NAME")
                && setting.key.split('.').count() == key.split('.').count()
                && setting
                    .key
                    .split('.')
                    .zip(key.split('.'))
                    .all(|(pattern, part)| pattern == "NAME" || pattern == part))
    })
}
