//! The program `ngsi-ld-source`: see the library of this crate.

use std::process::ExitCode;

use clap::Parser;
use ngsi_ld_source::cli::Cli;
use ngsi_ld_source::serve;

#[actix_web::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match (cli.command, cli.serve) {
        (_, Some(args)) => serve::run(args).await.map_err(|error| error.to_string()),
        (_, None) => Err("nothing to do; see --help".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ngsi-ld-source: {message}");
            ExitCode::FAILURE
        }
    }
}
