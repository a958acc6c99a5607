//! The messages.

use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Value, json};

use crate::dialect::SEGMENT;
use crate::{SignalError, read};

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsageMeter {
    /// Requests for data.
    Count,
    /// Milliseconds in which data is read; each begun second is taken as a whole.
    MeteredTime,
    /// Bytes of bodies.
    Volume,
}

impl UsageMeter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Count, Self::MeteredTime, Self::Volume];

    /// The name in messages.
    pub fn as_wire(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::MeteredTime => "meteredTime",
            Self::Volume => "volume",
        }
    }

    /// Reads the name in messages.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|meter| meter.as_wire() == text)
    }

    /// The smallest block that is worth a question, and the smallest part that is taken from one. Volume is taken by the byte,
    /// but asked for by the piece in which bodies are sent.
    pub fn smallest_block(self) -> u64 {
        match self {
            Self::Count => 1,
            Self::MeteredTime => 1_000,
            Self::Volume => 64 * 1024,
        }
    }

    /// The largest block that is given at once: what one crash of a data plane may cost.
    pub fn largest_block(self) -> u64 {
        match self {
            Self::Count => 10_000,
            Self::MeteredTime => 60_000,
            Self::Volume => 64 * 1024 * 1024,
        }
    }
}

/// A data plane asks for a block: `POST {control plane}/transfers/{process id}/usage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageRequest {
    /// What it needs.
    pub meter: UsageMeter,
    /// How much it would like at once; it may get less.
    pub wanted: u64,
}

impl UsageRequest {
    /// Writes the message.
    pub fn encode(&self) -> Value {
        json!({"meter": self.meter.as_wire(), "wanted": self.wanted})
    }

    /// Reads the message.
    ///
    /// # Errors
    /// [`SignalError`] naming the member that is missing or has the wrong form; `wanted` is at least 1.
    pub fn decode(value: &Value) -> Result<Self, SignalError> {
        let map = read::object(value)?;
        let meter = meter(map)?;
        let wanted = number(map, "wanted")?;
        if wanted == 0 {
            return Err(SignalError::new("bad_value", "member `wanted` must be at least 1"));
        }
        Ok(Self { meter, wanted })
    }
}

/// The answer: the data plane may use the positions `from + 1 ..= to`. When both are equal nothing is left, and the next use
/// would be the one at `to + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageGrant {
    /// How far had been given before.
    pub from: u64,
    /// How far is given now.
    pub to: u64,
    /// When the first use was granted, in milliseconds since the Unix epoch; `None` when none was yet.
    pub first_use_ms: Option<i64>,
    /// When the last use before this grant was granted.
    pub last_use_ms: Option<i64>,
}

impl UsageGrant {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.to <= self.from
    }

    /// Writes the message.
    pub fn encode(&self) -> Value {
        json!({"from": self.from, "to": self.to, "firstUse": self.first_use_ms, "lastUse": self.last_use_ms})
    }

    /// Reads the message.
    ///
    /// # Errors
    /// [`SignalError`] naming the member that is missing or has the wrong form; a block that ends before it begins.
    pub fn decode(value: &Value) -> Result<Self, SignalError> {
        let map = read::object(value)?;
        let (from, to) = (number(map, "from")?, number(map, "to")?);
        if to < from {
            return Err(SignalError::new("bad_value", "member `to` is smaller than `from`"));
        }
        Ok(Self { from, to, first_use_ms: moment(map, "firstUse")?, last_use_ms: moment(map, "lastUse")? })
    }
}

/// A data plane that stops gives back what it has not spent: `POST {control plane}/transfers/{process id}/usage/return`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReturn {
    /// Names the return, so that it counts once however often it is said.
    pub id: String,
    /// What comes back.
    pub meter: UsageMeter,
    /// How much.
    pub units: u64,
}

impl UsageReturn {
    /// Writes the message.
    pub fn encode(&self) -> Value {
        json!({"id": self.id, "meter": self.meter.as_wire(), "units": self.units})
    }

    /// Reads the message.
    ///
    /// # Errors
    /// [`SignalError`] naming the member that is missing or has the wrong form; `units` is at least 1.
    pub fn decode(value: &Value) -> Result<Self, SignalError> {
        let map = read::object(value)?;
        let units = number(map, "units")?;
        if units == 0 {
            return Err(SignalError::new("bad_value", "member `units` must be at least 1"));
        }
        Ok(Self { id: read::required(map, &["id"])?, meter: meter(map)?, units })
    }
}

fn meter(map: &Map<String, Value>) -> Result<UsageMeter, SignalError> {
    let name = read::required(map, &["meter"])?;
    UsageMeter::parse(&name).ok_or_else(|| {
        let text = format!("member `meter` is `{name}`, which is none of count, meteredTime, volume");
        SignalError::new("bad_value", text)
    })
}

/// The path of the question below the control plane's signaling address, the process id percent-encoded.
pub fn usage_path(process_id: &str) -> String {
    format!("/transfers/{}/usage", utf8_percent_encode(process_id, SEGMENT))
}

fn number(map: &Map<String, Value>, name: &str) -> Result<u64, SignalError> {
    match map.get(name) {
        None | Some(Value::Null) => Err(SignalError::new("missing_member", format!("member `{name}` is missing"))),
        Some(value) => value.as_u64().ok_or_else(|| {
            SignalError::new("wrong_type", format!("member `{name}` must be a whole number, 0 or more"))
        }),
    }
}

fn moment(map: &Map<String, Value>, name: &str) -> Result<Option<i64>, SignalError> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_i64()
            .map(Some)
            .ok_or_else(|| SignalError::new("wrong_type", format!("member `{name}` must be milliseconds or null"))),
    }
}
