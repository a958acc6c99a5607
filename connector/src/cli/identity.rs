//! `hansa identity`: our DID and its keys.

use std::path::Path;

use identity::did::{Did, document_url, own_document};
use identity::jose::Algorithm;
use identity::keys::{FileKeyStore, KeyError, KeyRing, KeyStore as _, RingKey};
use identity::{Clock as _, SystemClock};
use serde_json::{Map, Value, json};
use url::Url;

use super::arguments::{ExportIdentity, IdentityCommand, InitIdentity, RotateKey};
use super::client::{Client, text};
use super::failure::{Failure, Outcome};
use super::show::{self, Printer};
use crate::config::{Config, DEFAULT_FILE};
use crate::dcp::KeyHome;

const PATH: &str = "identity";

/// `hansa identity …` with a running control plane.
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn run(client: &Client, print: Printer, command: IdentityCommand) -> Outcome {
    match command {
        IdentityCommand::Init(_) => Ok(()),
        IdentityCommand::Show => {
            let mut identity = client.get(&[PATH]).await?;
            if !print.json {
                shorten(&mut identity);
            }
            print.item(&identity)
        }
        IdentityCommand::Rotate(options) => {
            let identity = client.post(&[PATH, "rotate"], &Value::from(rotation(&options))).await?;
            print.done(&rotated(&identity), &identity)
        }
        IdentityCommand::Revoke(what) => {
            let identity = client.post(&[PATH, "keys", &what.id, "revoke"], &json!({})).await?;
            print.done(&format!("key {} is given up; everything that it signed is invalid", what.id), &identity)
        }
        IdentityCommand::Export(options) => export(&client.get(&[PATH]).await?, &options),
    }
}

fn rotation(options: &RotateKey) -> Map<String, Value> {
    let mut body = Map::new();
    let texts = [("algorithm", &options.algorithm), ("keepUntil", &options.keep_until)];
    body.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text.as_deref()?)))));
    body.extend(options.keep_days.map(|days| ("keepDays".to_owned(), Value::from(days))));
    body
}

/// The first two keys are the new one and the one before.
fn rotated(identity: &Value) -> String {
    let keys = identity.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match keys {
        [new, before, ..] => format!(
            "key {} ({}) signs from now on; {} verifies what it signed until {}",
            text(new, "id"),
            text(new, "algorithm"),
            text(before, "id"),
            text(before, "keptUntil")
        ),
        _ => "there is a new key".to_owned(),
    }
}

/// What people read at a glance: without the document and the keys themselves.
fn shorten(identity: &mut Value) {
    let Some(members) = identity.as_object_mut() else { return };
    members.shift_remove("document");
    let keys = members.get_mut("keys").and_then(Value::as_array_mut);
    for key in keys.into_iter().flatten().filter_map(Value::as_object_mut) {
        key.shift_remove("publicKeyJwk");
        key.shift_remove("method");
    }
}

fn export(identity: &Value, options: &ExportIdentity) -> Outcome {
    let exported = if options.keys { key_set(identity) } else { identity.get("document").cloned().unwrap_or_default() };
    let shown = format!("{exported:#}\n");
    match &options.output {
        None => show::text(&shown),
        Some(path) => std::fs::write(path, shown)
            .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display()))),
    }
}

/// The published keys as a JWK set (RFC 7517, 5).
fn key_set(identity: &Value) -> Value {
    let keys = identity.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let published = keys.iter().filter(|key| key.get("published").and_then(Value::as_bool) == Some(true));
    let keys: Vec<Value> = published
        .map(|key| {
            let mut jwk = key.get("publicKeyJwk").and_then(Value::as_object).cloned().unwrap_or_default();
            jwk.insert("kid".to_owned(), Value::from(text(key, "method")));
            jwk.insert("alg".to_owned(), Value::from(text(key, "algorithm")));
            jwk.insert("use".to_owned(), Value::from("sig"));
            Value::from(jwk)
        })
        .collect();
    json!({"keys": keys})
}

