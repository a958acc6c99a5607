//! Can the partner be found, reached and known: DNS, TLS, clock, DID document, keys, versions.

use std::net::IpAddr;

use dsp_protocol::version::{VERSION_2025_1, VersionDocument, WELL_KNOWN_PATH};
use identity::did::{Did, DidDocument, Relationship};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};
use url::Url;

use super::{Patient, Side, Step, counted, limited, quoted};
use crate::fetch::{FetchError, is_public};
use crate::service::partner::Address;

/// A difference between clocks that is not worth a word, in seconds: the header has whole seconds, and the answer takes time.
const SMALL_SKEW_S: i64 = 5;

impl Patient<'_> {
    /// Whether the name leads anywhere, and to where we may go.
    pub(super) async fn dns(&self, url: &Url) -> Step {
        const NAME: &str = "dns";
        let host = url.host_str().unwrap_or_default().to_owned();
        let asked = host.trim_matches(['[', ']']).to_owned();
        let found = limited(tokio::net::lookup_host((asked.as_str(), 0))).await;
        let addresses: Vec<IpAddr> = match found {
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
            Ok(Err(error)) => {
                let text = format!("the name `{host}` cannot be resolved: {error}; the partner's DNS, or ours");
                return Step::failed(NAME, Side::Either, text);
            }
            Err(late) => return Step::failed(NAME, Side::Us, format!("our DNS says nothing about `{host}`: {late}")),
        };
        let listed = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let allowed = self.app.config.identity.danger_allow_loopback;
        if !allowed && !addresses.iter().copied().any(is_public) {
            let text = format!(
                "`{host}` leads to {listed}, which is not public, so it is not called; the partner's DNS, or in a \
                 closed network our `identity.danger_allow_loopback`"
            );
            return Step::failed(NAME, Side::Either, text);
        }
        Step::ok(NAME, format!("`{host}` is {listed}"))
    }

    /// Whether a connection comes about and the certificate is accepted; with the time that the other side says.
    pub(super) async fn tls(&self, url: &Url) -> (Step, Option<String>) {
        const NAME: &str = "tls";
        let host = url.host_str().unwrap_or_default();
        let answer = limited(self.dcp.fetcher.get_json(url.as_str(), None)).await;
        match answer {
            Ok(Ok(answer)) if url.scheme() == "https" => {
                (Step::ok(NAME, format!("`{host}` answers, and its certificate is accepted")), answer.date)
            }
            Ok(Ok(answer)) => {
                let text = format!(
                    "`{host}` answers by plain http, which `identity.danger_allow_http` allows: for trials only"
                );
                (Step::warning(NAME, Side::Us, text), answer.date)
            }
            Ok(Err(error)) => (unreached(NAME, host, &error), None),
            Err(late) => (Step::failed(NAME, Side::Partner, format!("`{host}` does not answer: {late}")), None),
        }
    }

    /// How far the clocks are apart, by the header `Date`.
    pub(super) fn clock(&self, date: &str) -> Step {
        compared(date, self.dcp.clock.now(), self.app.config.identity.clock_leeway_s)
    }

    /// The DID document as it is published now; what was remembered is forgotten.
    pub(super) async fn resolve(&self, did: &Did) -> (Step, Option<DidDocument>) {
        const NAME: &str = "document";
        self.dcp.resolver.forget(did).await;
        match limited(self.dcp.resolver.resolve_fresh(did)).await {
            Ok(Ok(document)) => {
                let services: Vec<&str> =
                    document.services.iter().flat_map(|service| &service.types).map(String::as_str).collect();
                let services = if services.is_empty() { "no service".to_owned() } else { services.join(", ") };
                let keys = counted(document.methods.len(), "key");
                let text = format!("the DID document names {keys} and {}", quoted(&services));
                (Step::ok(NAME, text), Some(document))
            }
            Ok(Err(error)) => (Step::failed(NAME, Side::Partner, error.to_string()), None),
            Err(late) => (Step::failed(NAME, Side::Partner, format!("the DID document does not come: {late}")), None),
        }
    }

    /// Whether there is a usable key for what a participant signs.
    pub(super) fn keys(&self, document: &DidDocument) -> Step {
        const NAME: &str = "keys";
        let usable = |relationship: Relationship| {
            document.methods.iter().any(|method| method.key.is_ok() && document.allows(relationship, &method.id))
        };
        for (relationship, what) in
            [(Relationship::CapabilityInvocation, "ID tokens"), (Relationship::Authentication, "presentations")]
        {
            if !usable(relationship) {
                let text = format!(
                    "the DID document has no usable key under `{}`, so the partner's {what} cannot be verified",
                    relationship.name()
                );
                return Step::failed(NAME, Side::Partner, text);
            }
        }
        let broken = document.methods.iter().find_map(|method| Some((&method.id, method.key.as_ref().err()?)));
        if let Some((id, error)) = broken {
            let text = format!("the key `{}` cannot be used: {error}", quoted(&id.to_string()));
            return Step::warning(NAME, Side::Partner, text);
        }
        if document.endpoint("IssuerService").is_some() && !usable(Relationship::AssertionMethod) {
            let text = "the partner is an issuer without a usable key under `assertionMethod`";
            return Step::warning(NAME, Side::Partner, text);
        }
        Step::ok(NAME, "there are usable keys for ID tokens and presentations")
    }

    /// Whether we speak a common version, and at which address.
    pub(super) async fn versions(&self, address: Option<&Address>) -> (Step, Option<String>) {
        const NAME: &str = "versions";
        let root = match address {
            None => {
                let text = "the address of its connector is not known: neither registered nor in its DID document";
                return (Step::failed(NAME, Side::Us, text), None);
            }
            Some(Address::Base(base)) => {
                let text = format!("it is registered to speak {VERSION_2025_1} at {base}; nothing is looked up");
                return (Step::ok(NAME, text), Some(base.trim_end_matches('/').to_owned()));
            }
            Some(Address::Root(root)) => root.trim_end_matches('/'),
        };
        let url = format!("{root}{WELL_KNOWN_PATH}");
        let shown = quoted(&url);
        let failed = |text: String| (Step::failed(NAME, Side::Partner, text), None);
        let answer = match limited(self.app.fetcher.get_json(&url, None)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return (unreached(NAME, &shown, &error), None),
            Err(late) => return failed(format!("{shown} does not answer: {late}")),
        };
        if answer.status != 200 {
            return failed(format!("the version document at {shown} is answered with status {}", answer.status));
        }
        let document = serde_json::from_slice(&answer.body).ok();
        let Some(document) = document.and_then(|value| VersionDocument::parse(&value).ok()) else {
            return failed(format!("what stands at {shown} is not a version document"));
        };
        let Some(version) = document.find_2025_1() else {
            let others: Vec<&str> = document.protocol_versions.iter().map(|entry| entry.version.as_str()).collect();
            return failed(format!("it speaks {} and not {VERSION_2025_1}", quoted(&others.join(", "))));
        };
        let base = version.base(root);
        let step = match &version.auth {
            Some(auth) if !auth.protocol.eq_ignore_ascii_case("DCP") => {
                let text = format!(
                    "it speaks {VERSION_2025_1}, but says that callers authenticate by `{}` and not by DCP",
                    quoted(&auth.protocol)
                );
                Step::warning(NAME, Side::Partner, text)
            }
            _ => Step::ok(NAME, format!("it speaks {VERSION_2025_1} at {}", quoted(&base))),
        };
        (step, Some(base))
    }
}

