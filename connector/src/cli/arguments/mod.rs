//! What can be typed.

mod identity;
mod policy_tools;
mod process;
mod registry;
mod terms;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

pub(super) use identity::{
    CredentialCommand, CredentialList, Doctor, ExportIdentity, IdAndWhy, IdentityCommand, InitIdentity,
    IssuanceCommand, IssuanceList, NewTrust, RequestCredentials, RequestList, RotateKey, TrustCommand,
    VerifyCredential,
};
pub(super) use policy_tools::{
    CheckPolicy, DiffPolicies, EvalCase, ExplainPolicy, SimulatePolicy, SituationOptions, TemplateCommand, UseTemplate,
};
#[cfg(test)]
pub(super) use policy_tools::{ShowTemplate, TemplateLanguage};
pub(super) use process::{
    AgreementCommand, AgreementList, Get, Id, IdAndOffer, IdAndReason, Many, Negotiate, NegotiationCommand,
    NewTransfer, ProcessList, Transfer, TransferCommand,
};
pub(super) use registry::{
    DataPlaneCommand, DatasetCommand, NewDataPlane, NewDataset, NewOffer, NewPartner, NewPolicy, NewWebhook,
    OfferCommand, PartnerCommand, PolicyCommand, WebhookCommand,
};
pub(super) use terms::{
    ConsentCommand, DecisionCommand, DeclaredEventCommand, DutyCommand, DutyList, IdAndNote, NewConsent,
    NewDeclaredEvent,
};

/// Hansa: share data with other organisations under contracts (Dataspace Protocol 2025-1).
#[derive(Debug, Parser)]
#[command(name = "hansa", version, max_term_width = 110)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: Command,
}

/// How the control plane is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Control plane")]
pub(super) struct Connection {
    /// Address of the management API
    #[arg(long, global = true, env = "HANSA_URL", default_value = "http://127.0.0.1:8283")]
    pub url: String,
    /// File with the management token; without it HANSA_TOKEN, HANSA_TOKEN_FILE, then hansa-data/management.token
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
    /// PEM certificates of the authority behind the management API's certificate
    #[arg(long, global = true, env = "HANSA_CA_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the control plane
    Serve(ConfigFile),
    /// Prepare a new installation: settings, secrets, a configuration for the data plane
    Init(Init),
    /// What this connector is and has
    Status,
    /// What a partner offers us
    Catalog(Catalog),
    /// Get a dataset: catalog, contract, transfer and download in one command
    Get(Get),
    /// Negotiate a contract on a partner's dataset and wait for the agreement
    Negotiate(Negotiate),
    /// Begin a transfer under an agreement and wait until data flows; or work with transfers
    Transfer(Transfer),
    /// Negotiations: list, show, next steps
    Negotiation {
        #[command(subcommand)]
        command: NegotiationCommand,
    },
    /// Agreements: list, show
    Agreement {
        #[command(subcommand)]
        command: AgreementCommand,
    },
    /// List negotiations
    Negotiations(ProcessList),
    /// List agreements
    Agreements(AgreementList),
    /// List transfers
    Transfers(ProcessList),
    /// Datasets that we have
    Dataset {
        #[command(subcommand)]
        command: DatasetCommand,
    },
    /// Policies: the terms
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Offers: a dataset under a policy
    Offer {
        #[command(subcommand)]
        command: OfferCommand,
    },
    /// Events that policies speak of: declare, end
    DeclaredEvent {
        #[command(subcommand)]
        command: DeclaredEventCommand,
    },
    /// Consents that policies ask for: record, withdraw
    Consent {
        #[command(subcommand)]
        command: ConsentCommand,
    },
    /// What our agreements oblige to, and how far it is
    Duty {
        #[command(subcommand)]
        command: DutyCommand,
    },
    /// What policies decided, by what facts
    Decision {
        #[command(subcommand)]
        command: DecisionCommand,
    },
    /// Partners: other participants and where their connectors answer
    Partner {
        #[command(subcommand)]
        command: PartnerCommand,
    },
    /// What stands between us and a partner, step by step, and which side must act
    Doctor(Doctor),
    /// Our DID and its keys
    Identity {
        #[command(subcommand)]
        command: IdentityCommand,
    },
    /// Verifiable credentials: ask for, hold, verify, revoke
    Credential {
        #[command(subcommand)]
        command: CredentialCommand,
    },
    /// As issuer: who asks us for credentials, and what we issued
    Issuance {
        #[command(subcommand)]
        command: IssuanceCommand,
    },
    /// Issuers whose credentials count
    Trust {
        #[command(subcommand)]
        command: TrustCommand,
    },
    /// Data planes
    DataPlane {
        #[command(subcommand)]
        command: DataPlaneCommand,
    },
    /// Webhooks: addresses that get the events
    Webhook {
        #[command(subcommand)]
        command: WebhookCommand,
    },
    /// What happened
    Events(Events),
    /// The settings of the control plane
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print a script that completes commands in your shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every setting with its default and meaning, as Markdown
    Reference,
    /// Check the configuration and tell all its faults
    Check(ConfigFile),
}

#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The settings; without it hansa.toml in this folder, if there is one
    #[arg(long, env = "HANSA_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Folder to prepare
    #[arg(long, default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Our id in the dataspace, such as did:web:city.example; without it one is made
    #[arg(long, value_name = "ID")]
    pub participant_id: Option<String>,
    /// The first of the ports on 127.0.0.1: three for the control plane, and from the eighth on three for the data plane
    #[arg(long, default_value_t = super::init::DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub port: u16,
    /// How partners reach the Dataspace Protocol, when not at that port
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub public_url: Option<String>,
    /// How partners reach the data plane, when not at its port
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub data_url: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Catalog {
    /// Id or name of a partner
    pub partner: String,
    /// Only this dataset, with its terms in full
    pub dataset: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Go on with what happens next
    #[arg(short, long)]
    pub follow: bool,
    /// Only events after this number, the first of them; without it the latest events
    #[arg(long, value_name = "NUMBER")]
    pub after: Option<u64>,
    /// Only this kind, such as transfer.started, or family, such as transfer.*
    #[arg(long = "type", value_name = "KIND")]
    pub kind: Option<String>,
    /// Only about this negotiation, transfer, ...
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    #[command(flatten)]
    pub many: Many,
}

#[cfg(test)]
mod tests;
