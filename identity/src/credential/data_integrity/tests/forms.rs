use super::*;
use crate::testing::document_url;

#[tokio::test]
async fn every_suite_verifies_credentials_and_presentations() {
    let jws = json!({
        "type": "JsonWebSignature2020", "proofPurpose": "assertionMethod", "created": "2025-12-01T00:00:00Z",
        "@context": "https://w3id.org/security/suites/jws-2020/v1",
    });
    let ed25519 = json!({
        "type": "Ed25519Signature2020", "proofPurpose": "assertionMethod", "created": "2025-12-01T00:00:00Z",
        "@context": "https://w3id.org/security/suites/ed25519-2020/v1",
    });
    for (algorithm, mut proof) in [
        (Algorithm::EdDsa, eddsa()),
        (Algorithm::Es256, by("ecdsa-rdfc-2019")),
        (Algorithm::Es384, by("ecdsa-rdfc-2019")),
        (Algorithm::EdDsa, ed25519),
        (Algorithm::Es256, jws.clone()),
        (Algorithm::Es384, jws.clone()),
        (Algorithm::EdDsa, jws),
    ] {
        let setup = setup(algorithm);
        let signed = setup.sign(&credential(), &proof);
        assert_eq!(setup.check(&signed).await.unwrap().to_string(), setup.issuer.kid, "{algorithm} {proof}");
        proof["proofPurpose"] = json!("authentication");
        proof["challenge"] = json!("c-1");
        proof["domain"] = json!("did:web:verifier.example");
        let mut whole = setup.sign(&presentation(std::slice::from_ref(&signed)), &proof);
        assert_eq!(setup.code(&whole).await, "verified", "{algorithm} {proof}");
        whole["verifiableCredential"][0]["credentialSubject"]["role"] = json!("owner");
        assert_eq!(setup.code(&whole).await, "bad_signature");
    }
}

/// As Gaia-X participants sign.
#[tokio::test]
async fn rsa_keys_verify_detached_signatures() {
    let setup = setup(Algorithm::Es256);
    let pair = josekit::jws::PS256.generate_key_pair(2048).unwrap();
    let signer = josekit::jws::PS256.signer_from_pem(pair.to_pem_private_key()).unwrap();
    let mut document = setup.issuer.document();
    document["verificationMethod"][0]["publicKeyJwk"] = Value::Object(pair.to_jwk_public_key().as_ref().clone());
    document["verificationMethod"][0]["publicKeyJwk"].as_object_mut().unwrap().remove("alg");
    setup.fetch.put_json(&document_url(ISSUER), &document);
    let proof = json!({
        "type": "JsonWebSignature2020", "proofPurpose": "assertionMethod",
        "@context": "https://w3id.org/security/suites/jws-2020/v1",
    });
    let sign = |bytes: &[u8]| josekit::jws::JwsSigner::sign(&signer, bytes).unwrap();
    let signed = sign_with(Algorithm::Ps256, sign, &setup.issuer.kid, &credential(), &proof);
    assert_eq!(setup.code(&signed).await, "verified");
    let mut changed = signed;
    changed["issuer"] = json!("did:web:other.example");
    assert_eq!(setup.code(&changed).await, "bad_signature");
}

#[tokio::test]
async fn version_1_of_the_data_model_is_read_too() {
    let setup = setup(Algorithm::EdDsa);
    let document = json!({
        "@context": ["https://www.w3.org/2018/credentials/v1", "https://w3id.org/security/suites/ed25519-2020/v1", "https://www.w3.org/2018/credentials/examples/v1"],
        "type": ["VerifiableCredential"],
        "issuer": {"id": ISSUER},
        "issuanceDate": "2025-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:web:holder.example"},
    });
    let proof =
        json!({"type": "Ed25519Signature2020", "created": "2025-12-01T00:00:00Z", "proofPurpose": "assertionMethod"});
    assert_eq!(setup.code(&setup.sign(&document, &proof)).await, "verified");
}

