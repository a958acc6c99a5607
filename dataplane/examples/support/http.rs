//! A client of HTTP/1.1 that costs little: one thread for all connections, no header maps.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Plain or within TLS.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A connection, with what was read beyond the last answer's head.
pub struct Connection {
    wire: Box<dyn Wire>,
    buffer: Vec<u8>,
}

/// The head of an answer.
pub struct Head {
    pub status: u16,
    pub length: u64,
    /// Bytes of the body that came with the head; they stand at the beginning of the buffer.
    held: usize,
}

impl Connection {
    /// Connects to a port of this machine.
    pub async fn open(port: u16, tls: Option<&TlsConnector>) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let wire: Box<dyn Wire> = match tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()),
        };
        Self { wire, buffer: vec![0; 64 * 1024] }
    }

    /// Sends a request and reads the head of its answer.
    pub async fn ask(&mut self, request: &[u8]) -> Head {
        self.wire.write_all(request).await.unwrap();
        self.wire.flush().await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.wire.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the connection ended inside a head");
            filled += read;
            let Some(end) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.buffer[..end]).unwrap().to_ascii_lowercase();
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let status = text[9..12].parse().unwrap();
            let held = filled - end - 4;
            self.buffer.copy_within(end + 4..filled, 0);
            return Head { status, length: length.map_or(0, |length| length.parse().unwrap()), held };
        }
    }

    /// Reads a body and forgets it.
    pub async fn skip(&mut self, head: &Head) {
        let mut left = head.length - head.held as u64;
        while left > 0 {
            left -= self.some().await as u64;
        }
    }

    /// Reads a body.
    pub async fn body(&mut self, head: &Head) -> Vec<u8> {
        let mut body = self.buffer[..head.held].to_vec();
        while (body.len() as u64) < head.length {
            let read = self.some().await;
            body.extend_from_slice(&self.buffer[..read]);
        }
        body
    }

    /// Reads what is there, and says how many bytes.
    pub async fn some(&mut self) -> usize {
        let read = self.wire.read(&mut self.buffer).await.unwrap();
        assert!(read > 0, "the connection ended inside a body");
        read
    }
}

/// A GET with a token.
pub fn get(path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{authorization}\r\n").into()
}

/// TLS that takes every certificate: who the other side is does not matter here.
pub fn tls() -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(schemes)))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[derive(Debug)]
struct Anyone(Vec<SignatureScheme>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
