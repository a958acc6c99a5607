//! A policy that can be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy_plan::Residual;
use serde_json::Value as Json;

use crate::compile::{Compiled, compile};
use crate::explain::Case;
use crate::facts::{Moments, Operands};
use crate::model::{Kind, Rule, Scalar};
use crate::rego::{Request, Verdict, evaluate};
use crate::vocabulary::{Left, action_with_ancestors, action_with_parts};
use crate::{Decision, DutyTerm, Facts, PolicyError, Scope, duties, fold, parse};

/// A policy before it is compiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicySource {
    /// Object with `permission`, `prohibition` and `obligation`, as in a DSP offer or agreement (ODRL 2.2, Policy). The
    /// policy's own members (`@id`, `@type`, `target`, `assigner`, `assignee`, `profile`, `conflict`, `timestamp`) may be
    /// there too.
    pub rules: Json,
    /// The dataset that the policy is about (ODRL 2.2, Asset).
    pub target: Option<String>,
    /// The provider (ODRL 2.2, Party).
    pub assigner: Option<String>,
    /// The party that the rules are for; `None` for everyone.
    pub assignee: Option<String>,
    /// IRI of the ODRL profile that the policy follows.
    pub profile: Option<String>,
    /// ODRL 2.2, Policy Conflict Strategy: `perm`, `prohibit` or `invalid`; `None` for `invalid`.
    pub conflict: Option<String>,
    /// When the agreement was made, in milliseconds since the Unix epoch; anchor of EDC's `contractAgreement+30d`.
    pub agreed_at_ms: Option<i64>,
    /// Areas that the operator has names for: WKT or GeoJSON polygons by the name that `spatial` may be compared with.
    pub areas: BTreeMap<String, Json>,
    /// Whether the facts may tell the value of any left operand of the vocabulary ([`Facts::operands`]) and of the asset
    /// ([`Facts::asset`]): for cases that are judged outside a connector. Without it a policy that looks at what nobody
    /// here can tell is not usable. With it every duty of a permission has to be fulfilled before use, as ODRL's formal
    /// semantics has it.
    pub any_facts: bool,
}

/// What a policy looks at of [`Facts`] beside time, party and claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks<'p> {
    /// [`Facts::events`].
    pub events: bool,
    /// [`Facts::consents`]: those that it names.
    pub consents: BTreeSet<&'p str>,
    /// [`Facts::duties`].
    pub duties: bool,
    /// [`Facts::usage`].
    pub usage: bool,
    /// [`Facts::transfers`].
    pub transfers: bool,
    /// [`Facts::asset`], [`Facts::asset_in`] and [`Facts::format`].
    pub asset: bool,
}

/// A compiled policy. Cheap to clone, and shared between threads.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) compiled: Arc<Compiled>,
}

/// What a decision rests on.
pub(crate) struct Considered {
    pub(crate) operands: Operands,
    pub(crate) verdict: Verdict,
    /// Duties that stand in no way, by their numbers.
    pub(crate) settled: Vec<usize>,
}

impl Policy {
    /// Reads and compiles a policy.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] that names the rule and the member, when something in the policy is not understood here.
    pub fn compile(source: &PolicySource) -> Result<Self, PolicyError> {
        Ok(Self { compiled: Arc::new(compile(parse::model(source)?)?) })
    }

