//! Table `transfer`: transfer processes; the row is the outbox of the message and of the data plane signal that it owes.

use sea_orm::entity::prelude::*;

/// One transfer process, seen from our side.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "transfer")]
pub struct Model {
    /// Our own pid, which is also the id in the management API and the `processId` of data plane signaling.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Participant context.
    pub context: String,
    /// Our role: `consumer` or `provider`.
    pub role: String,
    /// The counter-party's participant id.
    pub counter_party: String,
    /// The counter-party's pid, once known.
    pub counter_pid: Option<String>,
    /// Base URL that our messages are sent below.
    pub counter_address: String,
    /// The state that both sides know (wire name), once there is one.
    pub settled: Option<String>,
    /// The message that we owe the counter-party (name of the kind).
    pub owed: Option<String>,
    /// `@id` of the owed message, kept when it is sent again.
    pub owed_id: Option<String>,
    /// Which role suspended the transfer, when it is suspended.
    pub suspended_by: Option<String>,
    /// Name of the state for people and filters, in-work names included.
    pub state: String,
    /// Agreement that the transfer rests on.
    pub agreement_id: String,
    /// Dataset transferred.
    pub dataset_id: String,
    /// Distribution format, such as `HttpData-PULL`.
    pub format: String,
    /// `automatic` or `manual`.
    pub decision: String,
    /// The data plane chosen for the flow.
    pub data_plane_id: Option<String>,
    /// The data plane's own id of the flow.
    pub data_flow_id: Option<String>,
    /// How often the flow was given to another data plane, because the one that had it was gone.
    pub moves: i64,
    /// The data plane keeps something of the flow that no other has, so that it stays there.
    pub pinned: bool,
    /// State of the flow that the data plane last confirmed.
    pub flow_state: Option<String>,
    /// State that the flow shall reach.
    pub flow_target: Option<String>,
    /// JSON data address: received from the provider (pull) or the consumer (push), or made by our data plane.
    pub data_address: Option<String>,
    /// JSON object of the counter-party's verified claims, as they were when it last proved them.
    pub claims: String,
    /// What the consumer declares that the data is for: a JSON array of texts.
    pub purpose: String,
    /// As consumer: what our data plane does with the data beside showing it to programs, a JSON object.
    pub delivery: Option<String>,
    /// Digest of the peer's initial message, to tell a repeat from a conflict.
    pub initial_digest: Option<String>,
    /// `@id` or digest of the message that we took last: a copy of it is refused.
    pub last_taken: Option<String>,
    /// JSON {code, reason[]} of a suspension or termination, ours or theirs.
    pub termination: Option<String>,
    /// Why the monitor keeps it suspended, a code; it goes on by itself when that is over.
    pub held_for: Option<String>,
    /// Which transfer under the agreement it is, 1 for the first, where the agreement counts them.
    pub ordinal: Option<i64>,
    /// JSON problem that ended or hinders the transfer.
    pub error: Option<String>,
    /// Attempts of the owed signal or message.
    pub attempts: i32,
    /// When the owed step was first tried, ms.
    pub owed_since: i64,
    /// Not to be tried before, ms.
    pub next_attempt_at: i64,
    /// Replica that works on this row.
    pub lease_owner: Option<String>,
    /// Until when the lease holds, ms.
    pub lease_until: i64,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

impl Model {
    /// A row with nothing in it yet. `counter_address` may end with a slash.
    pub(crate) fn blank(context: &str, role: &str, id: String, counter_party: &str, counter_address: &str) -> Self {
        Self {
            id,
            context: context.to_owned(),
            role: role.to_owned(),
            counter_party: counter_party.to_owned(),
            counter_pid: None,
            counter_address: counter_address.trim_end_matches('/').to_owned(),
            settled: None,
            owed: None,
            owed_id: None,
            suspended_by: None,
            state: String::new(),
            agreement_id: String::new(),
            dataset_id: String::new(),
            format: String::new(),
            decision: "automatic".to_owned(),
            data_plane_id: None,
            data_flow_id: None,
            moves: 0,
            pinned: false,
            flow_state: None,
            flow_target: None,
            data_address: None,
            claims: "{}".to_owned(),
            purpose: "[]".to_owned(),
            delivery: None,
            initial_digest: None,
            last_taken: None,
            termination: None,
            held_for: None,
            ordinal: None,
            error: None,
            attempts: 0,
            owed_since: 0,
            next_attempt_at: 0,
            lease_owner: None,
            lease_until: 0,
            created_at: 0,
            updated_at: 0,
        }
    }
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
