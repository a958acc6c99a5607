//! Policies compiled once, decisions cached until their next boundary.

#[cfg(test)]
mod exchange_tests;
mod facts;
mod record;
#[cfg(test)]
mod writing_tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dsp_protocol::policy::{Agreement, Rules};
use identity::Participant;
use policy::{Decision, Facts, Policy, PolicySource, Reason, Scope, SiteInput};
use policy_plan::{Expr, Residual, ResidualRule, Truth};
use sea_orm::ConnectionTrait;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) use facts::{Asking, Known, Question, Use};
pub(crate) use record::{Occasion, Subject, forget_old};

use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::{catalog, declared_event, facts as rows, now_ms};

/// The action that agreements are about (DSP 2025-1 knows only `use`).
pub(crate) const USE: &str = "use";

/// The action that permits writing. `use` includes it in the vocabulary, and is agreed for reading everywhere; so it has to be named.
const MODIFY: &str = "modify";

/// How long a policy that was read from the database is believed without asking again. A change through this replica
/// shows at once; one through another replica after this time.
const POLICY_LIFETIME: Duration = Duration::from_secs(5);

/// What identifies a decision: everything that it rests on but the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct DecisionKey {
    policy: String,
    scope: Scope,
    facts: String,
}

/// A decision with the facts that it was made by.
pub(crate) struct Judged {
    /// The decision.
    pub decision: Arc<Decision>,
    /// The facts.
    pub facts: Facts,
    /// The policy.
    pub policy: Policy,
}

impl Judged {
    /// Why it is refused, if it is.
    pub(crate) fn refusal(&self) -> Option<ServiceError> {
        (!self.decision.allow).then(|| refusal(&self.decision))
    }
}

/// Declared events as they were last read.
#[derive(Default)]
struct Events {
    /// Grows with each change, so that rows that were read before it are not kept after it.
    generation: u64,
    read: Option<(Instant, Arc<Vec<declared_event::Model>>)>,
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

impl<'a> About<'a> {
    fn agreement(agreement: &'a Agreement) -> Self {
        Self {
            target: Some(agreement.target.as_str()),
            assigner: Some(agreement.assigner.as_str()),
            assignee: Some(agreement.assignee.as_str()),
            agreed_at: agreement.timestamp_ms(),
        }
    }
}

/// Compiled policies and cached decisions.
pub(crate) struct Decisions {
    compiled: moka::sync::Cache<String, Policy>,
    decided: moka::sync::Cache<DecisionKey, Arc<Decision>>,
    loaded: moka::sync::Cache<String, Option<Arc<LoadedPolicy>>>,
    access: moka::sync::Cache<(), Arc<Vec<String>>>,
    events: Mutex<Events>,
    /// Areas that policies may name.
    areas: BTreeMap<String, Value>,
}

impl Decisions {
    /// With these areas that policies may name.
    pub(crate) fn new(areas: BTreeMap<String, Value>) -> Self {
        Self {
            compiled: moka::sync::Cache::new(10_000),
            decided: moka::sync::Cache::new(100_000),
            loaded: moka::sync::Cache::builder().max_capacity(10_000).time_to_live(POLICY_LIFETIME).build(),
            access: moka::sync::Cache::builder().max_capacity(1).time_to_live(POLICY_LIFETIME).build(),
            events: Mutex::default(),
            areas,
        }
    }

    /// A source of ours with the areas that it may name.
    pub(crate) fn with_areas(&self, source: PolicySource) -> PolicySource {
        PolicySource { areas: self.areas.clone(), ..source }
    }

    /// The compiled form of these rules.
    ///
    /// # Errors
    /// `policy_not_understood` with the rule and the member: 400, since whoever wrote the policy has to change it.
    pub(crate) fn compile(&self, rules: &Rules, profile: &[String], about: About<'_>) -> ServiceResult<Policy> {
        let source = source(rules, profile, about);
        let key = format!("{}\n{about:?}", source.rules);
        if let Some(policy) = self.compiled.get(&key) {
            return Ok(policy);
        }
        let policy = Policy::compile(&self.with_areas(source)).map_err(not_understood)?;
        self.compiled.insert(key, policy.clone());
        Ok(policy)
    }

    /// The compiled form of an agreement.
    ///
    /// # Errors
    /// As [`Decisions::compile`].
    pub(crate) fn compile_agreement(&self, body: &str) -> ServiceResult<Policy> {
        let agreement = read_agreement(body)?;
        self.compile(&agreement.rules, &agreement.profile, About::agreement(&agreement))
    }

