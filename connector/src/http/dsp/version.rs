//! The version document (DSP 2025-1, Exposure of Versions), and what answers outside the protocol.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use dsp_protocol::version::{VersionAuth, VersionDocument};
use serde_json::json;

use super::BASE_PATH;
use super::answer;
use crate::app::App;

/// Open to everybody, as the specification demands.
pub(super) async fn document(app: web::Data<App>) -> HttpResponse {
    let mut document = VersionDocument::of_2025_1(BASE_PATH);
    if app.dcp.is_some() {
        for version in &mut document.protocol_versions {
            version.identifier_type = Some("did:web".to_owned());
            version.auth = Some(VersionAuth {
                protocol: "DCP".to_owned(),
                version: "1.0".to_owned(),
                profile: ["vc20-bssl/jwt", "vc11-sl2021/jwt"].map(str::to_owned).to_vec(),
            });
        }
    }
    answer::json(StatusCode::OK, &document.to_value())
}

/// Whether the database answers.
pub(super) async fn health(app: web::Data<App>) -> HttpResponse {
    match crate::store::events::last_seq(&app.store).await {
        Ok(_) => answer::json(StatusCode::OK, &json!({"status": "up"})),
        Err(error) => {
            tracing::error!(%error, "the database does not answer");
            let body = json!({"status": "down", "do": "see the log: the database does not answer"});
            answer::json(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    }
}

/// A path that does not exist.
pub(super) async fn nowhere() -> HttpResponse {
    let body = json!({"code": "unknown_path", "reason": [format!("the endpoints are below {BASE_PATH}")]});
    answer::json(StatusCode::NOT_FOUND, &body)
}
