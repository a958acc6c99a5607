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
