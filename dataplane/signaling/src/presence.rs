//! The connection by which a data plane shows that it is there: an extension of ours to Data Plane Signaling.
//!
//! `POST {control plane}/dataplanes/{id}/presence`, with both bodies open. Each side sends one line of JSON, the data plane first, and then
//! an empty line every [`PERIOD`]. After [`SILENCE`] the other side counts as gone.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::{SignalError, read};

/// Member of the answer to a registration that offers the connection.
pub const OFFER: &str = "presence";
/// Member of a suspension that a resumption with another address follows at once: what is under way comes to its end, and new readers
/// wait. Sent only to data planes that keep the connection.
pub const SWAP: &str = "swap";
/// Time between two signs of life.
pub const PERIOD: Duration = Duration::from_secs(2);
/// Silence after which the other side counts as gone.
pub const SILENCE: Duration = Duration::from_secs(8);
/// Longest line, in bytes: some 60 000 flows.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// Path of the connection below the control plane's signaling address.
pub fn presence_path(dataplane: &str) -> String {
    format!("/dataplanes/{}/presence", utf8_percent_encode(dataplane, NON_ALPHANUMERIC))
}

/// Path at which a data plane says, below the control plane's signaling address, that it is about to stop. The answer comes when its
/// pulls have gone to others.
pub fn leave_path(dataplane: &str) -> String {
    format!("/dataplanes/{}/leave", utf8_percent_encode(dataplane, NON_ALPHANUMERIC))
}

/// A flow that a data plane has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedFlow {
    /// The data plane's name for it.
    pub id: String,
    /// The control plane's name for it.
    pub process: String,
    /// The control plane that it belongs to.
    pub control_plane: String,
}

/// The data plane's first line: every flow that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The flows.
    pub flows: Vec<PresentedFlow>,
}

impl Presented {
    /// The line, with its end.
    pub fn encode(&self) -> Vec<u8> {
        let flows = self.flows.iter().map(
            |flow| json!({"dataFlowId": flow.id, "processId": flow.process, "controlplaneId": flow.control_plane}),
        );
        line(&json!({"flows": flows.collect::<Vec<_>>()}))
    }

    /// Reads the line.
    ///
    /// # Errors
    /// [`SignalError`] naming the member that is missing or has the wrong form.
    pub fn decode(line: &[u8]) -> Result<Self, SignalError> {
        let value = parse(line)?;
        let flows = list(&value)?.iter().map(|flow| {
            let map = read::object(flow)?;
            Ok(PresentedFlow {
                id: read::required(map, &["dataFlowId"])?,
                process: read::required(map, &["processId"])?,
                control_plane: read::required(map, &["controlplaneId"])?,
            })
        });
        Ok(Self { flows: flows.collect::<Result<_, SignalError>>()? })
    }
}

/// The control plane's first line: the flows among them, by the data plane's names, that the data plane has to forget, since their transfer
/// has ended or another data plane carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The flows.
    pub flows: Vec<String>,
}

impl Ended {
    /// The line, with its end.
    pub fn encode(&self) -> Vec<u8> {
        line(&json!({"flows": self.flows}))
    }

    /// Reads the line.
    ///
    /// # Errors
    /// [`SignalError`] naming the member that is missing or has the wrong form.
    pub fn decode(line: &[u8]) -> Result<Self, SignalError> {
        let value = parse(line)?;
        let wrong = || SignalError::new("wrong_type", "member `flows` must be a list of strings");
        let flows = list(&value)?.iter().map(|flow| flow.as_str().map(str::to_owned).ok_or_else(wrong));
        Ok(Self { flows: flows.collect::<Result<_, SignalError>>()? })
    }
}

fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn parse(line: &[u8]) -> Result<Map<String, Value>, SignalError> {
    serde_json::from_slice(line).map_err(|_| SignalError::new("wrong_type", "the line must be a JSON object"))
}

fn list(map: &Map<String, Value>) -> Result<&Vec<Value>, SignalError> {
    let missing = || SignalError::new("wrong_type", "member `flows` must be a list");
    map.get("flows").and_then(Value::as_array).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lines_come_back() {
        let flow = PresentedFlow { id: "f".to_owned(), process: "urn:p".to_owned(), control_plane: "did:c".to_owned() };
        let presented = Presented { flows: vec![flow] };
        assert_eq!(Presented::decode(&presented.encode()).unwrap(), presented);
        let ended = Ended { flows: vec!["f".to_owned()] };
        assert_eq!(Ended::decode(&ended.encode()).unwrap(), ended);
        assert_eq!(ended.encode().iter().filter(|byte| **byte == b'\n').count(), 1);
        for bad in ["", "[]", "{}", r#"{"flows":[1]}"#, r#"{"flows":{}}"#] {
            assert!(Presented::decode(bad.as_bytes()).is_err() && Ended::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
