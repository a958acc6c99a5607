//! Which of the decisions of the past other terms would have changed.

use std::collections::{BTreeMap, HashMap};

use policy::{Facts, Policy, Scope};
use policy_plan::instant_text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::situation::moment;
use super::{known, source};
use crate::app::App;
use crate::service::dataset::bad;
use crate::service::decide::{USE, not_understood};
use crate::service::{ServiceError, ServiceResult, reading};
use crate::store::{Filter, ListQuery, decision_record, now_ms, offer};

/// The most records that are looked at, and the most changes that are told one by one.
const MOST_RECORDS: usize = 100_000;
const MOST_CHANGES: usize = 1_000;
const PAGE: u64 = 500;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How far it is looked back when nobody says.
const DEFAULT_DAYS: i64 = 30;

/// A policy of ours, or one that is told.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Terms {
    /// A policy of ours.
    policy_id: Option<String>,
    /// A policy as JSON-LD in any shape, or as a string of Turtle.
    #[schema(value_type = Option<Object>)]
    policy: Option<Value>,
}

/// Two policies, and which decisions are to be tried again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "old": {"policyId": "urn:policy:members"},
    "new": {"policy": {"permission": [{"action": "use"}]}},
    "since": "2027-01-01T00:00:00Z"
}))]
pub(crate) struct DiffInput {
    /// The terms as they are.
    old: Terms,
    /// The terms as they would be.
    new: Terms,
    /// From when on, RFC 3339; the last 30 days when left out.
    since: Option<String>,
    /// Only decisions about this dataset; when left out, about those that are offered under the old policy, or all when
    /// that is no policy of ours.
    dataset_id: Option<String>,
}

/// What other terms would have changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Diff {
    /// From when on it was looked.
    since: String,
    /// How many decisions were tried again.
    tried: usize,
    /// How many would have been allowed instead of refused.
    opened: usize,
    /// How many would have been refused instead of allowed.
    closed: usize,
    /// Whether there were more decisions than are looked at.
    more: bool,
    /// The decisions that would have been different, the latest first.
    changes: Vec<Change>,
}

/// A decision that would have been different.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// The record.
    decision_id: String,
    /// When it was decided.
    at: String,
    /// What for.
    scope: String,
    /// The participant that asked.
    participant_id: String,
    /// The dataset.
    dataset_id: String,
    /// The agreement, once there was one.
    #[serde(skip_serializing_if = "String::is_empty")]
    agreement_id: String,
    /// What the old terms say.
    old_allows: bool,
    /// What the new terms say.
    new_allows: bool,
    /// Why the new terms say so.
    why: String,
}

/// What the new terms decide otherwise, and why; `None` when both decide alike.
pub(crate) fn difference(old: &Policy, new: &Policy, scope: Scope, facts: &Facts) -> Option<(bool, bool, String)> {
    let before = old.decide(scope, USE, facts).allow;
    let after = new.decide(scope, USE, facts);
    (before != after.allow).then(|| (before, after.allow, after.refusal_text()))
}

