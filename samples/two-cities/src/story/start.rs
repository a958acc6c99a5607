//! The authority and both cities start their programs.

use std::time::Instant;

use super::{Running, Stage};
use crate::city::City;
use crate::fault::{Failed, Fault};
use crate::process::Process;
use crate::tell::{Teller, seconds, size};

/// Makes the data, writes the configuration, starts everything.
pub(super) async fn all(stage: &Stage, running: &mut Running, tell: &Teller) -> Result<(), Failed> {
    tell.step("Synthetic data is made", data(stage, tell)).await?;
    tell.step("The River Region Authority opens", open(stage, running, tell)).await?;
    for city in [&stage.arvenna, &stage.belmark] {
        let title = format!("{} starts its connector", city.name());
        tell.step(&title, start(stage, city, running, tell)).await?;
    }
    Ok(())
}

async fn data(stage: &Stage, tell: &Teller) -> Result<(), Fault> {
    let out = stage.folder.join("data");
    let output = tokio::process::Command::new(&stage.programs.source)
        .args(["generate", "--seed", &stage.seed.to_string(), "--out"])
        .arg(&out)
        .output()
        .await
        .map_err(|error| Fault::file(&stage.programs.source, &error))?;
    if !output.status.success() {
        return Err(Fault::new(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let (made, offered) = (out.join("commuters.csv"), stage.arvenna.folder().join("open-data/commuters.csv"));
    std::fs::rename(&made, &offered).map_err(|error| Fault::file(&offered, &error))?;
    let bytes = std::fs::metadata(&offered).map_err(|error| Fault::file(&offered, &error))?.len();
    tell.say(
        "two invented cities with their traffic counters, air quality stations and flood gauges, 24 hours of history,",
    );
    tell.say(&format!("and a file with commuter counts of {}", size(bytes)));
    Ok(())
}

async fn open(stage: &Stage, running: &mut Running, tell: &Teller) -> Result<(), Fault> {
    let authority = &stage.authority;
    authority.configure(&stage.arvenna, &stage.belmark)?;
    let begun = Instant::now();
    running.0.push(authority.control.start(&stage.programs).await?);
    tell.say(&format!("control plane at {}, ready after {}", authority.control.root(), seconds(begun.elapsed())));
    tell.say(&format!("known as {}; it shares no data, it says who is a member", authority.control.did));
    Ok(())
}

async fn start(stage: &Stage, city: &City, running: &mut Running, tell: &Teller) -> Result<(), Fault> {
    city.configure(&stage.authority)?;
    let data = stage.folder.join("data");
    running.0.push(city.start_source(&stage.programs, &data, stage.seed).await?);
    tell.say(&format!("NGSI-LD source at {} (asks for a token that only {} knows)", city.source(), city.name()));

    let begun = Instant::now();
    running.0.push(city.control.start(&stage.programs).await?);
    tell.say(&format!("control plane at {}, ready after {}", city.control.root(), seconds(begun.elapsed())));

    let begun = Instant::now();
    let mut data_plane: Process = city.start_data_plane(&stage.programs)?;
    let status = format!("{}/api/v1/status", city.hansa().url);
    let client = reqwest::Client::new();
    let token = city.hansa().token()?;
    let registered = async || {
        let response = client.get(&status).bearer_auth(&token).send().await;
        let Ok(response) = response else { return false };
        let body = response.bytes().await.unwrap_or_default();
        let status: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        status.get("dataPlanes").and_then(|planes| planes.as_array()).is_some_and(|planes| !planes.is_empty())
    };
    data_plane.wait_until("it registered with the control plane", registered).await?;
    running.0.push(data_plane);
    tell.say(&format!(
        "data plane for {}'s own programs at {}, ready after {}",
        city.name(),
        city.local(),
        seconds(begun.elapsed())
    ));
    tell.say(&format!("known as {}; it believes the authority, and nobody else, about members", city.control.did));
    Ok(())
}
