//! Reading as a program of a city reads: plain HTTP from the city's own address.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, RANGE};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::fault::Fault;

/// An answer that was read whole.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value, Fault> {
        serde_json::from_slice(&self.body).map_err(|_| Fault::new(format!("the answer is no JSON: {}", self.excerpt())))
    }

    /// A header as text, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Why the request was refused: the sentence of the problem, or the body's beginning.
    pub fn reason(&self) -> String {
        let detail = self.json().ok().and_then(|body| body.get("detail")?.as_str().map(str::to_owned));
        format!("{}: {}", self.status, detail.unwrap_or_else(|| self.excerpt()))
    }

    fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }

    /// The answer, if its status says success.
    ///
    /// # Errors
    /// The reason otherwise.
    pub fn successful(self, what: &str) -> Result<Self, Fault> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            Err(Fault::new(format!("{what} was answered with {}", self.reason())))
        }
    }
}

/// Reads an address.
///
/// # Errors
/// When no answer comes.
pub async fn get(client: &reqwest::Client, address: &str) -> Result<Answer, Fault> {
    let response = client.get(address).header(ACCEPT, "application/json").send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
}

/// How a download ended.
#[derive(Debug)]
pub enum Ended {
    /// All bytes came.
    Complete,
    /// The stream broke off.
    Cut,
}

/// Downloads into a file, from its present end on; slowly until `hurry` says otherwise.
///
/// `received` is told the bytes in the file, again and again.
///
/// # Errors
/// When the answer is no success or the file cannot be written; a broken stream is no error.
pub async fn download(
    address: &str,
    path: &Path,
    received: watch::Sender<u64>,
    hurry: watch::Receiver<bool>,
) -> Result<Ended, Fault> {
    let failed = |error: &std::io::Error| Fault::file(path, error);
    let mut file = File::options().create(true).append(true).open(path).await.map_err(|error| failed(&error))?;
    let mut at = file.metadata().await.map_err(|error| failed(&error))?.len();
    // A client of its own: a cut stream must not be hidden by another connection.
    let mut request = reqwest::Client::new().get(address);
    if at > 0 {
        request = request.header(RANGE, format!("bytes={at}-"));
    }
    let mut response = request.send().await?;
    let expected = if at > 0 { 206 } else { 200 };
    if response.status().as_u16() != expected {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let answer = Answer { status, headers, body: response.bytes().await?.to_vec() };
        return Err(Fault::new(format!("the download was answered with {}", answer.reason())));
    }
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return finish(file).await.map(|()| Ended::Complete).map_err(|error| failed(&error)),
            Err(_) => return finish(file).await.map(|()| Ended::Cut).map_err(|error| failed(&error)),
        };
        file.write_all(&chunk).await.map_err(|error| failed(&error))?;
        at += chunk.len() as u64;
        // Nobody listens any more when only the end is of interest.
        let _unheard = received.send(at);
        if !*hurry.borrow() {
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
}

async fn finish(mut file: File) -> std::io::Result<()> {
    file.flush().await?;
    file.sync_all().await
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: &Path) -> Result<String, Fault> {
    let mut file = std::fs::File::open(path).map_err(|error| Fault::file(path, &error))?;
    let mut digest = Sha256::new();
    std::io::copy(&mut file, &mut digest).map_err(|error| Fault::file(path, &error))?;
    Ok(hex::encode(digest.finalize()))
}
