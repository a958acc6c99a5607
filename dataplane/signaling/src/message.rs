//! The messages of a data flow (DPS, Messages).

use std::fmt;

use serde_json::{Map, Value};

use crate::{DataFlowState, Dialect, SignalError, read};

/// DataFlowPrepareMessage and DataFlowStartMessage: both carry the same members. `Debug` hides claims, metadata and address.
#[derive(Clone, PartialEq)]
pub struct FlowRequest {
    /// Id of this message, kept when it is sent again.
    pub message_id: String,
    /// The data plane's own participant.
    pub participant_id: String,
    /// The other side.
    pub counter_party_id: String,
    /// The dataspace in which the agreement was made.
    pub dataspace_context: String,
    /// The control plane's transfer process. In the later draft it is sent as `dataFlowId`.
    pub process_id: String,
    /// The agreement under which data flows.
    pub agreement_id: String,
    /// `@id` of the dataset.
    pub dataset_id: String,
    /// Kind of transfer, a profile URL.
    pub profile: String,
    /// Verified claims of the counter-party; an object.
    pub claims: Value,
    /// Free members for the data plane; an object. Our planes put the enforcement plan into `plan`.
    pub metadata: Value,
    /// Labels for choosing among data planes.
    pub labels: Vec<String>,
    /// Where to write; only in a push start.
    pub data_address: Option<Value>,
    /// Address for callbacks of this flow (RC2 only).
    pub callback_address: Option<String>,
}

/// DataFlowPrepareMessage.
pub type PrepareMessage = FlowRequest;
/// DataFlowStartMessage.
pub type StartMessage = FlowRequest;

impl FlowRequest {
    /// Writes the message in a dialect: only members that the dialect knows.
    pub fn encode(&self, dialect: Dialect) -> Value {
        let mut map = Map::new();
        let texts = [
            ("messageId", &self.message_id),
            ("participantId", &self.participant_id),
            ("counterPartyId", &self.counter_party_id),
            ("dataspaceContext", &self.dataspace_context),
            (dialect.process_member(), &self.process_id),
            ("agreementId", &self.agreement_id),
            ("datasetId", &self.dataset_id),
            (dialect.profile_member(), &self.profile),
        ];
        for (name, text) in texts {
            read::put(&mut map, name, Some(text));
        }
        map.insert("claims".to_owned(), self.claims.clone());
        if self.metadata.as_object().is_some_and(|members| !members.is_empty()) {
            map.insert("metadata".to_owned(), self.metadata.clone());
        }
        if !self.labels.is_empty() {
            map.insert("labels".to_owned(), self.labels.clone().into());
        }
        put_address(&mut map, dialect, self.data_address.as_ref());
        if dialect == Dialect::Rc2 {
            read::put(&mut map, "callbackAddress", self.callback_address.as_deref());
        }
        Value::Object(map)
    }

    /// Reads the message in any dialect: `profile` or `transferType`, `processId` or `dataFlowId`. Missing claims are `{}`.
    ///
    /// # Errors
    /// [`SignalError`] naming the first member that is missing or has the wrong form.
    pub fn decode(value: &Value) -> Result<Self, SignalError> {
        let map = read::object(value)?;
        Ok(Self {
            message_id: read::required(map, &["messageId"])?,
            participant_id: read::required(map, &["participantId"])?,
            counter_party_id: read::required(map, &["counterPartyId"])?,
            dataspace_context: read::required(map, &["dataspaceContext"])?,
            process_id: read::required(map, &["processId", "dataFlowId"])?,
            agreement_id: read::required(map, &["agreementId"])?,
            dataset_id: read::required(map, &["datasetId"])?,
            profile: read::required(map, &["profile", "transferType"])?,
            claims: read::object_member(map, "claims")?,
            metadata: read::object_member(map, "metadata")?,
            labels: read::texts(map, &["labels"])?,
            data_address: read::address(map)?,
            callback_address: read::optional(map, "callbackAddress")?,
        })
    }
}

impl fmt::Debug for FlowRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FlowRequest")
            .field("message_id", &self.message_id)
            .field("process_id", &self.process_id)
            .field("agreement_id", &self.agreement_id)
            .field("dataset_id", &self.dataset_id)
            .field("profile", &self.profile)
            .field("counter_party_id", &self.counter_party_id)
            .finish_non_exhaustive()
    }
}

