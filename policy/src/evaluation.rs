//! Judging a case that stands for itself: a policy, a request and the facts, without a connector around them. Suites of
//! others that test evaluators of ODRL can be run with it.

use std::collections::{BTreeMap, BTreeSet};

use policy_plan::{Conflict, Truth};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::decision::DutyReport;
use crate::document::{self, Document};
use crate::error::{At, PolicyError};
use crate::explanation::{ConditionExplanation, Effect, Explanation, RuleExplanation};
use crate::facts::DutyState;
use crate::instant::{Moment, moment};
use crate::json::items;
use crate::model::{Kind, Part};
use crate::vocabulary::action_with_ancestors;
use crate::{Facts, Policy, PolicySource, Scope, from_turtle};

/// The answer to a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was decided.
    pub decision: CaseDecision,
    /// Each rule, in the order permissions, prohibitions, obligations.
    pub rules: Vec<RuleReport>,
}

/// What was decided about a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseDecision {
    /// Whether the action is allowed.
    pub allow: bool,
    /// Whether permissions and prohibitions contradict each other and the policy is void for that (ODRL 2.2, Policy Conflict
    /// Strategy `invalid`).
    pub void: bool,
    /// The permissions that permit the request.
    pub permits: Vec<String>,
    /// The prohibitions that forbid it.
    pub forbids: Vec<String>,
    /// The obligations that apply.
    pub obligations: Vec<String>,
    /// Why, in sentences.
    pub reasons: Vec<String>,
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleReport {
    /// The rule's identifier, or its letter and place.
    pub rule: String,
    /// `permission`, `prohibition` or `obligation`.
    pub kind: &'static str,
    /// Whether its constraints hold and, of a permission, its duties are done. A prohibition or obligation whose constraints
    /// are not known to fail is active.
    pub active: bool,
    /// Whether it speaks of the request.
    pub premises: Premises,
    /// The constraints by their identifiers, or rule, letter and place: `p0.c0`, in a logical constraint `p0.c0.1`.
    pub constraints: BTreeMap<String, State>,
    /// What has to be done under it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub duties: Vec<DutyReport>,
    /// How far an obligation is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<DutyState>,
}

/// Whether a rule speaks of a request, with the refinements of action, target and party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Premises {
    /// The target of the rule is what is asked for, or contains it.
    pub target: State,
    /// The rule is for the party that asks, or a group of it, or for everybody.
    pub party: State,
    /// The action of the rule is what is asked for, or includes it.
    pub action: State,
}

/// Whether something is satisfied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Satisfied,
    /// It is not.
    Unsatisfied,
    /// The facts do not tell.
    Unknown,
}

