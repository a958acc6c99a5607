//! The identifiers of the protocol as types, so that none can be taken for another.
//!
//! DSP 2025-1, "Contract Negotiation Protocol" (pids are IRIs made anew for every process, `urn:uuid:` recommended),
//! "Transfer Process Protocol", "Catalog Protocol" (participant, dataset and offer ids).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest identifier accepted, in bytes.
pub const MAX_ID_BYTES: usize = 512;

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("an identifier must not be empty")]
    Empty,
    /// The text has more than [`MAX_ID_BYTES`] bytes.
    #[error("an identifier must not be longer than {MAX_ID_BYTES} bytes")]
    TooLong,
    /// The text holds white space or a control character.
    #[error("an identifier must not hold white space or control characters")]
    ForbiddenCharacter,
}

/// Checks that a text may be an identifier.
///
/// # Errors
/// See [`IdError`].
pub fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong);
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(IdError::ForbiddenCharacter);
    }
    Ok(())
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a text as this identifier.
            ///
            /// # Errors
            /// [`IdError`] when the text is empty, longer than [`MAX_ID_BYTES`], or holds white space or control
            /// characters.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The identifier as an owned text.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! generated {
    ($($name:ident),*) => {
        $(impl $name {
            /// A new identifier, `urn:uuid:` and a random UUID.
            #[must_use]
            pub fn generate() -> Self {
                Self(format!("urn:uuid:{}", uuid::Uuid::new_v4()))
            }
        })*
    };
}

identifier! {
    /// The provider's identifier of a negotiation or a transfer (`providerPid`).
    ///
    /// DSP 2025-1, "Contract Negotiation Protocol" and "Transfer Process Protocol".
    ProviderPid
}
identifier! {
    /// The consumer's identifier of a negotiation or a transfer (`consumerPid`).
    ///
    /// DSP 2025-1, "Contract Negotiation Protocol" and "Transfer Process Protocol".
    ConsumerPid
}
identifier! {
    /// The `@id` of an agreement, by which a transfer refers to it (`agreementId`).
    ///
    /// DSP 2025-1, "Contract Agreement Message" and "Transfer Request Message".
    AgreementId
}
identifier! {
    /// The `@id` of a dataset, which is also the target of its offers and agreements.
    ///
    /// DSP 2025-1, "Catalog Protocol: Dataset".
    DatasetId
}
identifier! {
    /// The `@id` of an offer. It belongs to exactly one dataset.
    ///
    /// DSP 2025-1, "Catalog Protocol: Offer".
    OfferId
}
identifier! {
    /// The dataspace-wide identifier of a participant, for example a DID (`participantId`, `assigner`, `assignee`).
    ///
    /// DSP 2025-1, "Catalog Protocol: Catalog" and "Contract Agreement Message".
    ParticipantId
}
generated!(ProviderPid, ConsumerPid, AgreementId, OfferId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_are_different_uuid_urns() {
        let first = ProviderPid::generate();
        assert!(first.as_str().starts_with("urn:uuid:"));
        assert_eq!(first.as_str().len(), "urn:uuid:".len() + 36);
        assert_ne!(first, ProviderPid::generate());
    }

    #[test]
    fn bad_ids_are_refused_also_by_serde() {
        assert_eq!(OfferId::parse(""), Err(IdError::Empty));
        assert_eq!(OfferId::parse("a b"), Err(IdError::ForbiddenCharacter));
        assert_eq!(OfferId::parse("a\u{0}"), Err(IdError::ForbiddenCharacter));
        assert_eq!(OfferId::parse("a\u{2028}"), Err(IdError::ForbiddenCharacter));
        assert_eq!(OfferId::parse("x".repeat(MAX_ID_BYTES + 1)), Err(IdError::TooLong));
        assert!(OfferId::parse("x".repeat(MAX_ID_BYTES)).is_ok());
        assert!(serde_json::from_str::<OfferId>("\"a\\nb\"").is_err());
        let id: OfferId = serde_json::from_str("\"Zm9v:YmFy:cXV1eA==\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"Zm9v:YmFy:cXV1eA==\"");
    }
}
