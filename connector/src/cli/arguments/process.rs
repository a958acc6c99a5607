//! Negotiations, agreements, transfers.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// How long a command waits.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct Patience {
    /// Do not wait for the outcome
    #[arg(long)]
    pub no_wait: bool,
    /// Longest wait for the outcome, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Get {
    /// Id or name of a partner
    pub partner: String,
    /// Id of its dataset
    pub dataset: String,
    /// Path and query below the dataset's address, such as /ngsi-ld/v1/entities?type=AirQualityObserved
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// File to write; without it the data goes to standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Negotiate about this offer, also when there is an agreement already
    #[arg(long, value_name = "ID")]
    pub offer: Option<String>,
    /// What the data is for, as we declare it; may be given several times
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Vec<String>,
    /// Leave the transfer open at the end
    #[arg(long)]
    pub keep: bool,
    /// File with the token of our data plane's local listener, when it asks for one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub local_token_file: Option<PathBuf>,
    /// Longest wait for the contract, and then for the transfer, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Negotiate {
    /// Id or name of a partner
    pub partner: String,
    /// Id of its dataset
    #[arg(required_unless_present_any = ["offer", "offer_file"])]
    pub dataset: Option<String>,
    /// Id of the offer, when the dataset has several; with --provider an offer of ours
    #[arg(long, value_name = "ID")]
    pub offer: Option<String>,
    /// JSON file with the offer in full; the partner's catalog is not read
    #[arg(long, value_name = "FILE", conflicts_with_all = ["offer", "dataset"], value_hint = ValueHint::FilePath)]
    pub offer_file: Option<PathBuf>,
    /// What the data is for, as we declare it; may be given several times
    #[arg(long, value_name = "PURPOSE", conflicts_with = "provider")]
    pub purpose: Vec<String>,
    /// Make the partner an offer instead of asking for one
    #[arg(long, requires = "offer")]
    pub provider: bool,
    /// Take no step without a command
    #[arg(long)]
    pub manual: bool,
    #[command(flatten)]
    pub patience: Patience,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(in crate::cli) struct Transfer {
    #[command(subcommand)]
    pub command: Option<TransferCommand>,
    /// Id of the agreement
    #[arg(required = true)]
    pub agreement: Option<String>,
    #[command(flatten)]
    pub options: NewTransfer,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewTransfer {
    /// Format of the distribution
    #[arg(long, default_value = "HttpData-PULL")]
    pub format: String,
    /// What the data is for, when it is something else than what was declared for the contract; may be given several times
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Vec<String>,
    /// Copy the entities into a broker of ours, by its name in the data plane's configuration, and keep them up to date there
    #[arg(long, value_name = "BROKER")]
    pub mirror: Option<String>,
    /// What becomes of the copies when the transfer ends: they are deleted, or stay
    #[arg(long, value_name = "WHAT", value_parser = ["delete", "keep"], requires = "mirror")]
    pub on_end: Option<String>,
    /// Register the transfer with a broker of ours as a context source, by its name in the data plane's configuration
    #[arg(long, value_name = "BROKER", conflicts_with = "mirror")]
    pub context_source: Option<String>,
    /// JSON file with the data address to push to, when not through a data plane of ours
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub data_address: Option<PathBuf>,
    /// Take no step without a command
    #[arg(long)]
    pub manual: bool,
    #[command(flatten)]
    pub patience: Patience,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TransferCommand {
    /// List transfers
    List(ProcessList),
    /// Show a transfer
    Show(Id),
    /// Start it, as provider
    Start(Id),
    /// Suspend it
    Suspend(IdAndReason),
    /// Resume it
    Resume(Id),
    /// End it: all is done
    Complete(Id),
    /// End it before all is done
    Terminate(IdAndReason),
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum NegotiationCommand {
    /// List negotiations
    List(ProcessList),
    /// Show a negotiation
    Show(Id),
    /// Make an offer, as provider
    Offer(IdAndOffer),
    /// Ask for other terms, as consumer
    Counter(IdAndOffer),
    /// Accept the offer, as consumer
    Accept(Id),
    /// Send the agreement, as provider
    Agree(Id),
    /// Confirm the agreement, as consumer
    Verify(Id),
    /// Make the agreement final, as provider
    Finalize(Id),
    /// End the negotiation
    Terminate(IdAndReason),
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AgreementCommand {
    /// List agreements
    List(AgreementList),
    /// Show an agreement with its terms
    Show(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Id {
    /// Its id
    pub id: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct IdAndReason {
    /// Its id
    pub id: String,
    /// Why, for people at the other side
    #[arg(long)]
    pub reason: Option<String>,
    /// Why, for programs at the other side
    #[arg(long)]
    pub code: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct IdAndOffer {
    /// Its id
    pub id: String,
    /// JSON file with the offer; without it the one on the table
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// How much of a list is wanted.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct Many {
    /// Most entries
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ProcessList {
    /// Only with this role of ours
    #[arg(long, value_parser = ["consumer", "provider"])]
    pub role: Option<String>,
    /// Only in this state
    #[arg(long)]
    pub state: Option<String>,
    /// Only with this partner (id or name)
    #[arg(long)]
    pub partner: Option<String>,
    /// Only about this dataset
    #[arg(long)]
    pub dataset: Option<String>,
    #[command(flatten)]
    pub many: Many,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AgreementList {
    /// Only with this role of ours
    #[arg(long, value_parser = ["consumer", "provider"])]
    pub role: Option<String>,
    /// Only with this partner (id or name)
    #[arg(long)]
    pub partner: Option<String>,
    /// Only about this dataset
    #[arg(long)]
    pub dataset: Option<String>,
    #[command(flatten)]
    pub many: Many,
}
