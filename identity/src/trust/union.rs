//! Several lists at once.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{TrustedIssuers, asked, untrusted};
use crate::credential::CredentialError;

/// Believes what at least one of its lists believes.
pub struct AnyOf(Vec<Arc<dyn TrustedIssuers>>);

impl AnyOf {
    /// Of these lists; they are asked in this order, so those that need no request should come first.
    pub fn new(lists: Vec<Arc<dyn TrustedIssuers>>) -> Self {
        Self(lists)
    }
}

#[async_trait]
impl TrustedIssuers for AnyOf {
    async fn check(&self, issuer: &str, types: &[String]) -> Result<(), CredentialError> {
        let mut refusal = untrusted(issuer, &asked(types));
        for list in &self.0 {
            match list.check(issuer, types).await {
                Ok(()) => return Ok(()),
                // A list that could not be asked might have said yes.
                Err(error) if error.is_temporary() => refusal = error,
                Err(error) if !refusal.is_temporary() => refusal = error,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    async fn claims(&self, issuer: &str, types: &[String]) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for list in &self.0 {
            if list.check(issuer, types).await.is_ok() {
                names.extend(list.claims(issuer, types).await?);
            }
        }
        Some(names)
    }

    async fn admit(&self, issuer: &str, types: &[String], subject: Map<String, Value>) -> Map<String, Value> {
        let mut left = Map::new();
        for list in &self.0 {
            if list.check(issuer, types).await.is_ok() {
                left.extend(list.admit(issuer, types, subject.clone()).await);
            }
        }
        left
    }
}
