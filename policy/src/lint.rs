//! What is wrong, doubtful or worth knowing about a policy before it is used.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::calendar::Zone;
use crate::clash::{ended, never};
use crate::compile::{Compiled, CompiledRule};
use crate::document;
use crate::duties::comes_first;
use crate::error::PolicyError;
use crate::model::{Atom, Condition, Duty, Kind, Scalar};
use crate::region::is_known;
use crate::vocabulary::{Left, action_with_ancestors, term};
use crate::{MUNICIPAL_PROFILE, Policy, PolicySource};
use policy_plan::{Conflict, Meter};

/// The most errors that are looked for in one policy.
const MOST_ERRORS: usize = 32;

/// Actions after which nothing is left to be done: without a moment for that, nobody can say that they are late.
const ONCE: [&str; 7] = ["archive", "compensate", "delete", "inform", "move", "reviewPolicy", "uninstall"];

/// One thing about a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Stable code in snake case, for example `rule_never_holds`.
    pub code: &'static str,
    /// JSON pointer to the place in the policy; empty for the whole.
    pub pointer: String,
    /// The rule, for example `permission p0`; `None` when the policy as a whole is meant.
    pub rule: Option<String>,
    /// What it is; lower case, without a final period.
    pub message: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policy cannot be used.
    Error,
    /// It can be used, but hardly means what it says.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The word in lists and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// Looks a policy over. Errors come first, then warnings, then what is only worth knowing; `now_ms` is the moment by which
/// times lie in the past.
#[must_use]
pub fn lint(source: &PolicySource, now_ms: i64) -> Vec<Finding> {
    let mut findings: Vec<Finding> = errors(source).into_iter().map(from_error).collect();
    if findings.is_empty()
        && let Ok(policy) = Policy::compile(source)
    {
        let mut look = Look { policy: &policy.compiled, now_ms, findings: Vec::new() };
        look.rules();
        look.together();
        look.profile(source);
        findings = look.findings;
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn from_error(error: PolicyError) -> Finding {
    let member = if error.member.is_empty() { String::new() } else { format!("`{}`: ", error.member) };
    Finding {
        severity: Severity::Error,
        code: error.code,
        pointer: error.pointer,
        rule: error.rule,
        message: format!("{member}{}", error.message),
    }
}

/// The errors of all rules, as far as they can be told apart: a rule at fault is looked away from, and the rest read again.
fn errors(source: &PolicySource) -> Vec<PolicyError> {
    let mut source = source.clone();
    let mut errors: Vec<PolicyError> = Vec::new();
    while errors.len() < MOST_ERRORS {
        let Err(error) = Policy::compile(&source) else { break };
        let rule = rule_at(&mut source.rules, &error.pointer);
        errors.push(error);
        match rule {
            Some(rule) => *rule = json!({"action": "use"}),
            None => break,
        }
    }
    errors
}

/// The rule of a list at policy level that the pointer leads into; `None` when it has been looked away from already.
fn rule_at<'a>(rules: &'a mut Json, pointer: &str) -> Option<&'a mut Json> {
    let mut steps = pointer.split('/').skip(1);
    let (list, index) = (steps.next()?, steps.next()?.parse::<usize>().ok()?);
    let list = list.replace("~1", "/").replace("~0", "~");
    if !Kind::ALL.iter().any(|kind| kind.as_str() == term(&list)) {
        return None;
    }
    let rule = rules.get_mut(&list)?.get_mut(index)?;
    (*rule != json!({"action": "use"})).then_some(rule)
}

struct Look<'a> {
    policy: &'a Compiled,
    now_ms: i64,
    findings: Vec<Finding>,
}

impl<'a> Look<'a> {
    fn note(&mut self, severity: Severity, code: &'static str, rule: Option<&CompiledRule>, message: String) {
        let pointer = rule.map(|rule| rule.rule.pointer.clone()).unwrap_or_default();
        self.note_at(severity, code, rule, pointer, message);
    }

    fn note_at(
        &mut self,
        severity: Severity,
        code: &'static str,
        rule: Option<&CompiledRule>,
        pointer: String,
        message: String,
    ) {
        let rule = rule.map(|rule| rule.rule.label());
        self.findings.push(Finding { severity, code, pointer, rule, message });
    }

    /// What can be said of one rule alone.
    fn rules(&mut self) {
        for rule in &self.policy.rules {
            if let Some(condition) = &rule.rule.condition {
                self.condition(rule, condition);
            }
            if rule.rule.kind == Kind::Permission {
                self.openness(rule);
            }
            let duties = rule.rule.obliged.iter().chain(&rule.rule.duties);
            duties.for_each(|duty| self.duty(rule, duty));
        }
    }

