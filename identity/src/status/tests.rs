//! Lists that are in order, and one for each rule that is not kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;

use super::bits::packed;
use super::{MIN_ENTRIES, NewStatusList, StatusBits, StatusEntry, StatusKind, publish};
use crate::credential::testkit::{STATUS_TTL, World, did, put, signer};
use crate::testing::{Actor, NOW, actor, status, unreachable_host};

const ADDRESS: &str = "https://issuer.example/status/1";
const KINDS: [StatusKind; 2] = [StatusKind::Bitstring, StatusKind::StatusList2021];

fn entry(kind: StatusKind, index: u64) -> Value {
    StatusEntry { kind, purpose: "revocation".to_owned(), index, size: 1, list: ADDRESS.parse().unwrap() }.to_value()
}

/// The claims of a list of the given bits that is in order: a Bitstring Status List in a VC 2.0.
fn list(issuer: &Actor, bits: &StatusBits) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": ADDRESS,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer.did,
        "validUntil": "2026-01-01T01:00:00Z",
        "credentialSubject": {
            "type": "BitstringStatusList",
            "statusPurpose": ["suspension", "revocation"],
            "encodedList": bits.encode(StatusKind::Bitstring).unwrap(),
        },
    })
}

fn serve(world: &World, claims: &Value) {
    world.fetch.put_text(ADDRESS, "application/vc+jwt", &world.issuer.sign(&json!({}), claims));
}

async fn check(world: &World, entry: &Value) -> Result<i64, &'static str> {
    world.status.check(std::slice::from_ref(entry), &world.issuer.did).await.map_err(|error| error.code())
}

#[tokio::test]
async fn a_bit_revokes_its_credential_and_no_other() {
    for kind in KINDS {
        for purpose in ["revocation", "suspension"] {
            let world = World::new();
            let mut bits = StatusBits::new(MIN_ENTRIES);
            bits.set(94_567, true).unwrap();
            let (issuer, url) = (did(&world.issuer.did), ADDRESS.parse::<Url>().unwrap());
            let new = NewStatusList {
                kind,
                issuer: &issuer,
                url: &url,
                purpose,
                bits: &bits,
                valid_from: NOW,
                valid_until: NOW + 3600,
            };
            let token = publish(&new, signer(&world.issuer).as_ref()).await.unwrap();
            world.fetch.put_text(ADDRESS, "application/vc+jwt", &token);
            for (index, expected) in [(94_567, purpose), (94_566, ""), (94_568, ""), (131_071, "")] {
                let mut entry = entry(kind, index);
                put(&mut entry, "/statusPurpose", Some(json!(purpose)));
                let expected = match expected {
                    "revocation" => Err("revoked"),
                    "suspension" => Err("suspended"),
                    _ => Ok(()),
                };
                // The whole way: a credential that holds the entry.
                let mut claims = world.vc11();
                put(&mut claims, "/jti", Some(json!(index.to_string())));
                put(&mut claims, "/vc/credentialStatus", Some(json!([entry])));
                assert_eq!(world.code(&world.issuer.sign(&json!({}), &claims)).await, expected, "{kind:?} {index}");
            }
            assert_eq!(world.fetch.calls(ADDRESS), 1);
        }
    }
}

#[tokio::test]
async fn lists_come_as_text_as_json_string_and_enveloped() {
    let world = World::new();
    let token = world.issuer.sign(&json!({}), &list(&world.issuer, &StatusBits::new(0)));
    let envelope = json!({
        "@context": "https://www.w3.org/ns/credentials/v2", "type": "EnvelopedVerifiableCredential",
        "id": format!("data:application/vc+jwt,{token}"),
    });
    for body in [format!("{token}\n"), json!(token).to_string(), envelope.to_string()] {
        world.fetch.put_text(ADDRESS, "text/plain", &body);
        assert_eq!(check(&world, &entry(StatusKind::Bitstring, 5)).await, Ok(world_now(&world) + STATUS_TTL));
        world.clock.advance(STATUS_TTL);
    }
    assert_eq!(world.fetch.calls(ADDRESS), 3);
}

