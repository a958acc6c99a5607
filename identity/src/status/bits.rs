//! The bits of a list and their two encodings (Bitstring Status List 1.0, 3.3 and 3.4; StatusList2021, 5).

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::StatusKind;
use crate::credential::CredentialError;

/// Fewest entries of a list, so that an entry hides among the others: 16 KiB of single bits.
pub const MIN_ENTRIES: usize = 131_072;
/// Largest unpacked list, in bytes: a small answer may unpack to very much.
const MAX_BYTES: usize = 16 * 1024 * 1024;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_encode_padding(false);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The bits of a status list; bit 0 is the most significant bit of the first byte.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusBits(Vec<u8>);

impl StatusBits {
    /// A list whose bits are all 0, with room for `entries`, and at least for [`MIN_ENTRIES`].
    pub fn new(entries: usize) -> Self {
        Self(vec![0; entries.clamp(MIN_ENTRIES, MAX_BYTES * 8).div_ceil(8)])
    }

    /// From bytes that were stored, see [`StatusBits::as_bytes`].
    ///
    /// # Errors
    /// `status_list_too_short`, `bad_status_list` when there are too many.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, CredentialError> {
        if bytes.len() < MIN_ENTRIES / 8 {
            let text = format!("the status list has fewer than {MIN_ENTRIES} entries");
            return Err(CredentialError::peer("status_list_too_short", text, false));
        }
        if bytes.len() > MAX_BYTES {
            return Err(bad(&format!("unpacks to more than {MAX_BYTES} bytes")));
        }
        Ok(Self(bytes))
    }

    /// The bytes, to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bits there are.
    pub fn len(&self) -> usize {
        self.0.len().saturating_mul(8)
    }

    /// Never: a list has a minimum length.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of entry `index` when each entry has `size` bits (1 to 32).
    ///
    /// # Errors
    /// `status_index_out_of_range` when the list is shorter, `status_list_too_short` when entries of this size are too few.
    pub fn get(&self, index: u64, size: u8) -> Result<u32, CredentialError> {
        let size = usize::from(size.max(1));
        if self.len() / size < MIN_ENTRIES {
            let text = format!("the status list has fewer than {MIN_ENTRIES} entries of {size} bits");
            return Err(CredentialError::peer("status_list_too_short", text, false));
        }
        let first = usize::try_from(index).ok().and_then(|index| index.checked_mul(size));
        let end = first.and_then(|first| first.checked_add(size)).filter(|end| *end <= self.len());
        let (Some(first), Some(end)) = (first, end) else { return Err(out_of_range(index)) };
        let mut value: u32 = 0;
        for position in first..end {
            value = (value << 1) | u32::from(self.bit(position));
        }
        Ok(value)
    }

    fn bit(&self, position: usize) -> bool {
        self.0.get(position / 8).is_some_and(|byte| byte & mask(position) != 0)
    }

    /// Sets or clears the entry `index` of a list of single bits.
    ///
    /// # Errors
    /// `status_index_out_of_range`.
    pub fn set(&mut self, index: u64, value: bool) -> Result<(), CredentialError> {
        let position = usize::try_from(index).map_err(|_error| out_of_range(index))?;
        let byte = self.0.get_mut(position / 8).ok_or_else(|| out_of_range(index))?;
        if value {
            *byte |= mask(position);
        } else {
            *byte &= !mask(position);
        }
        Ok(())
    }

    /// The `encodedList` of a list of this kind.
    ///
    /// # Errors
    /// `bad_status_list`, should packing fail.
    pub fn encode(&self, kind: StatusKind) -> Result<String, CredentialError> {
        let text = BASE64_URL.encode(packed(&self.0).map_err(|_error| bad("cannot be packed"))?);
        Ok(match kind {
            // Multibase: base64url without padding.
            StatusKind::Bitstring => format!("u{text}"),
            StatusKind::StatusList2021 => text,
        })
    }

    /// Reads an `encodedList`. StatusList2021 names no alphabet, so both are read, with padding or without.
    ///
    /// # Errors
    /// `bad_status_list` when it is not encoded as this kind is or unpacks to too much, `status_list_too_short`.
    pub fn decode(kind: StatusKind, encoded: &str) -> Result<Self, CredentialError> {
        let packed = match kind {
            StatusKind::Bitstring => {
                let text = encoded.strip_prefix('u').filter(|text| !text.contains('='));
                text.ok_or_else(|| bad("is not in multibase base64url (`u…`)")).map(|text| BASE64_URL.decode(text))?
            }
            StatusKind::StatusList2021 if encoded.contains(['+', '/']) => BASE64.decode(encoded),
            StatusKind::StatusList2021 => BASE64_URL.decode(encoded),
        };
        let packed = packed.map_err(|_error| bad("is not in base64"))?;
        let mut bytes = Vec::with_capacity(MIN_ENTRIES / 8);
        let bound = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        GzDecoder::new(packed.as_slice())
            .take(bound)
            .read_to_end(&mut bytes)
            .map_err(|_error| bad("is not packed with gzip"))?;
        Self::from_bytes(bytes)
    }
}

