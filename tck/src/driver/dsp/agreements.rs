//! Concludes the agreements that the transfer tests are about, by negotiating with the connector over the protocol.

use serde_json::{Value, json};

use super::KIT;
use crate::management::{Kind, text};
use crate::peer::{Peer, messages};
use crate::service::Connector;
use crate::{Context as _, Error, Result};

/// Any moment in the past will do: the connector checks that it is a time, not that it is now.
const SIGNED: &str = "2026-01-01T00:00:00Z";

/// An agreement in which the connector provides `dataset`: we are the consumer. Gives back its id.
pub(super) async fn as_consumer(peer: &Peer, connector: &Connector, dataset: &str) -> Result<String> {
    let base = connector.control.base();
    let ours = messages::new_id();
    let offer = messages::open_offer(&format!("CD123:{dataset}:456"), dataset);
    let request = messages::contract_request(&ours, &peer.url(), &offer);
    let answer = peer.tell(&messages::join(&base, "/negotiations/request"), &request).await?;
    let theirs = text(&answer, "providerPid");
    let message = peer.message_about("ContractAgreementMessage", &ours).await?;
    let path = format!("/negotiations/{theirs}/agreement/verification");
    peer.tell(&messages::join(&base, &path), &messages::verification(theirs, &ours)).await?;
    peer.message_about("ContractNegotiationEventMessage", &ours).await?;
    let agreement = message.get("agreement").map(|agreement| text(agreement, "@id")).unwrap_or_default();
    if agreement.is_empty() {
        return Err(Error::new(format!("the agreement about {dataset} has no id: {message}")));
    }
    Ok(agreement.to_owned())
}

/// An agreement in which the connector consumes `dataset`: we are the provider. Gives back its id.
pub(super) async fn as_provider(peer: &Peer, connector: &Connector, dataset: &str) -> Result<String> {
    let api = connector.api();
    let offer = messages::open_offer(&format!("offer{dataset}"), dataset);
    let begun = api
        .post(
            "/negotiations",
            json!({
                "counterParty": {"id": KIT, "address": {"base": peer.url(), "version": "2025-1"}},
                "offer": offer,
                "decision": "automatic"
            }),
        )
        .await?;
    let request = peer
        .message("ContractRequestMessage", |message| {
            message.pointer("/offer/target").and_then(Value::as_str) == Some(dataset)
        })
        .await?;
    let (callback, theirs) = (text(&request, "callbackAddress"), text(&request, "consumerPid"));
    let ours = our_pid(peer, theirs).await?;
    let agreement = messages::agreement(&offer, KIT, connector.id(), SIGNED);
    let path = format!("/negotiations/{theirs}/agreement");
    peer.tell(&messages::join(callback, &path), &messages::contract_agreement(&ours, theirs, &agreement)).await?;
    peer.message_about("ContractAgreementVerificationMessage", theirs).await?;
    let path = format!("/negotiations/{theirs}/events");
    peer.tell(&messages::join(callback, &path), &messages::event(&ours, theirs, "FINALIZED")).await?;
    api.reaches(Kind::Negotiation, text(&begun, "id"), &["FINALIZED"]).await?;
    Ok(text(&agreement, "@id").to_owned())
}

/// The id that our inbox gave the process in its answer.
async fn our_pid(peer: &Peer, theirs: &str) -> Result<String> {
    let (_, process) = peer.get(&format!("{}/negotiations/{theirs}", peer.url())).await?;
    let pid = text(&process, "providerPid");
    (!pid.is_empty()).then(|| pid.to_owned()).context(format_args!("the inbox does not know {theirs}"))
}
