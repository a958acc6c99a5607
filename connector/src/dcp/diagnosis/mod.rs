//! What stands between us and a partner, step by step: each step says what was found and which side must act. Nothing is
//! changed by it, here or there.

mod calls;
mod ours;
mod reach;
#[cfg(test)]
mod tests;

use std::time::Duration;

use identity::did::{Did, DidDocument, document_url};
use serde::Serialize;
use utoipa::ToSchema;

use super::DcpServices;
use crate::app::App;
use crate::service::partner::Address;
use crate::service::registry::shown;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{partner, registry};

/// Longest time of one step: all of them together stay below what a caller waits.
const STEP_LIMIT: Duration = Duration::from_secs(6);
/// Longest text that is taken over from others, in characters.
const LONGEST: usize = 300;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// As it should be.
    Ok,
    /// Not tried, because an earlier step failed or there is nothing to try.
    Skipped,
    /// It works, or may work, but somebody should look at it.
    Warning,
    /// It does not work.
    Failed,
}

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// We.
    Us,
    /// The partner.
    Partner,
    /// An issuer of credentials.
    Issuer,
    /// One side or the other; the sentence says how to find out.
    Either,
}

/// One step.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DiagnosisStep)]
pub(crate) struct Step {
    /// `partner`, `dns`, `tls`, `document`, `keys`, `clock`, `versions`, `token`, `presentation`, `ourDocument`,
    /// `ourCredentials`, `status` or `trust`.
    #[schema(value_type = String)]
    name: &'static str,
    /// How it ended.
    outcome: Outcome,
    /// One sentence for people.
    detail: String,
    /// Who must act, when somebody must.
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Side>,
}

impl Step {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, detail: detail.into(), act: None }
    }

    fn skipped(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Skipped, detail: detail.into(), act: None }
    }

    fn warning(name: &'static str, act: Side, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warning, detail: detail.into(), act: Some(act) }
    }

    fn failed(name: &'static str, act: Side, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Failed, detail: detail.into(), act: Some(act) }
    }

    fn has_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

/// What was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Diagnosis {
    /// Participant id of the partner.
    partner_id: String,
    /// The worst that a step ended with.
    outcome: Outcome,
    /// The steps, in their order.
    steps: Vec<Step>,
}

/// A partner under diagnosis.
struct Patient<'a> {
    app: &'a App,
    dcp: &'a DcpServices,
    id: &'a str,
}

/// Looks at a registered partner, or at any DID.
///
/// # Errors
/// `not_found` when the id is neither.
pub(crate) async fn of_partner(app: &App, dcp: &DcpServices, id: &str) -> ServiceResult<Diagnosis> {
    let row = registry::find::<partner::Entity>(app.store.reads(), app.context(), id).await?;
    let did = id.parse::<Did>().ok();
    if row.is_none() && did.is_none() {
        let text = format!("`{}` is neither a partner nor a DID", shown(id));
        return Err(ServiceError::not_found(text));
    }
    let patient = Patient { app, dcp, id };
    let address = row.map(|row| if row.base.is_empty() { Address::Root(row.root) } else { Address::Base(row.base) });
    let mut steps = vec![registered(id, address.is_some())];
    let document = patient.document(did.as_ref(), &mut steps).await;
    let address = address.or_else(|| document.as_ref().and_then(announced));
    let (step, base) = patient.versions(address.as_ref()).await;
    steps.push(step);
    let token = patient.token(base.as_deref()).await;
    let is_accepted = token.outcome == Outcome::Ok;
    steps.push(token);
    steps.push(patient.presentation(document.as_ref()).await);
    steps.push(patient.our_document(is_accepted).await);
    let (credentials, held) = patient.our_credentials().await?;
    steps.push(credentials);
    steps.push(patient.status(&held).await);
    steps.push(patient.trust(&held).await);
    let outcome = steps.iter().map(|step| step.outcome).max().unwrap_or(Outcome::Ok);
    // A step that was not tried is no news by itself.
    let outcome = if outcome == Outcome::Skipped { Outcome::Ok } else { outcome };
    Ok(Diagnosis { partner_id: id.to_owned(), outcome, steps })
}

fn registered(id: &str, known: bool) -> Step {
    match known {
        true => Step::ok("partner", format!("`{}` is a partner of ours", shown(id))),
        false => {
            let text = format!("`{}` is not among our partners; `hansa partner add` adds it", shown(id));
            Step::warning("partner", Side::Us, text)
        }
    }
}

/// The root of the connector that a DID document announces.
fn announced(document: &DidDocument) -> Option<Address> {
    let endpoint = document.endpoint("DataService")?;
    let root = endpoint.trim_end_matches('/').trim_end_matches(dsp_protocol::version::WELL_KNOWN_PATH);
    Some(Address::Root(root.to_owned()))
}

impl Patient<'_> {
    /// From the name to the document: DNS, TLS, clock, the document itself and its keys.
    async fn document(&self, did: Option<&Did>, steps: &mut Vec<Step>) -> Option<DidDocument> {
        let Some(did) = did else {
            let text = format!("`{}` is not a DID, so the partner cannot be known by credentials", shown(self.id));
            steps.push(Step::failed("document", Side::Partner, text));
            return None;
        };
        let mut clock = Step::skipped("clock", "there is no answer whose time could be compared");
        if did.method() == "web" {
            let url = match document_url(did, self.app.config.identity.danger_allow_http) {
                Ok(url) => url,
                Err(error) => {
                    steps.push(Step::failed("document", Side::Partner, error.to_string()));
                    return None;
                }
            };
            let dns = self.dns(&url).await;
            let found = !dns.has_failed();
            steps.push(dns);
            if !found {
                return None;
            }
            let (tls, time) = self.tls(&url).await;
            let reached = !tls.has_failed();
            steps.push(tls);
            if !reached {
                return None;
            }
            if let Some(step) = time.map(|date| self.clock(&date)) {
                clock = step;
            }
        }
        let (step, document) = self.resolve(did).await;
        steps.push(step);
        if let Some(document) = &document {
            steps.push(self.keys(document));
        }
        steps.push(clock);
        document
    }
}

/// Text of others in one line, of bounded length.
fn quoted(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// So many of them, in words.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("one {what}") } else { format!("{count} {what}s") }
}

/// Waits no longer than a step may take.
async fn limited<T>(work: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(STEP_LIMIT, work).await.map_err(|_| format!("no answer within {} s", STEP_LIMIT.as_secs()))
}