/// Tries the recorded decisions again under both terms.
///
/// # Errors
/// `not_found`, `policy_not_understood`, `bad_member`.
pub(crate) async fn diff(app: &App, input: DiffInput) -> ServiceResult<Diff> {
    let since = match &input.since {
        Some(text) => moment("since", text)?,
        None => now_ms().saturating_sub(DEFAULT_DAYS * DAY_MS),
    };
    let mut pairs = Pairs {
        app,
        old: document(app, "old", &input.old).await?,
        new: document(app, "new", &input.new).await?,
        compiled: HashMap::new(),
    };
    pairs.of("", None)?;
    let datasets = match (&input.dataset_id, &input.old.policy_id) {
        (Some(dataset), _) => Some(vec![dataset.clone()]),
        (None, Some(policy)) => Some(offered_under(app, policy).await?),
        (None, None) => None,
    };
    let mut found =
        Diff { since: instant_text(since), tried: 0, opened: 0, closed: 0, more: false, changes: Vec::new() };
    let mut agreed: BTreeMap<String, Option<i64>> = BTreeMap::new();
    let mut cursor = None;
    loop {
        let query = ListQuery {
            limit: Some(PAGE),
            cursor,
            sort: Some("-createdAt".to_owned()),
            filters: match datasets.as_deref() {
                Some([dataset]) => vec![Filter { name: "datasetId", value: dataset.clone() }],
                _ => Vec::new(),
            },
        };
        let page = reading::rows::<decision_record::Entity>(app, &query).await?;
        for row in page.items {
            if row.created_at < since {
                return Ok(found);
            }
            if datasets.as_ref().is_some_and(|datasets| !datasets.contains(&row.dataset_id)) {
                continue;
            }
            if found.tried >= MOST_RECORDS {
                found.more = true;
                return Ok(found);
            }
            let agreed_at = match agreed.get(&row.agreement_id) {
                Some(known) => *known,
                None => {
                    let known = agreed_at(app, &row.agreement_id).await?;
                    agreed.insert(row.agreement_id.clone(), known);
                    known
                }
            };
            found.tried += 1;
            if let Some(change) = pairs.change(row, agreed_at)? {
                *(if change.new_allows { &mut found.opened } else { &mut found.closed }) += 1;
                if found.changes.len() < MOST_CHANGES {
                    found.changes.push(change);
                }
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

async fn document(app: &App, name: &str, terms: &Terms) -> ServiceResult<Value> {
    match (&terms.policy_id, &terms.policy) {
        (Some(id), None) => known::document(app, id).await,
        (None, Some(policy)) => Ok(policy.clone()),
        _ => Err(bad(name, "needs `policyId` or `policy`, and only one of them")),
    }
}

/// The datasets that are offered under a policy.
async fn offered_under(app: &App, policy: &str) -> ServiceResult<Vec<String>> {
    let mut datasets = Vec::new();
    let mut cursor = None;
    loop {
        let filters = vec![Filter { name: "policyId", value: policy.to_owned() }];
        let query = ListQuery { limit: Some(PAGE), cursor, filters, ..ListQuery::default() };
        let page = reading::rows::<offer::Entity>(app, &query).await?;
        datasets.extend(page.items.into_iter().map(|row| row.dataset_id));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(datasets);
        }
    }
}

/// When an agreement was made; `None` before there is one.
async fn agreed_at(app: &App, agreement: &str) -> ServiceResult<Option<i64>> {
    if agreement.is_empty() {
        return Ok(None);
    }
    let row = reading::agreement(app, agreement).await?;
    let body: Value = serde_json::from_str(&row.body).map_err(ServiceError::internal)?;
    let timestamp = body.get("timestamp").and_then(Value::as_str);
    Ok(Some(timestamp.and_then(|text| moment("timestamp", text).ok()).unwrap_or(row.created_at)))
}

/// Both terms, compiled for each dataset and agreement.
struct Pairs<'a> {
    app: &'a App,
    old: Value,
    new: Value,
    compiled: HashMap<(String, Option<i64>), (Policy, Policy)>,
}

impl Pairs<'_> {
    fn of(&mut self, dataset: &str, agreed_at: Option<i64>) -> ServiceResult<(Policy, Policy)> {
        let key = (dataset.to_owned(), agreed_at);
        if let Some(known) = self.compiled.get(&key) {
            return Ok(known.clone());
        }
        let compile = |document: &Value| {
            let mut source = source(document).map_err(not_understood)?;
            if !dataset.is_empty() && source.rules.get("target").is_none() {
                source.target = Some(dataset.to_owned());
            }
            source.agreed_at_ms = agreed_at;
            Policy::compile(&self.app.decisions.with_areas(source)).map_err(not_understood)
        };
        let pair = (compile(&self.old)?, compile(&self.new)?);
        self.compiled.insert(key, pair.clone());
        Ok(pair)
    }

    fn change(&mut self, row: decision_record::Model, agreed_at: Option<i64>) -> ServiceResult<Option<Change>> {
        let facts: Facts = serde_json::from_str(&row.facts).map_err(ServiceError::internal)?;
        let scope = if row.scope == "negotiation" { Scope::Negotiation } else { Scope::Transfer };
        let (old, new) = self.of(&row.dataset_id, agreed_at)?;
        Ok(difference(&old, &new, scope, &facts).map(|(old_allows, new_allows, why)| Change {
            decision_id: row.id,
            at: instant_text(row.created_at),
            scope: row.scope,
            participant_id: row.participant,
            dataset_id: row.dataset_id,
            agreement_id: row.agreement_id,
            old_allows,
            new_allows,
            why,
        }))
    }
}
