//! Where a counter-party's connector answers: its explicit base URL, or what its version document says.

use std::time::Duration;

use dsp_protocol::version::VersionDocument;

use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::fetch::FetchError;
use crate::store::{partner, registry};

/// How long a version document is believed.
const ADDRESS_LIFETIME: Duration = Duration::from_secs(300);

/// A counter-party's address: never a path guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Root whose version document is read (DSP 2025-1, Exposure of Versions).
    Root(String),
    /// Base URL of its DSP 2025-1 endpoints; nothing is looked up.
    Base(String),
}

/// A counter-party, registered as a partner or named with its address.
#[derive(Clone, Debug)]
pub(crate) struct CounterPartyRef {
    /// Participant id.
    pub id: String,
    /// Its address, or `None` for a registered partner.
    pub address: Option<Address>,
}

/// Addresses found through version documents.
pub(crate) struct Addresses(moka::sync::Cache<String, String>);

impl Default for Addresses {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(10_000).time_to_live(ADDRESS_LIFETIME).build())
    }
}

/// The base URL of the counter-party's DSP 2025-1 endpoints, without a slash at the end.
///
/// # Errors
/// `unknown_partner`, or what reading the version document brought.
pub(crate) async fn resolve(app: &App, counter_party: &CounterPartyRef) -> ServiceResult<String> {
    let address = match &counter_party.address {
        Some(address) => address.clone(),
        None => registered(app, &counter_party.id).await?,
    };
    match address {
        Address::Base(base) => Ok(base.trim_end_matches('/').to_owned()),
        Address::Root(root) => discover(app, root.trim_end_matches('/')).await,
    }
}

/// A call that brought no answer: the partner's fault, unless our own rules forbid the address.
pub(crate) fn unreachable(what: &str, error: &FetchError) -> ServiceError {
    if error.forbidden {
        return ServiceError::operator("address_refused", format!("{what} is not called: {error}"));
    }
    ServiceError::peer("partner_unreachable", format!("{what} cannot be reached: {error}"))
}

async fn registered(app: &App, id: &str) -> ServiceResult<Address> {
    let row = registry::find::<partner::Entity>(app.store.reads(), app.context(), id).await?;
    let row = row.ok_or_else(|| {
        ServiceError::bad_request("unknown_partner", format!("`{id}` is not a partner; add it, or give its address"))
    })?;
    Ok(if row.base.is_empty() { Address::Root(row.root) } else { Address::Base(row.base) })
}

async fn discover(app: &App, root: &str) -> ServiceResult<String> {
    if let Some(base) = app.addresses.0.get(root) {
        return Ok(base);
    }
    let url = format!("{root}/.well-known/dspace-version");
    let answer = app.fetcher.get_json(&url, None).await.map_err(|error| unreachable(&url, &error))?;
    if answer.status != 200 {
        let message = format!("the version document at {url} is answered with status {}", answer.status);
        return Err(ServiceError::peer("no_version_document", message));
    }
    let document = serde_json::from_slice(&answer.body)
        .map_err(|error| error.to_string())
        .and_then(|value| VersionDocument::parse(&value).map_err(|error| error.to_string()))
        .map_err(|error| {
            ServiceError::peer("bad_version_document", format!("the version document at {url}: {error}"))
        })?;
    let version = document.find_2025_1().ok_or_else(|| {
        ServiceError::peer(
            "no_common_version",
            format!("{root} does not offer version 2025-1 of the Dataspace Protocol"),
        )
    })?;
    let base = format!("{root}{}", version.path.trim_end_matches('/'));
    app.addresses.0.insert(root.to_owned(), base.clone());
    Ok(base)
}
