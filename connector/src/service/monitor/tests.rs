use serde_json::{Value, json};

use super::*;
use crate::service::process;
use crate::service::registry::{self, DeclaredEventInput};
use crate::store::{agreement, agreements, declared_event, processes, transfer};
use crate::testing::transfer_row;

/// Transfers that run under one agreement in the test.
const MANY: usize = 200;

fn event(kind: &str, subject: &str, data: &Value) -> event::Model {
    let (context, kind, subject) = ("default".to_owned(), kind.to_owned(), subject.to_owned());
    event::Model { seq: 1, context, time: 0, kind, subject, data: data.to_string() }
}

#[tokio::test]
async fn events_say_what_has_to_be_looked_at() {
    let (_folder, app) = crate::testing::app().await;
    let noted = |kind: &str, data: Value| {
        let mut todo = Todo::default();
        todo.note(&app, &event(kind, "urn:x", &data));
        todo
    };
    let transfers = BTreeSet::from(["urn:x".to_owned()]);
    for kind in ["transfer.started", "transfer.suspended"] {
        assert_eq!(noted(kind, json!({})), Todo { transfers: transfers.clone(), ..Todo::default() }, "{kind}");
    }
    for kind in ["declared_event.ended", "consent.withdrawn", "site_modules.loaded"] {
        assert_eq!(noted(kind, json!({})), Todo { everything: true, ..Todo::default() }, "{kind}");
    }
    assert_eq!(noted("negotiation.finalized", json!({})), Todo { ledger: true, ..Todo::default() });
    let agreements = BTreeSet::from(["urn:a".to_owned()]);
    let of_a_duty = Todo { ledger: true, agreements, ..Todo::default() };
    assert_eq!(noted("duty.fulfilled", json!({"agreementId": "urn:a"})), of_a_duty);
    for kind in ["transfer.starting", "transfer.terminated", "dataset.created"] {
        assert_eq!(noted(kind, json!({})), Todo::default(), "{kind}");
    }
}

#[tokio::test]
async fn pokes_wake_and_none_is_lost() {
    let pokes = Pokes::default();
    pokes.poke("urn:a");
    pokes.poke("urn:b");
    pokes.poke("urn:a");
    assert_eq!(pokes.next().await, BTreeSet::from(["urn:a".to_owned(), "urn:b".to_owned()]));
    assert!(tokio::time::timeout(Duration::from_millis(50), pokes.next()).await.is_err(), "nobody has asked");
    pokes.poke("urn:c");
    assert_eq!(pokes.next().await.len(), 1);
}

/// Many running transfers under an agreement that asks for the event `urn:flood`.
async fn running(app: &Arc<App>) {
    let permission = json!([{"action": "use", "constraint": [
        {"leftOperand": "event", "operator": "eq", "rightOperand": "urn:flood"}]}]);
    let body = json!({
        "@id": "urn:a", "@type": "Agreement", "target": "urn:d", "assigner": "did:web:us.example",
        "assignee": "did:web:them.example", "timestamp": "2026-01-01T00:00:00Z", "permission": permission,
    });
    let agreement = agreement::Model {
        id: "urn:a".to_owned(),
        context: app.context().to_owned(),
        role: "provider".to_owned(),
        negotiation_id: "urn:n".to_owned(),
        counter_party: "did:web:them.example".to_owned(),
        counter_address: "http://127.0.0.1:1".to_owned(),
        dataset_id: "urn:d".to_owned(),
        body: body.to_string(),
        purpose: "[]".to_owned(),
        transfer_decision: "automatic".to_owned(),
        created_at: 1,
    };
    app.store
        .write(|unit| {
            Box::pin(async move {
                agreements::insert(unit, agreement).await?;
                for number in 0..MANY {
                    let row = transfer_row(&format!("urn:t:{number}"), "provider", "STARTED");
                    let row = transfer::Model {
                        agreement_id: "urn:a".to_owned(),
                        flow_state: Some("STARTED".to_owned()),
                        data_plane_id: Some("dp".to_owned()),
                        ..row
                    };
                    processes::insert(unit, row).await?;
                }
                Ok::<_, crate::service::ServiceError>(())
            })
        })
        .await
        .unwrap();
}

async fn rows(app: &Arc<App>) -> Vec<transfer::Model> {
    let mut rows = Vec::new();
    for number in 0..MANY {
        let found = processes::find(app.store.reads(), app.context(), &format!("urn:t:{number}")).await;
        rows.push(found.unwrap().unwrap());
    }
    rows
}

#[tokio::test]
async fn what_rests_on_an_event_is_held_together_and_goes_on_together() {
    let (_folder, app) = crate::testing::app().await;
    running(&app).await;
    let look = || look::page(&app, &Which::All, Use::UnderWay, "");
    let began = std::time::Instant::now();
    assert_eq!(look().await.unwrap().len(), MANY);
    println!("{MANY} transfers held in {} ms", began.elapsed().as_millis());
    for row in rows(&app).await {
        assert_eq!((row.state.as_str(), row.held_for.as_deref()), ("SUSPENDING", Some("policy_denies")));
        assert_eq!(row.flow_target.as_deref(), Some("SUSPENDED"), "the data stops before it is announced");
        assert!(row.termination.unwrap().contains("urn:flood"));
    }
    assert!(look().await.unwrap().is_empty(), "what is being suspended is left alone");
    for row in rows(&app).await {
        process::acknowledge::<transfer::Model>(&app, &row.id, &row.owed_id.unwrap(), None).await.unwrap();
    }
    let still = look().await.unwrap();
    assert!(still.len() == MANY && rows(&app).await.iter().all(|row| row.state == "SUSPENDED"), "it does not hold yet");

    let until =
        serde_json::from_value::<DeclaredEventInput>(json!({"id": "urn:flood", "endsAt": "2099-01-01T00:00:00Z"}));
    registry::create::<declared_event::Entity>(&app, until.unwrap()).await.unwrap();
    let seen = look().await.unwrap();
    assert!(seen.iter().all(|seen| seen.next_at == Some(4_070_908_800_000)), "the end of the event is known");
    for row in rows(&app).await {
        assert_eq!((row.state.as_str(), row.held_for), ("STARTING", None));
    }
}
