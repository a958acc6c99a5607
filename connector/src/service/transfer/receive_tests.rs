use identity::{Identity as _, IncomingRequest, StaticPeer, StaticPeers};

use super::*;
use crate::store::{now_ms, processes};

const CONSUMER: &str = "urn:consumer";

async fn participant() -> Participant {
    let peer = StaticPeer {
        id: CONSUMER.to_owned(),
        accepts_token: "token-of-the-consumer".into(),
        sends_token: "token-of-the-provider".into(),
        claims: json!({}),
    };
    let request = IncomingRequest { authorization: Some("Bearer token-of-the-consumer"), audience: "urn:us" };
    StaticPeers::new(vec![peer]).unwrap().authenticate(&request).await.unwrap()
}

/// A dataset and a concluded agreement about it.
async fn agreed(app: &Arc<App>) {
    agreed_on(app, json!([{"action": "use"}])).await;
}

async fn agreed_on(app: &Arc<App>, permission: Value) {
    let now = now_ms();
    let body = json!({
        "distributions": [{"format": "HttpData-PULL"}],
        "source": {"files": {"root": "exports", "path": ""}},
        "admission": {"methods": ["GET"], "paths": ["/**"]},
    });
    let context = app.context().to_owned();
    let dataset = dataset::Model {
        context: context.clone(),
        id: "urn:ds".into(),
        title: String::new(),
        body: body.to_string(),
        created_at: now,
        updated_at: now,
    };
    let text = json!({
        "@id": "urn:agreement", "@type": "Agreement", "target": "urn:ds", "assigner": app.participant,
        "assignee": CONSUMER, "timestamp": "2026-01-01T00:00:00Z", "permission": permission,
    });
    let agreement = agreement::Model {
        id: "urn:agreement".into(),
        context,
        role: "provider".into(),
        negotiation_id: "urn:n".into(),
        counter_party: CONSUMER.into(),
        counter_address: "http://127.0.0.1:1".into(),
        dataset_id: "urn:ds".into(),
        body: text.to_string(),
        purpose: "[]".to_owned(),
        transfer_decision: "manual".into(),
        created_at: now,
    };
    app.store
        .write(move |unit| {
            Box::pin(async move {
                registry::put::<dataset::Entity>(unit, dataset).await?;
                agreements::insert(unit, agreement).await?;
                Ok::<_, ServiceError>(())
            })
        })
        .await
        .unwrap();
}

fn request(agreement: &str, format: &str) -> TransferRequestMessage {
    TransferRequestMessage::parse(&json!({
        "@context": [dsp_protocol::context::DSP_CONTEXT], "@type": "TransferRequestMessage",
        "consumerPid": "urn:uuid:c1", "agreementId": agreement, "format": format,
        "callbackAddress": "http://127.0.0.1:1/dsp",
    }))
    .unwrap()
}

#[tokio::test]
async fn an_equal_request_gets_the_existing_transfer_and_another_one_is_refused() {
    let (_folder, app) = crate::testing::app().await;
    agreed(&app).await;
    let participant = participant().await;
    let ask =
        |digest: &str| receive_request(&app, &participant, request("urn:agreement", "HttpData-PULL"), digest.into());
    let first = ask("one").await.unwrap();
    assert_eq!(first["state"], "REQUESTED");
    assert_eq!(ask("one").await.unwrap(), first, "the existing process, nothing new");
    assert_eq!(ask("two").await.unwrap_err().code, "duplicate_pid");
    assert_eq!(processes::count::<Model>(&app.store, app.context()).await.unwrap(), 1);
}

#[tokio::test]
async fn what_the_agreement_does_not_cover_is_refused_and_nothing_is_stored() {
    let (_folder, app) = crate::testing::app().await;
    agreed(&app).await;
    let participant = participant().await;
    for (agreement, format, code) in
        [("urn:other", "HttpData-PULL", "unknown_agreement"), ("urn:agreement", "Carrier-PIGEON", "unknown_format")]
    {
        let error = receive_request(&app, &participant, request(agreement, format), "d".into()).await.unwrap_err();
        assert_eq!((error.code, error.kind.status()), (code, 400));
    }
    assert_eq!(processes::count::<Model>(&app.store, app.context()).await.unwrap(), 0);
}

