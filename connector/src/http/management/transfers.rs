//! Transfer processes.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, get, post};
use policy_plan::instant_text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Json;
use super::crud::Answer;
use super::negotiations::{RoleName, check_purpose};
use super::processes::{
    self, CommandInput, CounterPartyInput, EndReason, ProcessError, ProcessFilters, ShownProcess, counter_party,
    optional, pids, unknown_command,
};
use super::query::{ListBody, ListParams};
use super::stored;
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::dataset::check_length;
use crate::service::registry::{DecisionMode, check_id};
use crate::service::transfer::{self, Command, NewTransfer};
use crate::store::transfer as row;

const COMMANDS: &[&str] = &["start", "suspend", "resume", "complete", "terminate"];

/// A transfer to begin, as consumer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"agreementId": "urn:uuid:6d0a3d3b-9a0a-4f0c-8f4e-0d3a2f0a7c11", "format": "HttpData-PULL"}))]
pub(super) struct TransferInput {
    /// The agreement that it rests on.
    agreement_id: String,
    /// Distribution format; `HttpData-PULL` when left out.
    format: Option<String>,
    /// What the data is for, when it is something else than what was declared for the contract.
    #[serde(default)]
    purpose: Vec<String>,
    /// What our data plane does with the data beside showing it to programs: `{"mirror": {"broker": NAME, "onEnd":
    /// "delete" | "keep"}}` or `{"contextSource": {"broker": NAME}}`.
    #[schema(value_type = Option<Object>)]
    delivery: Option<Value>,
    /// Who decides on the next steps.
    #[serde(default)]
    decision: DecisionMode,
    /// With a push: where the data is to be written, as a DSP data address, when not through a data plane of ours.
    #[schema(value_type = Option<Object>)]
    data_address: Option<Map<String, Value>>,
    /// The provider as a registered partner, when it answers elsewhere than during the negotiation.
    partner: Option<String>,
    /// The provider with its address, instead of `partner`.
    counter_party: Option<CounterPartyInput>,
}

impl TransferInput {
    fn check(self) -> ServiceResult<NewTransfer> {
        check_id("agreementId", &self.agreement_id)?;
        check_purpose(&self.purpose)?;
        if let Some(format) = &self.format {
            check_length("format", format, 256)?;
        }
        Ok(NewTransfer {
            agreement_id: self.agreement_id,
            format: self.format,
            purpose: self.purpose,
            delivery: self.delivery,
            manual: self.decision == DecisionMode::Manual,
            data_address: self.data_address.map(Value::Object),
            counter_party: counter_party(self.partner, self.counter_party)?,
        })
    }
}

/// A transfer process, seen from our side.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Transfer)]
pub(super) struct TransferView {
    /// Our own pid.
    id: String,
    /// Which side we are on.
    #[schema(value_type = RoleName)]
    role: String,
    /// `REQUESTED`, `STARTED`, ... as both sides know it; `REQUESTING`, `STARTING`, ... while we owe the message.
    state: String,
    /// The agreement that it rests on.
    agreement_id: String,
    /// The dataset transferred.
    dataset_id: String,
    /// The counter-party's participant id.
    counter_party_id: String,
    /// Base URL of the counter-party's connector.
    counter_party_address: String,
    /// The consumer's pid, once known.
    consumer_pid: Option<String>,
    /// The provider's pid, once known.
    provider_pid: Option<String>,
    /// Distribution format.
    format: String,
    /// What the consumer declares that the data is for; as consumer, empty for what the agreement says.
    #[schema(value_type = Vec<String>)]
    purpose: Value,
    /// As consumer: what our data plane does with the data beside showing it to programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    delivery: Option<Value>,
    /// The data plane that moves the data, once chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_plane_id: Option<String>,
    /// As consumer, once started: where our own systems read the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    local_endpoint: Option<String>,
    /// Who decides on the next steps.
    #[schema(value_type = DecisionMode)]
    decision: String,
    /// When it began.
    created_at: String,
    /// When it last changed.
    updated_at: String,
    /// What ended or hinders it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProcessError>,
    /// Why it was suspended or terminated.
    #[serde(skip_serializing_if = "Option::is_none")]
    termination: Option<EndReason>,
    /// Commands that are possible now.
    next: Vec<&'static str>,
}

impl ShownProcess for row::Model {
    type View = TransferView;
    const PATH: &'static str = "/transfers";

