//! What is narrowed, and what is refused.

use super::*;

const CONTEXT: &str = "https://city.example/context.jsonld";

fn selection() -> Selection {
    serde_json::from_value(json!({
        "types": ["https://m/Air"],
        "ids": ["urn:ngsi-ld:Air:open:*"],
        "attributes": [
            {"name": "https://m/no2"},
            {"name": "https://uri.etsi.org/ngsi-ld/location"},
            {"name": "https://m/name", "languages": ["en"]}
        ],
        "rows": {"q": "https://m/no2>10"},
        "contexts": [{"url": CONTEXT, "terms": {"Air": "https://m/Air", "no2": "https://m/no2", "name": "https://m/name",
            "plate": "https://m/plate"}}],
    }))
    .unwrap()
}

fn try_narrow(subscription: Value) -> Result<Narrowed, Refusal> {
    let filter = Filter::new(selection()).unwrap();
    narrow(&filter, &selection(), subscription.as_object().unwrap(), None, 0)
}

fn with(member: &str, value: Value) -> Value {
    let mut subscription = json!({"type": "Subscription", "entities": [{"type": "Air"}]});
    subscription[member] = value;
    subscription
}

#[test]
fn a_subscription_is_narrowed_to_what_is_admitted() {
    let narrowed =
        try_narrow(json!({"type": "Subscription", "subscriptionName": "mine", "entities": [{"type": "Air"}],
        "q": "no2<90|no2==95", "geoQ": {"georel": "near;maxDistance==5", "geometry": "Point", "coordinates": [1.5, 2]},
        "throttling": 5, "notification": {"endpoint": {"accept": "application/ld+json"}}}))
        .unwrap();
    let expected = json!({"type": "Subscription",
        "entities": [{"type": "Air", "idPattern": "^(urn:ngsi-ld:Air:open:.*)$"}],
        "q": "no2>10;(no2<90|no2==95)",
        "geoQ": {"georel": "near;maxDistance==5", "geometry": "Point", "coordinates": [1.5, 2]},
        "notification": {"attributes": ["no2", "location", "name"], "format": "normalized",
            "endpoint": {"accept": "application/json"}},
        "watchedAttributes": ["no2", "location"],
        "throttling": 5});
    assert_eq!(Value::Object(narrowed.body), expected);
    assert!(!narrowed.bare_entities);
}

#[test]
fn a_pattern_that_every_id_fits_widens_nothing() {
    let all = json!({"type": "Air", "idPattern": ".*"});
    let narrowed = try_narrow(with("entities", json!([all]))).unwrap();
    assert_eq!(narrowed.body["entities"][0], json!({"type": "Air", "idPattern": "^(urn:ngsi-ld:Air:open:.*)$"}));
}

#[test]
fn periodic_ones_watch_nothing() {
    let narrowed = try_narrow(json!({"type": "Subscription", "timeInterval": 60,
        "notification": {"attributes": ["no2"], "format": "keyValues"}}))
    .unwrap();
    assert_eq!(narrowed.body.get("watchedAttributes"), None);
    assert_eq!(narrowed.body["notification"]["attributes"], json!(["no2"]));
    assert_eq!(narrowed.body["entities"][0]["type"], "Air");
}

#[test]
fn attempts_to_see_more_are_refused() {
    for subscription in [
        with("entities", json!([{"type": "Car"}])),
        with("entities", json!([{"type": "*"}])),
        with("entities", json!([{"type": "Air", "id": "urn:ngsi-ld:Air:closed:1"}])),
        with("entities", json!([{"type": "Air", "idPattern": "urn:.*"}])),
        with("entities", json!([{"type": "Air", "idPattern": ".*", "id": "urn:ngsi-ld:Air:open:1"}])),
        with("entities", json!([{"idPattern": ".*"}])),
        with("entities", json!([])),
        with("watchedAttributes", json!(["plate"])),
        with("watchedAttributes", json!(["name"])),
        with("watchedAttributes", json!(["https://m/plate"])),
        with("watchedAttributes", json!(["no2,plate"])),
        with("q", json!("plate==\"AB\"")),
        with("q", json!("no2{Device:plate}>1")),
        with(
            "geoQ",
            json!({"georel": "near;maxDistance==5", "geometry": "Point", "coordinates": [1, 2], "geoproperty": "home"}),
        ),
        with("scopeQ", json!("/secret")),
        with("notificationTrigger", json!(["attributeDeleted"])),
        with("notificationTrigger", json!(["entityDeleted"])),
        with("jsonldContext", json!("https://evil.example/c")),
        with("csf", json!("x")),
        with("@context", json!({"no2": "https://m/plate"})),
        with("expandValues", json!(["no2"])),
        with("temporalQ", json!({})),
        with("expiresAt", json!("tomorrow")),
        with("timeInterval", json!(0.01)),
        with("notification", json!({"attributes": ["plate"]})),
        with("notification", json!({"attributes": ["no2", "location|plate"]})),
        with("notification", json!({"pick": ["id", "type", "plate"]})),
        with("notification", json!({"pick": ["no2"]})),
        with("notification", json!({"omit": ["no2"]})),
        with("notification", json!({"showChanges": true})),
        with("notification", json!({"sysAttrs": true})),
        with("notification", json!({"join": "inline", "joinLevel": 2})),
        with("notification", json!({"format": "normalized,sysAttrs"})),
        with("notification", json!({"endpoint": {"uri": "http://consumer.example/"}})),
        with("notification", json!({"endpoint": {"receiverInfo": [{"key": "Authorization", "value": "x"}]}})),
        with("notification", json!({"endpoint": {"notifierInfo": []}})),
        with("notification", json!({"endpoint": {"accept": "text/csv"}})),
    ] {
        assert!(try_narrow(subscription.clone()).is_err(), "{subscription}");
    }
}
