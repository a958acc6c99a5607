//! What decisions rest on, the ledger, records of decisions, and the transfers that are watched.

use super::*;
use crate::store::running::Which;
use crate::testing::transfer_row;

battery!(
    what_decisions_rest_on_is_read_by_name,
    the_ledger_gives_what_is_due,
    old_records_are_forgotten,
    only_what_runs_or_is_held_is_watched,
    places_of_transfers_are_taken_in_order,
);

fn event_row(id: &str, ends_at: Option<i64>) -> declared_event::Model {
    declared_event::Model {
        context: DEFAULT_CONTEXT.to_owned(),
        id: id.to_owned(),
        title: String::new(),
        starts_at: 10,
        ends_at,
        created_at: 1,
        updated_at: 1,
    }
}

fn consent_row(id: &str) -> consent::Model {
    consent::Model {
        context: DEFAULT_CONTEXT.to_owned(),
        id: id.to_owned(),
        subject: "s".to_owned(),
        datasets: "[]".to_owned(),
        recipients: "[]".to_owned(),
        purposes: "[]".to_owned(),
        given_at: 1,
        expires_at: None,
        withdrawn_at: None,
        created_at: 1,
        updated_at: 1,
    }
}

fn duty_row(id: &str, agreement: &str, next_at: Option<i64>) -> duty::Model {
    let text = |text: &str| text.to_owned();
    duty::Model {
        context: text(DEFAULT_CONTEXT),
        id: text(id),
        agreement_id: text(agreement),
        role: text("provider"),
        counter_party: text("urn:peer"),
        dataset_id: text("d"),
        name: text(id),
        rule: text("obligation o0"),
        kind: text("obligation"),
        action: text("delete"),
        text: text("delete"),
        conditional: true,
        state: text("unset"),
        due_from: next_at,
        due_by: None,
        next_at,
        note: None,
        decided_at: None,
        created_at: 1,
        updated_at: 1,
    }
}

async fn what_decisions_rest_on_is_read_by_name(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    store
        .write(|unit| {
            Box::pin(async move {
                for (id, ends_at) in [("urn:open", None), ("urn:ended", Some(20)), ("urn:ends", Some(21))] {
                    registry::insert::<declared_event::Entity>(unit, DEFAULT_CONTEXT, event_row(id, ends_at)).await?;
                }
                for id in ["c1", "c2"] {
                    registry::insert::<consent::Entity>(unit, DEFAULT_CONTEXT, consent_row(id)).await?;
                }
                duties::insert(unit, vec![duty_row("d1", "a1", None), duty_row("d2", "a2", None)]).await?;
                duties::insert(unit, Vec::new()).await
            })
        })
        .await
        .unwrap();
    let db = store.reads();
    let mut events: Vec<_> =
        facts::events(db, DEFAULT_CONTEXT, 20).await.unwrap().into_iter().map(|row| row.id).collect();
    events.sort();
    assert_eq!(events, ["urn:ends", "urn:open"]);
    let consents = facts::consents(db, DEFAULT_CONTEXT, ["c2", "c3"]).await.unwrap();
    assert_eq!(consents, [consent_row("c2")]);
    let of_a1 = [("a1".to_owned(), "d1".to_owned(), "unset".to_owned())];
    assert_eq!(facts::duties(db, DEFAULT_CONTEXT, "provider", ["a1", "a9"]).await.unwrap(), of_a1);
    assert!(facts::duties(db, DEFAULT_CONTEXT, "consumer", ["a1"]).await.unwrap().is_empty());
    assert!(facts::duties(db, "other", "provider", ["a1"]).await.unwrap().is_empty());
}

