//! Policies in the three shapes of the protocol: offer in a catalog, offer in a message, agreement.
//!
//! Rules stay JSON, since deciding them is not a matter of the protocol; their shape is checked, they are written so
//! that they validate, and they can be compared.
//!
//! DSP 2025-1, "Catalog Protocol: Offer", "Contract Negotiation Protocol: Message Types" and the contract schema.

mod normal;
mod rules;
mod timestamp;

use serde_json::{Map, Value};

use crate::error::MessageError;
use crate::member::{Node, put, put_some};
use crate::pid::{AgreementId, DatasetId, OfferId, ParticipantId};

pub use normal::{difference, same_rules};
pub use rules::Rules;
pub use timestamp::date_time_ms;

/// An offer: the rules under which a dataset may be used.
///
/// DSP 2025-1, "Catalog Protocol: Offer" and "Contract Request Message".
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Its id, unique, of exactly one dataset.
    pub id: OfferId,
    /// The dataset. Never written in a catalog, where the enclosing dataset is the target; always in a message.
    pub target: Option<DatasetId>,
    /// Who grants; the provider.
    pub assigner: Option<ParticipantId>,
    /// Who is granted something; the consumer.
    pub assignee: Option<ParticipantId>,
    /// The IRIs of the ODRL profiles that the rules follow.
    pub profile: Vec<String>,
    /// The rules.
    pub rules: Rules,
}

impl Offer {
    /// An offer of these rules, without target, parties and profile.
    #[must_use]
    pub fn new(id: OfferId, rules: Rules) -> Self {
        Self { id, target: None, assigner: None, assignee: None, profile: Vec::new(), rules }
    }

    /// Reads an offer of a catalog. Its rules are not checked beyond being lists of objects, so that one rule that we
    /// do not understand does not hide the rest of a catalog.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::new("Offer", value)?;
        let target: Option<DatasetId> = node.optional_id("target")?;
        let rules = Rules::parse(value)?;
        Ok(Self {
            id: node.id("@id")?,
            assigner: node.optional_id("assigner")?,
            assignee: node.optional_id("assignee")?,
            profile: profile(node)?,
            rules: match &target {
                Some(target) => rules.without_target(target.as_str()),
                None => rules,
            },
            target,
        })
    }

    /// Reads the offer of a message and checks its rules. An offer without any rule refers to a known offer by its id,
    /// which the prose of the specification permits (not the schema); see [`Rules::is_empty`].
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse_message(value: &Value) -> Result<Self, MessageError> {
        let node = Node::new("Offer", value)?;
        if node.get("@type").is_some() {
            Node::typed("Offer", value)?;
        }
        let offer = Self::parse(value)?;
        offer.rules.check()?;
        Ok(offer)
    }

    /// The form of a catalog: without target.
    #[must_use]
    pub fn catalog_offer(&self) -> Value {
        self.write(false)
    }

    /// The form of a message: with the target at the level of the policy.
    #[must_use]
    pub fn message_offer(&self) -> Value {
        self.write(true)
    }

    fn write(&self, with_target: bool) -> Value {
        let mut map = Map::new();
        put(&mut map, "@id", self.id.as_str());
        put(&mut map, "@type", "Offer");
        if with_target {
            put_some(&mut map, "target", self.target.as_ref());
        }
        put_some(&mut map, "assigner", self.assigner.as_ref());
        put_some(&mut map, "assignee", self.assignee.as_ref());
        put_profile(&mut map, &self.profile);
        self.rules.write(&mut map);
        Value::Object(map)
    }
}

/// An agreement: rules that both sides are bound to.
///
/// DSP 2025-1, "Contract Agreement Message".
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Its id, by which transfers refer to it.
    pub id: AgreementId,
    /// The dataset.
    pub target: DatasetId,
    /// Who grants; the provider.
    pub assigner: ParticipantId,
    /// Who is granted something; the consumer.
    pub assignee: ParticipantId,
    /// When it was concluded, an `xsd:dateTime`. The prose demands it and EDC refuses an agreement without it, so
    /// always give it; received agreements may lack it, since the schema leaves it optional.
    pub timestamp: Option<String>,
    /// The IRIs of the ODRL profiles that the rules follow.
    pub profile: Vec<String>,
    /// The rules.
    pub rules: Rules,
}

impl Agreement {
    /// Reads an agreement and checks its rules.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::new("Agreement", value)?;
        if node.get("@type").is_some() {
            Node::typed("Agreement", value)?;
        }
        let target: DatasetId = node.id("target")?;
        let timestamp = node.optional_text("timestamp")?;
        if timestamp.is_some_and(|text| date_time_ms(text).is_none()) {
            return Err(MessageError::invalid("Agreement", "timestamp", "it is no xsd:dateTime"));
        }
        let rules = Rules::parse(value)?.without_target(target.as_str());
        rules.check()?;
        rules.require_grant("Agreement")?;
        Ok(Self {
            id: node.id("@id")?,
            target,
            assigner: node.id("assigner")?,
            assignee: node.id("assignee")?,
            timestamp: timestamp.map(str::to_owned),
            profile: profile(node)?,
            rules,
        })
    }

    /// The form of a ContractAgreementMessage.
    #[must_use]
    pub fn agreement(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "@id", self.id.as_str());
        put(&mut map, "@type", "Agreement");
        put(&mut map, "target", self.target.as_str());
        put(&mut map, "assigner", self.assigner.as_str());
        put(&mut map, "assignee", self.assignee.as_str());
        put_some(&mut map, "timestamp", self.timestamp.as_ref());
        put_profile(&mut map, &self.profile);
        self.rules.write(&mut map);
        Value::Object(map)
    }

    /// The timestamp in milliseconds since 1970, see [`date_time_ms`].
    #[must_use]
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp.as_deref().and_then(date_time_ms)
    }
}

fn profile(node: Node<'_>) -> Result<Vec<String>, MessageError> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Object(map) if map.len() == 1 => match map.get("@id") {
            Some(Value::String(id)) => Ok(id.clone()),
            _ => Err(MessageError::wrong_type(node.owner, "profile", "a string", value)),
        },
        other => Err(MessageError::wrong_type(node.owner, "profile", "a string or an array of strings", other)),
    };
    match node.get("profile") {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(single) => Ok(vec![text(single)?]),
    }
}

fn put_profile(map: &mut Map<String, Value>, profile: &[String]) {
    match profile {
        [] => {}
        [single] => put(map, "profile", single),
        several => {
            map.insert("profile".to_owned(), several.iter().map(String::as_str).map(Value::from).collect());
        }
    }
}
