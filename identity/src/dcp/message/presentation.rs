//! Asking for presentations and answering (DCP 1.0.1, 5.4).

use serde_json::{Value, json};

use super::{DcpError, open, start};
use crate::dcp::Refusal;
use crate::scope::Scopes;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum PresentationQuery {
    /// Credentials by scopes, at least one.
    Scopes(Scopes),
    /// Credentials by a presentation definition (DIF Presentation Exchange 2.1), not empty.
    Definition(Value),
}

/// `PresentationQueryMessage`.
#[derive(Clone, Debug, PartialEq)]
pub struct PresentationQueryMessage {
    /// What is asked for.
    pub query: PresentationQuery,
}

impl PresentationQueryMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// `malformed_message`, `empty_query`, `ambiguous_query`, and those of scopes: all 400.
    pub fn parse(message: &Value) -> Result<Self, DcpError> {
        let reader = open(message, "PresentationQueryMessage")?;
        let definition = reader.get("presentationDefinition");
        let query = match (reader.texts("scope")?, definition) {
            (Some(_), Some(_)) => {
                let text = "the query has both `scope` and `presentationDefinition`";
                return Err(DcpError::bad("ambiguous_query", text));
            }
            (Some(scopes), None) if !scopes.is_empty() => {
                PresentationQuery::Scopes(Scopes::parse_each(scopes.iter().map(String::as_str))?)
            }
            (None, Some(definition)) if definition.as_object().is_some_and(|members| !members.is_empty()) => {
                PresentationQuery::Definition(definition.clone())
            }
            _ => {
                let text = "the query has neither a `scope` nor a `presentationDefinition` with anything in it";
                return Err(DcpError::bad("empty_query", text));
            }
        };
        Ok(Self { query })
    }

    /// The scopes that are asked for.
    ///
    /// # Errors
    /// `unsupported_query` (501) for a presentation definition.
    pub fn scopes(&self) -> Result<&Scopes, DcpError> {
        match &self.query {
            PresentationQuery::Scopes(scopes) => Ok(scopes),
            PresentationQuery::Definition(_) => Err(DcpError::new(
                Refusal::NotImplemented,
                "unsupported_query",
                "queries by `presentationDefinition` are not supported here; ask by `scope`",
            )),
        }
    }

    /// The message.
    pub fn to_json(&self) -> Value {
        let mut message = start("PresentationQueryMessage");
        match &self.query {
            PresentationQuery::Scopes(scopes) => {
                let scopes: Vec<&str> = scopes.iter().map(crate::scope::Scope::as_str).collect();
                message.insert("scope".to_owned(), json!(scopes));
            }
            PresentationQuery::Definition(definition) => {
                message.insert("presentationDefinition".to_owned(), definition.clone());
            }
        }
        Value::Object(message)
    }
}

/// `PresentationResponseMessage`.
#[derive(Clone, Debug, PartialEq)]
pub struct PresentationResponseMessage {
    /// Verifiable presentations: strings for JWTs, objects for JSON-LD.
    pub presentation: Vec<Value>,
    /// What answers what, for a query by presentation definition.
    pub presentation_submission: Option<Value>,
}

impl PresentationResponseMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// `malformed_message`.
    pub fn parse(message: &Value) -> Result<Self, DcpError> {
        let reader = open(message, "PresentationResponseMessage")?;
        let presentation = reader.list("presentation")?.ok_or_else(|| reader.bad("presentation", "is missing"))?;
        if !presentation.iter().all(|entry| entry.is_string() || entry.is_object()) {
            return Err(reader.bad("presentation", "has an entry that is neither a string nor an object"));
        }
        Ok(Self {
            presentation: presentation.to_vec(),
            presentation_submission: reader.get("presentationSubmission").cloned(),
        })
    }

    /// The message.
    pub fn to_json(&self) -> Value {
        let mut message = start("PresentationResponseMessage");
        message.insert("presentation".to_owned(), json!(self.presentation));
        if let Some(submission) = &self.presentation_submission {
            message.insert("presentationSubmission".to_owned(), submission.clone());
        }
        Value::Object(message)
    }
}
