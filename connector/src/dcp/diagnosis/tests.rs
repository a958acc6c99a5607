//! Two installations on this machine, one looking at the other.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{App as ActixApp, HttpServer};
use identity::credential::{Format, NewCredential, issue};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;
use crate::http;
use crate::store::{credentials, now_ms};

/// An installation that answers, or only has an address.
struct City {
    _folder: TempDir,
    app: Arc<App>,
    did: String,
}

impl City {
    async fn new(settings: &str, serving: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let did = format!("did:web:127.0.0.1%3A{port}");
        let settings = format!(
            "[identity]\ndid = \"{did}\"\ndanger_allow_http = true\ndanger_allow_loopback = true\n{settings}\n"
        );
        let (folder, app) = crate::testing::app_with(&settings, &format!("http://127.0.0.1:{port}")).await;
        if serving {
            let shared = app.clone();
            let server = HttpServer::new(move || {
                let app = shared.clone();
                ActixApp::new().configure(move |config| {
                    config.app_data(Data::from(app.clone()));
                    http::dcp::configure(config, app.dcp.as_ref().unwrap());
                    http::dsp::configure(config);
                })
            });
            tokio::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        }
        Self { _folder: folder, app, did }
    }

    async fn look_at(&self, other: &str) -> Diagnosis {
        of_partner(&self.app, self.app.dcp.as_ref().unwrap(), other).await.unwrap()
    }

    /// Gives it a credential by its own hand.
    async fn hold(&self, kind: &str, valid_until: i64) {
        let dcp = self.app.dcp.as_ref().unwrap();
        let claims = Map::from_iter([("membership".to_owned(), json!("active"))]);
        let new = NewCredential {
            format: Format::Vc11Jwt,
            id: "urn:uuid:1",
            issuer: &dcp.did,
            subject: &dcp.did,
            types: &[kind.to_owned()],
            contexts: &[],
            claims: &claims,
            valid_from: dcp.clock.now() - 1000,
            valid_until: Some(valid_until),
            status: None,
            schema: None,
        };
        let body = Value::from(issue(&new, &*dcp.keys.signer()).await.unwrap()).to_string();
        let row = crate::store::credential::Model {
            context: self.app.context().to_owned(),
            id: kind.to_owned(),
            credential_id: "urn:uuid:1".to_owned(),
            kind: kind.to_owned(),
            types: json!(["VerifiableCredential", kind]).to_string(),
            issuer: self.did.clone(),
            format: "vc11-sl2021/jwt".to_owned(),
            body,
            state: credentials::HELD.to_owned(),
            request_id: String::new(),
            valid_until: Some(valid_until),
            created_at: now_ms(),
            updated_at: now_ms(),
        };
        let context = self.app.context();
        let stored = self.app.store.write(move |unit| {
            Box::pin(async move { registry::insert::<crate::store::credential::Entity>(unit, context, row).await })
        });
        stored.await.unwrap();
    }
}

fn step<'a>(found: &'a Diagnosis, name: &str) -> &'a Step {
    found.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no step {name}: {found:?}"))
}

#[actix_web::test]
async fn two_that_understand_each_other() {
    let (ours, theirs) = (City::new("scopes = []", true).await, City::new("scopes = []", true).await);
    let found = ours.look_at(&theirs.did).await;
    let names: Vec<&str> = found.steps.iter().map(|step| step.name).collect();
    let expected = [
        "partner",
        "dns",
        "tls",
        "document",
        "keys",
        "clock",
        "versions",
        "token",
        "presentation",
        "ourDocument",
        "ourCredentials",
        "status",
        "trust",
    ];
    assert_eq!(names, expected);
    for name in ["dns", "document", "keys", "clock", "versions", "token", "presentation", "ourDocument"] {
        assert_eq!(step(&found, name).outcome, Outcome::Ok, "{:?}", step(&found, name));
    }
    // Not registered, plain http, nothing held, nobody trusted.
    for name in ["partner", "tls", "ourCredentials"] {
        assert_eq!(step(&found, name).outcome, Outcome::Warning, "{:?}", step(&found, name));
        assert_eq!(step(&found, name).act, Some(Side::Us));
    }
    assert_eq!((step(&found, "trust").outcome, found.outcome), (Outcome::Failed, Outcome::Failed));
}

