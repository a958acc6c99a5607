//! Constraints (ODRL 2.2 Information Model, Constraint and Logical Constraint).

use policy_plan::{Meter, instant_text};
use serde_json::Value;

use crate::calendar::{self, Clock, Zone};
use crate::dialect;
use crate::error::{At, PolicyError};
use crate::gaia_x;
use crate::json::{is_list, items, members, name, not_understood};
use crate::model::{Atom, Condition, MAX_COMPARISON_TEXT, Origin, Scalar, clipped};
use crate::operand::typed;
use crate::value::{Right, right};
use crate::vocabulary::{Left, Operator, Reading, counts_transfers, left_operand};

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 32;
/// The most right values of one constraint.
const MAX_VALUES: usize = 1024;

/// The constraints of a rule; all of them must hold.
pub(crate) fn conditions(value: &Value, reading: Reading, at: &At) -> Result<Vec<Condition>, PolicyError> {
    list(value, reading, at, 0)
}

fn list(value: &Value, reading: Reading, at: &At, depth: usize) -> Result<Vec<Condition>, PolicyError> {
    if depth > MAX_DEPTH {
        return Err(PolicyError::new("too_deep", at, format!("constraints are nested at most {MAX_DEPTH} deep")));
    }
    let listed = is_list(value);
    items(value)
        .into_iter()
        .enumerate()
        .map(|(index, value)| condition(value, reading, &if listed { at.item(index) } else { at.clone() }, depth))
        .collect()
}

fn condition(value: &Value, reading: Reading, at: &At, depth: usize) -> Result<Condition, PolicyError> {
    let members = members(value, at)?;
    let logical: Vec<_> =
        members.iter().filter(|(member, _)| matches!(*member, "and" | "andSequence" | "or" | "xone")).collect();
    let [(operator, operands)] = logical.as_slice() else {
        return if logical.is_empty() {
            atom(&members, reading, at)
        } else {
            Err(PolicyError::new("logical_constraint", at, "a logical constraint has exactly one operator"))
        };
    };
    if let Some((other, _)) = members.iter().find(|(member, _)| member != operator && !is_plain(member)) {
        return Err(not_understood(other, at));
    }
    let here = at.member(operator);
    let mut parts = list(operands, reading, &here, depth + 1)?;
    if *operator == "andSequence" {
        sequence(&mut parts, &here)?;
    }
    if parts.is_empty() {
        return Err(PolicyError::new("logical_constraint", &here, "the list of constraints is empty"));
    }
    Ok(match *operator {
        "or" => Condition::any(parts),
        "xone" => Condition::exactly_one(parts),
        _ => Condition::all(parts),
    })
}

/// Lets each delay of an `andSequence` count from the nearest moment that stands before it in the list; without any moment
/// in the list it counts from the agreement.
fn sequence(parts: &mut [Condition], at: &At) -> Result<(), PolicyError> {
    let mut moment = None;
    let mut early = false;
    for index in 0..parts.len() {
        let Some(part) = parts.get_mut(index) else { break };
        if let Some(found) = anchor(part) {
            if early {
                let message = "a `delayPeriod` counts from the dateTime before it; put the dateTime first";
                return Err(PolicyError::new("sequence", &at.item(index), message));
            }
            moment = Some(found);
        }
        let Condition::Atom(atom) = part else { continue };
        let (Left::Delay, [Scalar::AfterAgreement(ms)]) = (&atom.left, atom.right.as_slice()) else { continue };
        let Some(from) = &moment else {
            early = true;
            continue;
        };
        match from {
            Scalar::Instant(instant) => {
                atom.text.push_str(&format!(" after {}", instant_text(*instant)));
                atom.right = vec![Scalar::Instant(instant.saturating_add(*ms))];
                atom.left = Left::DateTime;
            }
            Scalar::AfterAgreement(after) => {
                atom.text.push_str(&format!(" after {from}"));
                atom.right = vec![Scalar::AfterAgreement(after.saturating_add(*ms))];
            }
            _ => {}
        }
    }
    Ok(())
}

