//! `/catalog/…` (DSP 2025-1, Catalog Protocol).

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, LINK};
use actix_web::{HttpRequest, HttpResponse, web};
use dsp_protocol::catalog::CatalogRequestMessage;
use identity::Participant;
use serde::Deserialize;

use super::answer::{self, Family, Pids};
use super::{asker, caller_and_message, remember};
use crate::app::App;
use crate::service::catalog::{CatalogPage, dataset as one_dataset, page};
use crate::service::{ServiceError, ServiceResult};

/// Query parameters of a page.
#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    cursor: Option<String>,
}

/// A CatalogRequestMessage. An unknown `filter` is passed over rather than refused: EDC always sends one.
pub(super) async fn request(
    app: web::Data<App>,
    http: HttpRequest,
    query: web::Query<PageQuery>,
    mut payload: web::Payload,
) -> HttpResponse {
    let asked = async {
        let (participant, message) = caller_and_message(&app, &http, &mut payload).await?;
        CatalogRequestMessage::parse(&message)?;
        remember(&app, &participant);
        Ok::<_, ServiceError>(participant)
    };
    answer_page(&app, asked.await, query.cursor.as_deref()).await
}

/// A further page by GET; the link of a page can be used with either method.
pub(super) async fn next_page(app: web::Data<App>, http: HttpRequest, query: web::Query<PageQuery>) -> HttpResponse {
    let participant = asker(&app, &http).await;
    answer_page(&app, participant, query.cursor.as_deref()).await
}

async fn answer_page(app: &App, participant: ServiceResult<Participant>, cursor: Option<&str>) -> HttpResponse {
    let found = match participant {
        Ok(participant) => page(app, &participant, cursor).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(found) => {
            let mut response = answer::json(StatusCode::OK, &found.catalog);
            for link in links(app, &found) {
                response.headers_mut().append(LINK, link);
            }
            response
        }
        Err(error) => answer::error(Family::Catalog, &Pids::default(), &error),
    }
}

/// `Link` headers of RFC 8288, relations `next` and `previous`.
fn links(app: &App, page: &CatalogPage) -> Vec<HeaderValue> {
    let link = |cursor: &Option<String>, relation: &str| {
        let cursor = cursor.as_ref()?;
        let text = format!("<{}/catalog/request?cursor={cursor}>; rel=\"{relation}\"", app.dsp_address);
        HeaderValue::from_str(&text).ok()
    };
    [link(&page.next, "next"), link(&page.previous, "previous")].into_iter().flatten().collect()
}

/// One dataset.
pub(super) async fn dataset(app: web::Data<App>, http: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let found = async {
        let participant = asker(&app, &http).await?;
        one_dataset(&app, &participant, &id).await
    };
    match found.await {
        Ok(found) => answer::json(StatusCode::OK, &found),
        Err(error) => answer::error(Family::Catalog, &Pids::default(), &error),
    }
}
