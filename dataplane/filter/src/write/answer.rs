//! What the broker answers to a write, and what of it the caller learns: names and ids that it sent itself, and our own words.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::request::{About, Step};
use crate::names::Names;

/// Type of problems of the standard, before their names.
const ERRORS: &str = "https://uri.etsi.org/ngsi-ld/errors/";

/// Why something was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There is no such entity or attribute, or not for the caller.
    Missing,
    /// An entity with this id is there.
    Taken,
    /// The source does not take it.
    Refused,
    /// The source does not do this.
    Unsupported,
    /// The source does not let us write.
    Locked,
    /// The source failed, or said something that is not understood. It may have been written.
    Failed,
}

impl Failure {
    fn of(status: u16) -> Self {
        match status {
            404 => Self::Missing,
            409 => Self::Taken,
            422 | 501 => Self::Unsupported,
            401 | 403 | 407 => Self::Locked,
            400..=499 => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// The problem of one entity of a batch (ETSI GS CIM 009, 5.2.17).
    fn problem(self) -> Value {
        let (name, status, title) = match self {
            Self::Missing => ("ResourceNotFound", 404, "there is no such entity"),
            Self::Taken => ("AlreadyExists", 409, "there is an entity with this id"),
            Self::Refused => ("BadRequestData", 400, "the source does not take it"),
            Self::Unsupported => ("OperationNotSupported", 422, "the source does not do this"),
            Self::Locked => ("InternalError", 500, "the source does not let this data plane write"),
            Self::Failed => ("InternalError", 500, "the source failed; it may have been written"),
        };
        json!({"type": format!("{ERRORS}{name}"), "title": title, "detail": title, "status": status})
    }
}

/// What one step has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was written.
    Done,
    /// Some attributes were not written: the expanded names of those that were, and of the others.
    Attributes(BTreeSet<String>, BTreeSet<String>),
    /// Some entities were not written: the ids of those that were, and the others with the reason.
    Entities(BTreeSet<String>, Vec<(String, Failure)>),
    /// Nothing was written.
    Nothing(Failure),
}

impl Step {
    /// Reads the broker's answer.
    #[must_use]
    pub fn outcome(&self, status: u16, body: &[u8]) -> Outcome {
        match (status, &self.about) {
            (200 | 201 | 204, _) => Outcome::Done,
            (207, About::Attributes(sent)) => attributes(sent, body),
            (207, About::Entities { ids, .. }) => entities(ids, body),
            (status, _) => Outcome::Nothing(Failure::of(status)),
        }
    }

    /// Whether it is about attributes of an entity that is there.
    #[must_use]
    pub fn is_about_attributes(&self) -> bool {
        matches!(&self.about, About::Attributes(names) if !names.is_empty())
    }

    /// The ids of the entities that it makes.
    #[must_use]
    pub fn makes(&self) -> BTreeSet<String> {
        match &self.about {
            About::Entities { ids, new: true } => ids.clone(),
            About::Created(id) => BTreeSet::from([id.clone()]),
            _ => BTreeSet::new(),
        }
    }
}

/// An `UpdateResult` (5.2.18): names that were not sent are left out.
fn attributes(sent: &BTreeSet<String>, body: &[u8]) -> Outcome {
    let Ok(Value::Object(result)) = serde_json::from_slice(body) else { return Outcome::Nothing(Failure::Failed) };
    let core = Names::new(std::iter::empty(), &[]);
    let listed = result.get("updated").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let said: BTreeSet<String> = listed.flat_map(|name| [name.to_owned(), core.expand(name)]).collect();
    let (updated, not): (BTreeSet<String>, BTreeSet<String>) =
        sent.iter().cloned().partition(|name| said.contains(name));
    if not.is_empty() { Outcome::Done } else { Outcome::Attributes(updated, not) }
}

/// A `BatchOperationResult` (5.2.16): ids that were not sent are left out, and what nothing is said of has failed.
fn entities(sent: &BTreeSet<String>, body: &[u8]) -> Outcome {
    let Ok(Value::Object(result)) = serde_json::from_slice(body) else { return Outcome::Nothing(Failure::Failed) };
    let success = result.get("success").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut done: BTreeSet<String> = success.filter(|id| sent.contains(*id)).map(str::to_owned).collect();
    let mut failed: Vec<(String, Failure)> = Vec::new();
    for error in result.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let id = error.get("entityId").and_then(Value::as_str).filter(|id| sent.contains(*id));
        let Some(id) = id.filter(|id| !failed.iter().any(|(known, _)| known == id)) else { continue };
        done.remove(id);
        failed.push((id.to_owned(), why(error.get("error"))));
    }
    let silent = sent.iter().filter(|id| !done.contains(*id) && !failed.iter().any(|(known, _)| known == *id));
    let silent: Vec<_> = silent.map(|id| (id.clone(), Failure::Failed)).collect();
    failed.extend(silent);
    if failed.is_empty() { Outcome::Done } else { Outcome::Entities(done, failed) }
}

