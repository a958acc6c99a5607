//! An NGSI-LD broker that is played: it holds entities, answers queries page by page, takes batches and tells subscribers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::{Http, Played};

const CORE: &str = "<https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"";
const DEFAULT: &str = "https://uri.etsi.org/ngsi-ld/default-context/";

#[derive(Default)]
pub struct Held {
    pub entities: BTreeMap<String, Value>,
    /// Addresses that are notified.
    pub subscribers: BTreeMap<String, String>,
    /// Registrations of context sources.
    pub registrations: BTreeMap<String, Value>,
    /// It gives no sensible answer.
    pub away: bool,
    /// Ids that it does not take; a batch with one of them is refused as a whole.
    pub refused: Vec<String>,
    /// It answers no query without a type, and tells these.
    pub types_needed: bool,
}

pub struct Broker {
    pub played: Played,
    held: Arc<Mutex<Held>>,
}

impl Broker {
    pub fn start() -> Self {
        let held: Arc<Mutex<Held>> = Arc::default();
        let state = Arc::clone(&held);
        let played = Played::reading(move |request, body| answer(&mut state.lock().unwrap(), request, body));
        Self { played, held }
    }

    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    pub fn url(&self) -> &str {
        &self.played.url
    }

    pub fn put(&self, entities: impl IntoIterator<Item = Value>) {
        let mut held = self.held();
        for entity in entities {
            held.entities.insert(entity["id"].as_str().unwrap().to_owned(), entity);
        }
    }

    /// Changes an entity and tells all subscribers.
    pub async fn change(&self, entity: Value) {
        self.put([entity.clone()]);
        let addresses: Vec<String> = self.held().subscribers.values().cloned().collect();
        for address in addresses {
            let body = json!({"id": "urn:n:1", "type": "Notification", "data": [entity]});
            let headers = [("content-type", "application/json"), ("link", CORE)];
            let status = Http::new().send("POST", &address, &headers, body.to_string()).await.status;
            assert_eq!(status, 200);
        }
    }

    pub fn ids(&self) -> Vec<String> {
        self.held().entities.keys().cloned().collect()
    }

    pub fn entity(&self, id: &str) -> Option<Value> {
        self.held().entities.get(id).cloned()
    }
}

