//! A policy after reading: rules with conditions over atoms (ODRL 2.2 Information Model).

use policy_plan::{Conflict, instant_text};
use serde::Serialize;

use crate::area::Area;
use crate::vocabulary::{Left, Operator};

/// A value that a constraint compares with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Integer(i64),
    Decimal(f64),
    Bool(bool),
    /// Milliseconds since the Unix epoch.
    Instant(i64),
    /// Milliseconds after the agreement.
    AfterAgreement(i64),
    /// A length of time in milliseconds.
    Duration(i64),
    /// Polygons that a position may lie in.
    Area(Area),
}

impl Scalar {
    /// The name that relations between things are told by.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Text(name) => Some(name),
            Self::Area(area) => Some(&area.key),
            _ => None,
        }
    }

    /// The kind, for telling values apart that cannot be compared.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) | Self::Decimal(_) => "number",
            Self::Bool(_) => "boolean",
            Self::Instant(_) => "dateTime",
            Self::Duration(_) => "duration",
            Self::AfterAgreement(_) => "time after the agreement",
            Self::Area(_) => "area",
        }
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Decimal(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Instant(ms) => f.write_str(&instant_text(*ms)),
            Self::Duration(ms) => write!(f, "{} s", ms / 1_000),
            Self::AfterAgreement(ms) => write!(f, "{} s after the agreement", ms / 1_000),
            Self::Area(area) => f.write_str(&area.text),
        }
    }
}

/// ODRL 2.2, Constraint: one comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Atom {
    pub(crate) left: Left,
    pub(crate) operator: Operator,
    /// The right values; never empty.
    pub(crate) right: Vec<Scalar>,
    /// The comparison as the policy writes it.
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// Where a comparison comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Origin {
    pub(crate) part: Part,
    /// JSON pointer into the document as it was given; empty for what the caller told beside it.
    pub(crate) pointer: String,
}

/// What of a rule a comparison narrows (ODRL 2.2, Rule).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The rule itself: its constraints.
    #[default]
    Rule,
    /// The action: its refinements.
    Action,
    /// The asset: the target that is a collection, or refined.
    Target,
    /// The party: the assignee.
    Party,
}

impl Atom {
    /// The name under which the left value is handed to the evaluator: one for each way of reading it.
    pub(crate) fn operand(&self) -> String {
        match self.right.first() {
            Some(Scalar::Instant(_)) if !matches!(self.left, Left::DateTime) => {
                format!("{}#dateTime", self.left.name())
            }
            Some(Scalar::AfterAgreement(_)) => format!("{}#afterAgreement", self.left.name()),
            Some(Scalar::Duration(_)) => format!("{}#duration", self.left.name()),
            _ => self.left.name().to_owned(),
        }
    }
}

/// ODRL 2.2, Constraint and Logical Constraint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Atom(Atom),
    And(Vec<Self>),
    Or(Vec<Self>),
    Xone(Vec<Self>),
}

impl Condition {
    /// All of them; what is nested in the same way is drawn up, and a list of one is that one.
    pub(crate) fn all(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        Self::single(flat, Self::And)
    }

    /// At least one of them.
    pub(crate) fn any(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        Self::single(flat, Self::Or)
    }

    /// Exactly one of them.
    pub(crate) fn exactly_one(parts: Vec<Self>) -> Self {
        Self::single(parts, Self::Xone)
    }

    fn single(mut parts: Vec<Self>, make: fn(Vec<Self>) -> Self) -> Self {
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                parts.extend(last);
                make(parts)
            }
        }
    }

    /// Its comparisons.
    pub(crate) fn atoms_mut(&mut self, each: &mut dyn FnMut(&mut Atom)) {
        match self {
            Self::Atom(atom) => each(atom),
            Self::And(parts) | Self::Or(parts) | Self::Xone(parts) => {
                parts.iter_mut().for_each(|part| part.atoms_mut(each));
            }
        }
    }

    /// Readable form.
    pub(crate) fn text(&self) -> String {
        let list = |parts: &[Self], word: &str| {
            let mut texts: Vec<String> = parts.iter().map(Self::nested_text).collect();
            // One day given as two instants reads as one comparison.
            texts.dedup();
            texts.join(word)
        };
        match self {
            Self::Atom(atom) => atom.text.clone(),
            Self::And(parts) => list(parts, " and "),
            Self::Or(parts) => list(parts, " or "),
            Self::Xone(parts) => format!("exactly one of ({})", list(parts, "; ")),
        }
    }

    fn nested_text(&self) -> String {
        match self {
            Self::And(_) | Self::Or(_) => {
                let text = self.text();
                if text.contains(" and ") || text.contains(" or ") { format!("({text})") } else { text }
            }
            other => other.text(),
        }
    }
}

