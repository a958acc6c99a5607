//! `hansa events`: what happened, and what happens next.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::Events as Options;
use super::client::{Client, PAGE, text};
use super::failure::Outcome;
use super::show::{self, Printer, printable};
use super::sse::Events;

/// Pause before a lost stream is opened again.
const REOPEN: Duration = Duration::from_secs(1);

/// Lists events, and with `--follow` goes on until it is interrupted.
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn run(client: &Client, print: Printer, options: &Options) -> Outcome {
    if options.follow {
        return follow(client, print, options).await;
    }
    let after = options.after.map(|number| number.to_string());
    let filters = filters(options, after.as_deref());
    let limit = options.many.limit;
    let list = match after {
        Some(_) => client.pages(&["events"], "after", &filters, limit).await?,
        None => latest(client, &filters, limit).await?,
    };
    if print.json {
        return print.value(&list);
    }
    let items = list.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut shown: String = items.iter().map(|event| line(event) + "\n").collect();
    if let Some(next) = list.get("next").and_then(Value::as_str) {
        shown.push_str(&format!("… and more; --after {next} goes on\n"));
    }
    show::text(&shown)
}

/// The last events, read backwards page after page, the oldest of them first.
async fn latest(client: &Client, filters: &[(&str, &str)], limit: usize) -> Outcome<Value> {
    let mut items: Vec<Value> = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let wanted = (limit - items.len()).clamp(1, PAGE);
        let count = wanted.to_string();
        let mut parameters = filters.to_vec();
        parameters.push(("limit", &count));
        parameters.extend(before.as_deref().map(|before| ("before", before)));
        let mut page = client.find(&["events"], &parameters).await?;
        let Some(Value::Array(mut earlier)) = page.get_mut("items").map(Value::take) else { break };
        before = earlier.first().and_then(|event| event.get("id")).map(ToString::to_string);
        let full = earlier.len() >= wanted;
        earlier.append(&mut items);
        items = earlier;
        if !full || before.is_none() || items.len() >= limit {
            break;
        }
    }
    Ok(json!({"items": items, "next": null}))
}

/// One event in a line, in JSON when asked for; a lost stream is taken up where it ended.
async fn follow(client: &Client, print: Printer, options: &Options) -> Outcome {
    let mut last = options.after.map(|number| number.to_string());
    loop {
        let mut events = Events::new(client.events(&filters(options, last.as_deref())).await?);
        while let Some(event) = events.next().await {
            let shown = if print.json { event.to_string() } else { line(&event) };
            show::text(&format!("{shown}\n"))?;
            last = event.get("id").map(ToString::to_string).or(last);
        }
        tokio::time::sleep(REOPEN).await;
    }
}

fn filters<'a>(options: &'a Options, after: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let all = [("type", options.kind.as_deref()), ("subject", options.subject.as_deref()), ("after", after)];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Number, time, kind, subject, and the details that are texts.
fn line(event: &Value) -> String {
    let number = event.get("id").map(ToString::to_string).unwrap_or_default();
    let details = event.get("data").and_then(Value::as_object);
    let details: Vec<String> = details
        .into_iter()
        .flatten()
        .filter(|(name, _)| !matches!(name.as_str(), "state" | "consumerPid" | "providerPid"))
        .filter_map(|(name, value)| match value {
            Value::String(text) => Some(format!("{name}={text}")),
            Value::Object(error) => Some(format!("{name}={}", error.get("detail").and_then(Value::as_str)?)),
            _ => None,
        })
        .collect();
    let parts = [&number, text(event, "time"), text(event, "type"), text(event, "subject")];
    printable(&format!("{}  {}", parts.join("  "), details.join(" "))).replace('\n', " ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[tokio::test]
    async fn the_last_events_are_read_backwards() {
        let fake = Fake::start(|asked, _| {
            let number = |name: &str| asked.split(&format!("{name}=")).nth(1)?.split('&').next()?.parse::<usize>().ok();
            let end = number("before").unwrap_or(1201);
            let first = end.saturating_sub(number("limit").unwrap()).max(1);
            let items: Vec<Value> = (first..end).map(|id| json!({"id": id})).collect();
            (200, json!({"items": items, "next": null}))
        })
        .await;
        for (limit, first, requests) in [(3, 1198, 1), (700, 501, 2), (5000, 1, 3)] {
            let before = fake.asked().len();
            let found = latest(&fake.client, &[("type", "a.b")], limit).await.unwrap();
            let ids: Vec<u64> = found["items"].as_array().unwrap().iter().map(|e| e["id"].as_u64().unwrap()).collect();
            assert_eq!(ids, (first..=1200).collect::<Vec<u64>>(), "{limit}");
            assert_eq!(fake.asked().len() - before, requests, "{limit}");
        }
    }

    #[test]
    fn an_event_in_a_line() {
        let event = json!({
            "id": 17, "time": "2026-11-21T08:00:00Z", "type": "negotiation.terminated", "subject": "urn:n",
            "data": {"role": "provider", "state": "TERMINATED", "counterPartyId": "did:web:x", "n": 1,
                     "error": {"code": "denied", "detail": "role is\n\u{1b}not x"}}
        });
        assert_eq!(
            line(&event),
            "17  2026-11-21T08:00:00Z  negotiation.terminated  urn:n  role=provider counterPartyId=did:web:x error=role is \u{fffd}not x"
        );
        assert_eq!(line(&json!({"id": 1, "time": "t", "type": "a.b", "subject": "s"})), "1  t  a.b  s");
    }
}
