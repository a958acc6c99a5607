//! What others see of us: our DID document, what we hold, its status, and whom we trust.

use identity::dcp::holder::StoredCredential;
use identity::did::Relationship;
use identity::scope::Selector;
use policy_plan::instant_text;
use serde_json::Value;

use super::{Patient, Side, Step, counted, limited, quoted};
use crate::dcp::known_issuers;
use crate::service::ServiceResult;
use crate::store::credentials;

/// A credential that expires within this time is worth a warning, seconds.
const SOON_S: i64 = 7 * 86_400;

impl Patient<'_> {
    /// Our document as it is published, not as we know it: partners verify us by that one.
    pub(super) async fn our_document(&self, is_accepted: bool) -> Step {
        const NAME: &str = "ourDocument";
        let own = &self.dcp.did;
        let method = self.dcp.keys.signer().key_id();
        let failed = |text: String| match is_accepted {
            // From inside, our own address may look different.
            true => Step::warning(NAME, Side::Us, format!("{text}; the partner can read it all the same")),
            false => Step::failed(NAME, Side::Us, format!("{text}; partners verify us by it")),
        };
        match limited(self.dcp.resolver.resolve_fresh(own)).await {
            Ok(Ok(document)) if document.allows(Relationship::CapabilityInvocation, &method) => {
                Step::ok(NAME, "our published DID document has our current key")
            }
            Ok(Ok(_)) => {
                let text = format!("the published DID document of `{own}` does not have our current key `{method}`");
                Step::failed(NAME, Side::Us, format!("{text}; publish the one that `hansa identity export` prints"))
            }
            Ok(Err(error)) => failed(error.to_string()),
            Err(late) => failed(format!("our DID document cannot be read from here: {late}")),
        }
    }

    /// What we can present: something, still valid, and what we ask of others.
    pub(super) async fn our_credentials(&self) -> ServiceResult<(Step, Vec<StoredCredential>)> {
        let rows = credentials::held(&self.app.store, self.app.context()).await?;
        let held: Vec<StoredCredential> = rows
            .iter()
            .filter_map(|row| {
                StoredCredential::read(serde_json::from_str(&row.body).unwrap_or(Value::Null), false).ok()
            })
            .collect();
        Ok((self.held(&held), held))
    }

    fn held(&self, held: &[StoredCredential]) -> Step {
        const NAME: &str = "ourCredentials";
        let scopes = &self.app.config.identity.scopes;
        if held.is_empty() {
            let text = "we hold no credential; `hansa credential request` asks an issuer for one";
            return match scopes.is_empty() {
                true => Step::warning(NAME, Side::Us, text),
                false => Step::failed(NAME, Side::Us, text),
            };
        }
        let now = self.dcp.clock.now();
        let ends = |stored: &StoredCredential| stored.credential.valid_until.unwrap_or(i64::MAX);
        let lasting: Vec<&StoredCredential> = held.iter().filter(|stored| ends(stored) > now).collect();
        if lasting.is_empty() {
            let text = "every credential that we hold has expired; `hansa credential request` asks for new ones";
            return Step::failed(NAME, Side::Us, text);
        }
        // The same dataspace asks the same of all.
        for scope in scopes.iter() {
            if !lasting.iter().any(|stored| scope.selects(&stored.credential)) {
                let text = format!(
                    "we hold nothing valid for `{}`, which we ask of others and the partner may ask of us",
                    quoted(scope.as_str())
                );
                return Step::warning(NAME, Side::Us, text);
            }
        }
        let named = |stored: &StoredCredential| format!("`{}`", quoted(&type_of(stored)));
        if let Some(first) =
            lasting.iter().min_by_key(|stored| ends(stored)).filter(|stored| ends(stored) < now + SOON_S)
        {
            let until = instant_text(ends(first).saturating_mul(1000));
            return Step::warning(NAME, Side::Us, format!("our credential {} expires at {until}", named(first)));
        }
        let names: Vec<String> = lasting.iter().map(|stored| named(stored)).collect();
        Step::ok(NAME, format!("we hold {}", names.join(", ")))
    }

    /// Whether the status lists of what we hold can be read, and say nothing against it.
    pub(super) async fn status(&self, held: &[StoredCredential]) -> Step {
        const NAME: &str = "status";
        let listed: Vec<&StoredCredential> =
            held.iter().filter(|stored| !stored.credential.status.is_empty()).collect();
        if listed.is_empty() {
            return Step::skipped(NAME, "no credential that we hold has a status list");
        }
        let look = async {
            for stored in &listed {
                let credential = &stored.credential;
                if let Err(error) = self.dcp.status.check(&credential.status, &credential.issuer).await {
                    let text = format!("our credential `{}`: {error}", quoted(&type_of(stored)));
                    return match error.code() {
                        "revoked" | "suspended" => {
                            Step::failed(NAME, Side::Us, format!("{text}; ask its issuer `{}`", credential.issuer))
                        }
                        // We do not have to trust who speaks for us; the partner does.
                        "untrusted_issuer" => Step::warning(NAME, Side::Us, text),
                        _ => Step::failed(NAME, Side::Issuer, text),
                    };
                }
            }
            Step::ok(NAME, "the status lists of our credentials can be read and say nothing against them")
        };
        match limited(look).await {
            Ok(step) => step,
            Err(late) => Step::failed(NAME, Side::Issuer, format!("a status list does not come: {late}")),
        }
    }

    /// Whether somebody is trusted for each credential that we ask for, and what that says about our own.
    pub(super) async fn trust(&self, held: &[StoredCredential]) -> Step {
        const NAME: &str = "trust";
        let known = match known_issuers::all(self.app).await {
            Ok(known) => known,
            Err(error) => return Step::failed(NAME, Side::Us, error.message),
        };
        let settings = &self.app.config.identity;
        let has_registry = settings.trusted_issuers_registry.is_some();
        if known.is_empty() && !has_registry {
            return Step::failed(NAME, Side::Us, "we trust no issuer, so every partner is refused; `hansa trust add`");
        }
        for scope in settings.scopes.iter() {
            let Selector::Type(name) = scope.selector() else { continue };
            if !has_registry && !known.iter().any(|issuer| issuer.issues(name)) {
                let text = format!(
                    "we ask every partner for `{}` and trust nobody to issue it; `hansa trust add`",
                    quoted(name)
                );
                return Step::failed(NAME, Side::Us, text);
            }
        }
        for stored in held {
            let credential = &stored.credential;
            if self.dcp.trust.check(&credential.issuer, &credential.types).await.is_err() {
                let text = format!(
                    "our credential `{}` is issued by `{}`, whom we do not trust ourselves; the partner has to",
                    quoted(&type_of(stored)),
                    credential.issuer
                );
                return Step::warning(NAME, Side::Either, text);
            }
        }
        let more = if has_registry { " and those of a registry" } else { "" };
        let issuers = counted(known.len(), "trusted issuer");
        Step::ok(NAME, format!("{issuers}{more}, for what we ask of others and for what we hold"))
    }
}

/// The most specific type.
fn type_of(stored: &StoredCredential) -> String {
    let types = &stored.credential.types;
    types.iter().rev().find(|name| *name != "VerifiableCredential").cloned().unwrap_or_default()
}
