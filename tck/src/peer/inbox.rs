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
    faults: Vec<Fault>,
}

#[derive(Clone)]
struct Process {
    kind: &'static str,
    consumer_pid: String,
    provider_pid: String,
    state: String,
}

struct Fault {
    path_end: String,
    status: u16,
    left: usize,
    /// The message is taken all the same; only the sender does not learn of it.
    taken: bool,
}

/// Shared by the server and the test.
#[derive(Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<State>>);

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bodies of everything that was taken, oldest first.
    pub(super) fn messages(&self) -> Vec<Value> {
        self.state().requests.iter().map(Incoming::json).filter(Value::is_object).collect()
    }

    pub(super) fn fault(&self, path_end: &str, status: u16, times: usize, taken: bool) {
        self.state().faults.push(Fault { path_end: path_end.to_owned(), status, left: times, taken });
    }

    pub(super) fn knows(&self, consumer_pid: &str, provider_pid: &str, state: &str) {
        let (consumer_pid, provider_pid) = (consumer_pid.to_owned(), provider_pid.to_owned());
        let key = consumer_pid.clone();
        let process = Process { kind: messages::NEGOTIATION, consumer_pid, provider_pid, state: state.to_owned() };
        self.state().processes.insert(key, process);
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
        let mut instead = None;
        if request.method == "POST"
            && let Some(fault) = self.faults.iter_mut().find(|f| f.left > 0 && request.path().ends_with(&f.path_end))
        {
            fault.left -= 1;
            instead = Some(Outgoing::empty(fault.status));
            if !fault.taken {
                return Outgoing::empty(fault.status);
            }
        }
        let answer = match (request.method.as_str(), request.path()) {
            ("GET", path) => self.show(path),
            ("POST", "/negotiations/request") => self.begin(&request.json(), messages::NEGOTIATION, "REQUESTED"),
            ("POST", "/negotiations/offers") => self.begin(&request.json(), messages::NEGOTIATION, "OFFERED"),
            ("POST", "/transfers/request") => self.begin(&request.json(), messages::TRANSFER, "REQUESTED"),
            _ => Outgoing::empty(200),
        };
        self.requests.push(request);
        instead.unwrap_or(answer)
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
