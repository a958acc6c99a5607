//! A message ready to be sent.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

/// What a pid may not hold when it stands in a path; `:` stays, so that `urn:uuid:` ids remain readable.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A message with its address.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// Where it is posted.
    pub url: String,
    /// Where the counter-party shows its state of the process, once its pid is known.
    pub state_url: Option<String>,
    /// The message, with its `@id`.
    pub body: Value,
    /// Its `@id`.
    pub owed_id: String,
}

impl Outgoing {
    /// `path` is below `base/service/`; `{pid}` in it stands for the counter-party's pid.
    pub(crate) fn new(
        base: String,
        service: &str,
        path: &str,
        pid: &str,
        body: Value,
        owed_id: Option<String>,
    ) -> Self {
        let base = base.trim_end_matches('/');
        let pid = segment(pid);
        let owed_id = owed_id.unwrap_or_default();
        Self {
            url: format!("{base}/{service}/{}", path.replace("{pid}", &pid)),
            state_url: (!pid.is_empty()).then(|| format!("{base}/{service}/{pid}")),
            body: dsp_protocol::negotiation::with_message_id(body, &owed_id),
            owed_id,
        }
    }
}

/// An id as one path segment.
pub(crate) fn segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_become_one_segment_of_the_path() {
        let out = |base: &str, pid: &str| {
            Outgoing::new(base.into(), "negotiations", "{pid}/events", pid, serde_json::json!({}), Some("urn:1".into()))
                .url
        };
        assert_eq!(out("http://p/dsp", "urn:uuid:1"), "http://p/dsp/negotiations/urn:uuid:1/events");
        assert_eq!(out("http://p/dsp/", "a/../b?c"), "http://p/dsp/negotiations/a%2F..%2Fb%3Fc/events");
    }
}