/// Messages with an id and one more member share their codec.
macro_rules! short_message {
    ($(#[$doc:meta])* $name:ident, $(#[$field_doc:meta])* $field:ident: $type:ty, $read:expr, $put:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Default)]
        pub struct $name {
            /// Id of this message. Not sent in the later draft, and not demanded on input.
            pub message_id: Option<String>,
            $(#[$field_doc])*
            pub $field: Option<$type>,
        }

        impl $name {
            /// Writes the message in a dialect.
            pub fn encode(&self, dialect: Dialect) -> Value {
                let mut map = Map::new();
                if dialect != Dialect::Rc4 {
                    read::put(&mut map, "messageId", self.message_id.as_deref());
                }
                $put(&mut map, dialect, self.$field.as_ref());
                Value::Object(map)
            }

            /// Reads the message in any dialect.
            ///
            /// # Errors
            /// [`SignalError`] naming the member that has the wrong form.
            pub fn decode(value: &Value) -> Result<Self, SignalError> {
                let map = read::object(value)?;
                Ok(Self { message_id: read::optional(map, "messageId")?, $field: $read(map)? })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .debug_struct(stringify!($name))
                    .field("message_id", &self.message_id)
                    .field(stringify!($field), &self.$field.is_some())
                    .finish()
            }
        }
    };
}

short_message!(
    /// DataFlowStartedNotificationMessage: the provider has started. `Debug` hides the address.
    StartedMessage,
    /// Where to read; only for a pull.
    data_address: Value,
    read::address,
    put_address
);
short_message!(
    /// DataFlowResumeMessage. `Debug` hides the address.
    ResumeMessage,
    /// The address from now on, where the other side made a new one.
    data_address: Value,
    read::address,
    put_address
);
short_message!(
    /// DataFlowSuspendMessage.
    SuspendMessage,
    /// Why, for people.
    reason: String,
    read_reason,
    put_reason
);
short_message!(
    /// DataFlowTerminateMessage.
    TerminateMessage,
    /// Why, for people.
    reason: String,
    read_reason,
    put_reason
);

/// DataFlowStatusMessage and DataFlowStatusResponseMessage: what a data plane answers and calls back. `Debug` hides the address.
#[derive(Clone, PartialEq)]
pub struct StatusMessage {
    /// Id of this message; absent in answers to `GET …/status` and in some callbacks.
    pub message_id: Option<String>,
    /// The flow's name at the data plane.
    pub data_flow_id: String,
    /// The state now.
    pub state: DataFlowState,
    /// Where to read (pull, STARTED) or to write (push, PREPARED).
    pub data_address: Option<Value>,
    /// What went wrong, for people.
    pub error: Option<String>,
}

impl StatusMessage {
    /// Writes the message in a dialect.
    pub fn encode(&self, dialect: Dialect) -> Value {
        let mut map = Map::new();
        read::put(&mut map, "messageId", self.message_id.as_deref());
        read::put(&mut map, "dataFlowId", Some(&self.data_flow_id));
        read::put(&mut map, "state", Some(self.state.as_wire()));
        put_address(&mut map, dialect, self.data_address.as_ref());
        read::put(&mut map, "error", self.error.as_deref());
        Value::Object(map)
    }

    /// Reads the message in any dialect; the HTTP status says nothing about the state.
    ///
    /// # Errors
    /// [`SignalError`] naming the member that is missing or has the wrong form.
    pub fn decode(value: &Value) -> Result<Self, SignalError> {
        let map = read::object(value)?;
        Ok(Self {
            message_id: read::optional(map, "messageId")?,
            data_flow_id: read::required(map, &["dataFlowId"])?,
            state: DataFlowState::parse(&read::required(map, &["state"])?)?,
            data_address: read::address(map)?,
            error: read::optional(map, "error")?,
        })
    }
}

impl fmt::Debug for StatusMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StatusMessage")
            .field("data_flow_id", &self.data_flow_id)
            .field("state", &self.state)
            .field("data_address", &self.data_address.is_some())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

fn put_address(map: &mut Map<String, Value>, dialect: Dialect, address: Option<&Value>) {
    if let Some(address) = address {
        map.insert("dataAddress".to_owned(), dialect.address(address));
    }
}

fn put_reason(map: &mut Map<String, Value>, _dialect: Dialect, reason: Option<&String>) {
    read::put(map, "reason", reason.map(String::as_str));
}

fn read_reason(map: &Map<String, Value>) -> Result<Option<String>, SignalError> {
    read::optional(map, "reason")
}
