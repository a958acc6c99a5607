//! A trusted-issuers registry with the read interface of the EBSI Trusted Issuers Registry API v4.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::{STATUS_LISTS, TrustedIssuers, asked, untrusted};
use crate::credential::CredentialError;
use crate::credential::kept::Kept;
use crate::did::Did;
use crate::{Clock, Fetch, printable};

/// Largest answer, in bytes, and the most attributes of an issuer.
const MAX_ANSWER: usize = 1024 * 1024;
const MAX_ATTRIBUTES: usize = 1_000;
/// Room for the answers that are kept, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Issuers by a registry. What it answers is kept for a time; when it cannot be asked, nobody is trusted.
pub struct IssuerRegistry {
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    base: Url,
    ttl_s: i64,
    kept: Kept<Issuer>,
}

/// What the registry says about one issuer; without entries it is not trusted for anything.
#[derive(Debug, Default)]
struct Issuer {
    entries: Vec<Entry>,
}

/// One attribute: a credential type with limits.
#[derive(Debug)]
struct Entry {
    credential_type: String,
    from: Option<i64>,
    until: Option<i64>,
    /// The values that a member of the subject may have: `None` for any, an empty list for none. Others are not limited.
    members: HashMap<String, Option<Vec<Value>>>,
}

impl IssuerRegistry {
    /// Of the registry at `base`, the URL before `/v4/issuers`; answers are kept for `ttl_s` seconds at most.
    pub fn new(fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>, base: Url, ttl_s: i64) -> Self {
        let size = |issuer: &Issuer| issuer.entries.len().saturating_mul(512).saturating_add(64);
        Self { fetch, clock, base, ttl_s, kept: Kept::new(CACHE_BYTES, size) }
    }

    async fn issuer(&self, did: &str) -> Result<Arc<Issuer>, CredentialError> {
        if did.parse::<Did>().is_err() {
            return Ok(Arc::default());
        }
        let now = self.clock.now();
        let (issuer, _until) = self.kept.get(did, now, self.read(did, now)).await?;
        Ok(issuer)
    }

    async fn read(&self, did: &str, now: i64) -> Result<(Issuer, i64), CredentialError> {
        let host = self.base.host_str().unwrap_or_default();
        let unavailable = |what: String| {
            let message = format!("the trusted-issuers registry `{}` {what}", printable(host));
            CredentialError::peer("trust_unavailable", message, true)
        };
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| unavailable("has no URL that paths can be added to".to_owned()))?
            .pop_if_empty()
            .extend(["v4", "issuers", did]);
        let answer = self
            .fetch
            .get(&url, "application/json", None, MAX_ANSWER)
            .await
            .map_err(|error| unavailable(format!("does not answer: {}", printable(&error.message))))?;
        let keep_s = answer.max_age.and_then(|age| i64::try_from(age).ok()).unwrap_or(self.ttl_s).min(self.ttl_s);
        let until = now.saturating_add(keep_s);
        match answer.status {
            404 => return Ok((Issuer::default(), until)),
            200 => {}
            status => return Err(unavailable(format!("answered with {status}"))),
        }
        let body: Value =
            serde_json::from_slice(&answer.body).map_err(|_error| unavailable("answered without JSON".to_owned()))?;
        if body.get("did").and_then(Value::as_str) != Some(did) {
            return Err(unavailable("answered about another issuer".to_owned()));
        }
        let attributes = body.get("attributes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(unavailable(format!("answered with more than {MAX_ATTRIBUTES} attributes")));
        }
        Ok((Issuer { entries: attributes.iter().filter_map(read_entry).collect() }, until))
    }
}

impl Issuer {
    fn entries<'a>(&'a self, name: &'a str, now: i64) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| {
            let in_time = entry.from.is_none_or(|from| from <= now) && entry.until.is_none_or(|until| now < until);
            in_time && entry.credential_type == name
        })
    }
}

