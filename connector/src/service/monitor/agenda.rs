//! When which transfer is to be looked at.

use std::collections::{BTreeSet, HashMap};

/// The next moment of each transfer that has one.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_time: BTreeSet<(i64, String)>,
    by_id: HashMap<String, i64>,
}

impl Agenda {
    /// Puts a transfer down for a moment, or for none.
    pub(super) fn put(&mut self, id: String, at: Option<i64>) {
        if let Some(before) = self.by_id.remove(&id) {
            self.by_time.remove(&(before, id.clone()));
        }
        if let Some(at) = at {
            self.by_time.insert((at, id.clone()));
            self.by_id.insert(id, at);
        }
    }

    /// The first moment of all.
    pub(super) fn next_at(&self) -> Option<i64> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes those whose moment has come.
    pub(super) fn due(&mut self, now: i64) -> Vec<String> {
        let mut due = Vec::new();
        while let Some((at, _)) = self.by_time.first()
            && *at <= now
            && let Some((_, id)) = self.by_time.pop_first()
        {
            self.by_id.remove(&id);
            due.push(id);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_has_one_moment() {
        let mut agenda = Agenda::default();
        for (id, at) in [("a", Some(5)), ("b", Some(3)), ("a", Some(9)), ("c", Some(3)), ("d", Some(1)), ("d", None)] {
            agenda.put(id.to_owned(), at);
        }
        assert_eq!((agenda.next_at(), agenda.due(2).len()), (Some(3), 0));
        assert_eq!(agenda.due(5), ["b", "c"]);
        assert_eq!((agenda.next_at(), agenda.due(9)), (Some(9), vec!["a".to_owned()]));
        assert_eq!((agenda.next_at(), agenda.due(i64::MAX).len(), agenda.by_id.len()), (None, 0, 0));
    }
}
