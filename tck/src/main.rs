//! Runs the official kits against the release binaries: that of the Dataspace Protocol and that of the Decentralized Claims
//! Protocol.
//!
//! Every run has a new connector with an empty database. The process ends with 0 when all runs came to what is expected,
//! else with 1.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use tck::binaries::{Binaries, VARIABLE};
use tck::driver::dcp::{self, Package};
use tck::driver::dsp::{self, Others};
use tck::driver::{Expected, Outcome, Plan};
use tck::{Context as _, Result};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// What to run, in this order; everything when nothing is said.
    #[arg(value_enum)]
    suites: Vec<Suite>,
    /// Folder with the binaries `hansa` and `hansa-dataplane`.
    #[arg(long, env = VARIABLE)]
    bin_dir: PathBuf,
    /// How many times to run it all.
    #[arg(long, default_value_t = 1)]
    runs: u32,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Suite {
    /// The kit of the Dataspace Protocol; the connector knows the kit by a token and nobody else.
    Dsp,
    /// The same; everybody but the kit is known by verifiable credentials.
    DspCredentials,
    /// The kit of the Decentralized Claims Protocol, in its four packages.
    Dcp,
}

/// One run of a kit.
#[derive(Clone, Copy)]
enum Run {
    Dsp(Others),
    Dcp(Package),
}

impl Suite {
    fn runs(self) -> Vec<Run> {
        match self {
            Self::Dsp => vec![Run::Dsp(Others::Nobody)],
            Self::DspCredentials => vec![Run::Dsp(Others::ByCredentials)],
            Self::Dcp => Package::ALL.into_iter().map(Run::Dcp).collect(),
        }
    }
}

impl Run {
    fn name(self) -> String {
        match self {
            Self::Dsp(Others::Nobody) => "dsp".to_owned(),
            Self::Dsp(Others::ByCredentials) => "dsp, credentials for everybody but the kit".to_owned(),
            Self::Dcp(package) => format!("dcp, {}", package.name()),
        }
    }

    fn folder(self) -> String {
        match self {
            Self::Dsp(Others::Nobody) => "dsp".to_owned(),
            Self::Dsp(Others::ByCredentials) => "dsp-credentials".to_owned(),
            Self::Dcp(package) => package.name().to_owned(),
        }
    }

    async fn outcome(self, plan: &Plan, folder: &Path) -> Result<Outcome> {
        match self {
            Self::Dsp(others) => dsp::run(plan, others, folder).await,
            Self::Dcp(package) => dcp::run(plan, package, folder).await,
        }
    }

    fn differences(self, expected: &Expected, outcome: &Outcome) -> Result<Vec<String>> {
        let tests = match self {
            Self::Dsp(_) => &expected.dsp,
            Self::Dcp(package) => {
                let name = package.name();
                expected.dcp.get(name).context(format_args!("expected.toml does not say what {name} has to come to"))?
            }
        };
        Ok(tests.differences(outcome))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<bool> {
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
    let suites = if arguments.suites.is_empty() { Suite::value_variants() } else { &arguments.suites };
    let mut good = true;
    for number in 1..=arguments.runs {
        let folder = folder.join(format!("run-{number}"));
        for run in suites.iter().flat_map(|suite| suite.runs()) {
            let name = run.name();
            println!("{name}: run {number} of {}, from an empty database", arguments.runs);
            let began = Instant::now();
            let outcome = run.outcome(&plan, &folder.join(run.folder())).await?;
            let differences =
                if plan.only.is_some() { outcome.failures() } else { run.differences(&expected, &outcome)? };
            for difference in &differences {
                println!("{name}: {difference}");
            }
            let verdict = if differences.is_empty() { "as expected" } else { "NOT as expected" };
            println!("{name}: {verdict}, {} s", began.elapsed().as_secs());
            good &= differences.is_empty();
        }
    }
    if !good && arguments.keep.is_none() {
        println!("logs, settings and databases are in {}", temporary.keep().display());
    }
    Ok(good)
}
