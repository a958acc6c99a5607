//! Contract negotiations.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, get, post};
use policy_plan::instant_text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Json;
use super::crud::Answer;
use super::processes::{
    self, CommandInput, CounterPartyInput, EndReason, ProcessError, ProcessFilters, ShownProcess, counter_party,
    optional, pids, unknown_command,
};
use super::query::{ListBody, ListParams};
use super::stored;
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::dataset::bad;
use crate::service::negotiation::{self, Command, NewNegotiation};
use crate::service::registry::{DecisionMode, check_id};
use crate::store::negotiation as row;

const COMMANDS: &[&str] = &["offer", "counter", "accept", "agree", "verify", "finalize", "terminate"];

/// Which side we are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum RoleName {
    /// We ask.
    #[default]
    Consumer,
    /// We offer.
    Provider,
}

/// A negotiation to begin. The offer is named by `offerId` or `datasetId`, and then read from the provider's catalog; or
/// it is given in full, and then no catalog is read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"partner": "did:web:tirana.example", "datasetId": "urn:city:tirana:air-quality"}))]
pub(super) struct NegotiationInput {
    /// Id of a registered partner.
    partner: Option<String>,
    /// The counter-party with its address, instead of `partner`.
    counter_party: Option<CounterPartyInput>,
    /// Which side we are on.
    #[serde(default)]
    role: RoleName,
    /// The dataset wanted.
    dataset_id: Option<String>,
    /// The offer wanted; as provider, our own offer.
    offer_id: Option<String>,
    /// The offer in full: `@id`, `target`, and the rules.
    #[schema(value_type = Option<Object>)]
    offer: Option<Map<String, Value>>,
    /// What the data is for, as we declare it to the provider (left operand `purpose`).
    #[serde(default)]
    purpose: Vec<String>,
    /// Who decides on the next steps.
    #[serde(default)]
    decision: DecisionMode,
}

impl NegotiationInput {
    fn check(self) -> ServiceResult<NewNegotiation> {
        let given = counter_party(self.partner, self.counter_party)?;
        let given = given.ok_or_else(|| bad("partner", "or `counterParty` is needed"))?;
        for (member, id) in [("datasetId", &self.dataset_id), ("offerId", &self.offer_id)] {
            if let Some(id) = id {
                check_id(member, id)?;
            }
        }
        check_purpose(&self.purpose)?;
        let provider = self.role == RoleName::Provider;
        match (&self.offer, &self.offer_id, &self.dataset_id) {
            (Some(_), Some(_), _) => return Err(bad("offer", "and `offerId` exclude each other")),
            (None, None, _) if provider => {
                return Err(bad("offerId", "of our offer is needed in the role of the provider"));
            }
            (None, None, None) => return Err(bad("offerId", "or `datasetId` or `offer` is needed")),
            _ => {}
        }
        Ok(NewNegotiation {
            counter_party: given,
            provider,
            dataset_id: self.dataset_id,
            offer_id: self.offer_id,
            offer: self.offer.map(Value::Object),
            purpose: self.purpose,
            manual: self.decision == DecisionMode::Manual,
        })
    }
}

/// What can be declared as purpose.
///
/// # Errors
/// `bad_member`.
pub(super) fn check_purpose(purpose: &[String]) -> ServiceResult<()> {
    if purpose.len() > dsp_protocol::purpose::MOST {
        return Err(bad("purpose", format!("has more than {} items", dsp_protocol::purpose::MOST)));
    }
    purpose.iter().try_for_each(|text| {
        dsp_protocol::purpose::check(text).map_err(|why| bad("purpose", format!("is refused: {why}")))
    })
}

