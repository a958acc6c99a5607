//! Rings and where they are kept.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::did::Did;
use crate::jose::{Algorithm, Jws, PrivateKey};
use crate::testing::NOW;

fn us() -> Did {
    "did:web:us.example".parse().unwrap()
}

fn states(ring: &KeyRing) -> Vec<KeyState> {
    ring.keys().iter().map(|key| key.state).collect()
}

#[tokio::test]
async fn the_current_key_signs_under_its_name() {
    let ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    let signer = ring.signer(&us()).unwrap();
    // Whatever the caller says, `alg` and `kid` are those of the key.
    let header = json!({"typ": "JWT", "alg": "none", "kid": "did:web:other#k"});
    let token = signer.sign_compact(&header, &json!({"n": 1})).await.unwrap();
    let jws = Jws::parse(&token).unwrap();
    assert_eq!(jws.kid(), Some(signer.key_id().to_string().as_str()));
    assert_eq!((jws.algorithm(), signer.algorithm()), (Algorithm::Es256, Algorithm::Es256));
    assert_eq!(jws.header()["typ"], "JWT");
    jws.verify(&ring.current().unwrap().public).unwrap();
}

#[test]
fn rotation_keeps_the_old_key_for_a_time() {
    let mut ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    let first = ring.current().unwrap().id.clone();
    let second = ring.rotate(Algorithm::EdDsa, NOW + 5, NOW + 100).unwrap();
    assert_eq!(ring.current().unwrap().id, second);
    let old = KeyState::Retired { retired_at: NOW + 5, drop_after: NOW + 100 };
    assert_eq!(states(&ring), [old, KeyState::Current]);
    assert!(ring.keys()[0].private().is_none(), "what signs no more has no private half");
    assert!(ring.drop_expired(NOW + 99).is_empty());
    assert_eq!(ring.drop_expired(NOW + 100), [first]);
    assert_eq!(states(&ring), [KeyState::Current]);
    assert_eq!(ring.rotate(Algorithm::Rs256, NOW, NOW).unwrap_err().code(), "unsupported_algorithm");
    assert_eq!(ring.current().unwrap().id, second, "a failure changes nothing");
    for _ in 0..40 {
        ring.rotate(Algorithm::EdDsa, NOW, NOW).unwrap();
    }
    let error = (0..40).find_map(|_| ring.rotate(Algorithm::EdDsa, NOW, NOW + 10).err()).unwrap();
    assert_eq!(error.code(), "bad_key_store");
}

#[test]
fn a_revoked_key_is_gone_at_once() {
    let mut ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    let first = ring.current().unwrap().id.clone();
    assert_eq!(ring.revoke(&first, NOW).unwrap_err().code(), "key_in_use");
    assert_eq!(ring.revoke("key-0", NOW).unwrap_err().code(), "unknown_key");
    ring.rotate(Algorithm::Es256, NOW, NOW + 100).unwrap();
    ring.revoke(&first, NOW + 1).unwrap();
    ring.revoke(&first, NOW + 2).unwrap();
    assert_eq!(states(&ring), [KeyState::Revoked { revoked_at: NOW + 1 }, KeyState::Current]);
    assert_eq!(ring.drop_expired(NOW + 2), [first]);
}

#[test]
fn a_ring_is_whole_or_none() {
    let key = || PrivateKey::generate(Algorithm::Es256).unwrap();
    let code = |keys| KeyRing::from_keys(keys).unwrap_err().code();
    assert_eq!(code(vec![]), "bad_key_store");
    assert_eq!(code(vec![RingKey::current("a", NOW, key()), RingKey::current("b", NOW, key())]), "bad_key_store");
    assert_eq!(code(vec![RingKey::former("a", NOW, KeyState::Current, key().public().clone())]), "bad_key_store");
    let revoked = KeyState::Revoked { revoked_at: NOW };
    let former = |id: &str| RingKey::former(id, NOW, revoked, key().public().clone());
    for id in ["a", "", "../a", "a/b", "a#b", "a b", &"a".repeat(65)] {
        assert_eq!(code(vec![RingKey::current("a", NOW, key()), former(id)]), "bad_key_store", "{id}");
    }
    assert!(KeyRing::from_keys(vec![RingKey::current("a", NOW, key()), former("b")]).is_ok());
}

