use serde_json::{Value, json};
use tck::management::{Kind, text};
use tck::pair::{PROVIDER, Pair, counterpart};

const DATASET: &str = "for-research";

async fn negotiate(pair: &Pair, purpose: Value) -> Value {
    let body = json!({"partner": PROVIDER, "datasetId": DATASET, "purpose": purpose});
    let begun = pair.consumer.api().post("/negotiations", body).await.unwrap();
    let ends = ["TERMINATED", "FINALIZED"];
    pair.consumer.api().reaches(Kind::Negotiation, text(&begun, "id"), &ends).await.unwrap()
}

async fn transfer(pair: &Pair, agreement: &str, purpose: Value) -> Value {
    let body = json!({"agreementId": agreement, "purpose": purpose});
    let begun = pair.consumer.api().post("/transfers", body).await.unwrap();
    let ends = ["TERMINATED", "STARTED"];
    pair.consumer.api().reaches(Kind::Transfer, text(&begun, "id"), &ends).await.unwrap()
}

/// What the consumer declares decides, and stays with the agreement.
pub async fn a_declared_purpose_is_held_to(pair: &Pair) {
    let terms = json!([{"action": "use", "constraint": [
        {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["research", "planning"]}
    ]}]);
    pair.publish(DATASET, &terms, &json!({})).await.unwrap();

    let silent = negotiate(pair, json!([])).await;
    assert!(silent["termination"]["reason"].to_string().contains("purpose is not known"), "{silent}");
    let other = negotiate(pair, json!(["marketing"])).await;
    assert!(other["termination"]["reason"].to_string().contains("declared by the consumer"), "{other}");

    let agreed = negotiate(pair, json!(["research"])).await;
    assert_eq!((text(&agreed, "state"), &agreed["purpose"]), ("FINALIZED", &json!(["research"])), "{agreed}");
    let agreement = text(&agreed, "agreementId");
    let theirs = pair.provider.api().get(&format!("/agreements/{agreement}")).await.unwrap();
    assert_eq!(theirs["purpose"], json!(["research"]));

    let started = transfer(pair, agreement, json!([])).await;
    assert_eq!(text(&started, "state"), "STARTED", "{started}");
    let theirs = counterpart(pair.provider.api(), Kind::Transfer, text(&started, "consumerPid")).await.unwrap();
    assert_eq!(theirs["purpose"], json!(["research"]), "{theirs}");
    let refused = transfer(pair, agreement, json!(["marketing"])).await;
    assert!(refused["termination"]["reason"].to_string().contains("purpose = marketing"), "{refused}");
}
