//! One battery of tests for both databases: every case runs on SQLite and on a real PostgreSQL.
//!
//! PostgreSQL comes from `scripts/with-postgres.sh cargo test …`, which sets `HANSA_TEST_POSTGRES_URL`.

use std::sync::Arc;

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use super::catalog::From;
use super::events::EventQuery;
use super::*;

/// A new, empty database.
struct Fixture {
    url: String,
    /// The file's folder, for SQLite.
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite://{}/test.db", folder.path().display()), _folder: Some(folder) }
    }

    async fn postgres() -> Self {
        let server = std::env::var("HANSA_TEST_POSTGRES_URL")
            .expect("HANSA_TEST_POSTGRES_URL is not set: run this by scripts/with-postgres.sh");
        let name = format!("hansa_{}", uuid::Uuid::new_v4().simple());
        let admin = Database::connect(&server).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        admin.close().await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{base}/{name}"), _folder: None }
    }

    async fn open(&self, owner: &str) -> (Store, UnboundedReceiver<Step>) {
        let opened = Store::open(&self.url, owner).await.unwrap();
        secrets::default_context(&opened.0, "urn:test").await.unwrap();
        opened
    }
}

macro_rules! battery {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $case() { super::$case(super::Fixture::sqlite().await).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $case() { super::$case(super::Fixture::postgres().await).await; })+
        }
    };
}

battery!(
    a_failed_unit_leaves_nothing,
    units_that_share_a_commit_fail_alone,
    events_are_published_after_the_commit_in_order,
    a_row_that_owes_is_leased_and_wakes_the_worker,
    one_of_two_replicas_takes_a_lease,
    an_expired_lease_can_be_taken,
    a_pid_of_a_peer_begins_one_process,
    a_failed_attempt_comes_back_at_its_time,
    lists_are_paged_without_gap_or_repeat,
    lists_refuse_what_they_do_not_know,
    the_registry_keeps_rows_by_id,
    the_catalog_is_paged_both_ways_and_hides,
    contexts_do_not_see_each_other,
    secrets_are_made_once,
    two_replicas_that_start_together_migrate_once,
    an_agreement_is_written_once,
);

fn negotiation_row(id: &str, peer_pid: Option<&str>, owed: bool) -> negotiation::Model {
    negotiation::Model {
        id: id.to_owned(),
        context: DEFAULT_CONTEXT.to_owned(),
        role: "provider".to_owned(),
        counter_party: "urn:peer".to_owned(),
        counter_pid: peer_pid.map(str::to_owned),
        counter_address: "http://peer".to_owned(),
        settled: Some("REQUESTED".to_owned()),
        owed: owed.then(|| "Agreement".to_owned()),
        owed_id: owed.then(|| format!("urn:owed:{id}")),
        state: "REQUESTED".to_owned(),
        dataset_id: "d".to_owned(),
        offer_id: "o".to_owned(),
        offer: "{}".to_owned(),
        agreement: None,
        agreement_id: None,
        decision: "automatic".to_owned(),
        transfer_decision: "automatic".to_owned(),
        claims: "{}".to_owned(),
        initial_digest: None,
        last_taken: None,
        termination: None,
        error: None,
        attempts: 0,
        owed_since: 0,
        next_attempt_at: 0,
        lease_owner: None,
        lease_until: 0,
        created_at: 0,
        updated_at: 0,
    }
}

async fn insert(store: &Store, row: negotiation::Model) -> StoreResult<negotiation::Model> {
    store.write(move |unit| Box::pin(async move { negotiations::insert(unit, row).await })).await
}

async fn found(store: &Store, id: &str) -> Option<negotiation::Model> {
    negotiations::find(store.reads(), DEFAULT_CONTEXT, id).await.unwrap()
}

