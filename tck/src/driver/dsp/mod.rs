//! Plays the operator while the kit of the Dataspace Protocol tests a connector.
//!
//! The kit expects certain steps for certain datasets and agreements. The connector knows nothing of that: its offers for
//! the kit are left to an operator's decision, and this is the operator. It follows the connector's events and gives
//! management commands, and it starts negotiations and transfers when the kit asks for them at its two trigger URLs.

mod agreements;
mod kit;
mod operator;
mod publish;
mod report;
mod scripts;
mod settings;
mod triggers;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::binaries::Binaries;
use crate::peer::Peer;
use crate::service::{Connector, ControlPlaneSettings, StaticPeer};
use crate::{Result, events, ports, source};

pub use kit::Verdict;
pub use report::Expected;

/// The participant that the kit plays.
pub const KIT: &str = "TCK_PARTICIPANT";
/// The participant under test.
pub const CONNECTOR: &str = "CONNECTOR_UNDER_TEST";
/// What the kit shows the connector.
const KIT_TOKEN: &str = "tck-test-token";
/// What the connector shows the kit, which does not look at it.
const OUR_TOKEN: &str = "connector-under-test-token";

/// What to run.
pub struct Plan {
    /// The binaries under test.
    pub binaries: Binaries,
    /// The script that runs the kit.
    pub kit: PathBuf,
    /// Only tests whose name contains this regular expression.
    pub only: Option<String>,
    /// Print every step of the kit.
    pub verbose: bool,
}

/// Runs the kit once against a new connector with an empty database in `folder`, and tells what each test came to.
///
/// # Errors
/// When the connector, the preparations or the kit could not be run at all.
pub async fn run(plan: &Plan, folder: &Path) -> Result<Vec<(String, Verdict)>> {
    let port = ports::free()?;
    let peer = StaticPeer::new(KIT, KIT_TOKEN, OUR_TOKEN, &[]);
    let connector = Connector::start(&plan.binaries, folder, ControlPlaneSettings::new(CONNECTOR, vec![peer])).await?;
    let source = source::start()?;
    publish::all(connector.api(), &source.url()).await?;
    let subjects = prepare(&connector, port).await?;

    let stream = events::follow(connector.api(), 0).await?;
    let operator = tokio::spawn(operator::work(connector.api().clone(), stream, subjects.clone()));
    let triggers = triggers::start(connector.api().clone())?;
    let settings = settings::write(&settings::Addresses {
        connector_root: connector.control.root(),
        connector_base: &connector.control.base(),
        kit_port: port,
        triggers: &triggers.url(),
        token: KIT_TOKEN,
        verbose: plan.verbose,
    });
    let file = folder.join("kit.properties");
    std::fs::write(&file, settings::with_subjects(settings, &subjects))
        .map_err(|error| crate::Error::new(format!("{}: {error}", file.display())))?;
    let outcome = kit::run(&plan.kit, &file, plan.only.as_deref(), plan.verbose).await;
    operator.abort();
    triggers.stop().await;
    outcome
}

/// Concludes one agreement for every transfer test, as the kit's participant and at its address, before the kit takes
/// that address over. Gives back which script belongs to which dataset or agreement.
async fn prepare(connector: &Connector, port: u16) -> Result<operator::Subjects> {
    let peer = Peer::start(port, KIT, &format!("Bearer {KIT_TOKEN}"))?;
    let mut subjects = HashMap::new();
    for script in scripts::SCRIPTS {
        let subject = match script.part() {
            scripts::Part::ProviderTransfer => agreements::as_consumer(&peer, connector, script.subject).await?,
            scripts::Part::ConsumerTransfer => agreements::as_provider(&peer, connector, script.subject).await?,
            _ => script.subject.to_owned(),
        };
        subjects.insert(subject, script);
    }
    peer.stop().await;
    Ok(Arc::new(subjects))
}
