//! Leases, and the attempts made under them.

use sea_orm::ConnectionTrait as _;

use super::*;

battery!(
    a_row_that_owes_is_leased_and_wakes_the_worker,
    one_of_two_replicas_takes_a_lease,
    an_expired_lease_can_be_taken,
    a_failed_attempt_comes_back_at_its_time,
);

async fn a_row_that_owes_is_leased_and_wakes_the_worker(fixture: Fixture) {
    let (store, mut steps) = fixture.open("one").await;
    let row = insert(&store, negotiation_row("n1", None, true)).await.unwrap();
    assert_eq!(row.lease_owner.as_deref(), Some("one"));
    assert!(row.lease_until > now_ms());
    assert_eq!(steps.recv().await.map(|step| (step.kind, step.id)), Some((StepKind::Negotiation, "n1".to_owned())));
    let settled = negotiation::Model { owed: None, owed_id: None, ..row };
    store.write(move |unit| Box::pin(async move { processes::update(unit, settled).await })).await.unwrap();
    let row = found(&store, "n1").await.unwrap();
    assert!(row.lease_owner.is_none() && steps.try_recv().is_err());
}

async fn take(store: &Store, id: &'static str) -> bool {
    store.write(move |unit| Box::pin(async move { leases::take(unit, StepKind::Negotiation, id).await })).await.unwrap()
}

async fn set_lease(store: &Store, id: &str, owner: Option<&str>, until: i64) {
    let row = found(store, id).await.unwrap();
    let owner = owner.map_or("NULL".to_owned(), |owner| format!("'{owner}'"));
    let sql = format!("UPDATE negotiation SET lease_owner = {owner}, lease_until = {until} WHERE id = '{}'", row.id);
    store
        .write(move |unit| Box::pin(async move { Ok::<_, StoreError>(unit.db().execute_unprepared(&sql).await?) }))
        .await
        .unwrap();
}

async fn one_of_two_replicas_takes_a_lease(fixture: Fixture) {
    let (one, _s1) = fixture.open("one").await;
    let (two, _s2) = fixture.open("two").await;
    insert(&one, negotiation_row("n1", None, true)).await.unwrap();
    assert!(!take(&two, "n1").await, "the lease is the inserter's");
    assert!(take(&one, "n1").await, "the holder renews");
    for _ in 0..20 {
        set_lease(&one, "n1", None, 0).await;
        let (first, second) = tokio::join!(take(&one, "n1"), take(&two, "n1"));
        assert!(first ^ second, "exactly one replica takes a free lease");
    }
}

async fn an_expired_lease_can_be_taken(fixture: Fixture) {
    let (one, _s1) = fixture.open("one").await;
    let (two, _s2) = fixture.open("two").await;
    insert(&one, negotiation_row("n1", Some("p1"), true)).await.unwrap();
    insert(&one, negotiation_row("n2", Some("p2"), false)).await.unwrap();
    let ids = |steps: Vec<Step>| steps.into_iter().map(|step| step.id).collect::<Vec<_>>();
    assert!(ids(leases::due(&two, true).await.unwrap()).is_empty(), "held by another replica");
    assert_eq!(ids(leases::due(&one, true).await.unwrap()), ["n1"], "a restarted replica finds its own");
    assert!(ids(leases::due(&one, false).await.unwrap()).is_empty(), "a running one knows its own already");
    set_lease(&one, "n1", Some("one"), now_ms() - 1).await;
    assert_eq!(ids(leases::due(&two, false).await.unwrap()), ["n1"]);
    assert!(take(&two, "n1").await && !take(&one, "n1").await);
    assert!(!take(&two, "n2").await, "nothing is owed there");
}

async fn a_failed_attempt_comes_back_at_its_time(fixture: Fixture) {
    let (store, mut steps) = fixture.open("one").await;
    let row = insert(&store, negotiation_row("n1", None, true)).await.unwrap();
    steps.recv().await.unwrap();
    let later = now_ms() + 60_000;
    processes::postpone(&store, &row, "urn:owed:n1", later, "{}").await.unwrap();
    let saved = found(&store, "n1").await.unwrap();
    assert_eq!((saved.attempts, saved.next_attempt_at), (1, later));
    assert!(saved.lease_until > later, "the lease covers the pause");
    assert_eq!(steps.recv().await.map(|step| step.not_before), Some(later));
    processes::postpone(&store, &row, "urn:owed:other", 0, "{}").await.unwrap();
    assert_eq!(found(&store, "n1").await.unwrap().attempts, 1, "it owes something else meanwhile");
}
