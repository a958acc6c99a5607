//! The tokens of a flow that can be renewed, as values: which pair is good, and what a renewal makes of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::answer::Renewed;
use crate::flow::Issued;
use crate::token::TokenHash;

/// After a renewal the pair before is good for at least this long, in milliseconds: an answer may be lost.
const LOST_ANSWER_MS: i64 = 60_000;

/// Beside the access token of a flow: the refresh token that belongs to it, and the pair before.
#[derive(Debug, Clone)]
pub(crate) struct Renewal {
    refresh: TokenHash,
    before: Option<Before>,
}

#[derive(Debug, Clone)]
struct Before {
    token: Issued,
    refresh: TokenHash,
    /// Until when a renewal by this pair is answered again.
    until_ms: i64,
    /// What the first renewal by this pair answered: those who ask at the same time, or once more, get the same. Not kept over
    /// a restart, since we keep no tokens.
    answer: Option<Arc<Renewed>>,
}

/// What a pair of tokens is to a flow.
#[derive(Debug, Clone)]
pub(crate) enum Claim {
    /// The present one: it is exchanged.
    Present,
    /// The one before, whose answer we still have.
    Again(Arc<Renewed>),
    /// The one before, without the answer: the pair that it brought is exchanged, as nobody may have got it.
    Lost,
    /// None that can be exchanged.
    Unknown,
}

impl Renewal {
    /// The refresh token of a new access token.
    pub(crate) fn new(refresh: TokenHash) -> Self {
        Self { refresh, before: None }
    }

    /// The access token before, which lives to its own end.
    pub(crate) fn token_before(&self) -> Option<Issued> {
        self.before.as_ref().map(|before| before.token)
    }

    /// Whether this refresh token may be one of ours, so that it is worth asking who comes with it.
    pub(crate) fn knows(&self, refresh: &str, now_ms: i64) -> bool {
        let shown = TokenHash::of(refresh);
        let before = self.before.as_ref().is_some_and(|before| before.refresh.is(&shown) && now_ms < before.until_ms);
        before || self.refresh.is(&shown)
    }

    /// What a refresh token is together with the access token that it came with; `present` is the flow's.
    pub(crate) fn claim(&self, present: Issued, refresh: &str, access: &str, now_ms: i64) -> Claim {
        let (refresh, access) = (TokenHash::of(refresh), TokenHash::of(access));
        if self.refresh.is(&refresh) && present.hash.is(&access) {
            return Claim::Present;
        }
        match &self.before {
            Some(before)
                if before.refresh.is(&refresh) && before.token.hash.is(&access) && now_ms < before.until_ms =>
            {
                before.answer.clone().map_or(Claim::Lost, Claim::Again)
            }
            _ => Claim::Unknown,
        }
    }

    /// What follows when `present` was exchanged and `answer` given for it.
    pub(crate) fn exchanged(&self, present: Issued, refresh: TokenHash, answer: Arc<Renewed>, now_ms: i64) -> Self {
        let until_ms = present.expires_ms.max(now_ms.saturating_add(LOST_ANSWER_MS));
        Self { refresh, before: Some(Before { token: present, refresh: self.refresh, until_ms, answer: Some(answer) }) }
    }

    /// What follows when the pair before brought a pair once more.
    pub(crate) fn given_again(&self, refresh: TokenHash, answer: Arc<Renewed>) -> Self {
        let before = self.before.clone().map(|before| Before { answer: Some(answer), ..before });
        Self { refresh, before }
    }
}

/// The stored form: hashes only.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RenewalRecord {
    refresh_hash: String,
    before: Option<BeforeRecord>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BeforeRecord {
    token_hash: String,
    token_expires_ms: i64,
    refresh_hash: String,
    until_ms: i64,
}

impl RenewalRecord {
    /// The record of a flow's refresh tokens.
    pub(crate) fn of(renewal: &Renewal) -> Self {
        let before = renewal.before.as_ref().map(|before| BeforeRecord {
            token_hash: before.token.hash.to_hex(),
            token_expires_ms: before.token.expires_ms,
            refresh_hash: before.refresh.to_hex(),
            until_ms: before.until_ms,
        });
        Self { refresh_hash: renewal.refresh.to_hex(), before }
    }