fn world_now(world: &World) -> i64 {
    use crate::Clock as _;
    world.clock.now()
}

#[tokio::test]
async fn each_rule_of_lists_refuses_by_its_code() {
    let short = format!("u{}", URL_SAFE_NO_PAD.encode(packed(&vec![0; MIN_ENTRIES / 8 - 1]).unwrap()));
    let bomb = format!("u{}", URL_SAFE_NO_PAD.encode(packed(&vec![0; 16 * 1024 * 1024 + 1]).unwrap()));
    let no_gzip = format!("u{}", URL_SAFE_NO_PAD.encode("plain"));
    let bare = StatusBits::new(0).encode(StatusKind::StatusList2021).unwrap();
    let subject = "/credentialSubject/";
    let cases: Vec<(&str, String, Option<Value>, &str)> = vec![
        ("expired", "/validUntil".into(), Some(json!("2025-12-31T23:59:00Z")), "bad_status_list"),
        ("not yet valid", "/validFrom".into(), Some(json!("2026-01-01T00:01:00Z")), "bad_status_list"),
        ("not a list credential", "/type".into(), Some(json!(["VerifiableCredential"])), "bad_status_list"),
        ("not a list", format!("{subject}type"), Some(json!("StatusList")), "bad_status_list"),
        ("two subjects", "/credentialSubject".into(), Some(json!([{"a": 1}, {"a": 2}])), "bad_status_list"),
        ("a status of its own", "/credentialStatus".into(), Some(json!({"type": "x"})), "bad_status_list"),
        ("no bits", format!("{subject}encodedList"), None, "bad_status_list"),
        ("no multibase", format!("{subject}encodedList"), Some(json!(bare)), "bad_status_list"),
        ("no base64", format!("{subject}encodedList"), Some(json!("u!")), "bad_status_list"),
        ("padding", format!("{subject}encodedList"), Some(json!("uAAA=")), "bad_status_list"),
        ("no gzip", format!("{subject}encodedList"), Some(json!(no_gzip)), "bad_status_list"),
        ("a gzip bomb", format!("{subject}encodedList"), Some(json!(bomb)), "bad_status_list"),
        ("too short", format!("{subject}encodedList"), Some(json!(short)), "status_list_too_short"),
        ("another purpose", format!("{subject}statusPurpose"), Some(json!("suspension")), "status_purpose_mismatch"),
        ("no purpose", format!("{subject}statusPurpose"), None, "status_purpose_mismatch"),
    ];
    for (name, path, value, expected) in cases {
        let world = World::new();
        let mut claims = list(&world.issuer, &StatusBits::new(0));
        put(&mut claims, &path, value);
        serve(&world, &claims);
        assert_eq!(check(&world, &entry(StatusKind::Bitstring, 1)).await, Err(expected), "{name}");
    }
}

#[tokio::test]
async fn a_list_must_be_signed_by_an_issuer_who_may_keep_it() {
    let world = World::new();
    let claims = list(&world.issuer, &StatusBits::new(0));
    let good = world.issuer.sign(&json!({}), &claims);
    let unsigned_jws = world.issuer.sign(&json!({"alg": "none"}), &claims);
    let forged = world.stranger.sign(&json!({"kid": world.issuer.kid}), &claims);
    let cases = [
        ("a plain document", claims.to_string(), "unsigned_status_list"),
        ("alg none", unsigned_jws, "unsigned_status_list"),
        ("a forged signature", forged, "bad_status_list"),
        ("another's key", world.stranger.sign(&json!({}), &claims), "bad_status_list"),
        ("a cut signature", good.rsplit_once('.').unwrap().0.to_owned() + ".", "bad_status_list"),
        ("an error page", "<html>".to_owned(), "bad_status_list"),
        ("no JSON", "{".to_owned(), "bad_status_list"),
        ("nothing", String::new(), "bad_status_list"),
    ];
    for (name, body, expected) in cases {
        world.fetch.put_text(ADDRESS, "application/vc+jwt", &body);
        assert_eq!(check(&world, &entry(StatusKind::Bitstring, 1)).await, Err(expected), "{name}");
        world.clock.advance(5);
    }

    // Another issuer: only when it is trusted to keep lists.
    let keeper = actor(&world.fetch, "did:web:keeper.example");
    let token = keeper.sign(&json!({}), &list(&keeper, &StatusBits::new(0)));
    world.fetch.put_text(ADDRESS, "application/vc+jwt", &token);
    assert_eq!(check(&world, &entry(StatusKind::Bitstring, 1)).await, Err("untrusted_issuer"));
    let allowed = (keeper.did.clone(), "BitstringStatusListCredential".to_owned());
    world.trust.0.lock().unwrap().push(allowed);
    assert!(check(&world, &entry(StatusKind::Bitstring, 1)).await.is_ok());
    // And an issuer speaks of its own credentials whatever types it is trusted for.
    world.trust.0.lock().unwrap().clear();
    serve(&world, &claims);
    world.clock.advance(STATUS_TTL);
    assert!(check(&world, &entry(StatusKind::Bitstring, 1)).await.is_ok());
}

