use std::time::Instant;

use super::*;

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let setup = setup(Algorithm::EdDsa);
    let with_subject = |subject: Value| {
        let mut document = credential();
        document["credentialSubject"] = subject;
        document["proof"] = setup.sign(&credential(), &eddsa())["proof"].clone();
        document
    };
    assert_eq!(setup.code(&with_subject(json!({"role": "x".repeat(300_000)}))).await, "bad_credential");
    let deep = (0..30).fold(json!("x"), |inner, _| json!({"role": inner}));
    assert_eq!(setup.code(&with_subject(deep)).await, "bad_credential");
    let deep = (0..30).fold(json!("x"), |inner, _| json!([inner]));
    assert_eq!(setup.code(&with_subject(deep)).await, "bad_credential");
    let huge: Value = serde_json::from_str("{\"level\": 1e999}").unwrap();
    assert_eq!(setup.code(&with_subject(huge)).await, "bad_credential");
    for blank in [json!({"id": "_:b0"}), json!({"id": 7}), json!({"role": "_:b0"}), json!({"_:b0": "x"})] {
        assert_eq!(setup.code(&with_subject(blank.clone())).await, "bad_credential", "{blank}");
    }
}

/// The libraries must answer with an error, never stop the program.
#[tokio::test]
async fn odd_json_is_no_crash() {
    let setup = setup(Algorithm::EdDsa);
    let signed = setup.sign(&credential(), &eddsa());
    let odd: Vec<Value> = [
        "null",
        "[]",
        "{}",
        "[[]]",
        "[null]",
        "-0",
        "0.1e-300",
        "1e300",
        "12345678901234567890123",
        "1.10",
        "-1e-7",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"a b\"",
        "\"http://[\"",
        "\"%zz\"",
        "\"../x\"",
        "\"#\"",
        "\"?\"",
        "\"@id\"",
        "\"@type\"",
        "true",
        "{\"@value\": \"x\"}",
        "{\"@value\": \"x\", \"@language\": \"not a tag!\"}",
        "{\"@language\": \"de\"}",
        "{\"type\": \"x\"}",
        "{\"type\": 7}",
        "{\"type\": [[\"x\"]]}",
        "{\"id\": \"\"}",
        "{\"id\": \"a b\"}",
        "{\"id\": \"x\", \"type\": null}",
        "{\"\": 1}",
        "[1, \"x\", {}, [], null, true]",
        "{\"proof\": {}}",
        "{\"proof\": [{}]}",
        "{\"credentialSubject\": {\"credentialSubject\": {}}}",
    ]
    .iter()
    .map(|text| serde_json::from_str(text).unwrap())
    .collect();
    for value in &odd {
        for name in [
            "id",
            "type",
            "issuer",
            "validFrom",
            "credentialSubject",
            "credentialStatus",
            "name",
            "other",
            "proof",
            "evidence",
            "holder",
            "verifiableCredential",
            "termsOfUse",
            "relatedResource",
        ] {
            let mut document = signed.clone();
            document[name] = value.clone();
            assert_ne!(setup.code(&document).await, "verified", "{name}: {value}");
            let mut document = signed.clone();
            document["credentialSubject"][name] = value.clone();
            let _any = setup.code(&document).await;
        }
        for name in [
            "id",
            "type",
            "cryptosuite",
            "created",
            "verificationMethod",
            "proofPurpose",
            "proofValue",
            "domain",
            "challenge",
            "nonce",
        ] {
            let mut document = signed.clone();
            document["proof"][name] = value.clone();
            let code = setup.code(&document).await;
            assert!(code != "verified" || matches!(name, "domain" | "nonce" | "challenge" | "id"), "{name}: {value}");
        }
    }
}

/// Parts that look alike make canonical names slow: the most that is let through must take no long time.
#[tokio::test]
async fn the_slowest_documents_take_no_long_time() {
    fn tree(width: usize, depth: usize) -> Value {
        if depth == 0 {
            return json!({"role": "x"});
        }
        json!({"part": vec![tree(width, depth - 1); width]})
    }
    let setup = setup(Algorithm::EdDsa);
    let proof = setup.sign(&credential(), &eddsa())["proof"].clone();
    let mut slow = 0;
    for (width, depth) in
        [(2, 5), (2, 6), (2, 12), (3, 3), (3, 4), (4, 2), (4, 3), (5, 1), (5, 2), (6, 1), (6, 2), (7, 1), (20, 1)]
    {
        let mut document = credential();
        // Twice, so that the roots look alike as well.
        document["credentialSubject"] = json!([tree(width, depth), tree(width, depth)]);
        document["proof"] = proof.clone();
        let begin = Instant::now();
        let code = setup.code(&document).await;
        let took = begin.elapsed();
        eprintln!("{width} wide, {depth} deep: {code}, {took:?}");
        assert!(took.as_secs() < 10, "{width} wide, {depth} deep took {took:?}");
        slow += usize::from(code == "bad_signature");
    }
    assert!(slow > 0);
}