    fn condition(&mut self, rule: &'a CompiledRule, condition: &'a Condition) {
        let effect = match rule.rule.kind {
            Kind::Permission => "so it never permits anything",
            Kind::Prohibition | Kind::Obligation => "so it has no effect",
        };
        if let Some(never) = never(condition) {
            let message = format!("{}, {effect}", never.why);
            self.note_at(Severity::Warning, "rule_never_holds", Some(rule), place(never.at, rule), message);
        } else if let Some(atom) = ended(condition, self.now_ms) {
            let message = format!("`{}` is over, {effect} any more", atom.text);
            self.note_at(Severity::Warning, "rule_is_over", Some(rule), place(atom, rule), message);
        }
        let mut atoms = Vec::new();
        collect(condition, &mut atoms);
        for atom in &atoms {
            let (code, severity, message) = match &atom.left {
                Left::Membership if !atom.right.iter().any(|value| value.to_string() == "active") => {
                    let message = format!("`{}`: a membership that holds is told as `active`", atom.text);
                    ("membership_value", Severity::Warning, message)
                }
                Left::Spatial | Left::NutsRegion if atom.right.iter().any(|place| !is_listed(place)) => {
                    let message = format!(
                        "`{}`: no list of regions here has that name, so it agrees with the very same name only; an area of the operator's is known to the control plane",
                        atom.text
                    );
                    ("place_not_listed", Severity::Info, message)
                }
                Left::Calendar(clock) if clock.zone == Zone::UTC => {
                    let message =
                        format!("`{}` goes by the clock of UTC; name a zone as `Europe/Rome` in `unit`", atom.text);
                    ("clock_of_utc", Severity::Info, message)
                }
                left if rule.rule.kind == Kind::Prohibition && is_told_by_others(left) => {
                    let message =
                        format!("the prohibition counts, too, for those of whom nobody tells the `{}`", left.name());
                    ("applies_when_unknown", Severity::Info, message)
                }
                _ => continue,
            };
            self.note_at(severity, code, Some(rule), place(atom, rule), message);
        }
    }

    /// Whether a permission asks for anything that can be verified.
    fn openness(&mut self, rule: &'a CompiledRule) {
        let mut atoms = Vec::new();
        rule.rule.condition.iter().for_each(|condition| collect(condition, &mut atoms));
        let is_purpose = |atom: &&&Atom| atom.left == Left::Purpose;
        let is_verified = |atom: &&Atom| {
            is_told_by_others(&atom.left) || matches!(atom.left, Left::Recipient | Left::Consent | Left::Event)
        };
        if let Some(purpose) = atoms.iter().find(is_purpose)
            && !atoms.iter().any(is_verified)
        {
            let message = format!(
                "`{}` rests on what the consumer says of itself alone; ask for a membership or a credential, too",
                purpose.text
            );
            let pointer = place(purpose, rule);
            self.note_at(Severity::Warning, "purpose_self_declared", Some(rule), pointer, message);
        }
        if atoms.is_empty() && rule.rule.duties.is_empty() {
            let is_bound = self.policy.rules.iter().any(|rule| rule.rule.kind == Kind::Obligation);
            let severity = if is_bound { Severity::Info } else { Severity::Warning };
            let message = "everybody who may see the offer may use the data, for ever".to_owned();
            self.note(severity, "permission_open", Some(rule), message);
        }
    }

    fn duty(&mut self, rule: &CompiledRule, duty: &Duty) {
        let actions = duty.actions.join(", ");
        if rule.rule.kind == Kind::Permission && comes_first(duty) {
            let message = format!("nothing is permitted until the duty `{actions}` is marked as fulfilled");
            self.note(Severity::Info, "duty_comes_first", Some(rule), message);
        }
        let message =
            format!("no software here sees whether `{actions}` is done; it is recorded, and people see to it");
        self.note(Severity::Info, "duty_of_people", Some(rule), message);
        let mut atoms = Vec::new();
        duty.condition.iter().chain(&duty.refinement).for_each(|condition| collect(condition, &mut atoms));
        let tells_time = |atom: &&Atom| {
            matches!(atom.left, Left::DateTime | Left::SinceAgreement | Left::Delay | Left::Usage(Meter::Elapsed))
        };
        let is_once = duty.actions.iter().any(|action| ONCE.contains(&action.as_str()));
        if is_once && !atoms.iter().any(tells_time) && matches!(rule.rule.kind, Kind::Permission | Kind::Obligation) {
            let message = format!(
                "`{actions}` has no deadline, so it can never be late; add one with `dateTime` or `inForceDate`"
            );
            self.note(Severity::Warning, "duty_without_deadline", Some(rule), message);
        }
        duty.consequences.iter().for_each(|next| self.duty(rule, next));
    }

