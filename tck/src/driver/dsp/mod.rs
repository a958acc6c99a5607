//! Plays the operator while the kit of the Dataspace Protocol tests a connector.
//!
//! The kit expects certain steps for certain datasets and agreements. The connector knows nothing of that: its offers for
//! the kit are left to an operator's decision, and this is the operator. It follows the connector's events and gives
//! management commands, and it starts negotiations and transfers when the kit asks for them at its two trigger URLs.

mod agreements;
mod operator;
mod others;
mod publish;
mod scripts;
mod settings;
mod triggers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::{Outcome, Plan, kit};
use crate::peer::Peer;
use crate::service::Connector;
use crate::{Context as _, Result, events, ports, source};

pub use others::Others;

/// The participant that the kit plays.
const KIT: &str = "TCK_PARTICIPANT";
/// The participant under test, unless it has a DID.
const CONNECTOR: &str = "CONNECTOR_UNDER_TEST";
/// What the kit shows the connector.
const KIT_TOKEN: &str = "tck-test-token";
/// What the connector shows the kit, which does not look at it.
const OUR_TOKEN: &str = "connector-under-test-token";

/// Runs the kit once against a new connector with an empty database in `folder`, and tells what each test came to.
///
/// # Errors
/// When the connector, the preparations or the kit could not be run at all.
pub async fn run(plan: &Plan, others: Others, folder: &Path) -> Result<Outcome> {
    let port = ports::free()?;
    let connector = Connector::start(&plan.binaries, folder, others::settings(others)?).await?;
    if others == Others::ByCredentials {
        connector.control.dangers()?.iter().for_each(|danger| println!("{danger}"));
        others::check(&connector).await?;
    }
    let source = source::start()?;
    publish::all(connector.api(), &source.url()).await?;
    let subjects = prepare(&connector, port).await?;

    let stream = events::follow(connector.api(), 0).await?;
    let operator = tokio::spawn(operator::work(connector.api().clone(), stream, subjects.clone()));
    let triggers = triggers::start(connector.api().clone())?;
    let settings = settings::write(&settings::Addresses {
        participant: connector.id(),
        connector_root: connector.control.root(),
        connector_base: &connector.control.base(),
        kit_port: port,
        triggers: &triggers.url(),
        token: KIT_TOKEN,
        verbose: plan.verbose,
    });
    let file = folder.join("kit.properties");
    std::fs::write(&file, settings::with_subjects(settings, &subjects)).context(file.display())?;
    let verdicts = kit::run(plan, "dsp", &file).await;
    operator.abort();
    triggers.stop().await;
    Ok(Outcome { verdicts: verdicts?, ..Outcome::default() })
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
