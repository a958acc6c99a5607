//! What operators keep, and the catalog made of it.

use super::*;
use crate::store::catalog::From;

battery!(the_registry_keeps_rows_by_id, the_catalog_is_paged_both_ways_and_hides,);

pub(super) fn dataset_row(context: &str, id: &str) -> dataset::Model {
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
