//! Tools for policies: check, eval, explain, simulate, diff, templates.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckPolicy {
    /// File with the policy: JSON-LD in any shape, or Turtle; - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Warnings fail, too
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct EvalCase {
    /// File with the case: policy, request and facts; without it standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainPolicy {
    /// Id of one of our policies, or a file
    #[arg(required_unless_present = "agreement", conflicts_with = "agreement")]
    pub policy: Option<String>,
    /// An agreement instead, by all that is known of it now
    #[arg(long, value_name = "ID")]
    pub agreement: Option<String>,
    #[command(flatten)]
    pub situation: SituationOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SimulatePolicy {
    /// Id of one of our policies, or a file
    pub policy: String,
    #[command(flatten)]
    pub situation: SituationOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DiffPolicies {
    /// The terms as they are: id of one of our policies, or a file
    pub old: String,
    /// The terms as they would be
    pub new: String,
    /// Since when: a time, or a number of days as in 30d
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub since: String,
    /// Only decisions about this dataset; without it, about those that are offered under the old policy
    #[arg(long, value_name = "ID")]
    pub dataset: Option<String>,
}

/// What is thought up.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Situation")]
pub(in crate::cli) struct SituationOptions {
    /// Who asks: a participant id, or the id or name of a partner
    #[arg(long, value_name = "ID")]
    pub partner: Option<String>,
    /// When, such as 2027-01-15T09:30:00Z; without it now
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// What for; can be repeated
    #[arg(long, value_name = "IRI")]
    pub purpose: Vec<String>,
    /// JSON file with what the partner's credentials say
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub claims: Option<PathBuf>,
    /// One thing that they say, as in membership=active; can be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub claim: Vec<String>,
    /// An event that is in force; can be repeated
    #[arg(long = "event", value_name = "IRI")]
    pub events: Vec<String>,
    /// A consent that holds; can be repeated
    #[arg(long = "consent", value_name = "ID")]
    pub consents: Vec<String>,
    /// Which use this is: 1 for the first
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
    /// Which transfer this is: 1 for the first
    #[arg(long, value_name = "NUMBER")]
    pub transfers: Option<u64>,
    /// Bytes that were used before
    #[arg(long, value_name = "BYTES")]
    pub volume: Option<u64>,
    /// Seconds of use before
    #[arg(long, value_name = "SECONDS")]
    pub metered: Option<u64>,
    /// When the first use was
    #[arg(long, value_name = "TIME")]
    pub first_use: Option<String>,
    /// When the last use was
    #[arg(long, value_name = "TIME")]
    pub last_use: Option<String>,
    /// When the agreement was made
    #[arg(long, value_name = "TIME")]
    pub agreed_at: Option<String>,
    /// The transfer format
    #[arg(long, value_name = "FORMAT")]
    pub channel: Option<String>,
    /// The media type of the dataset
    #[arg(long, value_name = "TYPE")]
    pub media_type: Option<String>,
    /// What is asked for; without it data
    #[arg(long, value_parser = ["catalog", "negotiation", "transfer", "request"])]
    pub scope: Option<String>,
    /// The action; without it use
    #[arg(long)]
    pub action: Option<String>,
    /// The dataset, when the policy does not name it
    #[arg(long, value_name = "ID")]
    pub target: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TemplateCommand {
    /// List the templates
    List(TemplateLanguage),
    /// Show a template: what it means, and what it asks for
    Show(ShowTemplate),
    /// Print the policy that a template makes, for `hansa policy add -`
    Use(UseTemplate),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct TemplateLanguage {
    /// Language of the texts
    #[arg(long, default_value = policy::DEFAULT_LANGUAGE)]
    pub language: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowTemplate {
    /// The template
    pub template: String,
    #[command(flatten)]
    pub language: TemplateLanguage,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct UseTemplate {
    /// The template
    pub template: String,
    /// Value of a parameter, as in until=2027-12-31; lists have commas between; can be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub values: Vec<String>,
    /// Id of the policy; without it one is made when it is added
    #[arg(long)]
    pub id: Option<String>,
    /// Print the text for the contract instead of the policy
    #[arg(long)]
    pub text: bool,
    #[command(flatten)]
    pub language: TemplateLanguage,
}
