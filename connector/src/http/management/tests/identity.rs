//! Our identity, credentials, issuance and trust.

use std::sync::Arc;

use actix_web::http::StatusCode;
use identity::credential::{Format, NewCredential, issue};
use serde_json::{Map, Value, json};

use super::{Answer, Api};
use crate::dcp::DcpServices;
use crate::store::{
    StoreError, Unit, credential, credential_offer, credential_request, credentials, issuance, issuances, now_ms,
    registry,
};

const US: &str = "did:web:us.example";

const SETTINGS: &str = r#"
[identity]
did = "did:web:us.example"
[[identity.trusted_issuers]]
issuer = "did:web:authority.example"
types = ["MembershipCredential"]
claims = ["membership"]
[[issuer.credentials]]
id = "membership"
type = "MembershipCredential"
validity_s = 1000000
claims = { membership = "active" }
partners = [{ holder = "*" }]
"#;

pub(super) async fn api() -> Api {
    let (folder, app) = crate::testing::app_with(SETTINGS, "https://us.example").await;
    Api { _folder: folder, app }
}

fn dcp(api: &Api) -> &Arc<DcpServices> {
    api.app.dcp.as_ref().unwrap()
}

/// A membership credential of ours for ourselves, without a status list.
async fn membership(api: &Api, subject: &str) -> String {
    let dcp = dcp(api);
    let claims = Map::from_iter([("membership".to_owned(), json!("active"))]);
    let now = dcp.clock.now();
    let new = NewCredential {
        format: Format::Vc20Jwt,
        id: "urn:uuid:11111111-0000-0000-0000-000000000000",
        issuer: &dcp.did,
        subject: &subject.parse().unwrap(),
        types: &["MembershipCredential".to_owned()],
        contexts: &[],
        claims: &claims,
        valid_from: now - 10,
        valid_until: Some(now + 1000),
        status: None,
        schema: None,
    };
    issue(&new, &*dcp.keys.signer()).await.unwrap()
}

async fn write<F>(api: &Api, work: F)
where
    F: for<'a> FnOnce(&'a mut Unit) -> futures_util::future::BoxFuture<'a, Result<(), StoreError>> + Send + 'static,
{
    api.app.store.write(work).await.unwrap();
}

async fn hold(api: &Api, id: &'static str, state: &'static str) {
    let body = Value::from(membership(api, US).await).to_string();
    let context = api.app.context();
    write(api, move |unit| {
        let row = credential::Model {
            context: context.to_owned(),
            id: id.to_owned(),
            credential_id: "urn:uuid:11111111-0000-0000-0000-000000000000".to_owned(),
            kind: "MembershipCredential".to_owned(),
            types: json!(["VerifiableCredential", "MembershipCredential"]).to_string(),
            issuer: US.to_owned(),
            format: "vc20-bssl/jwt".to_owned(),
            body,
            state: state.to_owned(),
            request_id: String::new(),
            valid_until: None,
            created_at: now_ms(),
            updated_at: now_ms(),
        };
        Box::pin(async move { registry::insert::<credential::Entity>(unit, context, row).await })
    })
    .await;
}

async fn asked(api: &Api, id: &'static str) {
    let context = api.app.context();
    write(api, move |unit| {
        let row = issuance::Model {
            id: id.to_owned(),
            context: context.to_owned(),
            holder: "did:web:tirana.example".to_owned(),
            holder_pid: format!("pid-of-{id}"),
            requested: json!(["membership"]).to_string(),
            state: "RECEIVED".to_owned(),
            reason: String::new(),
            message: None,
            token: Some("the-s3cret-access-token".to_owned()),
            error: None,
            attempts: 0,
            owed_since: 0,
            next_attempt_at: 0,
            lease_owner: None,
            lease_until: 0,
            created_at: now_ms(),
            updated_at: now_ms(),
        };
        Box::pin(async move { issuances::insert(unit, row).await })
    })
    .await;
}

