//! Two participants with an installation each, and nothing between them.

use std::path::Path;

use serde_json::{Value, json};
use tck::Result;
use tck::binaries::Binaries;
use tck::dataspace::Authority;
use tck::pair::introduce;
use tck::peer::messages::open_offer;
use tck::service::{Connector, ControlPlaneSettings, StaticPeer};

use crate::wal::Wal;

/// The participant that offers.
pub const PROVIDER: &str = "did:web:bari.example";
/// The participant that asks.
pub const CONSUMER: &str = "did:web:durres.example";

/// What a new installation logs.
pub const LOG: &str = "info";

const OFFER: &str = "offer-of-traffic";
const DATASET: &str = "traffic";

/// Both installations.
pub struct Cities {
    /// Offers a dataset.
    pub provider: Connector,
    /// Asks for it.
    pub consumer: Connector,
    /// The logs of their databases.
    pub logs: [Wal; 2],
}

impl Cities {
    /// Starts both, makes them known to each other and publishes a dataset.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(binaries: &Binaries, folder: &Path) -> Result<Self> {
        let membership = [("membership", "active")];
        let start = async |name: &str, id: &str, peer: StaticPeer| {
            let settings = ControlPlaneSettings { log: LOG, ..ControlPlaneSettings::new(id, vec![peer]) };
            Connector::start(binaries, &folder.join(name), settings).await
        };
        let durres = StaticPeer::new(CONSUMER, "token-that-durres-shows", "token-that-bari-shows", &membership);
        let provider = start("provider", PROVIDER, durres).await?;
        let bari = StaticPeer::new(PROVIDER, "token-that-bari-shows", "token-that-durres-shows", &membership);
        let consumer = start("consumer", CONSUMER, bari).await?;
        Self::meet(provider, consumer, folder).await
    }

    /// The same, but they know each other by the credentials of an authority, which may go when both have them. Its status lists
    /// are believed for as long as the measurement takes.
    ///
    /// # Errors
    /// When something does not start, or no credential comes.
    pub async fn start_with_credentials(binaries: &Binaries, folder: &Path) -> Result<(Authority, Self)> {
        let authority = Authority::start(binaries, &folder.join("authority")).await?;
        let start = async |name: &str| {
            let mut settings = ControlPlaneSettings { log: LOG, ..authority.member()? };
            if let Some(credentials) = &mut settings.credentials {
                credentials.status_cache_s = 3600;
            }
            let connector = Connector::start(binaries, &folder.join(name), settings).await?;
            authority.join(connector.api()).await?;
            Ok::<_, tck::Error>(connector)
        };
        let (provider, consumer) = (start("provider").await?, start("consumer").await?);
        let cities = Self::meet(provider, consumer, folder).await?;
        Ok((authority, cities))
    }

    async fn meet(provider: Connector, consumer: Connector, folder: &Path) -> Result<Self> {
        introduce(&consumer, &provider).await?;
        introduce(&provider, &consumer).await?;
        let dataset = json!({"id": DATASET, "title": "Traffic", "source": {"http": {"baseUrl": "http://127.0.0.1:9"}}});
        let rules = json!({"id": "members", "permission": permission()});
        provider.api().publish(&dataset, &rules, &json!({"id": OFFER})).await?;
        let logs = ["provider", "consumer"].map(|name| Wal::of(&folder.join(name).join("control/hansa.db")));
        Ok(Self { provider, consumer, logs })
    }

    /// What the consumer is told to negotiate about: the offer in full, so that no catalog is read.
    pub fn wanted(&self) -> Value {
        let mut offer = open_offer(OFFER, DATASET);
        if let Some(members) = offer.as_object_mut() {
            members.insert("permission".to_owned(), permission());
        }
        json!({"partner": self.provider.id(), "offer": offer})
    }
}

fn permission() -> Value {
    json!([{
        "action": "use",
        "constraint": [{"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}]
    }])
}
