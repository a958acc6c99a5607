//! `hansa trust`: whom we believe.

use serde_json::{Value, json};

use super::arguments::{NewTrust, TrustCommand};
use super::client::Client;
use super::failure::Outcome;
use super::show::{Column, Printer};

const PATH: &str = "trusted-issuers";
const COLUMNS: [Column; 4] = [("issuer", "/id"), ("types", "/types"), ("claims", "/claims"), ("source", "/source")];

/// `hansa trust …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn run(client: &Client, print: Printer, command: TrustCommand) -> Outcome {
    match command {
        TrustCommand::List(many) => {
            let mut list = client.list(PATH, &[], many.limit).await?;
            if !print.json {
                say_all(&mut list);
            }
            print.list(&list, &COLUMNS, "we trust no issuer; `hansa trust add` changes that")
        }
        TrustCommand::Add(options) => {
            let shown = client.put(&[PATH, &options.issuer], &entry(&options)).await?;
            print.done(&format!("{} is trusted for {}", options.issuer, options.types.join(", ")), &shown)
        }
        TrustCommand::Remove(what) => {
            client.delete(&[PATH, &what.id]).await?;
            print.done(&format!("{} is trusted no more", what.id), &json!({"removed": what.id}))
        }
    }
}

fn entry(options: &NewTrust) -> Value {
    match options.claims.as_slice() {
        [] => json!({"types": options.types}),
        claims => json!({"types": options.types, "claims": claims}),
    }
}

/// No list of claims stands for all.
fn say_all(list: &mut Value) {
    let items = list.get_mut("items").and_then(Value::as_array_mut);
    for members in items.into_iter().flatten().filter_map(Value::as_object_mut) {
        members.entry("claims").or_insert_with(|| Value::from("all"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_claims_all_are_meant() {
        let new = |claims: &[&str]| NewTrust {
            issuer: "did:web:x".to_owned(),
            types: vec!["A".to_owned()],
            claims: claims.iter().map(|claim| (*claim).to_owned()).collect(),
        };
        assert_eq!(entry(&new(&[])), json!({"types": ["A"]}));
        assert_eq!(entry(&new(&["c"])), json!({"types": ["A"], "claims": ["c"]}));
        let mut list = json!({"items": [{"id": "a"}, {"id": "b", "claims": ["c"]}]});
        say_all(&mut list);
        assert_eq!(list["items"][0]["claims"], "all");
        assert_eq!(list["items"][1]["claims"], json!(["c"]));
    }
}
