//! Measures the control plane's release binary against its budgets.
//!
//! Everything runs on loopback, with SQLite on the disk that holds the binaries. Figures in CPU milliseconds are the user
//! and system time of the measured process alone and hardly depend on what else runs; figures of wall time do, so the
//! duration of an fdatasync is measured beside them.

mod catalog;
mod cities;
mod figures;
mod machine;
mod negotiations;
mod startup;
mod transfers;
mod wal;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tck::binaries::{Binaries, VARIABLE};
use tck::{Context as _, Result};

use cities::Cities;
use figures::{Budget, Report};
use machine::Disk;

/// A file system in memory.
const MEMORY: &str = "/dev/shm";

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// Folder with the binaries `hansa` and `hansa-dataplane`.
    #[arg(long, env = VARIABLE)]
    bin_dir: PathBuf,
    /// Small numbers, to see that everything can be measured; the figures say little.
    #[arg(long)]
    quick: bool,
    /// Where the figures are written as JSON; `bench/control-plane.json` beside the folder of the binaries when nothing is said.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// How much is measured.
struct Extent {
    starts: usize,
    idle: Duration,
    negotiations_in_sequence: usize,
    negotiations_at_once: usize,
    transfers: usize,
    datasets: usize,
    pages: usize,
}

impl Extent {
    const FULL: Self = Self {
        starts: 5,
        idle: Duration::from_secs(10),
        negotiations_in_sequence: 30,
        negotiations_at_once: 1_000,
        transfers: 20,
        datasets: 10_000,
        pages: 200,
    };
    const QUICK: Self = Self {
        starts: 1,
        idle: Duration::from_secs(1),
        negotiations_in_sequence: 3,
        negotiations_at_once: 40,
        transfers: 3,
        datasets: 300,
        pages: 10,
    };
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let began = Instant::now();
    let binaries = Binaries::new(&arguments.bin_dir)?;
    let extent = if arguments.quick { Extent::QUICK } else { Extent::FULL };
    let file = arguments.json.clone().map_or_else(|| beside(&arguments.bin_dir), Ok)?;
    let home = file.parent().context("the file for the figures lies in no folder")?;
    std::fs::create_dir_all(home).context(home.display())?;
    let folder = tempfile::tempdir_in(home).context(home.display())?;
    let folder = folder.path();
    let mut disk = Disk::open(&folder.join("disk"))?;
    let mut report = Report::new(arguments.quick);

    eprintln!("start and rest");
    startup::measure(&binaries, &folder.join("start"), &extent, &mut report).await?;
    let cities = Cities::start(&binaries, folder).await?;
    eprintln!("{} negotiations, one after the other", extent.negotiations_in_sequence);
    let one = negotiations::in_sequence(&cities, extent.negotiations_in_sequence, &mut disk).await?;
    report.add("one negotiation, median", "ms", Budget::None, one.median_ms);
    report.add("  durable commits in it, both sides", "", Budget::AtMost(12.0), one.commits);
    report.add("  these commits x fdatasync (some overlap)", "ms", Budget::None, one.commits * disk.median_ms());
    let besides = without_disk(&binaries, &extent).await?;
    report.add("  besides: the same with both databases in memory", "ms", Budget::AtMost(15.0), besides);
    let proven = with_credentials(&binaries, &extent).await?;
    report.add("  more, when both prove themselves by credentials", "ms", Budget::AtMost(10.0), proven - besides);
    eprintln!("{} transfers, one after the other", extent.transfers);
    transfers::measure(&cities, &one.agreement, &extent, &mut report).await?;
    eprintln!("{} negotiations at once", extent.negotiations_at_once);
    negotiations::at_once(&cities, &extent, &mut report).await?;
    drop(cities);
    eprintln!("a catalog of {} datasets", extent.datasets);
    catalog::measure(&binaries, &folder.join("catalog"), &extent, &mut report).await?;

    report.finish(&disk, began.elapsed());
    print!("{report}");
    report.write(&file)
}

/// The median of one negotiation when no disk is waited for: both databases lie in the file system in memory that every
/// Linux has.
async fn without_disk(binaries: &Binaries, extent: &Extent) -> Result<f64> {
    let folder = tempfile::tempdir_in(MEMORY).context(MEMORY)?;
    let cities = Cities::start(binaries, folder.path()).await?;
    let mut memory = Disk::open(&folder.path().join("disk"))?;
    let sequence = negotiations::in_sequence(&cities, extent.negotiations_in_sequence, &mut memory).await?;
    Ok(sequence.median_ms)
}

/// The same when both sides authenticate each message by verifiable credentials.
async fn with_credentials(binaries: &Binaries, extent: &Extent) -> Result<f64> {
    let folder = tempfile::tempdir_in(MEMORY).context(MEMORY)?;
    let (_authority, cities) = Cities::start_with_credentials(binaries, folder.path()).await?;
    let mut memory = Disk::open(&folder.path().join("disk"))?;
    let sequence = negotiations::in_sequence(&cities, extent.negotiations_in_sequence, &mut memory).await?;
    Ok(sequence.median_ms)
}

/// Where the figures go when nothing is said.
fn beside(binaries: &Path) -> Result<PathBuf> {
    let folder = std::path::absolute(binaries).context(binaries.display())?;
    Ok(folder.parent().unwrap_or(&folder).join("bench/control-plane.json"))
}
