//! A dataspace whose participants know each other by verifiable credentials: an authority that issues, and its members.

use std::path::Path;

use serde_json::json;

use crate::binaries::Binaries;
use crate::management::{Management, text};
use crate::service::{ControlPlane, ControlPlaneSettings, Credentials, IssuedType, TrustedIssuer, did_web};
use crate::{Result, ports, wait};

/// What every member has.
pub const MEMBERSHIP: &str = "MembershipCredential";
/// What nobody has unless it asks.
pub const CITY: &str = "CityCredential";

/// The authority: a control plane that issues to whoever asks.
pub struct Authority {
    /// Its control plane.
    pub control: ControlPlane,
}

impl Authority {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(binaries: &Binaries, folder: &Path) -> Result<Self> {
        let port = ports::free()?;
        let mut credentials = Credentials::new(&did_web(port, ""));
        credentials.issues = vec![
            IssuedType::for_everybody(MEMBERSHIP, "vc20-bssl/jwt"),
            IssuedType::for_everybody(CITY, "vc11-sl2021/jwt"),
        ];
        Ok(Self { control: ControlPlane::start(binaries, folder, settings(port, credentials)).await? })
    }

    /// The settings of a participant that believes this authority.
    ///
    /// # Errors
    /// When no port is free.
    pub fn member(&self) -> Result<ControlPlaneSettings> {
        let port = ports::free()?;
        let mut credentials = Credentials::new(&did_web(port, ""));
        credentials.trusted_issuers = vec![TrustedIssuer::new(self.control.participant(), &[MEMBERSHIP, CITY])];
        Ok(settings(port, credentials))
    }

    /// Lets a participant ask for its membership, and waits until it has the credential.
    ///
    /// # Errors
    /// When it is refused or does not come.
    pub async fn join(&self, api: &Management) -> Result<()> {
        let request = json!({"issuer": self.control.participant(), "credentials": [MEMBERSHIP]});
        api.post("/credential-requests", request).await?;
        wait::until("a membership credential", wait::PATIENCE, || async {
            let held = api.all("/credentials?state=held").await.ok()?;
            held.iter().any(|credential| text(credential, "type") == MEMBERSHIP).then_some(())
        })
        .await
    }
}

fn settings(port: u16, credentials: Credentials) -> ControlPlaneSettings {
    let mut settings = ControlPlaneSettings::new(&credentials.did, Vec::new());
    settings.credentials = Some(credentials);
    settings.port = Some(port);
    settings.public_url = Some(format!("http://localhost:{port}"));
    settings
}
