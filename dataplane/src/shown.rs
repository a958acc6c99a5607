//! `GET {flow}/shown`: what a flow shows, for the partner's data plane, which registers exactly that with its broker. It says what the
//! agreement shows anyway; no names of what is hidden.

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse};
use policy_plan::{PersonalMode, Selection};
use serde_json::{Value, json};

use crate::flow::Flow;
use crate::permit;
use crate::problem::Problem;

/// Where it is, below the flow's address.
pub(crate) const PATH: &str = "/shown";

/// Whether this flow can say what it shows.
pub(crate) fn is_known(flow: Option<&Arc<Flow>>) -> bool {
    flow.is_some_and(|flow| {
        flow.terms.serves_ngsi_ld() && flow.terms.plan.as_ref().is_some_and(|plan| plan.selection.is_some())
    })
}

/// Answers the partner's data plane. No use is spent, as nothing of the dataset is read.
///
/// # Errors
/// 401 without the right token; 403 when the flow or the agreement refuses; 405.
pub(crate) fn serve(flow: Option<Arc<Flow>>, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let permitted = permit::subscriber(flow, request)?;
    if request.method() != Method::GET {
        return Err(Problem::method_not_allowed("GET", "this path takes GET"));
    }
    let selection = permitted.target().terms.plan.as_ref().and_then(|plan| plan.selection.as_ref());
    let selection = selection.ok_or_else(crate::public::no_route)?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(shown(selection)))
}

fn shown(selection: &Selection) -> Value {
    let removed = selection.personal.as_ref().filter(|personal| personal.mode == PersonalMode::Remove);
    let is_removed = |name: &String| {
        removed.is_some_and(|personal| personal.marking.values().any(|marking| marking.personal.contains(name)))
    };
    let attributes: Vec<&String> =
        selection.attributes.iter().map(|rule| &rule.name).filter(|name| !is_removed(name)).collect();
    // Pseudonyms have no pattern that the partner could know them by.
    match selection.ids.as_ref().filter(|_| !selection.pseudonymous_ids) {
        Some(ids) => json!({"types": selection.types, "attributes": attributes, "ids": ids}),
        None => json!({"types": selection.types, "attributes": attributes}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_is_named() {
        let selection = |more: Value| -> Selection {
            let mut all =
                json!({"types": ["https://m/A"], "attributes": [{"name": "https://m/x"}, {"name": "https://m/owner"}]});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(all).unwrap()
        };
        let personal = |mode: &str| json!({"personal": {"mode": mode, "marking": {"https://m/A": {"personal": ["https://m/owner"]}}}});
        let both = json!(["https://m/x", "https://m/owner"]);
        for (more, attributes, ids) in [
            (json!({}), &both, Value::Null),
            (json!({"ids": ["urn:a:*"]}), &both, json!(["urn:a:*"])),
            (personal("pseudonymise"), &both, Value::Null),
            (personal("remove"), &json!(["https://m/x"]), Value::Null),
        ] {
            let shown = shown(&selection(more.clone()));
            assert_eq!(
                (&shown["types"], &shown["attributes"], &shown["ids"]),
                (&json!(["https://m/A"]), attributes, &ids),
                "{more}"
            );
            assert!(!shown.to_string().contains("rows"));
        }
    }
}
