//! The authority revokes Belmark's membership: what runs is suspended, what is new is refused, and Belmark is told why.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Stage;
use super::file::COMMUTERS;
use super::member::{MEMBERSHIP, diagnosis};
use crate::cli::{is_in, list, only, text};
use crate::fault::{Failed, Fault};
use crate::read;
use crate::tell::{Teller, seconds};

/// How long it may take at most until the data stops: the status is looked at each second, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause of Belmark's program between two reads.
const PAUSE: Duration = Duration::from_millis(20);
/// What the authority gives as its reason.
const REASON: &str = "left the River Region";

/// Tells the two steps; `transfer` is the one that runs, by its id in Belmark. Answers how long Belmark could still read.
pub(super) async fn membership(stage: &Stage, tell: &Teller, transfer: &str) -> Result<Duration, Failed> {
    let stopped = tell.step(
        "The authority revokes Belmark's membership while Belmark reads: the data stops",
        stop(stage, tell, transfer),
    );
    let stopped = stopped.await?;
    tell.step("A new contract is refused as well, and Belmark can find out why", refused(stage, tell)).await?;
    Ok(stopped)
}

async fn stop(stage: &Stage, tell: &Teller, transfer: &str) -> Result<Duration, Fault> {
    let (belmark, authority) = (&stage.belmark, &stage.authority.control);
    let address = format!("{}/ngsi-ld/v1/entities?type=TrafficFlowObserved&limit=1", belmark.local());
    let running = belmark.hansa().run(tell, &["transfer", "show", transfer]).await?;
    if text(&running, "/state")? != "STARTED" {
        return Err(Fault::new(format!("the transfer does not run: {running}")));
    }
    tell.say(&format!("Belmark's program reads {address}, again and again"));
    let mut reader = Reader::start(&address);
    reader.first_answer().await?;

    let issued = authority.hansa.run(tell, &["issuance", "issued", "--holder", &belmark.control.did]).await?;
    let id = text(only(&issued)?, "/id")?;
    let begun = Instant::now();
    authority.hansa.run(tell, &["credential", "revoke", id, "--reason", REASON]).await?;
    let stop = reader.stopped().await?;
    let stopped = stop.at.saturating_duration_since(begun);
    tell.say(&format!("{} reads were answered; {} after the command no more", stop.answered, seconds(stopped)));

    // Arvenna's message is on its way while its data plane has stopped already.
    let shown = ["transfer", "show", transfer];
    belmark.hansa().wait_for("Belmark did not know that the transfer is suspended", &shown, is_in("SUSPENDED")).await?;
    let told = belmark.hansa().run(tell, &shown).await?;
    let reason = text(&told, "/termination/reason/0")?;
    tell.refusal(&format!("{}: {reason} [{}]", text(&told, "/state")?, text(&told, "/termination/code")?));
    if !reason.contains(MEMBERSHIP) || !reason.contains("revoked") {
        return Err(Fault::new(format!("Belmark was not told that the revoked {MEMBERSHIP} is the reason: {told}")));
    }
    super::cut::refused(stage, tell, &address).await?;
    let query = ["transfers", "--partner", "belmark", "--state", "STARTED"];
    let others = stage.arvenna.hansa().run(tell, &query).await?;
    if !list(&others, "items")?.is_empty() {
        return Err(Fault::new(format!("Arvenna still serves Belmark: {others}")));
    }
    tell.say("nothing runs between the two any more");
    Ok(stopped)
}

async fn refused(stage: &Stage, tell: &Teller) -> Result<(), Fault> {
    match stage.belmark.hansa().attempt(tell, &["negotiate", "arvenna", COMMUTERS]).await? {
        Err(refused) if refused.sentence.contains("revoked") => {
            refused.sentence.lines().for_each(|line| tell.refusal(line));
        }
        Err(refused) => return Err(Fault::new(format!("the refusal names another reason: {}", refused.sentence))),
        Ok(agreed) => return Err(Fault::new(format!("the negotiation was not refused: {agreed}"))),
    }
    match stage.belmark.hansa().attempt(tell, &["doctor", "arvenna"]).await? {
        Ok(found) => Err(Fault::new(format!("the doctor finds nothing wrong: {found}"))),
        Err(refused) => diagnosis(tell, &refused.printed),
    }
}

/// A program of Belmark that reads until it is refused.
struct Reader {
    answers: tokio::sync::watch::Receiver<u32>,
    task: JoinHandle<Result<Stop, Fault>>,
}

/// How the reading ended.
struct Stop {
    /// Reads that were answered with data.
    answered: u32,
    /// When the first one was not.
    at: Instant,
}

impl Reader {
    fn start(address: &str) -> Self {
        let (told, answers) = tokio::sync::watch::channel(0);
        let address = address.to_owned();
        let task = tokio::spawn(async move {
            let client = reqwest::Client::new();
            let mut answered = 0_u32;
            loop {
                // A stream that breaks off is the end, too.
                let answer = read::get(&client, &address).await;
                if !answer.is_ok_and(|answer| answer.status == 200) {
                    return Ok(Stop { answered, at: Instant::now() });
                }
                answered = answered.saturating_add(1);
                if told.send(answered).is_err() {
                    return Err(Fault::new("nobody waits for the reader any more"));
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { answers, task }
    }

    async fn first_answer(&mut self) -> Result<(), Fault> {
        let first = tokio::time::timeout(PATIENCE, self.answers.wait_for(|answered| *answered > 0)).await;
        match first {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Fault::new("Belmark's program cannot read")),
        }
    }

    async fn stopped(self) -> Result<Stop, Fault> {
        let Self { answers: _listening, task } = self;
        let ended = tokio::time::timeout(PATIENCE, task).await;
        let ended =
            ended.map_err(|_| Fault::new(format!("{} s after the command Belmark still reads", PATIENCE.as_secs())))?;
        ended.map_err(|error| Fault::new(format!("the reader broke: {error}")))?
    }
}
