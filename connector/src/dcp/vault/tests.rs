//! Keys in a transit engine, from the first start to the last revocation, and what goes wrong on the way.

use std::sync::atomic::Ordering;

use identity::keys::KeyState;

use super::super::KeyHome;
use super::engine::{NOW, Server, TOKEN, TransitKey, us};
use super::*;

#[tokio::test]
async fn a_key_is_made_signs_is_rotated_and_revoked() {
    let server = Server::start().await;
    let keys = server.open().await.unwrap();
    assert_eq!(server.with(|engine| engine.keys["hansa"].kind), "ecdsa-p256");
    assert_eq!(keys.sign().await, "did:web:us.example#hansa-v1");
    assert_eq!(keys.keys.ring().keys()[0].created, 1_795_255_200, "the time that the engine says");
    assert_eq!(server.files(), ["keys.json"], "no private half is here");

    let keys = server.open().await.unwrap();
    assert_eq!(keys.sign().await, "did:web:us.example#hansa-v1", "the same after a restart");

    assert_eq!(keys.keys.rotate(Algorithm::Es256, NOW + 100).await.unwrap(), "hansa-v2");
    assert_eq!(keys.sign().await, "did:web:us.example#hansa-v2");
    assert_eq!(keys.listed("assertionMethod"), ["hansa-v1", "hansa-v2"], "what v1 signed is still valid");
    assert_eq!(keys.listed("authentication"), ["hansa-v2"]);
    assert_eq!(server.with(|engine| engine.keys["hansa"].least), 2, "and v1 signs no more");

    keys.clock.0.store(NOW + 100, Ordering::Relaxed);
    assert_eq!(keys.listed("assertionMethod"), ["hansa-v2"], "until its time is over");
    keys.clock.0.store(NOW + 1, Ordering::Relaxed);

    // Revoking needs no secret store.
    server.with(|engine| engine.is_sealed = true);
    assert_eq!(keys.keys.revoke("hansa-v2").await.unwrap_err().code(), "key_in_use");
    assert_eq!(keys.keys.revoke("hansa-v9").await.unwrap_err().code(), "unknown_key");
    keys.keys.revoke("hansa-v1").await.unwrap();
    assert_eq!(keys.listed("assertionMethod"), ["hansa-v2"]);
    server.with(|engine| engine.is_sealed = false);

    let keys = server.open().await.unwrap();
    assert_eq!(keys.keys.ring().keys()[0].state, KeyState::Revoked { revoked_at: NOW + 1 });
    keys.keys.rotate(Algorithm::Es256, NOW + 100).await.unwrap();
    let ids: Vec<String> = keys.keys.ring().keys().iter().map(|key| key.id.clone()).collect();
    assert_eq!(ids, ["hansa-v2", "hansa-v3"], "the revoked one is dropped");
    assert_eq!(server.files(), ["keys.json"]);
}

#[tokio::test]
async fn a_key_that_an_administrator_made_is_taken() {
    for (kind, algorithm) in
        [("ecdsa-p256", Algorithm::Es256), ("ecdsa-p384", Algorithm::Es384), ("ed25519", Algorithm::EdDsa)]
    {
        for as_asn1 in [false, true] {
            let server = Server::start().await;
            server.with(|engine| {
                let mut key = TransitKey::new(kind);
                key.rotate();
                engine.keys.insert("hansa".to_owned(), key);
                engine.ed25519_as_asn1 = as_asn1;
            });
            let keys = server.open().await.unwrap();
            assert_eq!(
                (keys.sign().await.as_str(), keys.keys.signer().algorithm()),
                ("did:web:us.example#hansa-v2", algorithm)
            );
            assert!(server.with(|engine| engine.asked.iter().all(|asked| asked != "POST /v1/transit/keys/hansa")));
            keys.keys.rotate(algorithm, NOW + 100).await.unwrap();
            assert_eq!(keys.sign().await, "did:web:us.example#hansa-v3");
        }
    }
}