impl std::fmt::Debug for StatusBits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StatusBits").field("bits", &self.len()).finish()
    }
}

pub(super) fn packed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    packer.finish()
}

fn mask(position: usize) -> u8 {
    0x80 >> (position % 8)
}

fn out_of_range(index: u64) -> CredentialError {
    CredentialError::refused("status_index_out_of_range", format!("the status list has no entry {index}"))
}

fn bad(what: &str) -> CredentialError {
    CredentialError::peer("bad_status_list", format!("the status list {what}"), false)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    /// The `encodedList` of the examples in both standards: an empty list of the minimum length.
    #[test]
    fn published_vectors_are_read() {
        let published = "H4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA";
        let old = StatusBits::decode(StatusKind::StatusList2021, published).unwrap();
        let new = StatusBits::decode(StatusKind::Bitstring, &format!("u{published}")).unwrap();
        assert_eq!(old, new);
        assert_eq!(old, StatusBits::new(MIN_ENTRIES));
        assert_eq!(old.len(), MIN_ENTRIES);
    }

    #[test]
    fn bits_are_counted_from_the_left() {
        let mut bits = StatusBits::new(MIN_ENTRIES * 4);
        bits.set(0, true).unwrap();
        bits.set(9, true).unwrap();
        assert_eq!(&bits.as_bytes()[..3], [0b1000_0000, 0b0100_0000, 0]);
        let values: Vec<u32> = (0..4).map(|index| bits.get(index, 4).unwrap()).collect();
        assert_eq!(values, [8, 0, 4, 0]);
        bits.set(0, false).unwrap();
        assert_eq!(bits.get(0, 1).unwrap(), 0);
        assert_eq!(bits.set(u64::MAX, true).unwrap_err().code(), "status_index_out_of_range");
        assert_eq!(StatusBits::from_bytes(vec![0; 5]).unwrap_err().code(), "status_list_too_short");
    }

    #[test]
    fn both_alphabets_are_read_for_status_list_2021() {
        // Incompressible, so that the letters in which the alphabets differ occur.
        let mut seed: u32 = 1;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        })
        .take(MIN_ENTRIES / 8)
        .collect();
        let bits = StatusBits::from_bytes(bytes.clone()).unwrap();
        let packed = packed(&bytes).unwrap();
        for text in [STANDARD.encode(&packed), URL_SAFE.encode(&packed), URL_SAFE_NO_PAD.encode(&packed)] {
            assert_eq!(StatusBits::decode(StatusKind::StatusList2021, &text).unwrap(), bits);
        }
        for kind in [StatusKind::Bitstring, StatusKind::StatusList2021] {
            assert_eq!(StatusBits::decode(kind, &bits.encode(kind).unwrap()).unwrap(), bits);
        }
    }
}
