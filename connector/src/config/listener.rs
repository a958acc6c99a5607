//! A listener: where it binds, how it is seen from outside, TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::reader::Reader;

/// Where a listener binds, how it is seen, and its certificate.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where it binds.
    pub listen: SocketAddr,
    /// How others reach it, without a slash at the end; `None` when that is where it binds.
    pub public_url: Option<String>,
    /// Certificate and key; without them it speaks plain HTTP.
    pub tls: Option<Tls>,
}

/// A certificate and its key. Both were read and found to fit.
#[derive(Debug, Clone)]
pub struct Tls {
    /// PEM file with the certificate chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// Who reaches a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Others get its address from us, so it has to be known.
    Announced,
    /// Those who use it know where it is.
    Known,
}

impl Listener {
    /// `None` only after a fault was noted.
    pub(super) fn read(reader: &mut Reader, section: &str, reach: Reach) -> Option<Self> {
        let key = |member: &str| format!("{section}.{member}");
        let tls = tls(reader, &key("cert_file"), &key("key_file"));
        let plain_allowed = reader.flag(&key("danger_plain_http"));
        let public_url = if reach == Reach::Announced { reader.url(&key("public_url")) } else { None };
        let text = reader.text(&key("listen")).unwrap_or_default();
        let Ok(address) = text.parse::<SocketAddr>() else {
            reader.fault(&key("listen"), format!("`{text}` must be an IP address and a port, as in `127.0.0.1:8282`"));
            return None;
        };
        let loopback = address.ip().is_loopback();
        if tls.is_none() && !loopback && !plain_allowed {
            let what = format!(
                "plain HTTP outside loopback: give `{section}.cert_file` and `{section}.key_file`, or set `{section}.danger_plain_http`"
            );
            reader.fault(&key("listen"), what);
        }
        if reach == Reach::Announced && !loopback && reader.raw(&key("public_url")).is_none() {
            reader.fault(&key("public_url"), "is required when the listener is not on loopback");
        }
        let public_url = public_url.map(|url| url.as_str().trim_end_matches('/').to_owned());
        Some(Self { listen: address, public_url, tls })
    }
}

fn tls(reader: &mut Reader, cert_key: &str, key_key: &str) -> Option<Tls> {
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
    let fit = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
    match fit {
        Ok(_) => Some(Tls { certificate: cert, key }),
        Err(error) => {
            reader.fault(cert_key, format!("certificate and key do not work: {error}"));
            None
        }
    }
}
