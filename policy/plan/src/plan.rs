//! The plan itself.

use serde::{Deserialize, Serialize};

use crate::{Admission, Limits, Residual, Selection, WritingPlan};

/// What one data flow is allowed to do.
///
/// Members that this version does not know make a plan unreadable: a newer control plane may have put a restriction
/// there, and ignoring it would open access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnforcementPlan {
    /// Our side's transfer process id, which is the `processId` of Data Plane Signaling.
    pub process_id: String,
    /// The contract agreement that the transfer rests on.
    pub agreement_id: String,
    /// The dataset that flows.
    pub dataset_id: String,
    /// Participant id of the provider.
    pub provider: String,
    /// Participant id of the consumer.
    pub consumer: String,
    /// When the plan was made, in milliseconds since the Unix epoch.
    pub issued_at: i64,
    /// What is left of the agreement's policy.
    pub rules: Residual,
    /// Where the data comes from; only on the provider's side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Which requests the flow admits; writes to an NGSI-LD broker are a matter of `writing` alone.
    pub admission: Admission,
    /// What of NGSI-LD entities the flow may show. `None` shows them as the source gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
    /// What the flow may write. `None` lets nothing be written to an NGSI-LD broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writing: Option<WritingPlan>,
    /// How fast the flow may be used.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// The longest life of an access token for this flow, in seconds.
    pub max_token_seconds: u32,
}

/// Where a provider's data plane finds the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Source {
    /// An HTTP interface, for example an NGSI-LD broker.
    #[serde(rename_all = "camelCase")]
    Http {
        /// The address that a request's path is appended to.
        base_url: String,
        /// Name of a credential in the data plane's own configuration; never the secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<String>,
    },
    /// A file or a folder of files.
    #[serde(rename_all = "camelCase")]
    Files {
        /// Name of a place for files in the data plane's own configuration.
        root: String,
        /// Path below that place; empty for all of it.
        path: String,
        /// A push does not end when all files are sent: files that come later are sent when they are complete.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        standing: bool,
    },
}
