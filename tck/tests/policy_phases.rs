//! Agreements over time: what a rule rests on changes while data flows, and both sides follow at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tck::management::{Kind, text};
use tck::pair::{CONSUMER, Pair, counterpart, read, readable};
use tck::postgres::Postgres;
use tck::wait;
use time::OffsetDateTime;
use time::macros::format_description;

const TRANSFER: Kind = Kind::Transfer;
const FLOOD: &str = "urn:city:bari:event:flood";
const PATH: &str = "/ngsi-ld/v1/entities?type=Test";
/// How long after a rule stopped holding a transfer may go on.
const AT_ONCE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

fn escaped(id: &str) -> String {
    id.replace('%', "%25").replace(':', "%3A")
}

fn rfc3339(after: Duration) -> String {
    let moment = OffsetDateTime::now_utc() + after;
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    moment.format(format).unwrap()
}

fn one(left: &str, operator: &str, right: Value) -> Value {
    json!([{"action": "use", "constraint": [{"leftOperand": left, "operator": operator, "rightOperand": right}]}])
}

/// A dataset under this permission, and the agreement on it.
async fn agreed(pair: &Pair, dataset: &str, permission: &Value) -> String {
    pair.publish(dataset, permission, &json!({})).await.unwrap();
    let negotiation = pair.negotiate(dataset, "automatic").await.unwrap();
    pair.consumer.api().agreed(&negotiation).await.unwrap()
}

/// A transfer that data flows in.
struct Running<'p> {
    pair: &'p Pair,
    /// The consumer's id.
    id: String,
    /// The provider's id.
    theirs: String,
    address: String,
}

impl<'p> Running<'p> {
    async fn begin(pair: &'p Pair, agreement: &str) -> Self {
        let transfer = pair.transfer(agreement).await.unwrap();
        let theirs = counterpart(pair.provider.api(), TRANSFER, text(&transfer, "consumerPid")).await.unwrap();
        let address = format!("{}{PATH}", text(&transfer, "localEndpoint"));
        let running =
            Self { pair, id: text(&transfer, "id").to_owned(), theirs: text(&theirs, "id").to_owned(), address };
        running.reads(200).await;
        running
    }

    /// Waits until a read is answered so.
    async fn reads(&self, wanted: u16) {
        let answered = wait::until(format!("{} answers {wanted}", self.address), PATIENCE, || async {
            let (status, _) = read(&self.address, &[]).await.ok()?;
            (status == wanted).then_some(())
        });
        answered.await.unwrap();
    }

    /// Waits until the consumer sees the transfer suspended; when that was, and its view.
    async fn suspended(&self) -> (Instant, Value) {
        let api = self.pair.consumer.api();
        let seen = api.reaches_within(TRANSFER, &self.id, &["SUSPENDED"], PATIENCE).await.unwrap();
        let at = Instant::now();
        let provider = self.pair.provider.api();
        let ours = provider.reaches_within(TRANSFER, &self.theirs, &["SUSPENDED"], PATIENCE).await.unwrap();
        for (side, view) in [("consumer", &seen), ("provider", &ours)] {
            assert_eq!(view.pointer("/termination/code"), Some(&json!("policy_denies")), "{side}: {view}");
        }
        self.reads(403).await;
        (at, seen)
    }

    /// Waits until it goes on.
    async fn resumed(&self) {
        for (api, id) in [(self.pair.consumer.api(), &self.id), (self.pair.provider.api(), &self.theirs)] {
            api.reaches_within(TRANSFER, id, &["STARTED"], PATIENCE).await.unwrap();
        }
        self.reads(200).await;
    }
}

