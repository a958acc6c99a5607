//! Credentials of ours for sources and file roots.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;
use russh::keys::{PrivateKey, load_secret_key};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::reader::Reader;

/// A credential of ours. `Debug` hides the secrets.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Sent only to addresses that begin with this.
    pub url_prefix: Url,
    /// Value of `Authorization`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// Fixed NGSI-LD tenant.
    pub tenant: Option<HeaderValue>,
    /// For an S3-compatible store.
    pub access_key: Option<AccessKey>,
    /// For an SFTP server.
    pub login: Option<Login>,
}

/// A pair of keys of an S3-compatible store.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// Names the key.
    pub id: String,
    /// Signs requests; never sent.
    pub secret: SecretString,
}

/// How we log in at an SFTP server.
#[derive(Clone)]
pub struct Login {
    /// Our name there.
    pub user: String,
    /// Tried first.
    pub private_key: Option<Arc<PrivateKey>>,
    /// Tried when there is no key or it is not accepted.
    pub password: Option<SecretString>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credential {
    /// Whether it may be sent to `url`: same scheme, host and port as the prefix, and the path continues at a segment's border.
    pub fn covers(&self, url: &Url) -> bool {
        let place = |url: &Url| {
            (url.scheme().to_owned(), url.host_str().unwrap_or_default().to_owned(), url.port_or_known_default())
        };
        let path = self.url_prefix.path().trim_end_matches('/');
        place(&self.url_prefix) == place(url)
            && url.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Reads the section `credentials`.
pub(super) fn read(reader: &mut Reader) -> HashMap<String, Credential> {
    let mut found = HashMap::new();
    for name in reader.names("credentials") {
        let key = |member: &str| format!("credentials.{name}.{member}");
        let prefix = prefix(reader, &key("url_prefix"));
        let authorization = reader.secret(&key("authorization"));
        let authorization = authorization.and_then(|secret| header_value(reader, &key("authorization"), &secret));
        let tenant = reader.text(&key("tenant")).map(SecretString::from);
        let tenant = tenant.and_then(|text| header_value(reader, &key("tenant"), &text));
        let access_key = access_key(reader, &name);
        let login = login(reader, &name);
        if let Some(url_prefix) = prefix {
            found.insert(name, Credential { url_prefix, authorization, tenant, access_key, login });
        }
    }
    found
}

fn prefix(reader: &mut Reader, key: &str) -> Option<Url> {
    let text = reader.required(key);
    if text.is_empty() {
        return None;
    }
    parse_prefix(&text).map_err(|fault| reader.fault(key, fault)).ok()
}

/// An http, https or sftp address without user, query and fragment.
fn parse_prefix(text: &str) -> Result<Url, String> {
    if !text.starts_with("sftp:") {
        return super::parse_url(text);
    }
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no URL: {error}"))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !plain || url.fragment().is_some() || url.host_str().is_none_or(str::is_empty) {
        return Err("must be an URL with a host, without user, query and fragment".to_owned());
    }
    Ok(url)
}

fn access_key(reader: &mut Reader, name: &str) -> Option<AccessKey> {
    let key = |member: &str| format!("credentials.{name}.{member}");
    match (reader.text(&key("access_key_id")), reader.secret(&key("secret_access_key"))) {
        (None, None) => None,
        (Some(id), Some(secret)) => Some(AccessKey { id, secret }),
        (Some(_), None) => {
            reader.fault(&key("secret_access_key"), "is missing beside `access_key_id`");
            None
        }
        (None, Some(_)) => {
            reader.fault(&key("access_key_id"), "is missing beside `secret_access_key`");
            None
        }
    }
}

fn login(reader: &mut Reader, name: &str) -> Option<Login> {
    let key = |member: &str| format!("credentials.{name}.{member}");
    let user = reader.text(&key("user"));
    let password = reader.secret(&key("password"));
    let private_key = reader.path(&key("private_key_file")).and_then(|path| private_key(reader, name, &path));
    match user {
        Some(user) => {
            if password.is_none() && private_key.is_none() {
                reader.fault(&key("user"), "has neither `private_key_file` nor `password`");
            }
            Some(Login { user, private_key, password })
        }
        None if password.is_some() || private_key.is_some() => {
            reader.fault(&key("user"), "is missing beside the password or key");
            None
        }
        None => None,
    }
}

fn private_key(reader: &mut Reader, name: &str, path: &Path) -> Option<Arc<PrivateKey>> {
    match load_secret_key(path, None) {
        Ok(key) => Some(Arc::new(key)),
        Err(error) => {
            let what = format!("cannot read `{}` as a key without a passphrase: {error}", path.display());
            reader.fault(&format!("credentials.{name}.private_key_file"), what);
            None
        }
    }
}

fn header_value(reader: &mut Reader, key: &str, secret: &SecretString) -> Option<HeaderValue> {
    match HeaderValue::from_str(secret.expose_secret()) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Some(value)
        }
        Err(_) => {
            reader.fault(key, "cannot stand in a header");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_covers_what_lies_below_its_prefix() {
        let covers = |prefix: &str, url: &str| {
            let credential = Credential {
                url_prefix: parse_prefix(prefix).unwrap(),
                authorization: None,
                tenant: None,
                access_key: None,
                login: None,
            };
            credential.covers(&Url::parse(url).unwrap())
        };
        for (prefix, url, expected) in [
            ("http://b:1026/api", "http://b:1026/api/v1", true),
            ("http://b:1026/api", "http://b:1026/apix", false),
            ("http://b:1026/api", "https://b:1026/api", false),
            ("sftp://host", "sftp://host/srv", true),
            ("sftp://host:22/", "sftp://other:22/srv", false),
            ("sftp://host:22/", "sftp://host:23/srv", false),
        ] {
            assert_eq!(covers(prefix, url), expected, "{prefix} {url}");
        }
        for text in ["sftp://u@host/", "sftp:///x", "ftp://host/", "x"] {
            assert!(parse_prefix(text).is_err(), "{text}");
        }
    }
}
