//! The program `ngsi-ld-source`: see the library of this crate.

use std::process::ExitCode;

use clap::Parser;
use ngsi_ld_source::cli::{Cli, Command};
use ngsi_ld_source::{generate, serve};

#[actix_web::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match (cli.command, cli.serve) {
        (Some(Command::Generate(args)), _) => generate::run(&args)
            .map(|written| written.iter().for_each(|path| println!("{}", path.display())))
            .map_err(|error| error.to_string()),
        (None, Some(args)) => serve::run(args).await.map_err(|error| error.to_string()),
        (None, None) => Err("nothing to do; see --help".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ngsi-ld-source: {message}");
            ExitCode::FAILURE
        }
    }
}