#[tokio::test]
async fn every_change_is_noticed() {
    let setup = setup(Algorithm::EdDsa);
    let signed = setup.sign(&credential(), &eddsa());
    let changed = |pointer: &str, value: Value| {
        let mut document = signed.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        document
    };
    for (pointer, value) in [
        ("/id", json!("urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc34")),
        ("/issuer", json!("did:web:other.example")),
        ("/validUntil", json!("2037-01-01T00:00:00Z")),
        ("/type", json!(["VerifiableCredential", "OwnerCredential"])),
        ("/credentialSubject/id", json!("did:web:thief.example")),
        ("/credentialSubject/role", json!("owner")),
        ("/credentialSubject/level", json!(4)),
        ("/credentialSubject/share", json!(0.6)),
        ("/credentialSubject/active", json!(false)),
        ("/proof/created", json!("2025-12-02T00:00:00Z")),
        (
            "/@context",
            json!(["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/undefined-terms/v2"]),
        ),
    ] {
        assert_eq!(setup.code(&changed(pointer, value)).await, "bad_signature", "{pointer}");
    }
    let mut more = signed.clone();
    more["credentialSubject"]["also"] = json!("this");
    assert_eq!(setup.code(&more).await, "bad_signature");
    for name in ["validUntil", "issuer", "id", "credentialSubject"] {
        let mut less = signed.clone();
        less.as_object_mut().unwrap().remove(name);
        assert_eq!(setup.code(&less).await, "bad_signature", "{name}");
    }
}

/// RDF says the same when a member is written in another way, but we would not see it.
#[tokio::test]
async fn a_member_cannot_be_hidden() {
    let setup = setup(Algorithm::EdDsa);
    let signed = setup.sign(&credential(), &eddsa());
    let hidden = |name: &str, other: &str, value: Value| {
        let mut document = signed.clone();
        document.as_object_mut().unwrap().remove(name);
        document[other] = value;
        document
    };
    let date = json!({"@type": "http://www.w3.org/2001/XMLSchema#dateTime", "@value": "2027-01-01T00:00:00Z"});
    for document in [
        hidden("validUntil", "https://www.w3.org/2018/credentials#validUntil", date.clone()),
        hidden("validUntil", "cred:validUntil", date.clone()),
        hidden("validUntil", "validUntil", date),
        hidden("id", "@id", credential()["id"].clone()),
        hidden("type", "@type", credential()["type"].clone()),
        hidden("validUntil", "@included", json!([{"id": credential()["id"], "validUntil": "2027-01-01T00:00:00Z"}])),
        hidden("validUntil", "@graph", json!([])),
    ] {
        assert_eq!(setup.code(&document).await, "bad_credential", "{document}");
    }
    let mut moved = signed.clone();
    moved["relatedResource"] = json!({"id": credential()["id"], "validUntil": "2027-01-01T00:00:00Z"});
    assert_eq!(setup.code(&moved).await, "bad_credential");
}

#[tokio::test]
async fn only_known_contexts_are_used() {
    let setup = setup(Algorithm::EdDsa);
    let v2 = "https://www.w3.org/ns/credentials/v2";
    let signed = setup.sign(&credential(), &eddsa());
    for (context, expected) in [
        (json!([v2, "https://evil.example/context"]), "unknown_context"),
        (json!([v2, {"role": "https://evil.example/#other"}]), "unknown_context"),
        (json!(["https://www.w3.org/ns/credentials/examples/v2", v2]), "unknown_context"),
        (json!([]), "unknown_context"),
        (json!({"@vocab": "https://evil.example/#"}), "unknown_context"),
        (json!([v2, v2, v2, v2, v2, v2, v2, v2, v2]), "unknown_context"),
        (json!("https://schema.org/"), "unknown_context"),
        // Terms that nobody defines are not covered by the signature.
        (json!([v2]), "bad_credential"),
    ] {
        let mut document = signed.clone();
        document["@context"] = context.clone();
        assert_eq!(setup.code(&document).await, expected, "{context}");
    }
    let mut document = signed.clone();
    document.as_object_mut().unwrap().remove("@context");
    assert_eq!(setup.code(&document).await, "bad_credential");
    let mut document = signed.clone();
    document["proof"]["@context"] = json!("https://evil.example/context");
    assert_eq!(setup.code(&document).await, "unknown_context");
    let mut document = signed;
    document["credentialSubject"]["@context"] = json!(v2);
    assert_eq!(setup.code(&document).await, "bad_credential");
    assert_eq!(setup.fetch.total_calls(), setup.fetch.calls(&document_url(ISSUER)), "no context is fetched");
}

