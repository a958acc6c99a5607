//! Whom we believe, as operators see it: what they added, the configuration, and the file. A registry cannot be listed.

use std::path::Path;

use identity::trust::TrustedIssuer;

use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{registry, trusted_issuer};

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// An operator added it.
    Operator,
    /// The setting `identity.trusted_issuers`.
    Configuration,
    /// The file of the setting `identity.trusted_issuers_file`.
    File,
}

/// An issuer and what it is trusted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownIssuer {
    /// Its DID.
    pub did: String,
    /// Credential types, `*` for all.
    pub types: Vec<String>,
    /// The claims that it may speak of; `None` for all.
    pub claims: Option<Vec<String>>,
    /// Where the entry stands.
    pub source: Source,
    /// When an operator added it, ms.
    pub created_at: Option<i64>,
    /// When an operator last changed it, ms.
    pub updated_at: Option<i64>,
}

impl KnownIssuer {
    /// Whether it is trusted for credentials of this type.
    pub(crate) fn issues(&self, credential_type: &str) -> bool {
        self.types.iter().any(|name| name == "*" || name == credential_type)
    }
}

/// Every entry, in the order of the DIDs.
///
/// # Errors
/// `trust_unavailable`, 409, when the file cannot be used.
pub(crate) async fn all(app: &App) -> ServiceResult<Vec<KnownIssuer>> {
    let mut all = Vec::new();
    for row in registry::all::<trusted_issuer::Entity>(&app.store, app.context()).await? {
        all.push(of_row(row)?);
    }
    let settings = &app.config.identity;
    all.extend(settings.trusted_issuers.iter().map(|entry| KnownIssuer {
        did: entry.issuer.clone(),
        types: entry.types.clone(),
        claims: Some(entry.claims.clone()).filter(|claims| !claims.is_empty()),
        source: Source::Configuration,
        created_at: None,
        updated_at: None,
    }));
    if let Some(path) = &settings.trusted_issuers_file {
        all.extend(of_file(path).await?);
    }
    all.sort_by(|a, b| (&a.did, a.source, &a.types).cmp(&(&b.did, b.source, &b.types)));
    Ok(all)
}

/// The entry of a row.
///
/// # Errors
/// When the row is broken.
pub(crate) fn of_row(row: trusted_issuer::Model) -> ServiceResult<KnownIssuer> {
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).map_err(ServiceError::internal);
    Ok(KnownIssuer {
        types: list(&row.types)?,
        claims: Some(list(&row.claims)?).filter(|claims| !claims.is_empty()),
        did: row.id,
        source: Source::Operator,
        created_at: Some(row.created_at),
        updated_at: Some(row.updated_at),
    })
}

async fn of_file(path: &Path) -> ServiceResult<Vec<KnownIssuer>> {
    let failed = |error: &dyn std::fmt::Display| {
        let text = format!("the file `{}` of trusted issuers cannot be used: {error}", path.display());
        ServiceError::operator("trust_unavailable", text)
    };
    let bytes = tokio::fs::read(path).await.map_err(|error| failed(&error))?;
    let issuers = TrustedIssuer::parse_list(&bytes).map_err(|error| failed(&error))?;
    let mut all: Vec<KnownIssuer> = Vec::new();
    for issuer in issuers {
        let first = all.len();
        // One entry for all types with the same claims.
        for credential in issuer.credentials {
            let alike = all.iter_mut().skip(first).find(|known| known.claims == credential.claims);
            match alike {
                Some(known) => known.types.push(credential.credential_type),
                None => all.push(KnownIssuer {
                    did: issuer.did.clone(),
                    types: vec![credential.credential_type],
                    claims: credential.claims,
                    source: Source::File,
                    created_at: None,
                    updated_at: None,
                }),
            }
        }
    }
    Ok(all)
}
