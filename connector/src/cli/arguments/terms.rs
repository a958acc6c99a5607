//! What decisions rest on, and what follows from agreements: declared events, consents, duties, decisions.

use clap::{Args, Subcommand};

use super::{Id, Many};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DeclaredEventCommand {
    /// Declare an event; policies that speak of it follow at once
    Declare(NewDeclaredEvent),
    /// End an event now
    End(Id),
    /// List declared events
    List(Many),
    /// Show a declared event
    Show(Id),
    /// Remove a declared event, so that nothing tells any more that it was in force
    Remove(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewDeclaredEvent {
    /// Its IRI, as policies name it, such as urn:city:event:flood
    pub id: String,
    /// Title for people
    #[arg(long)]
    pub title: Option<String>,
    /// When it begins, such as 2026-11-21T08:00:00Z; without it now
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// When it ends; without it, it stays in force until it is ended
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ConsentCommand {
    /// Record a consent
    Add(NewConsent),
    /// Withdraw a consent; transfers that rest on it are suspended
    Withdraw(Id),
    /// List consents
    List(ConsentList),
    /// Show a consent
    Show(Id),
    /// Erase the record of a consent
    Remove(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewConsent {
    /// Whose consent it is: a pseudonym, never a name
    #[arg(long, value_name = "PSEUDONYM")]
    pub subject: String,
    /// Its id, as policies name it; without it one is made
    #[arg(long)]
    pub id: Option<String>,
    /// Dataset that it is for; can be repeated; without it all
    #[arg(long = "dataset", value_name = "ID")]
    pub datasets: Vec<String>,
    /// Participant that may have the data; can be repeated; without it all
    #[arg(long = "recipient", value_name = "ID")]
    pub recipients: Vec<String>,
    /// Purpose that it is for; can be repeated; without it all
    #[arg(long = "purpose", value_name = "IRI")]
    pub purposes: Vec<String>,
    /// When it was given; without it now
    #[arg(long, value_name = "TIME")]
    pub given: Option<String>,
    /// When it ends
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ConsentList {
    /// Only of this subject
    #[arg(long, value_name = "PSEUDONYM")]
    pub subject: Option<String>,
    #[command(flatten)]
    pub many: Many,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DutyCommand {
    /// List what our agreements oblige to, on either side
    List(DutyList),
    /// Show a duty
    Show(Id),
    /// Write down that a duty was done
    Fulfil(IdAndNote),
    /// Write down that a duty was not done
    Violate(IdAndNote),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DutyList {
    /// Only with this role of ours
    #[arg(long, value_parser = ["consumer", "provider"])]
    pub role: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = ["unset", "due", "fulfilled", "violated"])]
    pub state: Option<String>,
    /// Only with this partner (id or name)
    #[arg(long)]
    pub partner: Option<String>,
    /// Only under this agreement
    #[arg(long, value_name = "ID")]
    pub agreement: Option<String>,
    #[command(flatten)]
    pub many: Many,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct IdAndNote {
    /// Its id
    pub id: String,
    /// What it rests on, for people
    #[arg(long)]
    pub note: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DecisionCommand {
    /// List what policies decided, the latest first
    List(DecisionList),
    /// Show a decision with its facts
    Show(Id),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DecisionList {
    /// Only those taken for this
    #[arg(long, value_parser = ["negotiation", "transfer", "monitor"])]
    pub scope: Option<String>,
    /// Only for this partner (id or name)
    #[arg(long)]
    pub partner: Option<String>,
    /// Only about this dataset
    #[arg(long)]
    pub dataset: Option<String>,
    /// Only about this negotiation or transfer
    #[arg(long, value_name = "ID")]
    pub process: Option<String>,
    #[command(flatten)]
    pub many: Many,
}
