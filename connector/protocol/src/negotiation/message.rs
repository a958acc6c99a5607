//! The messages of a negotiation. `parse` takes a compacted value (see [`crate::context::compact`]), `to_value`
//! writes the whole message with `@context` and `@type`.
//!
//! DSP 2025-1, "Contract Negotiation Protocol: Message Types".

use serde_json::Value;

use super::state::{NegotiationMessage, NegotiationState};
use crate::context::{local_name, root};
use crate::error::MessageError;
use crate::member::{Node, put, put_list, put_some, shorten};
use crate::pid::{ConsumerPid, ProviderPid};
use crate::policy::{Agreement, Offer};
use crate::purpose;

/// Adds the `@id` of a message, or replaces it. EDC recognises a repeated message by it: give each message one and keep it
/// when resending.
#[must_use]
pub fn with_message_id(mut message: Value, id: &str) -> Value {
    if let Value::Object(map) = &mut message {
        put(map, "@id", id);
    }
    message
}

/// The consumer asks for a contract (initial, with `callback_address`) or makes a counter-offer (with `provider_pid`).
///
/// DSP 2025-1, "Contract Request Message".
#[derive(Debug, Clone, PartialEq)]
pub struct ContractRequestMessage {
    /// The consumer's id of the negotiation.
    pub consumer_pid: ConsumerPid,
    /// The provider's id; exactly one of this and `callback_address`.
    pub provider_pid: Option<ProviderPid>,
    /// The consumer's base address; exactly one of this and `provider_pid`.
    pub callback_address: Option<String>,
    /// What the consumer asks for.
    pub offer: Offer,
    /// What the consumer declares that the data is for (ours, [`purpose::PURPOSE`]); may be empty.
    pub purpose: Vec<String>,
}

impl ContractRequestMessage {
    const TYPE: &str = "ContractRequestMessage";

    /// The first message of a negotiation.
    #[must_use]
    pub fn initial(consumer_pid: ConsumerPid, callback_address: String, offer: Offer) -> Self {
        Self { consumer_pid, provider_pid: None, callback_address: Some(callback_address), offer, purpose: Vec::new() }
    }

    /// A counter-offer in a negotiation that both sides know.
    #[must_use]
    pub fn counter(consumer_pid: ConsumerPid, provider_pid: ProviderPid, offer: Offer) -> Self {
        Self { consumer_pid, provider_pid: Some(provider_pid), callback_address: None, offer, purpose: Vec::new() }
    }

    /// Reads a compacted message. The offer's target is not demanded: the schema leaves it optional here.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        let provider_pid = node.optional_id("providerPid")?;
        let callback_address = node.optional_address("callbackAddress")?;
        exactly_one(Self::TYPE, "providerPid", provider_pid.is_some(), callback_address.is_some())?;
        let offer = Offer::parse_message(node.object("offer")?)?;
        let purpose = purpose::parse(node)?;
        Ok(Self { consumer_pid: node.id("consumerPid")?, provider_pid, callback_address, offer, purpose })
    }

    /// The whole message. The callback address is left out when there is a `provider_pid`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = root(Self::TYPE);
        put(&mut map, "consumerPid", self.consumer_pid.as_str());
        match &self.provider_pid {
            Some(pid) => put(&mut map, "providerPid", pid.as_str()),
            None => put_some(&mut map, "callbackAddress", self.callback_address.as_ref()),
        }
        purpose::put(&mut map, &self.purpose);
        map.insert("offer".to_owned(), self.offer.message_offer());
        Value::Object(map)
    }
}

/// The provider makes an offer: unasked (initial, with `callback_address`) or in answer to a request (with
/// `consumer_pid`).
///
/// DSP 2025-1, "Contract Offer Message".
#[derive(Debug, Clone, PartialEq)]
pub struct ContractOfferMessage {
    /// The provider's id of the negotiation.
    pub provider_pid: ProviderPid,
    /// The consumer's id; exactly one of this and `callback_address`.
    pub consumer_pid: Option<ConsumerPid>,
    /// The provider's base address; exactly one of this and `consumer_pid`.
    pub callback_address: Option<String>,
    /// What the provider offers; its target must be set.
    pub offer: Offer,
}

impl ContractOfferMessage {
    const TYPE: &str = "ContractOfferMessage";