/// `hansa identity init`: the first key, in the folder or the secret store that the configuration names.
///
/// # Errors
/// Status 64 for a configuration that cannot be used; when there are keys already, the folder cannot be written, or the secret
/// store does not sign.
pub(super) fn init(options: &InitIdentity, print: Printer) -> Outcome {
    let file = options.config.config.as_deref();
    let config = Config::load(file).map_err(|error| Failure::configuration(error.to_string()))?;
    let did = did(options, &config)?;
    let url = document_url(&did, config.identity.danger_allow_http).map_err(|error| Failure::new(error.to_string()))?;
    let algorithm: Algorithm =
        options.algorithm.parse().map_err(|error: identity::jose::JoseError| Failure::new(error.to_string()))?;
    let folder = &config.identity.keys_dir;
    let store = FileKeyStore::new(folder);
    let failed = |error: KeyError| Failure::new(error.to_string());
    if store.load().map_err(failed)?.is_some() {
        return Err(Failure::new(format!(
            "there are keys in `{}` already, and nothing was changed; `hansa identity rotate` makes a new one",
            folder.display()
        )));
    }
    let now = SystemClock.now();
    let ring = first_ring(&config, &did, algorithm, now)?;
    let document = own_document(&did, &ring, &crate::dcp::services(&config, &root(&config)), now).map_err(failed)?;
    store.save(&ring).map_err(failed)?;
    let key = ring.current().map_err(failed)?;
    if print.json {
        return print.value(&json!({
            "did": did.as_str(),
            "documentUrl": url.as_str(),
            "key": key.id,
            "algorithm": crate::dcp::operate::algorithm(key),
            "keysDir": folder.display().to_string(),
            "document": document,
        }));
    }
    let advice = advice(&config, file.unwrap_or(Path::new(DEFAULT_FILE)), &did, &url);
    show::text(&format!("{}\n{advice}\n{document:#}\n", whereabouts(key, folder)))
}

/// A ring with its first key, which can sign.
fn first_ring(config: &Config, did: &Did, algorithm: Algorithm, now: i64) -> Outcome<KeyRing> {
    let failed = |error: KeyError| Failure::new(error.to_string());
    let home = KeyHome::of(config).map_err(Failure::new)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let ring = KeyRing::from_keys(vec![home.first(algorithm, now).await.map_err(failed)?]).map_err(failed)?;
        home.signer(&ring, did).await.map_err(failed)?;
        Ok(ring)
    })
}

fn whereabouts(key: &RingKey, folder: &Path) -> String {
    let (id, algorithm, folder) = (&key.id, crate::dcp::operate::algorithm(key), folder.display());
    if key.is_held_elsewhere() {
        format!("The key {id} ({algorithm}) stays in the secret store; {folder} lists it.")
    } else {
        format!("The key {id} ({algorithm}) is in {folder}; only you can read it.")
    }
}

fn did(options: &InitIdentity, config: &Config) -> Outcome<Did> {
    let did = match (&options.did, &config.identity.did) {
        (None, Some(did)) => did.clone(),
        (None, None) => {
            return Err(Failure::new(
                "which DID is ours? Give it with --did, such as did:web:city.example, or set `identity.did`",
            ));
        }
        (Some(given), known) => {
            let given: Did = given.parse().map_err(|error: identity::did::DidError| Failure::new(error.to_string()))?;
            if let Some(known) = known.as_ref().filter(|known| **known != given) {
                return Err(Failure::new(format!("the configuration says that our DID is `{known}`")));
            }
            given
        }
    };
    if did.method() == "web" {
        return Ok(did);
    }
    Err(Failure::new(format!("`{did}` is not a did:web, whose document this installation could serve")))
}

/// The root of the listener for partners, as they see it.
fn root(config: &Config) -> String {
    let scheme = if config.dsp.tls.is_some() { "https" } else { "http" };
    config.dsp.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", config.dsp.listen))
}