async fn kinds(api: &Api) -> Vec<String> {
    let events = api.get("/events?limit=500").await.expect(200);
    events["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn refused(answer: Answer, status: StatusCode, code: &str, named: &str) {
    let (found, detail) = answer.problem(status);
    assert_eq!(found, code, "{detail}");
    assert!(detail.contains(named), "{detail}");
}

#[actix_web::test]
async fn without_a_did_everything_says_which_setting_is_missing() {
    let api = Api::new().await;
    let lists = ["/identity", "/credentials", "/credential-requests", "/credential-offers", "/issuances"];
    let more = ["/issued-credentials", "/trusted-issuers", "/credentials/x", "/issuances/x", "/partners/x/diagnosis"];
    for path in lists.iter().chain(&more) {
        refused(api.get(path).await, StatusCode::CONFLICT, "identity_not_set_up", "identity.did");
    }
    let posts = ["/identity/rotate", "/identity/keys/k/revoke", "/credentials/x/accept", "/issuances/x/approve"];
    for path in posts {
        let answer = api.post(path, json!({})).await;
        assert_eq!(answer.body["fault"], "operator");
        refused(answer, StatusCode::CONFLICT, "identity_not_set_up", "identity.did");
    }
    let trusted = api.put("/trusted-issuers/did%3Aweb%3Ax", json!({"types": ["*"]})).await;
    refused(trusted, StatusCode::CONFLICT, "identity_not_set_up", "identity.did");
}

#[actix_web::test]
async fn keys_are_rotated_and_revoked_and_their_private_halves_stay_here() {
    let api = api().await;
    let first = api.get("/identity").await.expect(200);
    assert_eq!(first["did"], US);
    assert_eq!(first["documentUrl"], "https://us.example/.well-known/did.json");
    assert_eq!((&first["keys"][0]["algorithm"], &first["keys"][0]["state"]), (&json!("ES256"), &json!("current")));
    assert_eq!(first["services"][0]["type"], "CredentialService");
    assert_eq!((&first["issuer"], &first["document"]["id"]), (&json!(true), &json!(US)));
    let old = first["keys"][0]["id"].as_str().unwrap().to_owned();
    refused(
        api.post(&format!("/identity/keys/{old}/revoke"), json!({})).await,
        StatusCode::CONFLICT,
        "key_in_use",
        "rotate first",
    );

    let second = api.post("/identity/rotate", json!({"algorithm": "EdDSA", "keepDays": 2})).await.expect(200);
    let keys = second["keys"].as_array().unwrap();
    assert_eq!((keys.len(), &keys[0]["algorithm"], &keys[0]["state"]), (2, &json!("EdDSA"), &json!("current")));
    assert_eq!(
        (&keys[1]["id"], &keys[1]["state"], &keys[1]["published"]),
        (&json!(old), &json!("retired"), &json!(true))
    );
    assert!(keys[1]["keptUntil"].is_string() && keys[1]["retiredAt"].is_string());
    assert_eq!(second["document"]["verificationMethod"].as_array().unwrap().len(), 2);
    assert_eq!(dcp(&api).keys.signer().key_id().fragment(), keys[0]["id"].as_str().unwrap());
    let known = dcp(&api).resolver.resolve(&dcp(&api).did).await.unwrap();
    assert_eq!(known.methods.len(), 2, "we know our own new document at once");

    let third = api.post(&format!("/identity/keys/{old}/revoke"), json!({})).await.expect(200);
    assert_eq!((&third["keys"][1]["state"], &third["keys"][1]["published"]), (&json!("revoked"), &json!(false)));
    assert_eq!(third["document"]["verificationMethod"].as_array().unwrap().len(), 1);
    // Without an algorithm it is that of the key before.
    let fourth = api.post("/identity/rotate", json!({})).await.expect(200);
    assert_eq!(fourth["keys"][0]["algorithm"], "EdDSA");
    for shown in [&first, &second, &third, &fourth, &api.get("/events").await.expect(200)] {
        assert!(!shown.to_string().contains("\"d\":") && !shown.to_string().contains("PRIVATE"), "{shown}");
    }
    assert_eq!(kinds(&api).await, ["key.rotated", "key.revoked", "key.rotated"]);
    api.post("/identity/keys/nothing/revoke", json!({})).await.problem(StatusCode::NOT_FOUND);
    for (body, named) in [
        (json!({"algorithm": "RS256"}), "algorithm"),
        (json!({"algorithm": "HS256"}), "algorithm"),
        (json!({"keepDays": 1, "keepUntil": "2027-01-01T00:00:00Z"}), "keepDays"),
        (json!({"keepDays": 10_000}), "keepDays"),
        (json!({"keepDays": -1}), "keepDays"),
        (json!({"keepUntil": "soon"}), "keepUntil"),
    ] {
        let (_, detail) = api.post("/identity/rotate", body.clone()).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(named), "{body}: {detail}");
    }
    assert_eq!(api.get("/identity").await.expect(200)["keys"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_key_is_kept_as_long_as_what_it_signed() {
    let api = api().await;
    asked(&api, "i").await;
    api.post("/issuances/i/approve", json!({})).await.expect(202);
    let issued = api.get("/issued-credentials").await.expect(200);
    let rotated = api.post("/identity/rotate", json!({})).await.expect(200);
    assert_eq!(rotated["keys"][1]["keptUntil"], issued["items"][0]["validUntil"]);
}

#[actix_web::test]
async fn credentials_are_shown_accepted_and_removed() {
    let api = api().await;
    hold(&api, "old", credentials::HELD).await;
    hold(&api, "new", credentials::PENDING).await;
    let pending = api.get("/credentials?state=pending").await.expect(200);
    assert_eq!(
        (&pending["items"][0]["id"], &pending["items"][0]["type"]),
        (&json!("new"), &json!("MembershipCredential"))
    );
    assert!(pending["items"][0].get("content").is_none());
    let shown = api.get("/credentials/new").await.expect(200);
    assert_eq!(shown["content"]["subjects"], json!([{"id": US, "membership": "active"}]));
    assert_eq!((&shown["content"]["format"], &shown["content"]["issuer"]), (&json!("vc20-bssl/jwt"), &json!(US)));
    assert!(!shown.to_string().contains("eyJ"), "the credential itself stays here: {shown}");

    assert_eq!(api.post("/credentials/new/accept", json!({})).await.expect(200)["state"], "held");
    let held = api.get("/credentials").await.expect(200);
    assert_eq!(held["items"].as_array().unwrap().len(), 1, "the new one takes the place of the old one");
    api.post("/credentials/new/accept", json!({})).await.problem(StatusCode::NOT_FOUND);
    api.delete("/credentials/new").await.expect(204);
    api.delete("/credentials/new").await.problem(StatusCode::NOT_FOUND);
    api.get("/credentials/new").await.problem(StatusCode::NOT_FOUND);
    assert!(kinds(&api).await.contains(&"credential.removed".to_owned()));
}

#[actix_web::test]
async fn a_credential_is_verified_or_the_rule_is_named() {
    let api = api().await;
    let jwt = membership(&api, US).await;
    let verify = async |body: Value| api.post("/credentials/verify", body).await;
    let untrusted = verify(json!({"credential": jwt})).await.expect(200);
    assert_eq!((&untrusted["verified"], &untrusted["error"]["code"]), (&json!(false), &json!("untrusted_issuer")));
    assert_eq!(untrusted["content"]["subjects"][0]["membership"], "active", "what it says is shown all the same");

    api.put("/trusted-issuers/did%3Aweb%3Aus.example", json!({"types": ["MembershipCredential"]})).await.expect(201);
    let good = verify(json!({"credential": format!("{jwt}\n"), "holder": US})).await.expect(200);
    assert_eq!((&good["verified"], good.get("error")), (&json!(true), None), "{good}");
    assert!(good["method"].as_str().unwrap().starts_with("did:web:us.example#key-"));
    assert!(good["knownUntil"].is_string());
    let other = verify(json!({"credential": jwt, "holder": "did:web:other"})).await.expect(200);
    assert_eq!(other["error"]["code"], "holder_mismatch");

    let mut damaged = jwt.clone();
    damaged.replace_range(damaged.len() - 4.., "AAAA");
    assert_eq!(verify(json!({"credential": damaged})).await.expect(200)["error"]["code"], "bad_signature");
    for (credential, code) in
        [(json!("x"), "malformed_jws"), (json!({"a": 1}), "unsigned_credential"), (json!(""), "malformed_jws")]
    {
        let answer = verify(json!({"credential": credential})).await.expect(200);
        assert_eq!((&answer["verified"], &answer["error"]["code"]), (&json!(false), &json!(code)));
        assert!(answer.get("content").is_none());
    }
    for (body, named) in [
        (json!({}), "credential"),
        (json!({"credential": 5}), "credential"),
        (json!({"credential": null}), "credential"),
        (json!({"credential": [jwt]}), "credential"),
        (json!({"credential": jwt, "holder": "x"}), "holder"),
    ] {
        let (_, detail) = verify(body).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(named), "{detail}");
    }
    assert_eq!(api.get("/credentials").await.expect(200)["items"], json!([]), "nothing is stored");
}

#[actix_web::test]
async fn requests_and_offers() {
    let api = api().await;
    for (body, code, named) in [
        (json!({"issuer": "did:web:x"}), "missing_member", "credentials"),
        (json!({"issuer": "did:web:x", "credentials": []}), "bad_member", "credentials"),
        (json!({"issuer": "did:web:x", "credentials": [""]}), "bad_member", "credentials"),
        (json!({"issuer": "did:web:x", "credentials": ["a", "a"]}), "bad_member", "credentials"),
        (json!({"issuer": "city", "credentials": ["a"]}), "bad_member", "issuer"),
        (json!({"issuer": "did:web:x", "credentials": ["a"], "state": "ISSUED"}), "unknown_member", "state"),
    ] {
        refused(api.post("/credential-requests", body).await, StatusCode::BAD_REQUEST, code, named);
    }
    let nowhere = json!({"issuer": "did:web:nowhere.invalid", "credentials": ["membership"]});
    refused(
        api.post("/credential-requests", nowhere).await,
        StatusCode::BAD_GATEWAY,
        "did_unreachable",
        "nowhere.invalid",
    );
    assert_eq!(api.get("/credential-requests").await.expect(200)["items"], json!([]));

    let context = api.app.context();
    write(&api, move |unit| {
        let (created_at, updated_at) = (now_ms(), now_ms());
        let request = credential_request::Model {
            context: context.to_owned(),
            id: "r".to_owned(),
            issuer: "did:web:authority.example".to_owned(),
            issuer_pid: "https://authority.example/issuer/requests/7".to_owned(),
            requested: json!([{"id": "membership", "type": "MembershipCredential"}, {"id": "x", "type": null}])
                .to_string(),
            state: "REJECTED".to_owned(),
            reason: "not a city".to_owned(),
            created_at,
            updated_at,
        };
        let offer = credential_offer::Model {
            context: context.to_owned(),
            id: "o".to_owned(),
            issuer: "did:web:authority.example".to_owned(),
            body: json!([{"id": "membership", "type": "CredentialObject"}]).to_string(),
            created_at,
            updated_at,
        };
        Box::pin(async move {
            registry::insert::<credential_request::Entity>(unit, context, request).await?;
            registry::insert::<credential_offer::Entity>(unit, context, offer).await
        })
    })
    .await;
    let shown = api.get("/credential-requests/r").await.expect(200);
    assert_eq!(shown["credentials"], json!([{"id": "membership", "type": "MembershipCredential"}, {"id": "x"}]));
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("REJECTED"), &json!("not a city")));
    assert_eq!(api.get("/credential-requests?state=REJECTED").await.expect(200)["items"], json!([shown]));
    let offer = api.get("/credential-offers/o").await.expect(200);
    assert_eq!(offer["credentials"][0]["id"], "membership");
    assert_eq!(api.get("/credential-offers").await.expect(200)["items"], json!([offer]));
    for path in ["/credential-requests/x", "/credential-offers/x"] {
        api.get(path).await.problem(StatusCode::NOT_FOUND);
    }
}

