//! Our identity, verifiable credentials, issuance, trust.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::process::Patience;
use super::{ConfigFile, Id, Many};

/// Algorithms of keys that we make.
const ALGORITHMS: [&str; 3] = ["ES256", "ES384", "EdDSA"];

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum IdentityCommand {
    /// Make the keys of a DID before the first start, and print its document and what belongs into the configuration
    Init(InitIdentity),
    /// Show our DID, its services and keys
    Show,
    /// Make a new key; the one before keeps verifying what it signed for a while
    Rotate(RotateKey),
    /// Give a key up at once: everything that it signed becomes invalid
    Revoke(Id),
    /// Print our DID document, for a web server or a partner
    Export(ExportIdentity),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct InitIdentity {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Our DID, such as did:web:city.example; without it the one in the configuration
    #[arg(long)]
    pub did: Option<String>,
    /// Algorithm of the key
    #[arg(long, default_value = "ES256", value_parser = ALGORITHMS)]
    pub algorithm: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RotateKey {
    /// Algorithm of the new key; without it that of the current one
    #[arg(long, value_parser = ALGORITHMS)]
    pub algorithm: Option<String>,
    /// How many days the key before keeps verifying; without it until what it signed has expired
    #[arg(long, value_name = "DAYS")]
    pub keep_days: Option<u32>,
    /// Until when the key before keeps verifying, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "keep_days")]
    pub keep_until: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ExportIdentity {
    /// Print only the public keys, as a JWK set
    #[arg(long)]
    pub keys: bool,
    /// File to write; without it standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CredentialCommand {
    /// Ask an issuer for credentials and wait until they come
    Request(RequestCredentials),
    /// List our requests to issuers
    Requests(RequestList),
    /// List what issuers offer us
    Offers(Many),
    /// List the credentials that we hold, or that wait for a decision
    List(CredentialList),
    /// Show a credential and what it says
    Show(Id),
    /// Verify a credential as it would be when a partner presented it
    Verify(VerifyCredential),
    /// Accept a credential that nobody asked for
    Accept(Id),
    /// Remove a credential; it is presented no more
    Remove(Id),
    /// As issuer: take back a credential that we issued
    Revoke(IdAndWhy),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RequestCredentials {
    /// DID of the issuer
    pub issuer: String,
    /// Id in the issuer's metadata, or credential type; can be repeated
    #[arg(required = true, value_name = "CREDENTIAL")]
    pub credentials: Vec<String>,
    #[command(flatten)]
    pub patience: Patience,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RequestList {
    /// Only in this state: requested, issued or rejected
    #[arg(long)]
    pub state: Option<String>,
    /// Only to this issuer
    #[arg(long, value_name = "DID")]
    pub issuer: Option<String>,
    #[command(flatten)]
    pub many: Many,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CredentialList {
    /// Only in this state
    #[arg(long, value_parser = ["held", "pending"])]
    pub state: Option<String>,
    /// Only of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Only of this issuer
    #[arg(long, value_name = "DID")]
    pub issuer: Option<String>,
    #[command(flatten)]
    pub many: Many,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyCredential {
    /// File with a JWT or with JSON-LD; - is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The DID that it must have been issued to
    #[arg(long, value_name = "DID")]
    pub holder: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct IdAndWhy {
    /// Its id
    pub id: String,
    /// Why, for people
    #[arg(long)]
    pub reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum IssuanceCommand {
    /// List the requests for credentials that we issue
    List(IssuanceList),
    /// Show a request
    Show(Id),
    /// Issue what a request asks for
    Approve(Id),
    /// Refuse a request; the holder is told why
    Reject(IdAndWhy),
    /// List the credentials that we issued
    Issued(IssuanceList),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct IssuanceList {
    /// Only in this state
    #[arg(long)]
    pub state: Option<String>,
    /// Only of this holder
    #[arg(long, value_name = "DID")]
    pub holder: Option<String>,
    #[command(flatten)]
    pub many: Many,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TrustCommand {
    /// List the issuers that we trust, those of the configuration included
    List(Many),
    /// Trust an issuer, or replace what it is trusted for
    Add(NewTrust),
    /// Trust an issuer no more
    Remove(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewTrust {
    /// DID of the issuer
    pub issuer: String,
    /// Credential type that it may issue, * for all; can be repeated
    #[arg(long = "type", value_name = "TYPE", required = true)]
    pub types: Vec<String>,
    /// Claim that it may make about a holder; can be repeated; without it all
    #[arg(long = "claim", value_name = "NAME")]
    pub claims: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Doctor {
    /// Id or name of a partner, or any DID
    pub partner: String,
}
