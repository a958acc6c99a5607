//! Settings of `hansa` for verifiable credentials.

use std::path::PathBuf;

use serde::Serialize;

/// Who we are and whom we believe.
#[derive(Clone, Debug, Serialize)]
pub struct Credentials {
    /// Our DID, which is the participant id.
    pub did: String,
    /// DID documents and credential services are called in plain HTTP.
    pub danger_allow_http: bool,
    /// They may be on loopback.
    pub danger_allow_loopback: bool,
    /// How long a status list is believed, seconds.
    pub status_cache_s: u32,
    /// Folder of our keys, when it is not the installation's own: replicas share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_dir: Option<PathBuf>,
    /// Whose credentials count.
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// Hosts that schemas are read from.
    pub schema_hosts: Vec<String>,
    /// Request ids under which credentials are taken that were not asked for.
    pub accepted_holder_pids: Vec<String>,
    /// Id and secret of the client of the token service.
    #[serde(skip)]
    pub token_client: Option<(String, String)>,
    /// The credentials that are issued; with one, the installation is an issuer.
    #[serde(skip)]
    pub issues: Vec<IssuedType>,
}

impl Credentials {
    /// A participant that trusts nobody and issues nothing. Everything is on loopback and in plain HTTP here, which a
    /// connector does not call unless told so.
    pub fn new(did: &str) -> Self {
        Self {
            did: did.to_owned(),
            danger_allow_http: true,
            danger_allow_loopback: true,
            status_cache_s: 1,
            keys_dir: None,
            trusted_issuers: Vec::new(),
            schema_hosts: Vec::new(),
            accepted_holder_pids: Vec::new(),
            token_client: None,
            issues: Vec::new(),
        }
    }
}

/// An issuer and the credential types that it is trusted for.
#[derive(Clone, Debug, Serialize)]
pub struct TrustedIssuer {
    issuer: String,
    types: Vec<String>,
}

impl TrustedIssuer {
    /// This issuer, trusted for these types.
    pub fn new(issuer: &str, types: &[&str]) -> Self {
        Self { issuer: issuer.to_owned(), types: types.iter().map(|&name| name.to_owned()).collect() }
    }
}

/// A credential type that is issued.
#[derive(Clone, Debug, Serialize)]
pub struct IssuedType {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    profile: String,
    validity_s: u32,
    partners: Vec<PartnerRule>,
}

#[derive(Clone, Debug, Serialize)]
struct PartnerRule {
    holder: &'static str,
    decision: &'static str,
}

impl IssuedType {
    /// Whoever asks gets one at once.
    pub fn for_everybody(kind: &str, profile: &str) -> Self {
        let partners = vec![PartnerRule { holder: "*", decision: "automatic" }];
        Self { id: kind.to_owned(), kind: kind.to_owned(), profile: profile.to_owned(), validity_s: 3600, partners }
    }
}

/// The did:web whose document is served on a port of this machine, below a path where one is given.
pub fn did_web(port: u16, path: &str) -> String {
    let path = if path.is_empty() { String::new() } else { format!(":{path}") };
    format!("did:web:localhost%3A{port}{path}")
}