#[actix_web::test]
async fn the_life_of_an_issuance() {
    let api = api().await;
    asked(&api, "one").await;
    asked(&api, "two").await;
    let waiting = api.get("/issuances?state=RECEIVED").await.expect(200);
    assert_eq!(waiting["items"].as_array().unwrap().len(), 2);
    assert_eq!(waiting["items"][0]["next"], json!(["approve", "reject"]));
    let approved = api.post("/issuances/one/approve", json!({})).await.expect(202);
    assert_eq!(
        (&approved["state"], &approved["delivering"], &approved["next"]),
        (&json!("ISSUED"), &json!(true), &json!([]))
    );
    refused(api.post("/issuances/one/approve", json!({})).await, StatusCode::CONFLICT, "wrong_state", "ISSUED");
    refused(api.post("/issuances/one/reject", json!({})).await, StatusCode::CONFLICT, "wrong_state", "ISSUED");
    let rejected = api.post("/issuances/two/reject", json!({"reason": "not a member"})).await.expect(202);
    assert_eq!((&rejected["state"], &rejected["reason"]), (&json!("REJECTED"), &json!("not a member")));
    for word in ["approve", "reject"] {
        api.post(&format!("/issuances/nothing/{word}"), json!({})).await.problem(StatusCode::NOT_FOUND);
    }
    for (body, code) in [
        (json!({"reason": ""}), "bad_member"),
        (json!({"reason": "x".repeat(1001)}), "bad_member"),
        (json!({"reason": 5}), "bad_member"),
        (json!({"why": "x"}), "unknown_member"),
    ] {
        refused(api.post("/issuances/two/reject", body).await, StatusCode::BAD_REQUEST, code, "`");
    }

    let issued = api.get("/issued-credentials?holder=did%3Aweb%3Atirana.example").await.expect(200);
    let one = &issued["items"][0];
    assert_eq!(
        (&one["state"], &one["issuanceId"], &one["type"]),
        (&json!("valid"), &json!("one"), &json!("MembershipCredential"))
    );
    let id = one["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/issued-credentials/{id}")).await.expect(200), *one);
    let revoke = format!("/issued-credentials/{id}/revoke");
    let revoked = api.post(&revoke, json!({"reason": "membership has ended"})).await.expect(200);
    assert_eq!((&revoked["state"], &revoked["reason"]), (&json!("revoked"), &json!("membership has ended")));
    assert_eq!(api.post(&revoke, json!({"reason": "again"})).await.expect(200)["reason"], "membership has ended");
    api.post("/issued-credentials/x/revoke", json!({})).await.problem(StatusCode::NOT_FOUND);
    api.get("/issued-credentials/x").await.problem(StatusCode::NOT_FOUND);
    for path in ["/issuances", "/issuances/one", "/issued-credentials", "/events"] {
        let text = api.get(path).await.expect(200).to_string();
        assert!(!text.contains("s3cret") && !text.contains("eyJ"), "{path}: {text}");
    }
}

