//! `/temporal/entities`, `/temporal/entities/{id}` and `/temporal/entityOperations/query` (clauses 6.18, 6.19, 6.24).

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};

use super::answer::{Content, Extras, write};
use super::asked::Asked;
use super::entities::{NO_GEO, body_context, extras, found};
use super::{Fault, Served};
use crate::body::QueryBody;
use crate::model::Entity;
use crate::params::{PAGING, Page, Params, SELECTING, SHAPING, TEMPORAL};
use crate::problem::{Problem, ProblemKind};
use crate::query::Selection;
use crate::query::time::TimeQuery;
use crate::render::shape::Shape;
use crate::render::temporal::render;
use crate::store::{History, Tenant};

/// What is asked of the history.
struct Stretch {
    time: Option<TimeQuery>,
    last_n: Option<usize>,
    shape: Shape,
    since: String,
}

impl Stretch {
    fn of(&self, data: &Tenant, entity: &Entity) -> Option<Map<String, Value>> {
        let history = match data.history(entity.id()) {
            Some(past) => past.with_present(entity),
            None => History::of_present(entity),
        };
        render(entity, &history, self.time.as_ref(), self.last_n, &self.shape, &self.since)
    }
}

/// Answers a temporal query.
pub(super) async fn query(request: HttpRequest, served: web::Data<Served>) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    let read = || -> Result<_, Problem> {
        let params = Params::parse(request.query_string(), &[SELECTING, PAGING, SHAPING, TEMPORAL])?;
        let time = params.time()?.ok_or_else(|| Problem::bad("a temporal query needs `timerel`"))?;
        let stretch = Stretch {
            time: Some(time),
            last_n: params.last_n()?,
            shape: Shape::parse(&params, true)?,
            since: served.source.started(),
        };
        Ok((params.selection()?.narrow_enough()?, stretch, params.page()?, params))
    };
    let (selection, stretch, page, params) = read().map_err(|problem| asked.fault(problem))?;
    list(&request, &asked, &selection, &stretch, page, &params)
}

/// Answers the evolution of one entity.
pub(super) async fn retrieve(
    request: HttpRequest,
    served: web::Data<Served>,
    id: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    let read = || -> Result<_, Problem> {
        let params = Params::parse(request.query_string(), &[SHAPING, TEMPORAL])?;
        let shape = Shape::parse(&params, true)?;
        Ok(Stretch { time: params.time()?, last_n: params.last_n()?, shape, since: served.source.started() })
    };
    let stretch = read().map_err(|problem| asked.fault(problem))?;
    let entity = found(&asked, &id)?;
    let Some(written) = stretch.of(asked.data()?, entity) else {
        let detail = format!("the entity `{id}` has no values in the asked time");
        return Err(asked.fault(Problem::new(ProblemKind::ResourceNotFound, detail)));
    };
    write(&request, &asked, Content::Entity(written), &Extras::default())
}

/// Answers a temporal query given as a body.
pub(super) async fn query_by_body(
    request: HttpRequest,
    served: web::Data<Served>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Fault> {
    let mut asked = Asked::of(&request, &served, NO_GEO)?;
    let read = || -> Result<_, Problem> {
        let params = Params::parse(request.query_string(), &[PAGING, &["options", "format", "local"]])?;
        let body = QueryBody::parse(&bytes, &params, true)?;
        if body.time.is_none() {
            return Err(Problem::bad("a temporal query needs `temporalQ`"));
        }
        Ok((body, params.page()?, params))
    };
    let (body, page, params) = read().map_err(|problem| asked.fault(problem))?;
    body_context(&request, &mut asked, body.context.as_ref())?;
    let stretch = Stretch { time: body.time, last_n: body.last_n, shape: body.shape, since: served.source.started() };
    list(&request, &asked, &body.selection, &stretch, page, &params)
}

fn list(
    request: &HttpRequest,
    asked: &Asked,
    selection: &Selection,
    stretch: &Stretch,
    page: Page,
    params: &Params,
) -> Result<HttpResponse, Fault> {
    let data = asked.data()?;
    let entities = data.entities().iter().filter(|entity| selection.matches(entity));
    let written: Vec<Map<String, Value>> = entities.filter_map(|entity| stretch.of(data, entity)).collect();
    let extras = extras(request, page, written.len(), params);
    let shown = written.into_iter().skip(page.offset).take(page.limit).collect();
    write(request, asked, Content::Entities(shown), &extras)
}