fn why(error: Option<&Value>) -> Failure {
    let status = error.and_then(|error| error.get("status")).and_then(Value::as_u64);
    if let Some(status) = status.and_then(|status| u16::try_from(status).ok()) {
        return Failure::of(status);
    }
    match error.and_then(|error| error.get("type")).and_then(Value::as_str).and_then(|kind| kind.strip_prefix(ERRORS)) {
        Some("AlreadyExists") => Failure::Taken,
        Some("ResourceNotFound") => Failure::Missing,
        Some("OperationNotSupported") => Failure::Unsupported,
        Some("BadRequestData" | "InvalidRequest") => Failure::Refused,
        _ => Failure::Failed,
    }
}

/// What a request has written, put together from its steps.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Entities that are new.
    pub created: BTreeSet<String>,
    done: BTreeSet<String>,
    failed: Vec<(String, Failure)>,
    attributes: Option<(BTreeSet<String>, BTreeSet<String>)>,
}

impl Written {
    /// Entities that are not there for the caller.
    pub fn missing(&mut self, ids: Vec<String>) {
        self.failed.extend(ids.into_iter().map(|id| (id, Failure::Missing)));
    }

    /// Whether there is something to tell of the steps so far.
    #[must_use]
    pub fn has_any(&self) -> bool {
        !self.done.is_empty() || !self.failed.is_empty()
    }

    /// Adds what a step has brought. Gives the reason when nothing was written by it and nothing before it.
    ///
    /// # Errors
    /// The reason.
    pub fn add(&mut self, step: &Step, outcome: Outcome) -> Result<(), Failure> {
        let made = step.makes();
        let about = match &step.about {
            About::Entities { ids, .. } => ids.clone(),
            _ => BTreeSet::new(),
        };
        match outcome {
            Outcome::Done => {
                self.created.extend(made);
                self.done.extend(about);
            }
            Outcome::Attributes(updated, not) => self.attributes = Some((updated, not)),
            Outcome::Entities(done, failed) => {
                self.created.extend(done.intersection(&made).cloned());
                self.done.extend(done);
                self.failed.extend(failed);
            }
            Outcome::Nothing(failure) if !self.has_any() => return Err(failure),
            Outcome::Nothing(failure) => self.failed.extend(about.into_iter().map(|id| (id, failure))),
        }
        Ok(())
    }

    /// The body of a 207; `None` when everything was written.
    #[must_use]
    pub fn in_part(&self) -> Option<Value> {
        if let Some((updated, not)) = &self.attributes {
            let not: Vec<Value> = not
                .iter()
                .map(|name| json!({"attributeName": name, "reason": "the source did not write it"}))
                .collect();
            return Some(json!({"updated": updated, "notUpdated": not}));
        }
        if self.failed.is_empty() {
            return None;
        }
        let errors: Vec<Value> =
            self.failed.iter().map(|(id, why)| json!({"entityId": id, "error": why.problem()})).collect();
        Some(json!({"success": self.done, "errors": errors}))
    }
}
