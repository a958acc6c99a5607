//! `hansa credential` and `hansa issuance`: what we hold, ask for and issue.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::arguments::{
    CredentialCommand, CredentialList, IdAndWhy, IssuanceCommand, IssuanceList, RequestCredentials, RequestList,
    VerifyCredential,
};
use super::client::{Client, text};
use super::failure::{Failure, Outcome};
use super::show::{Column, Printer};
use super::wait::{self, Goal, Verdict};

const HELD: &str = "credentials";
const REQUESTS: &str = "credential-requests";
const ISSUED: &str = "issued-credentials";
const ISSUANCES: &str = "issuances";

const HELD_COLUMNS: [Column; 6] = [
    ("credential", "/id"),
    ("type", "/type"),
    ("issuer", "/issuer"),
    ("format", "/format"),
    ("state", "/state"),
    ("valid until", "/validUntil"),
];
const REQUEST_COLUMNS: [Column; 5] =
    [("request", "/id"), ("issuer", "/issuer"), ("credentials", "/names"), ("state", "/state"), ("reason", "/reason")];
const OFFER_COLUMNS: [Column; 4] =
    [("offer", "/id"), ("issuer", "/issuer"), ("credentials", "/names"), ("came", "/createdAt")];
const ISSUANCE_COLUMNS: [Column; 6] = [
    ("request", "/id"),
    ("holder", "/holder"),
    ("credentials", "/credentials"),
    ("state", "/state"),
    ("error", "/error"),
    ("next", "/next"),
];
const ISSUED_COLUMNS: [Column; 6] = [
    ("credential", "/id"),
    ("type", "/type"),
    ("holder", "/holder"),
    ("state", "/state"),
    ("reason", "/reason"),
    ("valid until", "/validUntil"),
];

/// `hansa credential …`
///
/// # Errors
/// What the control plane refuses with; when a credential cannot be believed or does not come.
pub(super) async fn run(client: &Client, print: Printer, command: CredentialCommand) -> Outcome {
    match command {
        CredentialCommand::Request(options) => request(client, print, &options).await,
        CredentialCommand::Requests(options) => requests(client, print, &options).await,
        CredentialCommand::Offers(many) => {
            let mut list = client.list("credential-offers", &[], many.limit).await?;
            name_all(print, &mut list);
            print.list(&list, &OFFER_COLUMNS, "no issuer offers us anything")
        }
        CredentialCommand::List(options) => list(client, print, &options).await,
        CredentialCommand::Show(what) => print.item(&client.get(&[HELD, &what.id]).await?),
        CredentialCommand::Verify(options) => verify(client, print, &options).await,
        CredentialCommand::Accept(what) => {
            let accepted = client.post(&[HELD, &what.id, "accept"], &json!({})).await?;
            print.done(&format!("{} of {} is accepted", text(&accepted, "type"), text(&accepted, "issuer")), &accepted)
        }
        CredentialCommand::Remove(what) => {
            client.delete(&[HELD, &what.id]).await?;
            print.done(&format!("credential {} removed", what.id), &json!({"removed": what.id}))
        }
        CredentialCommand::Revoke(what) => {
            let revoked = client.post(&[ISSUED, &what.id, "revoke"], &reason(&what)).await?;
            print.done(&format!("{} of {} is revoked", text(&revoked, "type"), text(&revoked, "holder")), &revoked)
        }
    }
}

/// `hansa issuance …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn issuance(client: &Client, print: Printer, command: IssuanceCommand) -> Outcome {
    match command {
        IssuanceCommand::List(options) => {
            let state = options.state.as_ref().map(|state| state.to_uppercase());
            let list = issuances(client, ISSUANCES, state.as_deref(), &options).await?;
            print.list(&list, &ISSUANCE_COLUMNS, "nobody asks us for credentials")
        }
        IssuanceCommand::Issued(options) => {
            let list = issuances(client, ISSUED, options.state.as_deref(), &options).await?;
            print.list(&list, &ISSUED_COLUMNS, "we have issued no such credential")
        }
        IssuanceCommand::Show(what) => print.item(&client.get(&[ISSUANCES, &what.id]).await?),
        IssuanceCommand::Approve(what) => {
            let approved = client.post(&[ISSUANCES, &what.id, "approve"], &json!({})).await?;
            print.done(&format!("issued; {} is being told", text(&approved, "holder")), &approved)
        }
        IssuanceCommand::Reject(what) => {
            let rejected = client.post(&[ISSUANCES, &what.id, "reject"], &reason(&what)).await?;
            print.done(&format!("refused; {} is being told", text(&rejected, "holder")), &rejected)
        }
    }
}

