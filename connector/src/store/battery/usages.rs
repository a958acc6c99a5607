//! Uses that are given out: by several replicas at once, and over failed units.

use std::collections::BTreeSet;

use super::*;

battery!(
    what_is_given_is_counted_once,
    replicas_never_give_more_than_there_is,
    a_unit_that_fails_gives_nothing,
    moments_of_the_first_and_the_last_use_are_kept,
);

/// Gives up to `wanted` of `limit`; answers the positions.
async fn give(store: &Store, limit: i64, wanted: i64) -> (i64, i64) {
    let given = store.write(move |unit| {
        Box::pin(async move {
            usage::give(unit, DEFAULT_CONTEXT, "a1", "count", move |row| wanted.min(limit - row.given)).await
        })
    });
    let (before, given) = given.await.unwrap();
    (before.given, before.given + given)
}

async fn counter(store: &Store, meter: &str) -> Option<usage_counter::Model> {
    let all = facts::usage(store.reads(), DEFAULT_CONTEXT, ["a1"]).await.unwrap();
    all.into_iter().find(|row| row.meter == meter)
}

async fn what_is_given_is_counted_once(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    assert!(counter(&store, "count").await.is_none());
    assert_eq!(give(&store, 10, 4).await, (0, 4));
    assert_eq!(give(&store, 10, 4).await, (4, 8));
    assert_eq!(give(&store, 10, 4).await, (8, 10));
    assert_eq!(give(&store, 10, 4).await, (10, 10));
    assert_eq!(give(&store, 5, 4).await, (10, 10), "a smaller limit takes nothing back");
    assert_eq!(counter(&store, "count").await.unwrap().given, 10);
    assert!(counter(&store, "volume").await.is_none());
    assert!(facts::usage(store.reads(), "other", ["a1"]).await.unwrap().is_empty());
}

async fn replicas_never_give_more_than_there_is(fixture: Fixture) {
    let (one, _s1) = fixture.open("one").await;
    let (two, _s2) = fixture.open("two").await;
    let givers: Vec<_> = (0..60)
        .map(|number| {
            let store = if number % 2 == 0 { one.clone() } else { two.clone() };
            tokio::spawn(async move { give(&store, 100, 3).await })
        })
        .collect();
    let mut positions = BTreeSet::new();
    for giver in givers {
        let (from, to) = giver.await.unwrap();
        for position in from + 1..=to {
            assert!(positions.insert(position), "{position} was given twice");
        }
    }
    assert_eq!(positions, (1..=100).collect());
}

async fn a_unit_that_fails_gives_nothing(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    give(&store, 10, 3).await;
    let failed: StoreResult<()> = store
        .write(|unit| {
            Box::pin(async move {
                usage::give(unit, DEFAULT_CONTEXT, "a1", "count", |_| 5).await?;
                Err(StoreError::Closed)
            })
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(counter(&store, "count").await.unwrap().given, 3);
}

async fn moments_of_the_first_and_the_last_use_are_kept(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    give(&store, 10, 0).await;
    let row = counter(&store, "count").await.unwrap();
    assert_eq!((row.first_use_at, row.last_use_at), (None, None), "nothing was used yet");
    give(&store, 10, 1).await;
    let first = counter(&store, "count").await.unwrap().first_use_at.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    give(&store, 10, 1).await;
    let row = counter(&store, "count").await.unwrap();
    assert_eq!(row.first_use_at, Some(first));
    assert!(row.last_use_at.unwrap() > first);
}