/// A key that signs in a secret store.
fn elsewhere(id: &str) -> (PrivateKey, RingKey) {
    let key = PrivateKey::generate(Algorithm::Es256).unwrap();
    let ring_key = RingKey::held_elsewhere(id, NOW, key.public().clone());
    (key, ring_key)
}

#[test]
fn a_key_may_be_held_elsewhere() {
    let (private, key) = elsewhere("hansa-v1");
    let mut ring = KeyRing::from_keys(vec![key]).unwrap();
    let current = ring.current().unwrap();
    assert!(current.is_held_elsewhere() && current.private().is_none());
    assert_eq!(ring.signer(&us()).unwrap_err().code(), "no_key", "others sign with it");
    // Whatever the caller says, `alg` and `kid` are those of the key.
    let method = current.method(&us()).unwrap();
    let header = json!({"typ": "JWT", "alg": "none", "kid": "did:web:other#k"});
    let input = signing_input(&method, Algorithm::Es256, &header, &json!({"n": 1}));
    let signature = URL_SAFE_NO_PAD.encode(private.sign(input.as_bytes()).unwrap());
    let token = format!("{input}.{signature}");
    let jws = Jws::parse(&token).unwrap();
    assert_eq!((jws.kid(), &jws.header()["typ"]), (Some("did:web:us.example#hansa-v1"), &json!("JWT")));
    jws.verify(&current.public).unwrap();

    assert_eq!(ring.rotate_to(elsewhere("hansa-v2").1, NOW + 5, NOW + 100).unwrap(), "hansa-v2");
    let retired = KeyState::Retired { retired_at: NOW + 5, drop_after: NOW + 100 };
    assert_eq!(states(&ring), [retired, KeyState::Current]);
    assert!(!ring.keys()[0].is_held_elsewhere(), "what signs no more is held nowhere");
    let error = ring.rotate_to(elsewhere("hansa-v1").1, NOW + 6, NOW + 100).unwrap_err();
    assert_eq!(error.code(), "bad_key_store", "a name is used once");
    assert_eq!(ring.current().unwrap().id, "hansa-v2");
}

#[test]
fn a_key_moves_to_a_secret_store_and_leaves_no_private_half() {
    let folder = Folder::new();
    let store = FileKeyStore::new(&folder.0);
    let mut ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    store.save(&ring).unwrap();
    ring.rotate_to(elsewhere("hansa-v1").1, NOW, NOW + 100).unwrap();
    store.save(&ring).unwrap();
    assert_eq!(folder.names(), ["keys.json"]);
    let loaded = store.load().unwrap().unwrap();
    assert_eq!(states(&loaded), states(&ring));
    assert!(loaded.current().unwrap().is_held_elsewhere());
    assert_eq!(loaded.current().unwrap().public, ring.current().unwrap().public);
}

/// A folder of its own for one test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("hansa-keys-{}", uuid::Uuid::new_v4())))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.0.join(name)).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_stored_ring_comes_back() {
    let folder = Folder::new();
    let files = FileKeyStore::new(&folder.0);
    let memory = MemoryKeyStore::default();
    for store in [&files as &dyn KeyStore, &memory] {
        assert!(store.load().unwrap().is_none());
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
            let mut ring = KeyRing::init(algorithm, NOW).unwrap();
            store.save(&ring).unwrap();
            ring.rotate(algorithm, NOW + 1, NOW + 100).unwrap();
            ring.rotate(algorithm, NOW + 2, NOW + 100).unwrap();
            ring.revoke(&ring.keys()[0].id.clone(), NOW + 3).unwrap();
            store.save(&ring).unwrap();
            let loaded = store.load().unwrap().unwrap();
            assert_eq!(states(&loaded), states(&ring));
            for (stored, known) in loaded.keys().iter().zip(ring.keys()) {
                assert_eq!((&stored.id, stored.created, &stored.public), (&known.id, known.created, &known.public));
                assert_eq!(stored.private().is_some(), known.private().is_some());
            }
        }
    }
}