    /// The refresh tokens again; `None` for a record that holds no hashes.
    pub(crate) fn revive(&self) -> Option<Renewal> {
        let before = self.before.as_ref().and_then(|before| {
            let token = Issued { hash: TokenHash::from_hex(&before.token_hash)?, expires_ms: before.token_expires_ms };
            let refresh = TokenHash::from_hex(&before.refresh_hash)?;
            Some(Before { token, refresh, until_ms: before.until_ms, answer: None })
        });
        Some(Renewal { refresh: TokenHash::from_hex(&self.refresh_hash)?, before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn issued(token: &str, expires_ms: i64) -> Issued {
        Issued { hash: TokenHash::of(token), expires_ms }
    }

    fn answer(token: &str) -> Arc<Renewed> {
        Arc::new(Renewed { access_token: token.into(), refresh_token: None, expires_in_s: 1 })
    }

    fn kind(claim: &Claim) -> &'static str {
        match claim {
            Claim::Present => "present",
            Claim::Again(_) => "again",
            Claim::Lost => "lost",
            Claim::Unknown => "unknown",
        }
    }

    #[test]
    fn a_refresh_token_counts_only_with_its_access_token() {
        let (first, second) = (issued("a1", NOW + 5_000), issued("a2", NOW + 500_000));
        let fresh = Renewal::new(TokenHash::of("r1"));
        let renewed = fresh.exchanged(first, TokenHash::of("r2"), answer("a2"), NOW);
        let revived = RenewalRecord::of(&renewed).revive().unwrap();
        let late = NOW + LOST_ANSWER_MS;
        for (renewal, present, refresh, access, now, expected) in [
            (&fresh, first, "r1", "a1", NOW, "present"),
            (&fresh, first, "r1", "a1", NOW + 9_999_999, "present"),
            (&fresh, first, "r1", "a2", NOW, "unknown"),
            (&fresh, first, "r2", "a1", NOW, "unknown"),
            (&renewed, second, "r2", "a2", NOW, "present"),
            (&renewed, second, "r1", "a1", NOW, "again"),
            (&renewed, second, "r1", "a1", late, "unknown"),
            (&renewed, second, "r1", "a2", NOW, "unknown"),
            (&renewed, second, "r2", "a1", NOW, "unknown"),
            (&revived, second, "r1", "a1", NOW, "lost"),
            (&revived, second, "r2", "a2", NOW, "present"),
            (&revived, second, "r1", "a1", late, "unknown"),
        ] {
            let found = renewal.claim(present, refresh, access, now);
            assert_eq!(kind(&found), expected, "{refresh} {access} {now}");
            assert!(expected == "unknown" || renewal.knows(refresh, now), "{refresh} {access}");
        }
        assert!(!renewed.knows("r3", NOW) && !renewed.knows("r1", late));
    }

    #[test]
    fn a_pair_that_was_lost_is_exchanged_and_the_one_before_stays() {
        let first = issued("a1", NOW + 5_000);
        let renewed = Renewal::new(TokenHash::of("r1")).exchanged(first, TokenHash::of("r2"), answer("a2"), NOW);
        let revived = RenewalRecord::of(&renewed).revive().unwrap();
        let again = revived.given_again(TokenHash::of("r3"), answer("a3"));
        let present = issued("a3", NOW + 500_000);
        assert_eq!(kind(&again.claim(present, "r3", "a3", NOW)), "present");
        assert_eq!(kind(&again.claim(present, "r1", "a1", NOW)), "again");
        assert_eq!(kind(&again.claim(present, "r2", "a2", NOW)), "unknown");
        assert!(again.token_before().unwrap().hash.is(&first.hash));
    }

    #[test]
    fn a_long_lived_token_can_be_exchanged_again_to_its_end() {
        let first = issued("a1", NOW + 10 * LOST_ANSWER_MS);
        let renewed = Renewal::new(TokenHash::of("r1")).exchanged(first, TokenHash::of("r2"), answer("a2"), NOW);
        assert!(renewed.knows("r1", NOW + 9 * LOST_ANSWER_MS));
        assert!(!renewed.knows("r1", NOW + 10 * LOST_ANSWER_MS));
    }
}