/// ODRL 2.2, Rule classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Permission,
    Prohibition,
    /// A duty at policy level.
    Obligation,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Permission, Self::Prohibition, Self::Obligation];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Prohibition => "prohibition",
            Self::Obligation => "obligation",
        }
    }

    /// Prefix of the identifiers that rules without one get.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Permission => 'p',
            Self::Prohibition => 'x',
            Self::Obligation => 'o',
        }
    }
}

/// ODRL 2.2, Rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// The rule's own identifier, or its letter and place.
    pub(crate) id: String,
    /// Where it stands in the policy, as a JSON pointer.
    pub(crate) pointer: String,
    pub(crate) kind: Kind,
    /// Any of them is meant.
    pub(crate) actions: Vec<String>,
    /// Any of them is meant; empty for whatever is asked for.
    pub(crate) targets: Vec<String>,
    /// `None` when nothing is asked for.
    pub(crate) condition: Option<Condition>,
    /// Duties of a permission, remedies of a prohibition, consequences of an obligation.
    pub(crate) duties: Vec<Duty>,
    /// What an obligation obliges to; `None` for permissions and prohibitions.
    pub(crate) obliged: Option<Duty>,
}

/// ODRL 2.2, Duty: what has to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Duty {
    /// Its own identifier, or that of its rule, a dot, its letter and place.
    pub(crate) id: String,
    pub(crate) role: DutyRole,
    /// The actions that are to be done.
    pub(crate) actions: Vec<String>,
    /// What narrows the actions; nobody evaluates it, but it may tell by when they are to be done.
    pub(crate) refinement: Vec<Condition>,
    /// What is to be done, in readable form: `compensate (payAmount eq 5)`.
    pub(crate) what: String,
    /// When it is to be done; `None` for always.
    pub(crate) condition: Option<Condition>,
    /// What is to be done as well when it has not been done.
    pub(crate) consequences: Vec<Self>,
}

/// ODRL 2.2, Duty: why something has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DutyRole {
    /// A permission asks for it.
    Duty,
    /// The policy as a whole asks for it.
    Obligation,
    /// It makes good for an infringed prohibition.
    Remedy,
    /// It follows from a neglected duty or obligation.
    Consequence,
}

impl DutyRole {
    /// The role's name in records and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duty => "duty",
            Self::Obligation => "obligation",
            Self::Remedy => "remedy",
            Self::Consequence => "consequence",
        }
    }

    pub(crate) fn letter(self) -> char {
        match self {
            Self::Duty => 'd',
            Self::Obligation => 'o',
            Self::Remedy => 'r',
            Self::Consequence => 'c',
        }
    }
}

impl Duty {
    /// The duty in readable form: `duty p0.d0: inform, when dateTime gt 2026-01-01`.
    pub(crate) fn text(&self) -> String {
        clipped(&format!("{} {}: {}", self.role.as_str(), self.id, self.content()), MAX_RULE_TEXT)
    }

    fn content(&self) -> String {
        let when = self.condition.as_ref().map(|condition| format!(", when {}", condition.text())).unwrap_or_default();
        format!("{}{when}", self.what)
    }
}

impl Rule {
    /// How the rule is called in reasons: `permission p0`.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.id)
    }

    /// The rule in readable form: `permission p0: spatial isPartOf urn:iso:EU`.
    pub(crate) fn text(&self) -> String {
        let what = match (&self.obliged, &self.condition) {
            (Some(obliged), _) => obliged.content(),
            (None, Some(condition)) => condition.text(),
            (None, None) => self.actions.join(", "),
        };
        clipped(&format!("{}: {what}", self.label()), MAX_RULE_TEXT)
    }
}

/// Characters of a rule in readable form, of one comparison, and of one value.
pub(crate) const MAX_RULE_TEXT: usize = 1_000;
pub(crate) const MAX_COMPARISON_TEXT: usize = 300;
pub(crate) const MAX_VALUE_TEXT: usize = 120;

/// The text, cut so that messages and plans stay readable.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A policy after reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) rules: Vec<Rule>,
    pub(crate) target: Option<String>,
    pub(crate) conflict: Conflict,
    /// When the agreement was made, milliseconds since the Unix epoch.
    pub(crate) agreed_at_ms: Option<i64>,
    /// Whether every duty of a permission has to be done before use.
    pub(crate) all_duties_first: bool,
}
