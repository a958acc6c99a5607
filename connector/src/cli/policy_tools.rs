//! `hansa policy check`, `eval`, `explain`, `simulate`, `diff`, `template`. What is about a file needs no control plane.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ::policy::Severity;
use serde_json::{Map, Value, json};

use super::arguments::{
    CheckPolicy, DiffPolicies, EvalCase, ExplainPolicy, PolicyCommand, SimulatePolicy, SituationOptions,
    TemplateCommand, UseTemplate,
};
use super::client::{Client, read_object, read_text, text};
use super::failure::{Failure, Outcome};
use super::partner;
use super::show::{self, Column, Printer, printable};
use crate::service::policy_tools::{Situation, check, simulate_document};

const CHANGES: [Column; 6] = [
    ("at", "/at"),
    ("for", "/scope"),
    ("partner", "/participantId"),
    ("dataset", "/datasetId"),
    ("would be allowed", "/newAllows"),
    ("why", "/why"),
];

const TEMPLATES: [Column; 3] = [("template", "/id"), ("title", "/title"), ("asks for", "/asks")];

const DAY_S: u64 = 24 * 60 * 60;

/// Runs a command that needs no control plane; `None` for one that does.
pub(super) fn local(command: &PolicyCommand, print: Printer) -> Option<Outcome> {
    match command {
        PolicyCommand::Check(options) => Some(look_over(options, print)),
        PolicyCommand::Eval(options) => Some(eval(options, print)),
        PolicyCommand::Template { command } => Some(template(command, print)),
        PolicyCommand::Simulate(options) => of_file(&options.policy, &options.situation, print),
        PolicyCommand::Explain(options) => of_file(options.policy.as_deref()?, &options.situation, print),
        _ => None,
    }
}

fn of_file(policy: &str, situation: &SituationOptions, print: Printer) -> Option<Outcome> {
    is_file(policy).then(|| simulate_file(Path::new(policy), situation, print))
}

/// Milliseconds since the Unix epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn is_file(policy: &str) -> bool {
    policy == "-" || Path::new(policy).is_file()
}

/// A policy from a file: JSON-LD as it is, Turtle as a string.
fn document(path: &Path) -> Outcome<Value> {
    let content = read_text(path)?;
    let begins_with = |first: char| content.trim_start().starts_with(first);
    let is_turtle = path.extension().is_some_and(|extension| extension == "ttl");
    if is_turtle || !begins_with('{') && !begins_with('[') {
        return Ok(Value::from(content));
    }
    serde_json::from_str(&content).map_err(|error| Failure::data(format!("`{}` is not JSON: {error}", path.display())))
}

fn look_over(options: &CheckPolicy, print: Printer) -> Outcome {
    let found = check(&document(&options.file)?, now());
    if print.json {
        print.value(&json!(found))?;
    } else {
        let mut lines = String::new();
        for finding in &found.findings {
            let place = if finding.pointer.is_empty() { "the policy" } else { &finding.pointer };
            let rule = finding.rule.as_ref().map(|rule| format!("{rule}: ")).unwrap_or_default();
            let (severity, code) = (finding.severity.as_str(), finding.code);
            lines.push_str(&format!("{severity:<8}{place}\n        {rule}{} [{code}]\n", finding.message));
        }
        if found.usable {
            lines.push_str("The policy can be used. It says:\n");
            found.rules.iter().for_each(|rule| lines.push_str(&format!("  {rule}\n")));
        }
        show::text(&printable(&lines))?;
    }
    let count = |severity| found.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match (errors, warnings) {
        (1.., _) => Err(Failure::data(format!("the policy cannot be used: {}", many(errors, "error")))),
        (0, 1..) if options.strict => Err(Failure::new(format!("there are doubts: {}", many(warnings, "warning")))),
        _ => Ok(()),
    }
}

fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn eval(options: &EvalCase, print: Printer) -> Outcome {
    let content = read_text(options.file.as_deref().unwrap_or(Path::new("-")))?;
    let case: Value =
        serde_json::from_str(&content).map_err(|error| Failure::data(format!("the case is not JSON: {error}")))?;
    let report = ::policy::evaluate(&case, now()).map_err(|error| {
        Failure::data(format!("{error} (at: {})", if error.pointer.is_empty() { "the whole" } else { &error.pointer }))
    })?;
    print.value(&json!(report))
}

fn simulate_file(path: &Path, options: &SituationOptions, print: Printer) -> Outcome {
    let told = simulate_document(&document(path)?, &situation(options)?, now()).map_err(|error| {
        let place = error.pointer.as_ref().map(|pointer| format!(" (at: {pointer})")).unwrap_or_default();
        Failure::data(format!("{}{place} [{}]", error.message, error.code))
    })?;
    explained(print, &json!(told))
}

fn explained(print: Printer, told: &Value) -> Outcome {
    if print.json { print.value(told) } else { show::text(&printable(text(told, "text"))) }
}

fn situation(options: &SituationOptions) -> Outcome<Situation> {
    let mut claims = options.claims.as_deref().map(read_object).transpose()?;
    for claim in &options.claim {
        let (name, value) = assignment(claim)?;
        // Numbers, truths and lists as JSON, everything else as it is typed.
        let value = serde_json::from_str(&value).unwrap_or(Value::from(value));
        claims.get_or_insert_with(Map::new).insert(name, value);
    }
    Ok(Situation {
        participant: options.partner.clone(),
        at: options.at.clone(),
        purpose: options.purpose.clone(),
        claims: claims.map(Value::Object),
        events: options.events.clone(),
        consents: options.consents.clone(),
        count: options.count,
        transfers: options.transfers,
        volume: options.volume,
        metered_seconds: options.metered,
        first_use: options.first_use.clone(),
        last_use: options.last_use.clone(),
        agreed_at: options.agreed_at.clone(),
        channel: options.channel.clone(),
        format: options.media_type.clone(),
        scope: options.scope.clone(),
        action: options.action.clone(),
        target: options.target.clone(),
    })
}

fn assignment(text: &str) -> Outcome<(String, String)> {
    let parts = text.split_once('=').filter(|(name, _)| !name.trim().is_empty());
    let (name, value) = parts.ok_or_else(|| Failure::new(format!("`{text}` is not NAME=VALUE")))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn template(command: &TemplateCommand, print: Printer) -> Outcome {
    match command {
        TemplateCommand::List(options) => {
            let items: Vec<Value> = ::policy::templates()
                .iter()
                .map(|template| {
                    let told = template.text(&options.language);
                    let asks: Vec<&str> = template.parameters.iter().map(|known| known.name.as_str()).collect();
                    let (title, summary) =
                        told.map(|told| (told.title.as_str(), told.summary.as_str())).unwrap_or_default();
                    json!({"id": template.id, "title": title, "summary": summary, "asks": asks})
                })
                .collect();
            print.list(&json!({"items": items, "next": null}), &TEMPLATES, "there are no templates")
        }
        TemplateCommand::Show(options) => {
            let template = find(&options.template)?;
            let told = template.text(&options.language.language);
            let parameters: Vec<Value> = template
                .parameters
                .iter()
                .map(|known| {
                    let meaning = told.and_then(|told| told.parameters.get(&known.name));
                    json!({
                        "name": known.name, "type": known.kind, "meaning": meaning, "default": known.default,
                        "choices": if known.choices.is_empty() { Value::Null } else { json!(known.choices) }
                    })
                })
                .collect();
            print.item(&json!({
                "id": template.id, "title": told.map(|told| &told.title), "summary": told.map(|told| &told.summary),
                "text": told.map(|told| &told.text), "parameters": parameters
            }))
        }
        TemplateCommand::Use(options) => use_template(options, print),
    }
}

fn find(id: &str) -> Outcome<&'static ::policy::Template> {
    ::policy::template(id).ok_or_else(|| {
        let known: Vec<&str> = ::policy::templates().iter().map(|template| template.id.as_str()).collect();
        Failure::new(format!("there is no template `{id}`; there are {}", known.join(", ")))
    })
}

