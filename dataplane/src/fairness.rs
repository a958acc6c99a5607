//! How partners share the public listener: most requests at once in all and of each, and a turn for each when all places are
//! taken.
//!
//! A request that finds no place waits in its partner's queue. A place that becomes free goes to the partners in turn, so that one
//! that sends many requests waits for itself and not the others for it. A place is held until the answer has been sent.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use policy_plan::Limits;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::config::Sharing;
use crate::problem::Problem;
use crate::proxy::ended_meanwhile;
use crate::usage::{Limiter, too_busy, too_many_at_once};

/// Who has places and who waits. `W` is somebody who waits.
#[derive(Debug)]
struct Places<W> {
    most: usize,
    most_each: usize,
    queue_each: usize,
    taken: usize,
    partners: HashMap<Arc<str>, Partner<W>>,
    /// Partners of whom somebody waits, each once, in the order of their turns.
    turns: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct Partner<W> {
    taken: usize,
    waiting: VecDeque<W>,
}

/// What a request finds.
#[derive(Debug, PartialEq, Eq)]
enum Found<W> {
    Place,
    /// Nothing; it waits.
    Queue,
    /// Its partner's queue is full.
    Full(W),
}

impl<W> Places<W> {
    fn new(sharing: &Sharing) -> Self {
        let most = |limit: Option<NonZeroU32>| limit.map_or(usize::MAX, |limit| limit.get() as usize);
        Self {
            most: most(sharing.requests),
            most_each: most(sharing.requests_each),
            queue_each: sharing.queue_each,
            taken: 0,
            partners: HashMap::new(),
            turns: VecDeque::new(),
        }
    }

    /// Takes a place, or a place in the queue. Of those that wait only the ones that `waits` count.
    fn ask(&mut self, name: &Arc<str>, waiter: W, waits: impl Fn(&W) -> bool) -> Found<W> {
        let room = self.taken < self.most;
        let entry = self.partners.entry(Arc::clone(name));
        let partner = entry.or_insert_with(|| Partner { taken: 0, waiting: VecDeque::new() });
        // Whoever waits although there is room waits for places of its own partner.
        if room && partner.taken < self.most_each && partner.waiting.is_empty() {
            partner.taken += 1;
            self.taken += 1;
            return Found::Place;
        }
        if partner.waiting.len() >= self.queue_each {
            partner.waiting.retain(waits);
        }
        if partner.waiting.len() >= self.queue_each {
            return Found::Full(waiter);
        }
        partner.waiting.push_back(waiter);
        if partner.waiting.len() == 1 && !self.turns.contains(name) {
            self.turns.push_back(Arc::clone(name));
        }
        Found::Queue
    }

    /// Gives a place back. Gives who has it now.
    fn leave(&mut self, name: &Arc<str>) -> Option<(Arc<str>, W)> {
        self.taken = self.taken.saturating_sub(1);
        if let Some(partner) = self.partners.get_mut(name) {
            partner.taken = partner.taken.saturating_sub(1);
            if partner.taken == 0 && partner.waiting.is_empty() {
                self.partners.remove(name);
            }
        }
        for _ in 0..self.turns.len() {
            let turn = self.turns.pop_front()?;
            let Some(partner) = self.partners.get_mut(&turn) else { continue };
            if partner.taken >= self.most_each {
                self.turns.push_back(turn);
                continue;
            }
            let next = partner.waiting.pop_front();
            if next.is_some() {
                partner.taken += 1;
                self.taken += 1;
            }
            if !partner.waiting.is_empty() {
                self.turns.push_back(Arc::clone(&turn));
            }
            if let Some(next) = next {
                return Some((turn, next));
            }
        }
        None
    }
}

type Waiter = oneshot::Sender<Place>;

/// The public listener, shared.
#[derive(Debug)]
pub(crate) struct Fairness {
    places: Option<Arc<Mutex<Places<Waiter>>>>,
    patience: Duration,
    limits: Limits,
    /// The rates of each partner, as long as a flow of it is used.
    rates: Mutex<HashMap<Arc<str>, Weak<Share>>>,
}

/// A partner's part of the public listener.
#[derive(Debug)]
pub(crate) struct Share {
    partner: Arc<str>,
    limiter: Option<Limiter>,
}

impl Share {
    /// The partner's rates.
    pub(crate) fn limiter(&self) -> Option<&Limiter> {
        self.limiter.as_ref()
    }
}

/// A place among the requests that are answered; dropping it gives it to the next one.
#[derive(Debug)]
pub(crate) struct Place {
    home: Option<Arc<Mutex<Places<Waiter>>>>,
    partner: Arc<str>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let mut left = Arc::clone(&self.partner);
        loop {
            let next = lock(&home).leave(&left);
            let Some((partner, waiter)) = next else { return };
            let place = Self { home: Some(Arc::clone(&home)), partner };
            match waiter.send(place) {
                Ok(()) => return,
                Err(mut unwanted) => {
                    // It has gone meanwhile.
                    unwanted.home = None;
                    left = Arc::clone(&unwanted.partner);
                }
            }
        }
    }
}

