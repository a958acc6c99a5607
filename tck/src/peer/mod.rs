//! A participant without a connector: it sends the messages that a test wants, answers those that come in as the
//! standard says, and remembers them.

mod inbox;
pub mod messages;

use std::time::Duration;

use serde_json::Value;

use crate::management::text;
use crate::server::Server;
use crate::{Context as _, Error, Result, wait};

use inbox::Inbox;

/// A participant on a port of loopback.
pub struct Peer {
    id: String,
    token: String,
    inbox: Inbox,
    server: Server,
    http: reqwest::Client,
}

impl Peer {
    /// A participant that listens on `port` and shows `token` to connectors.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(port: u16, id: &str, token: &str) -> Result<Self> {
        let inbox = Inbox::default();
        let server = Server::start(port, inbox.handler())?;
        Ok(Self { id: id.to_owned(), token: token.to_owned(), inbox, server, http: reqwest::Client::new() })
    }

    /// Its participant id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its base address, which is also its callback address.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Closes its port and waits until it is closed.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// Every message of this type that was taken, oldest first.
    pub fn messages(&self, kind: &str) -> Vec<Value> {
        self.inbox.messages().into_iter().filter(|message| text(message, "@type") == kind).collect()
    }

    /// Answers the next messages whose path ends so with this status, as often as said, without taking them.
    pub fn refuses(&self, path_end: &str, status: u16, times: usize) {
        self.inbox.fault(path_end, status, times, false);
    }

    /// Takes the next messages whose path ends so, but answers as a gateway does that has lost the answer.
    pub fn loses_answers(&self, path_end: &str, times: usize) {
        self.inbox.fault(path_end, 502, times, true);
    }

    /// From now on shows a negotiation that we began as consumer, in this state.
    pub fn knows(&self, consumer_pid: &str, provider_pid: &str, state: &str) {
        self.inbox.knows(consumer_pid, provider_pid, state);
    }

    /// Waits for a message of this type that fits.
    ///
    /// # Errors
    /// When none came in time.
    pub async fn message(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(format!("{} gets a {kind}", self.id), wait::PATIENCE, || async {
            self.inbox.messages().into_iter().find(|message| text(message, "@type") == kind && fits(message))
        })
        .await
    }

    /// Waits for a message of this type about the process that we call `pid`.
    ///
    /// # Errors
    /// When none came in time.
    pub async fn message_about(&self, kind: &str, pid: &str) -> Result<Value> {
        self.message(kind, |message| [text(message, "consumerPid"), text(message, "providerPid")].contains(&pid)).await
    }

    /// Sends a message and gives back the status and the body, `Null` when that is no JSON.
    ///
    /// # Errors
    /// Only when no answer came.
    pub async fn post(&self, address: &str, message: &Value) -> Result<(u16, Value)> {
        self.send(self.http.post(address).json(message)).await
    }

    /// Reads a process at a connector.
    ///
    /// # Errors
    /// Only when no answer came.
    pub async fn get(&self, address: &str) -> Result<(u16, Value)> {
        self.send(self.http.get(address)).await
    }

    /// Sends a message that has to be accepted.
    ///
    /// # Errors
    /// When it is not answered with 2xx.
    pub async fn tell(&self, address: &str, message: &Value) -> Result<Value> {
        let (status, answer) = self.post(address, message).await?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let kind = text(message, "@type");
        Err(Error::new(format!("{kind} to {address} was answered {status}: {answer}")))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<(u16, Value)> {
        let request = request.header("authorization", &self.token).timeout(Duration::from_secs(30));
        let response = request.send().await.context(&self.id)?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.context(&self.id)?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}
