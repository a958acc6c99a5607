//! The served world: tenants, and their values of the present moment.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use time::OffsetDateTime;

use crate::instant;
use crate::live::drift;
use crate::store::Tenant;

/// All tenants at one moment.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The tenant of requests without `NGSILD-Tenant`.
    pub default: Tenant,
    /// The named tenants.
    pub tenants: BTreeMap<String, Tenant>,
}

impl World {
    /// The tenant of this name.
    #[must_use]
    pub fn tenant(&self, name: Option<&str>) -> Option<&Tenant> {
        match name {
            None => Some(&self.default),
            Some(name) => self.tenants.get(name),
        }
    }
}

/// How values drift.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// Seconds between two values, at least 1.
    pub seconds: u32,
    /// Chooses the values.
    pub seed: u64,
}

/// The world and its clock.
#[derive(Debug)]
pub struct Source {
    held: RwLock<Arc<World>>,
    live: Option<Live>,
    started: OffsetDateTime,
    current: RwLock<(u64, Arc<World>)>,
}

impl Source {
    /// A source that starts with these values at `started`.
    #[must_use]
    pub fn new(world: World, live: Option<Live>, started: OffsetDateTime) -> Self {
        let held = Arc::new(world);
        Self { current: RwLock::new((0, Arc::clone(&held))), held: RwLock::new(held), live, started }
    }

    /// When the source started; stands in for `createdAt` and `modifiedAt` where the data has none.
    #[must_use]
    pub fn started(&self) -> String {
        instant::format(self.started)
    }

    /// Changes a tenant that there is, from this moment on.
    pub fn change<T: Default>(&self, tenant: Option<&str>, change: impl FnOnce(&mut Tenant) -> T) -> T {
        let mut held = self.held.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let world = Arc::make_mut(&mut held);
        let tenant = match tenant {
            None => Some(&mut world.default),
            Some(name) => world.tenants.get_mut(name),
        };
        let changed = tenant.map(change).unwrap_or_default();
        // What has drifted since is made anew from what is held.
        *self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = (0, Arc::clone(&held));
        changed
    }

    fn held(&self) -> Arc<World> {
        Arc::clone(&self.held.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// The world at `now`: as it is held before the first tick, and always when nothing drifts.
    #[must_use]
    pub fn world(&self, now: OffsetDateTime) -> Arc<World> {
        let Some(live) = self.live else { return self.held() };
        let elapsed = (now - self.started).whole_seconds();
        let tick = u64::try_from(elapsed).unwrap_or(0) / u64::from(live.seconds.max(1));
        {
            let current = self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            if current.0 == tick {
                return Arc::clone(&current.1);
            }
        }
        let drifted = Arc::new(self.drifted(live, tick));
        *self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = (tick, Arc::clone(&drifted));
        drifted
    }

    fn drifted(&self, live: Live, tick: u64) -> World {
        let mut world = World::clone(&self.held());
        if tick > 0 {
            let seconds = i64::try_from(tick * u64::from(live.seconds.max(1))).unwrap_or(i64::MAX);
            let at = instant::format(self.started.saturating_add(time::Duration::seconds(seconds)));
            for tenant in std::iter::once(&mut world.default).chain(world.tenants.values_mut()) {
                tenant.entities_mut().iter_mut().for_each(|entity| drift(entity, live.seed, tick, &at));
            }
        }
        world
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::Duration;

    use super::*;

    #[test]
    fn what_is_written_is_there_at_once_and_drifts_with_the_rest() {
        let start = instant::parse("2026-03-01T00:00:00Z").unwrap();
        for live in [None, Some(Live { seconds: 2, seed: 1 })] {
            let source = Source::new(World::default(), live, start);
            let now = start + Duration::seconds(9);
            assert!(source.world(now).default.entities().is_empty());
            let put = |id: &str| {
                let record = json!({"id": id, "type": "A", "x": {"value": 1, "observedAt": "2026-03-01T00:00:00Z"}});
                source.change(None, |tenant| tenant.put(crate::model::Entity::parse(record).unwrap().0))
            };
            assert!(put("urn:a") && put("urn:b") && !put("urn:a"));
            assert_eq!(source.world(now).default.entities().len(), 2);
            assert!(source.change(None, |tenant| tenant.remove("urn:a") && !tenant.remove("urn:a")));
            assert_eq!(source.world(now).default.entity("urn:b").unwrap().id(), "urn:b");
            assert!(!source.change(Some("nobody"), |tenant| tenant.remove("urn:b")));
        }
    }

    #[test]
    fn the_world_changes_with_the_tick_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let record = json!({"id": "urn:a", "type": "A", "x": {"value": 500, "observedAt": "2026-03-01T00:00:00Z"}});
        std::fs::write(file.path(), record.to_string()).unwrap();
        let mut world = World::default();
        world.default.load(file.path()).unwrap();
        let start = instant::parse("2026-03-01T00:00:00Z").unwrap();
        let seen = |source: &Source, seconds: i64| {
            let world = source.world(start + Duration::seconds(seconds));
            world.default.entity("urn:a").unwrap().members()["x"].clone()
        };
        let live = Source::new(world.clone(), Some(Live { seconds: 2, seed: 1 }), start);
        assert_eq!(seen(&live, 0)["value"], json!(500));
        assert_eq!(seen(&live, 2), seen(&live, 3));
        assert_ne!(seen(&live, 2), seen(&live, 4));
        assert_eq!(seen(&live, 4)["observedAt"], "2026-03-01T00:00:04Z");
        let still = Source::new(world, None, start);
        assert_eq!(seen(&still, 0), seen(&still, 100));
    }
}