    /// SHA-256 over the compiled form, lower-case hexadecimal: equal hashes decide alike and say the same. With the claims and
    /// [`Decision::valid_until_ms`] it can be the key under which decisions are remembered.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.compiled.hash
    }

    /// The rules in readable form, in the order of the policy: permissions, prohibitions, obligations.
    #[must_use]
    pub fn rules(&self) -> Vec<String> {
        self.compiled.rules.iter().map(|rule| rule.rule.text()).collect()
    }

    /// Everything that has, or may have, to be done under the policy: duties, obligations, remedies and consequences, each
    /// before what follows from it.
    #[must_use]
    pub fn duties(&self) -> Vec<DutyTerm> {
        duties::terms(&self.compiled)
    }

    /// The members of [`Facts::claims`] that its constraints look at: for `credential:A.b` it is `A`, for a subject type of Gaia-X that
    /// type. They tell which credentials
    /// have to be asked for.
    #[must_use]
    pub fn claims_read(&self) -> BTreeSet<&str> {
        let of = |left: &'_ Left| -> &'static [&'static str] {
            match left {
                Left::Membership => &["membership"],
                Left::Role => &["role"],
                Left::Spatial => &["spatial"],
                Left::Position => &["position", "location", "spatial"],
                Left::NutsRegion => &["nutsRegion"],
                Left::Device => &["systemDevice"],
                Left::Recipient
                | Left::Purpose
                | Left::DateTime
                | Left::SinceAgreement
                | Left::Delay
                | Left::Calendar(_)
                | Left::Usage(_)
                | Left::Transfers
                | Left::Event
                | Left::Consent
                | Left::Channel
                | Left::Format
                | Left::Target
                | Left::Asset { .. }
                | Left::Given { .. }
                | Left::Subject { .. }
                | Left::Claim { .. } => &[],
            }
        };
        let mut names = BTreeSet::new();
        for (_, atom) in &self.compiled.atoms {
            names.extend(of(&atom.left));
            match &atom.left {
                Left::Claim { path, .. } => names.extend(path.first().map(String::as_str)),
                Left::Subject { subject_type, .. } => names.extend([subject_type.as_str()]),
                _ => {}
            }
        }
        names
    }

    /// What else of the facts it looks at, so that whoever puts them together reads nothing in vain.
    #[must_use]
    pub fn looks_at(&self) -> Looks<'_> {
        let mut looks = Looks { duties: !self.compiled.duties.is_empty(), ..Looks::default() };
        let own = self.compiled.target.as_deref();
        looks.asset =
            self.compiled.rules.iter().flat_map(|rule| &rule.rule.targets).any(|target| Some(target.as_str()) != own);
        for (_, atom) in &self.compiled.atoms {
            match &atom.left {
                Left::Event => looks.events = true,
                Left::Usage(_) => looks.usage = true,
                Left::Transfers => looks.transfers = true,
                Left::Asset { .. } | Left::Format | Left::Target => looks.asset = true,
                Left::Consent => looks.consents.extend(atom.right.iter().filter_map(|value| match value {
                    Scalar::Text(id) => Some(id.as_str()),
                    _ => None,
                })),
                _ => {}
            }
        }
        looks
    }

    /// Decides whether the party of the facts may perform the action (ODRL 2.2, Permission, Prohibition and Policy
    /// Conflict Strategy).
    ///
    /// `action` is a term of the ODRL vocabulary in any spelling; a permission for an action covers all that is included
    /// in it. What is not known never opens access, and what nobody permits is denied.
    #[must_use]
    pub fn decide(&self, scope: Scope, action: &str, facts: &Facts) -> Decision {
        match self.considered(scope, action, facts) {
            Some(considered) => self.decision(facts, &self.case(scope, action, facts, &considered)),
            None => Decision::failed(facts.now_ms),
        }
    }

    /// What a decision rests on; `None` when the evaluator fails.
    pub(crate) fn considered(&self, scope: Scope, action: &str, facts: &Facts) -> Option<Considered> {
        let agreed_at_ms = scope.is_before_agreement().then_some(facts.now_ms);
        let now = Moments { at_ms: facts.now_ms, agreed_at_ms };
        let is_proposal = scope == Scope::Negotiation;
        let settled = duties::settled(&self.compiled, facts, is_proposal);
        let (operands, verdict) = self.judge(action, facts, now, is_proposal, &settled)?;
        if is_proposal
            && !verdict.allow
            && let Some(opening) = self.opening(&verdict, facts, now, &settled)
        {
            let then = Moments { at_ms: opening, ..now };
            let (operands, verdict) = self.judge(action, facts, then, is_proposal, &settled)?;
            return Some(Considered { operands, verdict, settled });
        }
        Some(Considered { operands, verdict, settled })
    }

    /// What is left of the policy for a data plane, with every fact but the clock and the use decided; it decides as
    /// [`decide`](Self::decide) does at [`Scope::Request`].
    #[must_use]
    pub fn residual(&self, action: &str, facts: &Facts) -> Residual {
        let settled = duties::settled(&self.compiled, facts, false);
        let now = Moments { at_ms: facts.now_ms, agreed_at_ms: None };
        match self.judge(action, facts, now, false, &settled) {
            None => fold::closed(&self.compiled),
            Some((_, verdict)) => fold::residual(&self.compiled, &verdict, &settled, now, false, |_| true),
        }
    }

    /// The same for an action that has to be permitted by its own name: a permission of a wider action, such as `use` for
    /// `modify`, does not permit it, and a prohibition of something that is included in it forbids it, too.
    #[must_use]
    pub fn residual_by_name(&self, action: &str, facts: &Facts) -> Residual {
        let settled = duties::settled(&self.compiled, facts, false);
        let now = Moments { at_ms: facts.now_ms, agreed_at_ms: None };
        let mut left = fold::closed(&self.compiled);
        for (place, asked) in action_with_parts(action).into_iter().enumerate() {
            let Some((_, verdict)) = self.judge(asked, facts, now, false, &settled) else {
                return fold::closed(&self.compiled);
            };
            let named = |rule: &Rule| rule.actions.iter().any(|action| action == asked);
            let speaks = |rule: &Rule| rule.kind == Kind::Prohibition || (place == 0 && named(rule));
            let rules = fold::residual(&self.compiled, &verdict, &settled, now, false, speaks);
            left.permissions.extend(rules.permissions);
            let further = rules.prohibitions.into_iter().filter(|rule| !left.prohibitions.contains(rule));
            let further: Vec<_> = further.collect();
            left.prohibitions.extend(further);
        }
        left
    }

    fn judge(
        &self,
        action: &str,
        facts: &Facts,
        at: Moments,
        is_proposal: bool,
        settled: &[usize],
    ) -> Option<(Operands, Verdict)> {
        let (operands, request) = self.asked(action, facts, at, is_proposal, settled);
        let verdict = evaluate(&self.compiled, &request, &operands)?;
        Some((operands, verdict))
    }

    /// What the evaluator is asked.
    pub(crate) fn asked<'a>(
        &'a self,
        action: &'a str,
        facts: &'a Facts,
        at: Moments,
        is_proposal: bool,
        settled: &[usize],
    ) -> (Operands, Request<'a>) {
        let target = facts.target.as_deref().or(self.compiled.target.as_deref());
        let nothing = BTreeMap::new();
        let assumed = if is_proposal { &self.compiled.hopes } else { &nothing };
        let operands = Operands::collect(&self.compiled.atoms, target, facts, at, assumed);
        let request = Request {
            actions: action_with_ancestors(action),
            targets: facts.targets(target).into_iter().collect(),
            settled: settled.to_vec(),
        };
        (operands, request)
    }

    /// The first moment to come at which the policy allows, if only the clock stands against it.
    fn opening(&self, verdict: &Verdict, facts: &Facts, now: Moments, settled: &[usize]) -> Option<i64> {
        let residual = fold::residual(&self.compiled, verdict, settled, now, true, |_| true);
        // Hours of the week come back for ever; with many constraints fewer of them are looked at.
        let mut steps = (400_000 / self.compiled.node_count.max(1)).clamp(64, 4_096);
        let mut next = residual.decide(now.at_ms, &facts.usage).next_boundary_ms;
        while let Some(at_ms) = next.filter(|_| steps > 0) {
            steps -= 1;
            let then = residual.decide(at_ms, &facts.usage);
            if then.allow {
                return Some(at_ms);
            }
            next = then.next_boundary_ms;
        }
        None
    }

    /// What reasons are told from.
    pub(crate) fn case<'a>(
        &'a self,
        scope: Scope,
        action: &'a str,
        facts: &'a Facts,
        considered: &'a Considered,
    ) -> Case<'a> {
        Case {
            policy: &self.compiled,
            action,
            facts,
            operands: &considered.operands,
            verdict: &considered.verdict,
            settled: considered.settled.clone(),
            times_are_minor: scope == Scope::Negotiation,
        }
    }

    pub(crate) fn decision(&self, facts: &Facts, case: &Case<'_>) -> Decision {
        let rules = case.verdict.obligations.iter().filter_map(|number| self.compiled.rules.get(*number));
        Decision {
            allow: case.verdict.allow,
            reasons: case.reasons(),
            obligations: rules.map(|rule| rule.rule.text()).collect(),
            duties: duties::reports(&self.compiled, facts, case.verdict),
            valid_until_ms: self.next_change(facts),
        }
    }

    fn next_change(&self, facts: &Facts) -> Option<i64> {
        let now_ms = facts.now_ms;
        let boundaries = self.compiled.atoms.iter().filter_map(|(_, atom)| match &atom.left {
            Left::Calendar(clock) => clock.next_change(atom.operator, &atom.right, now_ms),
            // Before the agreement it is not the clock that brings one nearer to times after it.
            _ => {
                let now = Moments { at_ms: now_ms, agreed_at_ms: None };
                fold::open(atom, now)?.next_change(now_ms, &facts.usage)
            }
        });
        boundaries.min()
    }
}