/// Our side of a transfer with the consumer of these tests; the machine's state and who suspended as given.
async fn transfer(app: &Arc<App>, our_role: &str, settled: &str, owed: Option<TransferMessage>) -> Model {
    let mut row = Model::blank(app.context(), our_role, "urn:uuid:ours".into(), CONSUMER, "http://127.0.0.1:1/dsp");
    row.counter_pid = Some("urn:uuid:theirs".into());
    row.format = "HttpData-PULL".into();
    row.agreement_id = "urn:agreement".into();
    row.settled = Some(settled.into());
    row.state = settled.into();
    row.suspended_by = (settled == "SUSPENDED").then(|| "both".to_owned());
    row.owed = owed.map(|message| message.as_str().to_owned());
    row.owed_id = owed.map(|_| "urn:uuid:owed".to_owned());
    row.attempts = 1;
    row.next_attempt_at = i64::MAX / 2;
    app.store.write(|unit| Box::pin(async move { processes::insert(unit, row).await })).await.unwrap()
}

async fn now(app: &App) -> Model {
    processes::find(app.store.reads(), app.context(), "urn:uuid:ours").await.unwrap().unwrap()
}

async fn incoming(app: &Arc<App>, kind: &str) -> ServiceResult<()> {
    let (ours, theirs) = ("urn:uuid:ours", "urn:uuid:theirs");
    let provider = role(&now(app).await) == Role::Provider;
    let (provider, consumer) = if provider { (ours, theirs) } else { (theirs, ours) };
    let value = json!({
        "@context": [dsp_protocol::context::DSP_CONTEXT], "@type": kind, "providerPid": provider, "consumerPid": consumer,
    });
    let message = match kind {
        "TransferStartMessage" => Incoming::Start(TransferStartMessage::parse(&value).unwrap()),
        _ => Incoming::Suspension(TransferSuspensionMessage::parse(&value).unwrap()),
    };
    let from = Sender { pid: theirs.into(), key: kind.into(), used: None };
    receive(app, &participant().await, ours, from, message).await
}

#[tokio::test]
async fn when_both_suspend_at_once_either_side_may_resume() {
    for our_role in ["consumer", "provider"] {
        let (_folder, app) = crate::testing::app().await;
        agreed(&app).await;
        transfer(&app, our_role, "STARTED", Some(TransferMessage::Suspension)).await;
        incoming(&app, "TransferSuspensionMessage").await.unwrap();
        let row = now(&app).await;
        assert_eq!((row.state.as_str(), row.suspended_by.as_deref()), ("SUSPENDED", Some("both")), "{our_role}");
        assert_eq!(super::super::next_commands(&row), ["resume", "terminate"]);
        incoming(&app, "TransferStartMessage").await.unwrap();
        let row = now(&app).await;
        let after = if our_role == "consumer" { "STARTED" } else { "STARTING" };
        assert_eq!(row.state, after, "the provider's own start follows, with the address");
    }
}

#[tokio::test]
async fn a_suspension_of_ours_alone_is_lifted_by_us_alone() {
    let (_folder, app) = crate::testing::app().await;
    let mut row = transfer(&app, "provider", "SUSPENDED", None).await;
    row.suspended_by = Some("provider".into());
    app.store.write(|unit| Box::pin(async move { processes::update(unit, row).await })).await.unwrap();
    assert_eq!(incoming(&app, "TransferStartMessage").await.unwrap_err().code, "suspended_by_us");
}

#[tokio::test]
async fn a_consumer_resumes_only_what_the_agreement_still_admits() {
    let (_folder, app) = crate::testing::app().await;
    let over = json!([{"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2026-01-02T00:00:00Z"}]);
    agreed_on(&app, json!([{"action": "use", "constraint": over}])).await;
    let mut row = transfer(&app, "provider", "SUSPENDED", None).await;
    row.suspended_by = Some("consumer".into());
    app.store.write(|unit| Box::pin(async move { processes::update(unit, row).await })).await.unwrap();
    let refused = incoming(&app, "TransferStartMessage").await.unwrap_err();
    assert_eq!((refused.code, refused.kind.status()), ("policy_denied", 400));
    assert!(refused.fact.is_some() && now(&app).await.state == "SUSPENDED", "and nothing has changed");
}

