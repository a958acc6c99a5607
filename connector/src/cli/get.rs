//! `hansa get`: contract, transfer and download in one command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use url::Url;

use super::arguments::Get;
use super::client::{Client, read_secret, text};
use super::download::{self, Download};
use super::failure::{Failure, Outcome};
use super::show::{self, Printer};
use super::{negotiation, partner, transfer};

/// Gets a dataset: reuses an agreement or negotiates one, transfers, downloads, and completes the transfer.
///
/// # Errors
/// Where it failed and why. A download that was cut is taken up where it ended when the same command is given again.
pub(super) async fn get(client: &Client, print: Printer, options: &Get) -> Outcome {
    if print.json && options.output.is_none() {
        return Err(Failure::new("--json prints about the download; name a file for the data with -o"));
    }
    let token = options.local_token_file.as_deref().map(read_secret).transpose()?;
    let partner = partner::resolve(client, &options.partner).await?;
    let patience = Duration::from_secs(options.timeout);
    let (agreement, started) = transferring(client, options, &partner, patience).await?;
    let id = text(&started, "id").to_owned();
    let fetched = match address(&started, options.path.as_deref()) {
        Ok(url) => download::run(Download { url, token, output: options.output.clone() }).await,
        Err(failure) => Err(failure),
    };
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(failure) => {
            let why = explained(client, &id, failure).await;
            end(client, &id, "terminate", json!({"reason": "the download failed"}), options.keep).await;
            return Err(why);
        }
    };
    end(client, &id, "complete", json!({}), options.keep).await;
    let Some(path) = &options.output else { return Ok(()) };
    if print.json {
        return print.value(&json!({
            "file": path.display().to_string(), "bytes": fetched.bytes, "sha256": fetched.sha256,
            "verified": fetched.verified, "agreementId": agreement, "transferId": id,
        }));
    }
    let checked = if fetched.verified { ", SHA-256 as announced" } else { "" };
    show::text(&format!("{}: {} bytes{checked}\n", path.display(), fetched.bytes))
}

/// An agreement and a started transfer under it. When the terms of an agreement that was there admit no transfer any more, a
/// new one is negotiated.
async fn transferring(client: &Client, options: &Get, partner: &str, patience: Duration) -> Outcome<(String, Value)> {
    let there = if options.offer.is_some() { None } else { existing(client, partner, &options.dataset).await? };
    if let Some(agreement) = there {
        match transfer_under(client, &agreement, &options.purpose, patience).await {
            Ok(started) => return Ok((agreement, started)),
            Err(failure) if failure.is_late() => return Err(failure),
            Err(_) => {}
        }
    }
    let mut body = Map::from_iter([
        ("partner".to_owned(), Value::from(partner)),
        ("datasetId".to_owned(), Value::from(options.dataset.as_str())),
    ]);
    if let Some(offer) = &options.offer {
        body.insert("offerId".to_owned(), Value::from(offer.as_str()));
    }
    if !options.purpose.is_empty() {
        body.insert("purpose".to_owned(), options.purpose.as_slice().into());
    }
    let begun = client.post(&["negotiations"], &Value::from(body)).await?;
    let agreed = negotiation::finalized(client, text(&begun, "id"), patience).await?;
    let agreement = text(&agreed, "agreementId").to_owned();
    let started = transfer_under(client, &agreement, &options.purpose, patience).await?;
    Ok((agreement, started))
}

/// The newest agreement on the dataset in which we are the consumer.
async fn existing(client: &Client, partner: &str, dataset: &str) -> Outcome<Option<String>> {
    let filters = [("role", "consumer"), ("counterPartyId", partner), ("datasetId", dataset)];
    let found = client.list("agreements", &filters, 500).await?;
    let items = found.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let newest = items.iter().max_by_key(|item| text(item, "signedAt"));
    Ok(newest.map(|item| text(item, "id").to_owned()))
}

async fn transfer_under(client: &Client, agreement: &str, purpose: &[String], patience: Duration) -> Outcome<Value> {
    let begun = client.post(&["transfers"], &json!({"agreementId": agreement, "purpose": purpose})).await?;
    let id = text(&begun, "id");
    let started = transfer::started(client, id, patience).await;
    if started.as_ref().is_err_and(Failure::is_late) {
        end(client, id, "terminate", json!({"reason": "it did not start in time"}), false).await;
    }
    started
}

/// Ends a transfer, unless it is to stay. The data is there or not; that the end could not be told changes nothing about it.
async fn end(client: &Client, id: &str, word: &str, body: Value, keep: bool) {
    if !keep && let Err(failure) = client.post(&["transfers", id, word], &body).await {
        eprintln!("hansa: the transfer {id} is still open: {failure}");
    }
}