async fn the_ledger_gives_what_is_due(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    assert_eq!(duties::next_at(&store, DEFAULT_CONTEXT).await.unwrap(), None);
    store
        .write(|unit| {
            Box::pin(async move {
                let rows = [("later", Some(30)), ("never", None), ("now", Some(20)), ("before", Some(10))];
                duties::insert(unit, rows.map(|(id, next_at)| duty_row(id, "a", next_at)).to_vec()).await
            })
        })
        .await
        .unwrap();
    assert_eq!(duties::next_at(&store, DEFAULT_CONTEXT).await.unwrap(), Some(10));
    store
        .write(|unit| {
            Box::pin(async move {
                let due = duties::due(unit, DEFAULT_CONTEXT, 20).await?;
                assert_eq!(due.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["before", "now"]);
                for row in due {
                    duties::save(unit, duty::Model { next_at: None, state: "due".to_owned(), ..row }).await?;
                }
                assert_eq!(duties::lock(unit, DEFAULT_CONTEXT, "now").await?.unwrap().state, "due");
                assert!(duties::lock(unit, DEFAULT_CONTEXT, "none").await?.is_none());
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    assert_eq!(duties::next_at(&store, DEFAULT_CONTEXT).await.unwrap(), Some(30));
    let due = Filter { name: "state", value: "due".to_owned() };
    let query = ListQuery { filters: vec![due], ..ListQuery::default() };
    assert_eq!(registry::list::<duty::Entity>(&store, DEFAULT_CONTEXT, &query).await.unwrap().items.len(), 2);
    let twice = store.write(|unit| {
        Box::pin(async move {
            duties::insert(unit, vec![duty::Model { name: "later".to_owned(), ..duty_row("again", "a", None) }]).await
        })
    });
    assert!(twice.await.is_err(), "a duty of an agreement is written down once");
}

async fn old_records_are_forgotten(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    let row = |number: i64| decision_record::Model {
        context: DEFAULT_CONTEXT.to_owned(),
        id: format!("r{number}"),
        scope: "transfer".to_owned(),
        process_id: "t".to_owned(),
        agreement_id: "a".to_owned(),
        dataset_id: "d".to_owned(),
        participant: "urn:peer".to_owned(),
        policy_hash: "h".to_owned(),
        facts: "{}".to_owned(),
        allow: number % 2 == 0,
        reasons: "[]".to_owned(),
        created_at: number,
    };
    store
        .write(move |unit| {
            Box::pin(async move {
                for number in 1..=3 {
                    decisions::insert(unit, row(number)).await?;
                }
                assert_eq!(decisions::forget(unit, DEFAULT_CONTEXT, 3).await?, 2);
                decisions::forget(unit, DEFAULT_CONTEXT, 3).await
            })
        })
        .await
        .unwrap();
    let left = registry::list::<decision_record::Entity>(&store, DEFAULT_CONTEXT, &ListQuery::default()).await.unwrap();
    assert_eq!(left.items, [row(3)]);
}

async fn only_what_runs_or_is_held_is_watched(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    store
        .write(move |unit| {
            Box::pin(async move {
                for (id, role, state, held) in [
                    ("t1", "provider", "STARTED", false),
                    ("t2", "provider", "SUSPENDED", true),
                    ("t3", "provider", "SUSPENDED", false),
                    ("t4", "consumer", "STARTED", false),
                    ("t5", "provider", "REQUESTED", false),
                    ("t6", "provider", "STARTED", false),
                    ("t7", "provider", "TERMINATED", true),
                ] {
                    let held_for = held.then(|| "policy_denies".to_owned());
                    let row = transfer::Model { held_for, ..transfer_row(id, role, state) };
                    processes::insert(unit, row).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    let watched = |which: Which, after: &'static str| {
        let store = store.clone();
        async move {
            let rows = running::watched(&store, DEFAULT_CONTEXT, &which, after).await.unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(watched(Which::All, "").await, ["t1", "t2", "t6"]);
    assert_eq!(watched(Which::All, "t1").await, ["t2", "t6"]);
    assert_eq!(watched(Which::Ids(vec!["t6".to_owned(), "t4".to_owned()]), "").await, ["t6"]);
    assert_eq!(
        watched(Which::Agreements(vec!["agreement of t2".to_owned(), "agreement of t3".to_owned()]), "").await,
        ["t2"]
    );
}

async fn places_of_transfers_are_taken_in_order(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    let take = |agreement: &'static str, place: i64| {
        let store = store.clone();
        async move {
            let taken = store.write(move |unit| {
                Box::pin(async move { facts::take_transfer(unit, DEFAULT_CONTEXT, agreement, place).await })
            });
            taken.await.unwrap()
        }
    };
    for (agreement, place, taken) in [
        ("a", 1, true),
        ("a", 1, false),
        ("a", 2, true),
        ("a", 2, false),
        ("a", 4, false),
        ("b", 1, true),
        ("a", 3, true),
    ] {
        assert_eq!(take(agreement, place).await, taken, "{agreement} {place}");
    }
    let used = facts::usage(store.reads(), DEFAULT_CONTEXT, ["a", "none"]).await.unwrap();
    assert_eq!(used.iter().map(|row| (row.meter.as_str(), row.given)).collect::<Vec<_>>(), [("transfers", 3)]);
    let together = (0..8).map(|_| take("c", 1));
    let taken = futures_util::future::join_all(together).await;
    assert_eq!(taken.into_iter().filter(|taken| *taken).count(), 1, "one of those that come at once");
}