    async fn view(self, app: &App) -> ServiceResult<TransferView> {
        let next = transfer::next_commands(&self);
        let local_endpoint = transfer::local_endpoint(app.store.reads(), &self).await?;
        let (consumer_pid, provider_pid) = pids(&self.role, &self.id, self.counter_pid);
        Ok(TransferView {
            id: self.id,
            role: self.role,
            state: self.state,
            agreement_id: self.agreement_id,
            dataset_id: self.dataset_id,
            counter_party_id: self.counter_party,
            counter_party_address: self.counter_address,
            consumer_pid,
            provider_pid,
            format: self.format,
            purpose: stored(&self.purpose)?,
            delivery: self.delivery.as_deref().map(stored).transpose()?,
            data_plane_id: self.data_plane_id,
            local_endpoint,
            decision: self.decision,
            created_at: instant_text(self.created_at),
            updated_at: instant_text(self.updated_at),
            error: optional(self.error.as_deref())?,
            termination: optional(self.termination.as_deref())?,
            next,
        })
    }
}

/// Lists transfers.
#[utoipa::path(
    tag = "transfers",
    params(ListParams, ProcessFilters),
    responses((status = 200, description = "A page of transfers", body = ListBody<TransferView>))
)]
#[get("/transfers")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    processes::list::<row::Model>(&app, &request).await
}

/// Shows one transfer.
#[utoipa::path(
    tag = "transfers",
    params(("id" = String, Path, description = "Our pid, percent-encoded")),
    responses((status = 200, description = "The transfer", body = TransferView))
)]
#[get("/transfers/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    processes::show::<row::Model>(&app, &id).await
}

/// Begins a transfer.
#[utoipa::path(
    tag = "transfers",
    request_body = TransferInput,
    responses(
        (
            status = 201,
            description = "Begun; the request is on its way",
            body = TransferView,
            headers(("Location" = String, description = "Its address"))
        ),
        (status = 502, description = "The provider cannot be reached")
    )
)]
#[post("/transfers")]
pub(super) async fn create(app: Data<App>, Json(input): Json<TransferInput>) -> Answer {
    processes::begun(&app, transfer::start(&app, input.check()?).await?).await
}

/// Takes the next step of a transfer.
///
/// Which steps are possible now stands in its member `next`; another one is refused with 409 and changes nothing.
#[utoipa::path(
    tag = "transfers",
    params(
        ("id" = String, Path, description = "Our pid, percent-encoded"),
        ("command" = String, Path, description = "`start`, `suspend`, `resume`, `complete` or `terminate`")
    ),
    request_body(content = CommandInput, description = "May be left out"),
    responses((status = 202, description = "The message is on its way", body = TransferView))
)]
#[post("/transfers/{id}/{command}")]
pub(super) async fn command(app: Data<App>, path: Path<(String, String)>, Json(input): Json<CommandInput>) -> Answer {
    let (id, word) = path.into_inner();
    processes::stepping(&app, transfer::command(&app, &id, read_command(&word, input)?).await?).await
}

fn read_command(word: &str, input: CommandInput) -> ServiceResult<Command> {
    let plain = match word {
        "suspend" => {
            let (code, reason) = input.into_reason()?;
            return Ok(Command::Suspend { code, reason });
        }
        "terminate" => {
            let (code, reason) = input.into_reason()?;
            return Ok(Command::Terminate { code, reason });
        }
        "start" => Command::Start,
        "resume" => Command::Resume,
        "complete" => Command::Complete,
        other => return Err(unknown_command(other, COMMANDS)),
    };
    input.nothing()?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs_are_checked() {
        let check = |value: Value| {
            let input: TransferInput = serde_json::from_value(value).map_err(|error| error.to_string())?;
            input.check().map_err(|error| error.message)
        };
        let new = check(json!({"agreementId": "a", "decision": "manual", "partner": "b"})).unwrap();
        assert!(new.manual && new.counter_party.is_some());
        let table = [
            (json!({}), "agreementId"),
            (json!({"agreementId": ""}), "agreementId"),
            (json!({"agreementId": "a", "format": " "}), "format"),
            (json!({"agreementId": "a", "dataPlaneId": "x"}), "dataPlaneId"),
            (
                json!({"agreementId": "a", "partner": "b", "counterParty": {"id": "b", "address": {"root": "https://b"}}}),
                "partner",
            ),
        ];
        for (value, named) in table {
            let refusal = check(value.clone()).unwrap_err();
            assert!(refusal.contains(named), "{value}: {refusal}");
        }
    }

    #[test]
    fn commands_take_only_what_belongs_to_them() {
        for word in COMMANDS {
            assert!(read_command(word, CommandInput::default()).is_ok(), "{word}");
        }
        let reason = || CommandInput { reason: Some("r".into()), ..CommandInput::default() };
        assert!(matches!(read_command("suspend", reason()), Ok(Command::Suspend { reason: Some(_), .. })));
        assert_eq!(read_command("resume", reason()).unwrap_err().code, "bad_member");
        assert_eq!(read_command("stop", reason()).unwrap_err().code, "not_found");
    }
}
