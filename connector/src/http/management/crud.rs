//! What the handlers of datasets, policies, offers, partners, data planes, webhooks and trusted issuers share.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::BASE;
use super::query::{ListBody, list_query};
use crate::app::App;
use crate::http::problem::Problem;
use crate::service::ServiceResult;
use crate::service::registry::{self, Resource};
use crate::store::registry::Registered;

/// What a handler answers.
pub(super) type Answer = Result<HttpResponse, Problem>;

/// A kind of row as the API shows it.
pub(super) trait Shown: Resource {
    /// The shown form.
    type View: Serialize;
    /// The path of the list below the base.
    const PATH: &'static str;
    /// Filters of the list.
    const FILTERS: &'static [&'static str];
    /// Makes the shown form.
    fn view(row: Self::Model) -> ServiceResult<Self::View>;
}

/// 200 with a JSON body.
pub(super) fn ok(body: &impl Serialize) -> Answer {
    Ok(HttpResponse::Ok().json(body))
}

/// `GET /<kind>`.
pub(super) async fn list<R: Shown>(app: &App, request: &HttpRequest) -> Answer {
    let page = registry::list::<R>(app, &list_query(request, R::FILTERS)?).await?;
    let items = page.items.into_iter().map(R::view).collect::<ServiceResult<Vec<_>>>()?;
    ok(&ListBody { items, next: page.next })
}

/// `GET /<kind>/{id}`.
pub(super) async fn get<R: Shown>(app: &App, id: &str) -> Answer {
    ok(&R::view(registry::get::<R>(app, id).await?)?)
}

/// `POST /<kind>`.
pub(super) async fn create<R: Shown>(app: &App, input: R::Input) -> Answer {
    created::<R>(registry::create::<R>(app, input).await?)
}

/// `PUT /<kind>/{id}`.
pub(super) async fn put<R: Shown>(app: &App, id: &str, input: R::Input) -> Answer {
    match registry::put::<R>(app, id, input).await? {
        (row, true) => created::<R>(row),
        (row, false) => ok(&R::view(row)?),
    }
}

/// `DELETE /<kind>/{id}`.
pub(super) async fn remove<R: Shown>(app: &App, id: &str) -> Answer {
    registry::remove::<R>(app, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn created<R: Shown>(row: R::Model) -> Answer {
    let location = location(R::PATH, <R as Registered>::id(&row));
    Ok(HttpResponse::Created().insert_header((header::LOCATION, location)).json(R::view(row)?))
}

/// The address of one thing.
pub(super) fn location(path: &str, id: &str) -> String {
    format!("{BASE}{path}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}
