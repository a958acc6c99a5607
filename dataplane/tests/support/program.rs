//! A data plane as a program of its own: the binary that ships where it is there (`HANSA_BIN_DIR`), else that of this build.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::World;

/// How long a loaded machine may take to start it.
const START: Duration = Duration::from_secs(60);

pub struct Program(Child);

/// The program's file.
pub fn binary(built: &str) -> PathBuf {
    let released = std::env::var_os("HANSA_BIN_DIR").map(|folder| PathBuf::from(folder).join("hansa-dataplane"));
    released.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(built))
}

impl Program {
    /// Starts it by `before`, a program with arguments that starts it in turn, and with these variables in its environment.
    pub async fn start(world: &World, built: &str, before: &[OsString], environment: &[(&str, OsString)]) -> Self {
        let path = world.folder.path().join("plane.toml");
        fs::write(&path, &world.config).unwrap();
        let log = File::options().create(true).append(true).open(world.folder.path().join("plane.log")).unwrap();
        let mut words = before.to_vec();
        words.extend([binary(built).into(), "--config".into(), path.into()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stderr(log).envs(environment.iter().cloned());
        let this = Self(command.spawn().unwrap());
        let begin = Instant::now();
        let port = world.signaling.rsplit(':').next().unwrap().parse::<u16>().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < START, "the data plane does not serve:\n{}", log_of(world));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        this
    }

    /// As a power failure would.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the program has logged.
pub fn log_of(world: &World) -> String {
    fs::read_to_string(world.folder.path().join("plane.log")).unwrap_or_default()
}

/// A small disk of its own for a folder, which only programs that are started by [`SmallDisk::inside`] see. `None` where this user
/// may not make one.
pub struct SmallDisk {
    holder: Child,
    folder: PathBuf,
}

impl SmallDisk {
    pub fn new(folder: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let script = format!("mount -t tmpfs -o size={bytes} tmpfs {} && exec sleep 600", folder.display());
        let mut command = Command::new("unshare");
        command.args(if is_root() { ["--mount"].as_slice() } else { ["--mount", "--map-root-user"].as_slice() });
        let mut holder = command.args(["sh", "-c", &script]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let begin = Instant::now();
        let mounts = format!("/proc/{}/mounts", holder.id());
        let wanted = format!("tmpfs {} tmpfs", folder.display());
        while !fs::read_to_string(&mounts).unwrap_or_default().contains(&wanted) {
            if holder.try_wait().unwrap().is_some() || begin.elapsed() > START {
                let _ = holder.kill();
                let _ = holder.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { holder, folder: folder.to_owned() })
    }

    /// The folder as this process sees it.
    pub fn folder(&self) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(self.folder.strip_prefix("/").unwrap())
    }

    /// How a program is started there.
    pub fn inside(&self) -> Vec<OsString> {
        let target = self.holder.id().to_string();
        let words = ["nsenter", "--target", &target, "--mount"];
        let mut words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        if !is_root() {
            words.extend(["--user".into(), "--preserve-credentials".into()]);
        }
        words
    }

    /// Fills it, but for so many bytes.
    pub fn fill(&self, but_for: u64) {
        use std::io::Write;
        let path = self.folder().join("filler");
        let mut file = File::options().create(true).append(true).open(&path).unwrap();
        let block = vec![1; 4096];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(but_for)).unwrap();
    }

    /// Makes room again.
    pub fn empty(&self) {
        let _ = fs::remove_file(self.folder().join("filler"));
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n")
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A clock that the test sets, for one program.
pub struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// `None` where libfaketime is not installed.
    pub fn new(folder: &Path) -> Option<Self> {
        let places =
            ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib", "/usr/lib64"];
        let library = places.iter().map(|place| Path::new(place).join("faketime/libfaketimeMT.so.1"));
        let library = library.into_iter().find(|path| path.is_file())?;
        let this = Self { file: folder.join("clock"), library };
        this.set("+0");
        Some(this)
    }

    /// Sets it so far from the real one, for example `+3h`.
    pub fn set(&self, offset: &str) {
        // As a whole, since the program reads it at any moment.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{offset}\n")).unwrap();
        fs::rename(next, &self.file).unwrap();
    }

    /// The environment of the program. With `monotonic` the clock that only goes forward jumps too.
    pub fn environment(&self, monotonic: bool) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", if monotonic { "0" } else { "1" }.into()),
        ]
    }
}
