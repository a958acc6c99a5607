//! Do the two sides accept each other: our token there, and its credential service for us.

use dsp_protocol::catalog::CatalogRequestMessage;
use dsp_protocol::error::PeerError;
use identity::dcp::message::{PresentationQuery, PresentationQueryMessage};
use identity::did::DidDocument;
use serde_json::Value;
use url::Url;

use super::reach::unreached;
use super::{Patient, Side, Step, limited, quoted};
use crate::fetch::FetchResponse;

/// Codes of refusals that we mend ourselves: what we present, and whether the other side can reach us.
const OURS: &[&str] = &[
    "credential_service_unreachable",
    "did_not_found",
    "did_unreachable",
    "expired",
    "forbidden_address",
    "holder_mismatch",
    "missing_credential",
    "no_credential_service",
    "not_yet_valid",
    "revoked",
    "suspended",
    "unknown_key",
    "unknown_token",
];

impl Patient<'_> {
    /// Asks for a page of the catalog: the partner checks our token, asks our credential service and decides.
    pub(super) async fn token(&self, base: Option<&str>) -> Step {
        const NAME: &str = "token";
        let Some(base) = base else { return Step::skipped(NAME, "there is no address to send our token to") };
        let to = identity::CounterParty { participant_id: self.id, address: base };
        let authorization = match self.app.identity.authorization_for(&to).await {
            Ok(authorization) => authorization,
            Err(error) => return Step::failed(NAME, Side::Us, format!("we cannot introduce ourselves: {error}")),
        };
        let message = CatalogRequestMessage { filter: Vec::new() }.to_value();
        let url = format!("{base}/catalog/request");
        match limited(self.app.fetcher.post_json(&url, &message, Some(&authorization))).await {
            Ok(Ok(answer)) => judged(&answer),
            Ok(Err(error)) => unreached(NAME, &quoted(&url), &error),
            Err(late) => {
                let text = format!(
                    "the catalog request is not answered: {late}; the partner may be waiting for our credential service"
                );
                Step::failed(NAME, Side::Either, text)
            }
        }
    }

    /// Whether its credential service is announced and answers. What it would present can be asked for only with a token that
    /// comes with a request of its own.
    pub(super) async fn presentation(&self, document: Option<&DidDocument>) -> Step {
        const NAME: &str = "presentation";
        if self.app.identity.counter_party_claims(self.id).is_some() {
            return Step::ok(NAME, "what it presented with its latest request is accepted");
        }
        let Some(document) = document else { return Step::skipped(NAME, "there is no DID document") };
        let Some(endpoint) = document.endpoint("CredentialService") else {
            let text = "its DID document has no service of type `CredentialService`, so it can present nothing";
            return Step::failed(NAME, Side::Partner, text);
        };
        let shown = quoted(endpoint);
        let url = Url::parse(endpoint).ok().and_then(|mut url| {
            url.path_segments_mut().ok()?.pop_if_empty().extend(["presentations", "query"]);
            Some(url)
        });
        let Some(url) = url else {
            return Step::failed(NAME, Side::Partner, format!("its credential service `{shown}` is not a URL"));
        };
        let scopes = self.app.config.identity.scopes.clone();
        let query = PresentationQueryMessage { query: PresentationQuery::Scopes(scopes) }.to_json();
        match limited(self.dcp.fetcher.post_json(url.as_str(), &query, None)).await {
            Ok(Ok(answer)) => asked_without_token(&shown, answer.status),
            Ok(Err(error)) => unreached(NAME, &format!("its credential service {shown}"), &error),
            Err(late) => {
                Step::failed(NAME, Side::Partner, format!("its credential service {shown} does not answer: {late}"))
            }
        }
    }
}

/// What an answer to a catalog request says about our token.
fn judged(answer: &FetchResponse) -> Step {
    const NAME: &str = "token";
    let said = serde_json::from_slice::<Value>(&answer.body).map(|body| PeerError::read(&body)).unwrap_or_default();
    let why = match (said.reasons.is_empty(), &said.code) {
        (false, _) => format!(": {}", quoted(&said.reasons.join("; "))),
        (true, Some(code)) => format!(": {}", quoted(code)),
        (true, None) => String::new(),
    };
    match answer.status {
        200..=299 => Step::ok(NAME, "it accepts our token and what we present, and shows its catalog"),
        401 | 403 => {
            let act = match said.code.as_deref() {
                Some("untrusted_issuer") => Side::Partner,
                Some(code) if OURS.contains(&code) => Side::Us,
                _ => Side::Either,
            };
            Step::failed(NAME, act, format!("it refuses us with status {}{why}", answer.status))
        }
        status @ (404 | 405) => {
            let text = format!("it has no catalog where we ask for it (status {status}); is the address a right one?");
            Step::failed(NAME, Side::Either, text)
        }
        429 | 503 => {
            let text = format!("it cannot answer at the moment (status {}){why}", answer.status);
            Step::warning(NAME, Side::Either, text)
        }
        status => {
            Step::failed(NAME, Side::Partner, format!("it answers the catalog request with status {status}{why}"))
        }
    }
}

/// What an answer to a question without a token says.
fn asked_without_token(endpoint: &str, status: u16) -> Step {
    const NAME: &str = "presentation";
    match status {
        200..=299 => {
            let text = format!("its credential service {endpoint} answers without asking who we are");
            Step::warning(NAME, Side::Partner, text)
        }
        404 | 405 => {
            let text = format!("there is no credential service at {endpoint} (status {status})");
            Step::failed(NAME, Side::Partner, text)
        }
        500.. => {
            Step::failed(NAME, Side::Partner, format!("its credential service {endpoint} fails (status {status})"))
        }
        _ => {
            let text = format!("its credential service {endpoint} answers; what it presents shows when it calls us");
            Step::ok(NAME, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn answer(status: u16, body: &'static str) -> FetchResponse {
        FetchResponse { status, body: bytes::Bytes::from_static(body.as_bytes()), ..FetchResponse::default() }
    }

    #[test]
    fn an_answer_shows_who_must_act() {
        let table = [
            (200, "{}", Outcome::Ok, None),
            (401, r#"{"code":"missing_credential","reason":["no"]}"#, Outcome::Failed, Some(Side::Us)),
            (401, r#"{"code":"untrusted_issuer","reason":["no"]}"#, Outcome::Failed, Some(Side::Partner)),
            (401, r#"{"code":"bad_signature","reason":["no"]}"#, Outcome::Failed, Some(Side::Either)),
            (403, "", Outcome::Failed, Some(Side::Either)),
            (404, "", Outcome::Failed, Some(Side::Either)),
            (503, "", Outcome::Warning, Some(Side::Either)),
            (500, "x", Outcome::Failed, Some(Side::Partner)),
            (301, "", Outcome::Failed, Some(Side::Partner)),
        ];
        for (status, body, outcome, act) in table {
            let step = judged(&answer(status, body));
            assert_eq!((step.outcome, step.act), (outcome, act), "{status} {body}");
        }
        let step = judged(&answer(401, r#"{"code":"expired","reason":["the credential has expired"]}"#));
        assert!(step.detail.contains("the credential has expired"), "{}", step.detail);
    }

    #[test]
    fn a_credential_service_refuses_strangers() {
        for (status, outcome) in [
            (401, Outcome::Ok),
            (400, Outcome::Ok),
            (200, Outcome::Warning),
            (404, Outcome::Failed),
            (502, Outcome::Failed),
        ] {
            assert_eq!(asked_without_token("https://h/dcp", status).outcome, outcome, "{status}");
        }
    }
}
