//! `/csourceRegistrations` and `/csourceRegistrations/{id}` (GS CIM 009, clauses 6.8 and 6.9).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::asked::Asked;
use super::entities::{NO_GEO, body_context};
use super::{Fault, Served};
use crate::problem::{Problem, ProblemKind};
use crate::registration::Registration;

/// The registrations of all tenants, by tenant and id.
#[derive(Debug, Default)]
pub struct Registrations(Mutex<BTreeMap<Key, Registration>>);

type Key = (Option<String>, String);

impl Registrations {
    fn held(&self) -> MutexGuard<'_, BTreeMap<Key, Registration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of a tenant.
    pub(super) fn of(&self, tenant: Option<&str>) -> Vec<Registration> {
        let held = self.held();
        held.iter().filter(|((name, _), _)| name.as_deref() == tenant).map(|(_, one)| one.clone()).collect()
    }
}

fn key(asked: &Asked, id: &str) -> Key {
    (asked.tenant_name().map(str::to_owned), id.to_owned())
}

fn unknown(id: &str) -> Problem {
    Problem::new(ProblemKind::ResourceNotFound, format!("there is no registration `{id}`"))
}

/// Registers a source.
pub(super) async fn create(
    request: HttpRequest,
    served: web::Data<Served>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Fault> {
    let mut asked = Asked::of(&request, &served, NO_GEO)?;
    let body = serde_json::from_slice(&bytes).map_err(|_| asked.fault(Problem::bad("the body is not JSON")))?;
    let Value::Object(mut body) = body else {
        return Err(asked.fault(Problem::bad("the body is not a JSON object")));
    };
    let context = body.remove("@context");
    body_context(&request, &mut asked, context.as_ref())?;
    let mut held = served.registrations.held();
    let given = body.get("id").and_then(Value::as_str).map(str::to_owned);
    let id = given.unwrap_or_else(|| format!("urn:ngsi-ld:ContextSourceRegistration:{}", held.len() + 1));
    body.insert("id".to_owned(), Value::from(id.as_str()));
    if held.contains_key(&key(&asked, &id)) {
        return Ok(HttpResponse::Conflict().finish());
    }
    held.insert(key(&asked, &id), Registration::parse(body).map_err(|problem| asked.fault(problem))?);
    Ok(HttpResponse::Created().insert_header((LOCATION, format!("/ngsi-ld/v1/csourceRegistrations/{id}"))).finish())
}

/// Shows all registrations of the tenant.
pub(super) async fn list(request: HttpRequest, served: web::Data<Served>) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    let ours = served.registrations.of(asked.tenant_name());
    Ok(HttpResponse::Ok().json(ours.iter().map(|one| &one.body).collect::<Vec<_>>()))
}

/// Shows one.
pub(super) async fn retrieve(
    request: HttpRequest,
    served: web::Data<Served>,
    id: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    match served.registrations.held().get(&key(&asked, &id)) {
        Some(one) => Ok(HttpResponse::Ok().json(&one.body)),
        None => Err(asked.fault(unknown(&id))),
    }
}

/// Ends one.
pub(super) async fn remove(
    request: HttpRequest,
    served: web::Data<Served>,
    id: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    match served.registrations.held().remove(&key(&asked, &id)) {
        Some(_) => Ok(HttpResponse::NoContent().finish()),
        None => Err(asked.fault(unknown(&id))),
    }
}
