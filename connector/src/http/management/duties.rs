//! The ledger of duties.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, get, post};
use policy_plan::instant_text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{Answer, ok};
use super::negotiations::RoleName;
use super::query::{ListBody, ListParams, list_query};
use crate::app::App;
use crate::service::dataset::check_length;
use crate::service::duties::{self, Verdict};
use crate::service::{ServiceResult, reading};
use crate::store::duty;

/// Longest note, in bytes.
const MAX_NOTE_BYTES: usize = 2048;
const FILTERS: &[&str] = &["agreementId", "role", "counterPartyId", "datasetId", "state", "action"];

/// What an operator writes down about a duty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = DutyNote, example = json!({"note": "deletion protocol 4711 of the archive"}))]
pub(super) struct NoteInput {
    /// What it rests on, for people.
    note: Option<String>,
}

impl NoteInput {
    fn check(self) -> ServiceResult<Option<String>> {
        if let Some(note) = &self.note {
            check_length("note", note, MAX_NOTE_BYTES)?;
        }
        Ok(self.note)
    }
}

/// How far a duty is.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code)] // Only described.
enum DutyStateName {
    Unset,
    Due,
    Fulfilled,
    Violated,
}

/// What kind of duty it is.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code)] // Only described.
enum DutyKind {
    Duty,
    Obligation,
    Remedy,
    Consequence,
}

/// A duty under an agreement.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Duty)]
pub(super) struct DutyView {
    /// Its id.
    id: String,
    /// The agreement.
    agreement_id: String,
    /// Which side of the agreement we are on; duties are the consumer's unless the text says otherwise.
    #[schema(value_type = RoleName)]
    role: String,
    /// The counter-party's participant id.
    counter_party_id: String,
    /// The dataset of the agreement.
    dataset_id: String,
    /// Its identifier within the policy.
    name: String,
    /// The rule that it belongs to.
    rule: String,
    /// Why it has to be done.
    #[schema(value_type = DutyKind)]
    kind: String,
    /// What has to be done: a term of the ODRL vocabulary.
    action: String,
    /// The whole in readable form.
    text: String,
    /// Whether it has conditions other than a time, of which only people know whether they hold.
    conditional: bool,
    /// How far it is.
    #[schema(value_type = DutyStateName)]
    state: String,
    /// From when on it has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_from: Option<String>,
    /// By when it has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_by: Option<String>,
    /// What was written down about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// When it was fulfilled or violated.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
    /// When the agreement was concluded.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

fn view(row: duty::Model) -> DutyView {
    DutyView {
        id: row.id,
        agreement_id: row.agreement_id,
        role: row.role,
        counter_party_id: row.counter_party,
        dataset_id: row.dataset_id,
        name: row.name,
        rule: row.rule,
        kind: row.kind,
        action: row.action,
        text: row.text,
        conditional: row.conditional,
        state: row.state,
        due_from: row.due_from.map(instant_text),
        due_by: row.due_by.map(instant_text),
        note: row.note,
        decided_at: row.decided_at.map(instant_text),
        created_at: instant_text(row.created_at),
        updated_at: instant_text(row.updated_at),
    }
}

/// Lists what our agreements oblige to, in both roles.
#[utoipa::path(
    tag = "duties",
    params(
        ListParams,
        ("agreementId" = Option<String>, Query, description = "Only of this agreement"),
        ("role" = Option<String>, Query, description = "Only with this role of ours"),
        ("counterPartyId" = Option<String>, Query, description = "Only with this counter-party"),
        ("datasetId" = Option<String>, Query, description = "Only about this dataset"),
        ("state" = Option<String>, Query, description = "Only in this state"),
        ("action" = Option<String>, Query, description = "Only with this action")
    ),
    responses((status = 200, description = "A page of duties", body = ListBody<DutyView>))
)]
#[get("/duties")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    let page = reading::rows::<duty::Entity>(&app, &list_query(&request, FILTERS)?).await?;
    ok(&ListBody { items: page.items.into_iter().map(view).collect(), next: page.next })
}

/// Shows one duty.
#[utoipa::path(
    tag = "duties",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The duty", body = DutyView))
)]
#[get("/duties/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    ok(&view(reading::row::<duty::Entity>(&app, "duty", &id).await?))
}

/// Writes down that a duty was done. As provider this may let a permission hold that waits for it.
#[utoipa::path(
    tag = "duties",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = NoteInput,
    responses((status = 200, description = "Fulfilled", body = DutyView))
)]
#[post("/duties/{id}/fulfil")]
pub(super) async fn fulfil(app: Data<App>, id: Path<String>, Json(input): Json<NoteInput>) -> Answer {
    ok(&view(duties::decide(&app, &id, Verdict::Fulfilled, input.check()?).await?))
}

/// Writes down that a duty was not done. As provider this closes the permission that asks for it.
#[utoipa::path(
    tag = "duties",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = NoteInput,
    responses((status = 200, description = "Violated", body = DutyView))
)]
#[post("/duties/{id}/violate")]
pub(super) async fn violate(app: Data<App>, id: Path<String>, Json(input): Json<NoteInput>) -> Answer {
    ok(&view(duties::decide(&app, &id, Verdict::Violated, input.check()?).await?))
}
