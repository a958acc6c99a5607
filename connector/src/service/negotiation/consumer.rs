//! What we decide as consumer.

use dsp_protocol::negotiation::ContractOfferMessage;
use dsp_protocol::negotiation::{NegotiationMessage, Role};
use dsp_protocol::pid::ConsumerPid;
use dsp_protocol::policy::{Agreement, difference};
use identity::Participant;

use super::receive::Next;
use super::row::offer_of;
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::negotiation::Model;
use crate::store::now_ms;

/// How far in the future an agreement's timestamp may lie, ms: clocks differ.
const CLOCK_SKEW_MS: i64 = 5 * 60 * 1000;

/// The row of a negotiation that a provider has begun by an offer. An offer that nobody asked for waits for the operator.
pub(super) fn new_from_offer(
    app: &App,
    participant: &Participant,
    message: ContractOfferMessage,
    digest: &str,
) -> ServiceResult<Model> {
    let Some(callback) = message.callback_address.clone() else {
        return Err(ServiceError::bad_request(
            "missing_callback",
            "a first ContractOfferMessage needs a `callbackAddress`",
        ));
    };
    app.fetcher.check_url(&callback).map_err(|error| {
        ServiceError::bad_request("bad_callback", format!("`callbackAddress` cannot be used: {error}"))
    })?;
    let Some(target) = &message.offer.target else {
        return Err(ServiceError::bad_request(
            "missing_target",
            "the offer of a ContractOfferMessage needs a `target`",
        ));
    };
    let id = ConsumerPid::generate().to_string();
    let mut row = Model::blank(app.context(), Role::Consumer.as_str(), id, participant.id(), &callback);
    row.counter_pid = Some(message.provider_pid.to_string());
    row.dataset_id = target.to_string();
    row.offer_id = message.offer.id.to_string();
    row.offer = message.offer.message_offer().to_string();
    row.decision = "manual".to_owned();
    row.claims = participant.claims().to_string();
    row.initial_digest = Some(digest.to_owned());
    Ok(row)
}

/// A counter-offer: accepted by itself only when it has the rules that we asked for.
pub(super) fn on_offer(row: &Model, message: &ContractOfferMessage) -> ServiceResult<Next> {
    let asked = offer_of(row)?;
    if let (Some(asked), Some(offered)) = (&asked.target, &message.offer.target)
        && asked != offered
    {
        let text = format!("this negotiation is about `{asked}`, the offer is for `{offered}`");
        return Err(ServiceError::bad_request("wrong_target", text));
    }
    if row.decision != "automatic" {
        return Ok(Next::Wait);
    }
    Ok(match difference(&asked.rules, &message.offer.rules) {
        None => Next::Send(NegotiationMessage::Accepted),
        Some(difference) => Next::Refuse(ServiceError::peer(
            "rules_differ",
            format!("the provider offers other rules than those that were asked for: {difference}"),
        )),
    })
}

/// The agreement must be the offer's: else we end the negotiation with the reason.
pub(super) fn on_agreement(app: &App, row: &Model, agreement: &Agreement) -> ServiceResult<Next> {
    match check_agreement(app, row, agreement) {
        Ok(()) if row.decision == "automatic" => Ok(Next::Send(NegotiationMessage::Verification)),
        Ok(()) => Ok(Next::Wait),
        Err(error) => Ok(Next::Refuse(error)),
    }
}

/// Checks an agreement against the offer on the table (DSP 2025-1, Contract Agreement Message): assigner, assignee,
/// target, rules, timestamp.
pub(super) fn check_agreement(app: &App, row: &Model, agreement: &Agreement) -> ServiceResult<()> {
    let wrong = |what: &str, fact: String| {
        let message = format!("the agreement does not fit the offer: {what}");
        Err(ServiceError::peer("agreement_differs", message).because(None, Some(fact)))
    };
    if agreement.assigner.as_str() != row.counter_party {
        return wrong("its assigner is not the provider", format!("assigner = {}", agreement.assigner));
    }
    if agreement.assignee.as_str() != app.participant {
        return wrong("its assignee is not us", format!("assignee = {}", agreement.assignee));
    }
    if agreement.target.as_str() != row.dataset_id {
        return wrong("its target is another dataset", format!("target = {}", agreement.target));
    }
    let offer = offer_of(row)?;
    if let Some(difference) = difference(&offer.rules, &agreement.rules) {
        return wrong("its rules are others", difference);
    }
    match agreement.timestamp.as_ref().map(|_| agreement.timestamp_ms()) {
        Some(Some(time)) if time <= now_ms() + CLOCK_SKEW_MS => Ok(()),
        Some(Some(_)) => wrong("its timestamp lies in the future", timestamp_fact(agreement)),
        Some(None) => wrong("its timestamp is not a date and time", timestamp_fact(agreement)),
        None => wrong("it has no timestamp", "timestamp is absent".to_owned()),
    }
}

fn timestamp_fact(agreement: &Agreement) -> String {
    format!("timestamp = {}", agreement.timestamp.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::service::decide::rfc3339;

    fn offer() -> Value {
        json!({
            "@id": "urn:offer", "@type": "Offer", "target": "urn:ds", "assigner": "urn:provider",
            "permission": [{"action": "use"}],
        })
    }

    fn agreement(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Agreement {
        let mut value = json!({
            "@id": "urn:agreement", "@type": "Agreement", "target": "urn:ds", "assigner": "urn:provider",
            "assignee": "did:web:us.example", "timestamp": rfc3339(now_ms()), "permission": [{"action": "use"}],
        });
        change(value.as_object_mut().unwrap());
        Agreement::parse(&value).unwrap()
    }

    #[tokio::test]
    async fn an_agreement_that_differs_from_the_offer_is_refused_and_says_in_what() {
        let (_folder, app) = crate::testing::app().await;
        let mut row = Model::blank(app.context(), "consumer", "urn:n".into(), "urn:provider", "http://peer");
        row.dataset_id = "urn:ds".to_owned();
        row.offer = offer().to_string();
        assert!(check_agreement(&app, &row, &agreement(|_| {})).is_ok());
        // Other spellings of the same rules are the same rules.
        let spelled =
            agreement(|a| drop(a.insert("permission".into(), json!([{"action": "odrl:use", "constraint": []}]))));
        assert!(check_agreement(&app, &row, &spelled).is_ok());
        let later = rfc3339(now_ms() + 3_600_000);
        let narrower = json!([{"action": "use", "constraint": [
            {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}]}]);
        for (member, value, part) in [
            ("assigner", json!("urn:somebody"), "assigner is not the provider"),
            ("assignee", json!("urn:somebody"), "assignee is not us"),
            ("target", json!("urn:other"), "target is another dataset"),
            ("permission", narrower, "rules are others"),
            ("prohibition", json!([{"action": "use"}]), "rules are others"),
            ("timestamp", json!(later), "timestamp lies in the future"),
        ] {
            let other = agreement(|a| drop(a.insert(member.into(), value)));
            let error = check_agreement(&app, &row, &other).unwrap_err();
            assert_eq!(error.code, "agreement_differs");
            assert!(error.message.contains(part) && error.fact.is_some(), "{member}: {}", error.message);
            let next = on_agreement(&app, &row, &other).unwrap();
            assert!(matches!(next, Next::Refuse(_)), "an agreement with another {member} ends the negotiation");
        }
        let silent = agreement(|a| drop(a.remove("timestamp")));
        assert!(check_agreement(&app, &row, &silent).unwrap_err().message.contains("no timestamp"));
    }
}
