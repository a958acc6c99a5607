//! Notifications on their way: in order, kept up to a limit, the oldest dropped beyond it.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::StoreError;

/// A notification as it is kept, and as it goes from one data plane to the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notification {
    /// Its place among all of its flow; later ones have greater numbers.
    pub(crate) sequence: u64,
    /// Stays the same when it is delivered once more.
    pub(crate) id: String,
    /// The subscription, by the name that both data planes know.
    pub(crate) subscription: String,
    pub(crate) notified_at: String,
    /// The address of the context of `data`; the core context when there is none.
    pub(crate) context: Option<String>,
    /// The entities. The last member: see [`Notification::kept_with`].
    pub(crate) data: Value,
}

impl Notification {
    /// Makes its text.
    ///
    /// # Errors
    /// It has no JSON form, which cannot be of what came as JSON.
    pub(crate) fn kept(&self) -> Result<Kept, StoreError> {
        let text = serde_json::to_vec(self).map_err(StoreError::new)?;
        Ok(Kept { sequence: self.sequence, text: text.into() })
    }

    /// Makes its text with these data, which are JSON already, instead of its own, which are nothing.
    ///
    /// # Errors
    /// As for [`Notification::kept`].
    pub(crate) fn kept_with(&self, data: &[u8]) -> Result<Kept, StoreError> {
        let mut text = serde_json::to_vec(self).map_err(StoreError::new)?;
        // `data` is the last member.
        text.truncate(text.len().saturating_sub("null}".len()));
        text.extend_from_slice(data);
        text.push(b'}');
        Ok(Kept { sequence: self.sequence, text: text.into() })
    }
}

/// A notification as text, which is made once: for the disk, for the memory and for the next station.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) sequence: u64,
    /// JSON of the [`Notification`].
    pub(crate) text: Bytes,
}

impl Kept {
    /// Reads it; `None` when it is none, which cannot be of what was written here.
    pub(crate) fn read(&self) -> Option<Notification> {
        let read = serde_json::from_slice(&self.text);
        read.inspect_err(|error| tracing::error!(%error, "a notification that was kept cannot be read")).ok()
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) notifications: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
struct Item {
    notification: Kept,
    /// On disk, so that nobody sees one whose number a crash could give to another.
    kept: bool,
}

impl Item {
    /// Bytes that it takes.
    fn bytes(&self) -> usize {
        self.notification.text.len()
    }
}

/// Notifications in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    /// The greatest number that was given.
    last: u64,
    /// How many were dropped for want of room.
    dropped: u64,
}

impl Queue {
    /// What was kept over a restart, in the order of the numbers. `last` is the greatest number that is not among them.
    pub(crate) fn restored(kept: Vec<Kept>, last: u64, dropped: u64) -> Self {
        let mut queue = Self { last, dropped, ..Self::default() };
        for notification in kept {
            queue.push(notification, true);
        }
        queue
    }

    /// The next number.
    pub(crate) fn next(&self) -> u64 {
        self.last.saturating_add(1)
    }

    /// Adds one with a number greater than all before. Gives the numbers of those that had to go for it.
    pub(crate) fn add(&mut self, notification: Kept, room: Room) -> Vec<u64> {
        self.push(notification, false);
        let mut gone = Vec::new();
        while self.items.len() > 1 && (self.items.len() > room.notifications || self.bytes > room.bytes) {
            gone.extend(self.take_first());
        }
        self.dropped = self.dropped.saturating_add(gone.len() as u64);
        gone
    }

    /// The notifications up to this number are on disk.
    pub(crate) fn keep(&mut self, sequence: u64) {
        for item in self.items.iter_mut().rev().filter(|item| item.notification.sequence <= sequence) {
            if std::mem::replace(&mut item.kept, true) {
                return;
            }
        }
    }

    /// This one could not be kept.
    pub(crate) fn withdraw(&mut self, sequence: u64) {
        if let Some(place) = self.items.iter().position(|item| item.notification.sequence == sequence && !item.kept)
            && let Some(item) = self.items.remove(place)
        {
            self.bytes = self.bytes.saturating_sub(item.bytes());
        }
    }

