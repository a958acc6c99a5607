//! Data planes that come and go, and what a registration leaves of that.

use super::*;

battery!(a_late_word_of_a_connection_changes_nothing, a_registration_says_nothing_of_presence);

fn plane(id: &str) -> data_plane::Model {
    data_plane::Model {
        context: DEFAULT_CONTEXT.to_owned(),
        id: id.to_owned(),
        endpoint: "http://127.0.0.1:1".to_owned(),
        profiles: "[]".to_owned(),
        dialect: "rc3".to_owned(),
        labels: "[]".to_owned(),
        authorization: "shared".to_owned(),
        authorization_value: String::new(),
        presence: None,
        presence_since: None,
        present_until: None,
        connection: None,
        created_at: 1,
        updated_at: 1,
    }
}

async fn put(store: &Store, row: data_plane::Model) {
    store
        .write(move |unit| Box::pin(async move { registry::put::<data_plane::Entity>(unit, row).await }))
        .await
        .unwrap();
}

async fn now(store: &Store) -> data_plane::Model {
    registry::find::<data_plane::Entity>(store.reads(), DEFAULT_CONTEXT, "a").await.unwrap().unwrap()
}

async fn arrive(store: &Store, id: &'static str, connection: &'static str, until: i64) -> bool {
    store
        .write(move |unit| {
            Box::pin(async move { presence::arrive(unit, DEFAULT_CONTEXT, id, connection, until).await })
        })
        .await
        .unwrap()
}

async fn part(store: &Store, connection: &'static str) -> bool {
    store
        .write(move |unit| Box::pin(async move { presence::part(unit, DEFAULT_CONTEXT, "a", connection).await }))
        .await
        .unwrap()
}

async fn a_late_word_of_a_connection_changes_nothing(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    put(&store, plane("a")).await;
    assert!(!arrive(&store, "b", "first", i64::MAX).await, "unknown");
    assert!(arrive(&store, "a", "first", i64::MAX).await);
    let since = now(&store).await.presence_since;
    assert!(arrive(&store, "a", "second", i64::MAX).await);
    assert_eq!(now(&store).await.presence_since, since, "it was there all the time");
    assert!(!part(&store, "first").await, "another one has replaced it");
    let renew = |connection: &'static str, until| {
        store.write(move |unit| {
            Box::pin(async move { presence::renew(unit, DEFAULT_CONTEXT, "a", connection, until).await })
        })
    };
    assert!(!renew("first", 5).await.unwrap());
    let before = now(&store).await;
    assert!(renew("second", 5).await.unwrap());
    let expire =
        |row: data_plane::Model| store.write(move |unit| Box::pin(async move { presence::expire(unit, &row).await }));
    assert!(!expire(before).await.unwrap(), "it was renewed meanwhile");
    assert!(expire(now(&store).await).await.unwrap());
    assert_eq!(now(&store).await.presence.as_deref(), Some("absent"));
    assert!(!part(&store, "second").await, "it is gone already");
    let leave = || store.write(|unit| Box::pin(async move { presence::leave(unit, DEFAULT_CONTEXT, "a").await }));
    assert!(!leave().await.unwrap());
    assert!(arrive(&store, "a", "third", i64::MAX).await);
    assert!(leave().await.unwrap());
    assert_eq!(now(&store).await.presence.as_deref(), Some("leaving"));
    assert!(part(&store, "third").await);
}

async fn a_registration_says_nothing_of_presence(fixture: Fixture) {
    let (store, _steps) = fixture.open("one").await;
    put(&store, plane("a")).await;
    assert!(arrive(&store, "a", "first", 77).await);
    put(&store, data_plane::Model { endpoint: "http://127.0.0.1:2".to_owned(), ..plane("a") }).await;
    let row = now(&store).await;
    assert_eq!((row.endpoint.as_str(), row.presence.as_deref()), ("http://127.0.0.1:2", Some("present")));
    assert_eq!((row.present_until, row.connection.as_deref()), (Some(77), Some("first")));
}