/// A transfer that is refused; the consumer's view of it.
async fn refused(pair: &Pair, agreement: &str) -> Value {
    let api = pair.consumer.api();
    let begun = api.post("/transfers", json!({"agreementId": agreement})).await.unwrap();
    api.reaches(TRANSFER, text(&begun, "id"), &["TERMINATED"]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_opens_a_dataset_and_its_end_suspends_what_runs() {
    flood(&Pair::start().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_postgresql() {
    let server = Postgres::start().unwrap();
    let databases = ["provider", "consumer"].map(|name| Some(server.database(name).unwrap()));
    flood(&Pair::start_on(databases).await.unwrap()).await;
}

async fn flood(pair: &Pair) {
    let provider = pair.provider.api();
    let agreement = agreed(pair, "gauges", &one("event", "eq", json!(FLOOD))).await;
    let before = refused(pair, &agreement).await;
    assert!(before.to_string().contains("event"), "it says what is missing: {before}");

    provider.post("/declared-events", json!({"id": FLOOD, "title": "Flood"})).await.unwrap();
    let running = Running::begin(pair, &agreement).await;
    let mut slowest = Duration::ZERO;
    for round in 0..3 {
        let end = Instant::now();
        provider.post(&format!("/declared-events/{}/end", escaped(FLOOD)), json!({})).await.unwrap();
        let (at, seen) = running.suspended().await;
        slowest = slowest.max(at - end);
        assert!(seen.to_string().contains(FLOOD), "rule and fact reach the consumer: {seen}");
        provider.put(&format!("/declared-events/{}", escaped(FLOOD)), json!({"title": "again"})).await.unwrap();
        running.resumed().await;
        println!(
            "round {round}: {} ms from the end of the event to the suspension at the consumer",
            (at - end).as_millis()
        );
    }
    assert!(slowest < AT_ONCE, "{slowest:?}");

    // What an operator suspends stays so, whatever the monitor sees.
    provider.command(TRANSFER, &running.theirs, "suspend", json!({"reason": "maintenance"})).await.unwrap();
    pair.consumer.api().reaches(TRANSFER, &running.id, &["SUSPENDED"]).await.unwrap();
    provider.put(&format!("/declared-events/{}", escaped(FLOOD)), json!({"title": "once more"})).await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let stays = provider.process(TRANSFER, &running.theirs).await.unwrap();
    assert_eq!(text(&stays, "state"), "SUSPENDED");

    let decisions = provider.all("/decisions?scope=monitor").await.unwrap();
    assert_eq!(decisions.len(), 3, "one for each time that it was held: {decisions:?}");
    assert_eq!(decisions[0]["facts"]["participant"], CONSUMER);
    assert_eq!(decisions[0]["allow"], false);
}

/// Hours of the day in a zone where it is about noon, so that no midnight comes in between.
fn time_of_day(after: Duration) -> String {
    let seconds = (std::time::SystemTime::now() + after).duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let utc = i64::try_from(seconds % 86_400).unwrap();
    let shift = 12 - utc / 3600;
    let local = (utc + shift * 3600).rem_euclid(86_400);
    // The signs of these zones are the other way round.
    let zone = format!("Etc/GMT{}{}", if shift > 0 { '-' } else { '+' }, shift.abs());
    format!("{:02}:{:02}:{:02}[{zone}]", local / 3600, local / 60 % 60, local % 60)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_hours_suspends_and_their_beginning_resumes() {
    let pair = Pair::start().await.unwrap();
    let (end, begin) = (Duration::from_secs(5), Duration::from_secs(8));
    let bounds = [("lt", time_of_day(end)), ("gteq", time_of_day(begin))];
    let at = Instant::now();
    let hours = bounds
        .map(|(operator, value)| json!({"leftOperand": "timeOfDay", "operator": operator, "rightOperand": value}));
    let agreement = agreed(&pair, "office", &json!([{"action": "use", "constraint": [{"or": hours}]}])).await;
    let running = Running::begin(&pair, &agreement).await;
    let (suspended, seen) = running.suspended().await;
    let late = suspended - at;
    assert!(late > end - AT_ONCE && late < end + AT_ONCE, "{late:?}: {seen}");
    running.resumed().await;
    let late = at.elapsed();
    assert!(late > begin - AT_ONCE && late < begin + 2 * AT_ONCE, "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_that_is_withdrawn_takes_the_data_back() {
    let pair = Pair::start().await.unwrap();
    let provider = pair.provider.api();
    let agreement = agreed(&pair, "diaries", &one("consent", "eq", json!("urn:consent:1"))).await;
    let before = refused(&pair, &agreement).await;
    assert!(before.to_string().contains("consent"), "{before}");
    let consent = json!({"id": "urn:consent:1", "subject": "p-1", "datasets": ["diaries"], "recipients": [CONSUMER]});
    provider.post("/consents", consent).await.unwrap();
    let running = Running::begin(&pair, &agreement).await;
    let withdrawn = Instant::now();
    provider.post("/consents/urn%3Aconsent%3A1/withdraw", json!({})).await.unwrap();
    let (at, _) = running.suspended().await;
    assert!(at - withdrawn < AT_ONCE, "{:?}", at - withdrawn);
}

/// The first event of this kind.
async fn event(api: &tck::management::Management, kind: &str) -> Value {
    wait::until(format!("an event {kind}"), PATIENCE, || async {
        api.all(&format!("/events?type={kind}")).await.ok()?.into_iter().next()
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_is_due_reminds_the_consumer() {
    let pair = Pair::start().await.unwrap();
    let (consumer, provider) = (pair.consumer.api(), pair.provider.api());
    let due = rfc3339(Duration::from_secs(3));
    let when = json!([{"leftOperand": "dateTime", "operator": "gteq", "rightOperand": due}]);
    let policy = json!({
        "id": "keep-short", "permission": [{"action": "use"}],
        "obligation": [{"action": "delete", "constraint": when}],
    });
    provider.publish(&pair.http_dataset("short"), &policy, &json!({"id": "offer-short"})).await.unwrap();
    let negotiation = pair.negotiate("short", "automatic").await.unwrap();
    let agreement = consumer.agreed(&negotiation).await.unwrap();
    for (api, role) in [(consumer, "consumer"), (provider, "provider")] {
        let list = wait::until(format!("the {role}'s ledger"), PATIENCE, || async {
            let list = api.all(&format!("/duties?agreementId={}", escaped(&agreement))).await.ok()?;
            (!list.is_empty()).then_some(list)
        });
        let list = list.await.unwrap();
        assert_eq!((list.len(), text(&list[0], "role"), text(&list[0], "action")), (1, role, "delete"), "{list:?}");
    }
    for (api, role) in [(consumer, "consumer"), (provider, "provider")] {
        let reminder = event(api, "duty.due").await;
        let data = &reminder["data"];
        assert_eq!((text(data, "role"), text(data, "agreementId")), (role, agreement.as_str()), "{reminder}");
        assert!(rfc3339(Duration::ZERO) >= due, "not before its time");
    }
    let shown = provider.all("/duties?state=due&role=provider").await.unwrap();
    assert_eq!(shown.len(), 1, "{shown:?}");
    let ours = consumer.all("/duties?state=due").await.unwrap();
    let path = format!("/duties/{}/fulfil", escaped(text(&ours[0], "id")));
    let done = consumer.post(&path, json!({"note": "protocol 4711"})).await.unwrap();
    assert_eq!((text(&done, "state"), text(&done, "note")), ("fulfilled", "protocol 4711"));
    assert_eq!(event(consumer, "duty.fulfilled").await["data"]["note"], "protocol 4711");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duty_that_is_done_opens_a_permission_and_a_violation_closes_it() {
    let pair = Pair::start().await.unwrap();
    let provider = pair.provider.api();
    let agreement = agreed(&pair, "paid", &json!([{"action": "use", "duty": [{"action": "compensate"}]}])).await;
    let before = refused(&pair, &agreement).await;
    assert!(before.to_string().contains("compensate"), "{before}");
    let open = provider.all("/duties?role=provider").await.unwrap();
    let duty = format!("/duties/{}", escaped(text(&open[0], "id")));
    provider.post(&format!("{duty}/fulfil"), json!({"note": "invoice 12 is paid"})).await.unwrap();
    let running = Running::begin(&pair, &agreement).await;
    provider.post(&format!("{duty}/violate"), json!({"note": "the payment was called back"})).await.unwrap();
    running.suspended().await;
    provider.post(&format!("{duty}/fulfil"), json!({"note": "paid again"})).await.unwrap();
    running.resumed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_are_counted_also_when_they_come_at_once() {
    let pair = Pair::start().await.unwrap();
    let twice = json!([{"action": "use", "constraint": [
        {"leftOperand": "count", "operator": "lteq", "rightOperand": 2, "unit": "transfer"}]}]);
    let agreement = agreed(&pair, "twice", &twice).await;
    let api = pair.consumer.api();
    let begin = || api.post("/transfers", json!({"agreementId": agreement}));
    let (one, two, three, four) = tokio::join!(begin(), begin(), begin(), begin());
    let (mut started, mut refused) = (0, 0);
    for begun in [one, two, three, four] {
        let begun = begun.unwrap();
        let seen = api.reaches(TRANSFER, text(&begun, "id"), &["STARTED", "TERMINATED"]).await.unwrap();
        match text(&seen, "state") {
            "STARTED" => started += 1,
            _ => {
                refused += 1;
                assert!(seen.to_string().contains("count"), "{seen}");
            }
        }
    }
    assert_eq!((started, refused), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_for_a_collection_hold_for_the_datasets_in_it() {
    let pair = Pair::start().await.unwrap();
    let api = pair.consumer.api();
    let terms = json!([{
        "action": "use",
        "target": {"@type": "AssetCollection", "source": "urn:col:traffic", "refinement": [
            {"leftOperand": "dcat:theme", "operator": "eq", "rightOperand": "urn:theme:transport"}]},
        "constraint": [{"leftOperand": "fileFormat", "operator": "eq", "rightOperand": "application/ld+json"}]
    }]);
    let dataset = |id: &str, collection: &str, theme: &str, media_type: &str| {
        let mut dataset = pair.http_dataset(id);
        dataset["properties"] = json!({"dct:isPartOf": {"@id": collection}, "dcat:theme": {"@id": theme}});
        dataset["distributions"] = json!([{"format": "HttpData-PULL", "mediaType": media_type}]);
        dataset
    };
    let inside = dataset("inside", "urn:col:traffic", "urn:theme:transport", "application/ld+json");
    pair.publish_dataset(&inside, &terms, &json!({})).await.unwrap();
    let negotiation = pair.negotiate("inside", "automatic").await.unwrap();
    let agreement = api.agreed(&negotiation).await.unwrap();
    Running::begin(&pair, &agreement).await;

    let table = [
        (
            "elsewhere",
            dataset("elsewhere", "urn:col:air", "urn:theme:transport", "application/ld+json"),
            "urn:col:traffic",
        ),
        (
            "other-theme",
            dataset("other-theme", "urn:col:traffic", "urn:theme:air", "application/ld+json"),
            "urn:theme:air",
        ),
    ];
    for (id, dataset, fact) in table {
        pair.publish_dataset(&dataset, &terms, &json!({})).await.unwrap();
        let negotiation = pair.negotiate(id, "automatic").await.unwrap();
        let seen = api.reaches(Kind::Negotiation, &negotiation, &["TERMINATED"]).await.unwrap();
        assert!(seen.to_string().contains(fact), "{id}: {seen}");
    }

    // Of which media type the data is counts when it moves.
    let table = dataset("table", "urn:col:traffic", "urn:theme:transport", "text/csv");
    pair.publish_dataset(&table, &terms, &json!({})).await.unwrap();
    let agreement = api.agreed(&pair.negotiate("table", "automatic").await.unwrap()).await.unwrap();
    let seen = refused(&pair, &agreement).await;
    assert!(seen.to_string().contains("text/csv"), "{seen}");
}

/// A module that lets nobody but this participant have anything.
fn only_for(participant: &str) -> String {
    let rule = format!("deny contains \"not for them\" if input.participant != \"{participant}\"");
    format!("package site\n\nimport rego.v1\n\n{rule}\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_own_rules_close_while_data_flows() {
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().to_owned();
    let pair = Pair::start_with([None, None], |settings| settings.site_modules = Some(modules.clone())).await.unwrap();
    let agreement = agreed(&pair, "traffic", &json!([{"action": "use"}])).await;
    let running = Running::begin(&pair, &agreement).await;
    std::fs::write(modules.join("friends.rego"), only_for("did:web:somebody.example")).unwrap();
    let (_, seen) = running.suspended().await;
    let said = seen.to_string();
    assert!(said.contains("friends.rego") && said.contains("not for them"), "{said}");
    let refused_now = refused(&pair, &agreement).await.to_string();
    assert!(refused_now.contains("not for them"), "{refused_now}");

    std::fs::write(modules.join("friends.rego"), only_for(CONSUMER)).unwrap();
    running.resumed().await;
    std::fs::write(modules.join("friends.rego"), "package site\n\ndeny contains").unwrap();
    let (_, seen) = running.suspended().await;
    assert!(seen.to_string().contains("nothing is allowed"), "a module that cannot be used denies: {seen}");
    let told = event(pair.provider.api(), "site_modules.refused").await;
    assert_eq!(text(&told["data"], "module"), "friends.rego");
    std::fs::remove_file(modules.join("friends.rego")).unwrap();
    running.resumed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_the_middle_forgets_nothing() {
    let mut pair = Pair::start().await.unwrap();
    let agreement = agreed(&pair, "levels", &one("event", "eq", json!(FLOOD))).await;
    let ends = rfc3339(Duration::from_secs(4));
    pair.provider.api().post("/declared-events", json!({"id": FLOOD, "endsAt": ends})).await.unwrap();
    let running = Running::begin(&pair, &agreement).await;
    let (id, theirs) = (running.id.clone(), running.theirs.clone());
    pair.provider.control.kill();
    wait::until("the event has ended", PATIENCE, || async { (rfc3339(Duration::ZERO) > ends).then_some(()) })
        .await
        .unwrap();
    pair.provider.control.restart().await.unwrap();
    let consumer = pair.consumer.api();
    let seen = consumer.reaches_within(TRANSFER, &id, &["SUSPENDED"], PATIENCE).await.unwrap();
    assert_eq!(seen.pointer("/termination/code"), Some(&json!("policy_denies")), "{seen}");
    pair.provider.api().reaches(TRANSFER, &theirs, &["SUSPENDED"]).await.unwrap();

    // It still knows after another restart that it was the one who suspended.
    pair.provider.control.kill();
    pair.provider.control.restart().await.unwrap();
    pair.provider.api().put(&format!("/declared-events/{}", escaped(FLOOD)), json!({})).await.unwrap();
    readable(pair.consumer.api(), &id, PATIENCE).await.unwrap();
}
