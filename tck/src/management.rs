//! The operator's side: the management API of a running control plane.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Context as _, Error, Result, wait};

/// A client of one connector's management API.
#[derive(Clone, Debug)]
pub struct Management {
    base: String,
    token: String,
    http: reqwest::Client,
}

/// Whether an id names a negotiation or a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A contract negotiation.
    Negotiation,
    /// A transfer process.
    Transfer,
}

impl Kind {
    /// Its path below `/api/v1`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Negotiation => "/negotiations",
            Self::Transfer => "/transfers",
        }
    }
}

/// A string member of a JSON object; empty when it is not there.
pub fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

impl Management {
    /// `address`: the management listener, without `/api/v1`.
    pub fn new(address: &str, token: &str) -> Self {
        Self { base: format!("{address}/api/v1"), token: token.to_owned(), http: reqwest::Client::new() }
    }

    /// Where the API begins.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The bearer token of the API.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Calls the API and gives back the status with the body, `Null` when that is empty or no JSON.
    ///
    /// # Errors
    /// Only when no answer came.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let doing = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        request = request.timeout(Duration::from_secs(30));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.context(&doing)?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.context(&doing)?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    async fn expect(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, answer) = self.call(method.clone(), path, body).await?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        Err(Error::new(format!("{method} {path} was answered {status}: {answer}")))
    }

    /// Reads a resource or a list.
    ///
    /// # Errors
    /// When the answer is not 2xx.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.expect(Method::GET, path, None).await
    }

    /// Creates something, or gives a command.
    ///
    /// # Errors
    /// When the answer is not 2xx; the sentence shows the problem.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.expect(Method::POST, path, Some(&body)).await
    }

    /// Replaces something.
    ///
    /// # Errors
    /// When the answer is not 2xx.
    pub async fn put(&self, path: &str, body: Value) -> Result<Value> {
        self.expect(Method::PUT, path, Some(&body)).await
    }

    /// Every item of a list, page by page. `path` may have a query.
    ///
    /// # Errors
    /// When a page is not answered with 2xx.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let query = [("limit", Some("100")), ("cursor", cursor.as_deref())];
            let query = query.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let page = reqwest::Url::parse_with_params(&format!("{}{path}", self.base), query).context(path)?;
            let page = page.as_str().strip_prefix(&self.base).context(path)?.to_owned();
            let page = self.get(&page).await?;
            items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }

    /// Publishes a dataset under a policy of its own and an offer; the body of each may say more than the ids.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn publish(&self, dataset: &Value, rules: &Value, offer: &Value) -> Result<String> {
        let id = text(&self.post("/datasets", dataset.clone()).await?, "id").to_owned();
        let policy = self.post("/policies", rules.clone()).await?;
        let mut offer = offer.clone();
        if let Some(members) = offer.as_object_mut() {
            members.insert("datasetId".to_owned(), json!(id));
            members.insert("policyId".to_owned(), json!(text(&policy, "id")));
        }
        self.post("/offers", offer).await?;
        Ok(id)
    }

    /// One negotiation or transfer as it is now.
    ///
    /// # Errors
    /// When the answer is not 2xx.
    pub async fn process(&self, kind: Kind, id: &str) -> Result<Value> {
        self.get(&format!("{}/{id}", kind.path())).await
    }

    /// Gives a command to a negotiation or transfer.
    ///
    /// # Errors
    /// When it is refused, as with 409 when the command is not legal now.
    pub async fn command(&self, kind: Kind, id: &str, command: &str, body: Value) -> Result<Value> {
        self.post(&format!("{}/{id}/{command}", kind.path()), body).await
    }

    /// Waits until a process is in one of these states.
    ///
    /// # Errors
    /// When it is not in time; the sentence shows the process as it was last.
    pub async fn reaches(&self, kind: Kind, id: &str, states: &[&str]) -> Result<Value> {
        self.reaches_within(kind, id, states, wait::PATIENCE).await
    }

    /// The same with a patience of the caller's.
    ///
    /// # Errors
    /// As [`Management::reaches`].
    pub async fn reaches_within(&self, kind: Kind, id: &str, states: &[&str], patience: Duration) -> Result<Value> {
        let reached = wait::until(format!("{id} in {states:?}"), patience, || async {
            self.process(kind, id).await.ok().filter(|process| states.contains(&text(process, "state")))
        })
        .await;
        match reached {
            Ok(process) => Ok(process),
            Err(error) => {
                let last = self.process(kind, id).await.map_or_else(|error| error.to_string(), |last| last.to_string());
                Err(Error::new(format!("{error}; last seen: {last}")))
            }
        }
    }

    /// Waits until this negotiation is finalized, and gives back the agreement's id.
    ///
    /// # Errors
    /// When it is not in time, or ends otherwise.
    pub async fn agreed(&self, negotiation: &str) -> Result<String> {
        let done = self.reaches(Kind::Negotiation, negotiation, &["FINALIZED", "TERMINATED"]).await?;
        match text(&done, "agreementId") {
            agreement if text(&done, "state") == "FINALIZED" && !agreement.is_empty() => Ok(agreement.to_owned()),
            _ => Err(Error::new(format!("no agreement: {done}"))),
        }
    }
}
