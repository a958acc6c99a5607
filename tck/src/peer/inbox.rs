//! What came in, and what is answered to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::messages;
use crate::management::text;
use crate::server::{Handler, Incoming, Outgoing};

#[derive(Default)]
struct State {
    requests: Vec<Incoming>,
    /// Process id, ours or theirs, to the process.
    processes: HashMap<String, Process>,
    refusals: Vec<Refusal>,
}

#[derive(Clone)]
struct Process {
    kind: &'static str,
    consumer_pid: String,
    provider_pid: String,
    state: String,
}

struct Refusal {
    path_end: String,
    status: u16,
    left: usize,
}

/// Shared by the server and the test.
#[derive(Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<State>>);

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn requests(&self) -> Vec<Incoming> {
        self.state().requests.clone()
    }

    /// The bodies of everything that was accepted.
    pub(super) fn messages(&self) -> Vec<Value> {
        self.state().requests.iter().map(Incoming::json).filter(Value::is_object).collect()
    }

    pub(super) fn refuse(&self, path_end: &str, status: u16, times: usize) {
        self.state().refusals.push(Refusal { path_end: path_end.to_owned(), status, left: times });
    }

    pub(super) fn set_state(&self, pid: &str, wire: &str) {
        if let Some(process) = self.state().processes.get_mut(pid) {
            wire.clone_into(&mut process.state);
        }
    }

    pub(super) fn handler(&self) -> Handler {
        let this = self.clone();
        Arc::new(move |request| {
            let answer = this.state().answer(request);
            async move { answer }.boxed()
        })
    }
}

impl State {
    fn answer(&mut self, request: Incoming) -> Outgoing {
        if let Some(refusal) = self.refusals.iter_mut().find(|r| r.left > 0 && request.path().ends_with(&r.path_end)) {
            refusal.left -= 1;
            return Outgoing::empty(refusal.status);
        }
        let answer = match (request.method.as_str(), request.path()) {
            ("GET", path) => self.show(path),
            ("POST", "/negotiations/request") => self.begin(&request.json(), messages::NEGOTIATION, "REQUESTED"),
            ("POST", "/negotiations/offers") => self.begin(&request.json(), messages::NEGOTIATION, "OFFERED"),
            ("POST", "/transfers/request") => self.begin(&request.json(), messages::TRANSFER, "REQUESTED"),
            _ => Outgoing::empty(200),
        };
        self.requests.push(request);
        answer
    }

    /// The answer to an initial message; a repeated one finds the process of the first time.
    fn begin(&mut self, message: &Value, kind: &'static str, state: &str) -> Outgoing {
        let (theirs, consumer) = match text(message, "consumerPid") {
            "" => (text(message, "providerPid"), false),
            pid => (pid, true),
        };
        let process = match self.processes.get(theirs) {
            Some(known) => known.clone(),
            None => {
                let ours = messages::new_id();
                let (consumer_pid, provider_pid) =
                    if consumer { (theirs.to_owned(), ours.clone()) } else { (ours.clone(), theirs.to_owned()) };
                let process = Process { kind, consumer_pid, provider_pid, state: state.to_owned() };
                self.processes.insert(theirs.to_owned(), process.clone());
                self.processes.insert(ours, process.clone());
                process
            }
        };
        Outgoing::json(201, &process.to_value())
    }

    fn show(&self, path: &str) -> Outgoing {
        if path.ends_with("/.well-known/dspace-version") {
            let version = json!({"version": "2025-1", "path": "/", "binding": "HTTPS"});
            return Outgoing::json(200, &json!({"protocolVersions": [version]}));
        }
        let pid = path.rsplit('/').next().unwrap_or_default().replace("%3A", ":");
        match self.processes.get(&pid) {
            Some(process) => Outgoing::json(200, &process.to_value()),
            None => Outgoing::empty(404),
        }
    }
}

impl Process {
    fn to_value(&self) -> Value {
        let mut message = messages::about(self.kind, &self.provider_pid, &self.consumer_pid);
        if let Some(members) = message.as_object_mut() {
            members.insert("state".to_owned(), json!(self.state));
        }
        message
    }
}