#[tokio::test]
async fn versions_that_others_make_wait_for_a_rotation() {
    let server = Server::start().await;
    let keys = server.open().await.unwrap();
    server.with(|engine| engine.keys.get_mut("hansa").unwrap().rotate());
    assert_eq!(keys.sign().await, "did:web:us.example#hansa-v1");
    assert_eq!(server.open().await.unwrap().sign().await, "did:web:us.example#hansa-v1");
    // Without the right to configure the former version could still sign, and that is only logged.
    server.with(|engine| engine.may_configure = false);
    assert_eq!(keys.keys.rotate(Algorithm::Es256, NOW + 100).await.unwrap(), "hansa-v3");
    assert_eq!(keys.sign().await, "did:web:us.example#hansa-v3");
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_or_is_sealed_is_told() {
    let server = Server::start().await;
    server.with(|engine| engine.is_sealed = true);
    let sealed = server.open().await.err().unwrap();
    assert!(sealed.contains("503") && sealed.contains("sealed"), "{sealed}");
    assert!(!server.keys_dir().exists(), "nothing was begun");
    server.with(|engine| engine.is_sealed = false);
    let keys = server.open().await.unwrap();
    keys.sign().await;

    server.handle.stop(false).await;
    let failed = keys.keys.signer().sign_compact(&json!({}), &json!({})).await.unwrap_err();
    assert_eq!(failed.code(), "cannot_sign");
    assert!(!failed.to_string().contains("127.0.0.1"), "partners are not told where it is: {failed}");
    let failed = keys.keys.rotate(Algorithm::Es256, NOW + 100).await.unwrap_err();
    assert_eq!(failed.code(), "key_store_unavailable");
    assert_eq!(keys.keys.ring().current().unwrap().id, "hansa-v1", "nothing has changed");
    let refused = server.open().await.err().unwrap();
    assert!(refused.contains("`identity.vault_url` cannot be reached: Connection refused"), "{refused}");
}

#[tokio::test]
async fn a_start_without_the_secret_store_is_refused() {
    let server = Server::start().await;
    server.handle.stop(false).await;
    let config = server.config("did = \"did:web:us.example\"");
    let database = format!("sqlite://{}", server.folder.path().join("hansa.db").display());
    let (store, _) = crate::store::Store::open(&database, "test").await.unwrap();
    let refused = super::super::DcpServices::open(&config, us(), "https://us.example", &store).await.err().unwrap();
    assert!(refused.contains("cannot be reached"), "{refused}");
}

#[tokio::test]
async fn a_wrong_token_is_told_and_a_renewed_one_is_read() {
    let server = Server::start().await;
    server.with(|engine| engine.token = "hvs.another".to_owned());
    let refused = server.open().await.err().unwrap();
    assert!(refused.contains("refuses our token") && refused.contains("permission denied"), "{refused}");
    assert!(!refused.contains(TOKEN), "{refused}");
    server.with(|engine| engine.token = TOKEN.to_owned());
    let keys = server.open().await.unwrap();

    server.with(|engine| engine.token = "hvs.renewed".to_owned());
    let failed = keys.keys.signer().sign_compact(&json!({}), &json!({})).await.unwrap_err();
    assert_eq!(failed.code(), "cannot_sign");
    assert_eq!(keys.keys.rotate(Algorithm::Es256, NOW).await.unwrap_err().code(), "key_store_refused");
    for unusable in ["", "two words", TOKEN] {
        std::fs::write(server.folder.path().join("token"), unusable).unwrap();
        assert!(keys.keys.signer().sign_compact(&json!({}), &json!({})).await.is_err(), "{unusable}");
    }
    std::fs::write(server.folder.path().join("token"), "hvs.renewed\n").unwrap();
    assert_eq!(keys.sign().await, "did:web:us.example#hansa-v1");
}

#[tokio::test]
async fn a_key_goes_over_from_the_folder_by_a_rotation() {
    let server = Server::start().await;
    let keys = server.open_at(KeyHome::Folder).await.unwrap();
    let old = keys.keys.ring().current().unwrap().id.clone();
    let keys = server.open().await.unwrap();
    assert_eq!(keys.sign().await, format!("did:web:us.example#{old}"), "until then it signs");
    assert!(server.with(|engine| engine.asked.is_empty()), "and nobody is asked");
    assert_eq!(server.files().len(), 2);

    assert_eq!(keys.keys.rotate(Algorithm::Es256, NOW + 100).await.unwrap(), "hansa-v1");
    assert_eq!(keys.sign().await, "did:web:us.example#hansa-v1");
    assert_eq!(keys.listed("assertionMethod"), [old.as_str(), "hansa-v1"]);
    assert_eq!(server.files(), ["keys.json"], "the private half in the folder is gone");

    let refused = server.open_at(KeyHome::Folder).await.err().unwrap();
    assert!(refused.contains("`hansa-v1` is in a secret store") && refused.contains("vault_url"), "{refused}");
}

#[tokio::test]
async fn another_transit_key_is_taken_at_the_next_rotation() {
    let server = Server::start().await;
    server.open().await.unwrap();
    let next = |key: &str| {
        server.config("").identity.vault.clone().map(|vault| VaultSettings { key: key.to_owned(), ..vault })
    };
    let mut config = server.config("");
    config.identity.vault = next("hansa-384");
    let keys = server.open_at(KeyHome::of(&config).unwrap()).await.unwrap();
    assert_eq!(keys.sign().await, "did:web:us.example#hansa-v1");
    assert_eq!(keys.keys.rotate(Algorithm::Es384, NOW + 100).await.unwrap(), "hansa-384-v1");
    assert_eq!(keys.sign().await, "did:web:us.example#hansa-384-v1");
    let refused = keys.keys.rotate(Algorithm::EdDsa, NOW + 100).await.unwrap_err();
    assert_eq!(refused.code(), "unsupported_algorithm");
    assert!(refused.to_string().contains("one for ES384"), "{refused}");
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_refused() {
    let server = Server::start().await;
    server.with(|engine| engine.keys.insert("hansa".to_owned(), TransitKey::new("aes256-gcm96")));
    let symmetric = server.open().await.err().unwrap();
    assert!(symmetric.contains("`hansa` is not ecdsa-p256, ecdsa-p384 or ed25519"), "{symmetric}");
    let elsewhere = KeyHome::of(&server.config("vault_mount = \"team/elsewhere\"")).unwrap();
    let unmounted = server.open_at(elsewhere).await.err().unwrap();
    assert!(unmounted.contains("identity.vault_mount") && unmounted.contains("no handler"), "{unmounted}");

    // The same name, but a key that somebody made anew.
    server.with(|engine| engine.keys.insert("hansa".to_owned(), TransitKey::new("ecdsa-p256")));
    server.open().await.unwrap();
    for kind in ["ecdsa-p256", "ed25519"] {
        server.with(|engine| engine.keys.insert("hansa".to_owned(), TransitKey::new(kind)));
        let other = server.open().await.err().unwrap();
        assert!(other.contains("is another one in the secret store"), "{other}");
    }
    server.with(|engine| engine.keys.clear());
    let gone = server.open().await.err().unwrap();
    assert!(gone.contains("signing key not found"), "{gone}");
}

#[tokio::test]
async fn what_is_no_vault_is_told() {
    let server = Server::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        for answer in ["302 Found\r\nLocation: http://127.0.0.1:1/", "200 OK\r\nContent-Type: text/html", "500 Oh"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _read = stream.read(&mut [0; 4096]).await.unwrap();
            let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 3\r\nConnection: close\r\n\r\n<p>");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    let mut config = server.config("");
    config.identity.vault.as_mut().unwrap().url = url.parse().unwrap();
    for _ in 0..3 {
        let refused = server.open_at(KeyHome::of(&config).unwrap()).await.err().unwrap();
        assert!(refused.contains("is not understood"), "{refused}");
    }
    assert!(!server.keys_dir().exists());
}

#[test]
fn names_of_versions_are_names_of_keys() {
    assert_eq!(version_of("hansa-v12"), Some(("hansa", 12)));
    assert_eq!(version_of("a-v1-v2"), Some(("a-v1", 2)));
    for other in ["hansa", "hansa-v", "hansa-vx", "key-abc"] {
        assert_eq!(version_of(other), None, "{other}");
    }
}
