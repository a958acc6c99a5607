//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A small NGSI-LD test source with synthetic city data; not a broker
#[derive(Debug, Parser)]
#[command(version, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Serving is what happens without a subcommand.
    #[command(flatten)]
    pub serve: Option<ServeArgs>,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program can do besides serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write synthetic data of two border cities: entities, 24 hours of history, a CSV file
    Generate(GenerateArgs),
}

/// How to serve.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Files with the entities of the default tenant, in any NGSI-LD representation
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Files with the history of these entities, in normalized or temporalValues form
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub history: Vec<PathBuf>,
    /// A further tenant and the file with its entities; may be repeated
    #[arg(long, value_name = "NAME=FILE", value_parser = tenant)]
    pub tenant: Vec<(String, PathBuf)>,
    /// File that receives the address listened on, once ready
    #[arg(long, value_name = "FILE")]
    pub port_file: Option<PathBuf>,
    /// Let observed numbers change every so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub live: Option<u32>,
    /// Chooses how they change
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Refuse requests without `Authorization: Bearer TOKEN`
    #[arg(long, env = "NGSI_LD_SOURCE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub require_authorization: Option<String>,
}

/// What to generate.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Chooses the values; the same seed gives the same files
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Folder that receives the files; made when missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Moment at which the 24 hours of history end
    #[arg(long, default_value = "2026-03-02T08:00:00Z", value_name = "DATE-TIME", value_parser = date_time)]
    pub end: time::OffsetDateTime,
    /// Size of the CSV file
    #[arg(long, default_value_t = 30, value_name = "MEGABYTES")]
    pub csv_megabytes: u32,
}

fn tenant(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), PathBuf::from(file))),
        _ => Err("expected NAME=FILE".to_owned()),
    }
}

fn date_time(text: &str) -> Result<time::OffsetDateTime, String> {
    crate::instant::parse(text).ok_or_else(|| "expected a date-time such as 2026-03-02T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        let serve = Cli::try_parse_from(["x", "--data", "a.json", "b.json", "--live", "2", "--tenant", "t=c.json"]);
        let serve = serve.unwrap().serve.unwrap();
        assert_eq!(serve.data.len(), 2);
        assert_eq!(serve.tenant, [("t".to_owned(), PathBuf::from("c.json"))]);
        let generate = Cli::try_parse_from(["x", "generate", "--seed", "7", "--out", "d"]).unwrap();
        assert!(matches!(generate.command, Some(Command::Generate(GenerateArgs { seed: 7, .. }))));
        assert!(Cli::try_parse_from(["x"]).is_err());
        assert!(Cli::try_parse_from(["x", "--data", "a.json", "--live", "0"]).is_err());
    }
}