/// An attribute that cannot be read, or was revoked, gives no trust.
fn read_entry(attribute: &Value) -> Option<Entry> {
    if attribute.get("issuerType").and_then(Value::as_str) == Some("Revoked") {
        return None;
    }
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = attribute.get("body")?.as_str()?;
    let bytes = [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(text).ok())?;
    let body: Value = serde_json::from_slice(&bytes).ok()?;
    let (mut from, mut until) = (None, None);
    if let Some(valid) = body.get("validFor").filter(|valid| !valid.is_null()) {
        from = moment(valid, "from")?;
        until = moment(valid, "to")?;
    }
    let mut members = HashMap::new();
    match body.get("claims") {
        None | Some(Value::Null) => {}
        Some(Value::Array(claims)) => {
            for claim in claims {
                let (member, values) = read_claim(claim)?;
                members.insert(member, values);
            }
        }
        Some(_) => return None,
    }
    let credential_type = body.get("credentialsType")?.as_str()?.to_owned();
    Some(Entry { credential_type, from, until, members })
}

/// `None` when there is something that is no time; no limit when there is nothing.
fn moment(valid: &Value, name: &str) -> Option<Option<i64>> {
    match valid.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => {
            OffsetDateTime::parse(text, &Rfc3339).ok().map(|moment| Some(moment.unix_timestamp()))
        }
        Some(_) => None,
    }
}

/// The member of the subject that a claim is about and its allowed values. A path that goes deeper is not followed, so the
/// member is not believed at all.
fn read_claim(claim: &Value) -> Option<(String, Option<Vec<Value>>)> {
    let name = claim.get("name").and_then(Value::as_str);
    let values = match claim.get("allowedValues") {
        None | Some(Value::Null) => None,
        Some(Value::Array(values)) => Some(values.clone()),
        Some(_) => return None,
    };
    match claim.get("path") {
        None | Some(Value::Null) => Some((name?.to_owned(), values)),
        Some(Value::String(path)) => {
            let rest = path.strip_prefix("$.")?;
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (member, deeper) = rest.split_at_checked(end)?;
            if member.is_empty() || member == "*" {
                return None;
            }
            Some((member.to_owned(), if deeper.is_empty() { values } else { Some(Vec::new()) }))
        }
        Some(_) => None,
    }
}

#[async_trait]
impl TrustedIssuers for IssuerRegistry {
    async fn check(&self, issuer: &str, types: &[String]) -> Result<(), CredentialError> {
        let asked = asked(types);
        let known = self.issuer(issuer).await?;
        let now = self.clock.now();
        let trusted = |name: &&str| {
            known.entries(name, now).next().is_some() || (STATUS_LISTS.contains(name) && !known.entries.is_empty())
        };
        let others: Vec<&str> = asked.iter().copied().filter(|name| !trusted(name)).collect();
        if others.is_empty() && !asked.is_empty() { Ok(()) } else { Err(untrusted(issuer, &others)) }
    }

    /// All, if it is trusted: the registry limits values, see [`TrustedIssuers::admit`].
    async fn claims(&self, issuer: &str, types: &[String]) -> Option<Vec<String>> {
        self.check(issuer, types).await.err().map(|_untrusted| Vec::new())
    }

    async fn admit(&self, issuer: &str, types: &[String], subject: Map<String, Value>) -> Map<String, Value> {
        let mut left = Map::new();
        let Ok(known) = self.issuer(issuer).await else { return left };
        for name in asked(types) {
            for entry in known.entries(name, self.clock.now()) {
                for (member, value) in &subject {
                    let allowed = match entry.members.get(member) {
                        None | Some(None) => true,
                        Some(Some(values)) => match value {
                            Value::Array(many) => many.iter().all(|one| values.contains(one)),
                            one => values.contains(one),
                        },
                    };
                    if allowed || member == "id" {
                        left.insert(member.clone(), value.clone());
                    }
                }
            }
        }
        left
    }
}
