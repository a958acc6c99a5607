//! The facts of decisions, from one place: claims, the agreement, what the operator declared, consents, the ledger of duties, and
//! how far an agreement has been used. A few queries serve any number of decisions, and only what the policies look at is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use policy::{DutyState, Facts, Policy, Used};
use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::app::App;
use crate::service::ServiceResult;
use crate::service::described::Described;
use crate::store::{consent, declared_event, facts as rows, now_ms, usage_counter};

/// What a decision is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    /// Who asks for, or receives, the data.
    pub participant: &'a str,
    /// What it has proved.
    pub claims: &'a Value,
    /// The dataset, when it is about one.
    pub dataset: Option<&'a str>,
    /// The agreement, once there is one.
    pub agreement: Option<&'a str>,
    /// The transfer's format, when it is about a transfer.
    pub channel: Option<&'a str>,
    /// What the participant declares that the data is for: a JSON array of texts, as rows keep it.
    pub purpose: &'a str,
    /// Which transfer under the agreement it is, 1 for the first; `None` for the next one.
    pub ordinal: Option<u64>,
    /// Which use of the agreement it is about.
    pub usage: Use,
}

/// A use of an agreement whose uses are counted or measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// One more than were given.
    Next,
    /// The last that was given, which may be under way: that nothing is left does not speak against it.
    UnderWay,
}

impl<'a> Asking<'a> {
    /// A question before there is an agreement, by somebody who declares nothing.
    pub(crate) fn of(participant: &'a str, claims: &'a Value, dataset: Option<&'a str>) -> Self {
        Self {
            participant,
            claims,
            dataset,
            agreement: None,
            channel: None,
            purpose: "[]",
            ordinal: None,
            usage: Use::Next,
        }
    }

    /// What this asks a policy.
    pub(crate) fn put_to(&self, policy: &'a Policy) -> Question<'a> {
        Question { policy, dataset: self.dataset, agreement: self.agreement }
    }

    /// What is declared; `None` for nothing, so that a verified claim counts.
    fn declared(&self) -> Option<Vec<String>> {
        serde_json::from_str::<Vec<String>>(self.purpose).ok().filter(|purposes| !purposes.is_empty())
    }
}

/// What is known beside the claims, read for any number of decisions.
pub(crate) struct Known {
    /// The moment for which it is known, ms.
    now: i64,
    events: Arc<Vec<declared_event::Model>>,
    consents: HashMap<String, Consent>,
    duties: HashMap<String, BTreeMap<String, DutyState>>,
    usage: HashMap<String, Counters>,
    datasets: HashMap<String, Described>,
}

/// A policy, and what it is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The dataset, when it is about one.
    pub dataset: Option<&'a str>,
    /// The agreement, once there is one.
    pub agreement: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// About nothing but the caller.
    pub(crate) fn of(policy: &'a Policy) -> Self {
        Self { policy, dataset: None, agreement: None }
    }
}

/// What was given out of one agreement.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    count: u64,
    metered_ms: u64,
    volume_bytes: u64,
    transfers: u64,
    first_use: Option<i64>,
    last_use: Option<i64>,
}

impl Counters {
    fn take(&mut self, row: &usage_counter::Model) {
        let given = u64::try_from(row.given).unwrap_or_default();
        match row.meter.as_str() {
            "count" => self.count = given,
            "meteredTime" => self.metered_ms = given,
            "volume" => self.volume_bytes = given,
            // Transfers are counted; they are no use of data.
            _ => return self.transfers = given,
        }
        self.first_use = self.first_use.into_iter().chain(row.first_use_at).min();
        self.last_use = self.last_use.max(row.last_use_at);
    }

    /// What a use finds. What was given of time and volume counts as used, so the next use begins with one unit more. Whether
    /// enough time has passed since the use before is a question of each request, not of the transfer: long ago, then.
    fn used(&self, usage: Use) -> Used {
        let more = u64::from(usage == Use::Next);
        Used {
            count: Some((self.count + more).max(1)),
            metered_ms: Some(self.metered_ms + more),
            volume_bytes: Some(self.volume_bytes + more),
            first_use_ms: self.first_use,
            last_use_ms: self.last_use.map(|_| 0),
        }
    }
}