async fn issuances(client: &Client, kind: &str, state: Option<&str>, options: &IssuanceList) -> Outcome<Value> {
    let filters = [("state", state), ("holder", options.holder.as_deref()), ("sort", Some("-createdAt"))];
    client.list(kind, &given(&filters), options.many.limit).await
}

fn given<'a>(filters: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, &'a str)> {
    filters.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect()
}

fn reason(what: &IdAndWhy) -> Value {
    let reason = what.reason.as_deref();
    Value::from(Map::from_iter(reason.map(|reason| ("reason".to_owned(), Value::from(reason)))))
}

async fn list(client: &Client, print: Printer, options: &CredentialList) -> Outcome {
    let filters = [
        ("state", options.state.as_deref()),
        ("type", options.kind.as_deref()),
        ("issuer", options.issuer.as_deref()),
        ("sort", Some("-createdAt")),
    ];
    let list = client.list(HELD, &given(&filters), options.many.limit).await?;
    print.list(&list, &HELD_COLUMNS, "there is no such credential")
}

async fn requests(client: &Client, print: Printer, options: &RequestList) -> Outcome {
    let state = options.state.as_ref().map(|state| state.to_uppercase());
    let filters = [("state", state.as_deref()), ("issuer", options.issuer.as_deref()), ("sort", Some("-createdAt"))];
    let mut list = client.list(REQUESTS, &given(&filters), options.many.limit).await?;
    name_all(print, &mut list);
    print.list(&list, &REQUEST_COLUMNS, "there is no such request")
}

/// Adds the ids of the credentials, for a table.
fn name_all(print: Printer, list: &mut Value) {
    let items = list.get_mut("items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten().filter(|_| !print.json) {
        let names = item.get("credentials").and_then(Value::as_array);
        let names: Vec<Value> = names.into_iter().flatten().map(|one| Value::from(text(one, "id"))).collect();
        if let Some(members) = item.as_object_mut() {
            members.insert("names".to_owned(), Value::from(names));
        }
    }
}

async fn request(client: &Client, print: Printer, options: &RequestCredentials) -> Outcome {
    let body = json!({"issuer": options.issuer, "credentials": options.credentials});
    let begun = client.post(&[REQUESTS], &body).await?;
    let id = text(&begun, "id");
    if options.patience.no_wait {
        return print.done(&format!("request {id} is with {}", options.issuer), &begun);
    }
    let judge = |request: &Value| match text(request, "state") {
        "REQUESTED" => Verdict::Pending,
        _ => Verdict::Reached,
    };
    let goal = Goal { kind: REQUESTS, what: "the request", id, judge };
    let done = match wait::until(client, goal, Duration::from_secs(options.patience.timeout)).await {
        Err(failure) if failure.is_late() => {
            let text = format!(
                "{} has the request {id} and has not decided within {} s; `hansa credential requests` tells when it has",
                options.issuer, options.patience.timeout
            );
            return Err(Failure::new(text).late());
        }
        done => done?,
    };
    if text(&done, "state") == "ISSUED" {
        return print
            .done(&format!("{} came; `hansa credential list` shows them", options.credentials.join(", ")), &done);
    }
    let why = Some(text(&done, "reason")).filter(|why| !why.is_empty()).unwrap_or("it gave no reason");
    Err(Failure::new(format!("{} refused the request: {why}", options.issuer)))
}

async fn verify(client: &Client, print: Printer, options: &VerifyCredential) -> Outcome {
    let mut body = Map::from_iter([("credential".to_owned(), read(&options.file)?)]);
    body.extend(options.holder.as_deref().map(|holder| ("holder".to_owned(), Value::from(holder))));
    let result = client.post(&[HELD, "verify"], &Value::from(body)).await?;
    print.item(&result)?;
    match result.get("error") {
        None => Ok(()),
        Some(error) => Err(Failure::of("the credential cannot be believed: ", error)),
    }
}

