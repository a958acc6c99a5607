//! From verified credentials to the claims that policies are decided with.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::credential::VerifiedCredential;
use crate::did::Did;
use crate::trust::TrustedIssuers;

/// The claims of a subject that become claims of the participant when nothing else is set: those that constraints have names for.
pub const LIFTED: [&str; 9] =
    ["memberOf", "role", "roles", "spatial", "position", "nutsRegion", "nuts", "groups", "purpose"];

/// The type that every credential has; it says nothing.
const ANY_TYPE: &str = "VerifiableCredential";
const MEMBERSHIP: &str = "MembershipCredential";
/// Members that are not taken by a credential type of that name.
const RESERVED: [&str; 2] = ["credentials", "membership"];
/// The most values of one lifted claim.
const MAX_VALUES: usize = 256;

/// The claims object of a participant, of which nothing but what `trust` believes the issuers gets through:
///
/// - `credentials`: a list with `type`, `issuer`, `subject` and `validUntil` of each;
/// - one member for each credential type: the subject, or a list of them;
/// - `membership`: `active`, from a `MembershipCredential`; what it is a member of is its `memberOf`;
/// - each claim in `lifted`: the values from all subjects.
///
/// Subjects other than `holder` are left out.
pub async fn claims(
    credentials: &[VerifiedCredential],
    holder: &Did,
    trust: &dyn TrustedIssuers,
    lifted: &[String],
) -> Value {
    let mut list = Vec::with_capacity(credentials.len());
    let mut by_type = Map::new();
    let mut values = Map::new();
    for verified in credentials {
        let credential = &verified.credential;
        let types: Vec<&String> = credential.types.iter().filter(|name| *name != ANY_TYPE).collect();
        list.push(describe(verified, &types));
        let is_holder =
            |subject: &&Map<String, Value>| subject.get("id").and_then(Value::as_str) == Some(holder.as_str());
        for subject in credential.subjects.iter().filter(is_holder) {
            let subject = trust.admit(&credential.issuer, &credential.types, subject.clone()).await;
            if types.iter().any(|name| *name == MEMBERSHIP) {
                lift(&mut values, "membership", Some(&json!("active")));
            }
            for name in lifted {
                lift(&mut values, name, subject.get(name));
            }
            for name in &types {
                if !RESERVED.contains(&name.as_str()) && !lifted.contains(name) {
                    append(&mut by_type, name, Value::Object(subject.clone()));
                }
            }
        }
    }
    let mut all = Map::new();
    all.insert("credentials".to_owned(), Value::Array(list));
    all.extend(by_type);
    all.extend(values);
    Value::Object(all)
}

fn describe(verified: &VerifiedCredential, types: &[&String]) -> Value {
    let credential = &verified.credential;
    let subjects: Vec<&Value> = credential.subjects.iter().filter_map(|subject| subject.get("id")).collect();
    let mut entry = Map::new();
    entry.insert("type".to_owned(), json!(types));
    entry.insert("issuer".to_owned(), json!(credential.issuer));
    match subjects.as_slice() {
        [one] => entry.insert("subject".to_owned(), (*one).clone()),
        many => entry.insert("subject".to_owned(), json!(many)),
    };
    let until = credential.valid_until.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    if let Some(text) = until.and_then(|until| until.format(&Rfc3339).ok()) {
        entry.insert("validUntil".to_owned(), Value::from(text));
    }
    if !credential.status.is_empty() {
        entry.insert("status".to_owned(), json!(credential.status));
    }
    Value::Object(entry)
}

/// A member alone stays as it is; with a second one it becomes a list.
fn append(into: &mut Map<String, Value>, name: &str, value: Value) {
    match into.get_mut(name) {
        None => {
            into.insert(name.to_owned(), value);
        }
        Some(Value::Array(many)) => many.push(value),
        Some(single) => *single = Value::Array(vec![single.take(), value]),
    }
}

