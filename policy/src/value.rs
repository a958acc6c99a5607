//! Values of right operands and of claims.

use policy_plan::Meter;
use serde_json::{Number, Value};

use crate::area::{Area, is_area};
use crate::dialect;
use crate::error::{At, PolicyError};
use crate::instant::{Moment, after_agreement, duration, moment};
use crate::json::MAX_NAME_BYTES;
use crate::model::Scalar;
use crate::vocabulary::Left;

/// One right value before the left operand's type is applied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Right {
    Scalar(Scalar),
    /// A whole day: its first millisecond, the next day's first, and how the policy writes it.
    Day {
        start: i64,
        end: i64,
    },
}

/// Reads one right operand. A bare string is read as the left operand's type (ODRL 2.2, Constraint, `dataType`).
pub(crate) fn right(value: &Value, data_type: Option<&str>, left: &Left, at: &At) -> Result<Right, PolicyError> {
    let bad = |message: String| PolicyError::new("right_operand", at, message);
    let (value, data_type) = match value {
        Value::Object(object) => {
            let mut inner = None;
            let mut own_type = None;
            for (name, member) in object {
                match (name.as_str(), member) {
                    ("@value" | "@id", _) if inner.is_none() => inner = Some(member),
                    ("@type", Value::String(text)) => own_type = Some(text.as_str()),
                    _ => return Err(bad(format!("`{name}` is not understood in a value"))),
                }
            }
            let inner = inner.ok_or_else(|| bad("a value has `@value` or `@id`".to_owned()))?;
            if object.contains_key("@id") && (own_type.is_some() || !inner.is_string()) {
                return Err(bad("an `@id` is a string without a type".to_owned()));
            }
            (inner, own_type.or(data_type))
        }
        _ => (value, data_type),
    };
    if *left == Left::Spatial && is_area(value, data_type) {
        return Area::read(value).map(|area| Right::Scalar(Scalar::Area(area))).map_err(bad);
    }
    if let Some(reason) = value.as_str().and_then(dialect::refused_right) {
        return Err(bad(reason));
    }
    let is_time = matches!(left, Left::DateTime);
    let scalar = match (value, data_type.map(local_type).transpose().map_err(bad)?) {
        (Value::String(text), _) if text.len() > MAX_NAME_BYTES => return Err(bad("the value is too long".to_owned())),
        (Value::String(text), None | Some(Type::Text)) if is_time => return time(text, true).map_err(bad),
        (Value::String(text), None | Some(Type::Text)) if is_length_of_time(left) => length(text).map_err(bad)?,
        (Value::String(text), None | Some(Type::Text | Type::Number)) if is_whole(left) => whole(text).map_err(bad)?,
        (Value::String(text), Some(Type::Duration)) => length(text).map_err(bad)?,
        (Value::String(text), Some(Type::Time)) => return time(text, is_time).map_err(bad),
        (Value::String(text), None | Some(Type::Text)) => Scalar::Text(text.clone()),
        (Value::String(text), Some(Type::Number)) => serde_json::from_str::<Number>(text.trim_start_matches('+'))
            .ok()
            .and_then(|parsed| number(&parsed))
            .ok_or_else(|| bad(format!("`{text}` is not a number that can be compared exactly")))?,
        (Value::String(text), Some(Type::Bool)) => match text.as_str() {
            "true" | "1" => Scalar::Bool(true),
            "false" | "0" => Scalar::Bool(false),
            _ => return Err(bad(format!("`{text}` is not a boolean"))),
        },
        (Value::Number(parsed), None | Some(Type::Number)) => {
            number(parsed).ok_or_else(|| bad(format!("`{parsed}` is not a number that can be compared exactly")))?
        }
        (Value::Bool(truth), None | Some(Type::Bool)) => Scalar::Bool(*truth),
        _ => return Err(bad("the value is not a string, number or boolean of the named type".to_owned())),
    };
    if is_time {
        return Err(bad("a dateTime is compared with a dateTime or a date".to_owned()));
    }
    Ok(Right::Scalar(scalar))
}