#[actix_web::test]
async fn trust_is_listed_with_its_source_and_takes_effect_at_once() {
    let api = api().await;
    let configured = api.get("/trusted-issuers").await.expect(200);
    let of_configuration = json!({"id": "did:web:authority.example", "types": ["MembershipCredential"], "claims": ["membership"], "source": "configuration"});
    assert_eq!(configured, json!({"items": [of_configuration], "next": null}));
    let issuer = "did:web:other.example".to_owned();
    let types = ["PortCredential".to_owned()];
    assert!(dcp(&api).trust.check(&issuer, &types).await.is_err());
    let path = "/trusted-issuers/did%3Aweb%3Aother.example";
    let made = api.put(path, json!({"types": ["PortCredential"], "claims": ["port"]})).await.expect(201);
    assert_eq!((&made["id"], &made["source"], &made["claims"]), (&json!(issuer), &json!("operator"), &json!(["port"])));
    assert!(dcp(&api).trust.check(&issuer, &types).await.is_ok());
    assert_eq!(api.get(path).await.expect(200), made);
    let replaced = api.put(path, json!({"id": issuer, "types": ["*"]})).await.expect(200);
    assert!(replaced.get("claims").is_none() && replaced["createdAt"] == made["createdAt"]);

    // Page by page, in the order of the DIDs.
    let first = api.get("/trusted-issuers?limit=1").await.expect(200);
    assert_eq!(first["items"][0]["id"], "did:web:authority.example");
    let next = first["next"].as_str().unwrap();
    let second = api.get(&format!("/trusted-issuers?limit=1&cursor={next}")).await.expect(200);
    assert_eq!((&second["items"][0]["id"], &second["next"]), (&json!(issuer), &Value::Null));
    refused(api.get("/trusted-issuers?cursor=x").await, StatusCode::BAD_REQUEST, "bad_query", "cursor");

    api.delete(path).await.expect(204);
    assert!(dcp(&api).trust.check(&issuer, &types).await.is_err());
    api.delete(path).await.problem(StatusCode::NOT_FOUND);
    api.get(path).await.problem(StatusCode::NOT_FOUND);
    let fixed = "/trusted-issuers/did%3Aweb%3Aauthority.example";
    refused(api.delete(fixed).await, StatusCode::CONFLICT, "in_configuration", "configuration");
    assert_eq!(kinds(&api).await, ["trusted_issuer.created", "trusted_issuer.updated", "trusted_issuer.removed"]);
    for (path, body, named) in [
        ("/trusted-issuers/city", json!({"types": ["*"]}), "id"),
        (path, json!({"types": []}), "types"),
        (path, json!({"types": ["VerifiableCredential"]}), "types"),
        (path, json!({"types": ["a", "a"]}), "types"),
        (path, json!({"types": ["a"], "claims": []}), "claims"),
        (path, json!({"types": "a"}), "types"),
        (path, json!({}), "types"),
        (path, json!({"id": "did:web:x", "types": ["a"]}), "id"),
        (path, json!({"types": ["a"], "source": "file"}), "source"),
    ] {
        let (_, detail) = api.put(path, body.clone()).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(&format!("`{named}`")), "{body}: {detail}");
    }
}