/// The moment that a comparison with the clock names; of a day its first instant.
fn anchor(part: &Condition) -> Option<Scalar> {
    match part {
        Condition::Atom(atom) if matches!(atom.left, Left::DateTime | Left::SinceAgreement) => {
            atom.right.first().cloned()
        }
        Condition::And(parts) => parts.first().and_then(anchor),
        _ => None,
    }
}

fn is_plain(member: &str) -> bool {
    matches!(member, "@id" | "@type")
}

fn atom(members: &[(&str, &Value)], reading: Reading, at: &At) -> Result<Condition, PolicyError> {
    let (mut left, mut operator, mut given, mut data_type) = (None, None, None, None);
    let (mut unit, mut status) = (None, None);
    let (mut path, mut subject_type) = (None, None);
    for (member, value) in members {
        let here = at.member(member);
        match *member {
            "leftOperand" => {
                let given = name(value, &here)?;
                left = Some(
                    left_operand(&given, reading)
                        .map_err(|text| PolicyError::new("left_operand_unknown", &here, text))?,
                );
            }
            // Examples of DSP 2024-1 write `operand` for `operator`.
            "operator" | "operand" => {
                let given = name(value, &here)?;
                let known = Operator::parse(&given).ok_or_else(|| {
                    let reason = dialect::refused_operator(&given);
                    let reason = reason.unwrap_or_else(|| format!("the operator `{given}` is not known"));
                    PolicyError::new("operator_unknown", &here, reason)
                })?;
                if operator.replace(known).is_some() {
                    return Err(PolicyError::new("member_twice", &here, "the operator is given twice"));
                }
            }
            "rightOperand" => given = Some((value, here)),
            "dataType" => data_type = Some(name(value, &here)?),
            "unit" => unit = Some(name(value, &here)?),
            "status" => status = Some((*value, here)),
            plain if is_plain(plain) => {}
            other => match dialect::gaia_x(other) {
                Some("leftOperand") => path = Some((name(value, &here)?, here)),
                Some("credentialSubjectType") => subject_type = Some(name(value, &here)?),
                _ => return Err(not_understood(other, at)),
            },
        }
    }
    let missing = |member: &str| PolicyError::new("member_missing", &at.member(member), "this member is missing");
    let mut left = match (left, path, subject_type) {
        (Some(left), None, None) => left,
        (None, Some((path, here)), Some(subject_type)) => {
            let steps = gaia_x::steps(&path).map_err(|text| PolicyError::new("left_operand_unknown", &here, text))?;
            Left::Subject { name: format!("{} of {subject_type}", steps.join(".")), subject_type, path: steps }
        }
        (None, Some(_), None) => return Err(missing("ovc:credentialSubjectType")),
        (Some(_), Some(_), _) => {
            return Err(PolicyError::new(
                "member_twice",
                &at.member("ovc:leftOperand"),
                "the left operand is given twice",
            ));
        }
        (Some(_), None, Some(_)) => return Err(not_understood("ovc:credentialSubjectType", at)),
        (None, None, _) => return Err(missing("leftOperand")),
    };
    let origin = Origin { part: reading.part, pointer: at.to_pointer() };
    let mut has_zone = false;
    let in_unit = unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    match (&mut left, unit) {
        (_, None) => {}
        (Left::Calendar(clock), Some(name)) => {
            let zone = Zone::named(&name).ok_or_else(|| {
                let message = format!("the time zone `{name}` is not in the IANA database");
                PolicyError::new("unit", &at.member("unit"), message)
            })?;
            *clock = Clock::new(clock.dial, zone);
            has_zone = true;
        }
        (Left::Given { unit, label, .. }, Some(given)) => {
            label.push_str(&format!(" in {given}"));
            *unit = Some(given);
        }
        (Left::Usage(Meter::Count), Some(unit)) => {
            let transfers =
                counts_transfers(&unit).map_err(|text| PolicyError::new("unit", &at.member("unit"), text))?;
            if transfers {
                left = Left::Transfers;
            }
        }
        // Nothing says in which unit the values of the others are.
        (_, Some(_)) => return Err(not_understood("unit", at)),
    }
    let operator = operator.ok_or_else(|| missing("operator"))?;
    let (value, here) = given.ok_or_else(|| missing("rightOperand"))?;
    if let Left::Calendar(clock) = &mut left {
        let text = format!("{} {} {}{in_unit}", clock.dial.as_str(), operator.as_str(), shown(value));
        if status.is_some() {
            return Err(not_understood("status", at));
        }
        let right = on_clock(clock, has_zone, &items(value), data_type.as_deref())
            .map_err(|message| PolicyError::new("right_operand", &here, message))?;
        if operator.is_relation() || (operator.is_ordering() && right.len() != 1) {
            let message = format!("`{}` does not compare what a clock shows", operator.as_str());
            return Err(PolicyError::new("comparison", &at.member("operator"), message));
        }
        let text = clipped(&text, MAX_COMPARISON_TEXT);
        return Ok(Condition::Atom(Atom { left, operator, right, text, origin }));
    }
    let mut rights = items(value)
        .into_iter()
        .map(|value| right(value, data_type.as_deref(), &left, &here))
        .collect::<Result<Vec<_>, _>>()?;
    let so_far = status.as_ref().map(|(value, _)| format!(" (so far {})", shown(value))).unwrap_or_default();
    if let Some((value, here)) = status {
        let is_sum = matches!(left, Left::Usage(Meter::Count | Meter::MeteredTime | Meter::Volume) | Left::Transfers);
        if !is_sum && !matches!(left, Left::Given { .. }) {
            return Err(not_understood("status", at));
        }
        let used = right(value, data_type.as_deref(), &left, &here)?;
        rights = rights.iter().map(|right| less(right, &used)).collect::<Option<_>>().ok_or_else(|| {
            PolicyError::new("status", &here, "the status is a number or a duration, as the right operand is")
        })?;
    }
    if rights.is_empty() || rights.len() > MAX_VALUES {
        let message = format!("a constraint compares with at least one and at most {MAX_VALUES} values");
        return Err(PolicyError::new("right_operand", &here, message));
    }
    let text = format!("{} {} {}{in_unit}{so_far}", plain_name(&left), operator.as_str(), shown(value));
    let text = clipped(&text, MAX_COMPARISON_TEXT);
    // In JSON-LD a list of one value is that value.
    let many = is_list(value) && rights.len() > 1;
    comparison(left, operator, rights, many, text, origin)
        .map_err(|message| PolicyError::new("comparison", &at.member("operator"), message))
}

