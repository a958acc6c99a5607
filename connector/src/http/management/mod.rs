//! The management API: what operators and their automation see. One module for each kind of thing; routes and
//! description come from one list ([`document`]).

mod agreements;
mod auth;
mod body;
mod consents;
mod credential_requests;
mod credentials;
mod crud;
mod data_planes;
mod datasets;
mod decisions;
mod declared_events;
mod diagnosis;
mod document;
mod duties;
mod events;
mod identity;
mod issuances;
mod negotiations;
mod offers;
mod partner_catalog;
mod partners;
mod policies;
mod policy_templates;
mod policy_tools;
mod processes;
mod query;
mod status;
mod transfers;
mod trust;
mod webhooks;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, get};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::http::problem::Problem;
use crate::service::token::TokenHash;
use crate::service::{ServiceError, ServiceResult};

pub(crate) use events::EventView;

/// Base path of the API.
const BASE: &str = "/api/v1";

/// What the documentation page may load: only our own files. Its style sheets are partly inline.
const CONTENT_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Sets the management listener up: the API behind the token; its description and the documentation page, which hold no
/// secrets, without. Event streams end with `stop`.
pub(crate) fn configure(
    app: Arc<App>,
    token: TokenHash,
    stop: CancellationToken,
) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let streams = events::Streams::new(stop);
    move |config| {
        let api = web::scope("/v1")
            .wrap(from_fn(auth::check_path))
            .wrap(from_fn(auth::authenticate))
            .configure(document::register)
            .default_service(web::to(no_such_route));
        let headers = DefaultHeaders::new()
            .add(("Cache-Control", "no-store"))
            .add(("Content-Security-Policy", CONTENT_POLICY))
            .add(("Referrer-Policy", "no-referrer"))
            .add(("X-Content-Type-Options", "nosniff"));
        config
            .route("/sts/token", web::post().to(crate::http::dcp::token))
            .app_data(Data::from(app.clone()))
            .app_data(Data::new(token.clone()))
            .app_data(Data::new(streams.clone()))
            .service(
                web::scope("/api")
                    .wrap(headers)
                    .service(web::redirect("/docs", "/api/docs/"))
                    .service(document::page())
                    .service(web::scope("/v1/openapi.json").service(openapi))
                    .service(api),
            )
            .default_service(web::to(no_such_route));
    }
}

/// Shows this description.
#[utoipa::path(
    path = "/openapi.json",
    tag = "status",
    security(()),
    responses((status = 200, description = "The OpenAPI description", content_type = "application/json"))
)]
#[get("")]
async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document::text())
}

/// 405 when the path is known with other methods, else 404.
async fn no_such_route(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request.path();
    match path.strip_prefix(BASE).map(document::methods_of).filter(|methods| !methods.is_empty()) {
        Some(methods) => Err(Problem::method_not_allowed(methods.join(", "))),
        None => Err(ServiceError::not_found("there is nothing at this path").into()),
    }
}

/// JSON of a column that we wrote.
fn stored<T: DeserializeOwned>(text: &str) -> ServiceResult<T> {
    serde_json::from_str(text).map_err(|error| ServiceError::internal(format!("a stored row cannot be read: {error}")))
}
