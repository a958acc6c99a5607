//! What the kernel says about processes, and how fast the disk is.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

use tck::{Context as _, Result};

use crate::figures::{median, ms};

/// Length of the unit in which `/proc/PID/stat` counts, in ms: `USER_HZ` is 100 on every Linux.
const TICK_MS: f64 = 10.0;

/// What a small commit writes: four pages with their headers in the write-ahead log.
const COMMIT_BYTES: usize = 4 * (24 + 4096);
/// Where SQLite begins its write-ahead log anew, by default, in bytes.
const LOG_BYTES: u64 = 1000 * (24 + 4096);

/// User and system time that a process has used since its start, in ms, to 10 ms.
///
/// # Errors
/// When there is no such process.
pub fn cpu_ms(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).context(&path)?;
    // After the name in parentheses, which may hold anything, the state is the first field; times are the 12th and 13th.
    let times = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = times.filter_map(|time| time.parse::<u64>().ok()).sum();
    Ok(whole(ticks) * TICK_MS)
}

/// The time that the threads of a process that live now have run, in ms, exactly.
///
/// # Errors
/// When there is no such process.
pub fn threads_ms(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/task");
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(&path).context(&path)?.flatten() {
        // A thread that has ended meanwhile is left out.
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split_whitespace().next().and_then(|time| time.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(whole(nanoseconds) / 1e6)
}

/// Resident memory of a process in MiB.
///
/// # Errors
/// When there is no such process.
pub fn resident_mib(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path).context(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context(&path)?;
    let kib = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).context(&path)?;
    Ok(whole(kib) / 1024.0)
}

/// Load averages of the last 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// As a floating point number, exact for everything that is counted here.
pub fn whole(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts here stay far below 2^52")]
    let number = number as f64;
    number
}

/// The disk that the databases lie on.
pub struct Disk {
    file: File,
    written: u64,
    samples: Vec<f64>,
}

impl Disk {
    /// A new file to write to.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { file: File::create(path).context(path.display())?, written: 0, samples: Vec::new() })
    }

    /// Writes as SQLite does for a small commit, `times` times, each followed by an fdatasync.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn commit(&mut self, times: usize) -> Result<()> {
        let doing = "the file for measuring the disk";
        for _ in 0..times {
            if self.written >= LOG_BYTES {
                self.file.seek(SeekFrom::Start(0)).context(doing)?;
                self.written = 0;
            }
            self.file.write_all(&[0x5a; COMMIT_BYTES]).context(doing)?;
            let began = Instant::now();
            self.file.sync_data().context(doing)?;
            self.samples.push(ms(began.elapsed()));
            self.written += COMMIT_BYTES as u64;
        }
        Ok(())
    }

    /// The middle duration of an fdatasync, in ms.
    pub fn median_ms(&self) -> f64 {
        median(&self.samples)
    }
}
