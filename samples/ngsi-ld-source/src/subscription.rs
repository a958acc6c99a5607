//! Subscriptions (GS CIM 009, clause 5.2.12): what is watched, and what is told when it has changed. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use url::Url;

use crate::body::QueryBody;
use crate::model::{Entity, instances, value_of};
use crate::params::Params;
use crate::problem::Problem;
use crate::query::Selection;
use crate::render::entity::render;
use crate::render::shape::Shape;
use crate::store::Tenant;

/// Members that say which entities are meant, as in a `Query` body.
const SELECTING: [&str; 6] = ["entities", "q", "geoQ", "scopeQ", "lang", "datasetId"];
/// Further members that are served.
const SERVED: [&str; 7] =
    ["id", "type", "watchedAttributes", "timeInterval", "notification", "subscriptionName", "description"];

/// A subscription, and what it told last.
#[derive(Debug)]
pub struct Subscription {
    /// As it was given.
    pub body: Map<String, Value>,
    /// Where notifications go.
    pub endpoint: Url,
    /// The context of its names and of its notifications.
    pub context: String,
    selection: Selection,
    shape: Shape,
    watched: Option<Vec<String>>,
    interval_ms: Option<i64>,
    due_ms: i64,
    told: HashMap<String, String>,
}

impl Subscription {
    /// Reads a subscription; what the entities are at this moment counts as told.
    ///
    /// # Errors
    /// A `BadRequestData` that names the member, or `OperationNotSupported` for one that this source does not serve.
    pub fn parse(body: Map<String, Value>, context: String, held: &Tenant, now_ms: i64) -> Result<Self, Problem> {
        if body.get("type").and_then(Value::as_str) != Some("Subscription") {
            return Err(Problem::bad("the body's `type` must be `Subscription`"));
        }
        if let Some(name) =
            body.keys().find(|name| !SELECTING.contains(&name.as_str()) && !SERVED.contains(&name.as_str()))
        {
            return Err(Problem::unsupported(format!("this test source does not serve the member `{name}`")));
        }
        let notification = body.get("notification").and_then(Value::as_object);
        let notification = notification.ok_or_else(|| Problem::bad("`notification` is missing"))?;
        if let Some(name) =
            notification.keys().find(|name| !["attributes", "format", "endpoint"].contains(&name.as_str()))
        {
            return Err(Problem::unsupported(format!("this test source does not serve `notification.{name}`")));
        }
        let uri = notification.get("endpoint").and_then(|endpoint| endpoint.get("uri")).and_then(Value::as_str);
        let endpoint = uri.and_then(|uri| Url::parse(uri).ok()).filter(|url| url.scheme() == "http");
        let endpoint = endpoint.ok_or_else(|| Problem::bad("`notification.endpoint.uri` must be an http address"))?;
        let format = notification.get("format").and_then(Value::as_str).unwrap_or("normalized");
        let params = Params::parse(&format!("options={format}"), &[&["options"]])?;
        let mut query: Map<String, Value> = body
            .iter()
            .filter(|(name, _)| SELECTING.contains(&name.as_str()))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        query.insert("type".to_owned(), json!("Query"));
        if let Some(Value::Array(names)) = notification.get("attributes") {
            let picked = [json!("id"), json!("type")].into_iter().chain(names.iter().cloned());
            query.insert("pick".to_owned(), picked.collect());
        }
        let QueryBody { selection, shape, .. } =
            QueryBody::parse(Value::Object(query).to_string().as_bytes(), &params, false)?;
        let watched = body.get("watchedAttributes").map(|names| crate::model::strings(Some(names)));
        let interval_ms = match body.get("timeInterval").map(Value::as_f64) {
            None => None,
            #[expect(clippy::cast_possible_truncation, reason = "the range was looked at")]
            Some(Some(seconds)) if (0.1..=1e9).contains(&seconds) => Some((seconds * 1000.0) as i64),
            Some(_) => return Err(Problem::bad("`timeInterval` is not a number of seconds")),
        };
        let due_ms = now_ms.saturating_add(interval_ms.unwrap_or_default());
        let told = HashMap::new();
        let mut read = Self { body, endpoint, context, selection, shape, watched, interval_ms, due_ms, told };
        let present: Vec<(String, String)> =
            held.entities().iter().map(|entity| (entity.id().to_owned(), read.state(entity))).collect();
        read.told.extend(present);
        Ok(read)
    }

