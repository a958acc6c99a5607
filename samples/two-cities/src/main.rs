//! The demo: two cities agree on a contract, and data flows.
//!
//! It starts the release binaries as a city's engineer would and talks to them through the command line `hansa` and over
//! HTTP only; it tells each step in plain words, with the time that it took.

mod authority;
mod city;
mod cli;
mod control_plane;
mod fault;
mod ports;
mod process;
mod programs;
mod read;
mod story;
mod tell;
mod template;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Two cities agree on a contract, and data flows
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Folder with the programs hansa, hansa-dataplane and ngsi-ld-source
    #[arg(long, default_value = "target/release", value_name = "DIR")]
    bin_dir: PathBuf,
    /// Folder for configuration, data and logs; a new temporary one when not given
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Leave out the last act, the revocation, and leave everything running until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Chooses the synthetic data
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let stage = match story::Stage::prepare(&arguments.bin_dir, arguments.run_dir, arguments.seed) {
        Ok(stage) => stage,
        Err(fault) => {
            eprintln!("two-cities-demo: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let mut running = story::Running::default();
    let mut interrupted = std::pin::pin!(interrupt());
    let told = tokio::select! {
        told = story::tell(&stage, &mut running, arguments.keep) => Some(told),
        () = &mut interrupted => None,
    };
    if let Some(Ok(transfer)) = &told
        && arguments.keep
    {
        story::what_to_try(&stage, transfer);
        interrupted.await;
    }
    running.end().await;
    match told {
        Some(Ok(_)) => ExitCode::SUCCESS,
        Some(Err(failed)) => {
            eprintln!("\ntwo-cities-demo: {failed}\nLogs of every program are in {}", stage.folder().display());
            stage.leave();
            ExitCode::FAILURE
        }
        None => {
            eprintln!("\ntwo-cities-demo: interrupted");
            ExitCode::FAILURE
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupt() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without a handler the system ends the demo itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
