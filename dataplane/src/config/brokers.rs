//! Brokers of ours that partners' data can be delivered to.

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderValue;
use url::Url;

use super::credentials::Credential;
use super::reader::Reader;
use super::{parse_url, required_url};

/// An NGSI-LD broker of ours.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Its address, without a slash at the end.
    pub url: String,
    /// Value of `Authorization`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// Its tenant for what is delivered.
    pub tenant: Option<HeaderValue>,
    /// The context in which names are read from partners and written there.
    pub context: String,
    /// Address of our local listener as it sees it, without a slash at the end.
    pub local_url: Option<String>,
    /// Time between two passes of a mirror.
    pub reconcile: Duration,
    /// Most entities of one mirror.
    pub most_entities: u64,
}

/// Reads the section `brokers`.
pub(super) fn read(reader: &mut Reader, credentials: &HashMap<String, Credential>) -> HashMap<String, Broker> {
    let mut found = HashMap::new();
    for name in reader.names("brokers") {
        let key = |member: &str| format!("brokers.{name}.{member}");
        let url = required_url(reader, &key("url"));
        let credential = reader.text(&key("credential"));
        let tenant = reader.text(&key("tenant"));
        let local_url = local_url(reader, &key("local_url"));
        let context = reader.text(&key("context")).unwrap_or_default();
        let seconds: u64 = reader.parsed(&key("reconcile_seconds"), "a whole number of seconds");
        let most_entities = reader.parsed(&key("most_entities"), "a number");
        if seconds == 0 {
            reader.fault(&key("reconcile_seconds"), "must be at least 1");
        }
        let context = match Url::parse(&context) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url.to_string(),
            _ => {
                reader.fault(&key("context"), "must be the address of a context");
                continue;
            }
        };
        let tenant = match tenant.map(|text| HeaderValue::from_str(&text)).transpose() {
            Ok(tenant) => tenant,
            Err(_) => {
                reader.fault(&key("tenant"), "cannot stand in a header");
                continue;
            }
        };
        let Some(url) = url else { continue };
        let credential = match credential.map(|name| credentials.get(&name).ok_or(name)).transpose() {
            Ok(credential) => credential,
            Err(unknown) => {
                reader.fault(&key("credential"), format!("there is no `credentials.{unknown}`"));
                continue;
            }
        };
        if credential.is_some_and(|credential| !credential.covers(&url)) {
            reader.fault(&key("credential"), "is not meant for this address; see its `url_prefix`");
            continue;
        }
        let broker = Broker {
            url: url.as_str().trim_end_matches('/').to_owned(),
            authorization: credential.and_then(|credential| credential.authorization.clone()),
            tenant: tenant.or_else(|| credential.and_then(|credential| credential.tenant.clone())),
            context,
            local_url,
            reconcile: Duration::from_secs(seconds),
            most_entities,
        };
        found.insert(name, broker);
    }
    found
}

fn local_url(reader: &mut Reader, key: &str) -> Option<String> {
    let url = parse_url(&reader.text(key)?).map_err(|fault| reader.fault(key, fault)).ok()?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    const REST: &str = "id = \"dp\"\n[control_plane]\nurl = \"http://127.0.0.1:1\"\ntoken = \"0123456789abcdef\"\n";

    #[test]
    fn a_broker_needs_an_address_only() {
        let config = Config::from_toml(&format!("{REST}[brokers.twin]\nurl = \"http://127.0.0.1:1026/\"")).unwrap();
        let twin = &config.brokers["twin"];
        assert_eq!((twin.url.as_str(), twin.reconcile.as_secs()), ("http://127.0.0.1:1026", 900));
        assert!(twin.context.contains("core-context") && twin.tenant.is_none() && twin.authorization.is_none());
    }

    #[test]
    fn a_credential_goes_to_its_broker_only() {
        let credential = "[credentials.c]\nurl_prefix = \"http://127.0.0.1:1026\"\nauthorization = \"Bearer SECRET\"\ntenant = \"a\"\n";
        let with = |broker: &str| Config::from_toml(&format!("{REST}{credential}[brokers.twin]\n{broker}"));
        let config = with("url = \"http://127.0.0.1:1026\"\ncredential = \"c\"").unwrap();
        assert_eq!(config.brokers["twin"].tenant.as_ref().unwrap(), "a");
        assert!(!format!("{config:?}").contains("SECRET"));
        for (broker, named) in [
            ("credential = \"c\"", "brokers.twin.url"),
            ("url = \"http://127.0.0.1:1027\"\ncredential = \"c\"", "brokers.twin.credential"),
            ("url = \"http://127.0.0.1:1026\"\ncredential = \"d\"", "credentials.d"),
            ("url = \"http://127.0.0.1:1026\"\nreconcile_seconds = 0", "brokers.twin.reconcile_seconds"),
            ("url = \"http://127.0.0.1:1026\"\ncontext = \"none\"", "brokers.twin.context"),
            ("url = \"http://127.0.0.1:1026\"\nlocal_url = \"none\"", "brokers.twin.local_url"),
            ("url = \"http://127.0.0.1:1026\"\ncolour = \"blue\"", "brokers.twin.colour"),
        ] {
            let faults = with(broker).unwrap_err().0.join("\n");
            assert!(faults.contains(named), "{broker}: {faults}");
        }
    }
}