    /// What has to be told now, with the states that count as told when that has succeeded.
    #[must_use]
    pub fn due(&self, held: &Tenant, since: &str, now_ms: i64) -> Vec<(Value, (String, String))> {
        if self.interval_ms.is_some() && now_ms < self.due_ms {
            return Vec::new();
        }
        let matching = held.entities().iter().filter(|entity| self.selection.matches(entity));
        matching
            .map(|entity| (entity, self.state(entity)))
            .filter(|(entity, state)| self.interval_ms.is_some() || self.told.get(entity.id()) != Some(state))
            .map(|(entity, state)| (Value::Object(render(entity, &self.shape, since)), (entity.id().to_owned(), state)))
            .collect()
    }

    /// These states were told.
    pub fn told(&mut self, states: impl Iterator<Item = (String, String)>, now_ms: i64) {
        self.told.extend(states);
        self.due_ms = now_ms.saturating_add(self.interval_ms.unwrap_or_default());
    }

    /// The values of what is watched.
    fn state(&self, entity: &Entity) -> String {
        let watched = |name: &&str| self.watched.as_ref().is_none_or(|watched| watched.iter().any(|one| one == name));
        let values = entity.attribute_names().filter(watched).map(|name| {
            let values: Vec<&Value> = entity.instances(name).iter().flat_map(instances).filter_map(value_of).collect();
            json!([name, values])
        });
        values.collect::<Value>().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(value: i64) -> Tenant {
        let file = tempfile::NamedTempFile::new().unwrap();
        let records =
            json!([{"id": "urn:a", "type": "A", "x": value, "y": 1}, {"id": "urn:b", "type": "B", "x": value}]);
        std::fs::write(file.path(), records.to_string()).unwrap();
        let mut tenant = Tenant::default();
        tenant.load(file.path()).unwrap();
        tenant
    }

    fn parse(change: &Value) -> Result<Subscription, Problem> {
        let mut body = json!({"type": "Subscription", "entities": [{"type": "A"}],
            "notification": {"attributes": ["x"], "endpoint": {"uri": "http://127.0.0.1:1/"}}});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Subscription::parse(body.as_object().unwrap().clone(), String::new(), &tenant(1), 0)
    }

    #[test]
    fn a_change_is_told_once() {
        let mut subscription = parse(&json!({"watchedAttributes": ["x"]})).unwrap();
        assert!(subscription.due(&tenant(1), "", 0).is_empty());
        let due = subscription.due(&tenant(2), "", 0);
        assert_eq!(due.iter().map(|(entity, _)| entity["id"].as_str().unwrap()).collect::<Vec<_>>(), ["urn:a"]);
        assert!(due[0].0.get("y").is_none());
        assert_eq!(subscription.due(&tenant(2), "", 0).len(), 1, "until it was taken");
        subscription.told(due.into_iter().map(|(_, state)| state), 0);
        assert!(subscription.due(&tenant(2), "", 0).is_empty());
        assert!(parse(&json!({"watchedAttributes": ["y"]})).unwrap().due(&tenant(2), "", 0).is_empty());
    }

    #[test]
    fn periodic_ones_tell_everything_each_time() {
        let mut subscription = parse(&json!({"timeInterval": 2})).unwrap();
        assert!(subscription.due(&tenant(1), "", 1_999).is_empty());
        assert_eq!(subscription.due(&tenant(1), "", 2_000).len(), 1);
        subscription.told(std::iter::empty(), 2_000);
        assert!(subscription.due(&tenant(1), "", 3_999).is_empty());
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for change in [
            json!({"type": "Other"}),
            json!({"throttling": 5}),
            json!({"timeInterval": "often"}),
            json!({"entities": []}),
            json!({"notification": {}}),
            json!({"notification": {"endpoint": {"uri": "mqtt://x/t"}}}),
            json!({"notification": {"endpoint": {"uri": "http://x/"}, "showChanges": true}}),
        ] {
            assert!(parse(&change).is_err(), "{change}");
        }
    }
}
