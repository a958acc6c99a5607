//! Writing answers: media type, context, paging links, validators.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_TYPE, ETAG, EntityTag, HeaderName, HeaderValue, IF_NONE_MATCH, LINK, VARY, WWW_AUTHENTICATE,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::asked::{Asked, Media};
use crate::problem::{Problem, ProblemKind};
use crate::render::geojson;

/// The header that names the tenant.
const TENANT: HeaderName = HeaderName::from_static("ngsild-tenant");
/// The header that carries the number of all matching entities.
const RESULTS_COUNT: HeaderName = HeaderName::from_static("ngsild-results-count");

/// A problem on its way to the client.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct Fault {
    problem: Problem,
    tenant: Option<String>,
}

impl Fault {
    /// A fault that echoes the tenant of the request.
    #[must_use]
    pub const fn new(problem: Problem, tenant: Option<String>) -> Self {
        Self { problem, tenant }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::new(problem, None)
    }
}

impl ResponseError for Fault {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        // The standard wants `application/json` for problems, whatever `Accept` said (clause 6.3.2).
        answer.insert_header((CONTENT_TYPE, Media::Json.name()));
        if self.problem.kind() == ProblemKind::Unauthorized {
            answer.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        echo_tenant(&mut answer, self.tenant.as_deref());
        answer.body(self.problem.to_value().to_string())
    }
}

/// What an answer carries.
#[derive(Debug)]
pub enum Content {
    /// Entities of a list.
    Entities(Vec<Map<String, Value>>),
    /// One entity.
    Entity(Map<String, Value>),
    /// A description of types or attributes.
    Facts(Value),
}

/// What an answer to a list carries besides.
#[derive(Debug, Default)]
pub struct Extras {
    /// The number of all matching entities, when asked for.
    pub count: Option<usize>,
    /// The other pages: relation and address.
    pub pages: Vec<(&'static str, String)>,
    /// The GeoProperty that becomes a feature's geometry.
    pub geometry_property: Option<String>,
}

/// Writes an answer, or 304 when the client holds it already.
///
/// # Errors
/// See [`Asked::context`].
pub fn write(request: &HttpRequest, asked: &Asked, content: Content, extras: &Extras) -> Result<HttpResponse, Fault> {
    let context = asked.context()?;
    let is_empty = matches!(&content, Content::Entities(all) if all.is_empty());
    let in_body = match asked.media {
        Media::Json => false,
        Media::LdJson => true,
        Media::GeoJson => asked.context_in_body,
    };
    let body = body(content, asked.media, in_body.then_some(context.as_str()), extras).to_string();
    let digest = Sha256::digest(body.as_bytes());
    let tag = EntityTag::new_strong(hex::encode(digest.get(..16).unwrap_or_default()));

    let mut answer = HttpResponse::Ok();
    if holds(request, &tag) {
        answer.status(StatusCode::NOT_MODIFIED);
    }
    answer.insert_header((ETAG, tag.to_string()));
    answer.insert_header((VARY, "Accept, Authorization, Link, NGSILD-Tenant, Prefer"));
    echo_tenant(&mut answer, asked.tenant_name());
    if let Some(count) = extras.count {
        answer.insert_header((RESULTS_COUNT, count.to_string()));
    }
    if !in_body && !is_empty {
        let link = format!("<{context}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
        answer.append_header((LINK, link));
    }
    for (relation, address) in &extras.pages {
        answer.append_header((LINK, format!("<{address}>; rel=\"{relation}\"")));
    }
    if holds(request, &tag) {
        return Ok(answer.finish());
    }
    answer.insert_header((CONTENT_TYPE, asked.media.name()));
    Ok(answer.body(body))
}

fn body(content: Content, media: Media, context: Option<&str>, extras: &Extras) -> Value {
    let with_context = |mut value: Value| {
        if let (Some(context), Value::Object(members)) = (context, &mut value) {
            members.insert("@context".to_owned(), Value::from(context));
        }
        value
    };
    let feature = |entity| geojson::feature(entity, extras.geometry_property.as_deref());
    match (content, media) {
        (Content::Entity(entity), Media::GeoJson) => with_context(feature(entity)),
        (Content::Entities(all), Media::GeoJson) => {
            with_context(geojson::collection(all.into_iter().map(feature).collect()))
        }
        (Content::Entity(entity), _) => with_context(Value::Object(entity)),
        (Content::Entities(all), _) => all.into_iter().map(Value::Object).map(with_context).collect(),
        (Content::Facts(Value::Array(all)), _) => all.into_iter().map(with_context).collect(),
        (Content::Facts(facts), _) => with_context(facts),
    }
}

fn echo_tenant(answer: &mut HttpResponseBuilder, tenant: Option<&str>) {
    if let Some(value) = tenant.and_then(|name| HeaderValue::from_str(name).ok()) {
        answer.insert_header((TENANT, value));
    }
}

/// Whether `If-None-Match` names the tag (RFC 9110, section 13.1.2).
fn holds(request: &HttpRequest, tag: &EntityTag) -> bool {
    request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(|value| {
        value
            .split(',')
            .map(str::trim)
            .any(|one| one == "*" || one.parse::<EntityTag>().is_ok_and(|given| given.weak_eq(tag)))
    })
}