#[tokio::test]
async fn a_proof_that_is_none_is_refused() {
    let setup = setup(Algorithm::EdDsa);
    let signed = setup.sign(&credential(), &eddsa());
    let with = |name: &str, value: Value| {
        let mut document = signed.clone();
        document["proof"][name] = value;
        document
    };
    let proof = signed["proof"].clone();
    for (document, expected) in [
        (credential(), "bad_proof"),
        (json!("text"), "bad_credential"),
        (json!([signed]), "bad_credential"),
        (with("type", json!("DataIntegrityproof")), "unsupported_proof"),
        (with("cryptosuite", json!("eddsa-jcs-2022")), "unsupported_proof"),
        (with("cryptosuite", json!("ecdsa-sd-2023")), "unsupported_proof"),
        (with("cryptosuite", json!("bbs-2023")), "unsupported_proof"),
        (with("type", json!("Ed25519Signature2018")), "unsupported_proof"),
        (with("type", json!("Ed25519Signature2020")), "unsupported_proof"),
        (with("proofPurpose", json!("authentication")), "bad_proof"),
        (with("proofPurpose", json!(7)), "bad_proof"),
        (with("verificationMethod", json!({"id": "x"})), "bad_proof"),
        (with("verificationMethod", json!("https://x.example/k")), "malformed_did"),
        (with("previousProof", json!("urn:x")), "bad_proof"),
        (with("proofValue", json!("uAAAA")), "bad_proof"),
        (with("proofValue", json!("z0OIl")), "bad_proof"),
        (with("proofValue", json!("z".repeat(5000))), "bad_proof"),
        (with("proofValue", json!("z")), "bad_signature"),
        (with("jws", json!("a..b")), "bad_proof"),
        (with("created", json!("yesterday")), "bad_proof"),
        (with("created", json!("2026-01-01T00:02:00Z")), "not_yet_valid"),
        (with("expires", json!("2026-01-01T00:00:00Z")), "expired"),
        (with("nonce", json!("n")), "bad_signature"),
    ] {
        assert_eq!(setup.code(&document).await, expected, "{document}");
    }
    for proofs in [json!([]), json!([proof, proof]), json!(["x"]), json!(null)] {
        let mut document = signed.clone();
        document["proof"] = proofs;
        assert_eq!(setup.code(&document).await, "bad_proof");
    }
    let mut document = signed;
    document["proof"] = json!([proof]);
    assert_eq!(setup.code(&document).await, "verified");
}

#[tokio::test]
async fn a_detached_jws_is_unencoded_and_of_the_list() {
    let setup = setup(Algorithm::Es256);
    let proof = json!({
        "type": "JsonWebSignature2020", "proofPurpose": "assertionMethod",
        "@context": "https://w3id.org/security/suites/jws-2020/v1",
    });
    let signed = setup.sign(&credential(), &proof);
    let (_, signature) = signed["proof"]["jws"].as_str().unwrap().split_once("..").unwrap();
    for (header, expected) in [
        (json!({"alg": "ES256"}), "bad_proof"),
        (json!({"alg": "ES256", "b64": true, "crit": ["b64"]}), "bad_proof"),
        (json!({"alg": "ES256", "b64": false}), "bad_proof"),
        (json!({"alg": "ES256", "b64": false, "crit": ["b64", "exp"]}), "bad_proof"),
        (json!({"b64": false, "crit": ["b64"]}), "bad_proof"),
        (json!({"alg": "none", "b64": false, "crit": ["b64"]}), "unsupported_algorithm"),
        (json!({"alg": "HS256", "b64": false, "crit": ["b64"]}), "unsupported_algorithm"),
        (json!({"alg": "EdDSA", "b64": false, "crit": ["b64"]}), "unsupported_algorithm"),
        (json!({"b64": false, "crit": ["b64"], "alg": "ES256"}), "bad_signature"),
    ] {
        let mut document = signed.clone();
        document["proof"]["jws"] = json!(format!("{}..{signature}", URL_SAFE_NO_PAD.encode(header.to_string())));
        assert_eq!(setup.code(&document).await, expected, "{header}");
    }
    for jws in ["", "..", "a.b.c", "e30..", "!..AA", "W10..AA"] {
        let mut document = signed.clone();
        document["proof"]["jws"] = json!(jws);
        assert_eq!(setup.code(&document).await, "bad_proof", "{jws}");
    }
}

