//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

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
    /// Partners: other participants and where their connectors answer
    Partner {
        #[command(subcommand)]
        command: PartnerCommand,
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

/// How long a command waits.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Patience {
    /// Do not wait for the outcome
    #[arg(long)]
    pub no_wait: bool,
    /// Longest wait for the outcome, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub(super) struct Get {
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
pub(super) struct Negotiate {
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
pub(super) struct Transfer {
    #[command(subcommand)]
    pub command: Option<TransferCommand>,
    /// Id of the agreement
    #[arg(required = true)]
    pub agreement: Option<String>,
    #[command(flatten)]
    pub options: NewTransfer,
}

#[derive(Debug, Args)]
pub(super) struct NewTransfer {
    /// Format of the distribution
    #[arg(long, default_value = "HttpData-PULL")]
    pub format: String,
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
pub(super) enum TransferCommand {
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
pub(super) enum NegotiationCommand {
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
pub(super) enum AgreementCommand {
    /// List agreements
    List(AgreementList),
    /// Show an agreement with its terms
    Show(Id),
}

#[derive(Debug, Args)]
pub(super) struct Id {
    /// Its id
    pub id: String,
}

#[derive(Debug, Args)]
pub(super) struct IdAndReason {
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
pub(super) struct IdAndOffer {
    /// Its id
    pub id: String,
    /// JSON file with the offer; without it the one on the table
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// How much of a list is wanted.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Many {
    /// Most entries
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub(super) struct ProcessList {
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
pub(super) struct AgreementList {
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

#[derive(Debug, Subcommand)]
pub(super) enum DatasetCommand {
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
pub(super) struct NewDataset {
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
    /// Path that may be read; * stands for one segment, ** for anything below; can be repeated
    #[arg(long = "path", value_name = "PATTERN", conflicts_with = "json_file")]
    pub paths: Vec<String>,
    /// Format in which it can be had; can be repeated
    #[arg(long = "format", value_name = "FORMAT", conflicts_with = "json_file")]
    pub formats: Vec<String>,
    /// Replace the one with this id
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Add a policy, from an ODRL file or from options
    Add(NewPolicy),
    /// List policies
    List(Many),
    /// Show a policy
    Show(Id),
    /// Remove a policy
    Remove(Id),
}

#[derive(Debug, Args)]
pub(super) struct NewPolicy {
    /// JSON file with the policy
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
pub(super) enum OfferCommand {
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
pub(super) struct NewOffer {
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
pub(super) enum PartnerCommand {
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
pub(super) struct NewPartner {
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
pub(super) enum DataPlaneCommand {
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
pub(super) struct NewDataPlane {
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
    /// Send it no credentials at all
    #[arg(long, conflicts_with = "authorization_file")]
    pub danger_no_authorization: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
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
pub(super) struct NewWebhook {
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

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Go on with what happens next
    #[arg(short, long)]
    pub follow: bool,
    /// Only events after this number
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
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        let words = std::iter::once("hansa").chain(line.split(' '));
        Arguments::try_parse_from(words).map(|arguments| arguments.command).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_command_hides_an_option_of_the_connection() {
        fn check(command: &clap::Command, global: &[&str]) {
            for inner in command.get_subcommands() {
                for argument in inner.get_arguments() {
                    assert!(
                        !global.contains(&argument.get_id().as_str()),
                        "{} {}",
                        inner.get_name(),
                        argument.get_id()
                    );
                }
                check(inner, global);
            }
        }
        let command = Arguments::command();
        let global: Vec<&str> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
        assert!(global.contains(&"url"), "{global:?}");
        check(&command, &global);
    }

    #[test]
    fn options_of_the_connection_stand_before_or_after_the_command() {
        for line in ["--json --url http://h:1 status", "status --url http://h:1 --json"] {
            let arguments = Arguments::try_parse_from(std::iter::once("hansa").chain(line.split(' '))).unwrap();
            assert!(arguments.connection.json && arguments.connection.url == "http://h:1", "{line}");
        }
    }

    #[test]
    fn a_transfer_is_begun_with_an_agreement_or_worked_with() {
        let Ok(Command::Transfer(begun)) = parse("transfer urn:uuid:1 --manual") else { panic!("begins") };
        assert_eq!(begun.agreement.as_deref(), Some("urn:uuid:1"));
        assert!(begun.command.is_none() && begun.options.manual);
        let Ok(Command::Transfer(begun)) = parse("transfer suspend urn:uuid:1 --reason tired") else { panic!("works") };
        let Some(TransferCommand::Suspend(what)) = begun.command else { panic!("suspends") };
        assert_eq!((what.id.as_str(), what.reason.as_deref()), ("urn:uuid:1", Some("tired")));
        assert!(parse("transfer").is_err());
    }

    #[test]
    fn lines_that_people_type() {
        for line in [
            "get bari urn:d --path /x?y=z -o file.json",
            "get bari urn:d",
            "negotiate bari urn:d",
            "negotiate bari --offer urn:o --provider --no-wait",
            "negotiate bari --offer-file offer.json --manual",
            "negotiation accept urn:n",
            "negotiation counter urn:n --file offer.json",
            "negotiations --state FINALIZED --partner bari",
            "transfer list --role provider",
            "agreement list",
            "policy add policy.json",
            "policy add --file policy.json",
            "policy add --id open --permit use",
            "policy add --permit use --where a --where b --prohibit sell",
            "dataset add dataset.json --replace",
            "dataset add --id d --title t --http http://b --credential c --path /x/** --keyword air",
            "dataset add --title t --file root/a/b.csv",
            "offer add --dataset d --policy p --access-policy a --manual",
            "partner add did:web:x --name x --root https://x",
            "partner add did:web:x --base https://x/dsp/2025-1",
            "data-plane add x --endpoint http://x --danger-no-authorization",
            "webhook add http://x --event transfer.*",
            "events -f --type transfer.*",
            "config reference",
            "completions bash",
            "init --dir x --participant-id did:web:x",
            "serve --config x.toml",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
    }

    #[test]
    fn lines_that_make_no_sense_are_refused() {
        for line in [
            "negotiate bari",
            "negotiate bari d --provider",
            "policy add",
            "policy add p.json --permit use",
            "policy add --where x",
            "dataset add",
            "dataset add d.json --title t",
            "dataset add --http http://x --file a/b",
            "partner add did:web:x",
            "partner add did:web:x --root https://x --base https://y",
            "offer add --dataset d",
            "webhook add http://x",
            "status --token secret",
            "get bari",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