fn time(text: &str, may_be_relative: bool) -> Result<Right, String> {
    match moment(text) {
        Some(Moment::Instant(ms)) => Ok(Right::Scalar(Scalar::Instant(ms))),
        Some(Moment::Day { start, end }) => Ok(Right::Day { start, end }),
        None => match after_agreement(text) {
            Some(ms) if may_be_relative => Ok(Right::Scalar(Scalar::AfterAgreement(ms))),
            _ => Err(format!("`{text}` is not a dateTime or a date")),
        },
    }
}

fn length(text: &str) -> Result<Scalar, String> {
    duration(text).map(Scalar::Duration).ok_or_else(|| {
        format!("`{text}` is not a duration of days, hours, minutes and seconds; months and years have no fixed length")
    })
}

/// Left operands that are lengths of time (ODRL 2.2 Vocabulary).
fn is_length_of_time(left: &Left) -> bool {
    match left {
        Left::Delay | Left::Usage(Meter::MeteredTime | Meter::Elapsed | Meter::Interval) => true,
        Left::Given { name, .. } => {
            matches!(name.as_str(), "delayPeriod" | "elapsedTime" | "meteredTime" | "timeInterval")
        }
        _ => false,
    }
}

/// Left operands that are whole numbers.
fn is_whole(left: &Left) -> bool {
    matches!(left, Left::Transfers | Left::Usage(Meter::Count | Meter::Volume))
}

fn whole(text: &str) -> Result<Scalar, String> {
    text.trim_start_matches('+').parse().map(Scalar::Integer).map_err(|_| format!("`{text}` is not a whole number"))
}

enum Type {
    Duration,
    Bool,
    Number,
    Text,
    Time,
}

/// Types of XML Schema that are understood, in any spelling.
fn local_type(name: &str) -> Result<Type, String> {
    let local = ["xsd:", "xs:", "http://www.w3.org/2001/XMLSchema#", "https://www.w3.org/2001/XMLSchema#"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    match local {
        "duration" | "dayTimeDuration" => Ok(Type::Duration),
        "boolean" => Ok(Type::Bool),
        "byte" | "decimal" | "double" | "float" | "int" | "integer" | "long" | "negativeInteger"
        | "nonNegativeInteger" | "nonPositiveInteger" | "positiveInteger" | "short" | "unsignedByte"
        | "unsignedInt" | "unsignedLong" | "unsignedShort" => Ok(Type::Number),
        "anyURI" | "string" | "@id" => Ok(Type::Text),
        "date" | "dateTime" | "dateTimeStamp" => Ok(Type::Time),
        _ => Err(format!("the data type `{name}` is not understood")),
    }
}

/// Whole numbers up to 64 bits, and fractions as double precision; others cannot be compared exactly.
pub(crate) fn number(number: &Number) -> Option<Scalar> {
    /// Up to here every whole number has a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(integer) = number.as_i64() {
        return Some(Scalar::Integer(integer));
    }
    if !number.to_string().contains(['.', 'e', 'E']) {
        return None;
    }
    let float = number.as_f64().filter(|float| float.is_finite())?;
    if float.fract() != 0.0 {
        return Some(Scalar::Decimal(float));
    }
    (float.abs() < EXACT).then(|| format!("{float:.0}").parse().ok()).flatten().map(Scalar::Integer)
}

/// The values of a verified claim; `None` when there are none, or one that cannot be compared.
pub(crate) fn claim_values(value: &Value) -> Option<Vec<Scalar>> {
    /// The most values that are looked at.
    const MOST: usize = 1024;
    let values = match value {
        Value::Array(items) if items.len() <= MOST => items.iter().map(claim_value).collect::<Option<Vec<_>>>()?,
        Value::Array(_) => return None,
        single => vec![claim_value(single)?],
    };
    (!values.is_empty()).then_some(values)
}

fn claim_value(value: &Value) -> Option<Scalar> {
    match value {
        Value::String(text) => Some(Scalar::Text(text.clone())),
        Value::Number(parsed) => number(parsed),
        Value::Bool(truth) => Some(Scalar::Bool(*truth)),
        Value::Object(object) if object.len() == 1 => match object.get("@id").or_else(|| object.get("@value"))? {
            Value::Object(_) | Value::Array(_) => None,
            inner => claim_value(inner),
        },
        _ => None,
    }
}
