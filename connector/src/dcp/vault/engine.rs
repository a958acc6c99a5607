//! A transit engine for tests: it signs with real keys and answers as Vault does.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::http::KeepAlive;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use identity::Clock;
use identity::jose::PrivateKey;
use identity::keys::FileKeyStore;
use tempfile::TempDir;

use super::super::{KeyHome, OwnKeys};
use super::*;
use crate::config::Config;

pub(super) const TOKEN: &str = "hvs.right";
pub(super) const NOW: i64 = 1_800_000_000;

/// One transit key: its type, its versions from 1 on, and the least version that signs.
pub(super) struct TransitKey {
    pub(super) kind: &'static str,
    versions: Vec<PrivateKey>,
    pub(super) least: u64,
}

impl TransitKey {
    pub(super) fn new(kind: &'static str) -> Self {
        let mut key = Self { kind, versions: Vec::new(), least: 0 };
        key.rotate();
        key
    }

    pub(super) fn rotate(&mut self) {
        let algorithm = match self.kind {
            "ecdsa-p384" => Algorithm::Es384,
            "ed25519" => Algorithm::EdDsa,
            _ => Algorithm::Es256,
        };
        self.versions.push(PrivateKey::generate(algorithm).unwrap());
    }

    fn public(&self, key: &PrivateKey) -> String {
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key.public().jwk()[name].as_str().unwrap()).unwrap();
        let info = match self.kind {
            "ed25519" => return STANDARD.encode(coordinate("x")),
            "ecdsa-p384" => "3076301006072a8648ce3d020106052b81040022036200",
            _ => "3059301306072a8648ce3d020106082a8648ce3d030107034200",
        };
        let der = [hex::decode(info).unwrap(), vec![4], coordinate("x"), coordinate("y")].concat();
        let lines: Vec<String> =
            STANDARD.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    fn info(&self, name: &str) -> Value {
        let is_symmetric = self.kind.starts_with("aes");
        let entry = |key: &PrivateKey| match is_symmetric {
            true => json!(1_700_000_000),
            false => json!({
                "certificate_chain": "", "hybrid_public_key": "", "name": self.kind,
                "creation_time": "2026-11-21T10:00:00.123456789Z", "public_key": self.public(key),
            }),
        };
        let keys: serde_json::Map<String, Value> =
            self.versions.iter().enumerate().map(|(at, key)| ((at + 1).to_string(), entry(key))).collect();
        json!({
            "allow_plaintext_backup": false, "auto_rotate_period": 0, "deletion_allowed": false, "derived": false,
            "exportable": false, "imported_key": false, "keys": keys, "latest_version": self.versions.len(),
            "min_available_version": 0, "min_decryption_version": 1, "min_encryption_version": self.least, "name": name,
            "supports_decryption": is_symmetric, "supports_derivation": true, "supports_encryption": is_symmetric,
            "supports_signing": !is_symmetric, "type": self.kind,
        })
    }

    fn sign(&self, body: &Value) -> Result<Value, &'static str> {
        let version = body["key_version"].as_u64().unwrap_or(0);
        let version = if version == 0 { self.versions.len() as u64 } else { version };
        if version < self.least {
            return Err("requested version for signing is less than the minimum encryption key version");
        }
        let key = self.versions.get(version as usize - 1).ok_or("no such version")?;
        let message =
            STANDARD.decode(body["input"].as_str().unwrap()).map_err(|_| "unable to decode input as base64")?;
        let hash = body["hash_algorithm"].as_str().unwrap_or("sha2-256");
        let is_jws = body["marshaling_algorithm"] == "jws";
        let signature = match (self.kind, hash) {
            ("ed25519", _) | ("ecdsa-p256", "sha2-256") | ("ecdsa-p384", "sha2-384") => key.sign(&message).unwrap(),
            ("ecdsa-p256" | "ecdsa-p384", _) => key.sign(b"of another hash").unwrap(),
            _ => return Err("key type does not support signing"),
        };
        let encoded = match is_jws {
            true => URL_SAFE_NO_PAD.encode(signature),
            // Of ECDSA that would be ASN.1.
            false if self.kind == "ed25519" => STANDARD.encode(signature),
            false => STANDARD.encode([b"0D\x02".as_slice(), &signature].concat()),
        };
        Ok(json!({"key_version": version, "signature": format!("vault:v{version}:{encoded}")}))
    }
}

/// What the server has and does.
pub(super) struct Engine {
    pub(super) keys: BTreeMap<String, TransitKey>,
    pub(super) token: String,
    pub(super) is_sealed: bool,
    /// Ed25519 is answered in the usual base64 even when that of JWS is asked for.
    pub(super) ed25519_as_asn1: bool,
    pub(super) may_configure: bool,
    pub(super) asked: Vec<String>,
}

pub(super) struct Server {
    url: String,
    engine: Arc<Mutex<Engine>>,
    pub(super) handle: actix_web::dev::ServerHandle,
    pub(super) folder: TempDir,
}

