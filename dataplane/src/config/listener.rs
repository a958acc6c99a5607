//! A listener: where it binds, how it is seen from outside, TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use super::reader::Reader;
use super::{flag, parse_url};

/// A listener's address, outside address and TLS.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where it binds.
    pub address: SocketAddr,
    /// How it is reached, without a slash at the end.
    pub public_url: String,
    /// The path of that address, without a slash at the end: empty, unless a proxy serves us below a path.
    pub base_path: String,
    /// TLS with our certificate; `None` is plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Listener {
    /// `None` only after a fault was noted.
    pub(super) fn read(reader: &mut Reader, section: &str) -> Option<Self> {
        let key = |member: &str| format!("{section}.{member}");
        let text = reader.required(&key("listen"));
        let address: Option<SocketAddr> =
            text.parse().map_err(|_| reader.fault(&key("listen"), "must be an IP address and a port")).ok();
        let tls = tls(reader, &key("cert_file"), &key("key_file"));
        let plain_allowed = flag(reader, &key("danger_plain_http"));
        let public_url = reader.text(&key("public_url"));
        let address = address?;
        let loopback = address.ip().is_loopback();
        if tls.is_none() && !loopback && !plain_allowed {
            let what = format!(
                "plain HTTP outside loopback: give `{section}.cert_file` and `{section}.key_file`, or set `{section}.danger_plain_http`"
            );
            reader.fault(&key("listen"), what);
        }
        let public_url = match public_url {
            Some(text) => parse_url(&text).map_err(|fault| reader.fault(&key("public_url"), fault)).ok()?,
            None if loopback => {
                let scheme = if tls.is_some() { "https" } else { "http" };
                Url::parse(&format!("{scheme}://{address}")).ok()?
            }
            None => {
                reader.fault(&key("public_url"), "is required when the listener is not on loopback");
                return None;
            }
        };
        let base_path = public_url.path().trim_end_matches('/').to_owned();
        Some(Self { address, public_url: public_url.as_str().trim_end_matches('/').to_owned(), base_path, tls })
    }
}

fn tls(reader: &mut Reader, cert_key: &str, key_key: &str) -> Option<Arc<ServerConfig>> {
    let (cert, key) = match (reader.path(cert_key), reader.path(key_key)) {
        (None, None) => return None,
        (Some(cert), Some(key)) => (cert, key),
        (Some(_), None) => {
            reader.fault(key_key, format!("is missing beside `{cert_key}`"));
            return None;
        }
        (None, Some(_)) => {
            reader.fault(cert_key, format!("is missing beside `{key_key}`"));
            return None;
        }
    };
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(&cert).and_then(Iterator::collect);
    let chain = chain.map_err(|error| reader.fault(cert_key, format!("cannot read `{}`: {error}", cert.display())));
    let private = PrivateKeyDer::from_pem_file(&key)
        .map_err(|error| reader.fault(key_key, format!("cannot read `{}`: {error}", key.display())));
    let (Ok(chain), Ok(private)) = (chain, private) else { return None };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let built = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
    match built {
        Ok(mut config) => {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Arc::new(config))
        }
        Err(error) => {
            reader.fault(cert_key, format!("certificate and key do not work: {error}"));
            None
        }
    }
}
