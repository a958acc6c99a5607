//! Three-valued conditions over time and use.

use serde::{Deserialize, Serialize};

use crate::{Meter, Used, Weekly};

/// Truth in Kleene's three-valued logic. An operand that nobody vouches for, or that cannot be compared, is `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    /// The condition does not hold.
    False,
    /// Nobody can tell.
    Unknown,
    /// The condition holds.
    True,
}

impl Truth {
    /// ODRL 2.2, Logical Constraint `and`: all hold.
    pub fn all(values: impl IntoIterator<Item = Self>) -> Self {
        values.into_iter().fold(Self::True, |so_far, next| match (so_far, next) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::True,
        })
    }

    /// ODRL 2.2, Logical Constraint `or`: at least one holds.
    pub fn any(values: impl IntoIterator<Item = Self>) -> Self {
        values.into_iter().fold(Self::False, |so_far, next| match (so_far, next) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::False,
        })
    }

    /// ODRL 2.2, Logical Constraint `xone`: exactly one holds.
    pub fn exactly_one(values: impl IntoIterator<Item = Self>) -> Self {
        let (mut holding, mut unknown) = (0_usize, false);
        for value in values {
            match value {
                Self::True => holding += 1,
                Self::Unknown => unknown = true,
                Self::False => {}
            }
        }
        match (holding, unknown) {
            (2.., _) => Self::False,
            (_, true) => Self::Unknown,
            (1, false) => Self::True,
            (_, false) => Self::False,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Operators that compare the clock with an instant, or a meter with its limit (ODRL 2.2 Vocabulary, Constraint Operators).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeOperator {
    /// Before the instant.
    Lt,
    /// Not after the instant.
    Lteq,
    /// The very millisecond.
    Eq,
    /// Any other millisecond.
    Neq,
    /// Not before the instant.
    Gteq,
    /// After the instant.
    Gt,
}

impl TimeOperator {
    /// Whether `now` stands in this relation to `instant`; both in milliseconds since the Unix epoch.
    #[must_use]
    pub fn holds(self, now: i64, instant: i64) -> bool {
        match self {
            Self::Lt => now < instant,
            Self::Lteq => now <= instant,
            Self::Eq => now == instant,
            Self::Neq => now != instant,
            Self::Gteq => now >= instant,
            Self::Gt => now > instant,
        }
    }

    /// The first millisecond after `now` at which [`holds`](Self::holds) gives another answer.
    #[must_use]
    pub fn next_change(self, now: i64, instant: i64) -> Option<i64> {
        let after = instant.checked_add(1);
        let changes = match self {
            Self::Lt | Self::Gteq => [Some(instant), None],
            Self::Lteq | Self::Gt => [after, None],
            Self::Eq | Self::Neq => [Some(instant), after],
        };
        changes.into_iter().flatten().filter(|&change| change > now).min()
    }

    /// The operator's name in the ODRL vocabulary.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lt => "lt",
            Self::Lteq => "lteq",
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::Gteq => "gteq",
            Self::Gt => "gt",
        }
    }
}

/// A condition in which only the time and the use are still open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Expr {
    /// Decided when the plan was made.
    Known(Truth),
    /// The clock compared with an instant (ODRL left operand `dateTime`).
    #[serde(rename_all = "camelCase")]
    DateTime {
        /// How they are compared.
        operator: TimeOperator,
        /// The instant, in milliseconds since the Unix epoch.
        epoch_ms: i64,
    },
    /// The clock of one place compared with days and hours (left operands `dayOfWeek`, `hourOfDay` and `timeOfDay`).
    Weekly(Weekly),
    /// What has been used compared with a limit (left operands `count`, `meteredTime`, `elapsedTime`, `timeInterval` and
    /// `volume`).
    Usage {
        /// What is measured.
        meter: Meter,
        /// How they are compared.
        operator: TimeOperator,
        /// The limit: a number of uses, milliseconds or bytes.
        limit: i64,
    },
    /// It does not hold; what nobody can tell stays so.
    Not(Box<Self>),
    /// All hold.
    And(Vec<Self>),
    /// At least one holds.
    Or(Vec<Self>),
    /// Exactly one holds.
    Xone(Vec<Self>),
}

impl Expr {
    /// The condition's truth at `now_ms`, when so much has been used.
    #[must_use]
    pub fn at(&self, now_ms: i64, used: &Used) -> Truth {
        match self {
            Self::Known(truth) => *truth,
            Self::DateTime { operator, epoch_ms } => operator.holds(now_ms, *epoch_ms).into(),
            Self::Weekly(weekly) => weekly.at(now_ms),
            Self::Usage { meter, operator, limit } => {
                used.shows(*meter, now_ms).map_or(Truth::Unknown, |shown| operator.holds(shown, *limit).into())
            }
            Self::Not(inner) => match inner.at(now_ms, used) {
                Truth::True => Truth::False,
                Truth::Unknown => Truth::Unknown,
                Truth::False => Truth::True,
            },
            Self::And(parts) => Truth::all(parts.iter().map(|part| part.at(now_ms, used))),
            Self::Or(parts) => Truth::any(parts.iter().map(|part| part.at(now_ms, used))),
            Self::Xone(parts) => Truth::exactly_one(parts.iter().map(|part| part.at(now_ms, used))),
        }
    }

    /// The first millisecond after `now_ms` at which some comparison inside gives, or may give, another answer, as long as
    /// nothing more is used.
    #[must_use]
    pub fn next_change(&self, now_ms: i64, used: &Used) -> Option<i64> {
        match self {
            Self::Known(_) => None,
            Self::DateTime { operator, epoch_ms } => operator.next_change(now_ms, *epoch_ms),
            Self::Weekly(weekly) => weekly.next_change(now_ms),
            Self::Usage { meter, operator, limit } => {
                operator.next_change(now_ms, used.start(*meter)?.saturating_add(*limit))
            }
            Self::Not(inner) => inner.next_change(now_ms, used),
            Self::And(parts) | Self::Or(parts) | Self::Xone(parts) => {
                parts.iter().filter_map(|part| part.next_change(now_ms, used)).min()
            }
        }
    }

    /// Whether the clock or the use has any part in the condition.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::Known(_) => false,
            Self::DateTime { .. } | Self::Weekly(_) | Self::Usage { .. } => true,
            Self::Not(inner) => inner.is_open(),
            Self::And(parts) | Self::Or(parts) | Self::Xone(parts) => parts.iter().any(Self::is_open),
        }
    }

    /// Calls `look` with every comparison with a meter: what it measures, and its limit.
    pub(crate) fn each_meter(&self, look: &mut impl FnMut(Meter, i64)) {
        match self {
            Self::Known(_) | Self::DateTime { .. } | Self::Weekly(_) => {}
            Self::Usage { meter, limit, .. } => look(*meter, *limit),
            Self::Not(inner) => inner.each_meter(look),
            Self::And(parts) | Self::Or(parts) | Self::Xone(parts) => {
                parts.iter().for_each(|part| part.each_meter(look));
            }
        }
    }

    /// Whether a comparison with the clock itself has a part in the condition.
    pub(crate) fn reads_clock(&self) -> bool {
        match self {
            Self::Known(_) | Self::Usage { .. } => false,
            Self::DateTime { .. } | Self::Weekly(_) => true,
            Self::Not(inner) => inner.reads_clock(),
            Self::And(parts) | Self::Or(parts) | Self::Xone(parts) => parts.iter().any(Self::reads_clock),
        }
    }
}
