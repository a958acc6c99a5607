//! What negotiations and transfers have in common: naming the counter-party, commands, and how they are shown.

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::crud::{Answer, location, ok};
use super::query::{ListBody, list_query};
use super::stored;
use crate::app::App;
use crate::service::dataset::{bad, check_length};
use crate::service::partner::CounterPartyRef;
use crate::service::process::Process;
use crate::service::registry::{AddressInput, check_id};
use crate::service::{ServiceError, ServiceResult, reading};

/// Longest code or reason, in bytes.
const MAX_REASON_BYTES: usize = 2048;

/// A kind of process as the API shows it.
pub(super) trait ShownProcess: Process {
    /// The shown form.
    type View: Serialize;
    /// The path of the list below the base.
    const PATH: &'static str;
    /// Makes the shown form.
    ///
    /// # Errors
    /// When the row is broken.
    async fn view(self, app: &App) -> ServiceResult<Self::View>;
}

/// Filters of both lists.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code)] // Only described: `list` reads it.
pub(super) struct ProcessFilters {
    /// Only with this role of ours.
    role: Option<String>,
    /// Only in this state.
    state: Option<String>,
    /// Only with this counter-party.
    counter_party_id: Option<String>,
    /// Only about this dataset.
    dataset_id: Option<String>,
    /// Only with this agreement.
    agreement_id: Option<String>,
}

/// `GET /<kind>`.
pub(super) async fn list<P: ShownProcess>(app: &App, request: &HttpRequest) -> Answer {
    let filters: Vec<&str> = P::LISTING.filter.iter().map(|(name, _)| *name).collect();
    let page = reading::processes::<P>(app, &list_query(request, &filters)?).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(row.view(app).await?);
    }
    ok(&ListBody { items, next: page.next })
}

/// `GET /<kind>/{id}`.
pub(super) async fn show<P: ShownProcess>(app: &App, id: &str) -> Answer {
    ok(&reading::process::<P>(app, id).await?.view(app).await?)
}

/// 201 with a process that has begun.
pub(super) async fn begun<P: ShownProcess>(app: &App, row: P) -> Answer {
    let location = location(P::PATH, row.common().id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(row.view(app).await?))
}

/// 202 with a process that takes a step.
pub(super) async fn stepping<P: ShownProcess>(app: &App, row: P) -> Answer {
    Ok(HttpResponse::Accepted().json(row.view(app).await?))
}

/// A counter-party that need not be registered as a partner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CounterParty)]
pub(super) struct CounterPartyInput {
    /// Participant id.
    id: String,
    /// Where its connector answers.
    address: AddressInput,
}

/// The counter-party, by either of the two members that can name it.
pub(super) fn counter_party(
    partner: Option<String>,
    counter_party: Option<CounterPartyInput>,
) -> ServiceResult<Option<CounterPartyRef>> {
    match (partner, counter_party) {
        (None, None) => Ok(None),
        (Some(id), None) => {
            check_id("partner", &id)?;
            Ok(Some(CounterPartyRef { id, address: None }))
        }
        (None, Some(given)) => {
            check_id("counterParty.id", &given.id)?;
            let address = given.address.check("counterParty.address")?;
            Ok(Some(CounterPartyRef { id: given.id, address: Some(address) }))
        }
        (Some(_), Some(_)) => Err(bad("partner", "and `counterParty` exclude each other")),
    }
}

/// What a command may bring along.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Command, example = json!({"reason": "no longer needed"}))]
pub(super) struct CommandInput {
    /// With `offer` and `counter`: the offer in full. When left out, the one on the table.
    #[schema(value_type = Option<Object>)]
    pub offer: Option<Map<String, Value>>,
    /// With `terminate` and `suspend`: a code for the counter-party.
    pub code: Option<String>,
    /// With `terminate` and `suspend`: the reason for people.
    pub reason: Option<String>,
}

impl CommandInput {
    /// The offer, for a command that takes one.
    pub(super) fn into_offer(self) -> ServiceResult<Option<Value>> {
        self.without_reason()?;
        Ok(self.offer.map(Value::Object))
    }

    /// Code and reason, for a command that takes them.
    pub(super) fn into_reason(self) -> ServiceResult<(Option<String>, Option<String>)> {
        self.without_offer()?;
        for (member, text) in [("code", &self.code), ("reason", &self.reason)] {
            if let Some(text) = text {
                check_length(member, text, MAX_REASON_BYTES)?;
            }
        }
        Ok((self.code, self.reason))
    }

    /// For a command that takes nothing.
    pub(super) fn nothing(&self) -> ServiceResult<()> {
        self.without_offer()?;
        self.without_reason()
    }

    fn without_offer(&self) -> ServiceResult<()> {
        if self.offer.is_some() { Err(bad("offer", "does not go with this command")) } else { Ok(()) }
    }

    fn without_reason(&self) -> ServiceResult<()> {
        match (&self.code, &self.reason) {
            (None, None) => Ok(()),
            (Some(_), _) => Err(bad("code", "does not go with this command")),
            (None, Some(_)) => Err(bad("reason", "does not go with this command")),
        }
    }
}

/// The error for a word that is not a command.
pub(super) fn unknown_command(word: &str, known: &[&str]) -> ServiceError {
    let word: String = word.chars().filter(|c| !c.is_control()).take(40).collect();
    ServiceError::not_found(format!("there is no command `{word}`; commands are: {}", known.join(", ")))
}

/// What ended or hinders a process.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessError {
    /// Stable machine code.
    code: String,
    /// One sentence for people.
    detail: String,
    /// The rule that decided, when a policy did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The fact that it decided by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fact: Option<String>,
    /// Who has to act: `caller`, `peer`, `us` or `operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// Why a process was suspended or terminated, as one side told the other.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndReason {
    /// Code of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Reasons of the message.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    reason: Vec<Value>,
}

/// JSON of a column that may be empty.
pub(super) fn optional<T: serde::de::DeserializeOwned>(text: Option<&str>) -> ServiceResult<Option<T>> {
    text.map(stored).transpose()
}

/// (consumer's pid, provider's pid) of a process.
pub(super) fn pids(role: &str, ours: &str, theirs: Option<String>) -> (Option<String>, Option<String>) {
    let ours = Some(ours.to_owned());
    if role == "consumer" { (ours, theirs) } else { (theirs, ours) }
}
