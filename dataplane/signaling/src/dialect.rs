//! The drafts of DPS in use and what differs between them on the wire.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::{DataAddress, Signal};

/// Characters that stay as they are in a path segment (RFC 3986, `pchar` without the sub-delimiters we never need).
pub(crate) const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// The draft that a data plane speaks. A setting of each data plane, never guessed from answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// 1.0-RC2: `transferType`, `callbackAddress`. EDC 0.18.0 speaks it.
    Rc2,
    /// 1.0-RC3: `profile`; the data plane names the flow. Our own planes speak it.
    #[default]
    Rc3,
    /// The later draft of `dataplane-sdk` 0.1.2 and newer: the control plane names the flow by `dataFlowId`.
    Rc4,
}

impl Dialect {
    /// The name in settings: `rc2`, `rc3`, `rc4`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rc2 => "rc2",
            Self::Rc3 => "rc3",
            Self::Rc4 => "rc4",
        }
    }

    /// Reads the name in settings, upper or lower case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Rc2, Self::Rc3, Self::Rc4].into_iter().find(|dialect| dialect.as_str().eq_ignore_ascii_case(text))
    }

    /// Member name of the id in `prepare` and `start`.
    pub(crate) fn process_member(self) -> &'static str {
        match self {
            Self::Rc2 | Self::Rc3 => "processId",
            Self::Rc4 => "dataFlowId",
        }
    }

    /// Member name of the kind of transfer in `prepare` and `start`.
    pub(crate) fn profile_member(self) -> &'static str {
        match self {
            Self::Rc2 => "transferType",
            Self::Rc3 | Self::Rc4 => "profile",
        }
    }

    /// The data address as the dialect wants it: `@type` present; for the later draft also `endpoint` at its standard place.
    pub(crate) fn address(self, address: &Value) -> Value {
        let mut copy = address.clone();
        if let Some(map) = copy.as_object_mut() {
            map.entry("@type").or_insert_with(|| Value::String("DataAddress".to_owned()));
            if self == Self::Rc4
                && !map.contains_key("endpoint")
                && let Some(endpoint) = DataAddress::decode(address).ok().and_then(|parsed| parsed.endpoint)
            {
                map.insert("endpoint".to_owned(), Value::String(endpoint));
            }
        }
        copy
    }
}

/// The id that stands in `/dataflows/{id}/…` for this flow: the data plane's own, or in the later draft the control plane's. That
/// one stands in also for a data plane that gave none in its answer.
pub fn flow_path_id<'a>(dialect: Dialect, process_id: &'a str, data_flow_id: &'a str) -> &'a str {
    match dialect {
        Dialect::Rc2 | Dialect::Rc3 if !data_flow_id.is_empty() => data_flow_id,
        Dialect::Rc2 | Dialect::Rc3 | Dialect::Rc4 => process_id,
    }
}

/// The flow's name when the control plane gave one in `prepare` or `start` (later draft: `dataFlowId` without `processId`).
pub fn flow_id_given(body: &Value) -> Option<&str> {
    let map = body.as_object()?;
    if map.get("processId").is_some_and(|id| !id.is_null()) {
        return None;
    }
    map.get("dataFlowId")?.as_str().filter(|id| !id.is_empty())
}

/// The path of a signal below the data plane's signaling address, the id percent-encoded: `/dataflows/prepare`,
/// `/dataflows/{id}/suspend`. The internal events have none.
pub fn flow_path(signal: Signal, id: &str) -> Option<String> {
    match signal {
        Signal::Prepare | Signal::Start => Some(format!("/dataflows/{}", signal.as_str())),
        Signal::Started | Signal::Suspend | Signal::Resume | Signal::Completed | Signal::Terminate => {
            Some(format!("/dataflows/{}/{}", utf8_percent_encode(id, SEGMENT), signal.as_str()))
        }
        Signal::PreparationDone | Signal::StartDone | Signal::DataDone => None,
    }
}

/// What a data plane tells the control plane of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Callback {
    /// The preparation is done.
    Prepared,
    /// The flow runs.
    Started,
    /// All data was sent.
    Completed,
    /// The flow failed; the control plane decides what follows.
    Errored,
}

impl Callback {
    /// The last path segment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Errored => "errored",
        }
    }

    /// Reads the last path segment.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Prepared, Self::Started, Self::Completed, Self::Errored].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The path of a callback below the control plane's signaling address, the process id percent-encoded.
pub fn callback_path(process_id: &str, callback: Callback) -> String {
    format!("/transfers/{}/dataflow/{}", utf8_percent_encode(process_id, SEGMENT), callback.as_str())
}

/// What a data plane asks the control plane to do for the renewal of a token. No part of DPS: the control plane knows DIDs, and
/// the data plane does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RenewalQuestion {
    /// Provider: is this JWT the consumer's?
    Verify,
    /// Consumer: a JWT of ours for the provider.
    Sign,
}

impl RenewalQuestion {
    /// The last path segment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Sign => "sign",
        }
    }
}

/// The path of such a question below the control plane's signaling address, the process id percent-encoded.
pub fn renewal_path(process_id: &str, question: RenewalQuestion) -> String {
    format!("/transfers/{}/renewal/{}", utf8_percent_encode(process_id, SEGMENT), question.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn section_1_1_who_names_the_flow() {
        assert_eq!(flow_path_id(Dialect::Rc2, "tp", "flow"), "flow");
        assert_eq!(flow_path_id(Dialect::Rc3, "tp", "flow"), "flow");
        assert_eq!(flow_path_id(Dialect::Rc4, "tp", "flow"), "tp");
        assert_eq!(flow_path_id(Dialect::Rc3, "tp", ""), "tp");
        assert_eq!(flow_id_given(&json!({"dataFlowId": "f"})), Some("f"));
        assert_eq!(flow_id_given(&json!({"dataFlowId": "f", "processId": "p"})), None);
        assert_eq!(flow_id_given(&json!({"processId": "p"})), None);
        assert_eq!(flow_id_given(&json!({"dataFlowId": ""})), None);
    }

    #[test]
    fn paths_cannot_be_left_by_an_id() {
        assert_eq!(flow_path(Signal::Suspend, "urn:uuid:1").as_deref(), Some("/dataflows/urn:uuid:1/suspend"));
        assert_eq!(flow_path(Signal::Suspend, "a/../b?c").as_deref(), Some("/dataflows/a%2F..%2Fb%3Fc/suspend"));
        assert_eq!(flow_path(Signal::Start, "x").as_deref(), Some("/dataflows/start"));
        assert_eq!(flow_path(Signal::DataDone, "x"), None);
        assert_eq!(callback_path("tp 1", Callback::Errored), "/transfers/tp%201/dataflow/errored");
    }

    #[test]
    fn names_round_trip() {
        for dialect in [Dialect::Rc2, Dialect::Rc3, Dialect::Rc4] {
            assert_eq!(Dialect::parse(dialect.as_str()), Some(dialect));
        }
        assert_eq!(Dialect::parse("rc1"), None);
        for kind in [Callback::Prepared, Callback::Started, Callback::Completed, Callback::Errored] {
            assert_eq!(Callback::parse(kind.as_str()), Some(kind));
        }
    }
}
