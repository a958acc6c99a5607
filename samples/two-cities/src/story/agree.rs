//! Belmark finds Arvenna's traffic data, agrees on its terms and reads it live.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Received, Stage};
use crate::cli::text;
use crate::fault::{Failed, Fault};
use crate::read;
use crate::tell::{Teller, seconds, size};

/// The live dataset.
const TRAFFIC: &str = "urn:dataset:arvenna:traffic";

/// Belmark reads Arvenna's catalog.
pub(super) async fn discover(stage: &Stage, tell: &Teller) -> Result<(), Failed> {
    tell.step("Belmark looks at what Arvenna offers", async {
        let catalog = stage.belmark.hansa().run(tell, &["catalog", "arvenna"]).await?;
        let datasets = catalog.get("datasets").and_then(Value::as_array);
        let datasets = datasets.ok_or_else(|| Fault::new(format!("the catalog has no datasets: {catalog}")))?;
        if datasets.len() != 3 {
            return Err(Fault::new(format!("expected three datasets in the catalog, found {}", datasets.len())));
        }
        for dataset in datasets {
            tell.say(&format!("{}: {}", text(dataset, "/id")?, text(dataset, "/title")?));
        }
        Ok(())
    })
    .await
}

/// Belmark agrees on the terms of the traffic data; gives back the id of the agreement.
pub(super) async fn negotiate(stage: &Stage, tell: &Teller) -> Result<String, Failed> {
    tell.step("Belmark negotiates a contract for the traffic data", async {
        let negotiation = stage.belmark.hansa().run(tell, &["negotiate", "arvenna", TRAFFIC]).await?;
        if text(&negotiation, "/state")? != "FINALIZED" {
            return Err(Fault::new(format!("the negotiation ended in another state: {negotiation}")));
        }
        let agreement = text(&negotiation, "/agreementId")?.to_owned();
        tell.say(&format!("agreed: {agreement}"));
        Ok(agreement)
    })
    .await
}

/// Belmark's programs read the traffic at their own address, twice; gives back the id of the transfer.
pub(super) async fn read_live(
    stage: &Stage,
    tell: &Teller,
    agreement: &str,
    received: &mut Vec<Received>,
) -> Result<String, Failed> {
    let started = tell.step("The transfer starts", async {
        let transfer = stage.belmark.hansa().run(tell, &["transfer", agreement]).await?;
        if text(&transfer, "/state")? != "STARTED" {
            return Err(Fault::new(format!("the transfer is in another state: {transfer}")));
        }
        Ok(text(&transfer, "/id")?.to_owned())
    });
    let transfer = started.await?;
    let reading =
        tell.step("Belmark's programs read live traffic as if from a local broker", twice(stage, tell, received));
    reading.await?;
    tell.step("What the contract does not cover is refused", outside(stage, tell)).await?;
    Ok(transfer)
}

async fn twice(stage: &Stage, tell: &Teller, received: &mut Vec<Received>) -> Result<(), Fault> {
    let root = format!("{}/ngsi-ld/v1/entities", stage.belmark.local());
    let address = format!("{root}?type=TrafficFlowObserved&options=keyValues&limit=100&count=true");
    tell.command("Belmark", &format!("curl '{address}'"));
    let client = reqwest::Client::new();
    let begun = Instant::now();
    let first = read::get(&client, &address).await?.successful("the first read")?;
    let took = begun.elapsed();
    let entities = first.json()?;
    let entities = entities.as_array().ok_or_else(|| Fault::new("the answer is no list of entities"))?;
    let total = first.header("NGSILD-Results-Count");
    tell.say(&format!(
        "{} of {total} entities, {}, in {}",
        entities.len(),
        size(first.body.len() as u64),
        seconds(took)
    ));
    received.push(Received {
        city: "Belmark",
        what: format!("{} traffic counters, live", entities.len()),
        bytes: first.body.len() as u64,
        took,
    });

    let one = entities.first().ok_or_else(|| Fault::new("no entity was received"))?;
    let (before, id) = (one.get("intensity").cloned().unwrap_or_default(), text(one, "/id")?);
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = read::get(&client, &address).await?.successful("the second read")?;
        let took = asked.elapsed();
        let entities = answer.json()?;
        let again = entities.as_array().into_iter().flatten().find(|entity| entity.get("id") == one.get("id"));
        let after = again.and_then(|entity| entity.get("intensity")).cloned().unwrap_or_default();
        if after != before {
            tell.say(&format!("{id}: {before} vehicles an hour, {} later {after}", seconds(begun.elapsed())));
            received.push(Received {
                city: "Belmark",
                what: format!("{} traffic counters, again", entities.as_array().map_or(0, Vec::len)),
                bytes: answer.body.len() as u64,
                took,
            });
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(Fault::new(format!("`intensity` of {id} stayed {before} for ten seconds")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn outside(stage: &Stage, tell: &Teller) -> Result<(), Fault> {
    let address = format!("{}/ngsi-ld/v1/entities?type=FloodMonitoring", stage.belmark.local());
    tell.command("Belmark", &format!("curl '{address}'"));
    let answer = read::get(&reqwest::Client::new(), &address).await?;
    if answer.status != 403 {
        return Err(Fault::new(format!("expected a refusal, got {}", answer.reason())));
    }
    tell.refusal(&answer.reason());
    Ok(())
}
