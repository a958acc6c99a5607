//! The bundle on Open Policy Agent: another evaluator gives the answers that ours gives.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::facts::Moments;
use crate::table;
use crate::{Policy, Scope, duties, rego};

/// All cases of the tables in one process; `scripts/test.sh opa` runs it.
#[test]
#[ignore = "needs Open Policy Agent, whose program HANSA_OPA names"]
fn opa_answers_as_we_do() {
    let opa = std::env::var("HANSA_OPA").expect("HANSA_OPA names the program `opa`");
    let (mut names, mut inputs, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for case in table::all() {
        let Ok(policy) = Policy::compile(&case.source()) else { continue };
        let (facts, is_proposal) = (case.facts(), case.scope() == Scope::Negotiation);
        let agreed_at_ms = case.scope().is_before_agreement().then_some(facts.now_ms);
        let now = Moments { at_ms: facts.now_ms, agreed_at_ms };
        let settled = duties::settled(&policy.compiled, &facts, is_proposal);
        let (operands, request) = policy.asked(case.action(), &facts, now, is_proposal, &settled);
        let input = rego::input(&policy.compiled, &request, &operands);
        inputs.push(serde_json::from_str::<Value>(&input.to_json_str().unwrap()).unwrap());
        let answer = rego::answer(input).unwrap();
        answers.push(serde_json::from_str::<Value>(&answer.to_json_str().unwrap()).unwrap());
        names.push(case.name);
    }
    assert!(names.len() > 500, "only {} cases are evaluated", names.len());

    let file = std::env::temp_dir().join(format!("hansa-opa-cases-{}.json", std::process::id()));
    std::fs::write(&file, json!({"cases": inputs}).to_string()).unwrap();
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("rego/odrl.rego");
    let query = "[answer | some case in data.cases; answer := data.odrl.decision with input as case]";
    let output = Command::new(opa)
        .args(["eval", "--strict-builtin-errors", "--format", "raw", "--data"])
        .arg(&bundle)
        .arg("--data")
        .arg(&file)
        .arg(query)
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(theirs.len(), names.len(), "a case has no answer");
    for ((name, ours), theirs) in names.iter().zip(&answers).zip(&theirs) {
        assert_eq!(ours, theirs, "{name}");
    }
}