impl Known {
    /// Reads what these policies look at. Declared events are those of `app.decisions`, which are in memory.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn read<'a>(
        app: &App,
        db: &impl ConnectionTrait,
        asked: impl IntoIterator<Item = Question<'a>>,
    ) -> ServiceResult<Self> {
        let (mut reads_events, mut consents) = (false, BTreeSet::new());
        let (mut agreements, mut used, mut datasets) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for Question { policy, dataset, agreement } in asked {
            let looks = policy.looks_at();
            reads_events |= looks.events;
            consents.extend(looks.consents);
            agreements.extend(agreement.filter(|_| looks.duties));
            used.extend(agreement.filter(|_| looks.usage || looks.transfers));
            datasets.extend(dataset.filter(|_| looks.asset));
        }
        let now = now_ms();
        let events = if reads_events { app.decisions.events(app, db).await? } else { Arc::default() };
        let consents =
            if consents.is_empty() { Vec::new() } else { rows::consents(db, app.context(), consents).await? };
        let mut duties: HashMap<String, BTreeMap<String, DutyState>> = HashMap::new();
        if !agreements.is_empty() {
            for (agreement, name, state) in rows::duties(db, app.context(), "provider", agreements).await? {
                duties.entry(agreement).or_default().insert(name, duty_state(&state));
            }
        }
        let mut usage: HashMap<String, Counters> = HashMap::new();
        if !used.is_empty() {
            for row in rows::usage(db, app.context(), used).await? {
                usage.entry(row.agreement_id.clone()).or_default().take(&row);
            }
        }
        let mut described = HashMap::new();
        if !datasets.is_empty() {
            for row in rows::datasets(db, app.context(), datasets).await? {
                described.insert(row.id.clone(), Described::of(&row)?);
            }
        }
        let consents = consents.into_iter().map(|row| (row.id.clone(), Consent::of(row))).collect();
        Ok(Self { now, events, consents, duties, usage, datasets: described })
    }

    /// The facts of one decision.
    pub(crate) fn facts(&self, policy: &Policy, asking: &Asking<'_>) -> Facts {
        let looks = policy.looks_at();
        let mut facts = Facts::new(self.now, asking.participant);
        facts.claims = asking.claims.clone();
        facts.channel = asking.channel.map(str::to_owned);
        facts.purpose = asking.declared();
        if looks.events {
            facts.events =
                self.events.iter().filter(|row| row.is_in_force(self.now)).map(|row| row.id.clone()).collect();
        }
        let holding = looks.consents.iter().filter(|id| {
            self.consents.get(**id).is_some_and(|consent| consent.row.holds_at(self.now) && consent.is_for(asking))
        });
        facts.consents = holding.map(|id| (*id).to_owned()).collect();
        if let Some(duties) = asking.agreement.filter(|_| looks.duties).and_then(|id| self.duties.get(id)) {
            facts.duties.clone_from(duties);
        }
        if let Some(dataset) = asking.dataset.filter(|_| looks.asset).and_then(|id| self.datasets.get(id)) {
            facts.asset = dataset.properties.clone();
            facts.asset_in = Some(dataset.collections.clone());
            facts.format = dataset.media_type(asking.channel).map(str::to_owned);
        }
        if let Some(agreement) = asking.agreement {
            let counters = self.usage.get(agreement).copied().unwrap_or_default();
            facts.usage = if looks.usage { counters.used(asking.usage) } else { Used::default() };
            facts.transfers = looks.transfers.then(|| asking.ordinal.unwrap_or(counters.transfers + 1));
        }
        facts
    }

    /// The next moment at which a declared event or a consent that the policy looks at begins or ends by itself, ms.
    pub(crate) fn next_change(&self, policy: &Policy) -> Option<i64> {
        let looks = policy.looks_at();
        let events = self.events.iter().filter(|_| looks.events).filter_map(|row| row.next_change(self.now));
        let consents = looks.consents.iter().filter_map(|id| self.consents.get(*id)?.row.next_change(self.now));
        events.chain(consents).min()
    }
}

/// A consent with its lists read.
struct Consent {
    row: consent::Model,
    datasets: Vec<String>,
    recipients: Vec<String>,
    purposes: Vec<String>,
}

