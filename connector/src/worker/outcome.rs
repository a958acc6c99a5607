//! What an answer to a message means, and when to try again.

use identity::CounterParty;
use identity::scope::Scopes;
use rand::Rng as _;
use serde_json::Value;

use super::Outgoing;
use crate::app::App;
use crate::fetch::{FetchError, FetchResponse};
use crate::service::{ServiceError, ServiceResult};
use crate::store::now_ms;

/// The meaning of one attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The counter-party has taken the message; its JSON body, if it sent one.
    Taken(Option<Value>),
    /// Try again later, because of this.
    Later(ServiceError),
    /// The counter-party refuses it for good, or so it says.
    Refused(ServiceError),
}

/// Sends a message and says what became of it.
pub(super) async fn send(
    app: &App,
    message: &Outgoing,
    to: &CounterParty<'_>,
    scopes: &Scopes,
    owed_since: i64,
) -> Outcome {
    let authorization = match app.identity.authorization_with(to, scopes).await {
        Ok(authorization) => authorization,
        Err(error) => {
            return Outcome::Later(ServiceError::operator(
                "no_credentials",
                format!("we cannot introduce ourselves to `{}`: {error}", to.participant_id),
            ));
        }
    };
    app.in_flight.sending(&message.owed_id);
    match app.fetcher.post_json(&message.url, &message.body, Some(&authorization)).await {
        Ok(answer) => classify(&answer, now_ms() - owed_since, app.grace_ms()),
        Err(error) => failed(&error),
    }
}

fn failed(error: &FetchError) -> Outcome {
    let text = format!("the counter-party cannot be reached: {error}");
    if error.retryable {
        Outcome::Later(ServiceError::peer("peer_unreachable", text))
    } else {
        Outcome::Refused(ServiceError::peer("peer_unreachable", text))
    }
}

/// DSP 2025-1 leaves retries open. 5xx, 408, 425 and 429 are tried again, 404 and 409 for a short while, since
/// peers answer so while they still store the step before.
fn classify(answer: &FetchResponse, waited_ms: i64, grace_ms: i64) -> Outcome {
    let body = || serde_json::from_slice::<Value>(&answer.body).ok();
    match answer.status {
        200..=299 => Outcome::Taken(body()),
        status @ (500..=599 | 408 | 425 | 429) => Outcome::Later(refusal(status, body())),
        status @ (404 | 409) if waited_ms < grace_ms => Outcome::Later(refusal(status, body())),
        status => Outcome::Refused(refusal(status, body())),
    }
}

fn refusal(status: u16, body: Option<Value>) -> ServiceError {
    let said = body.map(|body| dsp_protocol::error::PeerError::read(&body));
    let reasons = said.map(|error| error.reasons.join("; ")).filter(|text| !text.is_empty());
    let why = reasons.map_or_else(String::new, |text| format!(": {}", truncate(&text)));
    ServiceError::peer("refused_by_peer", format!("the counter-party answered with status {status}{why}"))
}

fn truncate(text: &str) -> String {
    text.chars().take(500).collect()
}

/// Asks the counter-party for its state of the process.
pub(super) async fn peer_state(app: &App, message: &Outgoing, to: &CounterParty<'_>) -> Option<Value> {
    let url = message.state_url.as_ref()?;
    let authorization = app.identity.authorization_for(to).await.ok()?;
    let answer = app.fetcher.get_json(url, Some(&authorization)).await.ok()?;
    if answer.status != 200 {
        return None;
    }
    serde_json::from_slice(&answer.body).ok()
}

/// When to try again: exponential back-off with jitter; `None` when it is time to give up.
///
/// # Errors
/// Never; a `Result` so that callers can use `?` beside store calls.
pub(super) fn next_attempt(app: &App, attempts: i32, owed_since: i64) -> ServiceResult<Option<i64>> {
    let delivery = &app.config.delivery;
    let now = now_ms();
    let limit = i64::try_from(delivery.give_up_after_s).unwrap_or(i64::MAX / 1000).saturating_mul(1000);
    if now - owed_since >= limit {
        return Ok(None);
    }
    let exponent = u32::try_from(attempts).unwrap_or(0).min(20);
    let initial = i64::try_from(delivery.initial_backoff_ms).unwrap_or(100);
    let longest = i64::try_from(delivery.max_backoff_s).unwrap_or(60).saturating_mul(1000);
    let pause = initial.saturating_mul(1_i64 << exponent).clamp(1, longest.max(1));
    let jittered = pause / 2 + rand::rng().random_range(0..=pause / 2);
    Ok(Some((now + jittered).min(owed_since + limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> FetchResponse {
        FetchResponse { status, body: bytes::Bytes::from_static(b"{\"reason\":[\"no\"]}"), ..FetchResponse::default() }
    }

    #[test]
    fn each_status_code_has_its_meaning() {
        for status in [200, 201, 204] {
            assert!(matches!(classify(&answer(status), 0, 10_000), Outcome::Taken(_)), "{status}");
        }
        for status in [500, 502, 503, 408, 425, 429, 404, 409] {
            assert!(matches!(classify(&answer(status), 0, 10_000), Outcome::Later(_)), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 422, 301] {
            assert!(matches!(classify(&answer(status), 10_000, 10_000), Outcome::Refused(_)), "{status}");
        }
    }

    #[test]
    fn a_refusal_repeats_the_reasons_of_the_peer() {
        let Outcome::Refused(error) = classify(&answer(400), 0, 0) else { panic!("expected a refusal") };
        assert_eq!(error.message, "the counter-party answered with status 400: no");
    }
}
