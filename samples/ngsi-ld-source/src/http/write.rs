//! Writing entities (GS CIM 009, clauses 6.4 to 6.7 and 6.14 to 6.17, 6.31).

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::asked::Asked;
use super::entities::{NO_GEO, body_context};
use super::{Fault, Served};
use crate::params::Params;
use crate::problem::{Problem, ProblemKind};
use crate::store::Tenant;
use crate::write::{self, Mode, Updated};

/// Makes an entity.
pub(super) async fn create(request: HttpRequest, served: web::Data<Served>, bytes: web::Bytes) -> Answer {
    let (asked, body) = read(&request, &served, &bytes)?;
    options(&request, &asked, &[])?;
    let id = change(&served, &asked, |tenant| write::create(tenant, body))?;
    Ok(HttpResponse::Created().insert_header((LOCATION, format!("/ngsi-ld/v1/entities/{id}"))).finish())
}

/// Merges an entity.
pub(super) async fn merge(
    request: HttpRequest,
    served: web::Data<Served>,
    id: web::Path<String>,
    bytes: web::Bytes,
) -> Answer {
    let (asked, body) = read(&request, &served, &bytes)?;
    options(&request, &asked, &[])?;
    change(&served, &asked, |tenant| write::merge(tenant, &id, body))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Removes an entity.
pub(super) async fn remove(request: HttpRequest, served: web::Data<Served>, id: web::Path<String>) -> Answer {
    let asked = asked(&request, &served)?;
    options(&request, &asked, &[])?;
    change(&served, &asked, |tenant| write::remove(tenant, &id))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Adds attributes.
pub(super) async fn append(
    request: HttpRequest,
    served: web::Data<Served>,
    id: web::Path<String>,
    bytes: web::Bytes,
) -> Answer {
    let (asked, body) = read(&request, &served, &bytes)?;
    let mode = append_mode(&options(&request, &asked, &["noOverwrite"])?);
    updated(&change(&served, &asked, |tenant| write::attributes(tenant, &id, body, mode))?)
}

/// Writes attributes that are there.
pub(super) async fn update(
    request: HttpRequest,
    served: web::Data<Served>,
    id: web::Path<String>,
    bytes: web::Bytes,
) -> Answer {
    let (asked, body) = read(&request, &served, &bytes)?;
    options(&request, &asked, &[])?;
    updated(&change(&served, &asked, |tenant| write::attributes(tenant, &id, body, Mode::Update))?)
}

/// Writes a part of an attribute.
pub(super) async fn part(
    request: HttpRequest,
    served: web::Data<Served>,
    path: web::Path<(String, String)>,
    bytes: web::Bytes,
) -> Answer {
    let (asked, body) = read(&request, &served, &bytes)?;
    options(&request, &asked, &[])?;
    change(&served, &asked, |tenant| write::part(tenant, &path.0, &path.1, body))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Removes an attribute.
pub(super) async fn remove_attribute(
    request: HttpRequest,
    served: web::Data<Served>,
    path: web::Path<(String, String)>,
) -> Answer {
    let asked = asked(&request, &served)?;
    let params = Params::parse(request.query_string(), &[&["datasetId"]]).map_err(|problem| asked.fault(problem))?;
    let dataset = params.get("datasetId");
    change(&served, &asked, |tenant| write::remove_attribute(tenant, &path.0, &path.1, dataset))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Works on many entities.
pub(super) async fn batch(
    request: HttpRequest,
    served: web::Data<Served>,
    operation: web::Path<String>,
    bytes: web::Bytes,
) -> Answer {
    let (asked, body) = read(&request, &served, &bytes)?;
    let known: &[&str] = match operation.as_str() {
        "create" | "merge" | "delete" => &[],
        "update" => &["noOverwrite"],
        "upsert" => &["replace", "update"],
        other => {
            return Err(
                asked.fault(Problem::unsupported(format!("this test source does not serve the batch `{other}`")))
            );
        }
    };
    let options = options(&request, &asked, known)?;
    let Value::Array(items) = body else { return Err(asked.fault(Problem::bad("a batch is a JSON array"))) };
    if items.is_empty() {
        return Err(asked.fault(Problem::bad("the body is an empty array")));
    }
    let (mut success, mut created, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for mut item in items {
        let id = item.as_str().or_else(|| item.get("id")?.as_str()).unwrap_or_default().to_owned();
        let done = work_on(&served, &asked, |tenant| {
            let there = tenant.entity(&id).is_some();
            match operation.as_str() {
                "delete" => write::remove(tenant, &id).map(|()| false),
                "create" => write::create(tenant, item.take()).map(|_| true),
                "upsert" if !there => write::create(tenant, item.take()).map(|_| true),
                "upsert" if !options.iter().any(|option| option == "update") => {
                    write::replace(tenant, item.take()).map(|()| false)
                }
                operation => {
                    if let Some(members) = item.as_object_mut() {
                        members.remove("id");
                    }
                    match operation {
                        "merge" => write::merge(tenant, &id, item.take()).map(|()| false),
                        _ => {
                            let mode = append_mode(&options);
                            write::attributes(tenant, &id, item.take(), mode).map(|_| false)
                        }
                    }
                }
            }
        });
        match done {
            Ok(true) => {
                created.push(id.clone());
                success.push(id);
            }
            Ok(false) => success.push(id),
            Err(problem) => errors.push(json!({"entityId": id, "error": problem.to_value()})),
        }
    }
    if !errors.is_empty() {
        return Ok(HttpResponse::build(StatusCode::MULTI_STATUS).json(json!({"success": success, "errors": errors})));
    }
    if created.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(HttpResponse::Created().json(created))
}

type Answer = Result<HttpResponse, Fault>;

fn asked(request: &HttpRequest, served: &Served) -> Result<Asked, Fault> {
    Asked::of(request, served, NO_GEO)
}

/// The request and its body without the context.
fn read(request: &HttpRequest, served: &Served, bytes: &[u8]) -> Result<(Asked, Value), Fault> {
    let mut asked = asked(request, served)?;
    let mut body: Value =
        serde_json::from_slice(bytes).map_err(|_| asked.fault(Problem::bad("the body is not JSON")))?;
    let mut context = None;
    let parts = match &mut body {
        Value::Array(many) => many.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for part in parts.iter_mut().filter_map(Value::as_object_mut) {
        context = part.remove("@context").or(context);
    }
    body_context(request, &mut asked, context.as_ref())?;
    Ok((asked, body))
}

/// The values of `options`, which must be among these.
fn options(request: &HttpRequest, asked: &Asked, known: &[&str]) -> Result<Vec<String>, Fault> {
    let params = Params::parse(request.query_string(), &[&["options"]]).map_err(|problem| asked.fault(problem))?;
    let given: Vec<String> =
        params.get("options").into_iter().flat_map(|all| all.split(',')).map(str::to_owned).collect();
    match given.iter().find(|option| !known.contains(&option.as_str())) {
        Some(option) => Err(asked.fault(Problem::bad(format!("the option `{option}` is not one of this operation")))),
        None => Ok(given),
    }
}

fn append_mode(options: &[String]) -> Mode {
    if options.iter().any(|option| option == "noOverwrite") { Mode::AppendNew } else { Mode::Append }
}

fn change<T>(served: &Served, asked: &Asked, work: impl FnOnce(&mut Tenant) -> Result<T, Problem>) -> Result<T, Fault> {
    work_on(served, asked, work).map_err(|problem| asked.fault(problem))
}

fn work_on<T>(
    served: &Served,
    asked: &Asked,
    work: impl FnOnce(&mut Tenant) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let missing = || Problem::new(ProblemKind::NonexistentTenant, "the tenant does not exist");
    let done = served.source.change(asked.tenant_name(), |tenant| Some(work(tenant)));
    done.unwrap_or_else(|| Err(missing()))
}

fn updated(done: &Updated) -> Answer {
    Ok(match done.in_part() {
        Some(body) => HttpResponse::build(StatusCode::MULTI_STATUS).json(body),
        None => HttpResponse::NoContent().finish(),
    })
}