    /// The first message of a negotiation that the provider starts.
    #[must_use]
    pub fn initial(provider_pid: ProviderPid, callback_address: String, offer: Offer) -> Self {
        Self { provider_pid, consumer_pid: None, callback_address: Some(callback_address), offer }
    }

    /// An offer in a negotiation that both sides know.
    #[must_use]
    pub fn answer(provider_pid: ProviderPid, consumer_pid: ConsumerPid, offer: Offer) -> Self {
        Self { provider_pid, consumer_pid: Some(consumer_pid), callback_address: None, offer }
    }

    /// Reads a compacted message.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        let consumer_pid = node.optional_id("consumerPid")?;
        let callback_address = node.optional_address("callbackAddress")?;
        exactly_one(Self::TYPE, "consumerPid", consumer_pid.is_some(), callback_address.is_some())?;
        let offer = Offer::parse_message(node.object("offer")?)?;
        if offer.target.is_none() {
            return Err(MessageError::missing("Offer", "target"));
        }
        offer.rules.require_grant("Offer")?;
        Ok(Self { provider_pid: node.id("providerPid")?, consumer_pid, callback_address, offer })
    }

    /// The whole message. The callback address is left out when there is a `consumer_pid`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = root(Self::TYPE);
        put(&mut map, "providerPid", self.provider_pid.as_str());
        match &self.consumer_pid {
            Some(pid) => put(&mut map, "consumerPid", pid.as_str()),
            None => put_some(&mut map, "callbackAddress", self.callback_address.as_ref()),
        }
        map.insert("offer".to_owned(), self.offer.message_offer());
        Value::Object(map)
    }
}

/// The provider agrees. A `callbackAddress`, which older versions of the protocol demand, is accepted and ignored.
///
/// DSP 2025-1, "Contract Agreement Message".
#[derive(Debug, Clone, PartialEq)]
pub struct ContractAgreementMessage {
    /// The provider's id of the negotiation.
    pub provider_pid: ProviderPid,
    /// The consumer's id of the negotiation.
    pub consumer_pid: ConsumerPid,
    /// What both sides will be bound to.
    pub agreement: Agreement,
}

impl ContractAgreementMessage {
    const TYPE: &str = "ContractAgreementMessage";

    /// Reads a compacted message.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        let agreement = Agreement::parse(node.object("agreement")?)?;
        Ok(Self { provider_pid: node.id("providerPid")?, consumer_pid: node.id("consumerPid")?, agreement })
    }

    /// The whole message.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = root(Self::TYPE);
        put(&mut map, "providerPid", self.provider_pid.as_str());
        put(&mut map, "consumerPid", self.consumer_pid.as_str());
        map.insert("agreement".to_owned(), self.agreement.agreement());
        Value::Object(map)
    }
}

/// The consumer has verified the agreement.
///
/// DSP 2025-1, "Contract Agreement Verification Message".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractAgreementVerificationMessage {
    /// The provider's id of the negotiation.
    pub provider_pid: ProviderPid,
    /// The consumer's id of the negotiation.
    pub consumer_pid: ConsumerPid,
}

impl ContractAgreementVerificationMessage {
    const TYPE: &str = "ContractAgreementVerificationMessage";

    /// Reads a compacted message.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        Ok(Self { provider_pid: node.id("providerPid")?, consumer_pid: node.id("consumerPid")? })
    }

    /// The whole message.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = root(Self::TYPE);
        put(&mut map, "providerPid", self.provider_pid.as_str());
        put(&mut map, "consumerPid", self.consumer_pid.as_str());
        Value::Object(map)
    }
}

/// What a ContractNegotiationEventMessage reports.
///
/// DSP 2025-1, "Contract Negotiation Event Message".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NegotiationEvent {
    /// The consumer accepts the provider's offer.
    Accepted,
    /// The provider confirms the agreement.
    Finalized,
}

impl NegotiationEvent {
    /// The name on the wire.
    #[must_use]
    pub fn as_wire(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Finalized => "FINALIZED",
        }
    }

    /// The kind of message for the state machine.
    #[must_use]
    pub fn message(self) -> NegotiationMessage {
        match self {
            Self::Accepted => NegotiationMessage::Accepted,
            Self::Finalized => NegotiationMessage::Finalized,
        }
    }
}

