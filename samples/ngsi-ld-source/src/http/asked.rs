//! What every request says beside its parameters: who asks, for which tenant, in which media type and context.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, HeaderMap, LINK};
use time::OffsetDateTime;

use super::{Fault, Served};
use crate::problem::{Problem, ProblemKind};
use crate::source::World;
use crate::store::{Tenant, is_core_context};

/// The relation of a context in a `Link` header.
const CONTEXT_RELATION: &str = "http://www.w3.org/ns/json-ld#context";
/// The context of answers when neither the request nor the data names one.
const CORE_CONTEXT: &str = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";

/// The media types of answers, in the order in which the standard prefers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`, the context in a `Link` header.
    Json,
    /// `application/ld+json`, the context in the body.
    LdJson,
    /// `application/geo+json`
    GeoJson,
}

impl Media {
    /// The name in headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::LdJson => "application/ld+json",
            Self::GeoJson => "application/geo+json",
        }
    }

    /// Chooses by `Accept` among `offered`; the first of the best quality wins.
    fn choose(accept: &str, offered: &[Self]) -> Option<Self> {
        if accept.trim().is_empty() {
            return Some(Self::Json);
        }
        let mut best: Option<(Self, f32)> = None;
        for media in offered {
            let quality = accept.split(',').filter_map(|range| quality(range, media.name())).max_by(f32::total_cmp);
            if let Some(quality) = quality.filter(|quality| *quality > best.map_or(0.0, |(_, best)| best)) {
                best = Some((*media, quality));
            }
        }
        best.map(|(media, _)| media)
    }
}

/// The quality that a media range gives to a media type, `None` when it does not cover it.
fn quality(range: &str, name: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    let wanted = parts.next()?;
    if !(wanted == "*/*" || wanted == "application/*" || wanted.eq_ignore_ascii_case(name)) {
        return None;
    }
    let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some(q.and_then(|q| q.parse().ok()).unwrap_or(1.0))
}

/// A request after authentication and negotiation.
#[derive(Debug)]
pub struct Asked {
    world: Arc<World>,
    tenant: Option<String>,
    context: Option<String>,
    /// The media type of the answer.
    pub media: Media,
    /// Whether a GeoJSON answer carries its context in the body (`Prefer`).
    pub context_in_body: bool,
}

impl Asked {
    /// Reads the headers: credentials first, then tenant, media type and context.
    ///
    /// # Errors
    /// The problem that the header names, with the tenant to echo.
    pub fn of(request: &HttpRequest, served: &Served, offered: &[Media]) -> Result<Self, Fault> {
        let headers = request.headers();
        if let Some(expected) = &served.authorization {
            let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            if given != Some(expected.as_str()) {
                let detail = "the header `Authorization` does not carry the expected token";
                return Err(Problem::new(ProblemKind::Unauthorized, detail).into());
            }
        }
        let world = served.source.world(OffsetDateTime::now_utc());
        let tenant = text(headers, "NGSILD-Tenant").filter(|name| !name.is_empty());
        let Some(held) = world.tenant(tenant.as_deref()) else {
            let detail = format!("there is no tenant `{}`", tenant.as_deref().unwrap_or_default());
            return Err(Fault::new(Problem::new(ProblemKind::NonexistentTenant, detail), tenant));
        };
        let context = match context_of(headers) {
            Some(url) => Some(known(url, held).map_err(|problem| Fault::new(problem, tenant.clone()))?),
            None => None,
        };
        let accept = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
        let Some(media) = Media::choose(&accept, offered) else {
            let names: Vec<&str> = offered.iter().map(|media| media.name()).collect();
            let detail = format!("`Accept` admits none of {}", names.join(", "));
            return Err(Fault::new(Problem::new(ProblemKind::NotAcceptable, detail), tenant));
        };
        let prefer = text(headers, "Prefer").unwrap_or_default();
        Ok(Self { world, tenant, context, media, context_in_body: !prefer.contains("body=json") })
    }

    /// The tenant's data.
    ///
    /// # Errors
    /// Never in practice: the tenant was found when the request was read.
    pub fn data(&self) -> Result<&Tenant, Fault> {
        self.world.tenant(self.tenant.as_deref()).ok_or_else(|| {
            self.fault(Problem::new(ProblemKind::NonexistentTenant, "the tenant does not exist any more"))
        })
    }

    /// The tenant as the request named it.
    #[must_use]
    pub fn tenant_name(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// A problem with the tenant to echo.
    #[must_use]
    pub fn fault(&self, problem: Problem) -> Fault {
        Fault::new(problem, self.tenant.clone())
    }

    /// Takes the context of a JSON-LD body as the request's.
    ///
    /// # Errors
    /// `BadRequestData` for a context that is no URL, `LdContextNotAvailable` for one that is not held.
    pub fn use_body_context(&mut self, context: &serde_json::Value) -> Result<(), Fault> {
        let urls = crate::model::strings(Some(context));
        if urls.is_empty() {
            return Err(self.fault(Problem::bad("`@context` must be the URL of a context, or several")));
        }
        for url in urls {
            let url = known(url, self.data()?).map_err(|problem| self.fault(problem))?;
            if self.context.is_none() || !is_core_context(&url) {
                self.context = Some(url);
            }
        }
        Ok(())
    }

    /// The context of the answer: the request's, else the only one that the data names, else the core context.
    ///
    /// # Errors
    /// See [`Asked::data`].
    pub fn context(&self) -> Result<String, Fault> {
        if let Some(url) = &self.context {
            return Ok(url.clone());
        }
        Ok(match self.data()?.contexts() {
            [only] => only.clone(),
            _ => CORE_CONTEXT.to_owned(),
        })
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(|value| value.trim().to_owned())
}

/// The context that a `Link` header names.
fn context_of(headers: &HeaderMap) -> Option<String> {
    headers.get_all(LINK).filter_map(|value| value.to_str().ok()).find_map(|value| {
        let (url, parameters) = value.trim().strip_prefix('<')?.split_once('>')?;
        parameters.contains(CONTEXT_RELATION).then(|| url.to_owned())
    })
}

/// A context is known when it is a core context or one that the data names; no other is ever fetched.
fn known(url: String, held: &Tenant) -> Result<String, Problem> {
    if is_core_context(&url) || held.contexts().contains(&url) {
        return Ok(url);
    }
    let detail = format!("this test source holds no copy of the context `{url}` and fetches none");
    Err(Problem::new(ProblemKind::LdContextNotAvailable, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_is_chosen_as_the_standard_says() {
        let all = [Media::Json, Media::LdJson, Media::GeoJson];
        for (accept, expected) in [
            ("", Some(Media::Json)),
            ("*/*", Some(Media::Json)),
            ("application/*", Some(Media::Json)),
            ("application/ld+json", Some(Media::LdJson)),
            ("application/geo+json, application/ld+json", Some(Media::LdJson)),
            ("application/geo+json, application/ld+json;q=0.5", Some(Media::GeoJson)),
            ("application/json;q=0.1, application/ld+json;q=0.9", Some(Media::LdJson)),
            ("text/html, */*;q=0.8", Some(Media::Json)),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            assert_eq!(Media::choose(accept, &all), expected, "{accept}");
        }
        assert_eq!(Media::choose("application/geo+json", &[Media::Json, Media::LdJson]), None);
    }
}
