//! Our own NGSI-LD brokers, that partners' data is delivered to (ETSI GS CIM 009, 5.6.8 and 5.6.10: batch upsert and
//! delete; 5.9: registrations).
//!
//! Bodies are `application/json` under one context, that of the configuration, by `Link`. Nothing that a partner sent can make the
//! broker fetch a context.

use std::collections::HashSet;

use actix_web::http::StatusCode;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LINK};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client;
use crate::config::Broker;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use ngsi_ld_filter::context_link;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
const REGISTRATIONS: &str = "/ngsi-ld/v1/csourceRegistrations";
const OPERATIONS: &str = "/ngsi-ld/v1/entityOperations";

/// A broker of ours, as one talks to it.
pub(crate) struct OwnBroker<'a> {
    plane: &'a Plane,
    settings: &'a Broker,
}

/// What a broker answered.
struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl<'a> OwnBroker<'a> {
    /// The broker of this name.
    ///
    /// # Errors
    /// `unknown_broker`.
    pub(crate) fn named(plane: &'a Plane, name: &str) -> Result<Self, Problem> {
        Ok(Self { plane, settings: plane.broker(name)? })
    }

    /// Which of these entities, by id and type, the broker itself holds.
    ///
    /// # Errors
    /// As [`OwnBroker::upsert`].
    pub(crate) async fn existing(&self, entities: &[(&str, &str)]) -> Result<HashSet<String>, Problem> {
        let wanted: Vec<Value> = entities.iter().map(|(id, kind)| json!({"id": id, "type": kind})).collect();
        let query = json!({"type": "Query", "entities": wanted});
        // Only what lies there: a registered source would show what is about to be written.
        let path = format!("{OPERATIONS}/query?local=true&options=keyValues&limit={}", entities.len());
        let answer = self.ask(Method::POST, &path, Some(&query)).await?;
        if answer.status != StatusCode::OK {
            return Err(failed(&answer));
        }
        let found: Value = serde_json::from_slice(&answer.body).map_err(|_| odd("the answer to a query is no JSON"))?;
        let found = found.as_array().ok_or_else(|| odd("the answer to a query is no array"))?;
        Ok(found.iter().filter_map(|one| one.get("id")).filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Creates entities and replaces those that are there. Gives the ids of those that the broker does not take.
    ///
    /// # Errors
    /// The broker cannot be reached, fails, or does not let us write.
    pub(crate) async fn upsert(&self, entities: &[Value]) -> Result<Vec<String>, Problem> {
        // Halves, until those are found that a broker refuses a batch for.
        let mut waiting = vec![entities];
        let mut refused = Vec::new();
        while let Some(batch) = waiting.pop().filter(|batch| !batch.is_empty()) {
            let body = Value::Array(batch.to_vec());
            let answer = self.ask(Method::POST, &format!("{OPERATIONS}/upsert"), Some(&body)).await?;
            match answer.status {
                StatusCode::MULTI_STATUS => refused.extend(errors(&answer)?.into_iter().map(|(id, _)| id)),
                status if status.is_success() => {}
                StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                    match batch {
                        [one] => {
                            tracing::warn!(entity = id(one), why = said(&answer), "our broker does not take an entity");
                            refused.push(id(one).to_owned());
                        }
                        several => {
                            let (first, second) = several.split_at(several.len() / 2);
                            waiting.extend([second, first]);
                        }
                    }
                }
                _ => return Err(failed(&answer)),
            }
        }
        Ok(refused)
    }

    /// Deletes entities. One that is not there is deleted already.
    ///
    /// # Errors
    /// As [`OwnBroker::upsert`]; some may have been deleted then.
    pub(crate) async fn delete(&self, ids: &[&str]) -> Result<(), Problem> {
        if ids.is_empty() {
            return Ok(());
        }
        let answer = self.ask(Method::POST, &format!("{OPERATIONS}/delete"), Some(&json!(ids))).await?;
        match answer.status {
            StatusCode::MULTI_STATUS => match errors(&answer)?.into_iter().find(|(_, gone)| !gone) {
                Some((id, _)) => Err(odd(&format!("our broker does not delete `{id}`"))),
                None => Ok(()),
            },
            StatusCode::NOT_FOUND => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(failed(&answer)),
        }
    }

    /// Registers a context source; one that is there already is ours, since its id is.
    ///
    /// # Errors
    /// The broker cannot be reached, or does not take it.
    pub(crate) async fn register(&self, registration: &Value) -> Result<(), Problem> {
        let answer = self.ask(Method::POST, REGISTRATIONS, Some(registration)).await?;
        match answer.status {
            StatusCode::CONFLICT => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(failed(&answer)),
        }
    }

    /// Whether the broker has this registration.
    ///
    /// # Errors
    /// As [`OwnBroker::register`].
    pub(crate) async fn has_registration(&self, id: &str) -> Result<bool, Problem> {
        let answer = self.ask(Method::GET, &one_registration(id), None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(failed(&answer)),
        }
    }

    /// Takes a registration away. One that is not there is taken away already.
    ///
    /// # Errors
    /// As [`OwnBroker::register`]; it may still be there.
    pub(crate) async fn withdraw(&self, id: &str) -> Result<(), Problem> {
        let answer = self.ask(Method::DELETE, &one_registration(id), None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(failed(&answer)),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Problem> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.settings.url));
        request = request.header(ACCEPT, "application/json").header(LINK, context_link(&self.settings.context));
        let headers: [(&str, &Option<HeaderValue>); 2] =
            [(AUTHORIZATION.as_str(), &self.settings.authorization), ("ngsild-tenant", &self.settings.tenant)];
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value.clone());
            }
        }
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(client::full(body.to_string())),
            None => request.body(client::empty()),
        };
        let request = request.map_err(|error| Problem::internal(&error))?;
        let answer = self.plane.sources.send(request).await.map_err(|error| away(&error))?;
        let status = StatusCode::from_u16(answer.status().as_u16()).map_err(|error| Problem::internal(&error))?;
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect();
        let body = tokio::time::timeout(self.plane.config.timeouts.idle, body).await;
        let body = body.ok().and_then(Result::ok).ok_or_else(|| away(&"the answer did not arrive"))?;
        Ok(Answer { status, body: body.to_bytes() })
    }
}

