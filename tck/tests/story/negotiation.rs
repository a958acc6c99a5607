use serde_json::{Value, json};
use tck::management::{Kind, text};
use tck::pair::{CONSUMER, PROVIDER, Pair, THIRD, counterpart};
use tck::peer::messages;

use super::{only_for, open};

const NEGOTIATION: Kind = Kind::Negotiation;

/// The provider's id of a negotiation that the consumer calls `id`.
async fn at_provider(pair: &Pair, id: &str) -> String {
    let ours = pair.consumer.api().process(NEGOTIATION, id).await.unwrap();
    let theirs = counterpart(pair.provider.api(), NEGOTIATION, text(&ours, "consumerPid")).await.unwrap();
    text(&theirs, "id").to_owned()
}

fn rules(policy: &Value) -> Value {
    json!({"permission": policy["permission"], "prohibition": policy["prohibition"], "obligation": policy["obligation"]})
}

pub async fn an_agreement_is_reached_and_kept_on_both_sides(pair: &Pair) {
    pair.publish("plain", &only_for("active"), &json!({})).await.unwrap();
    let id = pair.negotiate("plain", "automatic").await.unwrap();
    let agreement = pair.consumer.api().agreed(&id).await.unwrap();
    let theirs = at_provider(pair, &id).await;
    assert_eq!(pair.provider.api().agreed(&theirs).await.unwrap(), agreement);

    let path = format!("/agreements/{agreement}");
    let (ours, theirs) = (pair.consumer.api().get(&path).await.unwrap(), pair.provider.api().get(&path).await.unwrap());
    for (side, role) in [(&ours, "consumer"), (&theirs, "provider")] {
        assert_eq!(text(side, "role"), role);
        assert_eq!(text(side, "datasetId"), "plain");
        assert_eq!(text(side, "providerId"), PROVIDER);
        assert_eq!(text(side, "consumerId"), CONSUMER);
    }
    assert_eq!(rules(&ours["policy"]), rules(&theirs["policy"]));

    // Finalized is final: there is nothing left to command.
    let done = pair.consumer.api().process(NEGOTIATION, &id).await.unwrap();
    assert_eq!(done["next"], json!([]));
    let path = format!("/negotiations/{id}/terminate");
    let (status, problem) = pair.consumer.api().call(reqwest::Method::POST, &path, Some(&json!({}))).await.unwrap();
    assert_eq!(status, 409, "{problem}");
    assert!(!text(&problem, "code").is_empty() && !text(&problem, "detail").is_empty(), "{problem}");
}

pub async fn a_counter_offer_is_agreed_on(pair: &Pair) {
    pair.publish("countered", &open(), &json!({"negotiation": "manual"})).await.unwrap();
    let (consumer, provider) = (pair.consumer.api(), pair.provider.api());
    let ours = pair.negotiate("countered", "manual").await.unwrap();
    consumer.reaches(NEGOTIATION, &ours, &["REQUESTED"]).await.unwrap();
    let theirs = at_provider(pair, &ours).await;

    provider.command(NEGOTIATION, &theirs, "offer", json!({})).await.unwrap();
    consumer.reaches(NEGOTIATION, &ours, &["OFFERED"]).await.unwrap();
    provider.reaches(NEGOTIATION, &theirs, &["OFFERED"]).await.unwrap();
    consumer.command(NEGOTIATION, &ours, "counter", json!({})).await.unwrap();
    provider.reaches(NEGOTIATION, &theirs, &["REQUESTED"]).await.unwrap();
    consumer.reaches(NEGOTIATION, &ours, &["REQUESTED"]).await.unwrap();

    provider.command(NEGOTIATION, &theirs, "agree", json!({})).await.unwrap();
    consumer.reaches(NEGOTIATION, &ours, &["AGREED"]).await.unwrap();
    consumer.command(NEGOTIATION, &ours, "verify", json!({})).await.unwrap();
    provider.reaches(NEGOTIATION, &theirs, &["VERIFIED"]).await.unwrap();
    provider.command(NEGOTIATION, &theirs, "finalize", json!({})).await.unwrap();
    let agreement = consumer.agreed(&ours).await.unwrap();
    assert_eq!(provider.agreed(&theirs).await.unwrap(), agreement);
}