impl From<Truth> for State {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::True => Self::Satisfied,
            Truth::False => Self::Unsatisfied,
            Truth::Unknown => Self::Unknown,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    policy: Json,
    #[serde(default)]
    format: Option<Format>,
    #[serde(default)]
    request: Request,
    #[serde(default)]
    facts: CaseFacts,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[serde(alias = "json-ld", alias = "json")]
    JsonLd,
    #[serde(alias = "ttl", alias = "text/turtle")]
    Turtle,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Request {
    party: Option<String>,
    action: Option<String>,
    target: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct CaseFacts {
    now: Option<String>,
    agreed_at: Option<String>,
    part_of: Option<Vec<(String, String)>>,
    is_a: Option<Vec<(String, String)>>,
    duties: BTreeMap<String, DutyState>,
    operands: Json,
    claims: Json,
    purpose: Option<Json>,
    asset: Json,
    events: BTreeSet<String>,
    consents: BTreeSet<String>,
    channel: Option<String>,
    format: Option<String>,
}

/// Judges a case.
///
/// The case is an object with `policy` (ODRL as JSON-LD in any shape, or Turtle as a string), `request` (`party`, `action`,
/// `target`) and `facts`: `now` and `agreedAt` (dateTimes), `partOf` and `isA` (pairs of a member and its collection or class),
/// `duties` (`unset`, `fulfilled` or `violated` by identifier), `claims`, `operands` (values of left operands by their
/// names, `count` among them), `asset` (its properties), `purpose`, `events`, `consents`, `channel` and `format` as in
/// [`Facts`]. `now_ms` is the moment when the case tells none. Every duty of a permission has to be fulfilled before use.
///
/// # Errors
///
/// A [`PolicyError`] whose pointer leads into the case: code `case` for the case itself, and those of
/// [`Policy::compile`] for its policy.
pub fn evaluate(case: &Json, now_ms: i64) -> Result<Report, PolicyError> {
    let case: Case = read(case)?;
    let rules = match (&case.policy, case.format) {
        (Json::String(text), None | Some(Format::Turtle)) => from_turtle(text).map_err(in_policy)?,
        (Json::String(text), Some(Format::JsonLd)) => {
            serde_json::from_str(text).map_err(|error| fault("/policy", format!("this is not JSON: {error}")))?
        }
        (_, Some(Format::Turtle)) => return Err(fault("/policy", "Turtle is given as a string")),
        (document, _) => document.clone(),
    };
    let facts = facts(&case, now_ms)?;
    let source = PolicySource {
        rules,
        agreed_at_ms: case.facts.agreed_at.as_deref().map(|text| instant("/facts/agreedAt", text)).transpose()?,
        any_facts: true,
        ..PolicySource::default()
    };
    let document = document::read(&source.rules).map_err(in_policy)?;
    let policy = Policy::compile(&source).map_err(in_policy)?;
    let action = case.request.action.as_deref().unwrap_or("use");
    let explanation = policy.explain(Scope::Request, action, &facts).ok_or_else(|| {
        PolicyError::new("not_evaluated", &At::default(), "the evaluator gave no answer, so nothing is allowed")
    })?;
    Ok(report(&policy, &document, &explanation, action, &facts))
}

fn read(case: &Json) -> Result<Case, PolicyError> {
    const PARTS: [&str; 4] = ["policy", "format", "request", "facts"];
    let object =
        case.as_object().ok_or_else(|| fault("", "a case is an object with `policy`, `request` and `facts`"))?;
    if let Some(other) = object.keys().find(|name| !PARTS.contains(&name.as_str())) {
        return Err(fault(
            &format!("/{}", crate::error::pointer_step(other)),
            "this member is not understood in a case",
        ));
    }
    if !object.contains_key("policy") {
        return Err(fault("/policy", "this member is missing"));
    }
    fn part<T: serde::de::DeserializeOwned>(name: &str, value: &Json) -> Result<(), PolicyError> {
        match T::deserialize(value) {
            Ok(_) => Ok(()),
            Err(error) => Err(fault(&format!("/{name}"), error.to_string())),
        }
    }
    for (name, value) in object {
        match name.as_str() {
            "request" => part::<Request>(name, value)?,
            "facts" => part::<CaseFacts>(name, value)?,
            "format" => part::<Format>(name, value)?,
            _ => {}
        }
    }
    Case::deserialize(case).map_err(|error| fault("", error.to_string()))
}

fn facts(case: &Case, now_ms: i64) -> Result<Facts, PolicyError> {
    let given = &case.facts;
    let now_ms = given.now.as_deref().map_or(Ok(now_ms), |text| instant("/facts/now", text))?;
    let purpose = match &given.purpose {
        None | Some(Json::Null) => None,
        Some(purpose) => Some(
            items(purpose)
                .into_iter()
                .map(|one| one.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| fault("/facts/purpose", "a purpose is a string, or several are a list of strings"))?,
        ),
    };
    let part_of = match (&given.part_of, &given.is_a) {
        (None, None) => None,
        (collections, classes) => Some(collections.iter().chain(classes).flatten().cloned().collect()),
    };
    Ok(Facts {
        now_ms,
        participant: case.request.party.clone().unwrap_or_default(),
        claims: given.claims.clone(),
        purpose,
        target: case.request.target.clone(),
        part_of,
        asset: given.asset.clone(),
        operands: given.operands.clone(),
        duties: given.duties.clone(),
        events: given.events.clone(),
        consents: given.consents.clone(),
        channel: given.channel.clone(),
        format: given.format.clone(),
        // Of a case, `operands` tells how much it was used.
        ..Facts::default()
    })
}

fn instant(pointer: &str, text: &str) -> Result<i64, PolicyError> {
    match moment(text) {
        Some(Moment::Instant(ms)) => Ok(ms),
        Some(Moment::Day { start, .. }) => Ok(start),
        None => Err(fault(pointer, format!("`{text}` is not a dateTime or a date"))),
    }
}

fn fault(pointer: &str, message: impl Into<String>) -> PolicyError {
    let member = pointer.trim_start_matches('/').replace('/', ".");
    PolicyError::new("case", &At::pointer(pointer).named(&member), message)
}

/// An error of the policy, with its place in the case.
fn in_policy(error: PolicyError) -> PolicyError {
    PolicyError { pointer: format!("/policy{}", error.pointer), ..error }
}

fn report(policy: &Policy, document: &Document, explanation: &Explanation, action: &str, facts: &Facts) -> Report {
    let rules: Vec<RuleReport> = explanation
        .rules
        .iter()
        .map(|rule| {
            let told = Told { rule, places: Places::of(document), facts };
            told.report(policy, action)
        })
        .collect();
    let named = |effect: Effect| {
        let rules = explanation.rules.iter().filter(|rule| rule.effect == effect);
        rules.map(|rule| rule.rule.clone()).collect::<Vec<_>>()
    };
    let (permits, forbids) = (named(Effect::Permits), named(Effect::Forbids));
    Report {
        decision: CaseDecision {
            allow: explanation.allow,
            void: !permits.is_empty() && !forbids.is_empty() && policy.compiled.conflict == Conflict::Invalid,
            permits,
            forbids,
            obligations: named(Effect::Obliges),
            reasons: explanation.reasons.iter().map(|reason| reason.sentence.clone()).collect(),
        },
        rules,
    }
}

/// The rules of a document by the places that errors and explanations name.
struct Places<'a> {
    document: &'a Document,
    rules: BTreeMap<String, (String, &'a Json)>,
}

impl<'a> Places<'a> {
    fn of(document: &'a Document) -> Self {
        let mut rules = BTreeMap::new();
        for kind in Kind::ALL {
            let Some(list) = document.policy.get(kind.as_str()) else { continue };
            for (index, rule) in items(list).into_iter().enumerate() {
                let step = if list.is_array() { format!("/{index}") } else { String::new() };
                let pointer = format!("/{}{step}", kind.as_str());
                rules.insert(document.pointer(&pointer), (pointer, rule));
            }
        }
        Self { document, rules }
    }
}

struct Told<'a> {
    rule: &'a RuleExplanation,
    places: Places<'a>,
    facts: &'a Facts,
}

impl Told<'_> {
    fn report(&self, policy: &Policy, action: &str) -> RuleReport {
        let rule = self.rule;
        let parts = match &rule.condition {
            None => &[],
            Some(root) if root.is_conjunction() => root.parts.as_slice(),
            Some(root) => std::slice::from_ref(root),
        };
        let of = |wanted: Part| Truth::all(parts.iter().filter(|part| part.part() == wanted).map(|part| part.truth));
        let own = of(Part::Rule);
        let open = rule.duties.iter().any(|duty| duty.due && is_asked(rule, duty));
        let obligation = rule.kind == Kind::Obligation.as_str();
        RuleReport {
            rule: rule.rule.clone(),
            kind: rule.kind,
            active: if rule.kind == Kind::Permission.as_str() {
                own == Truth::True && !open
            } else {
                own != Truth::False
            },
            premises: Premises {
                target: self.named_target(policy).and(of(Part::Target)),
                party: of(Part::Party).into(),
                action: self.named_action(action).and(of(Part::Action)),
            },
            constraints: self.constraints(parts),
            duties: rule.duties.clone(),
            state: obligation.then(|| self.facts.duty(&rule.rule)),
        }
    }

