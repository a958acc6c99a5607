//! Naming a partner.

use serde_json::Value;

use super::client::{Client, text};
use super::failure::{Failure, Outcome};

/// The participant id of a partner that was named by its id or its name.
///
/// # Errors
/// When there is no such partner, or several have the name.
pub(super) async fn resolve(client: &Client, named: &str) -> Outcome<String> {
    match client.get(&["partners", named]).await {
        Ok(_) => return Ok(named.to_owned()),
        Err(failure) if failure.code() == Some("not_found") => {}
        // A name such as `Città di Bari` is not an id, which the control plane says with another code.
        Err(failure) if failure.code().is_some_and(|code| code.starts_with("bad_")) => {}
        Err(failure) => return Err(failure),
    }
    let found = client.list("partners", &[("name", named)], 2).await?;
    match found.get("items").and_then(Value::as_array).map(Vec::as_slice) {
        Some([one]) => Ok(text(one, "id").to_owned()),
        Some([_, ..]) => Err(Failure::new(format!("several partners have the name `{named}`; give the id"))),
        _ => {
            Err(Failure::new(format!("there is no partner `{named}`; `hansa partner list` shows those that are known")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::{Fake, problem};
    use super::*;

    #[tokio::test]
    async fn a_partner_is_named_by_id_or_name() {
        let fake = Fake::start(|asked, _| match asked.rsplit(['/', '=']).next().unwrap() {
            "did:web:bari" => (200, json!({"id": "did:web:bari"})),
            "2" if asked.contains("name=bari") => (200, json!({"items": [{"id": "did:web:bari"}], "next": null})),
            "2" if asked.contains("name=port") => (200, json!({"items": [{"id": "a"}, {"id": "b"}], "next": null})),
            "2" => (200, json!({"items": [], "next": null})),
            "broken" => problem(500, "internal", "the database is gone"),
            "Citt%C3%A0%20di%20Bari" => problem(400, "bad_member", "`id` must not have spaces"),
            _ => problem(404, "not_found", "no such partner"),
        })
        .await;
        assert_eq!(resolve(&fake.client, "did:web:bari").await.unwrap(), "did:web:bari");
        assert_eq!(resolve(&fake.client, "bari").await.unwrap(), "did:web:bari");
        let refused = async |named: &str| resolve(&fake.client, named).await.unwrap_err().to_string();
        assert!(refused("port").await.contains("several partners"));
        assert!(refused("nobody").await.contains("there is no partner `nobody`"));
        assert!(refused("Città di Bari").await.contains("there is no partner `Città di Bari`"));
        assert_eq!(refused("broken").await, "the database is gone [internal]");
    }
}
