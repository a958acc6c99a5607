//! Units of work: all or nothing, and what is handed out after the commit.

use serde_json::json;

use super::*;
use crate::store::events::EventQuery;

battery!(
    a_failed_unit_leaves_nothing,
    units_that_share_a_commit_fail_alone,
    events_are_published_after_the_commit_in_order,
);

async fn a_failed_unit_leaves_nothing(fixture: Fixture) {
    let (store, mut steps) = fixture.open("one").await;
    let mut events = store.subscribe_events();
    let failed: StoreResult<()> = store
        .write(|unit| {
            Box::pin(async move {
                processes::insert(unit, negotiation_row("n1", None, true)).await?;
                unit.event(DEFAULT_CONTEXT, "negotiation.requested".into(), "n1", &json!({})).await?;
                Err(StoreError::BadQuery("stop".to_owned()))
            })
        })
        .await;
    assert!(matches!(failed, Err(StoreError::BadQuery(_))));
    assert!(found(&store, "n1").await.is_none());
    assert!(
        events::list(&store, DEFAULT_CONTEXT, &EventQuery { limit: 10, ..EventQuery::default() })
            .await
            .unwrap()
            .is_empty()
    );
    assert!(events.try_recv().is_err() && steps.try_recv().is_err());
}

async fn units_that_share_a_commit_fail_alone(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    let units = (0..300).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |unit| {
                    Box::pin(async move {
                        let id = format!("n{number}");
                        processes::insert(unit, negotiation_row(&id, Some(&id), false)).await?;
                        if number % 3 == 0 { Err(StoreError::BadQuery(id)) } else { Ok(()) }
                    })
                })
                .await
                .is_ok()
        })
    });
    let units: Vec<_> = units.collect();
    let mut kept = 0;
    for unit in units {
        kept += u64::from(unit.await.unwrap());
    }
    assert_eq!(kept, 200);
    assert_eq!(processes::count::<negotiation::Model>(&store, DEFAULT_CONTEXT).await.unwrap(), 200);
}

async fn events_are_published_after_the_commit_in_order(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    let mut live = store.subscribe_events();
    for number in 0..5 {
        store
            .write(move |unit| {
                Box::pin(async move {
                    let kind = if number % 2 == 0 { "transfer.started" } else { "negotiation.agreed" };
                    unit.event(DEFAULT_CONTEXT, kind.into(), &format!("s{number}"), &json!({"number": number})).await
                })
            })
            .await
            .unwrap();
    }
    let mut last = 0;
    for number in 0..5 {
        let event = live.recv().await.unwrap();
        assert!(event.seq > last && event.subject == format!("s{number}"));
        last = event.seq;
    }
    assert_eq!(events::last_seq(&store).await.unwrap(), last);
    let query = |kind: &str, after| EventQuery { after, limit: 10, kind: Some(kind.to_owned()), subject: None };
    let of = |query| {
        let store = store.clone();
        async move { events::list(&store, DEFAULT_CONTEXT, &query).await.unwrap().len() }
    };
    assert_eq!(of(query("transfer.*", 0)).await, 3);
    assert_eq!(of(query("negotiation.agreed", 0)).await, 2);
    assert_eq!(of(query("negotiation.*", last)).await, 0);
}