fn one_registration(id: &str) -> String {
    format!("{REGISTRATIONS}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

/// Tells whether a body is as it was.
pub(crate) fn digest(body: &Value) -> String {
    let digest = Sha256::digest(body.to_string().as_bytes());
    hex::encode(digest.get(..16).unwrap_or_default())
}

/// The id of an entity.
pub(crate) fn id(entity: &Value) -> &str {
    entity.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// The entities of a BatchOperationResult (5.2.16) that failed, and whether each is simply not there.
fn errors(answer: &Answer) -> Result<Vec<(String, bool)>, Problem> {
    let body: Value = serde_json::from_slice(&answer.body).map_err(|_| odd("the result of a batch is no JSON"))?;
    let errors = body.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = |error: &Value| {
        let id = error.get("entityId").and_then(Value::as_str)?;
        let problem = error.get("error");
        let member = |name: &str| problem.and_then(|problem| problem.get(name));
        let kind = member("type").and_then(Value::as_str).unwrap_or_default();
        let status = member("status").and_then(Value::as_u64);
        Some((id.to_owned(), kind.ends_with("ResourceNotFound") || status == Some(404)))
    };
    Ok(errors.iter().filter_map(one).collect())
}

/// A few words of an answer, for the log.
fn said(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).chars().filter(|c| !c.is_control()).take(300).collect()
}

fn failed(answer: &Answer) -> Problem {
    if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let detail = "our broker does not let this data plane write; see the credential of `brokers`";
        return Problem::new(StatusCode::BAD_GATEWAY, "broker_refuses_us", Fault::Operator, detail);
    }
    tracing::warn!(status = answer.status.as_u16(), said = said(answer), "our broker fails");
    odd(&format!("our broker answers {}", answer.status.as_u16()))
}

fn odd(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "broker_failed", Fault::Operator, detail)
}

fn away(why: &dyn std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "broker_away", Fault::Operator, format!("our broker gives no answer: {why}"))
}
