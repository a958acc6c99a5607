//! Questions to the control plane.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use dps_signaling::{UsageGrant, UsageRequest, usage_path};
use http::Method;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::account::{Account, Lacks};
use crate::clock::now_ms;
use crate::flow::Flow;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::signaling::callback::tell;

/// How long the control plane may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 4 * 1024;

/// Asks for a block, unless a question about this meter is under way. The account tells those who wait when the answer is
/// there.
pub(super) fn ask(plane: &Arc<Plane>, flow: &Arc<Flow>, account: &Arc<Account>, lacks: Lacks) {
    let Some(wanted) = account.question(lacks, now_ms()) else { return };
    let (plane, flow, account) = (Arc::clone(plane), Arc::clone(flow), Arc::clone(account));
    let background = plane.background.clone();
    background.spawn(async move {
        let question = UsageRequest { meter: lacks.meter, wanted };
        let answer = tokio::time::timeout(PATIENCE, put(&plane, &flow, question)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        if let Err(reason) = &answer {
            tracing::warn!(flow = flow.terms.id, meter = lacks.meter.as_wire(), reason, "no uses were granted");
        }
        account.answer(lacks.meter, answer.ok(), now_ms());
    });
}

async fn put(plane: &Plane, flow: &Flow, question: UsageRequest) -> Result<UsageGrant, String> {
    let url = format!("{}{}", plane.callback_base(flow), usage_path(&flow.terms.process_id));
    let answer = tell(plane, Method::POST, &url, &question.encode()).await?;
    if answer.status() != http::StatusCode::OK {
        return Err(format!("the control plane answered {}", answer.status().as_u16()));
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
    let body: Value = serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())?;
    UsageGrant::decode(&body).map_err(|error| error.to_string())
}

/// 503: the agreement may well allow the use, but nobody can say so.
pub(super) fn unavailable() -> Problem {
    let detail = "the agreement counts its uses, and the provider's control plane grants none just now";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "usage_not_granted", Fault::Us, detail)
        .with_header(header::RETRY_AFTER, header::HeaderValue::from_static("1"))
}
