//! Policies compiled once, decisions cached until their next boundary.

use std::sync::Arc;
use std::time::Duration;

use dsp_protocol::policy::{Agreement, Rules};
use identity::Participant;
use policy::{Decision, Facts, Policy, PolicySource, Scope};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::{catalog, now_ms};

/// The action that agreements are about (DSP 2025-1 knows only `use`).
pub(crate) const USE: &str = "use";

/// How long a policy that was read from the database is believed without asking again. A change through this replica
/// shows at once; one through another replica after this time.
const POLICY_LIFETIME: Duration = Duration::from_secs(5);

/// What identifies a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct DecisionKey {
    policy: String,
    scope: Scope,
    participant: String,
    claims: String,
}

/// A policy of ours, as it was read from the database.
pub(crate) struct LoadedPolicy {
    /// Its rules.
    pub rules: Rules,
    /// ODRL profiles that it names.
    pub profile: Vec<String>,
    /// Its compiled form; `None` when it is not understood, which denies.
    compiled: Option<Policy>,
}

/// Who and what a set of rules is about, for compiling.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    /// The dataset.
    pub target: Option<&'a str>,
    /// The provider.
    pub assigner: Option<&'a str>,
    /// The consumer.
    pub assignee: Option<&'a str>,
    /// When it was agreed, ms.
    pub agreed_at: Option<i64>,
}

/// Compiled policies and cached decisions.
pub(crate) struct Decisions {
    compiled: moka::sync::Cache<String, Policy>,
    decided: moka::sync::Cache<DecisionKey, Arc<Decision>>,
    loaded: moka::sync::Cache<String, Option<Arc<LoadedPolicy>>>,
    access: moka::sync::Cache<(), Arc<Vec<String>>>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self {
            compiled: moka::sync::Cache::new(10_000),
            decided: moka::sync::Cache::new(100_000),
            loaded: moka::sync::Cache::builder().max_capacity(10_000).time_to_live(POLICY_LIFETIME).build(),
            access: moka::sync::Cache::builder().max_capacity(1).time_to_live(POLICY_LIFETIME).build(),
        }
    }
}

impl Decisions {
    /// The compiled form of these rules.
    ///
    /// # Errors
    /// `policy_not_understood` with the rule and the member: 400, since whoever wrote the policy has to change it.
    pub(crate) fn compile(&self, rules: &Rules, profile: &[String], about: About<'_>) -> ServiceResult<Policy> {
        let mut normalised = rules.normalised();
        if let (Value::Object(members), false) = (&mut normalised, profile.is_empty()) {
            members.insert("profile".to_owned(), profile.into());
        }
        let key = format!("{normalised}\n{about:?}");
        if let Some(policy) = self.compiled.get(&key) {
            return Ok(policy);
        }
        let source = PolicySource {
            rules: normalised,
            target: about.target.map(str::to_owned),
            assigner: about.assigner.map(str::to_owned),
            assignee: about.assignee.map(str::to_owned),
            agreed_at_ms: about.agreed_at,
            ..PolicySource::default()
        };
        let policy = Policy::compile(&source).map_err(not_understood)?;
        self.compiled.insert(key, policy.clone());
        Ok(policy)
    }

    /// The compiled form of an agreement.
    ///
    /// # Errors
    /// As [`Decisions::compile`].
    pub(crate) fn compile_agreement(&self, body: &str) -> ServiceResult<Policy> {
        let value: Value = serde_json::from_str(body).map_err(ServiceError::internal)?;
        let agreement = Agreement::parse(&value).map_err(ServiceError::internal)?;
        let about = About {
            target: Some(agreement.target.as_str()),
            assigner: Some(agreement.assigner.as_str()),
            assignee: Some(agreement.assignee.as_str()),
            agreed_at: agreement.timestamp_ms(),
        };
        self.compile(&agreement.rules, &agreement.profile, about)
    }

    /// What the policy says about a participant with these claims, now.
    pub(crate) fn decide(&self, policy: &Policy, scope: Scope, participant: &str, claims: &Value) -> Arc<Decision> {
        let key = DecisionKey {
            policy: policy.hash().to_owned(),
            scope,
            participant: participant.to_owned(),
            claims: claims.to_string(),
        };
        let now = now_ms();
        if let Some(decision) = self.decided.get(&key)
            && decision.valid_until_ms.is_none_or(|until| now < until)
        {
            return decision;
        }
        let decision = Arc::new(policy.decide(scope, USE, &facts(now, participant, claims)));
        self.decided.insert(key, decision.clone());
        decision
    }