    fn named_action(&self, asked: &str) -> Named {
        Named(action_with_ancestors(asked).iter().any(|action| self.rule.actions.iter().any(|own| own == action)))
    }

    fn named_target(&self, policy: &Policy) -> Named {
        let targets = policy
            .compiled
            .rules
            .iter()
            .find(|rule| rule.rule.id == self.rule.rule && rule.rule.pointer == self.rule.pointer)
            .map(|rule| rule.rule.targets.as_slice())
            .unwrap_or_default();
        let asked = self.facts.target.as_deref().or(policy.compiled.target.as_deref());
        let meant = self.facts.targets(asked);
        Named(targets.is_empty() || targets.iter().any(|target| meant.contains(target.as_str())))
    }

    /// The constraints of the rule as they stand in the document.
    fn constraints(&self, parts: &[ConditionExplanation]) -> BTreeMap<String, State> {
        let mut truths = BTreeMap::new();
        parts.iter().for_each(|part| leaves(part, &mut truths));
        let mut states = BTreeMap::new();
        if let Some((pointer, rule)) = self.places.rules.get(&self.rule.pointer)
            && let Some(constraint) = rule.get("constraint")
        {
            let place = Place { label: format!("{}.c", self.rule.rule), pointer: format!("{pointer}/constraint") };
            self.walk(constraint, &place, &truths, &mut states);
        }
        states
    }