/// A contract negotiation, seen from our side.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Negotiation)]
pub(super) struct NegotiationView {
    /// Our own pid.
    id: String,
    /// Which side we are on.
    #[schema(value_type = RoleName)]
    role: String,
    /// `REQUESTED`, `OFFERED`, ... as both sides know it; `REQUESTING`, `OFFERING`, ... while we owe the message.
    state: String,
    /// The counter-party's participant id.
    counter_party_id: String,
    /// Base URL of the counter-party's connector.
    counter_party_address: String,
    /// The consumer's pid, once known.
    consumer_pid: Option<String>,
    /// The provider's pid, once known.
    provider_pid: Option<String>,
    /// The dataset negotiated about.
    dataset_id: String,
    /// Id of the offer on the table.
    offer_id: String,
    /// The offer on the table.
    #[schema(value_type = Object)]
    offer: Value,
    /// What the consumer declares that the data is for.
    #[schema(value_type = Vec<String>)]
    purpose: Value,
    /// Id of the agreement, once proposed.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement_id: Option<String>,
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
    /// Why it was terminated.
    #[serde(skip_serializing_if = "Option::is_none")]
    termination: Option<EndReason>,
    /// Commands that are possible now.
    next: Vec<&'static str>,
}

impl ShownProcess for row::Model {
    type View = NegotiationView;
    const PATH: &'static str = "/negotiations";

    async fn view(self, _: &App) -> ServiceResult<NegotiationView> {
        let next = negotiation::next_commands(&self);
        let (consumer_pid, provider_pid) = pids(&self.role, &self.id, self.counter_pid);
        Ok(NegotiationView {
            id: self.id,
            role: self.role,
            state: self.state,
            counter_party_id: self.counter_party,
            counter_party_address: self.counter_address,
            consumer_pid,
            provider_pid,
            dataset_id: self.dataset_id,
            offer_id: self.offer_id,
            offer: stored(&self.offer)?,
            purpose: stored(&self.purpose)?,
            agreement_id: self.agreement_id,
            decision: self.decision,
            created_at: instant_text(self.created_at),
            updated_at: instant_text(self.updated_at),
            error: optional(self.error.as_deref())?,
            termination: optional(self.termination.as_deref())?,
            next,
        })
    }
}

/// Lists negotiations.
#[utoipa::path(
    tag = "negotiations",
    params(ListParams, ProcessFilters),
    responses((status = 200, description = "A page of negotiations", body = ListBody<NegotiationView>))
)]
#[get("/negotiations")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    processes::list::<row::Model>(&app, &request).await
}

/// Shows one negotiation.
#[utoipa::path(
    tag = "negotiations",
    params(("id" = String, Path, description = "Our pid, percent-encoded")),
    responses((status = 200, description = "The negotiation", body = NegotiationView))
)]
#[get("/negotiations/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    processes::show::<row::Model>(&app, &id).await
}

/// Begins a negotiation.
#[utoipa::path(
    tag = "negotiations",
    request_body = NegotiationInput,
    responses(
        (
            status = 201,
            description = "Begun; the first message is on its way",
            body = NegotiationView,
            headers(("Location" = String, description = "Its address"))
        ),
        (status = 502, description = "The counter-party cannot be reached or its catalog not be read")
    )
)]
#[post("/negotiations")]
pub(super) async fn create(app: Data<App>, Json(input): Json<NegotiationInput>) -> Answer {
    processes::begun(&app, negotiation::start(&app, input.check()?).await?).await
}

/// Takes the next step of a negotiation.
///
/// Which steps are possible now stands in its member `next`; another one is refused with 409 and changes nothing.
#[utoipa::path(
    tag = "negotiations",
    params(
        ("id" = String, Path, description = "Our pid, percent-encoded"),
        ("command" = String, Path, description = "`offer`, `counter`, `accept`, `agree`, `verify`, `finalize` or `terminate`")
    ),
    request_body(content = CommandInput, description = "May be left out"),
    responses((status = 202, description = "The message is on its way", body = NegotiationView))
)]
#[post("/negotiations/{id}/{command}")]
pub(super) async fn command(app: Data<App>, path: Path<(String, String)>, Json(input): Json<CommandInput>) -> Answer {
    let (id, word) = path.into_inner();
    processes::stepping(&app, negotiation::command(&app, &id, read_command(&word, input)?).await?).await
}