impl Consent {
    fn of(row: consent::Model) -> Self {
        // Only this program writes the lists; one that cannot be read would otherwise stand for everything.
        let list = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| vec![String::new()]);
        let (datasets, recipients, purposes) = (list(&row.datasets), list(&row.recipients), list(&row.purposes));
        Self { row, datasets, recipients, purposes }
    }

    /// Whether it is for this dataset, recipient and purpose.
    fn is_for(&self, asking: &Asking<'_>) -> bool {
        let has = |list: &[String], name: &str| list.is_empty() || list.iter().any(|item| item == name);
        let dataset = self.datasets.is_empty() || asking.dataset.is_some_and(|dataset| has(&self.datasets, dataset));
        let declared = asking.declared();
        let purposes = declared
            .as_ref()
            .map_or_else(|| claimed(asking.claims), |declared| declared.iter().map(String::as_str).collect());
        let purpose = self.purposes.is_empty()
            || !purposes.is_empty() && purposes.iter().all(|purpose| has(&self.purposes, purpose));
        dataset && purpose && has(&self.recipients, asking.participant)
    }
}

/// The purposes of the claims.
fn claimed(claims: &Value) -> Vec<&str> {
    match claims.get("purpose") {
        Some(Value::String(purpose)) => vec![purpose],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn duty_state(state: &str) -> DutyState {
    match state {
        "fulfilled" => DutyState::Fulfilled,
        "violated" => DutyState::Violated,
        _ => DutyState::Unset,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn consent(datasets: &str, recipients: &str, purposes: &str) -> Consent {
        Consent::of(consent::Model {
            context: String::new(),
            id: "c".to_owned(),
            subject: "s".to_owned(),
            datasets: datasets.to_owned(),
            recipients: recipients.to_owned(),
            purposes: purposes.to_owned(),
            given_at: 0,
            expires_at: None,
            withdrawn_at: None,
            created_at: 0,
            updated_at: 0,
        })
    }

    #[test]
    fn a_consent_is_for_what_it_names() {
        let claims = json!({"purpose": ["research", "planning"]});
        let none = json!({});
        let asking = |dataset, claims| Asking::of("did:web:a", claims, dataset);
        let table = [
            (consent("[]", "[]", "[]"), None, &none, true),
            (consent(r#"["d"]"#, "[]", "[]"), Some("d"), &none, true),
            (consent(r#"["d"]"#, "[]", "[]"), Some("e"), &none, false),
            (consent(r#"["d"]"#, "[]", "[]"), None, &none, false),
            (consent("[]", r#"["did:web:a"]"#, "[]"), None, &none, true),
            (consent("[]", r#"["did:web:b"]"#, "[]"), None, &none, false),
            (consent("[]", "[]", r#"["research"]"#), None, &none, false),
            (consent("[]", "[]", r#"["research"]"#), None, &claims, false),
            (consent("[]", "[]", r#"["research", "planning"]"#), None, &claims, true),
            (consent("what", "[]", "[]"), Some("d"), &none, false),
        ];
        for (number, (consent, dataset, claims, is_for)) in table.iter().enumerate() {
            assert_eq!(consent.is_for(&asking(*dataset, claims)), *is_for, "{number}");
        }
    }

    #[test]
    fn the_next_use_finds_one_more_than_the_use_under_way() {
        let row = |meter: &str, given, at| usage_counter::Model {
            context: String::new(),
            agreement_id: "a".to_owned(),
            meter: meter.to_owned(),
            given,
            first_use_at: Some(at),
            last_use_at: Some(at + 5),
            updated_at: 0,
        };
        let none = Counters::default();
        assert_eq!((none.used(Use::Next).count, none.used(Use::UnderWay).count), (Some(1), Some(1)));
        assert_eq!((none.used(Use::Next).first_use_ms, none.used(Use::UnderWay).last_use_ms), (None, None));
        let mut counters = Counters::default();
        let rows = [row("count", 7, 20), row("meteredTime", 100, 10), row("volume", 50, 30), row("transfers", 2, 1)];
        rows.iter().for_each(|row| counters.take(row));
        let used = |count, metered_ms, volume_bytes| Used {
            count: Some(count),
            metered_ms: Some(metered_ms),
            volume_bytes: Some(volume_bytes),
            first_use_ms: Some(10),
            last_use_ms: Some(0),
        };
        assert_eq!(counters.used(Use::Next), used(8, 101, 51));
        assert_eq!(counters.used(Use::UnderWay), used(7, 100, 50));
        assert_eq!(counters.transfers, 2);
    }
}
