//! The messages of a transfer. `parse` takes a compacted value (see [`crate::context::compact`]), `to_value` writes the
//! whole message with `@context` and `@type`.
//!
//! DSP 2025-1, "Transfer Process Protocol: Message Types".

use serde_json::{Map, Value};

use super::data_address::DataAddress;
use super::state::TransferState;
use crate::context::root;
use crate::error::MessageError;
use crate::member::{Node, put, put_list, put_some, shorten};
use crate::pid::{AgreementId, ConsumerPid, ProviderPid};
use crate::purpose;

/// The consumer asks for data under an agreement.
///
/// DSP 2025-1, "Transfer Request Message".
#[derive(Debug, Clone, PartialEq)]
pub struct TransferRequestMessage {
    /// The consumer's id of the transfer.
    pub consumer_pid: ConsumerPid,
    /// The agreement that admits it.
    pub agreement_id: AgreementId,
    /// The format, one of the distributions of the dataset, such as `HttpData-PULL`.
    pub format: String,
    /// The consumer's base address.
    pub callback_address: String,
    /// Where to send the data, for push only.
    pub data_address: Option<DataAddress>,
    /// What the consumer declares that the data is for (ours, [`purpose::PURPOSE`]); may be empty.
    pub purpose: Vec<String>,
}

impl TransferRequestMessage {
    const TYPE: &str = "TransferRequestMessage";

    /// Reads a compacted message.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        let callback_address = node
            .optional_address("callbackAddress")?
            .ok_or_else(|| MessageError::missing(Self::TYPE, "callbackAddress"))?;
        Ok(Self {
            consumer_pid: node.id("consumerPid")?,
            agreement_id: node.id("agreementId")?,
            format: node.text("format")?.to_owned(),
            callback_address,
            data_address: address(node)?,
            purpose: purpose::parse(node)?,
        })
    }

    /// The whole message.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = root(Self::TYPE);
        put(&mut map, "consumerPid", self.consumer_pid.as_str());
        put(&mut map, "agreementId", self.agreement_id.as_str());
        put(&mut map, "format", &self.format);
        put(&mut map, "callbackAddress", &self.callback_address);
        purpose::put(&mut map, &self.purpose);
        put_address(&mut map, self.data_address.as_ref());
        Value::Object(map)
    }
}

/// The provider starts a transfer, or either side starts it again after a suspension.
///
/// DSP 2025-1, "Transfer Start Message".
#[derive(Debug, Clone, PartialEq)]
pub struct TransferStartMessage {
    /// The provider's id of the transfer.
    pub provider_pid: ProviderPid,
    /// The consumer's id of the transfer.
    pub consumer_pid: ConsumerPid,
    /// Where to read the data, for pull when the provider starts.
    pub data_address: Option<DataAddress>,
}

impl TransferStartMessage {
    const TYPE: &str = "TransferStartMessage";

    /// Reads a compacted message.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        Ok(Self {
            provider_pid: node.id("providerPid")?,
            consumer_pid: node.id("consumerPid")?,
            data_address: address(node)?,
        })
    }

    /// The whole message.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = pids(Self::TYPE, &self.provider_pid, &self.consumer_pid);
        put_address(&mut map, self.data_address.as_ref());
        Value::Object(map)
    }
}

/// One side ends the transfer regularly.
///
/// DSP 2025-1, "Transfer Completion Message".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferCompletionMessage {
    /// The provider's id of the transfer.
    pub provider_pid: ProviderPid,
    /// The consumer's id of the transfer.
    pub consumer_pid: ConsumerPid,
}

impl TransferCompletionMessage {
    const TYPE: &str = "TransferCompletionMessage";

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
        Value::Object(pids(Self::TYPE, &self.provider_pid, &self.consumer_pid))
    }
}

macro_rules! with_reason {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            /// The provider's id of the transfer.
            pub provider_pid: ProviderPid,
            /// The consumer's id of the transfer.
            pub consumer_pid: ConsumerPid,
            /// A code of the sender's choice.
            pub code: Option<String>,
            /// Reasons of any JSON type; strings where we write them.
            pub reason: Vec<Value>,
        }

        impl $name {
            /// Reads a compacted message.
            ///
            /// # Errors
            /// [`MessageError`] naming the member at fault.
            pub fn parse(value: &Value) -> Result<Self, MessageError> {
                let node = Node::typed($kind, value)?;
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
                let mut map = pids($kind, &self.provider_pid, &self.consumer_pid);
                put_some(&mut map, "code", self.code.as_ref());
                put_list(&mut map, "reason", self.reason.clone());
                Value::Object(map)
            }
        }
    };
}

with_reason! {
    /// One side interrupts the transfer.
    ///
    /// DSP 2025-1, "Transfer Suspension Message".
    TransferSuspensionMessage, "TransferSuspensionMessage"
}
with_reason! {
    /// One side ends the transfer before its time.
    ///
    /// DSP 2025-1, "Transfer Termination Message".
    TransferTerminationMessage, "TransferTerminationMessage"
}

/// The state of a transfer, the answer to a request and to GET.
///
/// DSP 2025-1, "ACK: Transfer Process".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferProcess {
    /// The provider's id of the transfer.
    pub provider_pid: ProviderPid,
    /// The consumer's id of the transfer.
    pub consumer_pid: ConsumerPid,
    /// The state that both sides know.
    pub state: TransferState,
}

impl TransferProcess {
    const TYPE: &str = "TransferProcess";

    /// Reads a compacted answer.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        let name = node.text("state")?;
        let state = TransferState::parse(name).ok_or_else(|| {
            MessageError::invalid(Self::TYPE, "state", format!("`{}` is no state of a transfer", shorten(name)))
        })?;
        Ok(Self { provider_pid: node.id("providerPid")?, consumer_pid: node.id("consumerPid")?, state })
    }

    /// The whole answer.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = pids(Self::TYPE, &self.provider_pid, &self.consumer_pid);
        put(&mut map, "state", self.state.as_wire());
        Value::Object(map)
    }
}

fn pids(kind: &str, provider_pid: &ProviderPid, consumer_pid: &ConsumerPid) -> Map<String, Value> {
    let mut map = root(kind);
    put(&mut map, "providerPid", provider_pid.as_str());
    put(&mut map, "consumerPid", consumer_pid.as_str());
    map
}

fn put_address(map: &mut Map<String, Value>, address: Option<&DataAddress>) {
    if let Some(address) = address {
        map.insert("dataAddress".to_owned(), address.to_value());
    }
}

fn address(node: Node<'_>) -> Result<Option<DataAddress>, MessageError> {
    match node.get("dataAddress") {
        None => Ok(None),
        Some(_) => DataAddress::parse(node.object("dataAddress")?).map(Some),
    }
}
