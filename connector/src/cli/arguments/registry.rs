//! Datasets, policies, offers, partners, data planes, webhooks.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::policy_tools::{CheckPolicy, DiffPolicies, EvalCase, ExplainPolicy, SimulatePolicy, TemplateCommand};
use super::{Id, Many};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DatasetCommand {
    /// Add a dataset, from a JSON file or from options
    Add(Box<NewDataset>),
    /// List datasets
    List(Many),
    /// Show a dataset
    Show(Id),
    /// Remove a dataset
    Remove(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewDataset {
    /// JSON file with the dataset
    #[arg(value_hint = ValueHint::FilePath, required_unless_present_any = ["http", "file"])]
    pub json_file: Option<PathBuf>,
    /// Its id; without it one is made
    #[arg(long, conflicts_with = "json_file")]
    pub id: Option<String>,
    /// Title for people
    #[arg(long, conflicts_with = "json_file")]
    pub title: Option<String>,
    /// Description for people
    #[arg(long, conflicts_with = "json_file")]
    pub description: Option<String>,
    /// Keyword; can be repeated
    #[arg(long = "keyword", value_name = "WORD", conflicts_with = "json_file")]
    pub keywords: Vec<String>,
    /// Base address of an HTTP API that has the data, such as an NGSI-LD broker
    #[arg(long, value_name = "URL", conflicts_with_all = ["json_file", "file"], value_hint = ValueHint::Url)]
    pub http: Option<String>,
    /// Credential for that API, as the data plane's configuration names it
    #[arg(long, value_name = "NAME", requires = "http")]
    pub credential: Option<String>,
    /// File or folder with the data: ROOT as the data plane's configuration names it, and the path below it
    #[arg(long, value_name = "ROOT/PATH", conflicts_with = "json_file")]
    pub file: Option<String>,
    /// A push of the files does not end: those that come later are sent when they are complete.
    #[arg(long, requires = "file")]
    pub standing: bool,
    /// Path that may be read; * stands for one segment, ** for anything below; can be repeated
    #[arg(long = "path", value_name = "PATTERN", conflicts_with = "json_file")]
    pub paths: Vec<String>,
    /// Format in which it can be had; can be repeated
    #[arg(long = "format", value_name = "FORMAT", conflicts_with = "json_file")]
    pub formats: Vec<String>,
    /// Media type of the data, such as text/csv
    #[arg(long = "media-type", value_name = "TYPE", conflicts_with = "json_file")]
    pub media_type: Option<String>,
    /// Collection that it is part of, by its IRI; policies may be about a collection; can be repeated
    #[arg(long = "part-of", value_name = "IRI", conflicts_with = "json_file")]
    pub part_of: Vec<String>,
    /// Replace the one with this id
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PolicyCommand {
    /// Add a policy, from an ODRL file or from options
    Add(NewPolicy),
    /// List policies
    List(Many),
    /// Show a policy
    Show(Id),
    /// Remove a policy
    Remove(Id),
    /// Look a policy over: errors, doubts, what is worth knowing; needs no control plane
    Check(CheckPolicy),
    /// Judge a case: policy, request and facts as JSON; needs no control plane
    Eval(EvalCase),
    /// Tell why a policy or an agreement decides as it does: which rule, which operand, which value
    Explain(Box<ExplainPolicy>),
    /// Tell what a policy would decide in a situation
    Simulate(Box<SimulatePolicy>),
    /// Tell which recorded decisions other terms would have changed
    Diff(DiffPolicies),
    /// Ready-made policies with blanks to fill in; needs no control plane
    Template {
        #[command(subcommand)]
        command: TemplateCommand,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewPolicy {
    /// JSON file with the policy; - for standard input
    #[arg(value_hint = ValueHint::FilePath, required_unless_present_any = ["permit", "prohibit", "file"])]
    pub json_file: Option<PathBuf>,
    /// The same as naming the file alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json_file", "permit", "prohibit"], value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Its id; without it one is made
    #[arg(long, conflicts_with_all = ["json_file", "file"])]
    pub id: Option<String>,
    /// Title for people
    #[arg(long, conflicts_with_all = ["json_file", "file"])]
    pub title: Option<String>,
    /// What is allowed, such as `use`
    #[arg(long, value_name = "ACTION", conflicts_with = "json_file")]
    pub permit: Option<String>,
    /// When it is allowed, such as 'membership eq active'; can be repeated, then all must hold
    #[arg(long = "where", value_name = "CONSTRAINT", requires = "permit")]
    pub constraints: Vec<String>,
    /// What is forbidden; can be repeated
    #[arg(long, value_name = "ACTION", conflicts_with = "json_file")]
    pub prohibit: Vec<String>,
    /// Replace the one with this id
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum OfferCommand {
    /// Offer a dataset under a policy
    Add(NewOffer),
    /// List offers
    List(Many),
    /// Show an offer
    Show(Id),
    /// Withdraw an offer; agreements stay
    Remove(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewOffer {
    /// The dataset
    #[arg(long, value_name = "ID")]
    pub dataset: String,
    /// The policy that becomes the contract
    #[arg(long, value_name = "ID")]
    pub policy: String,
    /// The policy that says who may see the offer; without it everybody who is known
    #[arg(long, value_name = "ID")]
    pub access_policy: Option<String>,
    /// Its id; without it one is made
    #[arg(long)]
    pub id: Option<String>,
    /// Decide on contract and transfer requests by commands
    #[arg(long)]
    pub manual: bool,
    /// Replace the one with this id
    #[arg(long, requires = "id")]
    pub replace: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PartnerCommand {
    /// Add a partner
    Add(NewPartner),
    /// List partners
    List(Many),
    /// Show a partner
    Show(Id),
    /// Remove a partner
    Remove(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewPartner {
    /// Its participant id
    pub id: String,
    /// Name for people; commands take it instead of the id
    #[arg(long)]
    pub name: Option<String>,
    /// Root of its connector; the version document there says the rest
    #[arg(long, value_name = "URL", required_unless_present = "base", conflicts_with = "base", value_hint = ValueHint::Url)]
    pub root: Option<String>,
    /// Base address of its DSP 2025-1 endpoints, when it has no version document
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub base: Option<String>,
    /// Replace the one with this id
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DataPlaneCommand {
    /// Register a data plane that does not register itself
    Add(NewDataPlane),
    /// List data planes
    List(Many),
    /// Show a data plane
    Show(Id),
    /// Remove a data plane
    Remove(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewDataPlane {
    /// Its id
    pub id: String,
    /// Base address of its signaling interface
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub endpoint: String,
    /// Profile that it serves; can be repeated; without it pull over HTTP
    #[arg(long = "profile", value_name = "IRI")]
    pub profiles: Vec<String>,
    /// Draft of Data Plane Signaling that it speaks
    #[arg(long, default_value = "rc3", value_parser = ["rc2", "rc3", "rc4"])]
    pub dialect: String,
    /// Label, as name=value; can be repeated
    #[arg(long = "label", value_name = "LABEL")]
    pub labels: Vec<String>,
    /// File with the Authorization header for it; without it the shared signaling token is sent
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub authorization_file: Option<PathBuf>,
    /// JSON file with `tokenEndpoint`, `clientId`, `clientSecret` and `jwksUri`: tokens by OAuth 2.0 client credentials
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "authorization_file")]
    pub oauth2_file: Option<PathBuf>,
    /// JSON file, `{}` at least, with what is asked of the broker of `token_exchange`: tokens by OAuth 2.0 token exchange
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["authorization_file", "oauth2_file"])]
    pub token_exchange_file: Option<PathBuf>,
    /// Send it no credentials at all
    #[arg(long, conflicts_with_all = ["authorization_file", "oauth2_file", "token_exchange_file"])]
    pub danger_no_authorization: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum WebhookCommand {
    /// Add a webhook
    Add(NewWebhook),
    /// List webhooks
    List(Many),
    /// Show a webhook
    Show(Id),
    /// Remove a webhook
    Remove(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewWebhook {
    /// Address that gets the events
    #[arg(value_hint = ValueHint::Url)]
    pub receiver: String,
    /// Kind of events, such as negotiation.finalized or transfer.*; can be repeated
    #[arg(long = "event", value_name = "KIND", required = true)]
    pub events: Vec<String>,
    /// Its id; without it one is made
    #[arg(long)]
    pub id: Option<String>,
    /// File with the secret that the events are signed with
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub secret_file: Option<PathBuf>,
}