#[actix_web::test]
async fn a_credential_that_is_asked_for_and_missing_is_ours_to_get() {
    let scopes = "scopes = [\"org.eclipse.dspace.dcp.vc.type:MembershipCredential:read\"]";
    let trust = format!("{scopes}\n[[identity.trusted_issuers]]\nissuer = \"did:web:x\"\ntypes = [\"PortCredential\"]");
    let (ours, theirs) = (City::new(&trust, true).await, City::new(scopes, true).await);
    let found = ours.look_at(&theirs.did).await;
    for name in ["token", "ourCredentials", "trust"] {
        let step = step(&found, name);
        assert_eq!((step.outcome, step.act), (Outcome::Failed, Some(Side::Us)), "{step:?}");
    }
    assert!(step(&found, "trust").detail.contains("MembershipCredential"));
    // With a credential of an issuer that the partner does not know, it is the partner's turn.
    ours.hold("MembershipCredential", ours.app.dcp.as_ref().unwrap().clock.now() + 100_000_000).await;
    let found = ours.look_at(&theirs.did).await;
    assert_eq!(step(&found, "ourCredentials").outcome, Outcome::Ok);
    let token = step(&found, "token");
    assert_eq!((token.outcome, token.act), (Outcome::Failed, Some(Side::Partner)), "{token:?}");
    assert!(token.detail.contains("not a trusted issuer"), "{}", token.detail);
}

#[actix_web::test]
async fn what_we_hold_is_looked_at() {
    let city =
        City::new("scopes = []\n[[identity.trusted_issuers]]\nissuer = \"did:web:x\"\ntypes = [\"*\"]", false).await;
    let now = city.app.dcp.as_ref().unwrap().clock.now();
    city.hold("Old", now - 10).await;
    let found = city.look_at(&city.did).await;
    assert!(step(&found, "ourCredentials").detail.contains("has expired"));
    city.hold("Soon", now + 86_400).await;
    let found = city.look_at(&city.did).await;
    let held = step(&found, "ourCredentials");
    assert!(held.outcome == Outcome::Warning && held.detail.contains("`Soon` expires at"), "{held:?}");
    let trust = step(&found, "trust");
    assert!(trust.outcome == Outcome::Warning && trust.detail.contains("whom we do not trust ourselves"), "{trust:?}");
    assert_eq!(step(&found, "status").outcome, Outcome::Skipped);
}

#[actix_web::test]
async fn a_partner_that_cannot_be_reached() {
    let ours = City::new("scopes = []", true).await;
    let silent = City::new("scopes = []", false).await;
    let found = ours.look_at(&silent.did).await;
    let tls = step(&found, "tls");
    assert_eq!((tls.outcome, tls.act), (Outcome::Failed, Some(Side::Partner)), "{tls:?}");
    assert!(!found.steps.iter().any(|step| step.name == "document"), "what needs a connection is not tried");
    assert_eq!(step(&found, "versions").act, Some(Side::Us), "without a document its address is not known");
    for name in ["token", "presentation"] {
        assert_eq!(step(&found, name).outcome, Outcome::Skipped);
    }
    assert_eq!(found.outcome, Outcome::Failed);
    let nameless = ours.look_at("did:web:nowhere.invalid").await;
    assert!(step(&nameless, "dns").has_failed());
    let strange = ours.look_at("did:other:x").await;
    assert!(step(&strange, "document").detail.contains("not supported"));
    let refused = of_partner(&ours.app, ours.app.dcp.as_ref().unwrap(), "nobody").await.unwrap_err();
    assert_eq!(refused.code, "not_found");
}

#[actix_web::test]
async fn private_addresses_are_told_apart() {
    let did = "did:web:localhost";
    let (_folder, app) =
        crate::testing::app_with("[identity]\ndid = \"did:web:us.example\"", "https://us.example").await;
    let found = of_partner(&app, app.dcp.as_ref().unwrap(), did).await.unwrap();
    let dns = step(&found, "dns");
    assert!(dns.has_failed() && dns.detail.contains("danger_allow_loopback"), "{dns:?}");
}
