//! The stored form of a flow.

use std::sync::Arc;

use dps_signaling::{DataAddress, DataFlowState, Delivery, Direction, SignalError};
use policy_plan::EnforcementPlan;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Flow, Issued, Live, Role, Run, Terms};
use crate::renewal::RenewalRecord;
use crate::token::TokenHash;

/// A flow as it is kept over restarts. Our own tokens are kept as hashes; the partner's address is kept as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FlowRecord {
    pub(crate) id: String,
    process_id: String,
    role: Role,
    push: bool,
    profile: String,
    counter_party_id: String,
    agreement_id: String,
    dataset_id: String,
    labels: Vec<String>,
    plan: Option<EnforcementPlan>,
    control_plane: Option<String>,
    callback_address: Option<String>,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    delivery: Option<Value>,
    state: String,
    token_hash: Option<String>,
    token_expires_ms: Option<i64>,
    #[serde(default)]
    renewal: Option<RenewalRecord>,
    address: Option<Value>,
    #[serde(default)]
    address_expires_ms: Option<i64>,
    last_message: Option<String>,
    changed_ms: i64,
}

impl FlowRecord {
    /// The record of a flow in the situation `live`.
    pub(crate) fn of(terms: &Terms, live: &Live) -> Self {
        Self {
            id: terms.id.clone(),
            process_id: terms.process_id.clone(),
            role: terms.role,
            push: terms.direction == Direction::Push,
            profile: terms.profile.clone(),
            counter_party_id: terms.counter_party_id.clone(),
            agreement_id: terms.agreement_id.clone(),
            dataset_id: terms.dataset_id.clone(),
            labels: terms.labels.clone(),
            plan: terms.plan.clone(),
            control_plane: terms.control_plane.clone(),
            callback_address: terms.callback_address.clone(),
            renewable: terms.renewable,
            delivery: terms.delivery.as_ref().map(Delivery::encode),
            state: live.state.as_wire().to_owned(),
            token_hash: live.token.map(|token| token.hash.to_hex()),
            token_expires_ms: live.token.map(|token| token.expires_ms),
            renewal: live.renewal.as_ref().map(RenewalRecord::of),
            address: live.address.as_ref().map(DataAddress::encode),
            address_expires_ms: live.address_expires_ms,
            last_message: live.last_message.clone(),
            changed_ms: live.changed_ms,
        }
    }

    /// The flow again, with a new run where data may move.
    ///
    /// # Errors
    /// [`SignalError`] when the record names no state, or holds no address or delivery.
    pub(crate) fn revive(self) -> Result<Flow, SignalError> {
        let state = DataFlowState::parse(&self.state)?;
        let hash = self.token_hash.as_deref().and_then(TokenHash::from_hex);
        let direction = if self.push { Direction::Push } else { Direction::Pull };
        let live = Live {
            state,
            token: hash.zip(self.token_expires_ms).map(|(hash, expires_ms)| Issued { hash, expires_ms }),
            renewal: self.renewal.as_ref().and_then(RenewalRecord::revive),
            address: self.address.as_ref().map(DataAddress::decode).transpose()?,
            address_expires_ms: self.address_expires_ms,
            last_message: self.last_message,
            changed_ms: self.changed_ms,
            run: moves(self.role, direction, state).then(|| Arc::new(Run::default())),
        };
        let terms = Terms {
            id: self.id,
            process_id: self.process_id,
            role: self.role,
            direction,
            profile: self.profile,
            counter_party_id: self.counter_party_id,
            agreement_id: self.agreement_id,
            dataset_id: self.dataset_id,
            labels: self.labels,
            plan: self.plan,
            control_plane: self.control_plane,
            callback_address: self.callback_address,
            renewable: self.renewable,
            delivery: self.delivery.as_ref().map(Delivery::decode).transpose()?,
        };
        Ok(Flow::new(terms, live))
    }
}

/// Whether data may move: in STARTED, and for what is pushed to us already in PREPARED (DPS, push sequence).
pub(crate) fn moves(role: Role, direction: Direction, state: DataFlowState) -> bool {
    match state {
        DataFlowState::Started => true,
        DataFlowState::Prepared => role == Role::Consumer && direction == Direction::Push,
        _ => false,
    }
}