/// A connection that did not come about.
pub(super) fn unreached(name: &'static str, what: &str, error: &FetchError) -> Step {
    let said = quoted(&error.message);
    if error.forbidden {
        let settings = match name {
            "versions" | "token" => "`partners.danger_allow_private_addresses`",
            _ => "`identity.danger_allow_loopback` and `identity.danger_allow_http`",
        };
        let text =
            format!("{what} is not called: {said}; it needs another address, or in a closed network our {settings}");
        return Step::failed(name, Side::Either, text);
    }
    if said.contains("certificate") {
        let text = format!(
            "the certificate of {what} is not accepted: {said}; the partner renews it, or its authority belongs into our \
             `partners.ca_file`"
        );
        return Step::failed(name, Side::Partner, text);
    }
    Step::failed(
        name,
        Side::Partner,
        format!("{what} cannot be reached: {said}; is it running, is a firewall in between?"),
    )
}

/// What a `Date` says beside our clock, both in seconds since 1970.
fn compared(date: &str, now: i64, leeway: i64) -> Step {
    const NAME: &str = "clock";
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let Ok(theirs) = PrimitiveDateTime::parse(date.trim(), form).map(PrimitiveDateTime::assume_utc) else {
        return Step::skipped(NAME, "the answer has no `Date` that can be read");
    };
    let skew = OffsetDateTime::unix_timestamp(theirs).saturating_sub(now);
    let how = if skew < 0 { "behind" } else { "ahead of" };
    let text = format!("its clock is {} s {how} ours", skew.abs());
    if skew.abs() > leeway {
        let text = format!("{text}, more than the {leeway} s that are tolerated; compare both with a time server");
        return Step::failed(NAME, Side::Either, text);
    }
    if skew.abs() > SMALL_SKEW_S {
        return Step::warning(NAME, Side::Either, format!("{text}; compare both with a time server"));
    }
    Step::ok(NAME, text)
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn clocks_are_compared() {
        // 1994-11-06T08:49:37Z
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let now = 784_111_777;
        for (ours, outcome) in [
            (now, Outcome::Ok),
            (now - 5, Outcome::Ok),
            (now + 6, Outcome::Warning),
            (now - 30, Outcome::Warning),
            (now + 31, Outcome::Failed),
            (now - 3600, Outcome::Failed),
        ] {
            assert_eq!(compared(date, ours, 30).outcome, outcome, "{}", ours - now);
        }
        assert!(compared(date, now + 90, 30).detail.contains("90 s behind ours"));
        for odd in ["", "yesterday", "1994-11-06T08:49:37Z"] {
            assert_eq!(compared(odd, now, 30).outcome, Outcome::Skipped, "{odd}");
        }
    }

    #[test]
    fn a_failed_connection_says_whose_turn_it_is() {
        let error = |message: &str, forbidden| FetchError {
            retryable: false,
            forbidden,
            unreached: true,
            message: message.to_owned(),
        };
        let certificate = unreached("tls", "`h`", &error("invalid peer certificate: Expired", false));
        assert!(certificate.detail.contains("partners.ca_file"), "{}", certificate.detail);
        assert_eq!(certificate.act, Some(Side::Partner));
        assert_eq!(unreached("tls", "`h`", &error("10.0.0.1 is not public", true)).act, Some(Side::Either));
        assert_eq!(unreached("tls", "`h`", &error("connection refused", false)).act, Some(Side::Partner));
    }
}
