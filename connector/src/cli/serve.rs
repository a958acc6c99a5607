//! `hansa serve` and `hansa config check`.

use std::io::IsTerminal as _;
use std::path::Path;

use tracing_subscriber::EnvFilter;

use super::failure::{Failure, Outcome};
use super::show;
use crate::config::{Config, Listener, Log};

/// Runs the control plane until it is told to stop.
///
/// # Errors
/// Status 64 for a configuration that cannot be used; else what kept it from running.
pub(super) fn serve(file: Option<&Path>) -> Outcome {
    let config = load(file)?;
    start_log(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    runtime.block_on(crate::serve(config)).map_err(|error| Failure::new(error.to_string()))
}

/// Checks the configuration.
///
/// # Errors
/// Status 64, with all faults.
pub(super) fn check(file: Option<&Path>) -> Outcome {
    let config = load(file)?;
    let mut shown = String::from("the configuration can be used\n");
    for (name, listener) in [("dsp", &config.dsp), ("management", &config.management), ("signaling", &config.signaling)]
    {
        shown.push_str(&format!("  {name:<12}{}\n", address(listener)));
    }
    shown.extend(config.warnings.iter().map(|warning| format!("  warning: {warning}\n")));
    show::text(&shown)
}

fn load(file: Option<&Path>) -> Outcome<Config> {
    Config::load(file).map_err(|error| Failure::configuration(error.to_string()))
}

fn address(listener: &Listener) -> String {
    let scheme = if listener.tls.is_some() { "https" } else { "http" };
    match &listener.public_url {
        Some(url) => format!("{scheme}://{}, seen as {url}", listener.listen),
        None => format!("{scheme}://{}", listener.listen),
    }
}

fn start_log(log: &Log) -> Outcome {
    let filter =
        EnvFilter::try_new(&log.filter).map_err(|error| Failure::configuration(format!("`log.filter`: {error}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if log.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    started.map_err(|error| Failure::new(format!("the log cannot be started: {error}")))
}