#[tokio::test]
async fn a_list_of_the_other_standard_does_not_serve() {
    let world = World::new();
    serve(&world, &list(&world.issuer, &StatusBits::new(0)));
    let entry = entry(StatusKind::StatusList2021, 1);
    assert_eq!(check(&world, &entry).await, Err("status_purpose_mismatch"));
}

#[tokio::test]
async fn each_rule_of_entries_refuses_by_its_code() {
    let cases = [
        ("no type", "/type", None, "unsupported_status"),
        ("another type", "/type", Some(json!("RevocationList2020Status")), "unsupported_status"),
        ("no purpose", "/statusPurpose", None, "bad_status_entry"),
        ("another purpose", "/statusPurpose", Some(json!("new")), "unsupported_status"),
        ("no index", "/statusListIndex", None, "bad_status_entry"),
        ("a negative index", "/statusListIndex", Some(json!("-1")), "bad_status_entry"),
        ("a negative number", "/statusListIndex", Some(json!(-1)), "bad_status_entry"),
        ("a signed index", "/statusListIndex", Some(json!("+1")), "bad_status_entry"),
        ("a long index", "/statusListIndex", Some(json!("1".repeat(16))), "bad_status_entry"),
        ("an index of a wrong kind", "/statusListIndex", Some(json!(1.5)), "bad_status_entry"),
        ("the first index behind", "/statusListIndex", Some(json!("131072")), "status_index_out_of_range"),
        ("a far index", "/statusListIndex", Some(json!("999999999999999")), "status_index_out_of_range"),
        ("size 0", "/statusSize", Some(json!(0)), "bad_status_entry"),
        ("size 33", "/statusSize", Some(json!(33)), "bad_status_entry"),
        ("too few entries of this size", "/statusSize", Some(json!(2)), "status_list_too_short"),
        ("no list", "/statusListCredential", None, "bad_status_entry"),
        ("no URL", "/statusListCredential", Some(json!("list")), "bad_status_entry"),
        ("another scheme", "/statusListCredential", Some(json!("file:///etc/passwd")), "unsupported_status"),
        ("a password", "/statusListCredential", Some(json!("https://a:b@issuer.example/")), "unsupported_status"),
        ("nothing there", "/statusListCredential", Some(json!("https://issuer.example/2")), "status_unavailable"),
    ];
    let world = World::new();
    serve(&world, &list(&world.issuer, &StatusBits::new(0)));
    for (name, path, value, expected) in cases {
        let mut entry = entry(StatusKind::Bitstring, 1);
        put(&mut entry, path, value);
        assert_eq!(check(&world, &entry).await, Err(expected), "{name}");
    }
    // As text, as number, and with a fragment; a purpose that only informs is not looked up.
    let mut number = entry(StatusKind::Bitstring, 1);
    put(&mut number, "/statusListIndex", Some(json!(1)));
    put(&mut number, "/statusListCredential", Some(json!(format!("{ADDRESS}#list"))));
    assert!(check(&world, &number).await.is_ok());
    put(&mut number, "/statusPurpose", Some(json!("message")));
    put(&mut number, "/statusListCredential", Some(json!("https://issuer.example/2")));
    assert_eq!(check(&world, &number).await, Ok(i64::MAX));
}

