//! Numbers that look random and are the same on every machine and in every version: SplitMix64 over an FNV-1a hash.

/// A repeatable stream of numbers.
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// The stream that belongs to this seed and these words.
    #[must_use]
    pub fn new(seed: u64, words: &[&str]) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
        for word in words {
            // 0xff is no byte of UTF-8, so it parts the words.
            for byte in word.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Self(hash)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number of `low..high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        // 53 bits fill the mantissa exactly.
        #[expect(clippy::cast_precision_loss, reason = "both numbers have at most 53 bits")]
        let unit = (self.number() >> 11) as f64 / (1_u64 << 53) as f64;
        low + unit * (high - low)
    }

    /// The next choice of the given ones.
    pub fn choice<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let many = u64::try_from(of.len()).ok().filter(|many| *many > 0)?;
        of.get(usize::try_from(self.number() % many).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_seed_and_words() {
        let first = |seed, words: &[&str]| Noise::new(seed, words).number();
        assert_eq!(first(1, &["a", "b"]), first(1, &["a", "b"]));
        assert_ne!(first(1, &["a", "b"]), first(2, &["a", "b"]));
        assert_ne!(first(1, &["a", "b"]), first(1, &["ab"]));
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut noise = Noise::new(7, &[]);
        for _ in 0..1000 {
            assert!((2.0..3.0).contains(&noise.between(2.0, 3.0)));
            assert!([1, 2, 3].contains(noise.choice(&[1, 2, 3]).unwrap()));
        }
        assert_eq!(noise.choice::<u8>(&[]), None);
    }
}
