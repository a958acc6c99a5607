//! Arvenna suspends a running transfer, and lets it go on later.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::file::COMMUTERS;
use super::{Received, Stage};
use crate::cli::{is_in, only, text};
use crate::fault::{Failed, Fault};
use crate::read::{self, Ended, download};
use crate::tell::{Teller, seconds, size};

/// How much has arrived before Arvenna suspends.
const BEFORE_CUT: u64 = 4_000_000;

/// A download that runs beside the story.
struct Download {
    received: watch::Receiver<u64>,
    hurry: watch::Sender<bool>,
    task: JoinHandle<Result<(Ended, Instant), Fault>>,
}

impl Download {
    fn start(address: &str, path: &Path, hurry: bool) -> Self {
        let (told, received) = watch::channel(0);
        let (hurry, hurried) = watch::channel(hurry);
        let (address, path) = (address.to_owned(), path.to_owned());
        let task =
            tokio::spawn(
                async move { download(&address, &path, told, hurried).await.map(|ended| (ended, Instant::now())) },
            );
        Self { received, hurry, task }
    }

    async fn ended(self) -> Result<(Ended, Instant), Fault> {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.task).await;
        let ended = ended.map_err(|_| Fault::new("the stream neither ended nor broke off within 20 s"))?;
        ended.map_err(|error| Fault::new(format!("the download broke: {error}")))?
    }
}

/// A transfer of the file, as both cities name it.
struct Transfer {
    /// Its id in Arvenna.
    at_arvenna: String,
    /// Its id in Belmark.
    at_belmark: String,
    /// Where Belmark's programs read it.
    endpoint: String,
}

/// Tells the three steps.
pub(super) async fn suspend_and_resume(
    stage: &Stage,
    tell: &Teller,
    received: &mut Vec<Received>,
) -> Result<(), Failed> {
    let path = stage.belmark.folder().join("commuters-again.csv");
    let begun = Instant::now();
    let transfer = tell
        .step("Arvenna suspends a transfer while Belmark downloads: the stream is cut", cut(stage, tell, &path))
        .await?;
    tell.step("Belmark's next read is refused", refused(stage, tell, &transfer.endpoint)).await?;
    tell.step("Arvenna lets it go on; Belmark fetches the rest", rest(stage, tell, &transfer, &path)).await?;
    let bytes = std::fs::metadata(&path).map_or(0, |data| data.len());
    let what = "the same file in two parts, with a suspension between".to_owned();
    received.push(Received { city: "Belmark", what, bytes, took: begun.elapsed() });
    Ok(())
}

async fn cut(stage: &Stage, tell: &Teller, path: &Path) -> Result<Transfer, Fault> {
    let agreements = stage.belmark.hansa().run(tell, &["agreements", "--dataset", COMMUTERS]).await?;
    let agreement = text(only(&agreements)?, "/id")?;
    let transfer = stage.belmark.hansa().run(tell, &["transfer", agreement]).await?;
    let endpoint = text(&transfer, "/localEndpoint")?.to_owned();

    tell.say(&format!("Belmark reads {endpoint}, slowly"));
    let mut download = Download::start(&endpoint, path, false);
    let enough = download.received.wait_for(|bytes| *bytes >= BEFORE_CUT);
    let enough = tokio::time::timeout(Duration::from_secs(15), enough).await.map(|waited| waited.is_ok());
    if !matches!(enough, Ok(true)) {
        return Err(match download.ended().await {
            Ok(_) => Fault::new("the stream ended before anybody suspended it"),
            Err(fault) => fault,
        });
    }
    let query = ["transfers", "--role", "provider", "--state", "STARTED", "--dataset", COMMUTERS];
    let started = |list: &Value| only(list).is_ok();
    stage.arvenna.hansa().wait_for("no transfer of the file runs in Arvenna", &query, started).await?;
    let running = stage.arvenna.hansa().run(tell, &query).await?;
    let id = text(only(&running)?, "/id")?;
    let begun = Instant::now();
    let reason = "maintenance of the counting stations";
    stage.arvenna.hansa().run(tell, &["transfer", "suspend", id, "--reason", reason]).await?;
    let commanded = begun.elapsed();
    // What is still on its way in buffers is read at full speed, so that the end shows when the stream was cut.
    let _reader_gone = download.hurry.send(true);
    let (ended, at) = download.ended().await?;
    let bytes = std::fs::metadata(path).map_err(|error| Fault::file(path, &error))?.len();
    match ended {
        Ended::Complete => Err(Fault::new(format!("all {bytes} bytes arrived in spite of the suspension"))),
        Ended::Cut => {
            let after = at.saturating_duration_since(begun);
            tell.say(&format!(
                "cut {} after the command ({} of it for the command) with {} of the file there",
                seconds(after),
                seconds(commanded),
                size(bytes)
            ));
            Ok(Transfer { at_arvenna: id.to_owned(), at_belmark: text(&transfer, "/id")?.to_owned(), endpoint })
        }
    }
}

/// Belmark's next read is refused, because the transfer is suspended.
pub(super) async fn refused(stage: &Stage, tell: &Teller, endpoint: &str) -> Result<(), Fault> {
    tell.command(stage.belmark.name(), &format!("curl '{endpoint}'"));
    let answer = read::get(&reqwest::Client::new(), endpoint).await?;
    let reason = answer.reason();
    if answer.status != 403 || !reason.contains("suspended") {
        return Err(Fault::new(format!("expected a refusal because of the suspension, got {reason}")));
    }
    tell.refusal(&reason);
    Ok(())
}

async fn rest(stage: &Stage, tell: &Teller, transfer: &Transfer, path: &Path) -> Result<(), Fault> {
    let before = std::fs::metadata(path).map_err(|error| Fault::file(path, &error))?.len();
    // The data stops before both control planes have agreed on it.
    let show = ["transfer", "show", &transfer.at_arvenna];
    stage.arvenna.hansa().wait_for("Belmark had not confirmed the suspension", &show, is_in("SUSPENDED")).await?;
    stage.arvenna.hansa().run(tell, &["transfer", "resume", &transfer.at_arvenna]).await?;
    let begun = Instant::now();
    while (400..600).contains(&head(&transfer.endpoint).await?) {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(Fault::new("ten seconds after the command Belmark still cannot read"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tell.say(&format!(
        "Belmark can read again {} after the command; it asks for the bytes from {before} on",
        seconds(begun.elapsed())
    ));
    if let (Ended::Cut, _) = Download::start(&transfer.endpoint, path, true).ended().await? {
        return Err(Fault::new("the stream broke off again"));
    }
    let (original, copy) =
        (read::sha256(&stage.arvenna.folder().join("open-data/commuters.csv"))?, read::sha256(path)?);
    if original != copy {
        return Err(Fault::new(format!("the SHA-256 of the two parts together is {copy}, of the original {original}")));
    }
    tell.say("the two parts together have the SHA-256 of the original");
    stage.belmark.hansa().run(tell, &["transfer", "complete", &transfer.at_belmark]).await?;
    let show = ["transfer", "show", &transfer.at_belmark];
    stage.belmark.hansa().wait_for("Arvenna had not confirmed the end", &show, is_in("COMPLETED")).await?;
    Ok(())
}

async fn head(address: &str) -> Result<u16, Fault> {
    Ok(reqwest::Client::new().head(address).send().await?.status().as_u16())
}
