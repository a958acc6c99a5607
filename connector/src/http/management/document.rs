//! The OpenAPI description and the routes, from one list, so that neither has what the other lacks.

use std::sync::LazyLock;

use actix_web::web::ServiceConfig;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Description, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    BASE, agreements, consents, credential_requests, credentials, data_planes, datasets, decisions, declared_events,
    diagnosis, duties, events, identity, issuances, negotiations, offers, partner_catalog, partners, policies,
    policy_templates, policy_tools, status, transfers, trust, webhooks,
};
use crate::http::problem::{PROBLEM_JSON, ProblemDocument};

macro_rules! routes {
    ($($module:ident :: $handler:ident),+ $(,)?) => {
        #[derive(OpenApi)]
        #[openapi(
            info(
                title = "Hansa management API",
                description = "What an operator and their automation can see and do. Errors are RFC 9457 problems with a \
                    stable `code`. Ids in paths are percent-encoded.",
                license(name = "Apache-2.0", identifier = "Apache-2.0")
            ),
            servers((url = "/api/v1")),
            security(("token" = [])),
            paths(super::openapi, $($module::$handler),+),
            components(schemas(ProblemDocument, events::EventView)),
            tags(
                (name = "status", description = "The installation at a glance"),
                (name = "datasets", description = "What can be shared"),
                (name = "policies", description = "ODRL policies"),
                (name = "offers", description = "Which dataset, under which policy, for whom"),
                (name = "partners", description = "Other participants and what they offer us"),
                (name = "negotiations", description = "Contract negotiations, in both roles"),
                (name = "agreements", description = "Concluded agreements"),
                (name = "transfers", description = "Transfer processes, in both roles"),
                (name = "declared events", description = "Events that policies speak of"),
                (name = "consents", description = "Consents that policies ask for"),
                (name = "duties", description = "What agreements oblige to, and how far it is"),
                (name = "decisions", description = "What policies decided, by what facts"),
                (name = "identity", description = "Our DID and its keys"),
                (name = "credentials", description = "Verifiable credentials that we hold, ask for and are offered"),
                (name = "issuance", description = "Verifiable credentials that we issue"),
                (name = "trust", description = "Issuers whose credentials count"),
                (name = "data planes", description = "The services that move the data"),
                (name = "events", description = "What happened, as a list or a stream"),
                (name = "webhooks", description = "Events posted to receivers")
            ),
            modifiers(&Security, &Names, &Problems)
        )]
        struct Api;

        /// Registers every route of the API.
        pub(super) fn register(config: &mut ServiceConfig) {
            config$(.service($module::$handler))+;
        }
    };
}

routes!(
    status::show,
    datasets::list,
    datasets::create,
    datasets::show,
    datasets::replace,
    datasets::remove,
    policies::list,
    policies::create,
    policies::show,
    policies::replace,
    policies::remove,
    policy_tools::check,
    policy_tools::evaluate,
    policy_tools::explain,
    policy_tools::simulate,
    policy_tools::diff,
    policy_templates::list,
    policy_templates::show,
    policy_templates::make,
    offers::list,
    offers::create,
    offers::show,
    offers::replace,
    offers::remove,
    partners::list,
    partners::create,
    partners::show,
    partners::replace,
    partners::remove,
    partner_catalog::page,
    partner_catalog::show,
    diagnosis::partner,
    negotiations::list,
    negotiations::create,
    negotiations::show,
    negotiations::command,
    agreements::list,
    agreements::show,
    transfers::list,
    transfers::create,
    transfers::show,
    transfers::command,
    declared_events::list,
    declared_events::create,
    declared_events::show,
    declared_events::replace,
    declared_events::end,
    declared_events::remove,
    consents::list,
    consents::create,
    consents::show,
    consents::withdraw,
    consents::remove,
    duties::list,
    duties::show,
    duties::fulfil,
    duties::violate,
    decisions::list,
    decisions::show,
    identity::show,
    identity::rotate,
    identity::revoke,
    credentials::list,
    credentials::verify,
    credentials::show,
    credentials::accept,
    credentials::remove,
    credential_requests::list,
    credential_requests::create,
    credential_requests::show,
    credential_requests::offers,
    credential_requests::offer,
    issuances::list,
    issuances::show,
    issuances::approve,
    issuances::reject,
    issuances::issued,
    issuances::show_issued,
    issuances::revoke,
    trust::list,
    trust::show,
    trust::replace,
    trust::remove,
    data_planes::list,
    data_planes::show,
    data_planes::replace,
    data_planes::remove,
    events::list,
    webhooks::list,
    webhooks::create,
    webhooks::show,
    webhooks::replace,
    webhooks::remove,
);