    /// Those of the access policies that let the participant see their offers; the empty id stands for no restriction.
    ///
    /// # Errors
    /// When the database fails. A policy that is gone or not understood denies.
    pub(crate) async fn visible(
        &self,
        app: &App,
        access_policies: &[String],
        participant: &Participant,
    ) -> ServiceResult<Vec<String>> {
        self.load(app, access_policies).await?;
        let visible = access_policies.iter().filter(|id| {
            id.is_empty()
                || self.loaded(id).is_some_and(|loaded| {
                    loaded.compiled.as_ref().is_some_and(|policy| {
                        self.decide(policy, Scope::Catalog, participant.id(), participant.claims()).allow
                    })
                })
        });
        Ok(visible.cloned().collect())
    }

    /// The access policies that our offers name.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn access_policies(&self, app: &App) -> ServiceResult<Arc<Vec<String>>> {
        if let Some(known) = self.access.get(&()) {
            return Ok(known);
        }
        let found = Arc::new(catalog::access_policies(&app.store, app.context()).await?);
        self.access.insert((), found.clone());
        Ok(found)
    }

    /// Reads the policies that are not in memory yet, in one query.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn load(&self, app: &App, ids: &[String]) -> ServiceResult<()> {
        let mut missing: Vec<String> =
            ids.iter().filter(|id| !id.is_empty() && !self.loaded.contains_key(*id)).cloned().collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let rows = catalog::policies(&app.store, app.context(), &missing).await?;
        for id in missing {
            self.loaded.insert(id, None);
        }
        for row in rows {
            match self.read(app, &row.body) {
                Ok(policy) => self.loaded.insert(row.id, Some(Arc::new(policy))),
                Err(error) => tracing::error!(policy = %row.id, %error, "a stored policy cannot be read; it denies"),
            }
        }
        Ok(())
    }

    fn read(&self, app: &App, body: &str) -> ServiceResult<LoadedPolicy> {
        let body: Value = serde_json::from_str(body).map_err(ServiceError::internal)?;
        let rules = Rules::parse(&body).map_err(ServiceError::internal)?;
        let about = About { assigner: Some(&app.participant), ..About::default() };
        let profile = match body.get("profile") {
            Some(Value::String(profile)) => vec![profile.clone()],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let compiled = self.compile(&rules, &profile, about);
        let compiled = compiled.inspect_err(|error| tracing::error!(%error, "a stored policy denies"));
        Ok(LoadedPolicy { rules, profile, compiled: compiled.ok() })
    }

    /// A policy that [`Decisions::load`] has read.
    pub(crate) fn loaded(&self, id: &str) -> Option<Arc<LoadedPolicy>> {
        self.loaded.get(id).flatten()
    }

    /// Forgets which access policies there are, after an operator changed an offer.
    pub(crate) fn forget_offers(&self) {
        self.access.invalidate_all();
    }

    /// Forgets what was read from the database, after an operator changed a policy.
    pub(crate) fn forget(&self) {
        self.loaded.invalidate_all();
    }
}

/// A denial as an error that names the rule and the fact.
pub(crate) fn refusal(decision: &Decision) -> ServiceError {
    let first = decision.reasons.first();
    ServiceError::bad_request("policy_denied", decision.refusal_text())
        .because(first.map(|reason| reason.rule.clone()), first.map(|reason| reason.fact.clone()))
}

/// The facts that a policy may use about a participant.
pub(crate) fn facts(now: i64, participant: &str, claims: &Value) -> Facts {
    let mut facts = Facts::new(now, participant);
    facts.claims = claims.clone();
    facts
}

/// A policy that does not compile, as an error.
pub(crate) fn not_understood(error: policy::PolicyError) -> ServiceError {
    let rule = error.rule.clone();
    ServiceError::bad_request("policy_not_understood", error.to_string()).because(rule, Some(error.member))
}

/// Milliseconds as xsd:dateTime in UTC.
pub(crate) fn rfc3339(ms: i64) -> String {
    let time =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}
