//! Whole downloads with one command, in both directions.

use std::path::Path;
use std::time::Instant;

use super::{Received, Stage};
use crate::city::City;
use crate::fault::{Failed, Fault};
use crate::read;
use crate::tell::{Teller, seconds, size};

/// The dataset with the file.
pub(super) const COMMUTERS: &str = "urn:dataset:arvenna:commuters";

/// Belmark fetches the file of commuter counts.
pub(super) async fn get(stage: &Stage, tell: &Teller, received: &mut Vec<Received>) -> Result<(), Failed> {
    tell.step("Belmark fetches a file: catalog, contract, transfer and download in one command", async {
        let path = stage.belmark.folder().join("commuters.csv");
        let (bytes, took) =
            fetch(&stage.belmark, tell, &["get", "arvenna", COMMUTERS, "-o", "commuters.csv"], &path).await?;
        let original = read::sha256(&stage.arvenna.folder().join("open-data/commuters.csv"))?;
        let copy = read::sha256(&path)?;
        if original != copy {
            return Err(Fault::new(format!("the SHA-256 of the copy is {copy}, of the original {original}")));
        }
        tell.say(&format!("{} in {}; SHA-256 on both sides {copy}", size(bytes), seconds(took)));
        received.push(Received { city: "Belmark", what: "the file of commuter counts".to_owned(), bytes, took });
        Ok(())
    })
    .await
}

/// Arvenna fetches Belmark's air quality.
pub(super) async fn other_direction(stage: &Stage, tell: &Teller, received: &mut Vec<Received>) -> Result<(), Failed> {
    tell.step("The other direction: Arvenna gets Belmark's air quality", async {
        let query = "/ngsi-ld/v1/entities?type=AirQualityObserved&options=keyValues&limit=100";
        let arguments =
            ["get", "belmark", "urn:dataset:belmark:air-quality", "--path", query, "-o", "air-quality.json"];
        let path = stage.arvenna.folder().join("air-quality.json");
        let (bytes, took) = fetch(&stage.arvenna, tell, &arguments, &path).await?;
        let text = std::fs::read(&path).map_err(|error| Fault::file(&path, &error))?;
        let entities: Vec<serde_json::Value> =
            serde_json::from_slice(&text).map_err(|error| Fault::new(format!("no list of entities: {error}")))?;
        tell.say(&format!("{} stations, {} in {}", entities.len(), size(bytes), seconds(took)));
        let what = format!("{} air quality stations", entities.len());
        received.push(Received { city: "Arvenna", what, bytes, took });
        Ok(())
    })
    .await
}

async fn fetch(
    city: &City,
    tell: &Teller,
    arguments: &[&str],
    path: &Path,
) -> Result<(u64, std::time::Duration), Fault> {
    let begun = Instant::now();
    city.hansa().run(tell, arguments).await?;
    let took = begun.elapsed();
    let bytes = std::fs::metadata(path).map_err(|error| Fault::file(path, &error))?.len();
    Ok((bytes, took))
}
