//! Pages for people where programs expect NGSI-LD: what a proxy, a gateway or a login before a broker answers.

use actix_web::http::{StatusCode, header};
use hyper::body::Incoming;

use crate::problem::{Fault, Problem};
use crate::public::NGSI_LD_PATH;

/// Who answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behind {
    /// Our source.
    Source,
    /// The partner's data plane.
    Partner,
}

/// Refuses to pass on a page below an NGSI-LD interface, and says instead who answered so. The status keeps its meaning where
/// it has one for the reader.
///
/// # Errors
/// `source_failed`, `source_refused`, `source_refuses_us` or `answer_not_understood` for an answer with a page, and for an
/// error in any form that is not JSON.
pub(crate) fn refuse_page(path: &str, answer: &http::Response<Incoming>, behind: Behind) -> Result<(), Problem> {
    if !path.starts_with(NGSI_LD_PATH) {
        return Ok(());
    }
    let given = answer.headers().get(http::header::CONTENT_TYPE);
    let Some(media) = given.and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next()) else {
        return Ok(());
    };
    let media = media.trim().to_ascii_lowercase();
    let page = matches!(media.as_str(), "text/html" | "application/xhtml+xml");
    let json = media == "application/json" || media.ends_with("+json");
    let status = answer.status().as_u16();
    if !page && (json || status < 400) {
        return Ok(());
    }
    let (whom, ours) = match behind {
        Behind::Source => ("the source", Fault::Operator),
        Behind::Partner => ("the partner's data plane", Fault::Peer),
    };
    let shown: String = media.chars().filter(char::is_ascii_graphic).take(80).collect();
    let detail = format!("{whom}, or a proxy before it, answered {status} with `{shown}` instead of NGSI-LD");
    let (told, code, fault) = match status {
        401 | 403 | 407 => (StatusCode::BAD_GATEWAY, "source_refuses_us", ours),
        400..500 => (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), "source_refused", Fault::Peer),
        500..600 => (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), "source_failed", Fault::Peer),
        _ => (StatusCode::BAD_GATEWAY, "answer_not_understood", Fault::Peer),
    };
    let problem = Problem::new(told, code, fault, detail);
    // When it is worth trying again is worth telling.
    let later = answer.headers().get(http::header::RETRY_AFTER);
    let later = later.and_then(|value| header::HeaderValue::from_bytes(value.as_bytes()).ok());
    Err(match later {
        Some(later) => problem.with_header(header::RETRY_AFTER, later),
        None => problem,
    })
}
