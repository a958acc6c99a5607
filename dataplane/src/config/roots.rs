//! Places for files, by name: what datasets may name, and where pushed files go.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use russh::keys::PublicKey;
use russh::keys::known_hosts::known_host_keys_path;
use url::Url;

use super::reader::Reader;
use super::{AccessKey, Credential, Login, parse_url};

/// Port of SSH.
const SSH_PORT: u16 = 22;

/// A place for files.
#[derive(Debug, Clone)]
pub enum FileRoot {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A bucket of an S3-compatible store.
    Bucket(BucketRoot),
    /// A folder on an SFTP server.
    Sftp(SftpRoot),
    /// What lies below an http or https address.
    Web(WebRoot),
}

/// A bucket of an S3-compatible store.
#[derive(Debug, Clone)]
pub struct BucketRoot {
    /// Its name.
    pub bucket: String,
    /// What the names of all files begin with, without a slash at the end.
    pub prefix: String,
    /// Address of the store.
    pub endpoint: Url,
    /// What requests are signed for.
    pub region: String,
    /// Without one, requests are not signed.
    pub key: Option<AccessKey>,
}

/// A folder on an SFTP server.
#[derive(Debug, Clone)]
pub struct SftpRoot {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The folder, from the server's root.
    pub path: String,
    /// How we log in.
    pub login: Login,
    /// The keys that the server may show.
    pub host_keys: Arc<[PublicKey]>,
}

/// What lies below an http or https address.
#[derive(Debug, Clone)]
pub struct WebRoot {
    /// The address.
    pub base: Url,
    /// Value of `Authorization`.
    pub authorization: Option<HeaderValue>,
}

/// Reads the section `file_roots`.
pub(super) fn read(reader: &mut Reader, credentials: &HashMap<String, Credential>) -> HashMap<String, FileRoot> {
    let mut found = HashMap::new();
    for name in reader.names("file_roots") {
        let key = format!("file_roots.{name}");
        let root = if reader.is_section(&key) { remote(reader, &key, credentials) } else { folder(reader, &key) };
        if let Some(root) = root {
            found.insert(name, root);
        }
    }
    found
}

fn folder(reader: &mut Reader, key: &str) -> Option<FileRoot> {
    let path = reader.path(key)?;
    match path.canonicalize() {
        Ok(real) if real.is_dir() => return Some(FileRoot::Folder(real)),
        Ok(_) => reader.fault(key, format!("`{}` is no folder", path.display())),
        Err(error) => reader.fault(key, format!("cannot open `{}`: {error}", path.display())),
    }
    None
}

/// `None` only after a fault was noted.
fn remote(reader: &mut Reader, key: &str, credentials: &HashMap<String, Credential>) -> Option<FileRoot> {
    let member = |name: &str| format!("{key}.{name}");
    let text = reader.required(&member("url"));
    let credential = reader.text(&member("credential"));
    let endpoint = reader.text(&member("endpoint"));
    let region = reader.text(&member("region"));
    let host_key_file = reader.path(&member("host_key_file"));
    if text.is_empty() {
        return None;
    }
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => {
            reader.fault(&member("url"), format!("`{text}` is no URL: {error}"));
            return None;
        }
    };
    let endpoint = match (url.scheme(), endpoint) {
        ("s3", Some(text)) => Some(parse_url(&text).map_err(|fault| reader.fault(&member("endpoint"), fault)).ok()?),
        ("s3", None) => {
            reader.fault(&member("endpoint"), "is missing; `s3:` needs the address of the store");
            return None;
        }
        _ => None,
    };
    let credential = match credential {
        None => None,
        Some(name) => {
            let Some(found) = credentials.get(&name) else {
                reader.fault(&member("credential"), format!("there is no usable `credentials.{name}`"));
                return None;
            };
            if !found.covers(endpoint.as_ref().unwrap_or(&url)) {
                reader.fault(&member("credential"), "is not meant for this address; see its `url_prefix`");
                return None;
            }
            Some(found)
        }
    };
    match (url.scheme(), endpoint) {
        ("s3", Some(endpoint)) => {
            let Some(bucket) = url.host_str().filter(|bucket| !bucket.is_empty()) else {
                reader.fault(&member("url"), "must name a bucket: `s3://BUCKET/PREFIX`");
                return None;
            };
            let access = credential.and_then(|credential| credential.access_key.clone());
            if credential.is_some() && access.is_none() {
                reader.fault(&member("credential"), "has no `access_key_id`");
            }
            Some(FileRoot::Bucket(BucketRoot {
                bucket: bucket.to_owned(),
                prefix: decoded(url.path()),
                endpoint,
                region: region.unwrap_or_default(),
                key: access,
            }))
        }
        ("sftp", _) => {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let port = url.port().unwrap_or(SSH_PORT);
            let Some(login) = credential.and_then(|credential| credential.login.clone()) else {
                reader.fault(&member("credential"), "must name a credential with a `user`");
                return None;
            };
            let Some(path) = host_key_file else {
                reader.fault(&member("host_key_file"), "is missing; a server whose key nobody checks may be anybody");
                return None;
            };
            let keys = match known_host_keys_path(&host, port, &path) {
                Ok(keys) => keys,
                Err(error) => {
                    reader.fault(&member("host_key_file"), format!("cannot read `{}`: {error}", path.display()));
                    return None;
                }
            };
            if keys.is_empty() || !path.is_file() {
                let what = format!("`{}` holds no key of {host}, port {port}", path.display());
                reader.fault(&member("host_key_file"), what);
                return None;
            }
            let host_keys = keys.into_iter().map(|(_, key)| key).collect();
            Some(FileRoot::Sftp(SftpRoot { host, port, path: format!("/{}", decoded(url.path())), login, host_keys }))
        }
        ("http" | "https", _) => {
            let base = parse_url(&text).map_err(|fault| reader.fault(&member("url"), fault)).ok()?;
            Some(FileRoot::Web(WebRoot {
                base,
                authorization: credential.and_then(|credential| credential.authorization.clone()),
            }))
        }
        (scheme, _) => {
            reader.fault(&member("url"), format!("`{scheme}:` is none of `s3:`, `sftp:`, `http:` and `https:`"));
            None
        }
    }
}

fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path.trim_matches('/')).decode_utf8_lossy().into_owned()
}