/// The bearer token.
struct Security;

impl Modify for Security {
    fn modify(&self, description: &mut Description) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The management token: made at the first start and shown once"))
            .build();
        let components = description.components.get_or_insert_default();
        components.security_schemes.insert("token".to_owned(), RefOr::T(SecurityScheme::Http(token)));
    }
}

/// Names of operations: the same handler name occurs in every module, so they are made from method and path.
struct Names;

impl Modify for Names {
    fn modify(&self, description: &mut Description) {
        for (path, item) in &mut description.paths.paths {
            for (method, operation) in operations(item) {
                operation.operation_id = Some(operation_name(method, path));
            }
        }
    }
}

/// `GET /partners/{id}/catalog` is `getPartnersByIdCatalog`.
fn operation_name(method: &str, path: &str) -> String {
    let mut name = method.to_lowercase();
    for word in path.split(['/', '-', '.']).filter(|word| !word.is_empty()) {
        let (by, word) = word.strip_prefix('{').map_or(("", word), |word| ("By", word.trim_end_matches('}')));
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name.extend([by, &first.to_uppercase(), rest]);
    }
    name
}

/// The problems that an operation can answer with, from its shape.
struct Problems;

impl Modify for Problems {
    fn modify(&self, description: &mut Description) {
        for (path, item) in &mut description.paths.paths {
            if path == "/openapi.json" {
                continue;
            }
            let named = path.contains('{');
            for (method, operation) in operations(item) {
                let mut problems = vec![("401", "The token is missing or wrong")];
                if operation.request_body.is_some() || method == "GET" {
                    problems.push(("400", "A member or a parameter is missing, unknown or cannot be used"));
                }
                if operation.request_body.is_some() {
                    problems.push(("413", "The body is too large"));
                }
                if named {
                    problems.push(("404", "There is nothing with this id"));
                }
                if method != "GET" {
                    problems.push(("409", "The present state does not allow it, or the id is taken or in use"));
                } else if tagged(operation, &["identity", "credentials", "issuance", "trust"]) {
                    problems.push(("409", "Verifiable credentials are not set up here"));
                }
                for (status, text) in problems {
                    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(text).into());
                }
                let bare = |status: &str| status.starts_with('5') || status == "409";
                for response in operation.responses.responses.iter_mut().filter(|(status, _)| bare(status)) {
                    if let (_, RefOr::T(response)) = response {
                        *response = problem(&response.description);
                    }
                }
            }
        }
    }
}

fn tagged(operation: &Operation, tags: &[&str]) -> bool {
    operation.tags.iter().flatten().any(|tag| tags.contains(&tag.as_str()))
}

fn problem(text: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(text).content(PROBLEM_JSON, content).build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [("GET", &mut item.get), ("POST", &mut item.post), ("PUT", &mut item.put), ("DELETE", &mut item.delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The OpenAPI description.
pub(super) fn document() -> Description {
    Api::openapi()
}

/// The description as JSON, made when it is first asked for.
pub(super) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_default());
    &TEXT
}

/// The methods that the API knows at a path below its base; none when there is no such path.
pub(super) fn methods_of(path: &str) -> Vec<&'static str> {
    static ROUTES: LazyLock<Vec<(String, Vec<&'static str>)>> = LazyLock::new(|| {
        let routes = document().paths.paths.into_iter();
        routes.map(|(path, mut item)| (path, operations(&mut item).map(|(method, _)| method).collect())).collect()
    });
    let fits = |template: &str| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if wanted == given || (wanted.starts_with('{') && !given.is_empty()) => {}
                _ => return false,
            }
        }
    };
    ROUTES.iter().find(|(template, _)| fits(template)).map(|(_, methods)| methods.clone()).unwrap_or_default()
}