fn answer(held: &mut Held, request: &HttpRequest, body: &[u8]) -> HttpResponse {
    if held.away {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let read = || serde_json::from_slice::<Value>(body).unwrap();
    match (request.method().as_str(), request.path()) {
        ("GET", "/ngsi-ld/v1/entities") => query(held, request),
        ("GET", "/ngsi-ld/v1/types") => HttpResponse::Ok()
            .insert_header(("link", CORE))
            .json(json!({"id": "urn:types", "type": "EntityTypeList", "typeList": ["Air", "Car"]})),
        ("POST", "/ngsi-ld/v1/entityOperations/upsert") => {
            let batch = read();
            let batch = batch.as_array().unwrap();
            let id = |entity: &Value| entity["id"].as_str().unwrap().to_owned();
            if batch.iter().any(|entity| held.refused.contains(&id(entity))) {
                return HttpResponse::BadRequest().json(json!({"title": "not this one"}));
            }
            let mut unique: Vec<String> = batch.iter().map(id).collect();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), batch.len(), "an id stands twice in a batch");
            let created: Vec<String> = unique.into_iter().filter(|id| !held.entities.contains_key(id)).collect();
            held.entities.extend(batch.iter().map(|entity| (id(entity), entity.clone())));
            match created.is_empty() {
                true => HttpResponse::NoContent().finish(),
                false => HttpResponse::Created().json(created),
            }
        }
        ("POST", "/ngsi-ld/v1/entityOperations/delete") => {
            let ids: Vec<String> = serde_json::from_value(read()).unwrap();
            let (there, missing): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| held.entities.contains_key(id));
            there.iter().for_each(|id| drop(held.entities.remove(id)));
            if missing.is_empty() {
                return HttpResponse::NoContent().finish();
            }
            let kind = "https://uri.etsi.org/ngsi-ld/errors/ResourceNotFound";
            let errors: Vec<Value> =
                missing.iter().map(|id| json!({"entityId": id, "error": {"type": kind, "status": 404}})).collect();
            HttpResponse::MultiStatus().json(json!({"success": there, "errors": errors}))
        }
        ("POST", "/ngsi-ld/v1/entityOperations/query") => {
            let wanted = read();
            let wanted = wanted["entities"].as_array().unwrap();
            let found = wanted.iter().filter_map(|one| held.entities.get(one["id"].as_str().unwrap()));
            HttpResponse::Ok().insert_header(("link", CORE)).json(found.collect::<Vec<_>>())
        }
        ("POST", "/ngsi-ld/v1/subscriptions") => {
            let body = read();
            let uri = body["notification"]["endpoint"]["uri"].as_str().unwrap().to_owned();
            held.subscribers.insert(body["id"].as_str().unwrap().to_owned(), uri);
            HttpResponse::Created().finish()
        }
        ("GET", path) if path.starts_with("/ngsi-ld/v1/entities/") => match held.entities.get(&last(path)) {
            Some(entity) => HttpResponse::Ok().insert_header(("link", CORE)).json(entity),
            None => HttpResponse::NotFound().finish(),
        },
        ("POST", "/ngsi-ld/v1/csourceRegistrations") => {
            let body = read();
            held.registrations.insert(body["id"].as_str().unwrap().to_owned(), body);
            HttpResponse::Created().finish()
        }
        (method, path) if path.starts_with("/ngsi-ld/v1/csourceRegistrations/") => {
            let found = match method {
                "DELETE" => held.registrations.remove(&last(path)),
                _ => held.registrations.get(&last(path)).cloned(),
            };
            match found {
                Some(body) => HttpResponse::Ok().json(body),
                None => HttpResponse::NotFound().finish(),
            }
        }
        ("GET", path) if path.starts_with("/ngsi-ld/v1/subscriptions/") => HttpResponse::Ok().json(json!({})),
        ("DELETE", path) => {
            held.subscribers.remove(&last(path));
            HttpResponse::NoContent().finish()
        }
        _ => HttpResponse::NotFound().finish(),
    }
}

/// The last segment of a path, decoded.
fn last(path: &str) -> String {
    percent_encoding::percent_decode_str(path.rsplit('/').next().unwrap()).decode_utf8().unwrap().into_owned()
}

fn query(held: &Held, request: &HttpRequest) -> HttpResponse {
    let given: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    let number = |name: &str, or: usize| given.get(name).map_or(or, |text| text.parse().unwrap());
    let (limit, offset) = (number("limit", 20), number("offset", 0));
    let list = |name: &str| given.get(name).map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>());
    let (types, ids) = (list("type"), list("id"));
    if types.is_none() && held.types_needed {
        return HttpResponse::BadRequest().json(json!({"title": "too wide"}));
    }
    let is_asked = |entity: &&Value| {
        let kind = entity["type"].as_str().unwrap();
        types.as_ref().is_none_or(|types| types.iter().any(|one| one.trim_start_matches(DEFAULT) == kind))
            && ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id == entity["id"].as_str().unwrap()))
    };
    let found: Vec<&Value> = held.entities.values().filter(is_asked).collect();
    let mut response = HttpResponse::Ok();
    response.append_header(("link", CORE));
    if found.len() > offset + limit {
        let mut more = given.clone();
        more.insert("offset".to_owned(), (offset + limit).to_string());
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(more).finish();
        let host = request.headers().get("host").unwrap().to_str().unwrap();
        response.append_header(("link", format!("<http://{host}/ngsi-ld/v1/entities?{query}>; rel=\"next\"")));
    }
    response.json(found.into_iter().skip(offset).take(limit).collect::<Vec<_>>())
}