#[tokio::test]
async fn the_key_must_be_listed_for_the_purpose_and_fit_the_suite() {
    let setup = setup(Algorithm::EdDsa);
    let signed = setup.sign(&credential(), &eddsa());
    let mut ecdsa = signed.clone();
    ecdsa["proof"]["cryptosuite"] = json!("ecdsa-rdfc-2019");
    assert_eq!(setup.code(&ecdsa).await, "unsupported_algorithm");
    let mut other = signed.clone();
    other["proof"]["verificationMethod"] = json!(format!("{ISSUER}#key-2"));
    assert_eq!(setup.code(&other).await, "unknown_key");
    let mut document = setup.issuer.document();
    document["assertionMethod"] = json!([]);
    setup.fetch.put_json(&document_url(ISSUER), &document);
    setup.resolver.forget(&ISSUER.parse().unwrap()).await;
    assert_eq!(setup.code(&signed).await, "key_not_allowed");
    let mut authentication = eddsa();
    authentication["proofPurpose"] = json!("authentication");
    assert_eq!(setup.code(&setup.sign(&presentation(&[credential()]), &authentication)).await, "verified");
    assert_eq!(setup.code(&setup.sign(&credential(), &authentication)).await, "bad_proof");
}

/// No other term of a known context may stand for a member that decides whether a credential is accepted.
#[test]
fn no_context_has_a_second_name_for_what_decides() {
    fn terms(value: &Value, found: &mut Vec<(String, String)>) {
        if let Value::Object(members) = value {
            for (name, definition) in members.iter().filter(|(name, _)| !name.starts_with('@') || *name == "@context") {
                let id = definition.as_str().or_else(|| definition.get("@id").and_then(Value::as_str));
                found.extend(id.map(|id| (name.clone(), id.to_owned())));
                terms(definition, found);
            }
        }
        if let Value::Array(items) = value {
            items.iter().for_each(|item| terms(item, found));
        }
    }
    let mut seen = 0;
    for context in contexts::KNOWN {
        let iri = ssi_json_ld::IriBuf::new(context.to_owned()).unwrap();
        let loaded = crate::ready::now(ssi_json_ld::Loader::load(contexts::loader(), &iri)).unwrap().unwrap();
        let mut found = Vec::new();
        terms(&serde_json::from_str(&loaded.into_document().to_string()).unwrap(), &mut found);
        for (term, id) in found {
            let decides = [
                "validUntil",
                "validFrom",
                "expirationDate",
                "issuanceDate",
                "credentialStatus",
                "credentialSchema",
                "credentialSubject",
                "issuer",
                "statusListIndex",
                "statusListCredential",
                "statusPurpose",
                "encodedList",
                "termsOfUse",
            ];
            for name in decides {
                if id.rsplit(['#', ':', '/']).next() == Some(name) {
                    seen += 1;
                    assert_eq!(term, name, "`{term}` of {context} is {id}");
                }
            }
            match id.as_str() {
                "@id" => assert_eq!(term, "id", "{context}"),
                "@type" => assert_eq!(term, "type", "{context}"),
                keyword => assert!(!keyword.starts_with('@'), "`{term}` of {context} is {id}"),
            }
        }
    }
    assert!(seen > 10);
}