/// An event: accepted by the consumer or finalized by the provider.
///
/// DSP 2025-1, "Contract Negotiation Event Message".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractNegotiationEventMessage {
    /// The provider's id of the negotiation.
    pub provider_pid: ProviderPid,
    /// The consumer's id of the negotiation.
    pub consumer_pid: ConsumerPid,
    /// What happened.
    pub event: NegotiationEvent,
}

impl ContractNegotiationEventMessage {
    const TYPE: &str = "ContractNegotiationEventMessage";

    /// Reads a compacted message.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        let event = match local_name(node.text("eventType")?) {
            "ACCEPTED" => NegotiationEvent::Accepted,
            "FINALIZED" => NegotiationEvent::Finalized,
            other => {
                let why = format!("`{}` is neither `ACCEPTED` nor `FINALIZED`", shorten(other));
                return Err(MessageError::invalid(Self::TYPE, "eventType", why));
            }
        };
        Ok(Self { provider_pid: node.id("providerPid")?, consumer_pid: node.id("consumerPid")?, event })
    }

    /// The whole message.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = root(Self::TYPE);
        put(&mut map, "providerPid", self.provider_pid.as_str());
        put(&mut map, "consumerPid", self.consumer_pid.as_str());
        put(&mut map, "eventType", self.event.as_wire());
        Value::Object(map)
    }
}

/// One side ends the negotiation.
///
/// DSP 2025-1, "Contract Negotiation Termination Message".
#[derive(Debug, Clone, PartialEq)]
pub struct ContractNegotiationTerminationMessage {
    /// The provider's id of the negotiation.
    pub provider_pid: ProviderPid,
    /// The consumer's id of the negotiation.
    pub consumer_pid: ConsumerPid,
    /// A code of the sender's choice.
    pub code: Option<String>,
    /// Reasons of any JSON type; strings where we write them.
    pub reason: Vec<Value>,
}

impl ContractNegotiationTerminationMessage {
    const TYPE: &str = "ContractNegotiationTerminationMessage";

    /// Reads a compacted message.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        Ok(Self {
            provider_pid: node.id("providerPid")?,
            consumer_pid: node.id("consumerPid")?,
            code: node.optional_text("code")?.map(str::to_owned),
            reason: node.items("reason")?.to_vec(),
        })
    }

    /// The whole message.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = root(Self::TYPE);
        put(&mut map, "providerPid", self.provider_pid.as_str());
        put(&mut map, "consumerPid", self.consumer_pid.as_str());
        put_some(&mut map, "code", self.code.as_ref());
        put_list(&mut map, "reason", self.reason.clone());
        Value::Object(map)
    }
}

/// The state of a negotiation, the answer to an initial message and to GET.
///
/// DSP 2025-1, "ACK: Contract Negotiation".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractNegotiation {
    /// The provider's id of the negotiation.
    pub provider_pid: ProviderPid,
    /// The consumer's id of the negotiation.
    pub consumer_pid: ConsumerPid,
    /// The state that both sides know.
    pub state: NegotiationState,
}

impl ContractNegotiation {
    const TYPE: &str = "ContractNegotiation";

    /// Reads a compacted answer.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        let name = node.text("state")?;
        let state = NegotiationState::parse(name).ok_or_else(|| {
            MessageError::invalid(Self::TYPE, "state", format!("`{}` is no state of a negotiation", shorten(name)))
        })?;
        Ok(Self { provider_pid: node.id("providerPid")?, consumer_pid: node.id("consumerPid")?, state })
    }

    /// The whole answer.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = root(Self::TYPE);
        put(&mut map, "providerPid", self.provider_pid.as_str());
        put(&mut map, "consumerPid", self.consumer_pid.as_str());
        put(&mut map, "state", self.state.as_wire());
        Value::Object(map)
    }
}

fn exactly_one(owner: &str, pid: &str, has_pid: bool, has_callback: bool) -> Result<(), MessageError> {
    match (has_pid, has_callback) {
        (true, true) => Err(MessageError::new(
            "conflicting_members",
            format!("the members `{pid}` and `callbackAddress` of {owner} exclude each other"),
        )),
        (false, false) => Err(MessageError::new(
            "missing_member",
            format!("the member `callbackAddress` of {owner} is missing (or `{pid}`, when the negotiation exists)"),
        )),
        _ => Ok(()),
    }
}
