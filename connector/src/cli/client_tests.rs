use super::super::fake::{Fake, problem};
use super::*;

#[tokio::test]
async fn requests_carry_the_token_and_encode_what_they_name() {
    let fake = Fake::start(|_, _| (200, json!({"ok": true}))).await;
    let found = fake.client.find(&["partners", "did:web:a/../b?c"], &[("state", "a b&c")]).await.unwrap();
    assert_eq!(found, json!({"ok": true}));
    fake.client.post(&["datasets"], &json!({"n": 1})).await.unwrap();
    assert_eq!(fake.asked(), ["GET partners/did:web:a%2F..%2Fb%3Fc?state=a+b%26c", "POST datasets"]);
    let requests = fake.requests.lock().unwrap();
    assert!(requests.iter().all(|request| request.contains("authorization: Bearer the-management-token\r\n")));
    assert!(requests[1].ends_with("{\"n\":1}"));
    assert!(!format!("{:?}", fake.client).contains("the-management-token"));
}

#[tokio::test]
async fn lists_are_read_page_by_page_up_to_the_limit() {
    let fake = Fake::start(|asked, _| {
        let page = |items: &[u32], next: Value| (200, json!({"items": items, "next": next}));
        match asked.split_once("cursor=").map(|(_, cursor)| cursor) {
            None => page(&[1, 2], json!("a")),
            Some("a") => page(&[3, 4], json!("b")),
            Some(_) => page(&[5], Value::Null),
        }
    })
    .await;
    let all = fake.client.list("offers", &[("role", "x")], 100).await.unwrap();
    assert_eq!(all, json!({"items": [1, 2, 3, 4, 5], "next": null}));
    assert_eq!(fake.asked()[1], "GET offers?role=x&limit=98&cursor=a");
    let some = fake.client.list("offers", &[], 3).await.unwrap();
    assert_eq!(some["next"], "b", "what is left is told");
}

#[tokio::test]
async fn refusals_are_told_in_the_words_of_the_control_plane() {
    let fake = Fake::start(|asked, _| match asked.rsplit('/').next().unwrap() {
        "a" => problem(404, "not_found", "there is no offer `a`"),
        "b" => problem(401, "bad_token", "this is not the management token"),
        "c" => (502, json!("<html>")),
        "d" => (200, json!("fine")),
        _ => (204, Value::Null),
    })
    .await;
    let refused = async |id: &str| fake.client.get(&["offers", id]).await.unwrap_err().to_string();
    assert_eq!(refused("a").await, "there is no offer `a` [not_found]");
    assert_eq!(
        refused("b").await,
        "the management token is not accepted: this is not the management token [bad_token]"
    );
    assert!(refused("c").await.starts_with("the control plane answered with status 502"));
    assert_eq!(fake.client.delete(&["offers", "e"]).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn a_control_plane_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "x").unwrap();
    let connection =
        |url: &str| Connection { url: url.into(), token_file: Some(token.clone()), ca_file: None, json: false };
    let client = Client::connect(&connection("http://127.0.0.1:9")).unwrap();
    let failure = client.get(&["status"]).await.unwrap_err().to_string();
    assert!(failure.contains("http://127.0.0.1:9/ cannot be reached") && failure.contains("hansa serve"), "{failure}");
    for url in ["", "localhost:1", "ftp://x", "file:///x"] {
        assert!(Client::connect(&connection(url)).is_err(), "{url}");
    }
    std::fs::write(&token, "line\nline").unwrap();
    assert!(Client::connect(&connection("http://h")).unwrap_err().to_string().contains("cannot be sent"));
    std::fs::write(&token, " \n").unwrap();
    assert!(Client::connect(&connection("http://h")).unwrap_err().to_string().contains("is empty"));
}

#[test]
fn files_that_hold_no_object_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    assert!(read_object(&path).unwrap_err().to_string().contains("cannot read"));
    for (text, why) in [("[1]", "must hold a JSON object"), ("{", "is not JSON"), ("", "is not JSON")] {
        std::fs::write(&path, text).unwrap();
        assert!(read_object(&path).unwrap_err().to_string().contains(why), "{text}");
    }
    std::fs::write(&path, "{\"a\":1}").unwrap();
    assert_eq!(read_object(&path).unwrap().len(), 1);
}
