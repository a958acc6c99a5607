//! The `Query` body of `POST …/entityOperations/query` (GS CIM 009, clause 5.2.23).

use serde_json::{Map, Value};

use crate::model::strings;
use crate::params::Params;
use crate::problem::Problem;
use crate::query::geo::GeoQuery;
use crate::query::q::Q;
use crate::query::scope::ScopeQuery;
use crate::query::time::TimeQuery;
use crate::query::types::TypeSelection;
use crate::query::{Selection, Selector};
use crate::render::shape::Shape;

/// Everything that a body asks for.
#[derive(Debug)]
pub struct QueryBody {
    /// Which entities.
    pub selection: Selection,
    /// How they are written.
    pub shape: Shape,
    /// Which stretch of time (`temporalQ`).
    pub time: Option<TimeQuery>,
    /// How many instances of each attribute at most.
    pub last_n: Option<usize>,
    /// The body's `@context`.
    pub context: Option<Value>,
}

impl QueryBody {
    /// Reads a body; format, paging and `local` come from the URL.
    ///
    /// # Errors
    /// A `BadRequestData` that names the member, or `OperationNotSupported` for a member that this source does not serve.
    pub fn parse(bytes: &[u8], params: &Params, temporal: bool) -> Result<Self, Problem> {
        let body: Value = serde_json::from_slice(bytes).map_err(|_| Problem::bad("the body is not JSON"))?;
        let Value::Object(body) = body else { return Err(Problem::bad("the body is not a JSON object")) };
        if body.get("type").or_else(|| body.get("@type")).and_then(Value::as_str) != Some("Query") {
            return Err(Problem::bad("the body's `type` must be `Query`"));
        }
        let mut shape = Shape::parse(params, temporal)?;
        let mut selection = Selection { local: params.flag("local")?, ..Selection::default() };
        let (mut time, mut last_n, mut context) = (None, None, None);
        for (name, value) in &body {
            match name.as_str() {
                "type" | "@type" => {}
                "@context" => context = Some(value.clone()),
                "entities" => selection.selectors = selectors(value)?,
                "q" => selection.q = Some(Q::parse(text(name, value)?)?),
                "scopeQ" => selection.scope = Some(ScopeQuery::parse(text(name, value)?)?),
                "geoQ" => selection.geo = Some(geo(object(name, value)?)?),
                "temporalQ" => (time, last_n) = temporal_q(object(name, value)?)?,
                "attrs" => {
                    selection.attrs = Some(strings(Some(value)));
                    shape.attrs = Some(strings(Some(value)));
                }
                "pick" => shape.pick = Some(strings(Some(value))),
                "omit" => shape.omit = strings(Some(value)),
                "lang" => shape.lang = Some(text(name, value)?.to_owned()),
                "datasetId" => shape.datasets = Some(strings(Some(value))),
                other => {
                    return Err(Problem::unsupported(format!("this test source does not serve the member `{other}`")));
                }
            }
        }
        Ok(Self { selection: selection.narrow_enough()?, shape: shape.checked()?, time, last_n, context })
    }
}

fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str, Problem> {
    value.as_str().ok_or_else(|| Problem::bad(format!("`{name}` is not a string")))
}

fn object<'a>(name: &str, value: &'a Value) -> Result<&'a Map<String, Value>, Problem> {
    value.as_object().ok_or_else(|| Problem::bad(format!("`{name}` is not an object")))
}

fn selectors(value: &Value) -> Result<Vec<Selector>, Problem> {
    let many = value.as_array().filter(|many| !many.is_empty());
    let many = many.ok_or_else(|| Problem::bad("`entities` is not an array with at least one member"))?;
    many.iter()
        .map(|one| {
            let types = one.get("type").and_then(Value::as_str);
            let types = types.ok_or_else(|| Problem::bad("each member of `entities` needs a `type`"))?;
            let ids = strings(one.get("id"));
            Ok(Selector {
                ids: if ids.is_empty() { None } else { Some(ids) },
                id_pattern: one.get("idPattern").and_then(Value::as_str).map(Selector::pattern).transpose()?,
                types: Some(TypeSelection::parse(types)?),
            })
        })
        .collect()
}

