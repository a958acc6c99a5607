//! Deciding whether an entity matches a parsed `q`.

use std::cmp::Ordering;

use serde_json::Value;

use super::q::{Operand, Ordered, Q, Scalar, Term, Test};
use crate::instant;
use crate::model::{Entity, instances, value_of};

impl Q {
    /// Whether the entity matches; with several instances of an attribute, any one suffices.
    #[must_use]
    pub fn matches(&self, entity: &Entity) -> bool {
        match self {
            Self::And(all) => all.iter().all(|query| query.matches(entity)),
            Self::Or(all) => all.iter().any(|query| query.matches(entity)),
            Self::Term(term) => term.matches(entity),
        }
    }
}

impl Term {
    fn matches(&self, entity: &Entity) -> bool {
        let targets = self.targets(entity);
        match &self.test {
            Test::Exists => !targets.is_empty(),
            Test::Missing => targets.is_empty(),
            Test::Equal(operand) => targets.iter().any(|target| equals(target, operand)),
            Test::Unequal(operand) => !targets.is_empty() && !targets.iter().any(|target| equals(target, operand)),
            Test::Ordered(order, scalar) => targets.iter().any(|target| ordered(target, *order, scalar)),
            Test::Like(pattern) => targets.iter().any(|target| target.as_str().is_some_and(|t| pattern.is_match(t))),
            Test::Unlike(pattern) => {
                !targets.is_empty()
                    && targets.iter().all(|target| target.as_str().is_none_or(|text| !pattern.is_match(text)))
            }
        }
    }

    /// The values that the path leads to.
    fn targets<'a>(&self, entity: &'a Entity) -> Vec<&'a Value> {
        let Some((attribute, below)) = self.path.split_first() else { return Vec::new() };
        if below.is_empty() && self.inside.is_empty() && !crate::model::is_attribute(attribute) {
            return entity.members().get(attribute).into_iter().collect();
        }
        let mut found: Vec<&Value> = entity.instances(attribute).iter().collect();
        for member in below {
            found =
                found.into_iter().flat_map(|target| target.get(member).map(instances).unwrap_or_default()).collect();
        }
        let mut values: Vec<&Value> = found
            .into_iter()
            .map(|target| target.as_object().and_then(|_| value_of(target)).unwrap_or(target))
            .collect();
        for member in &self.inside {
            values = values.into_iter().flat_map(|value| members(value, member)).collect();
        }
        values
    }
}

fn members<'a>(value: &'a Value, member: &str) -> Vec<&'a Value> {
    match (value, member) {
        (Value::Object(object), "*") => object.values().collect(),
        (Value::Array(many), _) => many.iter().flat_map(|one| members(one, member)).collect(),
        _ => value.get(member).into_iter().collect(),
    }
}

/// `==`: an array equals a value when one of its members does.
fn equals(target: &Value, operand: &Operand) -> bool {
    if let Value::Array(many) = target {
        return many.iter().any(|one| equals(one, operand));
    }
    match operand {
        Operand::Values(values) => values.iter().any(|value| compare(target, value) == Some(Ordering::Equal)),
        Operand::Range(low, high) => {
            ordered(target, Ordered::GreaterOrEqual, low) && ordered(target, Ordered::LessOrEqual, high)
        }
    }
}

fn ordered(target: &Value, order: Ordered, scalar: &Scalar) -> bool {
    let Some(found) = compare(target, scalar) else { return false };
    match order {
        Ordered::Greater => found == Ordering::Greater,
        Ordered::GreaterOrEqual => found != Ordering::Less,
        Ordered::Less => found == Ordering::Less,
        Ordered::LessOrEqual => found != Ordering::Greater,
    }
}

