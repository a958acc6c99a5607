//! What there is only one of: contexts apart, pids, secrets, agreements, one migration.

use std::sync::Arc;

use sea_orm::ConnectionTrait as _;

use super::registered::dataset_row;
use super::*;

battery!(
    a_pid_of_a_peer_begins_one_process,
    contexts_do_not_see_each_other,
    secrets_are_made_once,
    two_replicas_that_start_together_migrate_once,
    an_agreement_is_written_once,
);

async fn a_pid_of_a_peer_begins_one_process(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    insert(&store, negotiation_row("n1", Some("p1"), false)).await.unwrap();
    let again = insert(&store, negotiation_row("n2", Some("p1"), false)).await;
    assert!(matches!(again, Err(StoreError::Exists(_))), "{again:?}");
    for id in ["n3", "n4"] {
        insert(&store, negotiation_row(id, None, false)).await.unwrap();
    }
    let db = store.reads();
    let row: Option<negotiation::Model> =
        processes::by_counter_pid(db, DEFAULT_CONTEXT, "provider", "urn:peer", "p1").await.unwrap();
    assert_eq!(row.map(|row| row.id).as_deref(), Some("n1"));
    let other: Option<negotiation::Model> =
        processes::by_counter_pid(db, DEFAULT_CONTEXT, "provider", "urn:stranger", "p1").await.unwrap();
    assert!(other.is_none());
}

async fn contexts_do_not_see_each_other(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    store
        .write(|unit| {
            Box::pin(async move {
                let sql =
                    "INSERT INTO participant_context (id, participant_id, created_at) VALUES ('other', 'urn:o', 0)";
                unit.db().execute_unprepared(sql).await?;
                registry::insert::<dataset::Entity>(unit, "other", dataset_row("other", "d1")).await?;
                let row = negotiation::Model { context: "other".into(), ..negotiation_row("n1", None, false) };
                processes::insert(unit, row).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    assert!(found(&store, "n1").await.is_none());
    assert!(registry::find::<dataset::Entity>(store.reads(), DEFAULT_CONTEXT, "d1").await.unwrap().is_none());
    assert_eq!(registry::count::<dataset::Entity>(&store, DEFAULT_CONTEXT).await.unwrap(), 0);
    assert!(
        processes::list::<negotiation::Model>(&store, DEFAULT_CONTEXT, &ListQuery::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

async fn secrets_are_made_once(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    let first = secrets::insert_if_absent(&store, DEFAULT_CONTEXT, "key", "a".into()).await.unwrap();
    let second = secrets::insert_if_absent(&store, DEFAULT_CONTEXT, "key", "b".into()).await.unwrap();
    assert_eq!((first, second), (("a".to_owned(), true), ("a".to_owned(), false)));
    assert_eq!(secrets::default_context(&store, "urn:else").await.unwrap(), "urn:test", "the first name stays");
}

async fn two_replicas_that_start_together_migrate_once(fixture: Fixture) {
    let fixture = Arc::new(fixture);
    let opened: Vec<_> = (0..4)
        .map(|number| {
            let fixture = fixture.clone();
            tokio::spawn(async move { Store::open(&fixture.url, &format!("r{number}")).await.map(|_| ()) })
        })
        .collect();
    for opening in opened {
        opening.await.unwrap().unwrap();
    }
}

async fn an_agreement_is_written_once(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    let row = |negotiation: &str| agreement::Model {
        id: "a1".into(),
        context: DEFAULT_CONTEXT.into(),
        role: "provider".into(),
        negotiation_id: negotiation.into(),
        counter_party: "urn:peer".into(),
        counter_address: "http://peer".into(),
        dataset_id: "d".into(),
        body: "{}".into(),
        purpose: "[]".into(),
        transfer_decision: "automatic".into(),
        created_at: 1,
    };
    let write = |row: agreement::Model| {
        let store = store.clone();
        async move { store.write(|unit| Box::pin(async move { agreements::insert(unit, row).await })).await }
    };
    write(row("n1")).await.unwrap();
    assert!(write(row("n2")).await.is_err(), "the id is taken");
    assert!(
        write(agreement::Model { id: "a2".into(), ..row("n1") }).await.is_err(),
        "the negotiation has its agreement"
    );
    assert_eq!(agreements::count(&store, DEFAULT_CONTEXT).await.unwrap(), 1);
    assert!(agreements::find(store.reads(), DEFAULT_CONTEXT, "consumer", "a1").await.unwrap().is_none());
    assert!(agreements::find_any(store.reads(), DEFAULT_CONTEXT, "a1").await.unwrap().is_some());
}