fn geo(part: &Map<String, Value>) -> Result<GeoQuery, Problem> {
    let member = |name: &str| {
        part.get(name).and_then(Value::as_str).ok_or_else(|| Problem::bad(format!("`geoQ` needs the string `{name}`")))
    };
    let coordinates = part.get("coordinates").ok_or_else(|| Problem::bad("`geoQ` needs `coordinates`"))?;
    let property = part.get("geoproperty").and_then(Value::as_str);
    GeoQuery::parse(member("georel")?, member("geometry")?, coordinates, property)
}

fn temporal_q(part: &Map<String, Value>) -> Result<(Option<TimeQuery>, Option<usize>), Problem> {
    let member = |name: &str| part.get(name).and_then(Value::as_str);
    let timerel = member("timerel").ok_or_else(|| Problem::bad("`temporalQ` needs `timerel`"))?;
    let time = TimeQuery::parse(timerel, member("timeAt"), member("endTimeAt"), member("timeproperty"))?;
    let last_n = match part.get("lastN") {
        None => None,
        Some(value) => {
            let n = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
            Some(n.ok_or_else(|| Problem::bad("`lastN` is not a whole number of at least 1"))?)
        }
    };
    Ok((Some(time), last_n))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Entity;
    use crate::problem::ProblemKind;

    fn parsed(body: &Value) -> Result<QueryBody, Problem> {
        QueryBody::parse(body.to_string().as_bytes(), &Params::default(), false)
    }

    #[test]
    fn a_body_selects_like_a_url() {
        let body = parsed(&json!({
            "type": "Query",
            "entities": [{"type": "A", "idPattern": "^urn:a"}, {"type": "B", "id": ["urn:b:1"]}],
            "q": "x>1",
            "geoQ": {"georel": "near;maxDistance==10", "geometry": "Point", "coordinates": [7, 49]},
            "pick": ["id", "x"]
        }))
        .unwrap();
        let at = |id: &str, kind: &str, x: i64| {
            let location = json!({"type": "Point", "coordinates": [7, 49]});
            Entity::parse(json!({"id": id, "type": kind, "x": x, "location": location})).unwrap().0
        };
        assert!(body.selection.matches(&at("urn:a:1", "A", 2)));
        assert!(!body.selection.matches(&at("urn:a:1", "A", 1)));
        assert!(body.selection.matches(&at("urn:b:1", "B", 2)));
        assert!(!body.selection.matches(&at("urn:b:2", "B", 2)));
        assert_eq!(body.shape.pick, Some(vec!["id".to_owned(), "x".to_owned()]));
    }

    #[test]
    fn wrong_bodies_are_refused() {
        for (body, kind) in [
            (json!([]), ProblemKind::BadRequestData),
            (json!({"type": "Question"}), ProblemKind::BadRequestData),
            (json!({"type": "Query"}), ProblemKind::BadRequestData),
            (json!({"type": "Query", "entities": []}), ProblemKind::BadRequestData),
            (json!({"type": "Query", "entities": [{"id": "urn:a"}]}), ProblemKind::BadRequestData),
            (json!({"type": "Query", "q": 1}), ProblemKind::BadRequestData),
            (json!({"type": "Query", "q": "x", "geoQ": {"georel": "within"}}), ProblemKind::BadRequestData),
            (json!({"type": "Query", "q": "x", "temporalQ": {"timeAt": "x"}}), ProblemKind::BadRequestData),
            (json!({"type": "Query", "q": "x", "join": "flat"}), ProblemKind::OperationNotSupported),
        ] {
            assert_eq!(parsed(&body).unwrap_err().kind(), kind, "{body}");
        }
    }
}