/// The values that a clock is compared with; a zone that they name becomes the clock's.
fn on_clock(
    clock: &mut Clock,
    has_zone: bool,
    values: &[&Value],
    data_type: Option<&str>,
) -> Result<Vec<Scalar>, String> {
    if values.is_empty() || values.len() > calendar::MAX_VALUES {
        return Err(format!("a clock is compared with at least one and at most {} values", calendar::MAX_VALUES));
    }
    let mut right = Vec::with_capacity(values.len());
    let mut zones = Vec::with_capacity(values.len());
    for value in values {
        let (text, own_type) = match value {
            Value::Object(object) => {
                let inner = object.get("@value").or_else(|| object.get("@id"));
                if let Some(other) = object.keys().find(|name| !matches!(name.as_str(), "@value" | "@id" | "@type")) {
                    return Err(format!("`{other}` is not understood in a value"));
                }
                (inner.unwrap_or(&Value::Null), object.get("@type").and_then(Value::as_str))
            }
            other => (*other, None),
        };
        let known = ["time", "string", "integer", "int", "nonNegativeInteger", "anyURI", "@id"];
        if let Some(name) = own_type.or(data_type)
            && !known.contains(&name.rsplit([':', '#']).next().unwrap_or(name))
        {
            return Err(format!("the data type `{name}` is not understood"));
        }
        let text = match text {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err("a day, an hour or a time of day is expected".to_owned()),
        };
        let (number, zone) = calendar::value(&text, clock.dial)?;
        right.push(Scalar::Integer(number));
        zones.push(zone);
    }
    let named: Vec<Zone> = zones.iter().copied().flatten().collect();
    if let Some(zone) = named.first() {
        if named.len() != zones.len() || named.iter().any(|other| other != zone) || (has_zone && *zone != clock.zone) {
            return Err("all values are by the clock of one time zone".to_owned());
        }
        *clock = Clock::new(clock.dial, *zone);
    }
    Ok(right)
}

