//! `hansa declared-event`, `hansa consent`, `hansa duty`, `hansa decision`: what decisions rest on, and what follows from agreements.

use serde_json::{Map, Value, json};

use super::arguments::{
    ConsentCommand, DecisionCommand, DeclaredEventCommand, DutyCommand, DutyList, IdAndNote, NewConsent,
    NewDeclaredEvent,
};
use super::client::{Client, text};
use super::failure::Outcome;
use super::partner;
use super::show::{Column, Printer};

const EVENTS: [Column; 5] =
    [("event", "/id"), ("title", "/title"), ("in force", "/inForce"), ("from", "/startsAt"), ("until", "/endsAt")];
const CONSENTS: [Column; 7] = [
    ("consent", "/id"),
    ("subject", "/subject"),
    ("holds", "/holds"),
    ("datasets", "/datasets"),
    ("recipients", "/recipients"),
    ("purposes", "/purposes"),
    ("until", "/expiresAt"),
];
const DUTIES: [Column; 8] = [
    ("duty", "/id"),
    ("state", "/state"),
    ("we are", "/role"),
    ("partner", "/counterPartyId"),
    ("what", "/action"),
    ("from", "/dueFrom"),
    ("by", "/dueBy"),
    ("agreement", "/agreementId"),
];
const DECISIONS: [Column; 6] = [
    ("decision", "/id"),
    ("at", "/at"),
    ("for", "/scope"),
    ("partner", "/participantId"),
    ("allowed", "/allow"),
    ("why", "/reasons/0/sentence"),
];

/// `hansa declared-event …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn declared_events(client: &Client, print: Printer, command: DeclaredEventCommand) -> Outcome {
    const PATH: &str = "declared-events";
    match command {
        DeclaredEventCommand::Declare(options) => {
            let shown = client.put(&[PATH, &options.id], &Value::from(declaration(&options))).await?;
            let when = if shown.get("inForce") == Some(&Value::Bool(true)) { "now" } else { text(&shown, "startsAt") };
            print.done(&format!("{} is declared, in force from {when} on", options.id), &shown)
        }
        DeclaredEventCommand::End(what) => {
            let shown = client.post(&[PATH, &what.id, "end"], &json!({})).await?;
            print.done(&format!("{} has ended", what.id), &shown)
        }
        DeclaredEventCommand::List(many) => {
            print.list(&client.list(PATH, &[], many.limit).await?, &EVENTS, "no event is declared")
        }
        DeclaredEventCommand::Show(what) => print.item(&client.get(&[PATH, &what.id]).await?),
        DeclaredEventCommand::Remove(what) => {
            client.delete(&[PATH, &what.id]).await?;
            print.done(&format!("{} removed", what.id), &json!({"removed": what.id}))
        }
    }
}

fn declaration(options: &NewDeclaredEvent) -> Map<String, Value> {
    let members = [("title", &options.title), ("startsAt", &options.from), ("endsAt", &options.until)];
    given(&members)
}

/// `hansa consent …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn consents(client: &Client, print: Printer, command: ConsentCommand) -> Outcome {
    const PATH: &str = "consents";
    match command {
        ConsentCommand::Add(options) => {
            let shown = client.post(&[PATH], &Value::from(consent(&options))).await?;
            print.done(&format!("consent {} recorded", text(&shown, "id")), &shown)
        }
        ConsentCommand::Withdraw(what) => {
            let shown = client.post(&[PATH, &what.id, "withdraw"], &json!({})).await?;
            print.done(&format!("consent {} withdrawn", what.id), &shown)
        }
        ConsentCommand::List(options) => {
            let filters = filters(&[("subject", options.subject.as_deref())]);
            print.list(&client.list(PATH, &filters, options.many.limit).await?, &CONSENTS, "there is no consent")
        }
        ConsentCommand::Show(what) => print.item(&client.get(&[PATH, &what.id]).await?),
        ConsentCommand::Remove(what) => {
            client.delete(&[PATH, &what.id]).await?;
            print.done(&format!("consent {} erased", what.id), &json!({"removed": what.id}))
        }
    }
}