/// Adds the values of a claim to a list without repetitions. Only what a constraint can be compared with is taken.
fn lift(into: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    let simple = match value {
        None | Some(Value::Null) => return,
        Some(Value::Array(many)) => many.iter().take(MAX_VALUES).filter_map(simple).collect(),
        Some(one) => Vec::from_iter(simple(one)),
    };
    if simple.is_empty() {
        return;
    }
    let held = into.entry(name.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(held) = held {
        for value in simple {
            if held.len() < MAX_VALUES && !held.contains(&value) {
                held.push(value);
            }
        }
    }
}

fn simple(value: &Value) -> Option<Value> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        // A GeoJSON geometry (RFC 7946) is one value.
        Value::Object(members) if members.contains_key("coordinates") => Some(value.clone()),
        Value::Object(members) => {
            let inner = ["@id", "@value", "id", "membershipType"].iter().find_map(|name| members.get(*name))?;
            (inner.is_string() || inner.is_number() || inner.is_boolean()).then(|| inner.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{Credential, Format};
    use crate::did::DidUrl;
    use crate::trust::{IssuerList, TrustedIssuer};

    const HOLDER: &str = "did:web:city.example";
    const ISSUER: &str = "did:web:authority.example";

    fn verified(name: &str, subject: Value) -> VerifiedCredential {
        let credential = Credential {
            format: Format::Vc20Jwt,
            id: None,
            types: vec![ANY_TYPE.to_owned(), name.to_owned()],
            issuer: ISSUER.to_owned(),
            valid_from: None,
            valid_until: Some(1_767_225_600),
            subjects: vec![subject.as_object().unwrap().clone()],
            status: Vec::new(),
            schemas: Vec::new(),
            document: Value::Null,
        };
        let method = DidUrl::parse(&format!("{ISSUER}#k")).unwrap();
        VerifiedCredential { credential, method, fresh_until: 0 }
    }

    async fn of(credentials: &[VerifiedCredential], trusted: &str) -> Value {
        let trust = IssuerList::new(TrustedIssuer::parse_list(trusted.as_bytes()).unwrap()).unwrap();
        let lifted: Vec<String> = LIFTED.iter().map(|name| (*name).to_owned()).collect();
        claims(credentials, &HOLDER.parse().unwrap(), &trust, &lifted).await
    }

    const ALL: &str = r#"{"issuers":[{"did":"did:web:authority.example","credentials":[{"type":"*"}]}]}"#;

    #[tokio::test]
    async fn every_member() {
        let credentials = [
            verified(MEMBERSHIP, json!({"id": HOLDER, "memberOf": "Twins", "membership": {"membershipType": "Full"}})),
            verified("RoleCredential", json!({"id": HOLDER, "role": ["planner", {"deep": 1}], "nuts": "DE"})),
            verified("RoleCredential", json!({"id": HOLDER, "role": "planner", "level": 3})),
            verified(
                "SiteCredential",
                json!({"id": HOLDER, "position": {"type": "Point", "coordinates": [9.19, 45.46]}}),
            ),
        ];
        let claims = of(&credentials, ALL).await;
        assert_eq!(
            claims,
            json!({
                "credentials": [
                    {"type": [MEMBERSHIP], "issuer": ISSUER, "subject": HOLDER, "validUntil": "2026-01-01T00:00:00Z"},
                    {"type": ["RoleCredential"], "issuer": ISSUER, "subject": HOLDER, "validUntil": "2026-01-01T00:00:00Z"},
                    {"type": ["RoleCredential"], "issuer": ISSUER, "subject": HOLDER, "validUntil": "2026-01-01T00:00:00Z"},
                    {"type": ["SiteCredential"], "issuer": ISSUER, "subject": HOLDER, "validUntil": "2026-01-01T00:00:00Z"},
                ],
                MEMBERSHIP: {"id": HOLDER, "memberOf": "Twins", "membership": {"membershipType": "Full"}},
                "RoleCredential": [
                    {"id": HOLDER, "role": ["planner", {"deep": 1}], "nuts": "DE"},
                    {"id": HOLDER, "role": "planner", "level": 3},
                ],
                "membership": ["active"],
                "memberOf": ["Twins"],
                "role": ["planner"],
                "nuts": ["DE"],
                "SiteCredential": {"id": HOLDER, "position": {"type": "Point", "coordinates": [9.19, 45.46]}},
                "position": [{"type": "Point", "coordinates": [9.19, 45.46]}],
            })
        );
    }

    #[tokio::test]
    async fn what_an_issuer_is_not_believed_is_left_out() {
        let only = r#"{"issuers":[{"did":"did:web:authority.example","credentials":[{"type":"RoleCredential","claims":["level"]}]}]}"#;
        let claims = of(&[verified("RoleCredential", json!({"id": HOLDER, "role": "king", "level": 3}))], only).await;
        assert_eq!(claims.get("role"), None);
        assert_eq!(claims["RoleCredential"], json!({"id": HOLDER, "level": 3}));
    }

    #[tokio::test]
    async fn other_subjects_and_reserved_names_are_left_out() {
        let other = verified("RoleCredential", json!({"id": "did:web:other.example", "role": "planner"}));
        let claims = of(&[other], ALL).await;
        assert_eq!((claims.get("role"), claims.get("RoleCredential")), (None, None));
        let tricky = [
            verified("membership", json!({"id": HOLDER})),
            verified("credentials", json!({"id": HOLDER})),
            verified("role", json!({"id": HOLDER})),
        ];
        let claims = of(&tricky, ALL).await;
        assert_eq!((claims.get("membership"), claims.get("role")), (None, None));
        assert!(claims["credentials"].is_array());
    }
}