/// A credential from a file: an object, or a JWT, perhaps as a JSON text.
fn read(path: &Path) -> Outcome<Value> {
    let text =
        if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map_err(|error| Failure::new(format!("cannot read `{}`: {error}", path.display())))?;
    match text.trim_start().chars().next() {
        Some('{' | '"') => serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("`{}` is not JSON: {error}", path.display()))),
        Some(_) => Ok(Value::from(text.trim())),
        None => Err(Failure::new(format!("`{}` is empty", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::arguments::Many;
    use super::super::fake::Fake;
    use super::*;

    const PRINT: Printer = Printer { json: true };

    fn wanted(line: &str) -> RequestCredentials {
        use clap::Parser as _;
        let words = std::iter::once("hansa").chain(line.split(' '));
        match super::super::arguments::Arguments::try_parse_from(words).unwrap().command {
            super::super::arguments::Command::Credential { command: CredentialCommand::Request(options) } => options,
            other => panic!("{other:?}"),
        }
    }

    async fn issuer(states: &'static [&'static str]) -> Fake {
        let looks = AtomicUsize::new(0);
        Fake::start(move |asked, _| {
            if asked.contains("/events") {
                return (200, json!("id: 1\ndata: {\"id\":1}\n\n"));
            }
            let look = looks.fetch_add(1, Ordering::SeqCst).min(states.len() - 1);
            (200, json!({"id": "r", "state": states[look], "reason": "not a city"}))
        })
        .await
    }

    #[tokio::test]
    async fn a_request_waits_for_the_decision() {
        let fake = issuer(&["REQUESTED", "REQUESTED", "ISSUED"]).await;
        request(&fake.client, PRINT, &wanted("credential request did:web:a Membership")).await.unwrap();
        assert!(fake.requests.lock().unwrap()[0].contains(r#"{"issuer":"did:web:a","credentials":["Membership"]}"#));
        let fake = issuer(&["REQUESTED", "REJECTED"]).await;
        let failure = request(&fake.client, PRINT, &wanted("credential request did:web:a Membership")).await;
        assert_eq!(failure.unwrap_err().to_string(), "did:web:a refused the request: not a city");
        let fake = issuer(&["REQUESTED"]).await;
        request(&fake.client, PRINT, &wanted("credential request did:web:a M --no-wait")).await.unwrap();
        assert_eq!(fake.asked(), ["POST credential-requests"]);
        let failure = request(&fake.client, PRINT, &wanted("credential request did:web:a M --timeout 0")).await;
        assert!(failure.unwrap_err().to_string().contains("hansa credential requests"));
    }

    #[tokio::test]
    async fn a_credential_that_cannot_be_believed_fails_the_command() {
        let fake = Fake::start(|_, before| match before {
            0 => (200, json!({"verified": true})),
            _ => (200, json!({"verified": false, "error": {"code": "expired", "detail": "it has expired"}})),
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credential.jwt");
        std::fs::write(&file, "eyJ.e30.AA\n").unwrap();
        let options = VerifyCredential { file, holder: Some("did:web:x".to_owned()) };
        verify(&fake.client, PRINT, &options).await.unwrap();
        assert!(fake.requests.lock().unwrap()[0].ends_with(r#"{"credential":"eyJ.e30.AA","holder":"did:web:x"}"#));
        let failure = verify(&fake.client, PRINT, &options).await.unwrap_err().to_string();
        assert_eq!(failure, "the credential cannot be believed: it has expired [expired]");
    }

    #[test]
    fn a_credential_is_read_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c");
        for (written, expected) in
            [(" eyJ.e30.AA \n", json!("eyJ.e30.AA")), ("\"eyJ\"", json!("eyJ")), (" {\"a\": 1}", json!({"a": 1}))]
        {
            std::fs::write(&file, written).unwrap();
            assert_eq!(read(&file).unwrap(), expected);
        }
        for written in ["", " \n", "{\"a\""] {
            std::fs::write(&file, written).unwrap();
            assert!(read(&file).is_err(), "{written:?}");
        }
    }

    #[tokio::test]
    async fn lists_ask_for_what_was_named() {
        let fake = Fake::start(|_, _| (200, json!({"items": [], "next": null}))).await;
        let many = Many { limit: 10 };
        let options = IssuanceList { state: Some("received".to_owned()), holder: None, many };
        issuance(&fake.client, PRINT, IssuanceCommand::List(options)).await.unwrap();
        let options = IssuanceList { state: Some("revoked".to_owned()), holder: Some("did:web:x".to_owned()), many };
        issuance(&fake.client, PRINT, IssuanceCommand::Issued(options)).await.unwrap();
        let asked = fake.asked();
        assert_eq!(asked[0], "GET issuances?state=RECEIVED&sort=-createdAt&limit=10");
        assert_eq!(asked[1], "GET issued-credentials?state=revoked&holder=did%3Aweb%3Ax&sort=-createdAt&limit=10");
    }
}
