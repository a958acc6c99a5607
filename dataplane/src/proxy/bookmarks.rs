//! Where in a source's list the pages of what is shown begin, so that the next one is not looked for from the beginning.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ngsi_ld_filter::Upstream;

/// Most places that a flow remembers.
const MOST: usize = 256;
/// How long a place is remembered; a list changes meanwhile, as it does between the pages of any source.
const KEPT: Duration = Duration::from_secs(300);

/// A place in a source's list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// How many entities are shown before it.
    pub(crate) shown: u64,
    /// How many entities the source has before it.
    pub(crate) from: u64,
}

/// The places that a flow remembers: of each question and offset that a reader may ask for next.
#[derive(Debug, Default)]
pub(crate) struct Bookmarks {
    state: RandomState,
    places: Mutex<HashMap<(u64, u64), (Place, Instant)>>,
}

impl Bookmarks {
    /// The mark of a question, which is the same for all its pages.
    pub(super) fn question(&self, path: &str, upstream: &Upstream) -> u64 {
        self.state.hash_one((path, &upstream.query, &upstream.body, &upstream.link))
    }

    /// Where to begin to look for what is shown after so many.
    pub(super) fn find(&self, question: u64, offset: u64) -> Place {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.get(&(question, offset)).filter(|(_, made)| made.elapsed() < KEPT);
        known.map(|(place, _)| *place).unwrap_or_default()
    }

    /// Remembers where what is shown after so many is found.
    pub(super) fn put(&self, question: u64, offset: u64, place: Place) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST {
            places.retain(|_, (_, made)| made.elapsed() < KEPT);
        }
        if places.len() >= MOST {
            places.clear();
        }
        places.insert((question, offset), (place, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_of_a_question_and_few() {
        let bookmarks = Bookmarks::default();
        let (start, place) = (Place { shown: 0, from: 0 }, Place { shown: 7, from: 100 });
        bookmarks.put(1, 10, place);
        assert_eq!([bookmarks.find(1, 10), bookmarks.find(1, 20), bookmarks.find(2, 10)], [place, start, start]);
        for offset in 0..1000 {
            bookmarks.put(3, offset, place);
        }
        assert!(bookmarks.places.lock().unwrap().len() <= MOST);
        assert_eq!(bookmarks.find(3, 999), place);
    }
}
