use super::super::arguments::TemplateLanguage;
use super::super::fake::Fake;
use super::*;

const QUIET: Printer = Printer { json: false };

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl ToString) -> std::path::PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path
    }
}

fn members() -> Value {
    json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}
    ]}]})
}

#[test]
fn a_file_is_looked_over_and_the_status_tells() {
    let files = Files::new();
    let status = |name: &str, content: &str, strict: bool| {
        let file = files.write(name, content);
        look_over(&CheckPolicy { file, strict }, QUIET).err().map(|failure| failure.status())
    };
    let clean = json!({
        "profile": ::policy::MUNICIPAL_PROFILE, "title": "Members", "id": "urn:p", "createdAt": "2026-01-01T00:00:00Z",
        "permission": members()["permission"]
    });
    assert_eq!(status("clean.json", &clean.to_string(), true), None);
    assert_eq!(status("doubts.json", &members().to_string(), false), None);
    assert_eq!(status("doubts.json", &members().to_string(), true), Some(1));
    assert_eq!(status("wrong.json", r#"{"permission": [{"action": "fly"}]}"#, false), Some(65));
    assert_eq!(status("broken.json", "{", false), Some(65));
    assert_eq!(status("broken.ttl", "<a> <b>", false), Some(65));
    let turtle = "@prefix odrl: <http://www.w3.org/ns/odrl/2/> .\n[] odrl:permission [ odrl:action odrl:use ] .";
    assert_eq!(status("good.ttl", turtle, false), None);
    let missing = look_over(&CheckPolicy { file: "/nowhere/p.json".into(), strict: false }, QUIET).unwrap_err();
    assert!(missing.to_string().contains("cannot read"), "{missing}");
}

#[test]
fn a_case_is_judged_or_refused_with_its_place() {
    let files = Files::new();
    let good = files.write("case.json", json!({"policy": members(), "facts": {"claims": {"membership": "active"}}}));
    eval(&EvalCase { file: Some(good) }, QUIET).unwrap();
    let bad = files.write("bad.json", json!({"policy": {"permission": [{"action": "fly"}]}}));
    let failure = eval(&EvalCase { file: Some(bad) }, QUIET).unwrap_err();
    assert_eq!(failure.status(), 65);
    assert!(failure.to_string().contains("(at: /policy/permission/0/action)"), "{failure}");
}

#[test]
fn a_file_is_simulated_without_a_control_plane() {
    let files = Files::new();
    let policy = files.write("p.json", members());
    let options = |claim: &str| SituationOptions {
        partner: Some("did:web:b".into()),
        claim: vec![claim.to_owned()],
        ..SituationOptions::default()
    };
    simulate_file(&policy, &options("membership=active"), QUIET).unwrap();
    let command = PolicyCommand::Simulate(Box::new(SimulatePolicy {
        policy: policy.display().to_string(),
        situation: options("membership=active"),
    }));
    assert!(local(&command, QUIET).is_some());
    let by_id = PolicyCommand::Simulate(Box::new(SimulatePolicy { policy: "urn:p".into(), situation: options("a=b") }));
    assert!(local(&by_id, QUIET).is_none());
    let failure = simulate_file(&policy, &options("membership"), QUIET).unwrap_err();
    assert!(failure.to_string().contains("NAME=VALUE"), "{failure}");
    let at = SituationOptions { at: Some("noon".into()), ..SituationOptions::default() };
    assert_eq!(simulate_file(&policy, &at, QUIET).unwrap_err().status(), 65);
}

#[test]
fn claims_are_text_numbers_and_lists() {
    let files = Files::new();
    let claims = files.write("claims.json", json!({"role": "clerk", "level": 1}));
    let options = SituationOptions {
        claims: Some(claims),
        claim: vec!["level=3".into(), "role=[\"a\",\"b\"]".into(), "name = Bari = city".into()],
        ..SituationOptions::default()
    };
    let told = situation(&options).unwrap().claims.unwrap();
    assert_eq!(told, json!({"role": ["a", "b"], "level": 3, "name": "Bari = city"}));
}

#[test]
fn templates_are_shown_and_used() {
    let language = || TemplateLanguage { language: "en".into() };
    template(&TemplateCommand::List(language()), QUIET).unwrap();
    let show = |name: &str| {
        let options = super::super::arguments::ShowTemplate { template: name.into(), language: language() };
        template(&TemplateCommand::Show(options), QUIET)
    };
    show("until-date").unwrap();
    assert!(show("nothing").unwrap_err().to_string().contains("until-date"));
    let make = |values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let (id, text) = (Some("urn:p".into()), false);
        use_template(&UseTemplate { template: "until-date".into(), values, id, text, language: language() }, QUIET)
    };
    make(&["until=2027-12-31"]).unwrap();
    for (values, status) in [(&[][..], 65), (&["until=soon"], 65), (&["til=2027-12-31"], 65), (&["until"], 1)] {
        assert_eq!(make(values).unwrap_err().status(), status, "{values:?}");
    }
}

#[tokio::test]
async fn what_is_about_the_connector_asks_it() {
    let fake = Fake::start(|asked, _| match asked {
        "POST /api/v1/policies/diff" => (200, json!({"tried": 3, "opened": 1, "closed": 0, "changes": [{"at": "x"}]})),
        "GET /api/v1/partners/bari" => super::super::fake::problem(404, "not_found", "no"),
        asked if asked.starts_with("GET /api/v1/partners?") => {
            (200, json!({"items": [{"id": "did:web:bari"}], "next": null}))
        }
        _ => (200, json!({"allow": true, "text": "allowed"})),
    })
    .await;
    let named = SituationOptions { partner: Some("bari".into()), ..SituationOptions::default() };
    let options = ExplainPolicy { policy: Some("urn:p".into()), agreement: None, situation: named };
    explain(&fake.client, QUIET, &options).await.unwrap();
    let situation = SituationOptions { count: Some(4), ..SituationOptions::default() };
    simulate(&fake.client, QUIET, &SimulatePolicy { policy: "urn:p".into(), situation }).await.unwrap();
    let options =
        |since: &str| DiffPolicies { old: "urn:p".into(), new: "urn:q".into(), since: since.into(), dataset: None };
    diff(&fake.client, QUIET, &options("7d")).await.unwrap();
    assert!(diff(&fake.client, QUIET, &options("manyd")).await.is_err());
    let sent = fake.requests.lock().unwrap().join("\n");
    assert!(sent.contains(r#""situation":{"participant":"did:web:bari"}"#), "{sent}");
    assert!(sent.contains(r#"{"policyId":"urn:p","situation":{"count":4}}"#), "{sent}");
    assert!(sent.contains(r#""old":{"policyId":"urn:p"},"new":{"policyId":"urn:q"},"since":"20"#), "{sent}");
}
