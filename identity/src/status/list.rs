//! Reading and verifying the credential that holds a list.

use serde_json::Value;

use super::{StatusBits, StatusKind};
use crate::credential::parse::{self, Secured};
use crate::credential::validity::Period;
use crate::credential::verifier::embedded;
use crate::credential::{Credential, CredentialError, jwt};
use crate::did::{Did, DidResolver, Relationship};
use crate::jose::Jws;

/// Seconds that clocks may differ.
const LEEWAY: i64 = 30;

/// A list whose signature and validity were checked. Whether its issuer is believed depends on the credential that points to it.
pub(super) struct StatusList {
    pub(super) kind: StatusKind,
    pub(super) issuer: String,
    pub(super) types: Vec<String>,
    pub(super) purposes: Vec<String>,
    pub(super) bits: StatusBits,
    pub(super) valid_until: Option<i64>,
}

/// Reads the body of an answer: a compact JWS, bare or as a JSON string, or a JSON document with a proof.
///
/// # Errors
/// `unsigned_status_list`, `bad_status_list`, `status_list_too_short`; `status_unavailable` when the issuer's key cannot be had now.
pub(super) async fn read(body: &[u8], resolver: &DidResolver, now: i64) -> Result<StatusList, CredentialError> {
    let text = std::str::from_utf8(body).map_err(|_error| bad("is not text"))?.trim();
    let value = if text.starts_with(['{', '"', '[']) {
        serde_json::from_str(text).map_err(|_error| bad("is not JSON"))?
    } else {
        Value::from(text)
    };
    let credential = verified(&value, resolver, now).await.map_err(|error| match error.code() {
        "unsigned_credential" | "unsupported_algorithm" => {
            let text = "the status list is not signed with an allowed algorithm, and unsigned lists are not believed";
            CredentialError::peer("unsigned_status_list", text, false)
        }
        _ if error.is_temporary() => CredentialError::peer("status_unavailable", error.to_string(), true),
        _ => CredentialError::peer("bad_status_list", error.to_string(), false),
    })?;
    content(credential)
}

async fn verified(value: &Value, resolver: &DidResolver, now: i64) -> Result<Credential, CredentialError> {
    let (credential, jws) = match parse::open(value, &parse::CREDENTIAL)? {
        Secured::Jws(token) => {
            let jws = Jws::parse(token).map_err(jwt::unsigned)?;
            (parse::from_jwt(jws.payload().clone())?, Some(jws))
        }
        Secured::Embedded(document) => (parse::from_document(document)?, None),
    };
    Period { from: credential.valid_from, until: credential.valid_until }.check(now, LEEWAY)?;
    let issuer: Did = credential.issuer.parse().map_err(jwt::unresolved)?;
    match jws {
        Some(jws) => jwt::verify(&jws, &issuer, Relationship::AssertionMethod, resolver, "issuer_mismatch").await?,
        None => embedded(&credential.document, &issuer, resolver, now).await?,
    };
    Ok(credential)
}

fn content(credential: Credential) -> Result<StatusList, CredentialError> {
    let [subject] = credential.subjects.as_slice() else { return Err(bad("has more than one subject")) };
    let types = parse::names(subject.get("type"));
    let kind = [StatusKind::Bitstring, StatusKind::StatusList2021]
        .into_iter()
        .find(|kind| {
            types.contains(&kind.subject_type()) && credential.types.iter().any(|name| name == kind.credential_type())
        })
        .ok_or_else(|| bad("has not the types of a status list credential"))?;
    // Whether a list is still in force is not looked up in another list.
    if !credential.status.is_empty() {
        return Err(bad("has a `credentialStatus` of its own"));
    }
    let purposes: Vec<String> = parse::names(subject.get("statusPurpose")).into_iter().map(str::to_owned).collect();
    let encoded = subject.get("encodedList").and_then(Value::as_str).ok_or_else(|| bad("has no `encodedList`"))?;
    let bits = StatusBits::decode(kind, encoded)?;
    Ok(StatusList {
        kind,
        purposes,
        bits,
        issuer: credential.issuer,
        types: credential.types,
        valid_until: credential.valid_until,
    })
}

fn bad(what: &str) -> CredentialError {
    CredentialError::peer("bad_status_list", format!("the status list {what}"), false)
}
