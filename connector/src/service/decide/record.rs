//! Decisions written down: what was decided, by what facts, so that it can be explained and tried again under other terms.

use uuid::Uuid;

use super::Judged;
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{decision_record, decisions, now_ms};

/// What a decision was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A running transfer that a change or a moment made worth a look.
    Monitor,
    /// A contract request.
    Negotiation,
    /// A transfer request, or the resumption of a transfer.
    Transfer,
}

impl Occasion {
    /// The word of the API and of the stored rows.
    fn as_str(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Negotiation => "negotiation",
            Self::Transfer => "transfer",
        }
    }
}

/// What a decision was about.
pub(crate) struct Subject<'a> {
    /// The negotiation or the transfer.
    pub process: &'a str,
    /// The agreement; empty before there is one.
    pub agreement: &'a str,
    /// The dataset.
    pub dataset: &'a str,
}

impl Judged {
    /// The decision as a row.
    ///
    /// # Errors
    /// Only when the facts cannot be written as JSON.
    pub(crate) fn record(
        &self,
        app: &App,
        occasion: Occasion,
        about: &Subject<'_>,
    ) -> ServiceResult<decision_record::Model> {
        let text = |value: Result<String, serde_json::Error>| value.map_err(ServiceError::internal);
        Ok(decision_record::Model {
            context: app.context().to_owned(),
            id: Uuid::new_v4().urn().to_string(),
            scope: occasion.as_str().to_owned(),
            process_id: about.process.to_owned(),
            agreement_id: about.agreement.to_owned(),
            dataset_id: about.dataset.to_owned(),
            participant: self.facts.participant.clone(),
            policy_hash: self.policy.hash().to_owned(),
            facts: text(serde_json::to_string(&self.facts))?,
            allow: self.decision.allow,
            reasons: text(serde_json::to_string(&self.decision.reasons))?,
            created_at: self.facts.now_ms,
        })
    }
}

/// Removes the records that are older than the settings want them kept.
pub(crate) async fn forget_old(app: &App) -> ServiceResult<u64> {
    let day_ms = 24 * 60 * 60 * 1000;
    let before = now_ms().saturating_sub(i64::from(app.config.policy.decision_record_days).saturating_mul(day_ms));
    let context = app.context();
    app.store.write(move |unit| Box::pin(async move { Ok(decisions::forget(unit, context, before).await?) })).await
}
