//! A small data plane built on `dataplane-sdk`, which speaks a later draft of Data Plane Signaling than our own plane.
//!
//! As provider plane it serves one text for each running flow, to whoever shows the flow's token. It answers the start of
//! a flow at once; for the dataset `slow` it answers `STARTING` and calls back a moment later.

mod flows;
mod plane;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use clap::Parser;
use dataplane_sdk::core::db::control_plane::ControlPlaneRepo as _;
use dataplane_sdk::core::db::control_plane::memory::MemoryControlPlaneRepo;
use dataplane_sdk::core::db::data_flow::memory::MemoryDataFlowRepo;
use dataplane_sdk::core::db::memory::{MemoryContext, MemoryTransaction};
use dataplane_sdk::core::model::control_plane::ControlPlane;
use dataplane_sdk::core::model::participant::ParticipantContext;
use dataplane_sdk::sdk::DataPlaneSdk;

use crate::flows::Flows;
use crate::plane::Plane;

#[derive(Parser)]
struct Arguments {
    /// Address to listen on, for signals and data.
    #[arg(long)]
    listen: SocketAddr,
    /// Base address of the control plane's signaling listener.
    #[arg(long)]
    control_plane: String,
    /// What our callbacks show the control plane.
    #[arg(long, env = "SIGNALING_TOKEN", hide_env_values = true)]
    token: String,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let participant = ParticipantContext { id: "default".to_owned() };
    let control_plane = ControlPlane { id: "control-plane".to_owned(), url: arguments.control_plane.clone() };
    let control_planes = MemoryControlPlaneRepo::default();
    control_planes.create(&mut MemoryTransaction, &control_plane).await?;

    let flows = Arc::new(Flows::new(format!("http://{}/data", arguments.listen)));
    let plane = Plane::new(flows.clone(), participant.id.clone());
    let sdk = DataPlaneSdk::builder(MemoryContext)
        .with_repo(MemoryDataFlowRepo::default())
        .with_control_plane_repo(control_planes)
        .with_client(client(&arguments.token)?)
        .with_handler(plane.clone())
        .build()?;
    plane.reports_through(sdk.clone());

    let signals = dataplane_sdk_axum::router::router()
        .with_state(sdk)
        .layer(Extension(participant))
        .layer(Extension(control_plane));
    let data = Router::new().route("/data/{flow}", get(read)).with_state(flows);
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    println!("listening on {}", arguments.listen);
    axum::serve(listener, signals.merge(data)).await?;
    Ok(())
}

/// The library sends its callbacks without any `Authorization`; a client of our own adds it.
fn client(token: &str) -> Result<reqwest::Client, Failure> {
    let mut value = reqwest::header::HeaderValue::from_str(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    let headers = std::iter::once((reqwest::header::AUTHORIZATION, value)).collect();
    Ok(reqwest::Client::builder().default_headers(headers).build()?)
}

async fn read(
    State(flows): State<Arc<Flows>>,
    Path(flow): Path<String>,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    flows.read(&flow, token.unwrap_or_default()).ok_or(StatusCode::UNAUTHORIZED)
}
