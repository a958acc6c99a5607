//! `hansa doctor`: what stands between us and a partner.

use serde_json::Value;

use super::arguments::Doctor;
use super::client::{Client, text};
use super::failure::{Failure, Outcome};
use super::partner;
use super::show::{self, Printer, printable};

/// Looks step by step, and says which side must act.
///
/// # Errors
/// When a step failed, or the control plane cannot look.
pub(super) async fn run(client: &Client, print: Printer, options: &Doctor) -> Outcome {
    let id = match options.partner.starts_with("did:") {
        // It need not be a partner yet.
        true => options.partner.clone(),
        false => partner::resolve(client, &options.partner).await?,
    };
    let found = client.get(&["partners", &id, "diagnosis"]).await?;
    let steps = found.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match print.json {
        true => print.value(&found)?,
        false => show::text(&steps.iter().map(line).collect::<String>())?,
    }
    let failed = steps.iter().filter(|step| text(step, "outcome") == "failed").count();
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("{failed} of {} steps failed", steps.len())))
}

fn line(step: &Value) -> String {
    let who = match text(step, "act") {
        "us" => ": we must act",
        "partner" => ": the partner must act",
        "issuer" => ": the issuer must act",
        "either" => ": either side may have to act",
        _ => "",
    };
    let mark = format!("{}{who}", text(step, "outcome"));
    let shown = format!("{:<16}{mark}\n", text(step, "name"));
    let detail = format!("                {}\n", text(step, "detail").replace('\n', " "));
    printable(&(shown + &detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::Fake;
    use super::*;

    #[tokio::test]
    async fn a_step_that_failed_fails_the_command() {
        let fake = Fake::start(|asked, _| match asked.contains("good") {
            true => (200, json!({"outcome": "warning", "steps": [{"name": "tls", "outcome": "warning"}]})),
            false => {
                (200, json!({"outcome": "failed", "steps": [{"name": "dns", "outcome": "failed"}, {"name": "tls"}]}))
            }
        })
        .await;
        let look = async |partner: &str| {
            run(&fake.client, Printer { json: false }, &Doctor { partner: partner.to_owned() }).await
        };
        look("did:web:good").await.unwrap();
        assert_eq!(look("did:web:bad").await.unwrap_err().to_string(), "1 of 2 steps failed");
        assert_eq!(fake.asked(), ["GET partners/did:web:good/diagnosis", "GET partners/did:web:bad/diagnosis"]);
    }

    #[test]
    fn a_step_says_who_must_act_and_does_not_steer_the_terminal() {
        let step = json!({"name": "token", "outcome": "failed", "act": "partner", "detail": "it says\n\u{1b}[31m no"});
        assert_eq!(
            line(&step),
            "token           failed: the partner must act\n                it says \u{fffd}[31m no\n"
        );
        assert_eq!(
            line(&json!({"name": "dns", "outcome": "ok", "detail": "d"})),
            "dns             ok\n                d\n"
        );
    }
}
