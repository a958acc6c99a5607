use serde_json::{Value, json};

use super::*;

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