/// A failed download, and why the transfer ended when that was the cause.
async fn explained(client: &Client, id: &str, failure: Failure) -> Failure {
    let Ok(now) = client.get(&["transfers", id]).await else { return failure };
    match text(&now, "state") {
        "STARTED" => failure,
        state => {
            let reasons = now.pointer("/termination/reason").map(ToString::to_string);
            let reasons = reasons.map_or_else(String::new, |reasons| format!(", reason {reasons}"));
            Failure::new(format!("{failure}; the transfer is {state}{reasons}"))
        }
    }
}

/// The local address of the data, with path and query below it.
fn address(transfer: &Value, path: Option<&str>) -> Outcome<Url> {
    let endpoint = text(transfer, "localEndpoint");
    if endpoint.is_empty() {
        return Err(Failure::new("the transfer has no local address to read from; is a data plane of ours running?"));
    }
    let endpoint = endpoint.trim_end_matches('/');
    let whole = match path {
        None | Some("") => endpoint.to_owned(),
        Some(path) if path.starts_with(['/', '?']) => format!("{endpoint}{path}"),
        Some(path) => format!("{endpoint}/{path}"),
    };
    Url::parse(&whole).map_err(|error| Failure::new(format!("`{whole}` is not an address: {error}")))
}

/// Beside the file: what has arrived so far, and of which version it is.
pub(super) fn part_files(output: &Path) -> (PathBuf, PathBuf) {
    let beside = |suffix: &str| {
        let mut name = output.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    (beside(".part"), beside(".part.etag"))
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn paths_go_below_the_local_address() {
        let transfer = json!({"localEndpoint": "http://127.0.0.1:8292/flows/urn:uuid:1/"});
        let table = [
            (None, ""),
            (Some(""), ""),
            (Some("/ngsi-ld/v1/entities?type=A&q=b%20c"), "/ngsi-ld/v1/entities?type=A&q=b%20c"),
            (Some("a.csv"), "/a.csv"),
            (Some("?x=y"), "?x=y"),
        ];
        for (path, below) in table {
            let url = address(&transfer, path).unwrap();
            assert_eq!(url.as_str(), format!("http://127.0.0.1:8292/flows/urn:uuid:1{below}"));
        }
        assert!(address(&json!({}), None).is_err());
    }

    fn options(offer: Option<&str>) -> Get {
        Get {
            partner: "b".into(),
            dataset: "d".into(),
            path: None,
            output: None,
            offer: offer.map(str::to_owned),
            purpose: Vec::new(),
            keep: false,
            local_token_file: None,
            timeout: 1,
        }
    }

    /// An API with an old agreement; transfers under it go to `state`.
    async fn with_agreement(state: &'static str) -> Fake {
        Fake::start(move |asked, _| match asked {
            asked if asked.contains("/events") => (200, json!("data: {\"id\":1}\n\n")),
            asked if asked.starts_with("GET /api/v1/agreements") => {
                (200, json!({"items": [{"id": "old", "signedAt": "1"}, {"id": "new", "signedAt": "2"}], "next": null}))
            }
            "POST /api/v1/negotiations" => (201, json!({"id": "n", "state": "REQUESTING"})),
            "GET /api/v1/negotiations/n" => (200, json!({"id": "n", "state": "FINALIZED", "agreementId": "fresh"})),
            "POST /api/v1/transfers" => (201, json!({"id": "t"})),
            _ => (200, json!({"id": "t", "state": state, "role": "consumer"})),
        })
        .await
    }

    #[tokio::test]
    async fn an_agreement_that_is_there_is_used_again() {
        let fake = with_agreement("STARTED").await;
        let (agreement, _) = transferring(&fake.client, &options(None), "b", Duration::from_secs(5)).await.unwrap();
        assert_eq!(agreement, "new", "the newest");
        assert!(!fake.asked().contains(&"POST negotiations".to_owned()));
        let (agreement, _) =
            transferring(&fake.client, &options(Some("o")), "b", Duration::from_secs(5)).await.unwrap();
        assert_eq!(agreement, "fresh", "an offer that was named is negotiated about");
    }

    #[tokio::test]
    async fn an_agreement_that_admits_nothing_any_more_is_replaced() {
        let fake = with_agreement("TERMINATED").await;
        assert!(transferring(&fake.client, &options(None), "b", Duration::from_secs(5)).await.is_err());
        assert!(fake.asked().contains(&"POST negotiations".to_owned()));
    }

    #[tokio::test]
    async fn a_transfer_that_does_not_start_in_time_is_ended() {
        let fake = with_agreement("REQUESTED").await;
        let failure = transferring(&fake.client, &options(None), "b", Duration::from_millis(300)).await.unwrap_err();
        assert!(failure.is_late(), "{failure}");
        let asked = fake.asked();
        assert!(asked.contains(&"POST transfers/t/terminate".to_owned()), "{asked:?}");
        assert!(!asked.contains(&"POST negotiations".to_owned()));
    }

    #[test]
    fn parts_lie_beside_the_file() {
        let (part, version) = part_files(Path::new("a/b.csv"));
        assert_eq!((part, version), (PathBuf::from("a/b.csv.part"), PathBuf::from("a/b.csv.part.etag")));
    }
}