impl Fairness {
    /// What the settings limit, where they do.
    pub(crate) fn of(sharing: Sharing) -> Option<Self> {
        let limits =
            Limits { requests_per_second: sharing.rate_each, bytes_per_second: sharing.bytes_each, concurrent: None };
        let counted = sharing.requests.is_some() || sharing.requests_each.is_some();
        (counted || !limits.is_empty()).then(|| Self {
            places: counted.then(|| Arc::new(Mutex::new(Places::new(&sharing)))),
            patience: sharing.patience,
            limits,
            rates: Mutex::default(),
        })
    }

    /// The part of a partner, the same for all its flows.
    pub(crate) fn share(&self, partner: &str) -> Arc<Share> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = rates.get(partner).and_then(Weak::upgrade) {
            return share;
        }
        rates.retain(|_, share| share.strong_count() > 0);
        let name: Arc<str> = partner.into();
        let share = Arc::new(Share { partner: Arc::clone(&name), limiter: Limiter::of(&self.limits) });
        rates.insert(name, Arc::downgrade(&share));
        share
    }

    /// Takes a request of a partner and a place for it, where places are counted. Waits for its turn; `ended` ends the waiting.
    ///
    /// # Errors
    /// 429 beyond the partner's rate or queue, 503 when no turn came in time, 403 when the flow ends.
    pub(crate) async fn admit(&self, share: &Share, ended: &CancellationToken) -> Result<Option<Place>, Problem> {
        if let Some(limiter) = &share.limiter {
            limiter.take_request("the limit of requests per second of one partner is reached")?;
        }
        let Some(places) = &self.places else { return Ok(None) };
        let (waiter, turn) = oneshot::channel();
        let found = lock(places).ask(&share.partner, waiter, |waiter| !waiter.is_closed());
        match found {
            Found::Place => Ok(Some(Place { home: Some(Arc::clone(places)), partner: Arc::clone(&share.partner) })),
            Found::Full(_) => Err(too_many_at_once("as many requests of one partner wait as may")),
            Found::Queue => tokio::select! {
                place = turn => Ok(Some(place.map_err(|_| too_busy())?)),
                () = tokio::time::sleep(self.patience) => Err(too_busy()),
                () = ended.cancelled() => Err(ended_meanwhile()),
            },
        }
    }

    /// Places taken and requests that wait, for operators.
    pub(crate) fn describe(&self) -> Value {
        let Some(places) = &self.places else { return Value::Null };
        let places = lock(places);
        let waits = |partner: &Partner<Waiter>| partner.waiting.iter().filter(|waiter| !waiter.is_closed()).count();
        let mut partners: Vec<(&Arc<str>, &Partner<Waiter>)> = places.partners.iter().collect();
        partners.sort_by_key(|(name, _)| *name);
        let each = partners.into_iter().map(
            |(name, partner)| json!({"partner": name.as_ref(), "answered": partner.taken, "waiting": waits(partner)}),
        );
        json!({"answered": places.taken, "partners": each.collect::<Vec<_>>()})
    }
}