fn advice(config: &Config, file: &Path, did: &Did, url: &Url) -> String {
    let mut text = String::new();
    if config.identity.did.is_none() {
        text.push_str(&format!("\nInto {}:\n\n    [identity]\n    did = \"{did}\"\n", file.display()));
        if let Some(id) = config.participant_id.as_deref().filter(|id| *id != did.as_str()) {
            text.push_str(&format!(
                "\nand take `participant_id` (`{id}`) out: with a DID, the DID is the participant id.\n"
            ));
        }
    }
    if config.dsp.public_url.is_none() {
        text.push_str("\nThe addresses below are those where the listener `dsp` binds; set `dsp.public_url` if partners see others.\n");
    }
    let root = Url::parse(&root(config)).ok();
    let is_ours = root.is_some_and(|root| root.origin() == url.origin());
    let by_whom = if is_ours {
        "`hansa serve` serves it there"
    } else {
        "pass that address on to the listener `dsp`, which serves it under the same path, or serve it by a web server"
    };
    text.push_str(&format!("\nThis is the DID document; partners look for it at {url}: {by_whom}.\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::super::arguments::ConfigFile;
    use super::*;

    fn options(folder: &Path, settings: &str, did: Option<&str>) -> InitIdentity {
        let file = folder.join("hansa.toml");
        std::fs::write(&file, format!("data_dir = {:?}\n{settings}", folder.join("data"))).unwrap();
        InitIdentity {
            config: ConfigFile { config: Some(file) },
            did: did.map(str::to_owned),
            algorithm: "ES384".to_owned(),
        }
    }

    #[test]
    fn the_first_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path(), "", Some("did:web:city.example"));
        let print = Printer { json: false };
        init(&options, print).unwrap();
        let store = FileKeyStore::new(folder.path().join("data/keys"));
        let ring = store.load().unwrap().unwrap();
        assert_eq!(ring.current().unwrap().public.jwk()["crv"], "P-384");
        let again = init(&options, print).unwrap_err().to_string();
        assert!(again.contains("already") && again.contains("hansa identity rotate"), "{again}");
        assert_eq!(store.load().unwrap().unwrap().current().unwrap().id, ring.current().unwrap().id);
    }

    #[cfg(feature = "vault")]
    #[test]
    fn a_secret_store_that_does_not_sign_gets_no_list_of_keys() {
        let folder = tempfile::tempdir().unwrap();
        let settings = "[identity]\nvault_url = \"http://127.0.0.1:1\"\nvault_token = \"t\"\nvault_key = \"hansa\"\n";
        let options = options(folder.path(), settings, Some("did:web:city.example"));
        let failure = init(&options, Printer { json: false }).unwrap_err().to_string();
        assert!(failure.contains("cannot be reached"), "{failure}");
        assert!(!folder.path().join("data/keys").exists(), "nothing was made");
    }

    #[test]
    fn only_a_did_that_can_be_ours_gets_keys() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |settings: &str, did: Option<&str>| {
            init(&options(folder.path(), settings, did), Printer { json: true }).unwrap_err()
        };
        for (did, said) in [
            (None, "--did"),
            (Some("city.example"), "not a DID"),
            (Some("did:key:z6MkhaXgBZD"), "not a did:web"),
            (Some("did:web:a%2Fb"), "does not name a host"),
        ] {
            let failure = refusal("", did).to_string();
            assert!(failure.contains(said), "{did:?}: {failure}");
        }
        let other = refusal("[identity]\ndid = \"did:web:a.example\"\n", Some("did:web:b.example")).to_string();
        assert!(other.contains("did:web:a.example"), "{other}");
        assert_eq!(refusal("nonsense = 1\n", Some("did:web:a.example")).status(), 64);
        assert!(!folder.path().join("data/keys").exists(), "nothing was made");
    }

    #[test]
    fn the_advice_says_what_is_left_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let advice = |settings: &str| {
            let options = options(folder.path(), settings, None);
            let config = Config::load(options.config.config.as_deref()).unwrap();
            let did: Did = "did:web:city.example".parse().unwrap();
            let url = document_url(&did, false).unwrap();
            super::advice(&config, Path::new("hansa.toml"), &did, &url)
        };
        let new = advice("participant_id = \"urn:x\"\n");
        for part in
            ["did = \"did:web:city.example\"", "take `participant_id` (`urn:x`) out", "dsp.public_url", "pass that"]
        {
            assert!(new.contains(part), "{part}: {new}");
        }
        let done = advice("[dsp]\npublic_url = \"https://city.example\"\n[identity]\ndid = \"did:web:city.example\"\n");
        assert!(done.contains("`hansa serve` serves it there") && !done.contains("[identity]"), "{done}");
    }

    #[test]
    fn only_published_public_keys_are_exported() {
        let identity = json!({"keys": [
            {"id": "a", "method": "did:web:x#a", "algorithm": "ES256", "published": true, "publicKeyJwk": {"kty": "EC"}},
            {"id": "b", "method": "did:web:x#b", "algorithm": "ES256", "published": false, "publicKeyJwk": {"kty": "EC"}}
        ]});
        assert_eq!(
            key_set(&identity),
            json!({"keys": [{"kty": "EC", "kid": "did:web:x#a", "alg": "ES256", "use": "sig"}]})
        );
    }
}