pub async fn the_provider_makes_the_first_offer(pair: &Pair) {
    pair.publish("proposed", &open(), &json!({})).await.unwrap();
    let (consumer, provider) = (pair.consumer.api(), pair.provider.api());
    let body = json!({"partner": CONSUMER, "role": "provider", "offerId": "offer-proposed"});
    let begun = provider.post("/negotiations", body).await.unwrap();
    let ours = text(&begun, "id").to_owned();
    let theirs = counterpart(consumer, NEGOTIATION, text(&begun, "providerPid")).await.unwrap();
    let theirs = text(&theirs, "id");
    let offered = consumer.reaches(NEGOTIATION, theirs, &["OFFERED"]).await.unwrap();
    assert_eq!((text(&offered, "role"), text(&offered, "datasetId")), ("consumer", "proposed"));

    consumer.command(NEGOTIATION, theirs, "accept", json!({})).await.unwrap();
    let agreed = consumer.reaches(NEGOTIATION, theirs, &["AGREED", "FINALIZED"]).await.unwrap();
    if text(&agreed, "state") == "AGREED" && agreed["next"].as_array().unwrap().contains(&json!("verify")) {
        consumer.command(NEGOTIATION, theirs, "verify", json!({})).await.unwrap();
    }
    let agreement = consumer.agreed(theirs).await.unwrap();
    assert_eq!(provider.agreed(&ours).await.unwrap(), agreement);
}

pub async fn a_refusal_names_rule_and_fact(pair: &Pair) {
    pair.publish("for-gold", &only_for("gold"), &json!({})).await.unwrap();
    let id = pair.negotiate("for-gold", "automatic").await.unwrap();
    let ours = pair.consumer.api().reaches(NEGOTIATION, &id, &["TERMINATED"]).await.unwrap();
    let theirs = at_provider(pair, &id).await;
    let theirs = pair.provider.api().reaches(NEGOTIATION, &theirs, &["TERMINATED"]).await.unwrap();
    let error = &theirs["error"];
    for member in ["code", "detail", "rule", "fact"] {
        assert!(!text(error, member).is_empty(), "no `{member}` in {theirs}");
    }
    assert!(text(error, "rule").contains("gold"), "{error}");
    // The peer learns why as well.
    assert!(ours["termination"]["reason"].to_string().contains("gold"), "{ours}");
}

pub async fn a_repeated_request_finds_the_same_process(pair: &Pair) {
    pair.publish("repeated", &open(), &json!({"negotiation": "manual"})).await.unwrap();
    let base = format!("{}/dsp/2025-1", pair.provider.control.root());
    let address = format!("{base}/negotiations/request");
    let ours = messages::new_id();
    let offer = messages::open_offer("offer-repeated", "repeated");
    let request = messages::contract_request(&ours, &pair.third.url(), &offer);
    let (status, first) = pair.third.post(&address, &request).await.unwrap();
    assert_eq!((status, text(&first, "state")), (201, "REQUESTED"), "{first}");
    let (status, again) = pair.third.post(&address, &request).await.unwrap();
    assert_eq!((status, &again), (201, &first));

    let other = messages::contract_request(&ours, &format!("{}/elsewhere", pair.third.url()), &offer);
    let (status, error) = pair.third.post(&address, &other).await.unwrap();
    assert_eq!((status, text(&error, "@type")), (400, "ContractNegotiationError"), "{error}");

    let theirs = text(&first, "providerPid");
    pair.provider.api().command(NEGOTIATION, theirs, "agree", json!({})).await.unwrap();
    pair.third.message_about("ContractAgreementMessage", &ours).await.unwrap();
    pair.provider.api().reaches(NEGOTIATION, theirs, &["AGREED"]).await.unwrap();
    let verify = format!("{base}/negotiations/{theirs}/agreement/verification");
    let message = messages::verification(theirs, &ours);
    pair.third.tell(&verify, &message).await.unwrap();
    let (status, error) = pair.third.post(&verify, &message).await.unwrap();
    assert_eq!((status, text(&error, "@type")), (400, "ContractNegotiationError"), "{error}");
    let state = pair.third.get(&format!("{base}/negotiations/{theirs}")).await.unwrap().1;
    assert_eq!(text(&state, "state"), "VERIFIED");
    let end = format!("{base}/negotiations/{theirs}/termination");
    pair.third.tell(&end, &messages::negotiation_termination(theirs, &ours)).await.unwrap();
    let ended = pair.provider.api().reaches(NEGOTIATION, theirs, &["TERMINATED"]).await.unwrap();
    assert_eq!(text(&ended, "counterPartyId"), THIRD);
}
