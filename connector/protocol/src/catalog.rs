//! Catalogs: built for our own output, read leniently from peers.
//!
//! DSP 2025-1, "Catalog Protocol".

use serde_json::{Map, Value};

use crate::context::root;
use crate::error::MessageError;
use crate::member::{Node, put, put_list, put_some};
use crate::pid::{DatasetId, ParticipantId};
use crate::policy::Offer;

/// Asks for a catalog.
///
/// DSP 2025-1, "Catalog Request Message".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CatalogRequestMessage {
    /// Implementation-specific items. EDC always sends one, its `QuerySpec` with the page.
    pub filter: Vec<Value>,
}

impl CatalogRequestMessage {
    const TYPE: &str = "CatalogRequestMessage";

    /// Reads a compacted message.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        Ok(Self { filter: node.items("filter")?.to_vec() })
    }

    /// The whole message. An empty filter is left out; EDC answers it with 400.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = root(Self::TYPE);
        put_list(&mut map, "filter", self.filter.clone());
        Value::Object(map)
    }
}

/// What a participant offers.
///
/// DSP 2025-1, "Catalog Protocol: Catalog".
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// Its id.
    pub id: String,
    /// Who publishes it; only a nested catalog may lack it.
    pub participant_id: Option<ParticipantId>,
    /// The services, at least the connector.
    pub services: Vec<DataService>,
    /// The datasets.
    pub datasets: Vec<Dataset>,
    /// Catalogs inside this one.
    pub catalogs: Vec<Catalog>,
    /// Distributions of the catalog itself, where a nested catalog can be fetched.
    pub distributions: Vec<Distribution>,
    /// All other members, such as `dct:title`.
    pub properties: Map<String, Value>,
}

/// Something that can be used under an offer.
///
/// DSP 2025-1, "Catalog Protocol: Dataset".
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its id, the target of its offers.
    pub id: DatasetId,
    /// The offers, at least one.
    pub offers: Vec<Offer>,
    /// The forms in which it can be had, at least one.
    pub distributions: Vec<Distribution>,
    /// All other members, such as `dct:title`.
    pub properties: Map<String, Value>,
}

/// A form in which a dataset can be had.
///
/// DSP 2025-1, "Catalog Protocol: Distribution".
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// The format, such as `HttpData-PULL`.
    pub format: String,
    /// The service through which it is asked for.
    pub access_service: AccessService,
    /// Offers for this distribution alone.
    pub offers: Vec<Offer>,
    /// All other members.
    pub properties: Map<String, Value>,
}

/// A data service by its id or in full.
///
/// DSP 2025-1, "Catalog Protocol: Distribution".
#[derive(Debug, Clone, PartialEq)]
pub enum AccessService {
    /// The `@id` of a service listed in the catalog.
    Reference(String),
    /// The service itself, as EDC writes it.
    Inline(DataService),
}

/// A connector's endpoint.
///
/// DSP 2025-1, "Catalog Protocol: Data Service".
#[derive(Debug, Clone, PartialEq)]
pub struct DataService {
    /// Its id.
    pub id: String,
    /// The base of its negotiation and transfer endpoints.
    pub endpoint_url: String,
    /// All other members.
    pub properties: Map<String, Value>,
}

impl Catalog {
    const TYPE: &str = "Catalog";
    const MEMBERS: [&str; 8] =
        ["@context", "@id", "@type", "participantId", "service", "dataset", "catalog", "distribution"];

    /// Reads a compacted catalog.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::typed(Self::TYPE, value)?;
        let catalog = Self::read(node)?;
        if catalog.participant_id.is_none() {
            return Err(MessageError::missing(Self::TYPE, "participantId"));
        }
        Ok(catalog)
    }

    fn read(node: Node<'_>) -> Result<Self, MessageError> {
        let nested = |value: &Value| Self::read(Node::new(Self::TYPE, value)?);
        Ok(Self {
            id: node.text("@id")?.to_owned(),
            participant_id: node.optional_id("participantId")?,
            services: node.items("service")?.iter().map(DataService::parse).collect::<Result<_, _>>()?,
            datasets: node.items("dataset")?.iter().map(Dataset::read).collect::<Result<_, _>>()?,
            catalogs: node.items("catalog")?.iter().map(nested).collect::<Result<_, _>>()?,
            distributions: node.items("distribution")?.iter().map(Distribution::parse).collect::<Result<_, _>>()?,
            properties: node.rest(&Self::MEMBERS),
        })
    }

    /// The whole answer. Empty lists are left out, and so are datasets that cannot be listed, see
    /// [`Dataset::is_listable`].
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.write(root(Self::TYPE))
    }

    fn write(&self, mut map: Map<String, Value>) -> Value {
        put(&mut map, "@type", Self::TYPE);
        put(&mut map, "@id", &self.id);
        put_some(&mut map, "participantId", self.participant_id.as_ref());
        put_rest(&mut map, &self.properties, &Self::MEMBERS);
        put_list(&mut map, "service", self.services.iter().map(DataService::to_value).collect());
        let listable = self.datasets.iter().filter(|dataset| dataset.is_listable());
        put_list(&mut map, "dataset", listable.map(Dataset::to_node).collect());
        put_list(&mut map, "catalog", self.catalogs.iter().map(|nested| nested.write(Map::new())).collect());
        put_list(&mut map, "distribution", self.distributions.iter().map(Distribution::to_value).collect());
        Value::Object(map)
    }

    /// The endpoint of the service that a distribution refers to or holds.
    #[must_use]
    pub fn endpoint_of<'a>(&'a self, distribution: &'a Distribution) -> Option<&'a str> {
        match &distribution.access_service {
            AccessService::Inline(service) => Some(&service.endpoint_url),
            AccessService::Reference(id) => {
                self.services.iter().find(|service| service.id == *id).map(|service| service.endpoint_url.as_str())
            }
        }
    }
}

