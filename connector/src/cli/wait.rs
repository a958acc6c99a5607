//! Waiting for a process: woken by its events, never by a clock.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::client::{Client, text};
use super::failure::{Failure, Outcome};
use super::sse::Events;

/// Pause before a lost stream of events is opened again.
const REOPEN: Duration = Duration::from_millis(200);

/// What a state means to the one who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This is what was waited for.
    Reached,
    /// It will not be reached any more.
    Failed,
    /// Not yet.
    Pending,
}

/// A process and what is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal<'a> {
    /// `negotiations` or `transfers`.
    pub kind: &'a str,
    /// In words.
    pub what: &'a str,
    /// Its id.
    pub id: &'a str,
    /// What it means as it is now.
    pub judge: fn(&Value) -> Verdict,
}

/// Waits until the process is there.
///
/// # Errors
/// When it failed, with its reason; when the time is over; when the control plane cannot be reached.
pub(super) async fn until(client: &Client, goal: Goal<'_>, patience: Duration) -> Outcome<Value> {
    let deadline = Instant::now() + patience;
    loop {
        // The stream is open before the state is read, so that no change falls between the two.
        let response = client.events(&[("subject", goal.id)]).await?;
        let mut events = Events::new(response);
        loop {
            let process = client.get(&[goal.kind, goal.id]).await?;
            match (goal.judge)(&process) {
                Verdict::Reached => return Ok(process),
                Verdict::Failed => return Err(failed(goal, &process)),
                Verdict::Pending => {}
            }
            // A stream that ends at once, again and again, must not hide that the time is over.
            if Instant::now() >= deadline {
                return Err(late(goal, &process, patience));
            }
            match tokio::time::timeout_at(deadline, events.next()).await {
                Err(_) => return Err(late(goal, &process, patience)),
                Ok(None) => break,
                Ok(Some(_)) => {}
            }
        }
        tokio::time::sleep(REOPEN).await;
    }
}

/// Why a process ended, as far as it says so.
fn failed(goal: Goal<'_>, process: &Value) -> Failure {
    let before = format!("{} is {}: ", goal.what, text(process, "state"));
    if let Some(error) = process.get("error").filter(|error| error.is_object()) {
        return Failure::of(&before, error);
    }
    let reasons = process.pointer("/termination/reason").and_then(Value::as_array).map(Vec::as_slice);
    let reasons: Vec<String> = reasons
        .unwrap_or_default()
        .iter()
        .map(|reason| match reason {
            Value::String(reason) => reason.clone(),
            Value::Object(reason) => reason
                .get("@value")
                .and_then(Value::as_str)
                .map_or_else(|| Value::from(reason.clone()).to_string(), str::to_owned),
            other => other.to_string(),
        })
        .collect();
    let code = process.pointer("/termination/code").and_then(Value::as_str).unwrap_or_default();
    match (reasons.is_empty(), code) {
        (true, "") => Failure::new(format!("{before}the other side gave no reason")),
        (true, code) => Failure::new(format!("{before}{code}")),
        (false, _) => Failure::new(format!("{before}{}", reasons.join("; "))),
    }
}

fn late(goal: Goal<'_>, process: &Value, patience: Duration) -> Failure {
    let before = format!("{} is still {} after {} s", goal.what, text(process, "state"), patience.as_secs());
    let failure = match process.get("error").filter(|error| error.is_object()) {
        Some(error) => Failure::of(&format!("{before}: "), error),
        None => Failure::new(format!(
            "{before}; it goes on, `hansa {} show {}` tells",
            goal.kind.trim_end_matches('s'),
            goal.id
        )),
    };
    failure.late()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::super::fake::Fake;
    use super::*;

    fn judge(process: &Value) -> Verdict {
        match text(process, "state") {
            "STARTED" => Verdict::Reached,
            "TERMINATED" => Verdict::Failed,
            _ => Verdict::Pending,
        }
    }

    /// A process that goes through these states, one for each look; each stream of events has one event.
    async fn process(states: &'static [&'static str]) -> Fake {
        let looks = AtomicUsize::new(0);
        Fake::start(move |asked, _| {
            if asked.contains("/events") {
                return (200, json!("id: 1\ndata: {\"id\":1}\n\n"));
            }
            let look = looks.fetch_add(1, Ordering::SeqCst).min(states.len() - 1);
            (200, json!({"id": "t", "state": states[look]}))
        })
        .await
    }

    #[tokio::test]
    async fn events_wake_the_one_who_waits() {
        let goal = Goal { kind: "transfers", what: "the transfer", id: "t", judge };
        let fake = process(&["REQUESTED", "REQUESTED", "STARTING", "STARTED"]).await;
        let reached = until(&fake.client, goal, Duration::from_secs(20)).await.unwrap();
        assert_eq!(text(&reached, "state"), "STARTED");
        let asked = fake.asked();
        assert_eq!(asked[0], "GET events?subject=t", "the stream is open before the first look");
        assert_eq!(asked[1], "GET transfers/t");
        let fake = process(&["REQUESTED", "TERMINATED"]).await;
        let failure = until(&fake.client, goal, Duration::from_secs(20)).await.unwrap_err().to_string();
        assert!(failure.starts_with("the transfer is TERMINATED"), "{failure}");
    }

    #[tokio::test]
    async fn waiting_has_an_end() {
        let goal = Goal { kind: "transfers", what: "the transfer", id: "t", judge };
        let fake = process(&["REQUESTED"]).await;
        let failure = until(&fake.client, goal, Duration::from_millis(300)).await.unwrap_err();
        assert!(failure.is_late() && failure.to_string().contains("is still REQUESTED"), "{failure}");
    }

    #[test]
    fn the_reason_of_an_end_is_told() {
        let goal = Goal { kind: "negotiations", what: "the negotiation", id: "n", judge: |_| Verdict::Pending };
        let table = [
            (
                json!({"state": "TERMINATED", "error": {"code": "policy_denied", "detail": "no", "rule": "r", "fact": "f"}}),
                "the negotiation is TERMINATED: no (rule: r; fact: f) [policy_denied]",
            ),
            (
                json!({"state": "TERMINATED", "termination": {"code": "c", "reason": ["a", {"@value": "b", "@language": "en"}]}}),
                "the negotiation is TERMINATED: a; b",
            ),
            (
                json!({"state": "TERMINATED", "termination": {"code": "c", "reason": []}}),
                "the negotiation is TERMINATED: c",
            ),
            (json!({"state": "TERMINATED"}), "the negotiation is TERMINATED: the other side gave no reason"),
        ];
        for (process, sentence) in table {
            assert_eq!(failed(goal, &process).to_string(), sentence);
        }
        let late = late(goal, &json!({"state": "REQUESTED"}), Duration::from_secs(5)).to_string();
        assert_eq!(late, "the negotiation is still REQUESTED after 5 s; it goes on, `hansa negotiation show n` tells");
    }
}
