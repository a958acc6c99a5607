//! Credentials that keep their schema, and one for each rule that is not kept.

use serde_json::{Value, json};

use crate::credential::testkit::{World, put};
use crate::testing::{status, unreachable_host};

const ADDRESS: &str = "https://schemas.example/membership.json";

/// A credential that names a schema of this type at this address.
fn credential(world: &World, kind: &str, address: &str) -> Value {
    let mut claims = world.vc11();
    put(&mut claims, "/vc/credentialSchema", Some(json!({"id": address, "type": kind})));
    json!(world.issuer.sign(&json!({}), &claims))
}

async fn code(world: &World, credential: &Value) -> Result<(), &'static str> {
    world.credentials.verify(credential).await.map(drop).map_err(|error| error.code())
}

fn schema(draft: &str) -> Value {
    json!({
        "$schema": draft,
        "type": "object",
        "properties": {"credentialSubject": {
            "type": "object", "required": ["membership"], "properties": {"membership": {"enum": ["active"]}},
        }},
        "required": ["credentialSubject", "issuanceDate"],
    })
}

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

#[tokio::test]
async fn schemas_of_all_drafts_and_both_types_are_checked() {
    for draft in DRAFTS {
        for kind in ["JsonSchema", "JsonSchemaValidator2018"] {
            let world = World::new();
            world.fetch.put_json(ADDRESS, &schema(draft));
            assert_eq!(code(&world, &credential(&world, kind, ADDRESS)).await, Ok(()), "{draft}");

            let mut claims = world.vc11();
            put(&mut claims, "/vc/credentialSchema", Some(json!([{"id": ADDRESS, "type": kind}])));
            put(&mut claims, "/vc/credentialSubject/membership", Some(json!("secret")));
            let error = world.credentials.verify(&json!(world.issuer.sign(&json!({}), &claims))).await.unwrap_err();
            assert_eq!(error.code(), "schema_violated");
            assert!(error.to_string().contains("`/credentialSubject/membership`"), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
            assert_eq!(world.fetch.calls(ADDRESS), 1);
        }
    }
}

/// The schema of the conformance kit describes a subject; a credential that names it is refused for it.
#[tokio::test]
async fn the_document_is_checked_not_the_subject() {
    let world = World::new();
    let kit = json!({"$schema": DRAFTS[0], "type": "object", "required": ["membership"]});
    world.fetch.put_json(ADDRESS, &kit);
    let token = credential(&world, "JsonSchemaValidator2018", ADDRESS);
    assert_eq!(code(&world, &token).await, Err("schema_violated"));
}

#[tokio::test]
async fn unknown_types_and_foreign_hosts_are_refused_without_a_request() {
    let cases = [
        ("JsonSchemaCredential", ADDRESS, "unsupported_schema"),
        ("", ADDRESS, "unsupported_schema"),
        ("JsonSchema", "https://elsewhere.example/membership.json", "schema_not_allowed"),
        ("JsonSchema", "https://schemas.example:8443/membership.json", "schema_not_allowed"),
        ("JsonSchema", "https://schemas.example.elsewhere.example/x", "schema_not_allowed"),
        ("JsonSchema", "https://schemas.example@elsewhere.example/x", "schema_not_allowed"),
        ("JsonSchema", "ftp://schemas.example/x", "schema_not_allowed"),
        ("JsonSchema", "data:application/json,{}", "schema_not_allowed"),
        ("JsonSchema", "membership.json", "schema_not_allowed"),
    ];
    for (kind, address, expected) in cases {
        let world = World::new();
        world.fetch.put_json(address, &schema(DRAFTS[4]));
        assert_eq!(code(&world, &credential(&world, kind, address)).await, Err(expected), "{kind} {address}");
        assert_eq!(world.fetch.calls(address), 0);
    }
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_refuses_the_credential() {
    let cases = [
        (json!({"type": "object"}), "unsupported_schema"),
        (json!({"$schema": "https://example.org/own-draft", "type": "object"}), "unsupported_schema"),
        (json!({"$schema": DRAFTS[4], "type": 5}), "bad_schema"),
        (json!({"$schema": DRAFTS[4], "$ref": "https://elsewhere.example/schema.json"}), "bad_schema"),
        (json!({"$schema": DRAFTS[4], "properties": {"id": {"pattern": "(?=a)b"}}}), "bad_schema"),
        (json!({"$schema": DRAFTS[4], "properties": {"id": {"pattern": "(((a{999}){999}){999})"}}}), "bad_schema"),
        (json!([]), "unsupported_schema"),
    ];
    for (schema, expected) in cases {
        let world = World::new();
        world.fetch.put_json(ADDRESS, &schema);
        assert_eq!(code(&world, &credential(&world, "JsonSchema", ADDRESS)).await, Err(expected), "{schema}");
    }
    let world = World::new();
    world.fetch.put_text(ADDRESS, "text/html", "<html>");
    assert_eq!(code(&world, &credential(&world, "JsonSchema", ADDRESS)).await, Err("bad_schema"));
}

#[tokio::test]
async fn a_schema_that_cannot_be_had_refuses_the_credential() {
    let world = World::new();
    let token = credential(&world, "JsonSchema", ADDRESS);
    for (answer, temporary) in [(Ok(status(404)), false), (Ok(status(503)), true), (Err(unreachable_host()), true)] {
        match answer {
            Ok(answer) => world.fetch.put(ADDRESS, answer),
            Err(error) => world.fetch.fail(ADDRESS, error),
        }
        let error = world.credentials.verify(&token).await.unwrap_err();
        assert_eq!((error.code(), error.is_temporary()), ("schema_unavailable", temporary));
        // Not asked again at once, but soon.
        let calls = world.fetch.calls(ADDRESS);
        world.credentials.verify(&token).await.unwrap_err();
        assert_eq!(world.fetch.calls(ADDRESS), calls);
        world.clock.advance(5);
    }
    let mut large = schema(DRAFTS[4]);
    put(&mut large, "/description", Some(json!("x".repeat(128 * 1024))));
    world.fetch.put_json(ADDRESS, &large);
    assert_eq!(code(&world, &token).await, Err("schema_unavailable"));
    world.clock.advance(5);
    world.fetch.put_json(ADDRESS, &schema(DRAFTS[4]));
    assert_eq!(code(&world, &token).await, Ok(()));
}