impl Dataset {
    const TYPE: &str = "Dataset";
    const MEMBERS: [&str; 5] = ["@context", "@id", "@type", "hasPolicy", "distribution"];

    /// Reads the compacted answer to a dataset request.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        Node::typed(Self::TYPE, value)?;
        Self::read(value)
    }

    fn read(value: &Value) -> Result<Self, MessageError> {
        let node = Node::new(Self::TYPE, value)?;
        Ok(Self {
            id: node.id("@id")?,
            offers: offers(node)?,
            distributions: node.items("distribution")?.iter().map(Distribution::parse).collect::<Result<_, _>>()?,
            properties: node.rest(&Self::MEMBERS),
        })
    }

    /// Whether it has an offer with a permission or prohibition and a distribution, without which a dataset must not
    /// be listed (schema).
    #[must_use]
    pub fn is_listable(&self) -> bool {
        self.offers.iter().any(grants) && !self.distributions.is_empty()
    }

    /// The whole answer to a dataset request. Meant for a dataset that [is listable](Dataset::is_listable).
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.write(root(Self::TYPE))
    }

    /// The dataset as an item of a catalog's `dataset` list, without `@context`.
    #[must_use]
    pub fn to_node(&self) -> Value {
        self.write(Map::new())
    }

    fn write(&self, mut map: Map<String, Value>) -> Value {
        put(&mut map, "@type", Self::TYPE);
        put(&mut map, "@id", self.id.as_str());
        put_rest(&mut map, &self.properties, &Self::MEMBERS);
        put_offers(&mut map, &self.offers);
        put_list(&mut map, "distribution", self.distributions.iter().map(Distribution::to_value).collect());
        Value::Object(map)
    }
}

impl Distribution {
    const TYPE: &str = "Distribution";
    const MEMBERS: [&str; 4] = ["@type", "format", "accessService", "hasPolicy"];

    /// A format at a service that the catalog lists.
    #[must_use]
    pub fn new(format: &str, service: &str) -> Self {
        Self {
            format: format.to_owned(),
            access_service: AccessService::Reference(service.to_owned()),
            offers: Vec::new(),
            properties: Map::new(),
        }
    }

    fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::new(Self::TYPE, value)?;
        let access_service = match node.required("accessService")? {
            Value::String(id) => AccessService::Reference(id.clone()),
            Value::Object(map) if !map.contains_key("endpointURL") => {
                AccessService::Reference(Node { owner: "accessService", map }.text("@id")?.to_owned())
            }
            object @ Value::Object(_) => AccessService::Inline(DataService::parse(object)?),
            other => return Err(MessageError::wrong_type(Self::TYPE, "accessService", "a string or an object", other)),
        };
        Ok(Self {
            format: node.text("format")?.to_owned(),
            access_service,
            offers: offers(node)?,
            properties: node.rest(&Self::MEMBERS),
        })
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "@type", Self::TYPE);
        put(&mut map, "format", &self.format);
        let service = match &self.access_service {
            AccessService::Reference(id) => Value::from(id.as_str()),
            AccessService::Inline(service) => service.to_value(),
        };
        map.insert("accessService".to_owned(), service);
        put_rest(&mut map, &self.properties, &Self::MEMBERS);
        put_offers(&mut map, &self.offers);
        Value::Object(map)
    }
}

impl DataService {
    const TYPE: &str = "DataService";
    const MEMBERS: [&str; 3] = ["@id", "@type", "endpointURL"];

    /// A service without further members.
    #[must_use]
    pub fn new(id: &str, endpoint_url: &str) -> Self {
        Self { id: id.to_owned(), endpoint_url: endpoint_url.to_owned(), properties: Map::new() }
    }

    /// A service without `@id` takes its address as id.
    fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::new(Self::TYPE, value)?;
        let endpoint_url = node.text("endpointURL")?;
        Ok(Self {
            id: node.optional_text("@id")?.filter(|id| !id.is_empty()).unwrap_or(endpoint_url).to_owned(),
            endpoint_url: endpoint_url.to_owned(),
            properties: node.rest(&Self::MEMBERS),
        })
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "@id", &self.id);
        put(&mut map, "@type", Self::TYPE);
        put(&mut map, "endpointURL", &self.endpoint_url);
        put_rest(&mut map, &self.properties, &Self::MEMBERS);
        Value::Object(map)
    }
}

fn offers(node: Node<'_>) -> Result<Vec<Offer>, MessageError> {
    node.items("hasPolicy")?.iter().map(Offer::parse).collect()
}

/// The schema refuses an offer that neither permits nor forbids anything.
fn grants(offer: &Offer) -> bool {
    !offer.rules.permission.is_empty() || !offer.rules.prohibition.is_empty()
}

fn put_offers(map: &mut Map<String, Value>, offers: &[Offer]) {
    put_list(map, "hasPolicy", offers.iter().filter(|offer| grants(offer)).map(Offer::catalog_offer).collect());
}

/// Adds other members, but never one that has a place of its own.
fn put_rest(map: &mut Map<String, Value>, properties: &Map<String, Value>, members: &[&str]) {
    for (name, value) in properties.iter().filter(|(name, _)| !members.contains(&name.as_str())) {
        map.insert(name.clone(), value.clone());
    }
}
