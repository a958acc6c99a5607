//! The data plane's program: read the configuration, start, wait for a signal, drain.

use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dataplane::config::{self, Config};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Exit code for a configuration that cannot be used, as of the control plane (sysexits, `EX_USAGE`).
const BAD_CONFIGURATION: u8 = 64;

/// Hansa's data plane: carries the data of agreed transfers.
#[derive(Debug, Parser)]
#[command(name = "hansa-dataplane", version, about)]
struct Arguments {
    /// Configuration file.
    #[arg(short, long, global = true, env = "HANSA_DATAPLANE_CONFIG", default_value = "hansa-dataplane.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default).
    Serve,
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the configuration and tell every fault.
    Check,
    /// Print all settings as a Markdown table.
    Reference,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Config(ConfigCommand::Reference)) => {
            print!("{}", config::reference());
            ExitCode::SUCCESS
        }
        Some(Command::Config(ConfigCommand::Check)) => match Config::load(&arguments.config) {
            Ok(_) => {
                println!("the configuration is usable");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error, BAD_CONFIGURATION),
        },
        Some(Command::Serve) | None => serve(&arguments.config),
    }
}

fn serve(path: &Path) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => return fail(&error, BAD_CONFIGURATION),
    };
    if let Err(error) = start_log(&config) {
        return fail(&error, BAD_CONFIGURATION);
    }
    match actix_web::rt::System::new().block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = dataplane::start(config).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; running requests may end");
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

fn start_log(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&config.log_filter)?)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr);
    if config.log_json { log.json().try_init() } else { log.try_init() }.map_err(|error| error.to_string().into())
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("hansa-dataplane: {error}");
    ExitCode::from(code)
}
