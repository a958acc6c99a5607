//! A message is delivered once, whatever happens to it and to its answer on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::management::{Kind, Management, text};
use tck::peer::{Peer, messages};
use tck::service::{ControlPlane, ControlPlaneSettings, StaticPeer};
use tck::{ports, wait};

const FRIEND: &str = "did:web:friend.example";
const US: &str = "did:web:connector.example";
const NEGOTIATION: Kind = Kind::Negotiation;

/// A control plane that offers `data` to a participant whose connector has its bad moments.
struct Scene {
    control: ControlPlane,
    friend: Peer,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let binaries = Binaries::from_environment().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let peers = vec![StaticPeer::new(FRIEND, "friend-token", "connector-token", &[])];
        let control =
            ControlPlane::start(&binaries, folder.path(), ControlPlaneSettings::new(US, peers)).await.unwrap();
        let dataset = json!({"id": "data", "title": "data", "source": {"http": {"baseUrl": "http://127.0.0.1:1"}}});
        let rules = json!({"id": "open", "permission": [{"action": "use"}]});
        control.api().publish(&dataset, &rules, &json!({"id": "offer-data"})).await.unwrap();
        let friend = Peer::start(ports::free().unwrap(), FRIEND, "Bearer friend-token").unwrap();
        Self { control, friend, _folder: folder }
    }

    fn api(&self) -> &Management {
        self.control.api()
    }

    /// The friend asks for the data; the connector agrees by itself. Gives back the consumer's and the provider's pid.
    async fn ask(&self) -> (String, String) {
        let ours = messages::new_id();
        let offer = messages::open_offer("offer-data", "data");
        let request = messages::contract_request(&ours, &self.friend.url(), &offer);
        let address = format!("{}/negotiations/request", self.control.base());
        let answer = self.friend.tell(&address, &request).await.unwrap();
        (ours, text(&answer, "providerPid").to_owned())
    }

    async fn verify(&self, ours: &str, theirs: &str) -> (u16, Value) {
        let address = format!("{}/negotiations/{theirs}/agreement/verification", self.control.base());
        self.friend.post(&address, &messages::verification(theirs, ours)).await.unwrap()
    }

    async fn state(&self, theirs: &str, state: &str) -> Value {
        self.api().reaches(NEGOTIATION, theirs, &[state]).await.unwrap()
    }

    /// Lets the connector ask the friend for something. Gives back its id there.
    async fn connector_asks(&self) -> String {
        let address = json!({"base": self.friend.url(), "version": "2025-1"});
        let body = json!({
            "counterParty": {"id": FRIEND, "address": address},
            "offer": messages::open_offer("offer-of-the-friend", "something")
        });
        text(&self.api().post("/negotiations", body).await.unwrap(), "id").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_tried_again_until_it_is_taken() {
    let scene = Scene::start().await;
    for status in [503, 500, 429, 408, 425, 404, 409] {
        scene.friend.refuses("/agreement", status, 1);
        let (ours, theirs) = scene.ask().await;
        scene.friend.message_about("ContractAgreementMessage", &ours).await.unwrap();
        scene.state(&theirs, "AGREED").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_message_implies_a_lost_answer() {
    let scene = Scene::start().await;
    scene.friend.loses_answers("/agreement", 1_000);
    let (ours, theirs) = scene.ask().await;
    scene.friend.message_about("ContractAgreementMessage", &ours).await.unwrap();
    let (status, answer) = scene.verify(&ours, &theirs).await;
    assert_eq!(status, 200, "{answer}");
    scene.friend.message_about("ContractNegotiationEventMessage", &ours).await.unwrap();
    scene.state(&theirs, "FINALIZED").await;
    assert_eq!(scene.api().all("/agreements").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_in_doubt_asks_for_the_state() {
    let scene = Scene::start().await;
    // The first agreement arrives without an answer; the repeated one is refused, since it is there already.
    scene.friend.loses_answers("/agreement", 1);
    let (ours, theirs) = scene.ask().await;
    scene.friend.message_about("ContractAgreementMessage", &ours).await.unwrap();
    // The inbox knows the process by the answer that it would have given to a first message of ours.
    scene.friend.knows(&ours, &theirs, "AGREED");
    scene.friend.refuses("/agreement", 400, 1_000);
    scene.state(&theirs, "AGREED").await;
    let copies = scene.friend.messages("ContractAgreementMessage");
    assert!(copies.windows(2).all(|pair| pair[0] == pair[1]), "a repeated message has to be the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_good_ends_the_negotiation_on_both_sides() {
    let scene = Scene::start().await;
    scene.friend.refuses("/agreement", 400, 1_000);
    let (ours, theirs) = scene.ask().await;
    scene.friend.message_about("ContractNegotiationTerminationMessage", &ours).await.unwrap();
    let ended = scene.state(&theirs, "TERMINATED").await;
    assert!(!text(&ended["error"], "detail").is_empty(), "{ended}");
    assert!(scene.friend.messages("ContractAgreementMessage").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_message_without_an_answer_is_repeated_unchanged() {
    let scene = Scene::start().await;
    scene.friend.loses_answers("/negotiations/request", 2);
    let id = scene.connector_asks().await;
    let row = scene.state(&id, "REQUESTED").await;
    let requests = scene.friend.messages("ContractRequestMessage");
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    assert_eq!(text(&row, "consumerPid"), text(&requests[0], "consumerPid"));
    assert!(!text(&row, "providerPid").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_owed_before_a_restart_is_sent_after_it() {
    let mut scene = Scene::start().await;
    scene.friend.refuses("/agreement", 503, 3);
    let (ours, theirs) = scene.ask().await;
    let waits = || async {
        let row = scene.api().process(NEGOTIATION, &theirs).await.ok()?;
        (text(&row, "state") == "AGREEING").then_some(())
    };
    wait::until("the agreement is owed", wait::PATIENCE, waits).await.unwrap();
    scene.control.restart().await.unwrap();
    scene.friend.message_about("ContractAgreementMessage", &ours).await.unwrap();
    scene.state(&theirs, "AGREED").await;
    let (status, answer) = scene.verify(&ours, &theirs).await;
    assert_eq!(status, 200, "{answer}");
    scene.state(&theirs, "FINALIZED").await;
}