    /// What the policy says, by these facts.
    pub(crate) fn decide(&self, policy: &Policy, scope: Scope, facts: &Facts) -> ServiceResult<Arc<Decision>> {
        let timeless = Facts { now_ms: 0, ..facts.clone() };
        let facts_text = serde_json::to_string(&timeless).map_err(ServiceError::internal)?;
        let key = DecisionKey { policy: policy.hash().to_owned(), scope, facts: facts_text };
        if let Some(decision) = self.decided.get(&key)
            && decision.valid_until_ms.is_none_or(|until| facts.now_ms < until)
        {
            return Ok(decision);
        }
        let decision = Arc::new(policy.decide(scope, USE, facts));
        self.decided.insert(key, decision.clone());
        Ok(decision)
    }

    /// The declared events that have not ended. Changes through this replica show at once, those through another one after
    /// [`POLICY_LIFETIME`].
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn events(
        &self,
        app: &App,
        db: &impl ConnectionTrait,
    ) -> ServiceResult<Arc<Vec<declared_event::Model>>> {
        let generation = {
            let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            match &events.read {
                Some((at, rows)) if at.elapsed() < POLICY_LIFETIME => return Ok(rows.clone()),
                _ => events.generation,
            }
        };
        let rows = Arc::new(rows::events(db, app.context(), now_ms()).await?);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.generation == generation {
            events.read = Some((Instant::now(), rows.clone()));
        }
        Ok(rows)
    }

