//! Ready-made policies with parameters.

use actix_web::web::Path;
use actix_web::{HttpRequest, get, post};
use policy::{DEFAULT_LANGUAGE, Template};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{Answer, ok};
use super::query::{ListBody, Query};
use crate::service::registry::shown;
use crate::service::{ServiceError, ServiceResult};

/// A template.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PolicyTemplate)]
struct TemplateView {
    /// Its name.
    id: &'static str,
    /// A few words.
    title: &'static str,
    /// One sentence.
    summary: &'static str,
    /// What the policy means, for lawyers; `{name}` stands for the value of a parameter.
    text: &'static str,
    /// What has to be told.
    parameters: Vec<ParameterView>,
}

/// A value that a template asks for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PolicyTemplateParameter)]
struct ParameterView {
    /// Its name.
    name: &'static str,
    /// What kind of value it is: `choice`, `date`, `iri`, `iris`, `number`, `time`, `weekday` or `zone`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What it is.
    meaning: &'static str,
    /// The value when none is told; without it one has to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    default: Option<&'static Value>,
    /// The words of which one is chosen.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    choices: &'static [String],
}

impl TemplateView {
    fn of(template: &'static Template, language: &str) -> Self {
        let text = template.text(language);
        let meaning = |name: &str| text.and_then(|text| text.parameters.get(name)).map_or("", String::as_str);
        let parameters = template.parameters.iter().map(|known| ParameterView {
            name: &known.name,
            kind: known.kind.as_str(),
            meaning: meaning(&known.name),
            default: known.default.as_ref(),
            choices: &known.choices,
        });
        Self {
            id: &template.id,
            title: text.map_or("", |text| &text.title),
            summary: text.map_or("", |text| &text.summary),
            text: text.map_or("", |text| &text.text),
            parameters: parameters.collect(),
        }
    }
}

/// The values for a template.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"parameters": {"until": "2027-12-31"}, "language": "en"}))]
pub(super) struct UseInput {
    /// The values of the parameters, by their names.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// The language of the text, `en` when left out.
    language: Option<String>,
}

/// A policy made from a template. It is not kept; add it with `POST /policies`.
#[derive(ToSchema)]
#[schema(as = PolicyFromTemplate)]
#[allow(dead_code)] // Only described.
struct InstanceView {
    /// The template.
    template: String,
    /// A few words.
    title: String,
    /// What the policy means, with the values.
    text: String,
    /// The policy.
    #[schema(value_type = Object)]
    policy: Value,
    /// What the dataset has to say, so that the policy is kept.
    #[schema(value_type = Option<Object>)]
    dataset: Value,
}

fn find(id: &str) -> ServiceResult<&'static Template> {
    policy::template(id).ok_or_else(|| ServiceError::not_found(format!("there is no policy template `{}`", shown(id))))
}

fn language(request: &HttpRequest) -> ServiceResult<String> {
    let query = Query::read(request, &["language"])?;
    Ok(query.text("language").unwrap_or(DEFAULT_LANGUAGE).to_owned())
}

/// Lists the policy templates.
#[utoipa::path(
    tag = "policies",
    params(("language" = Option<String>, Query, description = "Language of the texts, `en` when left out")),
    responses((status = 200, description = "All templates", body = ListBody<TemplateView>))
)]
#[get("/policy-templates")]
pub(super) async fn list(request: HttpRequest) -> Answer {
    let language = language(&request)?;
    let items = policy::templates().iter().map(|template| TemplateView::of(template, &language)).collect();
    ok(&ListBody { items, next: None })
}

/// Shows one policy template.
#[utoipa::path(
    tag = "policies",
    params(
        ("id" = String, Path, description = "Its name"),
        ("language" = Option<String>, Query, description = "Language of the texts, `en` when left out")
    ),
    responses((status = 200, description = "The template", body = TemplateView))
)]
#[get("/policy-templates/{id}")]
pub(super) async fn show(id: Path<String>, request: HttpRequest) -> Answer {
    ok(&TemplateView::of(find(&id)?, &language(&request)?))
}

/// Makes a policy from a template.
#[utoipa::path(
    tag = "policies",
    params(("id" = String, Path, description = "Its name")),
    request_body = UseInput,
    responses((status = 200, description = "The policy and its text", body = InstanceView))
)]
#[post("/policy-templates/{id}/use")]
pub(super) async fn make(id: Path<String>, Json(input): Json<UseInput>) -> Answer {
    let language = input.language.as_deref().unwrap_or(DEFAULT_LANGUAGE);
    let made = find(&id)?.instantiate(&input.parameters, language);
    ok(&made.map_err(|error| ServiceError::bad_request(error.code, error.message))?)
}
