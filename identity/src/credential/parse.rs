//! Reading credentials: where a credential lies in what came, and what it says (VC Data Model 1.1 and 2.0).
//!
//! Nothing is verified here; limits are kept before anything is looked at.

use serde_json::{Map, Value};

use super::validity::{self, Period};
use super::{Credential, CredentialError, Format};
use crate::did::Did;

/// First context of a document of VC Data Model 1.1.
pub(crate) const CONTEXT_V1: &str = "https://www.w3.org/2018/credentials/v1";
/// First context of a document of VC Data Model 2.0.
pub(crate) const CONTEXT_V2: &str = "https://www.w3.org/ns/credentials/v2";

/// Most entries of a list inside a credential, such as subjects and status entries.
const MAX_ENTRIES: usize = 16;
/// Longest name of a type, and longest id, in bytes.
const MAX_NAME: usize = 2048;

/// The generation of the data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    V1,
    V2,
}

/// What is wrapped into `EnvelopedVerifiable…` objects, and in which media types (VC Data Model 2.0, 4.13; VC-JOSE-COSE, 6).
pub(crate) struct Envelope {
    kind: &'static str,
    /// The second is the name that drafts had.
    media_types: [&'static str; 2],
}

/// The envelope of a credential.
pub(crate) const CREDENTIAL: Envelope = Envelope {
    kind: "EnvelopedVerifiableCredential",
    media_types: ["data:application/vc+jwt,", "data:application/vc-ld+jwt,"],
};

/// The envelope of a presentation.
pub(crate) const PRESENTATION: Envelope = Envelope {
    kind: "EnvelopedVerifiablePresentation",
    media_types: ["data:application/vp+jwt,", "data:application/vp-ld+jwt,"],
};

/// How something is secured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Secured<'a> {
    /// A compact JWS.
    Jws(&'a str),
    /// A JSON-LD document with an embedded proof.
    Embedded(&'a Value),
}

/// Finds the compact JWS or the embedded proof in a string or an object.
///
/// # Errors
/// `unsigned_credential` for an object without proof, `bad_credential` for anything that is neither.
pub(crate) fn open<'a>(value: &'a Value, envelope: &Envelope) -> Result<Secured<'a>, CredentialError> {
    let bad = |what: String| CredentialError::refused("bad_credential", what);
    match value {
        Value::String(jws) => Ok(Secured::Jws(jws)),
        Value::Object(members) if names(members.get("type")).contains(&envelope.kind) => {
            let url = members.get("id").and_then(Value::as_str).unwrap_or_default();
            let content = envelope.media_types.iter().find_map(|media_type| url.strip_prefix(media_type));
            let expected = envelope.media_types.first().copied().unwrap_or_default();
            content
                .map(Secured::Jws)
                .ok_or_else(|| bad(format!("the `id` of an {} does not begin with `{expected}`", envelope.kind)))
        }
        Value::Object(members) if members.contains_key("proof") => Ok(Secured::Embedded(value)),
        Value::Object(_) => Err(CredentialError::refused("unsigned_credential", "the document has no proof")),
        _ => Err(bad("neither a string nor an object, so no credential".to_owned())),
    }
}

/// Whether no context speaks of a data model, as opposed to one in the wrong place.
fn tells_no_model(document: &Map<String, Value>) -> bool {
    let tells = |context: &Value| matches!(context.as_str(), Some(CONTEXT_V1 | CONTEXT_V2));
    match document.get("@context") {
        None => true,
        Some(only @ Value::String(_)) => !tells(only),
        Some(Value::Array(contexts)) => !contexts.iter().any(tells),
        Some(_) => false,
    }
}

/// Which data model the first context stands for.
pub(crate) fn model(document: &Map<String, Value>) -> Option<Model> {
    let first = match document.get("@context")? {
        Value::Array(contexts) => contexts.first()?.as_str()?,
        Value::String(only) => only,
        _ => return None,
    };
    match first {
        CONTEXT_V1 => Some(Model::V1),
        CONTEXT_V2 => Some(Model::V2),
        _ => None,
    }
}

