use dps_signaling::{DataFlowState, Signal};
use serde_json::Value;

use super::answer::{Heard, signalled, take_status, without_address};
use super::target::{RESTARTED, aim, next_signal, reached};
use crate::store::events::{self, EventQuery};
use crate::store::transfer::Model;
use crate::store::{data_plane, processes, registry};

const ADDRESS: &str = "{}";

/// A consumer's or provider's pull whose flow is in `state` on its way to `target`.
async fn row(role: &str, state: Option<&str>, target: Option<&str>) -> Model {
    let (_folder, app) = crate::testing::app().await;
    let mut row =
        Model::blank(app.context(), role, "urn:uuid:1".to_owned(), "did:web:them.example", "http://127.0.0.1:1");
    row.format = "HttpData-PULL".to_owned();
    row.flow_state = state.map(str::to_owned);
    row.flow_target = target.map(str::to_owned);
    row
}

#[tokio::test]
async fn a_target_is_dropped_only_while_no_signal_is_under_way() {
    let table = [
        (Some("STARTED"), None, "STARTED", None),
        (Some("STARTED"), None, "SUSPENDED", Some("SUSPENDED")),
        (None, None, "TERMINATED", None),
        (None, None, "PREPARED", Some("PREPARED")),
        (Some("TERMINATED"), Some("STARTED"), "SUSPENDED", None),
        // The answer to a signal may still move these.
        (Some("STARTED"), Some("SUSPENDED"), "STARTED", Some(RESTARTED)),
        (Some("SUSPENDED"), Some("STARTED"), "SUSPENDED", Some("SUSPENDED")),
        (None, Some("PREPARED"), "TERMINATED", Some("TERMINATED")),
    ];
    for (state, before, wanted, after) in table {
        let mut row = row("consumer", state, before).await;
        aim(&mut row, wanted, 1);
        assert_eq!(row.flow_target.as_deref(), after, "{state:?} {before:?} {wanted}");
    }
}

#[tokio::test]
async fn a_resumption_overtakes_the_signal_of_the_pause() {
    for role in ["consumer", "provider"] {
        let mut row = row(role, Some("STARTED"), Some("SUSPENDED")).await;
        row.data_address = Some(ADDRESS.to_owned());
        aim(&mut row, "STARTED", 1);
        assert_eq!(next_signal(&row), Some(Signal::Suspend), "whether the first one arrived is not known");
        take_status(&mut row, DataFlowState::Suspended, None, 2);
        assert_eq!(next_signal(&row), Some(Signal::Resume));
        take_status(&mut row, DataFlowState::Started, None, 3);
        assert_eq!((next_signal(&row), row.flow_target.as_deref()), (None, None), "{role}");
    }
}

#[tokio::test]
async fn a_pause_overtakes_the_signal_of_the_resumption() {
    let mut row = row("consumer", Some("SUSPENDED"), Some("STARTED")).await;
    aim(&mut row, "SUSPENDED", 1);
    // The worker was told that the flow runs: it has to stop.
    take_status(&mut row, DataFlowState::Started, None, 2);
    assert_eq!(next_signal(&row), Some(Signal::Suspend));
    take_status(&mut row, DataFlowState::Suspended, None, 3);
    assert_eq!((next_signal(&row), row.flow_target.as_deref()), (None, None));
}

#[tokio::test]
async fn a_flow_that_is_being_prepared_while_its_transfer_ends_is_ended() {
    let mut row = row("consumer", None, Some("PREPARED")).await;
    aim(&mut row, "TERMINATED", 1);
    assert!(next_signal(&row).is_none() && reached(&row), "nothing to do if the signal never went out");
    take_status(&mut row, DataFlowState::Prepared, None, 2);
    assert_eq!(next_signal(&row), Some(Signal::Terminate));
}

#[tokio::test]
async fn an_event_tells_where_the_data_can_be_read() {
    let (_folder, app) = crate::testing::app().await;
    let plane = data_plane::Model {
        context: app.context().to_owned(),
        id: "plane".to_owned(),
        endpoint: "http://127.0.0.1:1".to_owned(),
        profiles: "[]".to_owned(),
        dialect: "rc3".to_owned(),
        labels: r#"["local=http://127.0.0.1:8292/"]"#.to_owned(),
        authorization: "shared".to_owned(),
        authorization_value: String::new(),
        presence: None,
        presence_since: None,
        present_until: None,
        connection: None,
        created_at: 0,
        updated_at: 0,
    };
    let mut row = row("consumer", Some("PREPARED"), Some("STARTED")).await;
    row.settled = Some("STARTED".to_owned());
    row.data_address = Some(ADDRESS.to_owned());
    row.data_plane_id = Some("plane".to_owned());
    app.store
        .write(move |unit| {
            Box::pin(async move {
                registry::put::<data_plane::Entity>(unit, plane).await?;
                processes::insert(unit, row).await
            })
        })
        .await
        .unwrap();
    for signal in [Signal::Started, Signal::Started, Signal::Suspend, Signal::Resume] {
        signalled(&app, "urn:uuid:1", signal, "plane", Heard::Answer(None)).await.unwrap();
    }
    let query = EventQuery { limit: 9, ..EventQuery::default() };
    let told = events::list(&app.store, app.context(), &query).await.unwrap();
    assert_eq!(told.len(), 2, "once for each time that it becomes readable: {told:?}");
    for event in told {
        let data: Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!((event.kind.as_str(), event.subject.as_str()), ("transfer.readable", "urn:uuid:1"));
        assert_eq!(data["localEndpoint"], "http://127.0.0.1:8292/flows/urn:uuid:1");
        assert_eq!(data["role"], "consumer");
    }
}

#[tokio::test]
async fn an_address_that_was_lost_is_got_anew_and_one_that_there_is_not_is_not_waited_for() {
    let mut row = row("provider", Some("STARTED"), Some("STARTED")).await;
    assert_eq!(next_signal(&row), Some(Signal::Suspend), "an answer was lost");
    without_address(&mut row, DataFlowState::Started);
    assert!(next_signal(&row).is_none() && reached(&row), "the plane gave none");
    assert!(super::super::row::data_address(&row).unwrap().is_none());
}
