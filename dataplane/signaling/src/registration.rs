//! Registration of the two planes with each other (DPS, Registration).

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{Dialect, SignalError, read};

/// DataPlaneRegistrationMessage: a data plane tells the control plane where it is and what it can do.
#[derive(Clone, PartialEq)]
pub struct RegistrationMessage {
    /// The data plane's name; registering again under the same name replaces everything.
    pub dataplane_id: String,
    /// Base address of its signaling API.
    pub endpoint: String,
    /// Profiles that it serves.
    pub profiles: Vec<String>,
    /// How to authenticate towards it; always sent, since the schema demands it.
    pub authorization: Option<Value>,
    /// Free labels.
    pub labels: Vec<String>,
}

impl RegistrationMessage {
    /// Writes the message in a dialect (`transferTypes` in RC2, else `profiles`).
    pub fn encode(&self, dialect: Dialect) -> Value {
        let list = if dialect == Dialect::Rc2 { "transferTypes" } else { "profiles" };
        let mut map = Map::new();
        read::put(&mut map, "dataplaneId", Some(&self.dataplane_id));
        read::put(&mut map, "endpoint", Some(&self.endpoint));
        map.insert(list.to_owned(), self.profiles.clone().into());
        map.insert("authorization".to_owned(), authorization(self.authorization.as_ref()));
        if !self.labels.is_empty() {
            map.insert("labels".to_owned(), self.labels.clone().into());
        }
        Value::Object(map)
    }

    /// Reads the message in any dialect.
    ///
    /// # Errors
    /// [`SignalError`] naming the member that is missing or has the wrong form.
    pub fn decode(value: &Value) -> Result<Self, SignalError> {
        let map = read::object(value)?;
        Ok(Self {
            dataplane_id: read::required(map, &["dataplaneId"])?,
            endpoint: read::required(map, &["endpoint"])?,
            profiles: read::texts(map, &["profiles", "transferTypes"])?,
            authorization: optional_authorization(map)?,
            labels: read::texts(map, &["labels"])?,
        })
    }
}

impl fmt::Debug for RegistrationMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RegistrationMessage")
            .field("dataplane_id", &self.dataplane_id)
            .field("endpoint", &self.endpoint)
            .field("profiles", &self.profiles)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

/// ControlPlaneRegistrationMessage: a control plane tells the data plane where callbacks go and which key signs its plans.
#[derive(Clone, PartialEq)]
pub struct ControlPlaneRegistration {
    /// The control plane's name.
    pub controlplane_id: String,
    /// Base address for callbacks.
    pub endpoint: String,
    /// How to authenticate towards it, and how it does; ours adds the keys of its enforcement plans.
    pub authorization: Option<Value>,
}

impl ControlPlaneRegistration {
    /// Writes the message; all dialects agree on it.
    pub fn encode(&self, _dialect: Dialect) -> Value {
        json!({
            "controlplaneId": self.controlplane_id,
            "endpoint": self.endpoint,
            "authorization": authorization(self.authorization.as_ref()),
        })
    }

    /// Reads the message.
    ///
    /// # Errors
    /// [`SignalError`] naming the member that is missing or has the wrong form.
    pub fn decode(value: &Value) -> Result<Self, SignalError> {
        let map = read::object(value)?;
        Ok(Self {
            controlplane_id: read::required(map, &["controlplaneId"])?,
            endpoint: read::required(map, &["endpoint"])?,
            authorization: optional_authorization(map)?,
        })
    }

    /// The key set that signs this control plane's enforcement plans: `planJwks` of the entry, or `jwks` where that does not name the
    /// keys of its tokens.
    pub fn plan_keys(&self) -> Option<&Value> {
        let entry = self.authorization.as_ref()?;
        let of_tokens = matches!(
            entry.get("type").and_then(Value::as_str),
            Some(crate::CLIENT_CREDENTIALS | crate::TOKEN_EXCHANGE)
        );
        entry.get("planJwks").or_else(|| entry.get("jwks").filter(|_| !of_tokens))
    }
}

impl fmt::Debug for ControlPlaneRegistration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ControlPlaneRegistration")
            .field("controlplane_id", &self.controlplane_id)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

fn authorization(given: Option<&Value>) -> Value {
    given.cloned().unwrap_or_else(|| json!({"type": "none"}))
}

fn optional_authorization(map: &Map<String, Value>) -> Result<Option<Value>, SignalError> {
    if map.get("authorization").is_none_or(Value::is_null) {
        return Ok(None);
    }
    read::object_member(map, "authorization").map(Some)
}