/// Reads the payload of a JWT: the claim `vc` makes it one of data model 1.1, otherwise the payload is the credential itself.
///
/// # Errors
/// `bad_credential`.
pub(crate) fn from_jwt(mut payload: Map<String, Value>) -> Result<Credential, CredentialError> {
    if payload.contains_key("vp") {
        return Err(bad("holds the claim `vp`: it is a presentation"));
    }
    let Some(vc) = payload.remove("vc") else { return enveloped(payload) };
    let Value::Object(mut document) = vc else { return Err(bad("has a claim `vc` that is not an object")) };
    fold(&payload, &mut document)?;
    let period = validity::claims(&payload)?.and(validity::members(&document)?);
    read(Format::Vc11Jwt, document, period)
}

/// VC 2.0: the payload is the credential; registered claims speak of the signature and may not contradict it
/// (VC-JOSE-COSE, 3.1.3).
fn enveloped(payload: Map<String, Value>) -> Result<Credential, CredentialError> {
    if model(&payload) != Some(Model::V2) {
        return Err(bad("has neither the claim `vc` nor the context of VC Data Model 2.0 in first place"));
    }
    let period = validity::claims(&payload)?.and(validity::members(&payload)?);
    agree(&payload, "iss", identifier(payload.get("issuer")))?;
    agree(&payload, "jti", payload.get("id").and_then(Value::as_str))?;
    let claims = payload.clone();
    let credential = read(Format::Vc20Jwt, payload, period)?;
    if !credential.subjects.is_empty() {
        agree_with_subjects(&claims, &credential.subjects)?;
    }
    Ok(credential)
}

/// Reads a JSON-LD credential with an embedded proof.
///
/// # Errors
/// `bad_credential`.
pub(crate) fn from_document(document: &Value) -> Result<Credential, CredentialError> {
    let Value::Object(members) = document else { return Err(bad("is not an object")) };
    let period = validity::members(members)?;
    read(Format::DataIntegrity, members.clone(), period)
}

/// VC 1.1: claims stand for members of the credential, which may then be left out inside `vc`; where both are there, they must
/// say the same (VC Data Model 1.1, 6.3.1). Dates are not compared: the narrower period counts. Nor are `jti` and `id`, which
/// issuers fill with different values and nothing here rests upon.
fn fold(claims: &Map<String, Value>, document: &mut Map<String, Value>) -> Result<(), CredentialError> {
    document.retain(|_, value| !value.is_null());
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    match identifier(document.get("issuer")) {
        Some(issuer) => agree(claims, "iss", Some(issuer))?,
        None if document.contains_key("issuer") => return Err(bad("has an `issuer` without an id")),
        None => {
            let issuer = text("iss").ok_or_else(|| bad("has neither the claim `iss` nor an `issuer`"))?;
            document.insert("issuer".to_owned(), Value::from(issuer));
        }
    }
    if let (false, Some(id)) = (document.contains_key("id"), text("jti")) {
        document.insert("id".to_owned(), Value::from(id));
    }
    let Some(subject_id) = claims.get("sub") else { return Ok(()) };
    let sole = match document.get_mut("credentialSubject") {
        Some(Value::Object(subject)) => Some(subject),
        Some(Value::Array(subjects)) => match subjects.as_mut_slice() {
            [Value::Object(subject)] => Some(subject),
            _ => None,
        },
        _ => None,
    };
    if let Some(subject) = sole {
        subject.entry("id").or_insert_with(|| subject_id.clone());
    }
    // Some issuers name the credential by `sub`, as the conformance kit does. That says nothing about the subject, whose own
    // id counts.
    if document.get("id") == Some(subject_id) {
        return Ok(());
    }
    agree_with_subjects(claims, &objects(document, "credentialSubject")?)
}