#[tokio::test]
async fn when_both_resume_at_once_the_providers_start_goes_on() {
    let (_folder, app) = crate::testing::app().await;
    transfer(&app, "provider", "SUSPENDED", Some(TransferMessage::Start)).await;
    incoming(&app, "TransferStartMessage").await.unwrap();
    let row = now(&app).await;
    assert_eq!((row.owed.as_deref(), row.owed_id.as_deref()), (Some("Start"), Some("urn:uuid:owed")));
}

#[tokio::test]
async fn a_resumption_that_overtakes_the_answer_to_our_suspension_is_taken() {
    for (our_role, after) in [("consumer", "STARTED"), ("provider", "STARTING")] {
        let (_folder, app) = crate::testing::app().await;
        agreed(&app).await;
        transfer(&app, our_role, "STARTED", Some(TransferMessage::Suspension)).await;
        incoming(&app, "TransferStartMessage").await.unwrap();
        let row = now(&app).await;
        assert_eq!((row.state.as_str(), row.flow_target.as_deref()), (after, Some("STARTED")));
    }
}

#[tokio::test]
async fn a_refused_resumption_is_left_to_the_counter_party() {
    let (_folder, app) = crate::testing::app().await;
    let row = transfer(&app, "consumer", "SUSPENDED", Some(TransferMessage::Start)).await;
    let shown = json!({
        "@context": [dsp_protocol::context::DSP_CONTEXT], "@type": "TransferProcess", "state": "SUSPENDED",
        "providerPid": "urn:uuid:theirs", "consumerPid": "urn:uuid:ours",
    });
    let why = ServiceError::peer("refused_by_peer", "the counter-party answered with status 400: no");
    assert!(crate::service::process::adopt_peer_state(&app, &row, &shown, &why).await.unwrap());
    let row = now(&app).await;
    assert_eq!((row.state.as_str(), row.suspended_by.as_deref()), ("SUSPENDED", Some("provider")));
    assert!(row.error.is_some_and(|error| error.contains("status 400: no")));
    assert_eq!(row.owed, None);
    incoming(&app, "TransferStartMessage").await.unwrap();
    let row = now(&app).await;
    assert_eq!((row.state.as_str(), row.error), ("STARTED", None));
}

#[tokio::test]
async fn a_consumer_keeps_its_flow_while_the_provider_moves_it() {
    let (_folder, app) = crate::testing::app().await;
    let participant = participant().await;
    let mut row = transfer(&app, "consumer", "STARTED", None).await;
    row.data_plane_id = Some("plane".into());
    row.flow_state = Some("STARTED".into());
    row.data_address = Some("{}".into());
    app.store.write(|unit| Box::pin(async move { processes::update(unit, row).await })).await.unwrap();
    let take = async |message, digest: &str| {
        receive(
            &app,
            &participant,
            "urn:uuid:ours",
            Sender { pid: "urn:uuid:theirs".into(), key: digest.into(), used: None },
            message,
        )
        .await
    };
    let now =
        async || processes::find::<Model>(app.store.reads(), app.context(), "urn:uuid:ours").await.unwrap().unwrap();

    let text = json!({
        "@context": [dsp_protocol::context::DSP_CONTEXT], "@type": "TransferSuspensionMessage",
        "providerPid": "urn:uuid:theirs", "consumerPid": "urn:uuid:ours", "code": "data_plane_moved", "reason": ["soon"],
    });
    take(Incoming::Suspension(TransferSuspensionMessage::parse(&text).unwrap()), "one").await.unwrap();
    let row = now().await;
    assert_eq!((row.settled.as_deref(), row.flow_target.as_deref()), (Some("SUSPENDED"), None));
    assert!(row.data_address.is_some());

    let text = json!({
        "@context": [dsp_protocol::context::DSP_CONTEXT], "@type": "TransferStartMessage",
        "providerPid": "urn:uuid:theirs", "consumerPid": "urn:uuid:ours",
        "dataAddress": {"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpoint": "http://127.0.0.1:2"},
    });
    take(Incoming::Start(TransferStartMessage::parse(&text).unwrap()), "two").await.unwrap();
    let row = now().await;
    assert_eq!((row.settled.as_deref(), row.flow_target.as_deref()), (Some("STARTED"), Some("RESTARTED")));
    assert!(row.data_address.unwrap().contains("127.0.0.1:2"));
}