/// How the target stands to the value; `None` when their kinds differ.
fn compare(target: &Value, scalar: &Scalar) -> Option<Ordering> {
    match (target, scalar) {
        (Value::Number(number), Scalar::Number(wanted)) => number.as_f64()?.partial_cmp(wanted),
        (Value::Bool(given), Scalar::Boolean(wanted)) => Some(given.cmp(wanted)),
        (Value::String(text), Scalar::Time(wanted)) => Some(instant::parse(text)?.cmp(wanted)),
        (Value::String(text), Scalar::Text(wanted)) => Some(text.as_str().cmp(wanted)),
        // The typed literal that Smart Data Models use for dates: {"@type": "DateTime", "@value": "…"}.
        (Value::Object(literal), _) => compare(literal.get("@value")?, scalar),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::problem::ProblemKind;

    fn sample() -> Entity {
        let record = json!({
            "id": "urn:ngsi-ld:AirQualityObserved:1", "type": "AirQualityObserved",
            "no2": {"type": "Property", "value": 41, "unitCode": "GQ", "observedAt": "2026-03-01T08:00:00Z",
                    "accuracy": {"type": "Property", "value": 0.9}},
            "name": {"type": "Property", "value": "Old Bridge; north|south"},
            "open": {"type": "Property", "value": true},
            "refDevice": {"type": "Relationship", "object": "urn:ngsi-ld:Device:7"},
            "address": {"type": "Property", "value": {"street": "Quay", "geo": {"zone": 3}}},
            "title": {"type": "LanguageProperty", "languageMap": {"en": "Square", "it": "Piazza"}},
            "tags": {"type": "Property", "value": ["river", "bridge"]},
            "speed": [{"type": "Property", "value": 50}, {"type": "Property", "value": 72, "datasetId": "urn:gps"}],
            "dateObserved": {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-03-01T08:00:00Z"}},
        });
        Entity::parse(record).unwrap().0
    }

    #[test]
    fn queries_match_as_the_standard_says() {
        let entity = sample();
        let table = [
            ("no2", true),
            ("so2", false),
            ("!so2", true),
            ("!no2", false),
            ("no2==41", true),
            ("no2==41.0", true),
            ("no2==42", false),
            ("no2!=42", true),
            ("no2!=\"41\"", true),
            ("so2!=1", false),
            ("no2>40", true),
            ("no2>41", false),
            ("no2>=41", true),
            ("no2<41", false),
            ("no2<=41", true),
            ("no2==40..50", true),
            ("no2==42..50", false),
            ("no2!=42..50", true),
            ("no2==1,41,50", true),
            ("no2==1,2", false),
            ("no2>\"a\"", false),
            ("no2.observedAt>=2026-03-01T00:00:00Z", true),
            ("no2.observedAt<2026-03-01T00:00:00Z", false),
            ("no2.unitCode==\"GQ\"", true),
            ("no2.accuracy>0.8", true),
            ("no2.accuracy<0.8", false),
            ("name==\"Old Bridge; north|south\"", true),
            ("name~=\"^Old.*south$\"", true),
            ("name~=^Old", true),
            ("name!~=^Old", false),
            ("name!~=^New", true),
            ("open==true", true),
            ("open==false", false),
            ("refDevice==urn:ngsi-ld:Device:7", true),
            ("refDevice!=urn:ngsi-ld:Device:7", false),
            ("address[street]==\"Quay\"", true),
            ("address[geo.zone]==3", true),
            ("address[geo.zone]>3", false),
            ("title[it]==\"Piazza\"", true),
            ("title[*]==\"Square\"", true),
            ("title[de]", false),
            ("tags==\"bridge\"", true),
            ("tags!=\"bridge\"", false),
            ("speed>70", true),
            ("speed>80", false),
            ("dateObserved>2026-02-28T23:59:59Z", true),
            ("no2>100;open==true|speed==50", true),
            ("no2>100;(open==true|speed==50)", false),
            ("(no2>100|speed==50);open==true", true),
            ("id==\"urn:ngsi-ld:AirQualityObserved:1\"", true),
        ];
        for (text, expected) in table {
            assert_eq!(Q::parse(text).unwrap().matches(&entity), expected, "q={text}");
        }
    }

    #[test]
    fn malformed_queries_are_refused_with_the_place() {
        for text in ["", ";", "a==", "a==1;", "(a==1", "a==1)", "a[b", "a..b", "==1", "a==\"x", "a~=\"(\"", "a b"] {
            assert_eq!(Q::parse(text).unwrap_err().kind(), ProblemKind::BadRequestData, "`{text}` must be refused");
        }
        assert_eq!(Q::parse("a{b}==1").unwrap_err().kind(), ProblemKind::OperationNotSupported);
        assert!(Q::parse(&"(".repeat(1000)).is_err());
        assert!(Q::parse("no2==41;bad bad").unwrap_err().to_string().contains("character 12"));
    }
}