#[test]
fn only_the_current_private_half_is_on_disk_and_only_for_us() {
    let folder = Folder::new();
    let store = FileKeyStore::new(&folder.0);
    let mut ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    store.save(&ring).unwrap();
    let current = ring.rotate(Algorithm::Es256, NOW, NOW + 100).unwrap();
    store.save(&ring).unwrap();
    assert_eq!(folder.names(), [format!("{current}.pem"), "keys.json".to_owned()]);
    assert_eq!(fs::metadata(&folder.0).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!((folder.mode("keys.json"), folder.mode(&format!("{current}.pem"))), (0o600, 0o600));
    let listed = fs::read_to_string(folder.0.join("keys.json")).unwrap();
    assert!(!listed.contains("\"d\"") && !listed.contains("PRIVATE"));
}

#[test]
fn files_that_others_can_use_are_refused() {
    let folder = Folder::new();
    let store = FileKeyStore::new(&folder.0);
    let ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    store.save(&ring).unwrap();
    let pem = format!("{}.pem", ring.current().unwrap().id);
    for (name, mode) in [(pem.as_str(), 0o660), (&pem, 0o604), ("keys.json", 0o620)] {
        folder.set_mode(name, mode);
        assert_eq!(store.load().unwrap_err().code(), "unsafe_key_file", "{name} {mode:o}");
        folder.set_mode(name, 0o600);
    }
    assert!(store.load().unwrap().is_some());
    folder.set_mode("", 0o770);
    assert_eq!(store.save(&ring).unwrap_err().code(), "unsafe_key_file");
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let folder = Folder::new();
    let store = FileKeyStore::new(&folder.0);
    let ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    store.save(&ring).unwrap();
    let pem = folder.0.join(format!("{}.pem", ring.current().unwrap().id));
    let right = fs::read_to_string(&pem).unwrap();
    let other = PrivateKey::generate(Algorithm::Es256).unwrap();
    for text in [secrecy::ExposeSecret::expose_secret(other.to_pem()), "", "-----BEGIN PRIVATE KEY-----"] {
        fs::write(&pem, text).unwrap();
        let error = store.load().unwrap_err();
        assert_eq!(error.code(), "bad_key_store");
        assert!(!error.to_string().contains("BEGIN"));
    }
    fs::write(&pem, right).unwrap();
    let index = folder.0.join("keys.json");
    let listed: serde_json::Value = serde_json::from_str(&fs::read_to_string(&index).unwrap()).unwrap();
    for (member, value) in [
        ("id", json!("../x")),
        ("id", json!(null)),
        ("created", json!("now")),
        ("state", json!("unknown")),
        ("state", json!("retired")),
        ("public_key_jwk", json!({})),
    ] {
        let mut changed = listed.clone();
        changed["keys"][0][member] = value;
        fs::write(&index, changed.to_string()).unwrap();
        assert_eq!(store.load().unwrap_err().code(), "bad_key_store", "{changed}");
    }
    for text in ["", "[]", "{\"keys\":{}}", "{\"keys\":[]}"] {
        fs::write(&index, text).unwrap();
        assert_eq!(store.load().unwrap_err().code(), "bad_key_store", "{text}");
    }
    fs::write(&index, " ".repeat(300 * 1024)).unwrap();
    assert_eq!(store.load().unwrap_err().code(), "bad_key_store");
    fs::write(&index, listed.to_string()).unwrap();
    fs::remove_file(&pem).unwrap();
    assert_eq!(store.load().unwrap_err().code(), "bad_key_store");
}

#[tokio::test]
async fn a_signer_can_be_exchanged() {
    let mut ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    let signer = SwitchableSigner::new(Arc::new(ring.signer(&us()).unwrap()));
    let first = signer.key_id();
    ring.rotate(Algorithm::EdDsa, NOW, NOW + 100).unwrap();
    signer.replace(Arc::new(ring.signer(&us()).unwrap()));
    assert_ne!(signer.key_id(), first);
    assert_eq!(signer.algorithm(), Algorithm::EdDsa);
    let token = signer.sign_compact(&json!({}), &json!({})).await.unwrap();
    Jws::parse(&token).unwrap().verify(&ring.current().unwrap().public).unwrap();
}

#[test]
fn nothing_of_a_key_is_shown() {
    let ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    let pem = ring.current().unwrap().private().unwrap().to_pem().clone();
    let body: String = secrecy::ExposeSecret::expose_secret(&pem).lines().nth(1).unwrap().to_owned();
    let shown = format!("{ring:?} {:?} {:?}", ring.signer(&us()).unwrap(), MemoryKeyStore::default());
    assert!(!shown.contains(&body) && !shown.contains("PRIVATE"));
}