/// The documentation page. It needs nothing from the internet.
pub(super) fn page() -> SwaggerUi {
    let description = format!("{BASE}/openapi.json");
    SwaggerUi::new("/docs/{_:.*}").config(Config::from(description).validator_url("none").persist_authorization(false))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn json() -> Value {
        serde_json::from_str(text()).unwrap()
    }

    #[test]
    fn every_operation_is_described() {
        let json = json();
        let mut names = std::collections::BTreeSet::new();
        for (path, item) in json["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let at = format!("{method} {path}");
                assert!(names.insert(operation["operationId"].as_str().unwrap()), "{at}: the name is taken");
                assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{at} has no summary");
                assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{at}");
                let responses = operation["responses"].as_object().unwrap();
                let good = responses.iter().filter(|(status, _)| status.starts_with('2'));
                for (status, response) in good {
                    assert!(status == "204" || response["content"].is_object(), "{at} {status} has no schema");
                }
                assert_eq!(responses.contains_key("401"), path != "/openapi.json", "{at}");
                for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
                    assert!(response["content"][PROBLEM_JSON].is_object(), "{at} {status}");
                }
                if method == "post" || method == "put" {
                    assert!(operation["requestBody"]["content"]["application/json"]["schema"].is_object(), "{at}");
                }
                for variable in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                    let parameters = operation["parameters"].as_array().unwrap();
                    assert!(parameters.iter().any(|parameter| parameter["name"] == variable), "{at}: {variable}");
                }
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, all: &Value) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(all.pointer(pointer).is_some(), "{reference}");
                    }
                    members.values().for_each(|value| walk(value, all));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(value, all)),
                _ => {}
            }
        }
        let json = json();
        walk(&json, &json);
    }

    #[test]
    fn inputs_have_examples_that_are_read() {
        let json = json();
        let example = |name: &str| json["components"]["schemas"][name]["example"].to_string();
        fn reads<T: serde::de::DeserializeOwned>(text: &str) {
            if let Err(error) = serde_json::from_str::<T>(text) {
                panic!("{text}: {error}");
            }
        }
        use crate::service::registry as inputs;
        reads::<inputs::DatasetInput>(&example("DatasetInput"));
        reads::<inputs::PolicyInput>(&example("PolicyInput"));
        reads::<inputs::OfferInput>(&example("OfferInput"));
        reads::<inputs::PartnerInput>(&example("PartnerInput"));
        reads::<inputs::DataPlaneInput>(&example("DataPlaneInput"));
        reads::<inputs::WebhookInput>(&example("WebhookInput"));
        reads::<inputs::DeclaredEventInput>(&example("DeclaredEventInput"));
        reads::<inputs::ConsentInput>(&example("ConsentInput"));
        reads::<duties::NoteInput>(&example("DutyNote"));
        reads::<inputs::TrustedIssuerInput>(&example("TrustedIssuerInput"));
        reads::<identity::RotationInput>(&example("Rotation"));
        reads::<identity::NothingInput>(&example("Nothing"));
        reads::<issuances::ReasonInput>(&example("Reason"));
        reads::<credentials::VerificationInput>(&example("Verification"));
        reads::<credential_requests::RequestInput>(&example("NewCredentialRequest"));
        reads::<negotiations::NegotiationInput>(&example("NegotiationInput"));
        reads::<transfers::TransferInput>(&example("TransferInput"));
        reads::<policy_tools::CheckInput>(&example("CheckInput"));
        reads::<policy_tools::CaseInput>(&example("CaseInput"));
        reads::<policy_templates::UseInput>(&example("UseInput"));
        use crate::service::policy_tools as tools;
        reads::<tools::DiffInput>(&example("DiffInput"));
        reads::<tools::ExplainInput>(&example("ExplainInput"));
        reads::<tools::SimulateInput>(&example("SimulateInput"));
        reads::<tools::Situation>(&example("Situation"));
    }

    #[test]
    fn operations_are_named_by_method_and_path() {
        assert_eq!(operation_name("GET", "/partners/{id}/catalog"), "getPartnersByIdCatalog");
        assert_eq!(operation_name("PUT", "/data-planes/{id}"), "putDataPlanesById");
    }

    #[test]
    fn known_paths_have_methods() {
        assert_eq!(methods_of("/datasets"), ["GET", "POST"]);
        assert_eq!(methods_of("/datasets/urn%3Ax"), ["GET", "PUT", "DELETE"]);
        assert_eq!(methods_of("/negotiations/x/offer"), ["POST"]);
        assert!(methods_of("/datasets/").is_empty());
        assert!(methods_of("/nothing").is_empty());
    }
}