impl Server {
    pub(super) async fn start() -> Self {
        let engine = Arc::new(Mutex::new(Engine {
            keys: BTreeMap::new(),
            token: TOKEN.to_owned(),
            is_sealed: false,
            ed25519_as_asn1: false,
            may_configure: true,
            asked: Vec::new(),
        }));
        let shared = engine.clone();
        let server =
            HttpServer::new(move || App::new().app_data(Data::new(shared.clone())).default_service(web::to(answer)));
        let server =
            server.workers(1).keep_alive(KeepAlive::Disabled).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, engine, handle, folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Engine) -> T) -> T {
        change(&mut self.engine.lock().unwrap())
    }

    pub(super) fn config(&self, settings: &str) -> Config {
        let file = self.folder.path().join("hansa.toml");
        let token = self.folder.path().join("token");
        if !token.exists() {
            std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
        }
        let text = format!(
            "data_dir = {:?}\n[identity]\nvault_url = {:?}\nvault_token_file = {token:?}\nvault_key = \"hansa\"\n{settings}",
            self.folder.path().join("data"),
            self.url
        );
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file)).unwrap()
    }

    pub(super) async fn open(&self) -> Result<Keys, String> {
        self.open_at(KeyHome::of(&self.config("")).unwrap()).await
    }

    pub(super) async fn open_at(&self, home: KeyHome) -> Result<Keys, String> {
        let clock = Arc::new(At(AtomicI64::new(NOW)));
        let keys = OwnKeys::open(us(), Vec::new(), FileKeyStore::new(self.keys_dir()), home, clock.clone()).await?;
        Ok(Keys { keys, clock })
    }

    pub(super) fn keys_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data/keys")
    }

    pub(super) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.keys_dir()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

async fn answer(request: HttpRequest, body: Bytes, engine: Data<Arc<Mutex<Engine>>>) -> HttpResponse {
    let mut engine = engine.lock().unwrap();
    let said =
        |code: u16, errors: &[&str]| HttpResponse::build(code.try_into().unwrap()).json(json!({"errors": errors}));
    engine.asked.push(format!("{} {}", request.method(), request.path()));
    if engine.is_sealed {
        return said(503, &["Vault is sealed"]);
    }
    if request.headers().get("X-Vault-Token").is_none_or(|token| token.to_str().unwrap() != engine.token) {
        return said(403, &["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]);
    }
    let done = |data: Value| {
        HttpResponse::Ok().json(json!({
            "request_id": "8e8a0b5c", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data,
            "wrap_info": null, "warnings": null, "auth": null, "mount_type": "transit",
        }))
    };
    let Some(path) = request.path().strip_prefix("/v1/transit/") else {
        return said(404, &["no handler for route \"elsewhere/keys/hansa\". route entry not found."]);
    };
    let body: Value = if body.is_empty() { json!({}) } else { serde_json::from_slice(&body).unwrap() };
    assert!(body.as_object().unwrap().values().all(|value| !value.is_null()), "what is null may be taken for a wish");
    let parts: Vec<&str> = path.split('/').collect();
    let as_asn1 = engine.ed25519_as_asn1;
    let may_configure = engine.may_configure;
    match (request.method().as_str(), parts.as_slice()) {
        ("GET", ["keys", name]) => match engine.keys.get(*name) {
            Some(key) => done(key.info(name)),
            None => said(404, &[]),
        },
        ("POST", ["keys", name]) => {
            let kind = body["type"].as_str().unwrap_or("aes256-gcm96");
            let kind = ["ecdsa-p256", "ecdsa-p384", "ed25519"].into_iter().find(|known| *known == kind).unwrap();
            let key = engine.keys.entry((*name).to_owned()).or_insert_with(|| TransitKey::new(kind));
            done(key.info(name))
        }
        ("POST", ["keys", name, "rotate"]) => match engine.keys.get_mut(*name) {
            Some(key) => {
                key.rotate();
                done(key.info(name))
            }
            None => said(400, &["no existing key could be found"]),
        },
        ("POST", ["keys", _, "config"]) if !may_configure => {
            said(403, &["1 error occurred:\n\t* permission denied\n\n"])
        }
        ("POST", ["keys", name, "config"]) => {
            assert_eq!(body.as_object().unwrap().len(), 1, "nothing else is configured: {body}");
            let key = engine.keys.get_mut(*name).unwrap();
            key.least = body["min_encryption_version"].as_u64().unwrap();
            HttpResponse::NoContent().finish()
        }
        ("POST", ["sign", name]) => match engine.keys.get(*name) {
            Some(key) => {
                let mut body = body;
                if as_asn1 && key.kind == "ed25519" {
                    body["marshaling_algorithm"] = json!("asn1");
                }
                key.sign(&body).map_or_else(|text| said(400, &[text]), done)
            }
            None => said(400, &["signing key not found"]),
        },
        _ => said(405, &["unsupported operation"]),
    }
}

pub(super) struct At(pub(super) AtomicI64);

impl Clock for At {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) struct Keys {
    pub(super) keys: OwnKeys,
    pub(super) clock: Arc<At>,
}

impl Keys {
    /// Signs, and checks the signature by the document that partners read; answers the method.
    pub(super) async fn sign(&self) -> String {
        let signer = self.keys.signer();
        let header = json!({"typ": "JWT", "alg": "none", "kid": "did:web:other#k"});
        let token = signer.sign_compact(&header, &json!({"n": 1})).await.unwrap();
        let jws = Jws::parse(&token).unwrap();
        assert_eq!((jws.algorithm(), &jws.header()["typ"]), (signer.algorithm(), &json!("JWT")));
        let kid = jws.kid().unwrap().to_owned();
        assert_eq!(kid, signer.key_id().to_string());
        let document = self.keys.document().unwrap();
        let methods = document["verificationMethod"].as_array().unwrap();
        let method = methods.iter().find(|method| method["id"] == kid.as_str()).unwrap();
        jws.verify(&PublicKey::from_jwk(&method["publicKeyJwk"]).unwrap()).unwrap();
        kid
    }

    pub(super) fn listed(&self, what: &str) -> Vec<String> {
        let document = self.keys.document().unwrap();
        let short = |id: &Value| id.as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        document[what].as_array().unwrap().iter().map(short).collect()
    }
}

pub(super) fn us() -> Did {
    "did:web:us.example".parse().unwrap()
}