#[actix_web::test]
async fn a_diagnosis_is_an_answer_also_when_it_is_bad_news() {
    let api = api().await;
    let found = api.get("/partners/did%3Aweb%3Anowhere.invalid/diagnosis").await.expect(200);
    assert_eq!((&found["partnerId"], &found["outcome"]), (&json!("did:web:nowhere.invalid"), &json!("failed")));
    let dns = found["steps"].as_array().unwrap().iter().find(|step| step["name"] == "dns").unwrap();
    assert_eq!(
        (&dns["outcome"], dns["detail"].as_str().unwrap().contains("nowhere.invalid")),
        (&json!("failed"), true)
    );
    api.get("/partners/nobody/diagnosis").await.problem(StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn queries_that_cannot_be_used() {
    let api = api().await;
    for list in ["/credentials", "/credential-requests", "/credential-offers", "/issuances", "/issued-credentials"] {
        for (query, code) in [
            ("limit=0", "bad_parameter"),
            ("colour=red", "unknown_parameter"),
            ("sort=body", "bad_query"),
            ("cursor=x", "bad_query"),
        ] {
            let (found, detail) = api.get(&format!("{list}?{query}")).await.problem(StatusCode::BAD_REQUEST);
            assert_eq!(found, code, "{list}?{query}: {detail}");
        }
    }
}