    /// Forgets the declared events, after one was changed.
    pub(crate) fn forget_events(&self) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.generation += 1;
        events.read = None;
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
        let compiled = |id: &String| self.loaded(id).and_then(|loaded| loaded.compiled.clone());
        let named: Vec<(&String, Option<Policy>)> = access_policies.iter().map(|id| (id, compiled(id))).collect();
        let policies = named.iter().filter_map(|(_, policy)| policy.as_ref().map(Question::of));
        let known = Known::read(app, app.store.reads(), policies).await?;
        let asking = Asking::of(participant.id(), participant.claims(), None);
        let mut visible = Vec::with_capacity(named.len());
        for (id, policy) in &named {
            let allowed = match policy {
                Some(policy) => self.decide(policy, Scope::Catalog, &known.facts(policy, &asking))?.allow,
                None => id.is_empty(),
            };
            if allowed {
                visible.push((*id).clone());
            }
        }
        Ok(visible)
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

fn read_agreement(body: &str) -> ServiceResult<Agreement> {
    let value: Value = serde_json::from_str(body).map_err(ServiceError::internal)?;
    Agreement::parse(&value).map_err(ServiceError::internal)
}

/// The policy of an agreement, compiled for this once.
///
/// # Errors
/// As [`Decisions::compile`].
pub(crate) fn policy_of_agreement(body: &str) -> ServiceResult<Policy> {
    let agreement = read_agreement(body)?;
    let source = source(&agreement.rules, &agreement.profile, About::agreement(&agreement));
    Policy::compile(&source).map_err(not_understood)
}

fn source(rules: &Rules, profile: &[String], about: About<'_>) -> PolicySource {
    let mut rules = rules.normalised();
    if let (Value::Object(members), false) = (&mut rules, profile.is_empty()) {
        members.insert("profile".to_owned(), profile.into());
    }
    PolicySource {
        rules,
        target: about.target.map(str::to_owned),
        assigner: about.assigner.map(str::to_owned),
        assignee: about.assignee.map(str::to_owned),
        agreed_at_ms: about.agreed_at,
        ..PolicySource::default()
    }
}

/// A denial as an error that names the rule and the fact.
pub(crate) fn refusal(decision: &Decision) -> ServiceError {
    let first = decision.reasons.first();
    ServiceError::bad_request("policy_denied", decision.refusal_text())
        .because(first.map(|reason| reason.rule.clone()), first.map(|reason| reason.fact.clone()))
}

/// Decides one question by what is known now.
///
/// # Errors
/// When the database fails.
pub(crate) async fn judge(
    app: &App,
    db: &impl ConnectionTrait,
    policy: &Policy,
    scope: Scope,
    asking: &Asking<'_>,
) -> ServiceResult<Judged> {
    let known = Known::read(app, db, [asking.put_to(policy)]).await?;
    judge_by(app, &known, policy, scope, asking)
}

/// The same by what is known already. The policy decides, and then the operator's own rules, which can only close.
///
/// # Errors
/// Only when the facts cannot be written as JSON.
pub(crate) fn judge_by(
    app: &App,
    known: &Known,
    policy: &Policy,
    scope: Scope,
    asking: &Asking<'_>,
) -> ServiceResult<Judged> {
    let facts = known.facts(policy, asking);
    let mut decision = app.decisions.decide(policy, scope, &facts)?;
    if decision.allow {
        let objections = objections(app, scope, USE, asking, &facts, &decision);
        if !objections.is_empty() {
            decision = Arc::new(Decision { allow: false, reasons: objections, ..Decision::clone(&decision) });
        }
    }
    Ok(Judged { decision, facts, policy: policy.clone() })
}

/// What remains of an agreement for a data plane; nothing, where the operator's own rules object.
///
/// # Errors
/// When the database fails.
pub(crate) async fn residual(app: &App, policy: &Policy, asking: &Asking<'_>) -> ServiceResult<Residual> {
    let known = Known::read(app, app.store.reads(), [asking.put_to(policy)]).await?;
    residual_by(app, &known, policy, asking)
}

/// What remains of it for a write: what remains for use, and of the rules that name `modify`, together.
///
/// # Errors
/// When the database fails.
pub(crate) async fn writing_residual(app: &App, policy: &Policy, asking: &Asking<'_>) -> ServiceResult<Residual> {
    let known = Known::read(app, app.store.reads(), [asking.put_to(policy)]).await?;
    let using = residual_by(app, &known, policy, asking)?;
    let facts = known.facts(policy, asking);
    let named = policy.residual_by_name(MODIFY, &facts);
    let never = |text: &str| {
        Ok(Residual { permissions: vec![closed(MODIFY.to_owned(), text.to_owned())], ..Residual::default() })
    };
    if named.permissions.is_empty() {
        return never("writing needs a permission that names the action `modify`");
    }
    if !named.meters().is_subset(&using.meters()) {
        // Uses are counted of the agreement as a whole, for which the control plane gives blocks by the rules for use.
        return never("uses are not counted for `modify` alone: what counts them has to stand in the rules for `use`");
    }
    let decision = policy.decide(Scope::Request, MODIFY, &facts);
    let objections = objections(app, Scope::Request, MODIFY, asking, &facts, &decision);
    Ok(if objections.is_empty() { both(using, named) } else { closed_by(objections) })
}

/// What has to be allowed by both. Prohibitions of either count.
fn both(using: Residual, named: Residual) -> Residual {
    let pairs = named.permissions.iter().flat_map(|named| using.permissions.iter().map(move |using| (named, using)));
    let permissions = pairs.map(|(named, using)| ResidualRule {
        id: named.id.clone(),
        text: if named.when == Expr::Known(Truth::True) { using.text.clone() } else { named.text.clone() },
        when: if named.when == using.when {
            named.when.clone()
        } else {
            Expr::And(vec![named.when.clone(), using.when.clone()])
        },
    });
    let permissions = permissions.collect();
    let mut prohibitions = named.prohibitions;
    for rule in using.prohibitions {
        if !prohibitions.contains(&rule) {
            prohibitions.push(rule);
        }
    }
    Residual { permissions, prohibitions, conflict: named.conflict }
}

fn residual_by(app: &App, known: &Known, policy: &Policy, asking: &Asking<'_>) -> ServiceResult<Residual> {
    let facts = known.facts(policy, asking);
    let decision = app.decisions.decide(policy, Scope::Request, &facts)?;
    let objections = objections(app, Scope::Request, USE, asking, &facts, &decision);
    Ok(if objections.is_empty() { policy.residual(USE, &facts) } else { closed_by(objections) })
}

fn closed_by(objections: Vec<Reason>) -> Residual {
    let rules = objections.into_iter().enumerate();
    let permissions = rules.map(|(number, reason)| closed(format!("site{number}"), reason.sentence)).collect();
    Residual { permissions, ..Residual::default() }
}

/// A permission that never holds, and says why.
fn closed(id: String, text: String) -> ResidualRule {
    ResidualRule { id, text, when: Expr::Known(Truth::False) }
}

fn objections(
    app: &App,
    scope: Scope,
    action: &str,
    asking: &Asking<'_>,
    facts: &Facts,
    decision: &Decision,
) -> Vec<Reason> {
    app.site.objections(&SiteInput::new(scope, action, asking.dataset, asking.agreement, facts, decision))
}

/// A policy that does not compile, as an error.
pub(crate) fn not_understood(error: policy::PolicyError) -> ServiceError {
    let rule = error.rule.clone();
    let message = error.to_string();
    ServiceError::bad_request("policy_not_understood", message).because(rule, Some(error.member)).at(error.pointer)
}

/// Milliseconds as xsd:dateTime in UTC.
pub(crate) fn rfc3339(ms: i64) -> String {
    let time =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}
