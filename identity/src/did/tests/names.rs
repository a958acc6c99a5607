use super::*;

#[test]
fn a_did_has_a_method_and_an_id() {
    let parsed = did("did:web:localhost%3A8080:cities:lyon");
    assert_eq!(parsed.method(), "web");
    assert_eq!(parsed.method_specific_id(), "localhost%3A8080:cities:lyon");
    for bad in [
        "",
        "did",
        "did:web",
        "did:web:",
        "did::a",
        "DID:web:a",
        "did:Web:a",
        "did:web:a b",
        "did:web:a/b",
        "did:web:a#b",
    ] {
        assert_eq!(bad.parse::<Did>().unwrap_err().code(), "malformed_did", "{bad}");
    }
    assert!(format!("did:web:{}", "a".repeat(3000)).parse::<Did>().is_err());
    assert!("did:web:a:".parse::<Did>().is_err());
}

#[test]
fn a_key_is_named_by_a_fragment() {
    let base = did("did:web:a.example");
    assert_eq!(DidUrl::resolve(&base, "#key-1").unwrap(), method("did:web:a.example#key-1"));
    assert_eq!(DidUrl::resolve(&base, "did:web:b.example#k").unwrap().did(), &did("did:web:b.example"));
    for bad in ["did:web:a", "did:web:a#", "did:web:a/path#k", "did:web:a?x=1#k", "key-1", "did:web:a#k k"] {
        assert_eq!(DidUrl::parse(bad).unwrap_err().code(), "malformed_did", "{bad}");
    }
}

#[test]
fn a_did_web_is_a_url() {
    for (name, url) in [
        ("did:web:w3c-ccg.github.io", "https://w3c-ccg.github.io/.well-known/did.json"),
        ("did:web:w3c-ccg.github.io:user:alice", "https://w3c-ccg.github.io/user/alice/did.json"),
        ("did:web:example.com%3A3000", "https://example.com:3000/.well-known/did.json"),
        ("did:web:example.com%3a3000:a:b", "https://example.com:3000/a/b/did.json"),
        ("did:web:example.com:a%20b", "https://example.com/a%20b/did.json"),
    ] {
        assert_eq!(document_url(&did(name), false).unwrap().as_str(), url);
    }
    assert_eq!(
        document_url(&did("did:web:localhost%3A8080:x"), true).unwrap().as_str(),
        "http://localhost:8080/x/did.json"
    );
    assert_eq!(
        document_url(&did("did:web:127.0.0.1%3A8080"), true).unwrap().as_str(),
        "http://127.0.0.1:8080/.well-known/did.json"
    );
}

#[test]
fn a_did_web_leads_nowhere_else() {
    for name in [
        "did:web:a.example:..:secret",
        "did:web:a.example:%2e%2e:secret",
        "did:web:a.example:%2E",
        "did:web:a.example:x%2Fy",
        "did:web:a.example:x%5Cy",
        "did:web:a.example:x%00",
        "did:web:a.example:x%3Fq",
        "did:web:a.example:x%",
        "did:web:a.example:x%zz",
        "did:web:a.example::x",
        "did:web:user%40a.example",
        "did:web:a.example%2Fpath",
        "did:web:a.example%3A99999",
        "did:web:127.0.0.1",
        "did:web:2130706433",
        "did:web:0x7f.1",
        "did:web:%61.example",
    ] {
        let refused = document_url(&did(name), false).unwrap_err();
        assert_eq!(refused.code(), "malformed_did", "{name}");
    }
    assert_eq!(document_url(&did("did:key:z6Mk"), false).unwrap_err().code(), "unsupported_did_method");
}