fn lock(places: &Mutex<Places<Waiter>>) -> MutexGuard<'_, Places<Waiter>> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharing(requests: u32, requests_each: u32, queue_each: usize) -> Sharing {
        Sharing {
            requests: NonZeroU32::new(requests),
            requests_each: NonZeroU32::new(requests_each),
            queue_each,
            patience: Duration::from_secs(60),
            ..Sharing::default()
        }
    }

    fn names() -> [Arc<str>; 3] {
        ["greedy", "modest", "third"].map(Arc::from)
    }

    #[test]
    fn a_greedy_partner_waits_for_itself() {
        let [greedy, modest, third] = names();
        let mut places = Places::new(&sharing(4, 0, 1000));
        let all = |_: &u32| true;
        for number in 0..200 {
            let found = places.ask(&greedy, number, all);
            assert_eq!(found, if number < 4 { Found::Place } else { Found::Queue });
        }
        assert_eq!(places.ask(&modest, 1000, all), Found::Queue);
        assert_eq!(places.ask(&third, 2000, all), Found::Queue);
        assert_eq!(places.ask(&third, 2001, all), Found::Queue);
        let mut order = Vec::new();
        let mut leaving = Arc::clone(&greedy);
        for _ in 0..6 {
            let (partner, waiter) = places.leave(&leaving).unwrap();
            order.push(waiter);
            leaving = partner;
        }
        assert_eq!(order, [4, 1000, 2000, 5, 2001, 6], "in turn, and in order within a partner");
        assert_eq!(places.taken, 4);
    }

    #[test]
    fn one_partner_leaves_room_for_others() {
        let [greedy, modest, _] = names();
        let mut places = Places::new(&sharing(3, 2, 2));
        let all = |_: &u32| true;
        assert_eq!(places.ask(&greedy, 0, all), Found::Place);
        assert_eq!(places.ask(&greedy, 1, all), Found::Place);
        assert_eq!(places.ask(&greedy, 2, all), Found::Queue);
        assert_eq!(places.ask(&modest, 3, all), Found::Place, "the third is not for the greedy one");
        assert_eq!(places.ask(&greedy, 4, all), Found::Queue);
        assert_eq!(places.ask(&greedy, 5, all), Found::Full(5));
        assert_eq!(places.ask(&greedy, 6, |waiter| *waiter != 2), Found::Queue, "one has gone meanwhile");
        assert!(places.leave(&modest).is_none(), "those who wait are at their own limit");
        assert_eq!(places.leave(&greedy).unwrap(), (Arc::clone(&greedy), 4));
        assert_eq!(places.leave(&greedy).unwrap(), (Arc::clone(&greedy), 6));
        assert!(places.leave(&greedy).is_none());
        assert!(places.leave(&greedy).is_none());
        assert_eq!((places.taken, places.partners.len(), places.turns.len()), (0, 0, 0), "nothing is left behind");
    }

    #[actix_web::test]
    async fn places_of_those_who_have_gone_go_on() {
        let fairness = Fairness::of(sharing(1, 0, 10)).unwrap();
        let (greedy, modest) = (fairness.share("greedy"), fairness.share("modest"));
        let over = CancellationToken::new();
        let first = fairness.admit(&greedy, &over).await.unwrap();
        // Three that give up before their turn, one that stays.
        for _ in 0..3 {
            let gone = tokio::time::timeout(Duration::from_millis(1), fairness.admit(&greedy, &over)).await;
            assert!(gone.is_err());
        }
        let waiting = fairness.admit(&modest, &over);
        let leaving = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(waiting, leaving);
        let second = second.unwrap().unwrap();
        assert_eq!(fairness.describe()["answered"], 1);
        let ended = CancellationToken::new();
        ended.cancel();
        assert_eq!(fairness.admit(&greedy, &ended).await.unwrap_err().code(), "flow_ended");
        drop(second);
        assert_eq!(fairness.describe(), json!({"answered": 0, "partners": []}));
    }

    #[actix_web::test]
    async fn beyond_the_queue_and_the_rate_is_429_and_beyond_patience_503() {
        let fairness = Fairness::of(Sharing { patience: Duration::ZERO, ..sharing(1, 0, 1) }).unwrap();
        let (partner, over) = (fairness.share("p"), CancellationToken::new());
        let _first = fairness.admit(&partner, &over).await.unwrap();
        let late = fairness.admit(&partner, &over).await.unwrap_err();
        assert_eq!((late.status().as_u16(), late.code()), (503, "too_busy"));
        let none = Fairness::of(sharing(1, 0, 0)).unwrap();
        let partner = none.share("p");
        let _first = none.admit(&partner, &over).await.unwrap();
        let full = none.admit(&partner, &over).await.unwrap_err();
        assert_eq!((full.status().as_u16(), full.code()), (429, "too_many_at_once"));
        let rated = Fairness::of(Sharing { rate_each: NonZeroU32::new(1), ..Sharing::default() }).unwrap();
        let partner = rated.share("p");
        assert!(rated.admit(&partner, &over).await.unwrap().is_none());
        assert!(Arc::ptr_eq(&partner, &rated.share("p")), "all flows of a partner share its rate");
        assert_eq!(rated.admit(&partner, &over).await.unwrap_err().code(), "too_many_requests");
        assert!(Fairness::of(Sharing::default()).is_none(), "nothing is limited when nothing is said");
    }
}
