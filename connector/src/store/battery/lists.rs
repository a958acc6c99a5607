//! Lists: pages, sorting, filters.

use serde_json::json;

use super::*;

battery!(lists_are_paged_without_gap_or_repeat, lists_refuse_what_they_do_not_know,);

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
            let page = processes::list::<negotiation::Model>(&store, DEFAULT_CONTEXT, &query).await.unwrap();
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
        let result = processes::list::<negotiation::Model>(&store, DEFAULT_CONTEXT, &query).await;
        assert!(matches!(result, Err(StoreError::BadQuery(_))), "{query:?}");
    }
    for text in ["'; DROP TABLE negotiation; --", "%", "_"] {
        let filters = vec![Filter { name: "state", value: text.to_owned() }];
        assert!(
            processes::list::<negotiation::Model>(&store, DEFAULT_CONTEXT, &ListQuery { filters, ..base.clone() })
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