    /// What rules mean for each other.
    fn together(&mut self) {
        let rules = &self.policy.rules;
        let of = |kind| rules.iter().filter(move |rule: &&CompiledRule| rule.rule.kind == kind);
        if !of(Kind::Permission).any(|rule| rule.rule.actions.iter().any(|action| action == "use")) {
            let message =
                "no permission covers `use`, which is what contracts are about, so nobody gets anything".to_owned();
            self.note(Severity::Warning, "use_not_permitted", None, message);
        }
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for rule in rules {
            match known.get(&content(rule)) {
                Some(first) => {
                    let message = format!("it says the same as {first}");
                    self.note(Severity::Warning, "rule_twice", Some(rule), message);
                }
                None => drop(known.insert(content(rule), rule.rule.label())),
            }
        }
        for permission in of(Kind::Permission) {
            for other in of(Kind::Permission).filter(|other| !std::ptr::eq(*other, permission)) {
                let asks = other.rule.condition.is_some() || !other.rule.duties.is_empty();
                if asks && is_unconditional(permission) && covers(permission, other) {
                    let message = format!(
                        "it asks in vain: {} permits the same without asking for anything, and one permission is enough",
                        permission.rule.label()
                    );
                    self.note(Severity::Warning, "rule_without_effect", Some(other), message);
                }
            }
            for prohibition in of(Kind::Prohibition).filter(|rule| is_unconditional(rule) && covers(rule, permission)) {
                let (label, other) = (prohibition.rule.label(), permission.rule.label());
                if self.policy.conflict == Conflict::Perm {
                    let message = format!("it has no effect on what {other} permits, since permissions win here");
                    self.note(Severity::Warning, "rule_without_effect", Some(prohibition), message);
                } else {
                    let void = if self.policy.conflict == Conflict::Invalid {
                        "; the conflict voids the policy, as long as `conflict` does not say otherwise"
                    } else {
                        ""
                    };
                    let message = format!("{label} forbids all that it permits{void}");
                    self.note(Severity::Warning, "permission_void", Some(permission), message);
                }
            }
        }
    }

    /// Whether a policy says that it uses the words of the municipal profile.
    fn profile(&mut self, source: &PolicySource) {
        let is_named = |document: document::Document| document.policy.get("profile").is_some();
        if source.profile.is_some() || document::read(&source.rules).is_ok_and(is_named) {
            return;
        }
        let own = self.policy.atoms.iter().find(|(_, atom)| match &atom.left {
            Left::Calendar(_)
            | Left::Consent
            | Left::Membership
            | Left::NutsRegion
            | Left::Role
            | Left::Transfers
            | Left::Usage(Meter::Volume) => true,
            Left::Claim { name, .. } => name.starts_with("credential:"),
            _ => false,
        });
        if let Some((_, atom)) = own {
            let message = format!(
                "`{}` is a word of the municipal profile, which the policy does not name; add `profile`: {MUNICIPAL_PROFILE}",
                atom.text
            );
            self.note_at(Severity::Warning, "profile_not_named", None, atom.origin.pointer.clone(), message);
        }
    }
}

fn place(atom: &Atom, rule: &CompiledRule) -> String {
    if atom.origin.pointer.is_empty() { rule.rule.pointer.clone() } else { atom.origin.pointer.clone() }
}

fn collect<'a>(condition: &'a Condition, atoms: &mut Vec<&'a Atom>) {
    match condition {
        Condition::Atom(atom) => atoms.push(atom),
        Condition::And(parts) | Condition::Or(parts) | Condition::Xone(parts) => {
            parts.iter().for_each(|part| collect(part, atoms));
        }
    }
}

/// Whether the value comes from what others vouch for, so that it may be missing.
fn is_told_by_others(left: &Left) -> bool {
    matches!(left, Left::Spatial | Left::NutsRegion | Left::Membership | Left::Role | Left::Device | Left::Claim { .. })
}

fn is_listed(place: &Scalar) -> bool {
    match place {
        Scalar::Text(name) => is_known(name),
        _ => true,
    }
}

fn is_unconditional(rule: &CompiledRule) -> bool {
    rule.rule.condition.is_none() && rule.rule.duties.is_empty() || {
        rule.rule.kind == Kind::Prohibition && rule.rule.condition.is_none()
    }
}

/// Whether whatever the second rule speaks of, the first speaks of, too.
fn covers(first: &CompiledRule, second: &CompiledRule) -> bool {
    let targets = &first.rule.targets;
    let same = targets.is_empty()
        || (!second.rule.targets.is_empty() && second.rule.targets.iter().all(|target| targets.contains(target)));
    same && second.rule.actions.iter().all(|action| {
        action_with_ancestors(action).iter().any(|wider| first.rule.actions.iter().any(|own| own == wider))
    })
}

/// What a rule says, without its name.
fn content(rule: &CompiledRule) -> String {
    let rule = &rule.rule;
    let duties: Vec<String> = rule.obliged.iter().chain(&rule.duties).map(duty_content).collect();
    let condition = rule.condition.as_ref().map(Condition::text).unwrap_or_default();
    format!("{:?} {:?} {:?} {condition} {duties:?}", rule.kind, rule.actions, rule.targets)
}

fn duty_content(duty: &Duty) -> String {
    let when = duty.condition.as_ref().map(Condition::text).unwrap_or_default();
    let next: Vec<String> = duty.consequences.iter().map(duty_content).collect();
    format!("{} {when} {next:?}", duty.what)
}
