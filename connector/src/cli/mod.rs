//! The command line `hansa`: it serves, prepares an installation, and works with a running control plane over its management
//! API. Tables for people, `--json` for scripts; a failure is one sentence on standard error and a status that is not zero.

mod agreement;
mod arguments;
mod catalog;
mod client;
mod credential;
mod doctor;
mod download;
mod event;
mod failure;
#[cfg(test)]
mod fake;
mod get;
mod identity;
mod init;
mod negotiation;
mod partner;
mod policy;
mod policy_tools;
mod registry;
mod serve;
mod show;
mod sse;
mod status;
mod terms;
mod transfer;
mod trust;
mod wait;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use arguments::{Arguments, Command, ConfigCommand, Connection, IdentityCommand};
use client::Client;
use failure::{Failure, Outcome};
use show::Printer;

use crate::config;

/// Runs the command that the program was started with.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "hansa: {failure}");
            ExitCode::from(failure.status())
        }
    }
}

fn dispatch(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Serve(options) => serve::serve(options.config.as_deref()),
        Command::Init(options) => init::init(&options),
        Command::Config { command: ConfigCommand::Reference } => show::text(&config::reference()),
        Command::Config { command: ConfigCommand::Check(options) } => serve::check(options.config.as_deref()),
        Command::Completions { shell } => completions(shell),
        Command::Identity { command: IdentityCommand::Init(options) } => {
            identity::init(&options, Printer { json: arguments.connection.json })
        }
        Command::Policy { command } => {
            let print = Printer { json: arguments.connection.json };
            match policy_tools::local(&command, print) {
                Some(outcome) => outcome,
                None => remote(Command::Policy { command }, &arguments.connection),
            }
        }
        command => remote(command, &arguments.connection),
    }
}

fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "hansa", &mut script);
    show::text(&String::from_utf8_lossy(&script))
}

/// A command that talks to a running control plane.
fn remote(command: Command, connection: &Connection) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let client = Client::connect(connection)?;
    let print = Printer { json: connection.json };
    runtime.block_on(async move {
        match command {
            Command::Agreement { command } => agreement::run(&client, print, command).await,
            Command::Agreements(options) => agreement::list(&client, print, &options).await,
            Command::Catalog(options) => catalog::show(&client, print, &options).await,
            Command::Consent { command } => terms::consents(&client, print, command).await,
            Command::Credential { command } => credential::run(&client, print, command).await,
            Command::DataPlane { command } => registry::data_planes(&client, print, command).await,
            Command::Dataset { command } => registry::datasets(&client, print, command).await,
            Command::Decision { command } => terms::decisions(&client, print, command).await,
            Command::DeclaredEvent { command } => terms::declared_events(&client, print, command).await,
            Command::Doctor(options) => doctor::run(&client, print, &options).await,
            Command::Duty { command } => terms::duties(&client, print, command).await,
            Command::Events(options) => event::run(&client, print, &options).await,
            Command::Get(options) => get::get(&client, print, &options).await,
            Command::Identity { command } => identity::run(&client, print, command).await,
            Command::Issuance { command } => credential::issuance(&client, print, command).await,
            Command::Negotiate(options) => negotiation::begin(&client, print, &options).await,
            Command::Negotiation { command } => negotiation::run(&client, print, command).await,
            Command::Negotiations(options) => negotiation::list(&client, print, &options).await,
            Command::Offer { command } => registry::offers(&client, print, command).await,
            Command::Partner { command } => registry::partners(&client, print, command).await,
            Command::Policy { command } => registry::policies(&client, print, command).await,
            Command::Status => status::show(&client, print).await,
            Command::Transfer(options) => transfer::run(&client, print, options).await,
            Command::Transfers(options) => transfer::list(&client, print, &options).await,
            Command::Trust { command } => trust::run(&client, print, command).await,
            Command::Webhook { command } => registry::webhooks(&client, print, command).await,
            Command::Completions { .. } | Command::Config { .. } | Command::Init(_) | Command::Serve(_) => Ok(()),
        }
    })
}
