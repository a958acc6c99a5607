//! Reasons of terminations and suspensions: sentences for people, and the rule and the fact for machines.

use serde_json::{Value, json};

use super::{REFUSED, RETRYING, ServiceError};

/// A problem as it is kept in rows and shown by the API.
pub(crate) fn error_object(error: &ServiceError) -> Value {
    let mut object = json!({"code": error.code, "detail": error.message, "fault": error.fault.as_str()});
    if let Value::Object(members) = &mut object {
        members.extend(error.rule.clone().map(|rule| ("rule".to_owned(), rule.into())));
        members.extend(error.fact.clone().map(|fact| ("fact".to_owned(), fact.into())));
    }
    object
}

/// A failed delivery, or a step that was refused, is no news any more once another has succeeded.
pub(crate) fn forget_passing_error(error: &mut Option<String>) {
    let has = |text: &str, code: &str| text.contains(&format!("\"code\":\"{code}\""));
    if error.as_deref().is_some_and(|text| has(text, RETRYING) || has(text, REFUSED)) {
        *error = None;
    }
}

/// Code and reasons as they are sent: the sentence, and behind it the rule and the fact that decided, for machines
/// (items of `reason` may be of any type: DSP 2025-1, Contract Negotiation Termination Message).
pub(crate) fn termination_object(code: &str, reason: &str, why: Option<&ServiceError>) -> Value {
    let mut reasons = vec![Value::from(reason)];
    if let Some(ServiceError { rule: Some(rule), fact, .. }) = why {
        reasons.push(json!({"rule": rule, "fact": fact}));
    }
    json!({"code": code, "reason": reasons})
}

/// A termination by the counter-party as a problem: its sentences, and the rule and the fact if it names them.
pub(crate) fn terminated_by_peer(code: Option<&str>, reasons: &[Value]) -> Value {
    let detail = reasons.iter().find(|reason| reason.get("rule").is_some());
    let named = |name: &str| detail.and_then(|reason| reason.get(name)).and_then(Value::as_str).map(str::to_owned);
    let texts: Vec<String> = reasons.iter().filter(|reason| reason.get("rule").is_none()).map(reason_text).collect();
    let text = if texts.is_empty() { "the counter-party gave no reason".to_owned() } else { texts.join("; ") };
    let code = code.unwrap_or("terminated_by_peer");
    let mut object = json!({"code": code, "detail": text, "fault": "peer"});
    if let Value::Object(members) = &mut object {
        members.extend(named("rule").map(|rule| ("rule".to_owned(), rule.into())));
        members.extend(named("fact").map(|fact| ("fact".to_owned(), fact.into())));
    }
    object
}

/// A reason as text: strings as they are, objects by their `@value` or as JSON.
pub(crate) fn reason_text(reason: &Value) -> String {
    let text = reason.as_str().or_else(|| reason.get("@value").and_then(Value::as_str));
    text.map_or_else(|| reason.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_and_the_fact_reach_the_other_side() {
        let why = ServiceError::bad_request("policy_denied", "no").because(Some("r".into()), Some("f".into()));
        let sent = termination_object("policy_denied", "no", Some(&why));
        let reasons = sent["reason"].as_array().cloned().unwrap_or_default();
        let shown = terminated_by_peer(Some("policy_denied"), &reasons);
        assert_eq!(shown, json!({"code": "policy_denied", "detail": "no", "fault": "peer", "rule": "r", "fact": "f"}));
    }

    #[test]
    fn reasons_of_any_type_become_text() {
        let reasons = [json!("a"), json!({"@value": "b", "@language": "en"}), json!(3)];
        assert_eq!(terminated_by_peer(None, &reasons)["detail"], "a; b; 3");
        assert_eq!(terminated_by_peer(None, &[])["detail"], "the counter-party gave no reason");
    }
}
