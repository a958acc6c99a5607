//! Runs the official kit of the Dataspace Protocol against the release binaries.
//!
//! Every run has a new connector with an empty database. The process ends with 0 when all runs came to what is expected,
//! else with 1.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tck::binaries::{Binaries, VARIABLE};
use tck::driver::{self, Expected, Plan};
use tck::{Context as _, Result};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// Folder with the binaries `hansa` and `hansa-dataplane`.
    #[arg(long, env = VARIABLE)]
    bin_dir: PathBuf,
    /// How many runs, one after the other; 2 when nothing is said, or 1 with `--only`.
    #[arg(long)]
    runs: Option<u32>,
    /// Run only the tests whose name contains this regular expression; nothing is then compared but failures.
    #[arg(long)]
    only: Option<String>,
    /// Print every step of the kit.
    #[arg(long)]
    verbose: bool,
    /// Keep logs, settings and databases in this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match runs(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn runs(arguments: Arguments) -> Result<bool> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let expected = Expected::read(&home.join("expected.toml"))?;
    let temporary = tempfile::tempdir().context("a temporary folder")?;
    let folder = arguments.keep.as_deref().unwrap_or(temporary.path());
    let plan = Plan {
        binaries: Binaries::new(&arguments.bin_dir)?,
        kit: home.join("kit/run"),
        only: arguments.only,
        verbose: arguments.verbose,
    };
    let runs = arguments.runs.unwrap_or(if plan.only.is_some() { 1 } else { 2 });
    let mut good = true;
    for number in 1..=runs {
        println!("run {number} of {runs}, from an empty database");
        let began = std::time::Instant::now();
        let verdicts = driver::run(&plan, &folder.join(format!("run-{number}"))).await?;
        let differences = if plan.only.is_some() { failures(&verdicts) } else { expected.differences(&verdicts) };
        for difference in &differences {
            println!("run {number}: {difference}");
        }
        let verdict = if differences.is_empty() { "as expected" } else { "NOT as expected" };
        println!("run {number}: {verdict}, {} s", began.elapsed().as_secs());
        good &= differences.is_empty();
    }
    if !good && arguments.keep.is_none() {
        println!("logs, settings and databases are in {}", temporary.keep().display());
    }
    Ok(good)
}

fn failures(verdicts: &[(String, driver::Verdict)]) -> Vec<String> {
    let failed = verdicts.iter().filter(|(_, verdict)| *verdict == driver::Verdict::Fail);
    failed.map(|(id, _)| format!("{id} failed")).collect()
}
