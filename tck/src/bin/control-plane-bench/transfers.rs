//! Transfers under one agreement, with a data plane on each side.

use std::time::Instant;

use serde_json::json;
use tck::events::follow_kind;
use tck::management::text;
use tck::{Error, Result};

use crate::Extent;
use crate::cities::Cities;
use crate::figures::{Budget, Report, median, ms};
use crate::negotiations::next;

pub async fn measure(cities: &Cities, agreement: &str, extent: &Extent, report: &mut Report) -> Result<()> {
    let api = cities.consumer.api();
    let mut started = follow_kind(api, 0, Some("transfer.started")).await?;
    let mut times = Vec::new();
    // The first one opens connections.
    for number in 0..=extent.transfers {
        let began = Instant::now();
        let begun = api.post("/transfers", json!({"agreementId": agreement})).await?;
        let event = next(&mut started, "the consumer's STARTED").await?;
        let took = ms(began.elapsed());
        if event.subject != text(&begun, "id") {
            return Err(Error::new(format!("{} was awaited, {} has started", text(&begun, "id"), event.subject)));
        }
        if number > 0 {
            times.push(took);
        }
    }
    report.add("one transfer, request to STARTED, median", "ms", Budget::None, median(&times));
    Ok(())
}
