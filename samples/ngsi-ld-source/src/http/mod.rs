//! The HTTP binding (GS CIM 009, clause 6): headers, resources, answers.

mod answer;
mod asked;
mod discovery;
mod entities;
mod forward;
mod registrations;
mod subscriptions;
mod temporal;
mod write;

use actix_web::http::header::{ALLOW, CONTENT_TYPE};
use actix_web::{HttpResponse, Resource, ResponseError, Route, guard, web};

pub use self::answer::Fault;
pub use self::registrations::Registrations;
pub use self::subscriptions::{Subscriptions, tell};
use crate::problem::{Problem, ProblemKind};
use crate::source::Source;

/// The largest body of a query, in bytes.
const MAX_BODY: usize = 1 << 20;

/// What the service works on.
#[derive(Debug)]
pub struct Served {
    /// The data and its clock.
    pub source: Source,
    /// The value that `Authorization` must have, if any.
    pub authorization: Option<String>,
    /// Who is notified of changes.
    pub subscriptions: Subscriptions,
    /// Which other sources are asked, too.
    pub registrations: Registrations,
    /// Our name in the chain of forwarded requests.
    pub alias: String,
}

/// Registers every resource.
pub fn configure(service: &mut web::ServiceConfig) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    service.app_data(web::PayloadConfig::new(MAX_BODY)).service(
        web::scope("/ngsi-ld/v1")
            .service(
                resource("/entities", "GET, HEAD, POST", read().to(entities::query))
                    .route(web::post().to(write::create)),
            )
            .service(
                resource("/entities/{id}", "GET, HEAD, PATCH, DELETE", read().to(entities::retrieve))
                    .route(web::patch().to(write::merge))
                    .route(web::delete().to(write::remove)),
            )
            .service(
                resource("/entities/{id}/attrs", "POST, PATCH", web::post().to(write::append))
                    .route(web::patch().to(write::update)),
            )
            .service(
                resource("/entities/{id}/attrs/{attribute}", "PATCH, DELETE", web::patch().to(write::part))
                    .route(web::delete().to(write::remove_attribute)),
            )
            .service(resource("/entityOperations/query", "POST", web::post().to(entities::query_by_body)))
            .service(resource("/entityOperations/{operation}", "POST", web::post().to(write::batch)))
            .service(resource("/temporal/entities", "GET, HEAD", read().to(temporal::query)))
            .service(resource("/temporal/entities/{id}", "GET, HEAD", read().to(temporal::retrieve)))
            .service(resource("/temporal/entityOperations/query", "POST", web::post().to(temporal::query_by_body)))
            .service(
                resource("/subscriptions", "GET, POST", web::get().to(subscriptions::list))
                    .route(web::post().to(subscriptions::create)),
            )
            .service(
                resource("/subscriptions/{id}", "GET, DELETE", web::get().to(subscriptions::retrieve))
                    .route(web::delete().to(subscriptions::remove)),
            )
            .service(
                resource("/csourceRegistrations", "GET, POST", web::get().to(registrations::list))
                    .route(web::post().to(registrations::create)),
            )
            .service(
                resource("/csourceRegistrations/{id}", "GET, DELETE", web::get().to(registrations::retrieve))
                    .route(web::delete().to(registrations::remove)),
            )
            .service(resource("/types", "GET, HEAD", read().to(discovery::types)))
            .service(resource("/types/{type}", "GET, HEAD", read().to(discovery::one_type)))
            .service(resource("/attributes", "GET, HEAD", read().to(discovery::attributes)))
            .service(resource("/attributes/{attribute}", "GET, HEAD", read().to(discovery::one_attribute))),
    );
    service.service(web::resource("/health").route(web::get().to(health)));
    service.default_service(web::to(nothing_here));
}

/// A resource that answers every other method with 405 and `Allow`.
fn resource(path: &str, allow: &'static str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(move || async move {
        let detail = format!("this resource of the test source serves {allow} only");
        let mut answer = Fault::from(Problem::new(ProblemKind::MethodNotAllowed, detail)).error_response();
        answer.headers_mut().insert(ALLOW, actix_web::http::header::HeaderValue::from_static(allow));
        answer
    }))
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; charset=utf-8")).body("ok\n")
}

async fn nothing_here() -> Result<HttpResponse, Fault> {
    let detail = "this test source serves entities, temporal entities, types and attributes, batches of entities, subscriptions and registrations";
    Err(Problem::new(ProblemKind::ResourceNotFound, detail).into())
}
