//! The messages of DSP 2025-1 as plain JSON, written here once more so that a fault of the connector's own types is seen.

use serde_json::{Value, json};

/// The context that every message names.
pub const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
/// The type of the answer to an initial negotiation message.
pub const NEGOTIATION: &str = "ContractNegotiation";
/// The type of the answer to a transfer request.
pub const TRANSFER: &str = "TransferProcess";

/// A new id.
pub fn new_id() -> String {
    format!("urn:uuid:{}", uuid::Uuid::new_v4())
}

/// A message that says nothing but its type.
pub fn plain(kind: &str) -> Value {
    json!({"@context": [CONTEXT], "@type": kind})
}

/// A message about a process that both sides know.
pub fn about(kind: &str, provider_pid: &str, consumer_pid: &str) -> Value {
    with(plain(kind), &json!({"providerPid": provider_pid, "consumerPid": consumer_pid}))
}

/// `message` with these members besides, or instead.
pub fn with(mut message: Value, members: &Value) -> Value {
    if let (Some(all), Some(more)) = (message.as_object_mut(), members.as_object()) {
        all.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    message
}

/// An offer that permits use of a dataset without further terms.
pub fn open_offer(id: &str, dataset: &str) -> Value {
    json!({"@id": id, "@type": "Offer", "target": dataset, "permission": [{"action": "use"}]})
}

/// The first message of a consumer.
pub fn contract_request(consumer_pid: &str, callback: &str, offer: &Value) -> Value {
    let members = json!({"consumerPid": consumer_pid, "callbackAddress": callback, "offer": offer});
    with(plain("ContractRequestMessage"), &members)
}

/// The first message of a provider.
pub fn contract_offer(provider_pid: &str, callback: &str, offer: &Value) -> Value {
    let members = json!({"providerPid": provider_pid, "callbackAddress": callback, "offer": offer});
    with(plain("ContractOfferMessage"), &members)
}

/// An agreement about `offer` between two participants, under a new id.
pub fn agreement(offer: &Value, provider: &str, consumer: &str, timestamp: &str) -> Value {
    let members = json!({
        "@id": new_id(), "@type": "Agreement", "assigner": provider, "assignee": consumer, "timestamp": timestamp
    });
    with(offer.clone(), &members)
}

/// The provider's agreement message.
pub fn contract_agreement(provider_pid: &str, consumer_pid: &str, agreement: &Value) -> Value {
    with(about("ContractAgreementMessage", provider_pid, consumer_pid), &json!({"agreement": agreement}))
}

/// The consumer's verification.
pub fn verification(provider_pid: &str, consumer_pid: &str) -> Value {
    about("ContractAgreementVerificationMessage", provider_pid, consumer_pid)
}

/// An event: `ACCEPTED` by the consumer, `FINALIZED` by the provider.
pub fn event(provider_pid: &str, consumer_pid: &str, kind: &str) -> Value {
    with(about("ContractNegotiationEventMessage", provider_pid, consumer_pid), &json!({"eventType": kind}))
}

/// The end of a negotiation.
pub fn negotiation_termination(provider_pid: &str, consumer_pid: &str) -> Value {
    about("ContractNegotiationTerminationMessage", provider_pid, consumer_pid)
}

/// The request for a transfer of the data that an agreement is about.
pub fn transfer_request(consumer_pid: &str, callback: &str, agreement_id: &str, format: &str) -> Value {
    let members = json!({
        "consumerPid": consumer_pid, "callbackAddress": callback, "agreementId": agreement_id, "format": format
    });
    with(plain("TransferRequestMessage"), &members)
}

/// Joins a base address and a path.
pub fn join(base: &str, path: &str) -> String {
    format!("{}{path}", base.trim_end_matches('/'))
}