fn consent(options: &NewConsent) -> Map<String, Value> {
    let subject = Some(options.subject.clone());
    let texts =
        [("subject", &subject), ("id", &options.id), ("givenAt", &options.given), ("expiresAt", &options.until)];
    let mut body = given(&texts);
    let lists = [("datasets", &options.datasets), ("recipients", &options.recipients), ("purposes", &options.purposes)];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        body.insert(name.to_owned(), Value::from(list.as_slice()));
    }
    body
}

/// `hansa duty …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn duties(client: &Client, print: Printer, command: DutyCommand) -> Outcome {
    match command {
        DutyCommand::List(options) => list_duties(client, print, &options).await,
        DutyCommand::Show(what) => print.item(&client.get(&["duties", &what.id]).await?),
        DutyCommand::Fulfil(what) => decide(client, print, &what, "fulfil", "fulfilled").await,
        DutyCommand::Violate(what) => decide(client, print, &what, "violate", "violated").await,
    }
}

async fn list_duties(client: &Client, print: Printer, options: &DutyList) -> Outcome {
    let partner = match &options.partner {
        Some(named) => Some(partner::resolve(client, named).await?),
        None => None,
    };
    let filters = filters(&[
        ("role", options.role.as_deref()),
        ("state", options.state.as_deref()),
        ("counterPartyId", partner.as_deref()),
        ("agreementId", options.agreement.as_deref()),
    ]);
    print.list(&client.list("duties", &filters, options.many.limit).await?, &DUTIES, "there is no duty")
}

async fn decide(client: &Client, print: Printer, what: &IdAndNote, command: &str, done: &str) -> Outcome {
    let body = Value::from(given(&[("note", &what.note)]));
    let shown = client.post(&["duties", &what.id, command], &body).await?;
    print.done(&format!("duty {} is {done}", what.id), &shown)
}

/// `hansa decision …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn decisions(client: &Client, print: Printer, command: DecisionCommand) -> Outcome {
    match command {
        DecisionCommand::List(options) => {
            let partner = match &options.partner {
                Some(named) => Some(partner::resolve(client, named).await?),
                None => None,
            };
            let filters = filters(&[
                ("sort", Some("-createdAt")),
                ("scope", options.scope.as_deref()),
                ("participantId", partner.as_deref()),
                ("datasetId", options.dataset.as_deref()),
                ("processId", options.process.as_deref()),
            ]);
            let list = client.list("decisions", &filters, options.many.limit).await?;
            print.list(&list, &DECISIONS, "nothing was decided")
        }
        DecisionCommand::Show(what) => print.item(&client.get(&["decisions", &what.id]).await?),
    }
}

/// The members that are given.
fn given(members: &[(&str, &Option<String>)]) -> Map<String, Value> {
    let given = members.iter().filter_map(|(name, value)| Some(((*name).to_owned(), Value::from(value.as_deref()?))));
    given.collect()
}

/// The filters that are given.
fn filters<'a>(all: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, &'a str)> {
    all.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_sent() {
        let flood = NewDeclaredEvent {
            id: "urn:flood".to_owned(),
            title: None,
            from: None,
            until: Some("2026-11-21T08:00:00Z".to_owned()),
        };
        assert_eq!(Value::from(declaration(&flood)), json!({"endsAt": "2026-11-21T08:00:00Z"}));
        let of_all = NewConsent {
            subject: "p".to_owned(),
            id: None,
            datasets: Vec::new(),
            recipients: vec!["did:web:a".to_owned()],
            purposes: Vec::new(),
            given: None,
            until: None,
        };
        assert_eq!(Value::from(consent(&of_all)), json!({"subject": "p", "recipients": ["did:web:a"]}));
    }
}