fn use_template(options: &UseTemplate, print: Printer) -> Outcome {
    let mut values = Map::new();
    for value in &options.values {
        let (name, value) = assignment(value)?;
        values.insert(name, Value::from(value));
    }
    let made = find(&options.template)?.instantiate(&values, &options.language.language);
    let mut made = made.map_err(|error| Failure::data(format!("{} [{}]", error.message, error.code)))?;
    if let Value::Object(policy) = &mut made.policy {
        let own = [("id", options.id.as_deref()), ("title", Some(made.title.as_str()))];
        for (name, value) in own.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            policy.insert(name.to_owned(), Value::from(value));
        }
    }
    match (print.json, options.text) {
        (true, _) => print.value(&json!(made)),
        (false, true) => show::text(&format!("{}\n", printable(&made.text))),
        (false, false) => print.value(&made.policy),
    }
}

/// `hansa policy explain`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn explain(client: &Client, print: Printer, options: &ExplainPolicy) -> Outcome {
    let situation = with_partner(client, situation(&options.situation)?).await?;
    let mut input = Map::from_iter([("situation".to_owned(), json!(situation))]);
    for (name, id) in [("policyId", &options.policy), ("agreementId", &options.agreement)] {
        if let Some(id) = id {
            input.insert(name.to_owned(), Value::from(id.as_str()));
        }
    }
    explained(print, &client.post(&["policies", "explain"], &Value::Object(input)).await?)
}

/// `hansa policy simulate`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn simulate(client: &Client, print: Printer, options: &SimulatePolicy) -> Outcome {
    let situation = with_partner(client, situation(&options.situation)?).await?;
    let input = json!({"policyId": options.policy, "situation": situation});
    explained(print, &client.post(&["policies", "simulate"], &input).await?)
}

/// A partner may be named by its name.
async fn with_partner(client: &Client, mut situation: Situation) -> Outcome<Situation> {
    if let Some(named) = situation.participant.take() {
        let is_id = named.starts_with("did:") || named.starts_with("urn:");
        situation.participant = Some(if is_id { named } else { partner::resolve(client, &named).await? });
    }
    Ok(situation)
}

/// `hansa policy diff`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn diff(client: &Client, print: Printer, options: &DiffPolicies) -> Outcome {
    let terms = |named: &str| match is_file(named) {
        true => Ok::<_, Failure>(json!({"policy": document(Path::new(named))?})),
        false => Ok(json!({"policyId": named})),
    };
    let (old, new, since) = (terms(&options.old)?, terms(&options.new)?, since(&options.since)?);
    let input = json!({"old": old, "new": new, "since": since, "datasetId": options.dataset});
    let found = client.post(&["policies", "diff"], &input).await?;
    if print.json {
        return print.value(&found);
    }
    let number = |name: &str| found.get(name).and_then(Value::as_u64).unwrap_or_default();
    let list = json!({"items": found.get("changes"), "next": null});
    print.list(&list, &CHANGES, "no decision would have been different")?;
    let more = if found.get("more") == Some(&Value::Bool(true)) { " (there are more)" } else { "" };
    show::text(&format!(
        "{} decisions tried again{more}: {} opened, {} closed\n",
        number("tried"),
        number("opened"),
        number("closed")
    ))
}

/// A moment: as it is, or so many days ago.
fn since(text: &str) -> Outcome<String> {
    let Some(days) = text.strip_suffix('d') else { return Ok(text.to_owned()) };
    let days: u64 = days.parse().map_err(|_| Failure::new(format!("`{text}` is no time and no number of days")))?;
    let back = i64::try_from(days.saturating_mul(DAY_S).saturating_mul(1_000)).unwrap_or(i64::MAX);
    Ok(policy_plan::instant_text(now().saturating_sub(back).max(0)))
}

#[cfg(test)]
#[path = "policy_tools_tests.rs"]
mod tests;