fn agree(claims: &Map<String, Value>, claim: &str, member: Option<&str>) -> Result<(), CredentialError> {
    match (claims.get(claim), member) {
        (Some(claimed), Some(member)) if claimed.as_str() != Some(member) => {
            Err(bad(&format!("contradicts itself: its claim `{claim}` is not what the credential says")))
        }
        _ => Ok(()),
    }
}

fn agree_with_subjects(claims: &Map<String, Value>, subjects: &[Map<String, Value>]) -> Result<(), CredentialError> {
    let Some(claimed) = claims.get("sub") else { return Ok(()) };
    if subjects.iter().filter_map(|subject| subject.get("id")).any(|id| id == claimed)
        || subjects.iter().all(|subject| !subject.contains_key("id"))
    {
        return Ok(());
    }
    Err(bad("contradicts itself: its claim `sub` is not the id of its subject"))
}

fn read(format: Format, document: Map<String, Value>, period: Period) -> Result<Credential, CredentialError> {
    let expected = match format {
        Format::Vc11Jwt => Some(Model::V1),
        Format::Vc20Jwt => Some(Model::V2),
        Format::DataIntegrity => None,
    };
    match (model(&document), expected) {
        (Some(found), Some(expected)) if found != expected => {
            return Err(bad("has the first context of another data model than its form"));
        }
        // In a JWT of VC 1.1 the claim `vc` already says what it is, members are read by their names and nothing is expanded; and
        // there are issuers that leave the context out or write something else there, as the conformance kit does.
        (None, Some(Model::V1)) if tells_no_model(&document) => {}
        (None, _) => return Err(bad("has no context of VC Data Model 1.1 or 2.0 in first place")),
        _ => {}
    }
    let types: Vec<String> = names(document.get("type")).into_iter().map(str::to_owned).collect();
    let fits = (1..=MAX_ENTRIES).contains(&types.len()) && types.iter().all(|name| name.len() <= MAX_NAME);
    if !fits {
        return Err(bad("has no `type`, or too many or too long ones"));
    }
    // For the same reason, there are issuers that leave the type out.
    if format != Format::Vc11Jwt && !types.iter().any(|name| name == "VerifiableCredential") {
        return Err(bad("has not the type `VerifiableCredential`"));
    }
    let issuer = identifier(document.get("issuer")).ok_or_else(|| bad("has no `issuer`"))?;
    let issuer: Did = issuer.parse().map_err(|error| bad(&format!("has an issuer of the wrong form: {error}")))?;
    let subjects = objects(&document, "credentialSubject")?;
    if subjects.is_empty() || subjects.iter().any(Map::is_empty) {
        return Err(bad("has no `credentialSubject`, or an empty one"));
    }
    let id = match document.get("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) if id.len() <= MAX_NAME => Some(id.clone()),
        Some(_) => return Err(bad("has an `id` of the wrong form")),
    };
    let status = objects(&document, "credentialStatus")?.into_iter().map(Value::Object).collect();
    let schemas = objects(&document, "credentialSchema")?.into_iter().map(Value::Object).collect();
    Ok(Credential {
        format,
        id,
        types,
        issuer: issuer.to_string(),
        valid_from: period.from,
        valid_until: period.until,
        subjects,
        status,
        schemas,
        document: Value::Object(document),
    })
}

/// A list of objects, or one object instead of a list.
fn objects(document: &Map<String, Value>, name: &str) -> Result<Vec<Map<String, Value>>, CredentialError> {
    let wrong = || bad(&format!("has a `{name}` that is not one to {MAX_ENTRIES} objects"));
    match document.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(many)) if many.len() <= MAX_ENTRIES => {
            many.iter().map(|one| one.as_object().cloned().ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// A string, or the `id` of an object.
pub(crate) fn identifier(value: Option<&Value>) -> Option<&str> {
    match value? {
        Value::String(id) => Some(id),
        Value::Object(members) => members.get("id")?.as_str(),
        _ => None,
    }
}

/// A string or a list of strings; nothing if any entry is something else.
pub(crate) fn names(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn bad(what: &str) -> CredentialError {
    CredentialError::refused("bad_credential", format!("the credential {what}"))
}
