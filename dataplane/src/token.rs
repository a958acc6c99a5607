//! Access tokens: 256 random bits for the partner, their SHA-256 for us.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Longest `Authorization` value that is looked at, in bytes.
const MAX_PRESENTED: usize = 4096;

/// SHA-256 of a token; all that is kept of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token as presented.
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads the stored form.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The stored form.
    pub(crate) fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A new token and its hash.
///
/// # Errors
/// The operating system gives no randomness.
pub(crate) fn mint() -> Result<(String, TokenHash), rand::rand_core::OsError> {
    let mut bytes = [0_u8; 32];
    OsRng.try_fill_bytes(&mut bytes)?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let hash = TokenHash::of(&token);
    Ok((token, hash))
}

/// The token in an `Authorization` value: with `Bearer ` before it, or alone as EDC sends it.
pub(crate) fn presented(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= MAX_PRESENTED)?.trim();
    let token = match text.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        Some(_) => return None,
        None => text,
    };
    (!token.is_empty() && !token.eq_ignore_ascii_case("bearer")).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_different_and_found_by_their_hash() {
        let (first, hash) = mint().unwrap();
        let (second, _) = mint().unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(&first).unwrap().len(), 32);
        assert_ne!(first, second);
        assert!(hash.is(&TokenHash::of(&first)));
        assert!(!hash.is(&TokenHash::of(&second)));
        assert!(TokenHash::from_hex(&hash.to_hex()).unwrap().is(&hash));
        assert!(TokenHash::from_hex("zz").is_none());
    }

    #[test]
    fn forms_of_the_header() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("abc", Some("abc")),
            ("Basic abc", None),
            ("", None),
            ("Bearer ", None),
        ] {
            assert_eq!(presented(value.as_bytes()), token, "{value}");
        }
        assert_eq!(presented(&[0xff, 0xfe]), None);
        assert_eq!(presented("x".repeat(5000).as_bytes()), None);
    }
}
