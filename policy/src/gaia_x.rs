//! Gaia-X' `ovc` constraints: a path into the subject of the credentials whose subject is of a type (ODRL VC profile of
//! Gaia-X, `ovc:leftOperand` and `ovc:credentialSubjectType`).

use serde_json::{Map, Value};

/// Spellings of the Gaia-X vocabulary; what follows the first two is the local name, after `#` of the others.
const PREFIXES: [&str; 2] = ["gx:", "gax:"];
const VOCABULARIES: [&str; 2] = ["https://w3id.org/gaia-x/", "https://registry.lab.gaia-x.eu/"];

/// The longest path into a subject, in steps, and the most objects that it is looked for in.
const MAX_STEPS: usize = 16;
const MAX_SUBJECTS: usize = 256;

/// The steps of a `JSONPath` below the credential's subject: names with dots between, or in brackets (RFC 9535, 2.3.1).
///
/// # Errors
///
/// A sentence, when it is another path.
pub(crate) fn steps(path: &str) -> Result<Vec<String>, String> {
    let wrong = || {
        format!(
            "`{path}` is not a path of names below the subject, such as \
             `$.credentialSubject.gx:legalAddress.gx:countrySubdivisionCode`"
        )
    };
    let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (name, after) = if let Some(bracket) = rest.strip_prefix('[') {
            let quote = bracket.chars().next().filter(|first| matches!(first, '\'' | '"')).ok_or_else(wrong)?;
            let inner = bracket.get(1..).unwrap_or_default();
            let (name, after) = inner.split_once(quote).ok_or_else(wrong)?;
            (name, after.strip_prefix(']').ok_or_else(wrong)?)
        } else {
            let dotted = rest.strip_prefix('.').ok_or_else(wrong)?;
            dotted.split_at(dotted.find(['.', '[']).unwrap_or(dotted.len()))
        };
        if name.is_empty() || name.contains(['*', '?', '@', '$', '(', '\\']) {
            return Err(wrong());
        }
        steps.push(name.to_owned());
        rest = after;
    }
    if steps.first().map(String::as_str) != Some("credentialSubject") || !(2..=MAX_STEPS).contains(&steps.len()) {
        return Err(wrong());
    }
    steps.remove(0);
    Ok(steps)
}

/// One spelling for a name of the Gaia-X vocabulary: `gx:` and the local name; others unchanged.
fn canonical(name: &str) -> String {
    let local = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).or_else(|| {
        let is_gaia_x = VOCABULARIES.iter().any(|vocabulary| name.starts_with(vocabulary));
        if is_gaia_x { name.rsplit(['#', '/']).next().filter(|local| !local.is_empty()) } else { None }
    });
    local.map_or_else(|| name.to_owned(), |local| format!("gx:{local}"))
}

/// The values at the path, in the subjects of the type. `claims` has the subjects by the type of their credential, which is the
/// type of a subject, too, where it tells none itself.
pub(crate) fn values<'a>(claims: &'a Value, subject_type: &str, path: &[String]) -> Vec<&'a Value> {
    let wanted = canonical(subject_type);
    let mut found = Vec::new();
    let Value::Object(claims) = claims else { return found };
    for (credential_type, value) in claims {
        let subjects = match value {
            Value::Array(many) => many.as_slice(),
            one => std::slice::from_ref(one),
        };
        for subject in subjects.iter().take(MAX_SUBJECTS).filter_map(Value::as_object) {
            let own: Vec<&str> =
                ["type", "@type"].iter().filter_map(|name| subject.get(*name)).flat_map(texts).collect();
            let is_wanted = |name: &&str| canonical(name) == wanted;
            if own.iter().any(is_wanted) || own.is_empty() && is_wanted(&credential_type.as_str()) {
                follow(subject, path, &mut found);
            }
        }
    }
    found
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// A list stands for all of its elements; a name is found in any spelling of the vocabulary.
fn follow<'a>(object: &'a Map<String, Value>, path: &[String], found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = path.split_first() else { return };
    let wanted = canonical(step);
    let bare = wanted.strip_prefix("gx:");
    let member = object
        .get(step)
        .or_else(|| object.iter().find(|(name, _)| canonical(name) == wanted).map(|(_, value)| value))
        .or_else(|| bare.and_then(|bare| object.get(bare)));
    let Some(value) = member.filter(|value| !value.is_null()) else { return };
    if rest.is_empty() {
        found.push(value);
        return;
    }
    let items = match value {
        Value::Array(many) => many.as_slice(),
        one => std::slice::from_ref(one),
    };
    items.iter().take(MAX_SUBJECTS).filter_map(Value::as_object).for_each(|inner| follow(inner, rest, found));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let address = ["gx:legalAddress", "gx:countryCode"].map(str::to_owned).to_vec();
        for path in [
            "$.credentialSubject.gx:legalAddress.gx:countryCode",
            "$['credentialSubject']['gx:legalAddress']['gx:countryCode']",
            "$.credentialSubject[\"gx:legalAddress\"].gx:countryCode",
        ] {
            assert_eq!(steps(path), Ok(address.clone()), "{path}");
        }
        for path in [
            "",
            "$",
            "$.issuer",
            "$.credentialSubject",
            "credentialSubject.name",
            "$.credentialSubject..name",
            "$.credentialSubject.*",
            "$.credentialSubject[0]",
            "$.credentialSubject['name'",
            "$.credentialSubject[?(@.a)]",
            "$.credentialSubject.a.",
            "$credentialSubject.a",
        ] {
            assert!(steps(path).is_err(), "{path}");
        }
        assert!(steps(&format!("$.credentialSubject{}", ".a".repeat(MAX_STEPS))).is_err());
    }

    #[test]
    fn one_spelling_for_names_of_the_vocabulary() {
        for (name, expected) in [
            ("gx:LegalParticipant", "gx:LegalParticipant"),
            ("gax:LegalParticipant", "gx:LegalParticipant"),
            ("https://w3id.org/gaia-x/development#LegalPerson", "gx:LegalPerson"),
            (
                "https://registry.lab.gaia-x.eu/development/api/trusted-shape-registry/v1/shapes/jsonld/trustframework#LegalPerson",
                "gx:LegalPerson",
            ),
            ("https://evil.example/gaia-x/#LegalPerson", "https://evil.example/gaia-x/#LegalPerson"),
            ("LegalPerson", "LegalPerson"),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }
}
