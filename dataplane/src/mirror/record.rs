//! What is kept of a mirror: how far it is, and each entity that it has written.

use serde::{Deserialize, Serialize};

use crate::store::{Change, Kind, StoreError};

/// What a mirror is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Phase {
    /// All that the partner shows is read: this page is next, then these types.
    Reading {
        /// Path and query below the flow's address.
        page: String,
        /// Types that are asked for one by one after the present one, where they have to be.
        types: Vec<String>,
    },
    /// What was written before and was not seen by the pass is looked for, and removed.
    Sweeping,
    /// Changes are written as they are told.
    Following,
}

/// A mirror, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) flow: String,
    /// The control plane's name of the transfer.
    pub(super) process: String,
    /// The broker's name in the configuration.
    pub(super) broker: String,
    pub(super) delete_at_end: bool,
    pub(super) phase: Phase,
    /// The number of the pass under way, or of the last one; 0 before the first.
    pub(super) pass: u64,
    /// All types, where the partner does not answer without them.
    pub(super) types: Vec<String>,
    /// Entities that the pass has seen.
    pub(super) seen: u64,
    /// Pages that it has read.
    pub(super) pages: u64,
    /// When the last whole pass ended, in milliseconds since the epoch.
    pub(super) passed_ms: Option<i64>,
    /// A pass is due, whatever the time: something was missed.
    pub(super) due: bool,
}

impl Record {
    pub(super) fn new(flow: &str, process: &str, broker: &str, delete_at_end: bool) -> Self {
        Self {
            flow: flow.to_owned(),
            process: process.to_owned(),
            broker: broker.to_owned(),
            delete_at_end,
            phase: Phase::Following,
            pass: 0,
            types: Vec::new(),
            seen: 0,
            pages: 0,
            passed_ms: None,
            due: true,
        }
    }

    pub(super) fn change(&self) -> Result<Change, StoreError> {
        Change::put(Kind::Mirror, &self.flow, self)
    }
}

/// An entity that a mirror has written, or is about to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    /// The flow of the mirror.
    pub(super) flow: String,
    /// The last pass that saw it.
    pub(super) pass: u64,
    /// Digest of what was written; none until the broker has taken it.
    pub(super) digest: Option<String>,
}

/// Begins the keys of all entities of a broker. Neither the name of a broker nor an id has a line break.
pub(super) fn prefix(broker: &str) -> String {
    format!("{broker}\n")
}

pub(super) fn key(broker: &str, id: &str) -> String {
    format!("{broker}\n{id}")
}

/// The id in a key.
pub(super) fn id_in(key: &str) -> &str {
    key.split_once('\n').map_or("", |(_, id)| id)
}
