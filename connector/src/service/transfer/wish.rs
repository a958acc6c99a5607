//! What a consumer wants done with the data beside reading it: its own data plane delivers it to a broker. Which brokers there
//! are, data planes say by the label `broker=NAME`.

use dps_signaling::{BROKER_LABEL, Delivery};
use serde_json::Value;

use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::store::{data_plane, registry};

/// Checks the wish of a new transfer, before anything leaves.
///
/// # Errors
/// `bad_member` for what is not understood, `delivery_not_possible` for a push, `unknown_broker` when no data plane of ours
/// has the broker.
pub(super) async fn check(app: &App, wish: &Value, pushed: bool) -> ServiceResult<Delivery> {
    let delivery = Delivery::decode(wish).map_err(|error| ServiceError::bad_request("bad_member", error.message))?;
    if pushed {
        let text = "only what is pulled can be delivered to a broker of ours".to_owned();
        return Err(ServiceError::bad_request("delivery_not_possible", text));
    }
    let planes = registry::all::<data_plane::Entity>(&app.store, app.context()).await?;
    if planes.iter().any(|plane| delivers_to(plane, delivery.broker())) {
        return Ok(delivery);
    }
    let known: Vec<String> = planes.iter().flat_map(brokers).collect();
    let known = if known.is_empty() { "there are none".to_owned() } else { format!("there are: {}", known.join(", ")) };
    let text = format!("no data plane of ours knows the broker `{}`; {known}", delivery.broker());
    Err(ServiceError::bad_request("unknown_broker", text))
}

/// The wish of a transfer.
pub(super) fn delivery(row: &Model) -> Option<Delivery> {
    let wish: Value = serde_json::from_str(row.delivery.as_deref()?).ok()?;
    Delivery::decode(&wish).ok()
}

/// Whether this plane can do what the transfer wants.
pub(super) fn can_deliver(plane: &data_plane::Model, row: &Model) -> bool {
    delivery(row).is_none_or(|delivery| delivers_to(plane, delivery.broker()))
}

fn delivers_to(plane: &data_plane::Model, broker: &str) -> bool {
    brokers(plane).iter().any(|name| name == broker)
}

fn brokers(plane: &data_plane::Model) -> Vec<String> {
    let labels: Vec<String> = serde_json::from_str(&plane.labels).unwrap_or_default();
    labels.iter().filter_map(|label| label.strip_prefix(BROKER_LABEL)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn app_with_plane(labels: &Value) -> (tempfile::TempDir, std::sync::Arc<App>, data_plane::Model) {
        let (folder, app) = crate::testing::app().await;
        let plane = data_plane::Model {
            context: app.context().to_owned(),
            id: "plane".to_owned(),
            endpoint: "http://127.0.0.1:1".to_owned(),
            profiles: "[]".to_owned(),
            dialect: "rc3".to_owned(),
            labels: labels.to_string(),
            authorization: "shared".to_owned(),
            authorization_value: String::new(),
            presence: None,
            presence_since: None,
            present_until: None,
            connection: None,
            created_at: 0,
            updated_at: 0,
        };
        let kept = plane.clone();
        app.store
            .write(move |unit| Box::pin(async move { registry::put::<data_plane::Entity>(unit, kept).await }))
            .await
            .unwrap();
        (folder, app, plane)
    }

    #[tokio::test]
    async fn a_wish_is_held_against_what_our_data_planes_say() {
        let (_folder, app, plane) = app_with_plane(&json!(["local=http://x", "broker=twin"])).await;
        let twin = json!({"mirror": {"broker": "twin"}});
        let kept = check(&app, &twin, false).await.unwrap();
        let mut row = Model::blank(app.context(), "consumer", "t".into(), "p", "http://p");
        assert!(can_deliver(&plane, &row), "nothing is wanted");
        row.delivery = Some(kept.encode().to_string());
        assert!(can_deliver(&plane, &row));
        assert!(!can_deliver(&data_plane::Model { labels: "[]".into(), ..plane }, &row));
        for (wish, pushed, code, named) in [
            (json!({"mirror": {"broker": "other"}}), false, "unknown_broker", "there are: twin"),
            (json!({"mirror": {"broker": 1}}), false, "bad_member", "broker"),
            (twin, true, "delivery_not_possible", "pulled"),
        ] {
            let refusal = check(&app, &wish, pushed).await.unwrap_err();
            assert_eq!(refusal.code, code, "{wish}");
            assert!(refusal.message.contains(named), "{}", refusal.message);
        }
    }
}
