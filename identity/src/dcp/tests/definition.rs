use serde_json::{Value, json};

use super::{TURKU, World, scopes};
use crate::credential::Format;
use crate::dcp::DcpError;
use crate::dcp::access_token::mint_access_token;
use crate::dcp::message::{PresentationQueryMessage, PresentationResponseMessage};

/// Turku asks Bari, which granted A, B and C, by a definition.
async fn answer(world: &World, definition: &Value) -> Result<PresentationResponseMessage, DcpError> {
    let bari = &world.bari;
    let granted = scopes(&["A", "B", "C"]);
    let token = mint_access_token(&*bari.signer, &*bari.clock, &bari.did, TURKU, &granted, 60).await.unwrap();
    let query = PresentationQueryMessage::parse(&json!({
        "type": "PresentationQueryMessage", "presentationDefinition": definition,
    }))?;
    let stored = bari.stored.lock().unwrap().clone();
    bari.holder(true).answer(&world.turku.caller(Some(&token)), &query, &stored).await
}

fn descriptor(id: &str, fields: &Value) -> Value {
    json!({"id": id, "format": "vcdm11_jwt", "constraints": {"fields": fields}})
}

fn definition(fields: &Value) -> Value {
    json!({"id": "d", "input_descriptors": [descriptor("credential", fields)]})
}

#[tokio::test]
async fn every_form_of_asking_for_a_type() {
    let world = World::new();
    world.give(&world.bari, "A", json!({})).await;
    world.give(&world.bari, "B", json!({})).await;
    let table = [
        json!({"path": ["$.type"], "filter": {"type": "string", "pattern": "A"}}),
        json!([{"path": ["$.type", "$.vc.type"], "filter": {"type": "string", "pattern": "^A$"}}]),
        json!([{"path": "$.vc.type", "filter": {"type": "string", "const": "A"}}]),
        json!([{"path": ["$.type"], "filter": {"type": "array", "contains": {"const": "A"}}}]),
    ];
    for fields in table {
        let response = answer(&world, &definition(&fields)).await.unwrap();
        assert_eq!(response.presentation.len(), 1);
        let submission = response.presentation_submission.unwrap();
        assert_eq!(submission["definition_id"], "d");
        assert_eq!(submission["descriptor_map"][0]["path_nested"]["path"], "$.vp.verifiableCredential[0]", "{fields}");
    }
}

#[tokio::test]
async fn where_the_credentials_are() {
    let world = World::new();
    for (name, format) in [("A", Format::Vc11Jwt), ("B", Format::Vc20Jwt), ("C", Format::Vc11Jwt)] {
        let raw = world.credential(&world.bari, name, json!({}), format).await;
        world.bari.store(raw);
    }
    let ask = |name: &str| descriptor(name, &json!([{"path": ["$.type"], "filter": {"const": name}}]));
    let all = json!({"id": "d", "input_descriptors": [ask("C"), ask("B"), ask("A")]});
    let submission = answer(&world, &all).await.unwrap().presentation_submission.unwrap();
    let paths: Vec<(&str, &str, &str)> = submission["descriptor_map"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |pointer: &str| entry.pointer(pointer).unwrap().as_str().unwrap();
            (text("/id"), text("/path"), text("/path_nested/path"))
        })
        .collect();
    assert_eq!(
        paths,
        [
            ("C", "$.presentation[0]", "$.vp.verifiableCredential[1]"),
            ("B", "$.presentation[1]", "$.verifiableCredential[0]"),
            ("A", "$.presentation[0]", "$.vp.verifiableCredential[0]"),
        ]
    );
    world.bari.stored.lock().unwrap().clear();
    let nothing = answer(&world, &all).await.unwrap();
    assert_eq!(nothing.presentation_submission.unwrap()["descriptor_map"], json!([]));
}

#[tokio::test]
async fn definitions_that_are_refused() {
    let world = World::new();
    let by_type = json!([{"path": ["$.type"], "filter": {"const": "A"}}]);
    let one = descriptor("a", &by_type);
    let field = |field: Value| definition(&json!([field]));
    let table = [
        (json!({"input_descriptors": [one]}), 400, "bad_definition"),
        (json!({"id": "d"}), 400, "bad_definition"),
        (json!({"id": "d", "input_descriptors": []}), 400, "bad_definition"),
        (json!({"id": "d", "input_descriptors": vec![one.clone(); 17]}), 400, "bad_definition"),
        (json!({"id": "d", "input_descriptors": [one, one]}), 400, "bad_definition"),
        (json!({"id": "d", "input_descriptors": [{"constraints": {}}]}), 400, "bad_definition"),
        (json!({"id": "d", "input_descriptors": [{"id": "a"}]}), 400, "bad_definition"),
        (json!({"id": "d", "input_descriptors": [{"id": "a", "constraints": {}}]}), 400, "bad_definition"),
        (field(json!({"filter": {"const": "A"}})), 400, "bad_definition"),
        (json!({"id": "d", "input_descriptors": [one], "submission_requirements": []}), 501, "unsupported_query"),
        (
            json!({"id": "d", "input_descriptors": [{"id": "a", "constraints": {"fields": by_type, "limit_disclosure": "required"}}]}),
            501,
            "unsupported_query",
        ),
        (definition(&json!([])), 501, "unsupported_query"),
        (definition(&json!([by_type[0], by_type[0]])), 501, "unsupported_query"),
        (field(json!({"path": ["$.issuer"], "filter": {"const": "A"}})), 501, "unsupported_query"),
        (field(json!({"path": [], "filter": {"const": "A"}})), 501, "unsupported_query"),
        (field(json!({"path": ["$.type"]})), 501, "unsupported_query"),
        (field(json!({"path": ["$.type"], "filter": {"enum": ["A"]}})), 501, "unsupported_query"),
        (field(json!({"path": ["$.type"], "filter": {"pattern": "A|B"}})), 501, "unsupported_query"),
        (field(json!({"path": ["$.type"], "filter": {"pattern": "^$"}})), 501, "unsupported_query"),
        (field(json!({"path": ["$.type"], "filter": {"const": "D"}})), 403, "scope_not_granted"),
    ];
    for (definition, status, code) in table {
        let error = answer(&world, &definition).await.unwrap_err();
        assert_eq!((error.refusal().status(), error.code()), (status, code), "{definition}");
    }
}
