//! Runs the kit of the Decentralized Claims Protocol against a connector, one package of tests at a time.
//!
//! The kit plays every role that is not given to somebody else, and a role that it plays itself passes by itself. So each
//! package runs with its role given to a connector, whose requests and answers are looked at on the way (`witness`).

mod settings;
mod witness;

use std::path::Path;

use super::{Outcome, Plan, kit};
use crate::recorder::Recorder;
use crate::server::{url, url_by_name};
use crate::service::{ControlPlane, ControlPlaneSettings, Credentials, IssuedType, TrustedIssuer, did_web};
use crate::{Context as _, Error, Result, ports};

/// The two types of credentials that the kit knows.
const TYPES: [&str; 2] = ["MembershipCredential", "SensitiveDataCredential"];
/// The request under which the kit delivers credentials that the connector did not ask for.
const HOLDER_PID: &str = "request-of-the-kit";
/// The kit as client of the token service.
const STS_CLIENT: (&str, &str) = ("kit", "token-service-secret");

/// What has to be allowed for this: the kit is on loopback, in plain HTTP.
const DANGERS: [&str; 2] = ["`identity.danger_allow_http`", "`identity.danger_allow_loopback`"];

/// A package of tests: what is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// The connector verifies who is calling its catalog.
    Verifier,
    /// The connector presents its credentials.
    Presentation,
    /// The connector takes credentials and offers.
    Storage,
    /// The connector issues credentials.
    Issuer,
}

impl Package {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Verifier, Self::Presentation, Self::Storage, Self::Issuer];

    /// Its name, as the kit has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verifier => "presentation.verifier",
            Self::Presentation => "presentation.cs",
            Self::Storage => "issuance.cs",
            Self::Issuer => "issuance.issuer",
        }
    }

    /// The role that the connector has in it.
    fn role(self) -> &'static str {
        match self {
            Self::Verifier => "verifier",
            Self::Presentation | Self::Storage => "holder",
            Self::Issuer => "issuer",
        }
    }
}

/// Runs one package against a new connector with an empty database in `folder`, and tells what each test came to and what
/// the connector did.
///
/// # Errors
/// When the connector or the kit could not be run at all.
pub async fn run(plan: &Plan, package: Package, folder: &Path) -> Result<Outcome> {
    let (kit_port, seen_port, port) = (ports::free()?, ports::free()?, ports::free()?);
    // Partners reach the connector through the recorder only.
    let partners = Recorder::start(seen_port, url(port))?;
    let did = did_web(seen_port, "connector");
    let connector = ControlPlaneSettings {
        port: Some(port),
        public_url: Some(url_by_name(seen_port)),
        credentials: Some(credentials(&did, kit_port)),
        private_partners: false,
        ..ControlPlaneSettings::new(&did, Vec::new())
    };
    let connector = ControlPlane::start(&plan.binaries, folder, connector).await?;
    let tokens_port = ports::free()?;
    let tokens = Recorder::start(tokens_port, connector.management())?;
    told_and_no_more(&connector.dangers()?)?;

    let file = folder.join("kit.properties");
    let token_service = format!("{}/sts", url_by_name(tokens_port));
    let text = settings::write(&settings::Addresses {
        role: package.role(),
        did: &did,
        kit_port,
        trigger: &format!("{}/dsp/2025-1/catalog/request", url_by_name(seen_port)),
        token_service: (package.role() == "holder").then_some(&token_service),
        verbose: plan.verbose,
    });
    std::fs::write(&file, text).context(file.display())?;
    let verdicts = kit::run(plan, &format!("dcp/{}", package.name()), &file).await?;
    let exchanges = [partners.exchanges(), tokens.exchanges()].concat();
    let events = connector.api().get("/events?after=0&limit=500").await?;
    let seen = witness::seen(&exchanges, &events);
    keep(folder, "answers.log", &witness::lines(&exchanges))?;
    // In the words of `expected.toml`, to which it is compared.
    keep(folder, "seen.toml", &toml::to_string(&seen).context(package.name())?)?;
    Ok(Outcome { verdicts, seen })
}

/// The connector warns of what these tests need, and of nothing else.
fn told_and_no_more(dangers: &[String]) -> Result<()> {
    dangers.iter().for_each(|danger| println!("{danger}"));
    let told = |setting: &str| dangers.iter().any(|danger| danger.contains(setting));
    if dangers.len() == DANGERS.len() && DANGERS.iter().all(|setting| told(setting)) {
        return Ok(());
    }
    Err(Error::new(format!("the connector has to warn of {DANGERS:?} alone, and warned of {dangers:?}")))
}

fn keep(folder: &Path, name: &str, text: &str) -> Result<()> {
    let file = folder.join(name);
    std::fs::write(&file, text).context(file.display())
}

/// One installation can play every role: it trusts the kit's issuer for the two types, reads schemas from the kit, and
/// issues the same two types to everybody.
fn credentials(did: &str, kit_port: u16) -> Credentials {
    let issued = |kind: &str| IssuedType::for_everybody(kind, "vc11-sl2021/jwt");
    Credentials {
        trusted_issuers: vec![TrustedIssuer::new(&did_web(kit_port, "issuer"), &TYPES)],
        schema_hosts: vec![format!("localhost:{kit_port}")],
        accepted_holder_pids: vec![HOLDER_PID.to_owned()],
        token_client: Some((STS_CLIENT.0.to_owned(), STS_CLIENT.1.to_owned())),
        issues: TYPES.iter().map(|kind| issued(kind)).collect(),
        ..Credentials::new(did)
    }
}
