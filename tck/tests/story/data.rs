use std::time::Duration;

use serde_json::{Value, json};
use tck::management::{Kind, text};
use tck::pair::{FILES, Pair, THIRD, counterpart, read};
use tck::peer::messages;
use tck::wait;

const TRANSFER: Kind = Kind::Transfer;
const ENTITIES: &str = "/ngsi-ld/v1/entities?type=Test";

/// The provider's id of a transfer.
async fn at_provider(pair: &Pair, transfer: &Value) -> String {
    let theirs = counterpart(pair.provider.api(), TRANSFER, text(transfer, "consumerPid")).await.unwrap();
    text(&theirs, "id").to_owned()
}

/// Waits until a read is answered with 200, and gives back the body.
async fn answers(address: &str) -> Vec<u8> {
    let mut last = None;
    for _ in 0..250 {
        match read(address, &[]).await {
            Ok((200, body)) => return body,
            Ok((status, body)) => last = Some((status, String::from_utf8_lossy(&body).into_owned())),
            Err(error) => last = Some((0, error.to_string())),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{address} does not answer 200, but {last:?}");
}

/// Waits until a read is refused.
async fn refuses(address: &str) {
    wait::until(format!("{address} refuses"), Duration::from_secs(5), || async {
        let (status, _) = read(address, &[]).await.ok()?;
        (status >= 400).then_some(())
    })
    .await
    .unwrap();
}

pub async fn http_data_flows_until_the_transfer_ends(pair: &Pair) {
    let agreement = pair.agreement(&pair.http_dataset("traffic")).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    let id = text(&transfer, "id").to_owned();
    let theirs = at_provider(pair, &transfer).await;
    let endpoint = text(&transfer, "localEndpoint").to_owned();
    let address = format!("{endpoint}{ENTITIES}");
    let body: Value = serde_json::from_slice(&answers(&address).await).unwrap();
    assert_eq!(body[0]["asked"], ENTITIES);

    // What the dataset does not admit is refused by the provider, and says so.
    let (status, _) = read(&format!("{endpoint}/ngsi-ld/v1/csourceRegistrations"), &[]).await.unwrap();
    assert!((400..500).contains(&status), "{status}");

    // As a local broker: the tenant chooses the flow.
    let local = format!("{}{ENTITIES}", pair.consumer.data.local());
    let (status, body) = read(&local, &[("NGSILD-Tenant", &id)]).await.unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));

    let (consumer, provider) = (pair.consumer.api(), pair.provider.api());
    provider.command(TRANSFER, &theirs, "suspend", json!({})).await.unwrap();
    consumer.reaches(TRANSFER, &id, &["SUSPENDED"]).await.unwrap();
    refuses(&address).await;
    provider.reaches(TRANSFER, &theirs, &["SUSPENDED"]).await.unwrap();
    provider.command(TRANSFER, &theirs, "resume", json!({})).await.unwrap();
    consumer.reaches(TRANSFER, &id, &["STARTED"]).await.unwrap();
    answers(&address).await;
    provider.reaches(TRANSFER, &theirs, &["STARTED"]).await.unwrap();

    // The other side may suspend as well, and then it is the one to go on.
    consumer.command(TRANSFER, &id, "suspend", json!({})).await.unwrap();
    provider.reaches(TRANSFER, &theirs, &["SUSPENDED"]).await.unwrap();
    refuses(&address).await;
    consumer.reaches(TRANSFER, &id, &["SUSPENDED"]).await.unwrap();
    consumer.command(TRANSFER, &id, "resume", json!({})).await.unwrap();
    provider.reaches(TRANSFER, &theirs, &["STARTED"]).await.unwrap();
    consumer.reaches(TRANSFER, &id, &["STARTED"]).await.unwrap();
    answers(&address).await;

    consumer.command(TRANSFER, &id, "terminate", json!({})).await.unwrap();
    provider.reaches(TRANSFER, &theirs, &["TERMINATED"]).await.unwrap();
    consumer.reaches(TRANSFER, &id, &["TERMINATED"]).await.unwrap();
    refuses(&address).await;
}

pub async fn a_file_arrives_whole_and_in_parts(pair: &Pair) {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    pair.put_file("gauge.csv", &bytes).unwrap();
    let source = json!({"files": {"root": FILES, "path": "gauge.csv"}});
    let dataset = json!({"id": "gauge", "title": "a flood gauge", "source": source});
    let agreement = pair.agreement(&dataset).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    let endpoint = text(&transfer, "localEndpoint").to_owned();
    assert!(answers(&endpoint).await == bytes, "the file arrived changed");
    let (status, part) = read(&endpoint, &[("Range", "bytes=1000-1999")]).await.unwrap();
    assert_eq!(status, 206);
    assert!(part == bytes[1000..2000], "the part is another one");

    let id = text(&transfer, "id");
    let theirs = at_provider(pair, &transfer).await;
    pair.provider.api().command(TRANSFER, &theirs, "complete", json!({})).await.unwrap();
    pair.consumer.api().reaches(TRANSFER, id, &["COMPLETED"]).await.unwrap();
    refuses(&endpoint).await;
}

pub async fn pauses_in_quick_succession_leave_the_flow_as_the_last_one_says(pair: &Pair) {
    let agreement = pair.agreement(&pair.http_dataset("paused-often")).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    let (id, theirs) = (text(&transfer, "id"), at_provider(pair, &transfer).await);
    let address = format!("{}{ENTITIES}", text(&transfer, "localEndpoint"));
    let (consumer, provider) = (pair.consumer.api(), pair.provider.api());
    for round in 0..6 {
        let (api, id) = if round % 2 == 0 { (provider, theirs.as_str()) } else { (consumer, id) };
        provider.reaches(TRANSFER, &theirs, &["STARTED"]).await.unwrap();
        consumer.reaches(TRANSFER, text(&transfer, "id"), &["STARTED"]).await.unwrap();
        api.command(TRANSFER, id, "suspend", json!({})).await.unwrap();
        provider.reaches(TRANSFER, &theirs, &["SUSPENDED"]).await.unwrap();
        consumer.reaches(TRANSFER, text(&transfer, "id"), &["SUSPENDED"]).await.unwrap();
        // Nobody waits here for the data planes.
        api.command(TRANSFER, id, "resume", json!({})).await.unwrap();
    }
    answers(&address).await;
    provider.reaches(TRANSFER, &theirs, &["STARTED"]).await.unwrap();
    provider.command(TRANSFER, &theirs, "suspend", json!({})).await.unwrap();
    consumer.reaches(TRANSFER, id, &["SUSPENDED"]).await.unwrap();
    refuses(&address).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (status, _) = read(&address, &[]).await.unwrap();
    assert!(status >= 400, "the flow has gone on by itself");
}

pub async fn a_transfer_without_an_agreement_is_refused(pair: &Pair) {
    let agreement = pair.agreement(&pair.http_dataset("not-for-all")).await.unwrap();
    let address = format!("{}/dsp/2025-1/transfers/request", pair.provider.control.root());
    // The third participant knows the agreement's id, but it is not its agreement.
    for agreement in [agreement.as_str(), "urn:uuid:0000"] {
        let request = messages::transfer_request(&messages::new_id(), &pair.third.url(), agreement, "HttpData-PULL");
        let (status, error) = pair.third.post(&address, &request).await.unwrap();
        assert_eq!((status, text(&error, "@type")), (400, "TransferError"), "{error}");
    }
    let transfers = pair.provider.api().all("/transfers").await.unwrap();
    assert!(!transfers.iter().any(|transfer| text(transfer, "counterPartyId") == THIRD));
}
