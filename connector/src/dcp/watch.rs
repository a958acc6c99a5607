//! Watches over the credentials that running transfers rest on: one that is revoked, suspended, over or not trusted any more
//! suspends its transfers, and both sides are told why. Nobody tells us of a revocation, so the lists are read again, once each,
//! twice in `identity.status_cache_s`; when a credential expires is known, and looked at then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;

use super::DcpServices;
use crate::app::App;
use crate::service::transfer::{Command, command};
use crate::service::{ServiceError, ServiceResult};
use crate::store::running;

/// Intervals for which it may stay unknown whether a credential holds, because a list cannot be read, before it counts against the transfer.
const PATIENCE: i64 = 10;
/// How often used tokens that have expired are forgotten, in intervals.
const FORGET_EACH: u64 = 10;

/// Why a credential does not hold any more: a code and a sentence.
type Fallen = (&'static str, String);

/// Watches until `stop`; without verifiable credentials there is nothing to watch.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let Some(dcp) = app.dcp.clone() else { return };
    let interval = Duration::from_secs(app.config.identity.status_cache_s.max(1)) / 2;
    let mut unknown: HashMap<String, i64> = HashMap::new();
    let mut round: u64 = 0;
    let mut pause = interval;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match look(&app, &dcp, &mut unknown).await {
            Ok(expiry) => until(expiry, dcp.clock.now()).map_or(interval, |wait| wait.min(interval)),
            Err(error) => {
                tracing::warn!(%error, "the credentials of running transfers could not be checked");
                interval
            }
        };
        round += 1;
        if round.is_multiple_of(FORGET_EACH) {
            forget_tokens(&app, &dcp).await;
        }
    }
}

/// The wait until a moment, in seconds since 1970; at least one, so that a clock that stands still does not keep us busy.
fn until(moment: Option<i64>, now: i64) -> Option<Duration> {
    moment.map(|moment| Duration::from_secs(u64::try_from(moment.saturating_sub(now)).unwrap_or_default().max(1)))
}

/// Judges what running transfers rest on; when the first of the credentials expires, in seconds since 1970.
async fn look(app: &Arc<App>, dcp: &DcpServices, unknown: &mut HashMap<String, i64>) -> ServiceResult<Option<i64>> {
    let mut expiry: Option<i64> = None;
    let mut judged: HashMap<String, Option<Fallen>> = HashMap::new();
    let mut after = String::new();
    loop {
        let page = running::page(&app.store, app.context(), &after).await?;
        let Some((last, ..)) = page.last() else { break };
        after.clone_from(last);
        for (id, counter_party, claims) in page {
            let claims: Value = serde_json::from_str(&claims).unwrap_or_default();
            let credentials = claims.get("credentials").and_then(Value::as_array).map(Vec::as_slice);
            for credential in credentials.unwrap_or_default() {
                let key = format!("{counter_party} {credential}");
                if !judged.contains_key(&key) {
                    let judgement = judge(dcp, &counter_party, credential, &key, unknown).await;
                    judged.insert(key.clone(), judgement);
                }
                if let Some(Some((code, reason))) = judged.get(&key) {
                    suspend(app, &id, code, reason).await;
                    break;
                }
                expiry = expiry.into_iter().chain(expires(credential)).min();
            }
        }
    }
    unknown.retain(|key, _| judged.contains_key(key));
    Ok(expiry)
}

/// When a credential expires, in seconds since 1970.
fn expires(credential: &Value) -> Option<i64> {
    let text = credential.get("validUntil").and_then(Value::as_str)?;
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// What stands against a credential now, if anything.
async fn judge(
    dcp: &DcpServices,
    counter_party: &str,
    credential: &Value,
    key: &str,
    unknown: &mut HashMap<String, i64>,
) -> Option<Fallen> {
    let text = |name: &str| credential.get(name).and_then(Value::as_str).unwrap_or_default();
    let types = credential.get("type").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let types: Vec<String> = types.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    let what = format!("the {} of `{counter_party}`", types.first().map_or("credential", String::as_str));
    if expires(credential).is_some_and(|until| until <= dcp.clock.now()) {
        return Some(("credential_expired", format!("{what} has expired")));
    }
    let issuer = text("issuer");
    let mut doubt = match dcp.trust.check(issuer, &types).await {
        Ok(()) => None,
        Err(error) if error.is_temporary() => Some(error),
        Err(error) => return Some(("credential_untrusted", format!("{what} counts no more: {error}"))),
    };
    if let Some(entries) = credential.get("status").and_then(Value::as_array) {
        match dcp.status.check(entries, issuer).await {
            Ok(_) => {}
            Err(error) if error.code() == "revoked" => {
                return Some(("credential_revoked", format!("{what} is revoked: {error}")));
            }
            Err(error) if error.code() == "suspended" => {
                return Some(("credential_suspended", format!("{what} is suspended: {error}")));
            }
            Err(error) => doubt = Some(error),
        }
    }
    let Some(error) = doubt else {
        unknown.remove(key);
        return None;
    };
    let rounds = unknown.entry(key.to_owned()).or_insert(0);
    *rounds += 1;
    tracing::warn!(%error, rounds, "it cannot be said whether {what} still holds");
    (*rounds >= PATIENCE)
        .then(|| ("credential_status_unknown", format!("it cannot be said whether {what} still holds: {error}")))
}

async fn suspend(app: &Arc<App>, id: &str, code: &'static str, reason: &str) {
    let why = ServiceError::bad_request(code, reason);
    match command(app, id, Command::Hold { why, decision: None }).await {
        Ok(_) => tracing::info!(transfer = %id, code, reason, "a transfer is suspended"),
        // It ended or was suspended in the meantime, here or by another replica.
        Err(error) => tracing::debug!(transfer = %id, %error, "a transfer needs not be suspended"),
    }
}

async fn forget_tokens(app: &App, dcp: &DcpServices) {
    let now = dcp.clock.now();
    let forgotten = app
        .store
        .write(move |unit| Box::pin(async move { crate::store::tokens::forget_expired(unit, now).await }))
        .await;
    if let Err(error) = forgotten {
        tracing::warn!(%error, "expired tokens could not be forgotten");
    }
}
