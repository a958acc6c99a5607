//! `/types`, `/types/{type}`, `/attributes` and `/attributes/{attribute}` (GS CIM 009, clauses 6.25 to 6.28).

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::answer::{Content, Extras, write};
use super::asked::Asked;
use super::entities::NO_GEO;
use super::{Fault, Served};
use crate::params::Params;
use crate::problem::{Problem, ProblemKind};

/// Answers the list of types.
pub(super) async fn types(request: HttpRequest, served: web::Data<Served>) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    let details = details(&request, &asked)?;
    let types = asked.data()?.types();
    let facts = if details {
        types
            .iter()
            .map(|(name, facts)| {
                let names: Vec<&&str> = facts.attributes.keys().collect();
                json!({"id": name, "type": "EntityType", "typeName": name, "attributeNames": names})
            })
            .collect()
    } else {
        let names: Vec<&&str> = types.keys().collect();
        json!({"id": "urn:ngsi-ld:EntityTypeList:all", "type": "EntityTypeList", "typeList": names})
    };
    write(&request, &asked, Content::Facts(facts), &Extras::default())
}

/// Answers one type.
pub(super) async fn one_type(
    request: HttpRequest,
    served: web::Data<Served>,
    name: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    let types = asked.data()?.types();
    let Some(facts) = types.get(name.as_str()) else {
        return Err(missing(&asked, "type", &name));
    };
    let attributes: Vec<Value> = facts.attributes.iter().map(|(name, facts)| facts.to_value(name)).collect();
    let facts = json!({
        "id": *name,
        "type": "EntityTypeInfo",
        "typeName": *name,
        "entityCount": facts.entities,
        "attributeDetails": attributes,
    });
    write(&request, &asked, Content::Facts(facts), &Extras::default())
}

/// Answers the list of attributes.
pub(super) async fn attributes(request: HttpRequest, served: web::Data<Served>) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    let details = details(&request, &asked)?;
    let attributes = asked.data()?.attributes();
    let facts = if details {
        attributes.iter().map(|(name, facts)| facts.to_value(name)).collect()
    } else {
        let names: Vec<&&str> = attributes.keys().collect();
        json!({"id": "urn:ngsi-ld:AttributeList:all", "type": "AttributeList", "attributeList": names})
    };
    write(&request, &asked, Content::Facts(facts), &Extras::default())
}

/// Answers one attribute.
pub(super) async fn one_attribute(
    request: HttpRequest,
    served: web::Data<Served>,
    name: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    let attributes = asked.data()?.attributes();
    let Some(facts) = attributes.get(name.as_str()) else {
        return Err(missing(&asked, "attribute", &name));
    };
    write(&request, &asked, Content::Facts(facts.to_value(&name)), &Extras::default())
}

fn details(request: &HttpRequest, asked: &Asked) -> Result<bool, Fault> {
    let read = || Params::parse(request.query_string(), &[&["details", "local"]])?.flag("details");
    read().map_err(|problem| asked.fault(problem))
}

fn missing(asked: &Asked, what: &str, name: &str) -> Fault {
    asked.fault(Problem::new(ProblemKind::ResourceNotFound, format!("there is no {what} `{name}`")))
}