    /// The first ones after this number that are on disk: at least one where there is one, else as many as fit.
    pub(crate) fn after(&self, sequence: u64, most: Room) -> Vec<Kept> {
        let mut bytes = 0;
        let first = self.items.partition_point(|item| item.notification.sequence <= sequence);
        let waiting = self.items.iter().skip(first);
        waiting
            .take_while(|item| item.kept)
            .take(most.notifications)
            .take_while(|item| {
                let first = bytes == 0;
                bytes += item.bytes();
                first || bytes <= most.bytes
            })
            .map(|item| item.notification.clone())
            .collect()
    }

    /// Those up to this number have arrived. Gives the numbers of those that are gone now.
    pub(crate) fn acknowledge(&mut self, sequence: u64) -> Vec<u64> {
        let mut gone = Vec::new();
        while self.items.front().is_some_and(|item| item.kept && item.notification.sequence <= sequence) {
            gone.extend(self.take_first());
        }
        gone
    }

    /// The numbers of all that wait.
    pub(crate) fn sequences(&self) -> Vec<u64> {
        self.items.iter().map(|item| item.notification.sequence).collect()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn push(&mut self, notification: Kept, kept: bool) {
        self.last = self.last.max(notification.sequence);
        let item = Item { notification, kept };
        self.bytes += item.bytes();
        self.items.push_back(item);
    }

    fn take_first(&mut self) -> Option<u64> {
        let item = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(item.bytes());
        Some(item.notification.sequence)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROOM: Room = Room { notifications: 3, bytes: 1 << 20 };

    fn notification(sequence: u64) -> Kept {
        let notification = Notification {
            sequence,
            id: format!("urn:n:{sequence}"),
            subscription: "urn:s".into(),
            notified_at: String::new(),
            context: None,
            data: json!([{"id": "urn:a"}]),
        };
        notification.kept().unwrap()
    }

    fn seen(queue: &Queue, after: u64) -> Vec<u64> {
        queue.after(after, ROOM).iter().map(|notification| notification.sequence).collect()
    }

    #[test]
    fn data_that_are_text_stay_as_they_are() {
        let head = Notification { data: Value::Null, ..serde_json::from_slice(&notification(7).text).unwrap() };
        let data = r#"[{"id":"urn:a","n":1.10}]"#;
        let kept = head.kept_with(data.as_bytes()).unwrap();
        assert!(std::str::from_utf8(&kept.text).unwrap().ends_with(&format!(r#""data":{data}}}"#)));
        let read: Notification = serde_json::from_slice(&kept.text).unwrap();
        assert_eq!((read.sequence, read.id, read.data.to_string()), (7, head.id, data.to_owned()));
    }

    #[test]
    fn only_what_is_on_disk_is_seen_and_in_order() {
        let mut queue = Queue::default();
        for sequence in 1..=3 {
            assert_eq!(queue.next(), sequence);
            assert!(queue.add(notification(sequence), ROOM).is_empty());
        }
        assert!(seen(&queue, 0).is_empty());
        queue.keep(2);
        assert_eq!(seen(&queue, 0), [1, 2]);
        queue.keep(3);
        assert_eq!(seen(&queue, 1), [2, 3]);
        assert_eq!(queue.acknowledge(2), [1, 2]);
        assert_eq!(queue.acknowledge(2), [] as [u64; 0]);
        assert_eq!(seen(&queue, 0), [3]);
        assert_eq!(queue.next(), 4);
    }

    #[test]
    fn beyond_the_room_the_oldest_goes() {
        let mut queue = Queue::default();
        let gone: Vec<u64> = (1..=5).flat_map(|sequence| queue.add(notification(sequence), ROOM)).collect();
        assert_eq!((gone, queue.dropped()), (vec![1, 2], 2));
        let narrow = Room { notifications: 10, bytes: 1 };
        assert_eq!(queue.add(notification(6), narrow), [3, 4, 5]);
        queue.keep(6);
        assert_eq!(queue.after(0, narrow).len(), 1, "one passes however large it is");
    }

    #[test]
    fn what_could_not_be_kept_is_as_if_it_never_came() {
        let mut queue = Queue::default();
        queue.add(notification(1), ROOM);
        queue.add(notification(2), ROOM);
        queue.withdraw(1);
        queue.keep(2);
        assert_eq!(seen(&queue, 0), [2]);
    }

    #[test]
    fn numbers_go_on_after_a_restart() {
        let queue = Queue::restored(vec![notification(7)], 6, 1);
        assert_eq!((queue.next(), queue.dropped()), (8, 1));
        assert_eq!(seen(&queue, 6), [7]);
        assert_eq!(Queue::restored(vec![], 9, 0).next(), 10);
    }
}
