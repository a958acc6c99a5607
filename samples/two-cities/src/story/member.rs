//! Nobody is let in without a credential; the authority gives both cities theirs.

use std::time::Instant;

use serde_json::Value;

use super::Stage;
use crate::city::City;
use crate::cli::{list, text};
use crate::fault::{Failed, Fault};
use crate::tell::{Teller, seconds};

/// The type of the credential.
pub(super) const MEMBERSHIP: &str = "MembershipCredential";

/// The cities write down each other's address; without a credential Belmark is not let in.
pub(super) async fn closed_door(stage: &Stage, tell: &Teller) -> Result<(), Failed> {
    let (arvenna, belmark) = (&stage.arvenna, &stage.belmark);
    tell.step("The cities write down each other's address; that alone opens no door", async {
        for (city, partner) in [(arvenna, belmark), (belmark, arvenna)] {
            let (name, root) = (partner.control.key, partner.control.root());
            let add = ["partner", "add", &partner.control.did, "--name", name, "--root", &root];
            city.hansa().run(tell, &add).await?;
        }
        match belmark.hansa().attempt(tell, &["catalog", "arvenna"]).await? {
            Err(refused) if refused.sentence.contains(MEMBERSHIP) => {
                refused.sentence.lines().for_each(|line| tell.refusal(line));
                Ok(())
            }
            Err(refused) => Err(Fault::new(format!("the refusal names no {MEMBERSHIP}: {}", refused.sentence))),
            Ok(catalog) => Err(Fault::new(format!("Belmark was let in without a credential: {catalog}"))),
        }
    })
    .await
}

/// Both cities ask the authority for the credential that says so.
pub(super) async fn both(stage: &Stage, tell: &Teller) -> Result<(), Failed> {
    for city in [&stage.arvenna, &stage.belmark] {
        let title = format!("{} asks the authority for its membership credential", city.name());
        tell.step(&title, join(stage, city, tell)).await?;
    }
    Ok(())
}

async fn join(stage: &Stage, city: &City, tell: &Teller) -> Result<(), Fault> {
    let begun = Instant::now();
    city.hansa().run(tell, &["credential", "request", &stage.authority.control.did, "membership"]).await?;
    let took = begun.elapsed();
    let answer = city.hansa().run(tell, &["credential", "list"]).await?;
    let id = text(membership(&answer)?, "/id")?;
    let credential = city.hansa().run(tell, &["credential", "show", id]).await?;
    let said = text(&credential, "/content/subjects/0/role")?;
    let member_of = text(&credential, "/content/subjects/0/memberOf")?;
    tell.say(&format!(
        "a {MEMBERSHIP}, signed by {}, there {} after the request",
        text(&credential, "/issuer")?,
        seconds(took)
    ));
    tell.say(&format!("it says: member of {member_of}, role {said}, until {}", text(&credential, "/validUntil")?));
    Ok(())
}

/// The membership credential that is held, in a list.
fn membership(answer: &Value) -> Result<&Value, Fault> {
    let is_held = |entry: &&Value| text(entry, "/type").is_ok_and(|name| name == MEMBERSHIP);
    let found = list(answer, "items")?.iter().find(is_held);
    found.ok_or_else(|| Fault::new(format!("no {MEMBERSHIP} is held: {answer}")))
}

/// Belmark looks whether anything stands between it and Arvenna.
pub(super) async fn doctor(stage: &Stage, tell: &Teller) -> Result<(), Failed> {
    tell.step("Belmark looks whether anything still stands between it and Arvenna", async {
        let found = stage.belmark.hansa().run(tell, &["doctor", "arvenna"]).await?;
        diagnosis(tell, &found)
    })
    .await
}

/// Tells what is well in one line, and each other thing in its own.
pub(super) fn diagnosis(tell: &Teller, found: &Value) -> Result<(), Fault> {
    let steps = list(found, "steps")?;
    let mut well = Vec::new();
    for step in steps {
        let (name, outcome) = (text(step, "/name")?, text(step, "/outcome")?);
        match outcome {
            "ok" => well.push(name),
            "skipped" => {}
            _ => {
                let turn = match step.get("act").and_then(Value::as_str) {
                    Some("us") => ", we must act",
                    Some("partner") => ", the partner must act",
                    Some("issuer") => ", the issuer must act",
                    _ => "",
                };
                tell.refusal(&format!("{name}, {outcome}{turn}: {}", text(step, "/detail")?));
            }
        }
    }
    tell.say(&format!("well: {}", well.join(", ")));
    Ok(())
}
