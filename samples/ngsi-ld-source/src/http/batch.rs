//! `/entityOperations/upsert` and `/entityOperations/delete` (GS CIM 009, clauses 5.6.8, 5.6.10, 6.15 and 6.17).

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::asked::Asked;
use super::entities::{NO_GEO, body_context};
use super::{Fault, Served};
use crate::model::{Entity, strings};
use crate::params::Params;
use crate::problem::{Problem, ProblemKind};

/// Creates entities, and replaces those that are there.
pub(super) async fn upsert(
    request: HttpRequest,
    served: web::Data<Served>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Fault> {
    let (asked, records) = read(&request, &served, &bytes)?;
    let params = Params::parse(request.query_string(), &[&["options"]]).map_err(|problem| asked.fault(problem))?;
    if params.get("options").is_some_and(|options| options != "replace") {
        return Err(asked.fault(Problem::unsupported("this test source replaces entities only (`options=replace`)")));
    }
    let mut entities = Vec::new();
    let mut errors = Vec::new();
    for record in records {
        let id = record.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        match Entity::parse(record) {
            Ok((entity, _)) => entities.push(entity),
            Err(error) => errors.push(failed(&id, &Problem::bad(error.to_string()))),
        }
    }
    let written: Vec<(String, bool)> = served.source.change(asked.tenant_name(), |tenant| {
        entities.into_iter().map(|entity| (entity.id().to_owned(), tenant.put(entity))).collect()
    });
    let created: Vec<&str> = written.iter().filter(|(_, created)| *created).map(|(id, _)| id.as_str()).collect();
    if !errors.is_empty() {
        let success: Vec<&str> = written.iter().map(|(id, _)| id.as_str()).collect();
        return Ok(HttpResponse::MultiStatus().json(json!({"success": success, "errors": errors})));
    }
    if created.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(HttpResponse::Created().json(created))
}

/// Deletes entities.
pub(super) async fn delete(
    request: HttpRequest,
    served: web::Data<Served>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Fault> {
    let (asked, ids) = read(&request, &served, &bytes)?;
    let ids = strings(Some(&Value::Array(ids)));
    let removed: Vec<(String, bool)> = served.source.change(asked.tenant_name(), |tenant| {
        ids.into_iter().map(|id| (tenant.remove(&id), id)).map(|(removed, id)| (id, removed)).collect()
    });
    let missing = |id: &str| failed(id, &Problem::new(ProblemKind::ResourceNotFound, "there is no such entity"));
    let errors: Vec<Value> = removed.iter().filter(|(_, removed)| !removed).map(|(id, _)| missing(id)).collect();
    if errors.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    let success: Vec<&str> = removed.iter().filter(|(_, removed)| *removed).map(|(id, _)| id.as_str()).collect();
    Ok(HttpResponse::MultiStatus().json(json!({"success": success, "errors": errors})))
}

/// The items of a body that is an array, under a context that is known.
fn read(request: &HttpRequest, served: &Served, bytes: &[u8]) -> Result<(Asked, Vec<Value>), Fault> {
    let mut asked = Asked::of(request, served, NO_GEO)?;
    let body = serde_json::from_slice(bytes).map_err(|_| asked.fault(Problem::bad("the body is not JSON")))?;
    let Value::Array(items) = body else {
        return Err(asked.fault(Problem::bad("the body is not a JSON array")));
    };
    if items.is_empty() {
        return Err(asked.fault(Problem::bad("the body is an empty array")));
    }
    let objects: Vec<&Value> = items.iter().filter(|item| item.is_object()).collect();
    if objects.is_empty() {
        body_context(request, &mut asked, None)?;
    }
    for item in objects {
        body_context(request, &mut asked, item.get("@context"))?;
    }
    Ok((asked, items))
}

/// What a batch says of an entity that failed (clause 5.2.17).
fn failed(id: &str, problem: &Problem) -> Value {
    json!({"entityId": id, "error": problem.to_value()})
}
