//! Whom the connector under test knows besides the kit, and how.

use serde_json::Value;

use super::{CONNECTOR, KIT, KIT_TOKEN, OUR_TOKEN};
use crate::management::text;
use crate::server::url_by_name;
use crate::service::{Connector, ControlPlaneSettings, Credentials, StaticPeer, did_web};
use crate::{Context as _, Error, Result, ports};

/// How the connector knows everybody but the kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Not at all.
    Nobody,
    /// By verifiable credentials; its participant id is a DID then.
    ByCredentials,
}

/// The settings of such a connector.
pub(super) fn settings(others: Others) -> Result<ControlPlaneSettings> {
    let kit = StaticPeer::new(KIT, KIT_TOKEN, OUR_TOKEN, &[]);
    if others == Others::Nobody {
        return Ok(ControlPlaneSettings::new(CONNECTOR, vec![kit]));
    }
    let port = ports::free()?;
    let did = did_web(port, "");
    Ok(ControlPlaneSettings {
        port: Some(port),
        public_url: Some(url_by_name(port)),
        credentials: Some(Credentials::new(&did)),
        ..ControlPlaneSettings::new(&did, vec![kit])
    })
}

/// The connector serves the document of its DID, and what a stranger shows is read as a self-issued ID token.
///
/// # Errors
/// When it is not so.
pub(super) async fn check(connector: &Connector) -> Result<()> {
    let document = get(&format!("{}/.well-known/did.json", connector.control.root())).await?;
    let refusal = get(&format!("{}/catalog/datasets/any", connector.control.base())).await?;
    if text(&document, "id") == connector.id() && text(&refusal, "code") == "malformed_token" {
        return Ok(());
    }
    let id = connector.id();
    Err(Error::new(format!(
        "verifiable credentials are not in use: the DID is {id}, served are {document} and {refusal}"
    )))
}

async fn get(address: &str) -> Result<Value> {
    let request = reqwest::Client::new().get(address).bearer_auth("of-a-stranger");
    let bytes = request.send().await.context(address)?.bytes().await.context(address)?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}
