//! `/entities`, `/entities/{id}` and `/entityOperations/query` (GS CIM 009, clauses 6.4, 6.5 and 6.23).

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::{Content, Extras, write};
use super::asked::{Asked, Media};
use super::forward;
use super::{Fault, Served};
use crate::body::QueryBody;
use crate::model::Entity;
use crate::params::{PAGING, Page, Params, SELECTING, SHAPING};
use crate::problem::{Problem, ProblemKind};
use crate::query::Selection;
use crate::render::entity::render;
use crate::render::shape::Shape;

/// Every media type, for entities.
pub(super) const ALL: &[Media] = &[Media::Json, Media::LdJson, Media::GeoJson];
/// No GeoJSON, for everything else.
pub(super) const NO_GEO: &[Media] = &[Media::Json, Media::LdJson];

/// Answers an entity query.
pub(super) async fn query(request: HttpRequest, served: web::Data<Served>) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, ALL)?;
    let read = || -> Result<_, Problem> {
        let params = Params::parse(request.query_string(), &[SELECTING, PAGING, SHAPING])?;
        let selection = params.selection()?.narrow_enough()?;
        Ok((selection, Shape::parse(&params, false)?, params.page()?, params))
    };
    let (selection, shape, page, params) = read().map_err(|problem| asked.fault(problem))?;
    list(&request, &served, &asked, &selection, &shape, page, &params).await
}

/// Answers one entity.
pub(super) async fn retrieve(
    request: HttpRequest,
    served: web::Data<Served>,
    id: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, ALL)?;
    let read = || {
        let params = Params::parse(request.query_string(), &[SHAPING])?;
        Ok((Shape::parse(&params, false)?, params.flag("local")?))
    };
    let (shape, local) = read().map_err(|problem: Problem| asked.fault(problem))?;
    check_geometry_property(&asked, &shape)?;
    let gathered = if local { None } else { forward::gathered_one(&request, &served, &asked, &id).await? };
    let entity = match gathered.as_ref().and_then(|gathered| gathered.entity(&id)) {
        Some(entity) => entity,
        None => found(&asked, &id)?,
    };
    let lacks_all = |names: &Vec<String>| names.iter().all(|name| entity.instances(name).is_empty());
    if shape.attrs.as_ref().is_some_and(lacks_all) {
        let detail = format!("the entity `{id}` has none of the attributes of `attrs`");
        return Err(asked.fault(Problem::new(ProblemKind::ResourceNotFound, detail)));
    }
    let extras = Extras { geometry_property: shape.geometry_property.clone(), ..Extras::default() };
    write(&request, &asked, Content::Entity(render(entity, &shape, &served.source.started())), &extras)
}

/// Answers an entity query given as a body.
pub(super) async fn query_by_body(
    request: HttpRequest,
    served: web::Data<Served>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Fault> {
    let mut asked = Asked::of(&request, &served, ALL)?;
    let read = || -> Result<_, Problem> {
        let params =
            Params::parse(request.query_string(), &[PAGING, &["options", "format", "geometryProperty", "local"]])?;
        Ok((QueryBody::parse(&bytes, &params, false)?, params.page()?, params))
    };
    let (body, page, params) = read().map_err(|problem| asked.fault(problem))?;
    body_context(&request, &mut asked, body.context.as_ref())?;
    list(&request, &served, &asked, &body.selection, &body.shape, page, &params).await
}

async fn list(
    request: &HttpRequest,
    served: &Served,
    asked: &Asked,
    selection: &Selection,
    shape: &Shape,
    page: Page,
    params: &Params,
) -> Result<HttpResponse, Fault> {
    check_geometry_property(asked, shape)?;
    let gathered = forward::gathered(request, served, asked, selection).await?;
    let data = match &gathered {
        Some(gathered) => gathered,
        None => asked.data()?,
    };
    let matching: Vec<&Entity> = data.entities().iter().filter(|entity| selection.matches(entity)).collect();
    let since = served.source.started();
    let shown =
        matching.iter().skip(page.offset).take(page.limit).map(|entity| render(entity, shape, &since)).collect();
    let mut extras = extras(request, page, matching.len(), params);
    extras.geometry_property = shape.geometry_property.clone();
    write(request, asked, Content::Entities(shown), &extras)
}

/// The count and the links to the other pages.
pub(super) fn extras(request: &HttpRequest, page: Page, total: usize, params: &Params) -> Extras {
    let connection = request.connection_info();
    let address = |offset: usize| {
        let (scheme, host, path) = (connection.scheme(), connection.host(), request.path());
        format!("{scheme}://{host}{path}?{}", params.with_offset(offset))
    };
    let pages = [("prev", page.previous()), ("next", page.next(total))];
    Extras {
        count: page.count.then_some(total),
        pages: pages.into_iter().filter_map(|(relation, offset)| Some((relation, address(offset?)))).collect(),
        geometry_property: None,
    }
}

/// The entity of this id, or 404.
pub(super) fn found<'a>(asked: &'a Asked, id: &str) -> Result<&'a Entity, Fault> {
    asked
        .data()?
        .entity(id)
        .ok_or_else(|| asked.fault(Problem::new(ProblemKind::ResourceNotFound, format!("there is no entity `{id}`"))))
}

/// Applies the rules for the context of a body (clause 6.3.5): JSON takes it from `Link`, JSON-LD from the body.
pub(super) fn body_context(
    request: &HttpRequest,
    asked: &mut Asked,
    context: Option<&serde_json::Value>,
) -> Result<(), Fault> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (kind.split(';').next().unwrap_or_default().trim(), context) {
        ("application/json", None) => Ok(()),
        ("application/json", Some(_)) => {
            Err(asked.fault(Problem::bad("a body of `application/json` carries no `@context`; use a `Link` header")))
        }
        ("application/ld+json", Some(context)) => asked.use_body_context(context),
        ("application/ld+json", None) => {
            Err(asked.fault(Problem::bad("a body of `application/ld+json` must carry an `@context`")))
        }
        (other, _) => {
            let detail =
                format!("the body is `{other}`; this operation reads `application/json` and `application/ld+json`");
            Err(asked.fault(Problem::new(ProblemKind::UnsupportedMediaType, detail)))
        }
    }
}

fn check_geometry_property(asked: &Asked, shape: &Shape) -> Result<(), Fault> {
    if shape.geometry_property.is_some() && asked.media != Media::GeoJson {
        return Err(asked.fault(Problem::bad("`geometryProperty` belongs to `Accept: application/geo+json`")));
    }
    Ok(())
}