async fn a_failed_unit_leaves_nothing(fixture: Fixture) {
    let (store, mut steps) = fixture.open("one").await;
    let mut events = store.subscribe_events();
    let failed: StoreResult<()> = store
        .write(|unit| {
            Box::pin(async move {
                negotiations::insert(unit, negotiation_row("n1", None, true)).await?;
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
                        negotiations::insert(unit, negotiation_row(&id, Some(&id), false)).await?;
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
    assert_eq!(negotiations::count(&store, DEFAULT_CONTEXT).await.unwrap(), 200);
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

async fn a_row_that_owes_is_leased_and_wakes_the_worker(fixture: Fixture) {
    let (store, mut steps) = fixture.open("one").await;
    let row = insert(&store, negotiation_row("n1", None, true)).await.unwrap();
    assert_eq!(row.lease_owner.as_deref(), Some("one"));
    assert!(row.lease_until > now_ms());
    assert_eq!(steps.recv().await.map(|step| (step.kind, step.id)), Some((StepKind::Negotiation, "n1".to_owned())));
    let settled = negotiation::Model { owed: None, owed_id: None, ..row };
    store.write(move |unit| Box::pin(async move { negotiations::update(unit, settled).await })).await.unwrap();
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

async fn a_pid_of_a_peer_begins_one_process(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    insert(&store, negotiation_row("n1", Some("p1"), false)).await.unwrap();
    let again = insert(&store, negotiation_row("n2", Some("p1"), false)).await;
    assert!(matches!(again, Err(StoreError::Exists(_))), "{again:?}");
    for id in ["n3", "n4"] {
        insert(&store, negotiation_row(id, None, false)).await.unwrap();
    }
    let db = store.reads();
    let row = negotiations::by_counter_pid(db, DEFAULT_CONTEXT, "provider", "urn:peer", "p1").await.unwrap();
    assert_eq!(row.map(|row| row.id).as_deref(), Some("n1"));
    let other = negotiations::by_counter_pid(db, DEFAULT_CONTEXT, "provider", "urn:stranger", "p1").await.unwrap();
    assert!(other.is_none());
}

async fn a_failed_attempt_comes_back_at_its_time(fixture: Fixture) {
    let (store, mut steps) = fixture.open("one").await;
    let row = insert(&store, negotiation_row("n1", None, true)).await.unwrap();
    steps.recv().await.unwrap();
    let later = now_ms() + 60_000;
    negotiations::postpone(&store, &row, "urn:owed:n1", later, "{}").await.unwrap();
    let saved = found(&store, "n1").await.unwrap();
    assert_eq!((saved.attempts, saved.next_attempt_at), (1, later));
    assert!(saved.lease_until > later, "the lease covers the pause");
    assert_eq!(steps.recv().await.map(|step| step.not_before), Some(later));
    negotiations::postpone(&store, &row, "urn:owed:other", 0, "{}").await.unwrap();
    assert_eq!(found(&store, "n1").await.unwrap().attempts, 1, "it owes something else meanwhile");
}

async fn lists_are_paged_without_gap_or_repeat(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    for number in 0..23 {
        let mut row = negotiation_row(&format!("n{number:02}"), None, false);
        row.role = if number % 2 == 0 { "provider" } else { "consumer" }.to_owned();
        insert(&store, row).await.unwrap();
    }
    for (sort, filter, expected) in [(None, None, 23), (Some("-createdAt"), None, 23), (None, Some("consumer"), 11)] {
        let filters = filter.map(|role: &str| Filter { name: "role", value: role.to_owned() }).into_iter().collect();
        let mut query = ListQuery { limit: Some(5), cursor: None, sort: sort.map(str::to_owned), filters };
        let mut seen = Vec::new();
        loop {
            let page = negotiations::list(&store, DEFAULT_CONTEXT, &query).await.unwrap();
            assert!(page.items.len() <= 5);
            seen.extend(page.items.into_iter().map(|row| (row.created_at, row.id)));
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), expected, "{sort:?} {filter:?}");
        if sort.is_some() {
            sorted.reverse();
        }
        assert_eq!(seen, sorted);
    }
}

async fn lists_refuse_what_they_do_not_know(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    let base = ListQuery::default();
    let unknown = Filter { name: "claims", value: "x".to_owned() };
    for query in [
        ListQuery { sort: Some("claims; DROP TABLE negotiation".to_owned()), ..base.clone() },
        ListQuery { filters: vec![unknown], ..base.clone() },
        ListQuery { cursor: Some("%%%".to_owned()), ..base.clone() },
        ListQuery { cursor: Some("WzEsMl0".to_owned()), ..base.clone() },
        ListQuery { cursor: Some(made_up(&json!(["a", false, "n1"]))), ..base.clone() },
        ListQuery { cursor: Some(made_up(&json!(["1", true, "n\u{0}"]))), ..base.clone() },
    ] {
        let result = negotiations::list(&store, DEFAULT_CONTEXT, &query).await;
        assert!(matches!(result, Err(StoreError::BadQuery(_))), "{query:?}");
    }
    for text in ["'; DROP TABLE negotiation; --", "%", "_"] {
        let filters = vec![Filter { name: "state", value: text.to_owned() }];
        assert!(
            negotiations::list(&store, DEFAULT_CONTEXT, &ListQuery { filters, ..base.clone() })
                .await
                .unwrap()
                .items
                .is_empty()
        );
    }
}

fn made_up(cursor: &serde_json::Value) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(cursor.to_string())
}

fn dataset_row(context: &str, id: &str) -> dataset::Model {
    dataset::Model {
        context: context.to_owned(),
        id: id.to_owned(),
        title: format!("title of {id}"),
        body: "{}".to_owned(),
        created_at: 1,
        updated_at: 1,
    }
}

fn policy_row(id: &str) -> policy::Model {
    let context = DEFAULT_CONTEXT.to_owned();
    policy::Model {
        context,
        id: id.to_owned(),
        title: String::new(),
        body: "{}".to_owned(),
        created_at: 1,
        updated_at: 1,
    }
}

fn offer_row(id: &str, dataset: &str, access: &str) -> offer::Model {
    offer::Model {
        context: DEFAULT_CONTEXT.to_owned(),
        id: id.to_owned(),
        dataset_id: dataset.to_owned(),
        policy_id: "p".to_owned(),
        access_policy_id: access.to_owned(),
        negotiation: "automatic".to_owned(),
        transfer: "automatic".to_owned(),
        created_at: 1,
        updated_at: 1,
    }
}

async fn the_registry_keeps_rows_by_id(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    let add = |row| {
        let store = store.clone();
        async move {
            store
                .write(move |unit| {
                    Box::pin(async move { registry::insert::<dataset::Entity>(unit, DEFAULT_CONTEXT, row).await })
                })
                .await
        }
    };
    add(dataset_row(DEFAULT_CONTEXT, "d1")).await.unwrap();
    assert!(matches!(add(dataset_row(DEFAULT_CONTEXT, "d1")).await, Err(StoreError::Exists(id)) if id == "d1"));
    store
        .write(|unit| {
            Box::pin(async move {
                let row = dataset::Model { title: "new".into(), created_at: 9, ..dataset_row(DEFAULT_CONTEXT, "d1") };
                registry::put::<dataset::Entity>(unit, row).await?;
                registry::insert::<policy::Entity>(unit, DEFAULT_CONTEXT, policy_row("p")).await?;
                registry::insert::<offer::Entity>(unit, DEFAULT_CONTEXT, offer_row("o", "d1", "")).await?;
                assert_eq!(registry::offers_using(unit, DEFAULT_CONTEXT, offer::Column::DatasetId, "d1").await?, 1);
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    let row = registry::find::<dataset::Entity>(store.reads(), DEFAULT_CONTEXT, "d1").await.unwrap().unwrap();
    assert_eq!((row.title.as_str(), row.created_at), ("new", 1), "replaced, but made when it was made");
    let removed = store
        .write(|unit| {
            Box::pin(async move {
                let first = registry::remove::<offer::Entity>(unit, DEFAULT_CONTEXT, "o").await?;
                let second = registry::remove::<offer::Entity>(unit, DEFAULT_CONTEXT, "o").await?;
                Ok::<_, StoreError>((first, second))
            })
        })
        .await
        .unwrap();
    assert_eq!(removed, (true, false));
}

async fn the_catalog_is_paged_both_ways_and_hides(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    store
        .write(|unit| {
            Box::pin(async move {
                registry::insert::<policy::Entity>(unit, DEFAULT_CONTEXT, policy_row("p")).await?;
                for number in 0..10 {
                    let id = format!("d{number}");
                    registry::insert::<dataset::Entity>(unit, DEFAULT_CONTEXT, dataset_row(DEFAULT_CONTEXT, &id))
                        .await?;
                    let access = if number == 4 { "secret" } else { "" };
                    if number != 7 {
                        registry::insert::<offer::Entity>(
                            unit,
                            DEFAULT_CONTEXT,
                            offer_row(&format!("o{number}"), &id, access),
                        )
                        .await?;
                    }
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    let open = vec![String::new()];
    let page = |from| {
        let (store, open) = (store.clone(), open.clone());
        async move {
            let rows = catalog::page(&store, DEFAULT_CONTEXT, &open, &from, 3).await.unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(page(From::Start).await, ["d0", "d1", "d2", "d3"], "one more than asked for tells that there is more");
    assert_eq!(page(From::After("d2".into())).await, ["d3", "d5", "d6", "d8"], "hidden and unoffered ones are missing");
    assert_eq!(page(From::After("d8".into())).await, ["d9"]);
    assert_eq!(page(From::Before("d3".into())).await, ["d0", "d1", "d2"]);
    assert_eq!(page(From::Before("d9".into())).await, ["d3", "d5", "d6", "d8"]);
    let mut policies = catalog::access_policies(&store, DEFAULT_CONTEXT).await.unwrap();
    policies.sort();
    assert_eq!(policies, ["", "secret"]);
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
                negotiations::insert(unit, row).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    assert!(found(&store, "n1").await.is_none());
    assert!(registry::find::<dataset::Entity>(store.reads(), DEFAULT_CONTEXT, "d1").await.unwrap().is_none());
    assert_eq!(registry::count::<dataset::Entity>(&store, DEFAULT_CONTEXT).await.unwrap(), 0);
    assert!(negotiations::list(&store, DEFAULT_CONTEXT, &ListQuery::default()).await.unwrap().items.is_empty());
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
