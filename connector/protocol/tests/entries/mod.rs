//! The JSON entry points as functions of bytes, for the fuzz targets and for the smoke test on stable.
//!
//! Each reads the bytes as its module would read them from the network. What is accepted must survive being written
//! and read again.

use dsp_protocol::catalog::{Catalog, CatalogRequestMessage, Dataset};
use dsp_protocol::context::{MAX_DEPTH, compact, content_digest, parse_json};
use dsp_protocol::error::PeerError;
use dsp_protocol::negotiation::{
    ContractAgreementMessage, ContractAgreementVerificationMessage, ContractNegotiation,
    ContractNegotiationEventMessage, ContractNegotiationTerminationMessage, ContractOfferMessage,
    ContractRequestMessage,
};
use dsp_protocol::pid::OfferId;
use dsp_protocol::policy::{Offer, Rules, difference};
use dsp_protocol::transfer::{
    TransferCompletionMessage, TransferProcess, TransferRequestMessage, TransferStartMessage,
    TransferSuspensionMessage, TransferTerminationMessage,
};
use dsp_protocol::version::VersionDocument;
use serde_json::Value;

/// The largest body that the entry points take here, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Reads bytes; the number of kinds of message that they were accepted as.
pub type Entry = fn(&[u8]) -> usize;

/// Every entry point with its name, which is also the first part of the names of its seeds.
pub const ALL: [(&str, Entry); 5] = [
    ("negotiation", negotiation),
    ("transfer", transfer),
    ("catalog", catalog),
    ("version", version),
    ("rules", rules),
];

/// Reads `value` as one kind of message; gives 1 when it was accepted.
macro_rules! accept {
    ($kind:ty, $value:expr) => {
        match <$kind>::parse($value) {
            Err(_) => 0,
            Ok(message) => {
                let written = message.to_value();
                let compacted = compact(written.clone()).expect("what we write has a good context");
                assert_eq!(content_digest(&compacted), content_digest(&written), "{written}");
                let again = <$kind>::parse(&compacted).expect("what we write can be read");
                assert_eq!(again.to_value(), written);
                1
            }
        }
    };
}

fn message(bytes: &[u8]) -> Option<Value> {
    let value = parse_json(bytes, MAX_BYTES, MAX_DEPTH).ok()?;
    let _ = PeerError::read(&value);
    compact(value).ok()
}

/// Messages and answers of a negotiation. The number of kinds that the bytes were accepted as.
pub fn negotiation(bytes: &[u8]) -> usize {
    let Some(value) = message(bytes) else { return 0 };
    accept!(ContractRequestMessage, &value)
        + accept!(ContractOfferMessage, &value)
        + accept!(ContractAgreementMessage, &value)
        + accept!(ContractAgreementVerificationMessage, &value)
        + accept!(ContractNegotiationEventMessage, &value)
        + accept!(ContractNegotiationTerminationMessage, &value)
        + accept!(ContractNegotiation, &value)
}

/// Messages and answers of a transfer. The number of kinds that the bytes were accepted as.
pub fn transfer(bytes: &[u8]) -> usize {
    let Some(value) = message(bytes) else { return 0 };
    accept!(TransferRequestMessage, &value)
        + accept!(TransferStartMessage, &value)
        + accept!(TransferCompletionMessage, &value)
        + accept!(TransferSuspensionMessage, &value)
        + accept!(TransferTerminationMessage, &value)
        + accept!(TransferProcess, &value)
}

/// Catalogs, datasets and catalog requests. The number of kinds that the bytes were accepted as.
pub fn catalog(bytes: &[u8]) -> usize {
    let Some(value) = message(bytes) else { return 0 };
    accept!(Catalog, &value) + accept!(Dataset, &value) + accept!(CatalogRequestMessage, &value)
}

/// Version documents. 1 when the bytes were accepted.
pub fn version(bytes: &[u8]) -> usize {
    let Ok(value) = parse_json(bytes, MAX_BYTES, MAX_DEPTH) else { return 0 };
    let Ok(document) = VersionDocument::parse(&value) else { return 0 };
    if let Some(entry) = document.find_2025_1() {
        let base = entry.base("https://good.example");
        assert!(base == "https://good.example" || base.starts_with("https://good.example/"), "{base}");
    }
    assert_eq!(VersionDocument::parse(&document.to_value()), Ok(document));
    1
}

/// Policies as an operator gives them. 1 when the bytes were accepted.
pub fn rules(bytes: &[u8]) -> usize {
    let Ok(value) = parse_json(bytes, MAX_BYTES, MAX_DEPTH) else { return 0 };
    let Ok(rules) = Rules::from_fragment(value) else { return 0 };
    assert_eq!(difference(&rules, &rules), None);
    let offer = Offer::new(OfferId::parse("urn:o").expect("a good id"), rules);
    let written = offer.message_offer();
    let again = Rules::from_fragment(written.clone()).expect("what we write can be read");
    assert_eq!(difference(&offer.rules, &again), None, "{written}");
    assert_eq!(Offer { rules: again, ..offer }.message_offer(), written);
    1
}
