//! `/ready` of both programs tells the truth: an orchestrator that believes it sends nothing to where it cannot be answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::time::Duration;

use serde_json::{Value, json};
use tck::pair::{Pair, read};
use tck::postgres::Postgres;
use tck::wait;

const PATIENCE: Duration = Duration::from_secs(30);

async fn ready(root: &str) -> Option<(u16, Value)> {
    let (status, body) = read(&format!("{root}/ready"), &[]).await.ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    Some((status, body["missing"].clone()))
}

async fn becomes(root: &str, status: u16, missing: Value) {
    wait::until(format!("{root}/ready answers {status} {missing}"), PATIENCE, || async {
        (ready(root).await? == (status, missing.clone())).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_a_control_plane_lives_and_is_not_ready() {
    let postgres = Postgres::start().unwrap();
    let database = postgres.database("ready").unwrap();
    let pair = Pair::start_on([Some(database), None]).await.unwrap();
    let control = pair.provider.control.signaling();
    let plane = pair.provider.data.signaling();
    becomes(&control, 200, json!([])).await;
    becomes(&plane, 200, json!([])).await;

    drop(postgres);
    becomes(&control, 503, json!(["the database does not answer"])).await;
    let (alive, _) = read(&format!("{control}/health"), &[]).await.unwrap();
    assert_eq!(alive, 200, "to start it anew would mend nothing");
    becomes(&plane, 200, json!([])).await;
}