#[tokio::test]
async fn each_entry_of_a_credential_is_looked_up() {
    let world = World::new();
    let mut bits = StatusBits::new(0);
    bits.set(7, true).unwrap();
    serve(&world, &list(&world.issuer, &bits));
    let mut suspension = entry(StatusKind::Bitstring, 7);
    put(&mut suspension, "/statusPurpose", Some(json!("suspension")));
    let entries = [entry(StatusKind::Bitstring, 6), suspension];
    let error = world.status.check(&entries, &world.issuer.did).await.unwrap_err();
    assert_eq!(error.code(), "suspended");
    assert_eq!(error.to_string(), "status list `https://issuer.example/status/1`: the credential is suspended");
}

#[tokio::test]
async fn a_list_that_cannot_be_had_refuses_the_credential() {
    let world = World::new();
    let entry = entry(StatusKind::Bitstring, 1);
    for (answer, temporary) in [(Ok(status(404)), false), (Ok(status(503)), true), (Err(unreachable_host()), true)] {
        match answer {
            Ok(answer) => world.fetch.put(ADDRESS, answer),
            Err(error) => world.fetch.fail(ADDRESS, error),
        }
        let error = world.status.check(std::slice::from_ref(&entry), &world.issuer.did).await.unwrap_err();
        assert_eq!((error.code(), error.is_temporary()), ("status_unavailable", temporary));
        world.clock.advance(5);
    }
    world.fetch.put_text(ADDRESS, "text/plain", &"x".repeat(256 * 1024 + 1));
    assert_eq!(check(&world, &entry).await, Err("status_unavailable"));
}

#[tokio::test]
async fn a_list_is_kept_for_a_time_and_read_once_by_many() {
    let world = World::new();
    let bits = StatusBits::new(0);
    serve(&world, &list(&world.issuer, &bits));
    let entry = entry(StatusKind::Bitstring, 1);
    let (one, two, three) = tokio::join!(check(&world, &entry), check(&world, &entry), check(&world, &entry));
    assert_eq!((one, two, three), (Ok(NOW + 60), Ok(NOW + 60), Ok(NOW + 60)));
    assert_eq!(world.fetch.calls(ADDRESS), 1);

    // A revocation is noticed when the time is over, not before.
    let mut bits = bits;
    bits.set(1, true).unwrap();
    serve(&world, &list(&world.issuer, &bits));
    world.clock.advance(59);
    assert_eq!(check(&world, &entry).await, Ok(NOW + 60));
    world.clock.advance(1);
    let (one, two) = tokio::join!(check(&world, &entry), check(&world, &entry));
    assert_eq!((one, two), (Err("revoked"), Err("revoked")));
    assert_eq!(world.fetch.calls(ADDRESS), 2);
}

#[tokio::test]
async fn the_answer_and_the_list_shorten_the_time() {
    for (max_age, valid_until, expected) in [
        (Some(20), "2026-01-01T01:00:00Z", 20),
        (Some(0), "2026-01-01T01:00:00Z", 5),
        (Some(9999), "2026-01-01T01:00:00Z", 60),
        (None, "2026-01-01T00:00:40Z", 40),
    ] {
        let world = World::new();
        let mut claims = list(&world.issuer, &StatusBits::new(0));
        put(&mut claims, "/validUntil", Some(json!(valid_until)));
        let token = world.issuer.sign(&json!({}), &claims);
        let answer = crate::Fetched { status: 200, max_age, body: token.into_bytes(), ..crate::Fetched::default() };
        world.fetch.put(ADDRESS, answer);
        assert_eq!(check(&world, &entry(StatusKind::Bitstring, 1)).await, Ok(NOW + expected));
    }
}
