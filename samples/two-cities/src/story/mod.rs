//! The story, step by step.

mod agree;
mod cut;
mod file;
mod finish;
mod member;
mod publish;
mod refuse;
mod revoke;
mod start;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use self::finish::what_to_try;
use crate::authority::Authority;
use crate::city::City;
use crate::fault::{Failed, Fault};
use crate::ports::Ports;
use crate::process::Process;
use crate::programs::Programs;
use crate::tell::Teller;

/// Where the story plays.
#[derive(Debug)]
pub struct Stage {
    programs: Programs,
    folder: PathBuf,
    temporary: Option<tempfile::TempDir>,
    seed: u64,
    /// Says who is a member.
    authority: Authority,
    /// The city on the west bank, which offers traffic data.
    arvenna: City,
    /// The city on the east bank, which wants it.
    belmark: City,
}

impl Stage {
    /// Finds the programs and founds the authority and the cities.
    ///
    /// # Errors
    /// When a program is missing or the folder cannot be made.
    pub fn prepare(bin_dir: &Path, run_dir: Option<PathBuf>, seed: u64) -> Result<Self, Fault> {
        let programs = Programs::find(bin_dir)?;
        let (folder, temporary) = match run_dir {
            Some(folder) => {
                std::fs::create_dir_all(&folder).map_err(|error| Fault::file(&folder, &error))?;
                if std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
                    return Err(Fault::new(format!("`{}` is not empty", folder.display())));
                }
                (folder.canonicalize().map_err(|error| Fault::file(&folder, &error))?, None)
            }
            None => {
                let made = tempfile::Builder::new().prefix("two-cities-").tempdir();
                let made = made.map_err(|error| Fault::new(format!("no temporary folder: {error}")))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let mut ports = Ports::default();
        let arvenna = City::found("Arvenna", "arvenna", &folder, &mut ports, &programs)?;
        let belmark = City::found("Belmark", "belmark", &folder, &mut ports, &programs)?;
        let authority = Authority::found(&folder, &mut ports, &programs)?;
        Ok(Self { programs, folder, temporary, seed, authority, arvenna, belmark })
    }

    /// The folder with configuration, data and logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps the folder, for reading the logs.
    pub fn leave(self) {
        if let Some(folder) = self.temporary {
            let _kept = folder.keep();
        }
    }
}

/// The programs that run at the moment.
#[derive(Debug, Default)]
pub struct Running(Vec<Process>);

impl Running {
    /// Ends all programs, the youngest first.
    pub async fn end(self) {
        for process in self.0.into_iter().rev() {
            process.end().await;
        }
    }
}

/// Something that a city received.
#[derive(Debug)]
struct Received {
    city: &'static str,
    what: String,
    bytes: u64,
    took: Duration,
}

/// Tells the whole story, the last act only when nothing shall go on after it; gives back the id of the transfer that goes on.
///
/// # Errors
/// The step that failed, with the reason.
pub async fn tell(stage: &Stage, running: &mut Running, keep: bool) -> Result<String, Failed> {
    let tell = Teller::default();
    let begun = Instant::now();
    let mut received = Vec::new();
    tell.heading("Two cities agree on a contract, and data flows");
    tell.say(
        "Arvenna and Belmark lie on two banks of one river, in two countries. Thousands of people cross every day.",
    );
    tell.say(
        "Arvenna counts its traffic, Belmark measures its air. Neither wants to hand over its data without terms.",
    );

    tell.say("A small authority of their dataspace says who is a member, and when somebody no longer is.");

    start::all(stage, running, &tell).await?;
    publish::both(stage, &tell).await?;
    member::closed_door(stage, &tell).await?;
    member::both(stage, &tell).await?;
    member::doctor(stage, &tell).await?;
    agree::discover(stage, &tell).await?;
    let agreement = agree::negotiate(stage, &tell).await?;
    let traffic = agree::read_live(stage, &tell, &agreement, &mut received).await?;
    file::get(stage, &tell, &mut received).await?;
    refuse::negotiation(stage, &tell).await?;
    cut::suspend_and_resume(stage, &tell, &mut received).await?;
    file::other_direction(stage, &tell, &mut received).await?;
    let stopped = if keep { None } else { Some(revoke::membership(stage, &tell, &traffic).await?) };

    finish::summary(&tell, &received, stopped, begun.elapsed());
    Ok(traffic)
}
