//! What may be compared with which left operand, and how the comparison is carried out (ODRL 2.2 Vocabulary, Constraint
//! Left Operands).

use policy_plan::Meter;

use crate::model::Scalar;
use crate::region;
use crate::vocabulary::{Left, Operator};

/// Media types that are named by their place in the registry of IANA.
const IANA_MEDIA_TYPES: [&str; 2] =
    ["https://www.iana.org/assignments/media-types/", "http://www.iana.org/assignments/media-types/"];

/// The comparison as the evaluator carries it out.
///
/// # Errors
///
/// A sentence, when the operand cannot be compared in this way.
pub(crate) fn typed(
    left: Left,
    operator: Operator,
    right: Vec<Scalar>,
    is_list: bool,
) -> Result<(Left, Operator, Vec<Scalar>), String> {
    Ok(match left {
        Left::Recipient => (left, recipient(operator, is_list)?, right),
        Left::Event | Left::Consent => {
            let operator = in_force(&left, operator)?;
            (left, operator, right)
        }
        Left::Channel | Left::Format => {
            if operator.is_relation() {
                return Err(format!("`{}` does not compare a {}", operator.as_str(), left.name()));
            }
            let right = if left == Left::Format { right.into_iter().map(media_type).collect() } else { right };
            (left, operator, right)
        }
        Left::Usage(_) | Left::Transfers => {
            measured(&left, operator, &right)?;
            (left, operator, right)
        }
        Left::Delay => {
            let after = delay(operator, &right)?;
            (left, operator, vec![Scalar::AfterAgreement(after)])
        }
        Left::Spatial if matches!(right.first(), Some(Scalar::Area(_))) => (Left::Position, inside(operator)?, right),
        Left::Spatial => (left, operator, canonical(right, false)),
        Left::NutsRegion => (left, operator, canonical(right, true)),
        Left::DateTime if matches!(right.as_slice(), [Scalar::AfterAgreement(_)]) => {
            (Left::SinceAgreement, operator, right)
        }
        left => (left, operator, right),
    })
}

/// A recipient is one party with the groups that it belongs to: it "is" whatever it is or belongs to.
fn recipient(operator: Operator, is_list: bool) -> Result<Operator, String> {
    match operator {
        Operator::Eq | Operator::Neq if is_list => {
            Err("a recipient is one party; use isAnyOf or isNoneOf with a list".to_owned())
        }
        Operator::Eq | Operator::IsAnyOf | Operator::IsPartOf | Operator::IsA => Ok(Operator::IsPartOf),
        Operator::Neq | Operator::IsNoneOf => Ok(Operator::IsNotPartOf),
        other => Err(format!("`{}` does not compare parties", other.as_str())),
    }
}

/// Several events are in force at a time, and several consents hold: that one of them "is" the named one is enough.
fn in_force(left: &Left, operator: Operator) -> Result<Operator, String> {
    match operator {
        Operator::Eq | Operator::IsAnyOf => Ok(Operator::IsAnyOf),
        Operator::Neq | Operator::IsNoneOf => Ok(Operator::IsNoneOf),
        Operator::IsAllOf => Ok(Operator::IsAllOf),
        other => Err(format!(
            "`{}` does not compare what is in force; {} is compared with eq, neq, isAnyOf, isNoneOf or isAllOf",
            other.as_str(),
            left.name()
        )),
    }
}

/// A meter is compared with one limit.
fn measured(left: &Left, operator: Operator, right: &[Scalar]) -> Result<(), String> {
    let name = left.name();
    if !(operator.is_ordering() || matches!(operator, Operator::Eq | Operator::Neq)) {
        return Err(format!("`{}` does not compare {name} with a limit", operator.as_str()));
    }
    let is_number = matches!(left, Left::Transfers | Left::Usage(Meter::Count | Meter::Volume));
    match right {
        [Scalar::Integer(_)] if is_number => Ok(()),
        [Scalar::Duration(_)] if !is_number => Ok(()),
        _ if is_number => Err(format!("{name} is compared with one whole number")),
        _ => Err(format!("{name} is compared with one duration")),
    }
}

/// A position lies in an area or not; more cannot be said of the two.
fn inside(operator: Operator) -> Result<Operator, String> {
    match operator {
        Operator::Eq | Operator::IsAnyOf | Operator::IsPartOf => Ok(Operator::IsPartOf),
        Operator::Neq | Operator::IsNoneOf => Ok(Operator::IsNotPartOf),
        other => Err(format!(
            "`{}` does not compare a position with an area; use isPartOf, isAnyOf or isNoneOf",
            other.as_str()
        )),
    }
}

fn delay(operator: Operator, right: &[Scalar]) -> Result<i64, String> {
    match right {
        [Scalar::Duration(ms)] if operator.is_ordering() || matches!(operator, Operator::Eq | Operator::Neq) => Ok(*ms),
        _ => Err(format!("`{}` does not compare a delayPeriod with one duration", operator.as_str())),
    }
}

fn canonical(scalars: Vec<Scalar>, bare_is_nuts: bool) -> Vec<Scalar> {
    scalars
        .into_iter()
        .map(|scalar| match scalar {
            Scalar::Text(name) => Scalar::Text(region::canonical(&name, bare_is_nuts)),
            other => other,
        })
        .collect()
}

/// One spelling for each media type: without the address of the registry and without parameters, in small letters.
pub(crate) fn media_type(value: Scalar) -> Scalar {
    let Scalar::Text(name) = value else { return value };
    let name = IANA_MEDIA_TYPES.iter().find_map(|registry| name.strip_prefix(registry)).unwrap_or(&name);
    Scalar::Text(name.split(';').next().unwrap_or(name).trim().to_ascii_lowercase())
}