/// A left operand without its unit, which is told after the value.
fn plain_name(left: &Left) -> &str {
    match left {
        Left::Given { name, .. } => name,
        Left::Transfers => Meter::Count.as_str(),
        other => other.name(),
    }
}

/// What is left of a right value when so much has been used: that is added to the left value otherwise (ODRL 2.2,
/// Constraint, `status`).
fn less(right: &Right, used: &Right) -> Option<Right> {
    let (Right::Scalar(right), Right::Scalar(used)) = (right, used) else { return None };
    Some(Right::Scalar(match (right, used) {
        (Scalar::Integer(right), Scalar::Integer(used)) => Scalar::Integer(right.checked_sub(*used)?),
        (Scalar::Decimal(right), Scalar::Decimal(used)) => Scalar::Decimal(right - used),
        (Scalar::Duration(right), Scalar::Duration(used)) => Scalar::Duration(right.checked_sub(*used)?),
        _ => return None,
    }))
}

/// Puts a comparison together that can be evaluated, or says why there is none.
fn comparison(
    left: Left,
    operator: Operator,
    rights: Vec<Right>,
    is_list: bool,
    text: String,
    origin: Origin,
) -> Result<Condition, String> {
    let scalars: Option<Vec<Scalar>> = rights
        .iter()
        .map(|right| if let Right::Scalar(scalar) = right { Some(scalar.clone()) } else { None })
        .collect();
    let Some(scalars) = scalars else {
        return match rights.as_slice() {
            [Right::Day { start, end }] => on_day(&left, operator, *start, *end, &text, &origin),
            _ => Err("a date stands alone; give dateTimes in a list".to_owned()),
        };
    };
    let kind = scalars.first().map(Scalar::kind).unwrap_or_default();
    if scalars.iter().any(|scalar| scalar.kind() != kind) {
        return Err("the right values are of different kinds".to_owned());
    }
    if matches!(kind, "dateTime" | "time after the agreement")
        && (scalars.len() != 1 || !(operator.is_ordering() || matches!(operator, Operator::Eq | Operator::Neq)))
    {
        return Err(format!("`{}` does not compare a dateTime with one dateTime", operator.as_str()));
    }
    if operator.is_ordering() && (scalars.len() != 1 || matches!(kind, "text" | "boolean" | "area")) {
        return Err(format!("`{}` compares one number or one dateTime", operator.as_str()));
    }
    if operator.is_relation() && !matches!(kind, "text" | "area") {
        return Err(format!("`{}` compares names", operator.as_str()));
    }
    let (left, operator, right) = typed(left, operator, scalars, is_list)?;
    Ok(Condition::Atom(Atom { left, operator, right, text, origin }))
}

/// A date means its first instant, and for what includes equality the whole day.
fn on_day(
    left: &Left,
    operator: Operator,
    start: i64,
    end: i64,
    text: &str,
    origin: &Origin,
) -> Result<Condition, String> {
    let atom = |operator, ms| {
        let (text, origin) = (text.to_owned(), origin.clone());
        Condition::Atom(Atom { left: left.clone(), operator, right: vec![Scalar::Instant(ms)], text, origin })
    };
    Ok(match operator {
        Operator::Lt | Operator::Gt | Operator::Gteq => atom(operator, start),
        Operator::Lteq => atom(Operator::Lt, end),
        Operator::Eq => Condition::all(vec![atom(Operator::Gteq, start), atom(Operator::Lt, end)]),
        Operator::Neq => Condition::any(vec![atom(Operator::Lt, start), atom(Operator::Gteq, end)]),
        other => return Err(format!("`{}` does not compare dates", other.as_str())),
    })
}

/// A right operand as people read it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) => format!("[{}]", items(value).into_iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => ["@value", "@id", "@list", "@set"]
            .iter()
            .find_map(|member| object.get(*member))
            .map_or_else(|| value.to_string(), shown),
        other => other.to_string(),
    }
}