    /// The truths of a list of constraints; each of them is noted under its name.
    fn walk(
        &self,
        list: &Json,
        place: &Place,
        truths: &BTreeMap<&str, Truth>,
        states: &mut BTreeMap<String, State>,
    ) -> Vec<Truth> {
        let mut found = Vec::new();
        for (index, one) in items(list).into_iter().enumerate() {
            let step = if list.is_array() { format!("/{index}") } else { String::new() };
            let pointer = format!("{}{step}", place.pointer);
            let label = format!("{}{index}", place.label);
            let logical = ["and", "andSequence", "or", "xone"].iter().find_map(|name| Some((*name, one.get(name)?)));
            let truth = match logical {
                Some((name, inner)) => {
                    let place = Place { label: format!("{label}."), pointer: format!("{pointer}/{name}") };
                    let parts = self.walk(inner, &place, truths, states);
                    match name {
                        "or" => Truth::any(parts),
                        "xone" => Truth::exactly_one(parts),
                        _ => Truth::all(parts),
                    }
                }
                None => truths.get(self.places.document.pointer(&pointer).as_str()).copied().unwrap_or(Truth::Unknown),
            };
            let own = one.get("@id").and_then(Json::as_str).filter(|id| !id.starts_with("_:"));
            states.insert(own.map_or(label, str::to_owned), truth.into());
            found.push(truth);
        }
        found
    }
}

struct Place {
    label: String,
    pointer: String,
}

/// Whether what is asked for is among what the rule names.
struct Named(bool);

impl Named {
    fn and(self, refinement: Truth) -> State {
        if self.0 { refinement.into() } else { State::Unsatisfied }
    }
}

fn leaves<'a>(condition: &'a ConditionExplanation, truths: &mut BTreeMap<&'a str, Truth>) {
    if condition.parts.is_empty() {
        truths.insert(&condition.pointer, condition.truth);
    }
    condition.parts.iter().for_each(|part| leaves(part, truths));
}

/// Whether the duty is one that the permission itself asks for, and no consequence of another.
fn is_asked(rule: &RuleExplanation, duty: &DutyReport) -> bool {
    rule.kind == Kind::Permission.as_str() && duty.text.starts_with("duty ")
}