fn read_command(word: &str, input: CommandInput) -> ServiceResult<Command> {
    let plain = match word {
        "offer" => return Ok(Command::Offer(input.into_offer()?)),
        "counter" => return Ok(Command::Counter(input.into_offer()?)),
        "terminate" => {
            let (code, reason) = input.into_reason()?;
            return Ok(Command::Terminate { code, reason });
        }
        "accept" => Command::Accept,
        "agree" => Command::Agree,
        "verify" => Command::Verify,
        "finalize" => Command::Finalize,
        other => return Err(unknown_command(other, COMMANDS)),
    };
    input.nothing()?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value) -> Result<NewNegotiation, String> {
        let input: NegotiationInput = serde_json::from_value(value).map_err(|error| error.to_string())?;
        input.check().map_err(|error| error.message)
    }

    #[test]
    fn ways_to_begin() {
        let new = check(json!({"partner": "did:web:b", "datasetId": "d"})).unwrap();
        assert!(!new.provider && !new.manual && new.counter_party.address.is_none());
        let address = json!({"base": "https://b.example/dsp/", "version": "2025-1"});
        let offer = json!({"@id": "o", "target": "d", "permission": [{"action": "use"}]});
        let given = json!({"counterParty": {"id": "b", "address": address}, "offer": offer, "decision": "manual"});
        let new = check(given).unwrap();
        assert!(new.manual && new.offer.unwrap()["target"] == "d");
        assert!(new.counter_party.address.is_some());
        assert!(check(json!({"partner": "b", "role": "provider", "offerId": "o"})).unwrap().provider);
    }

    #[test]
    fn unclear_inputs_are_refused_with_the_member() {
        let address = json!({"root": "https://b.example"});
        let table = [
            (json!({"datasetId": "d"}), "partner"),
            (json!({"partner": "a b", "datasetId": "d"}), "partner"),
            (json!({"partner": "b"}), "offerId"),
            (json!({"partner": "b", "role": "provider", "datasetId": "d"}), "offerId"),
            (json!({"partner": "b", "offerId": "o", "offer": {}}), "offer"),
            (json!({"partner": "b", "offerId": "o\u{7}"}), "offerId"),
            (json!({"partner": "b", "datasetId": ""}), "datasetId"),
            (json!({"partner": "b", "counterParty": {"id": "b", "address": address}, "offerId": "o"}), "counterParty"),
            (json!({"counterParty": {"id": "b", "address": {}}, "offerId": "o"}), "counterParty.address"),
            (
                json!({"counterParty": {"id": "b", "address": {"base": "x"}}, "offerId": "o"}),
                "counterParty.address.base",
            ),
            (
                json!({"counterParty": {"id": "b", "address": {"base": "https://b", "version": "2024-1"}}, "offerId": "o"}),
                "counterParty.address.version",
            ),
            (json!({"partner": "b", "datasetId": "d", "state": "FINALIZED"}), "state"),
            (json!({"partner": "b", "datasetId": "d", "decision": "later"}), "later"),
        ];
        for (value, named) in table {
            let refusal = check(value.clone()).unwrap_err();
            assert!(refusal.contains(named), "{value}: {refusal}");
        }
    }

    #[test]
    fn commands_take_only_what_belongs_to_them() {
        let input = |value: Value| serde_json::from_value::<CommandInput>(value).unwrap();
        assert!(matches!(read_command("offer", input(json!({"offer": {}}))), Ok(Command::Offer(Some(_)))));
        assert!(matches!(read_command("counter", input(json!({}))), Ok(Command::Counter(None))));
        let terminate = read_command("terminate", input(json!({"code": "c", "reason": "r"})));
        assert!(matches!(terminate, Ok(Command::Terminate { code: Some(_), reason: Some(_) })));
        for (word, value) in [
            ("accept", json!({"offer": {}})),
            ("offer", json!({"reason": "r"})),
            ("terminate", json!({"offer": {}})),
            ("verify", json!({"code": "c"})),
        ] {
            assert_eq!(read_command(word, input(value)).unwrap_err().code, "bad_member");
        }
        assert_eq!(read_command("cancel", input(json!({}))).unwrap_err().code, "not_found");
        for word in COMMANDS {
            assert!(read_command(word, CommandInput::default()).is_ok(), "{word}");
        }
    }
}
