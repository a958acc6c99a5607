//! What a row of `dataset` says beside its title: description, keywords, further DCAT members, distributions, source and
//! admission. Kept as JSON, checked when an operator writes it.

use policy_plan::{Admission, Limits, NamedContext, Selection, Source, Writing};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{ServiceError, ServiceResult};

/// The format of a distribution that a consumer pulls over HTTP.
pub(crate) const HTTP_PULL: &str = "HttpData-PULL";

/// Longest text for people, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 8 * 1024;
/// Most keywords, distributions, path patterns or query rules of one dataset.
const MAX_ITEMS: usize = 100;
/// Longest keyword, format, name or pattern, in bytes.
const MAX_NAME_BYTES: usize = 512;
/// Longest selection in JSON, in bytes; it travels within each plan.
const MAX_SELECTION_BYTES: usize = 128 * 1024;

/// Longest description of what may be written in JSON, in bytes; it travels within each plan, too.
const MAX_WRITING_BYTES: usize = 32 * 1024;

/// Paths of an NGSI-LD broker that are admitted when the operator names none: reading entities and what describes them.
const NGSI_LD_PATHS: &[&str] = &[
    "/ngsi-ld/v1/entities",
    "/ngsi-ld/v1/entities/**",
    "/ngsi-ld/v1/temporal/entities",
    "/ngsi-ld/v1/temporal/entities/**",
    "/ngsi-ld/v1/types",
    "/ngsi-ld/v1/types/**",
    "/ngsi-ld/v1/attributes",
    "/ngsi-ld/v1/attributes/**",
    "/ngsi-ld/v1/entityOperations/query",
    "/ngsi-ld/v1/temporal/entityOperations/query",
];

/// Members of a DCAT dataset that the connector writes itself.
const OWN_MEMBERS: &[&str] = &["hasPolicy", "distribution", "title", "description", "keyword"];
/// How a term of the contexts in use may be written.
const PREFIXES: &[&str] = &[
    "dcat:",
    "dct:",
    "odrl:",
    "dspace:",
    "http://www.w3.org/ns/dcat#",
    "http://purl.org/dc/terms/",
    "http://www.w3.org/ns/odrl/2/",
];

/// HTTP methods that a dataset may admit.
const METHODS: &[&str] = &["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// The JSON in `dataset.body`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DatasetBody {
    /// Description for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Keywords for searching.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Further DCAT members, shown in the catalog as they are.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
    /// The ways in which it can be had; never empty.
    pub distributions: Vec<DistributionBody>,
    /// Where our data plane finds it.
    pub source: Source,
    /// Which requests a flow admits.
    pub admission: Admission,
    /// What of NGSI-LD entities a flow may show; everything when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
    /// What a flow may write to an NGSI-LD broker, where the agreement permits it; nothing when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writing: Option<Writing>,
    /// How fast a flow may be used.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// One way of having a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Distribution, example = json!({"format": "HttpData-PULL"}))]
pub(crate) struct DistributionBody {
    /// Format, such as `HttpData-PULL` or `HttpData-PUSH`; a data plane with the fitting profile serves it.
    pub format: String,
    /// Media type of the data, such as `text/csv` (DCAT, dcat:mediaType); policies may speak of it as `fileFormat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

impl DistributionBody {
    /// The format, and nothing said of the media type.
    pub(crate) fn of(format: &str) -> Self {
        Self { format: format.to_owned(), media_type: None }
    }
}

impl DatasetBody {
    /// Reads the body of a stored row.
    ///
    /// # Errors
    /// `internal`, when the stored text is not such a body.
    pub(crate) fn parse(text: &str) -> ServiceResult<Self> {
        serde_json::from_str(text)
            .map_err(|error| ServiceError::internal(format!("a stored dataset cannot be read: {error}")))
    }

    /// The text to store.
    ///
    /// # Errors
    /// `internal`, when it cannot be written as JSON.
    pub(crate) fn to_text(&self) -> ServiceResult<String> {
        serde_json::to_string(self).map_err(ServiceError::internal)
    }

    /// Checks what an operator wrote.
    ///
    /// # Errors
    /// `bad_member`, 400, with the member's name in the sentence.
    pub(crate) fn check(&self) -> ServiceResult<()> {
        if let Some(description) = &self.description {
            check_length("description", description, MAX_TEXT_BYTES)?;
        }
        check_names("keywords", self.keywords.iter().map(String::as_str))?;
        check_properties(&self.properties)?;
        if self.distributions.is_empty() {
            return Err(bad("distributions", "must not be empty"));
        }
        check_names("distributions", self.distributions.iter().map(|distribution| distribution.format.as_str()))?;
        for media_type in self.distributions.iter().filter_map(|distribution| distribution.media_type.as_deref()) {
            check_media_type("distributions.mediaType", media_type)?;
        }
        check_source(&self.source)?;
        check_admission(&self.admission)?;
        self.selection.as_ref().map_or(Ok(()), |selection| self.check_selection(selection))?;
        self.writing.as_ref().map_or(Ok(()), |writing| self.check_writing(writing))
    }

    fn check_writing(&self, writing: &Writing) -> ServiceResult<()> {
        writing.check().map_err(|(member, why)| bad(&format!("writing.{member}"), why))?;
        if serde_json::to_vec(writing).map_err(ServiceError::internal)?.len() > MAX_WRITING_BYTES {
            return Err(bad("writing", format_args!("is longer than {MAX_WRITING_BYTES} bytes")));
        }
        if matches!(self.source, Source::Files { .. }) {
            return Err(bad("writing", "needs an HTTP source with an NGSI-LD interface"));
        }
        let Some(selection) = &self.selection else { return Ok(()) };
        if selection.veils() {
            return Err(bad("writing", "cannot stand beside a `selection` that shows pseudonyms or coarse values"));
        }
        let other = |context: &&NamedContext| {
            selection.contexts.iter().any(|shown| shown.url == context.url && shown.terms != context.terms)
        };
        match writing.contexts.iter().find(other) {
            Some(context) => {
                Err(bad("writing.contexts", format_args!("says something else of `{}` than `selection`", context.url)))
            }
            None => Ok(()),
        }
    }

    fn check_selection(&self, selection: &Selection) -> ServiceResult<()> {
        selection.check().map_err(|(member, why)| bad(&format!("selection.{member}"), why))?;
        if selection.pseudonym_key.is_some() {
            return Err(bad("selection.pseudonymKey", "is made for each agreement and cannot be given"));
        }
        if serde_json::to_vec(selection).map_err(ServiceError::internal)?.len() > MAX_SELECTION_BYTES {
            return Err(bad("selection", format_args!("is longer than {MAX_SELECTION_BYTES} bytes")));
        }
        let coarse = selection.time.as_ref().is_some_and(|time| time.resolution_seconds.is_some());
        if coarse && matches!(self.source, Source::Files { .. }) {
            return Err(bad("selection.time.resolutionSeconds", "needs an HTTP source with an NGSI-LD interface"));
        }
        Ok(())
    }
}

/// What a dataset admits when the operator does not say: reading only; every path of a folder, or the reading interface
/// of an NGSI-LD broker.
pub(crate) fn default_admission(source: &Source) -> Admission {
    let paths: &[&str] = match source {
        Source::Http { .. } => NGSI_LD_PATHS,
        Source::Files { .. } => &["/**"],
    };
    Admission {
        methods: vec!["GET".to_owned(), "HEAD".to_owned()],
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
        query: None,
    }
}

/// A member that is not as it should be.
pub(crate) fn bad(member: &str, why: impl std::fmt::Display) -> ServiceError {
    ServiceError::bad_request("bad_member", format!("`{member}` {why}"))
}

/// Refuses a text that is empty or longer than `most` bytes.
pub(crate) fn check_length(member: &str, text: &str, most: usize) -> ServiceResult<()> {
    if text.trim().is_empty() {
        return Err(bad(member, "must not be empty"));
    }
    if text.len() > most {
        return Err(bad(member, format_args!("is longer than {most} bytes")));
    }
    Ok(())
}

/// Refuses a list that is too long, repeats itself, or holds a text that is empty, too long or has control characters.
pub(crate) fn check_names<'a>(member: &str, names: impl ExactSizeIterator<Item = &'a str>) -> ServiceResult<()> {
    if names.len() > MAX_ITEMS {
        return Err(bad(member, format_args!("has more than {MAX_ITEMS} items")));
    }
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        check_length(member, name, MAX_NAME_BYTES)?;
        if name.chars().any(char::is_control) {
            return Err(bad(member, "contains a control character"));
        }
        if !seen.insert(name) {
            return Err(bad(member, format_args!("names `{name}` twice")));
        }
    }
    Ok(())
}

/// Refuses what is no media type without parameters (RFC 6838, section 4.2).
fn check_media_type(member: &str, text: &str) -> ServiceResult<()> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.len() <= 127
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    match text.split_once('/') {
        Some((kind, name)) if is_name(kind) && is_name(name) => Ok(()),
        _ => Err(bad(member, format_args!("must be a media type such as `text/csv`, not `{text}`"))),
    }
}

/// Reads an `http` or `https` address without credentials and fragment.
///
/// # Errors
/// `bad_member`, 400.
pub(crate) fn check_url(member: &str, text: &str) -> ServiceResult<Url> {
    check_length(member, text, 2048)?;
    let url = Url::parse(text).map_err(|error| bad(member, format_args!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(member, "must be an http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(member, "must not carry a user name or password"));
    }
    if url.fragment().is_some() {
        return Err(bad(member, "must not have a fragment"));
    }
    Ok(url)
}

fn check_properties(properties: &Map<String, Value>) -> ServiceResult<()> {
    check_names("properties", properties.keys().map(String::as_str))?;
    for name in properties.keys() {
        let term = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        if name.starts_with('@') || OWN_MEMBERS.contains(&term) {
            return Err(bad("properties", format_args!("must not hold `{name}`, which the catalog writes itself")));
        }
    }
    Ok(())
}

fn check_source(source: &Source) -> ServiceResult<()> {
    match source {
        Source::Http { base_url, credential } => {
            if check_url("source.http.baseUrl", base_url)?.query().is_some() {
                return Err(bad("source.http.baseUrl", "must not have a query"));
            }
            credential.as_deref().map_or(Ok(()), |name| check_name("source.http.credential", name))
        }
        Source::Files { root, path, .. } => {
            check_name("source.files.root", root)?;
            check_file_path("source.files.path", path)
        }
    }
}

/// Names of credentials and folders are keys of the data plane's configuration.
fn check_name(member: &str, name: &str) -> ServiceResult<()> {
    check_length(member, name, 64)?;
    if name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) && !name.starts_with('.') {
        return Ok(());
    }
    Err(bad(member, "must be a name of letters, digits, `-`, `_` and `.`"))
}

fn check_file_path(member: &str, path: &str) -> ServiceResult<()> {
    if path.is_empty() {
        return Ok(());
    }
    check_length(member, path, 1024)?;
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Err(bad(member, "contains a backslash or a control character"));
    }
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(bad(member, "must be a relative path without empty, `.` and `..` segments"));
    }
    Ok(())
}

fn check_admission(admission: &Admission) -> ServiceResult<()> {
    for (member, list) in [("admission.methods", &admission.methods), ("admission.paths", &admission.paths)] {
        if list.is_empty() {
            return Err(bad(member, "must not be empty"));
        }
        check_names(member, list.iter().map(String::as_str))?;
    }
    if let Some(method) = admission.methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        return Err(bad("admission.methods", format_args!("names `{method}`; known are: {}", METHODS.join(", "))));
    }
    if let Some((path, reason)) = admission.faulty_path() {
        return Err(bad("admission.paths", format_args!("holds `{path}`: {reason}")));
    }
    let rules = admission.query.as_deref().unwrap_or_default();
    check_names("admission.query", rules.iter().map(|rule| rule.name.as_str()))?;
    for values in rules.iter().filter_map(|rule| rule.values.as_deref()) {
        check_names("admission.query.values", values.iter().map(String::as_str))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn http() -> Value {
        json!({
            "description": "counts per lane",
            "keywords": ["traffic"],
            "properties": {"dct:license": "https://creativecommons.org/licenses/by/4.0/", "version": 3},
            "distributions": [{"format": "HttpData-PULL"}],
            "source": {"http": {"baseUrl": "http://127.0.0.1:1026/broker", "credential": "orion"}},
            "admission": {"methods": ["GET"], "paths": ["/ngsi-ld/v1/entities/**"], "query": [{"name": "type"}]},
            "selection": {"types": ["https://m/Air"], "attributes": [{"name": "https://m/no2"}],
                "pseudonymKey": null, "rows": null, "time": null, "personal": null},
            "limits": {"requestsPerSecond": 20, "bytesPerSecond": 1_000_000, "concurrent": 4}
        })
    }

    fn body(value: Value) -> Result<DatasetBody, String> {
        let body: DatasetBody = serde_json::from_value(value).map_err(|error| error.to_string())?;
        body.check().map_err(|error| error.message)?;
        Ok(body)
    }

    #[test]
    fn a_body_is_the_same_after_storing() {
        let made = body(http()).unwrap();
        assert_eq!(DatasetBody::parse(&made.to_text().unwrap()).unwrap(), made);
    }

    #[test]
    fn a_stored_text_that_is_no_body_is_our_fault() {
        assert_eq!(DatasetBody::parse("[]").unwrap_err().code, "internal");
    }

    #[test]
    fn defaults_admit_reading_only() {
        let files = Source::Files { root: "open".into(), path: String::new(), standing: false };
        let admission = default_admission(&files);
        assert!(admission.check("GET", "/a/b.csv", None).is_ok());
        assert!(admission.check("GET", "/", None).is_ok());
        assert!(admission.check("DELETE", "/a/b.csv", None).is_err());
        let broker = Source::Http { base_url: "http://127.0.0.1:1026".into(), credential: None };
        let admission = default_admission(&broker);
        assert!(admission.check("GET", "/ngsi-ld/v1/entities", Some("type=Thing")).is_ok());
        assert!(admission.check("GET", "/ngsi-ld/v1/temporal/entities/urn:a", None).is_ok());
        assert!(admission.check("GET", "/ngsi-ld/v1/subscriptions", None).is_err());
        assert!(admission.check("POST", "/ngsi-ld/v1/entityOperations/query", Some("limit=5")).is_ok());
        assert!(admission.check("POST", "/ngsi-ld/v1/entities", None).is_err());
        for source in [files, broker] {
            assert!(check_admission(&default_admission(&source)).is_ok());
        }
    }

    #[test]
    fn a_selection_is_enforced_on_files_and_pushes_but_not_periods_on_files() {
        let mut files = http();
        files["source"] = json!({"files": {"root": "open", "path": ""}});
        files["distributions"] = json!([{"format": "HttpData-PULL"}, {"format": "HttpData-PUSH"}]);
        assert!(body(files.clone()).is_ok());
        files["selection"]["time"] = json!({"minAgeSeconds": 900});
        assert!(body(files.clone()).is_ok());
        files["selection"]["time"] = json!({"resolutionSeconds": 900});
        assert!(body(files.clone()).unwrap_err().contains("selection.time.resolutionSeconds"));
        files["source"] = http()["source"].clone();
        assert!(body(files).is_ok());
    }

    #[test]
    fn what_may_be_written_fits_what_is_shown() {
        let good = || {
            let mut made = http();
            made["writing"] = json!({"operations": ["create"], "types": ["https://m/Air"], "ids": ["urn:a:*"],
                "attributes": [{"name": "https://m/no2"}]});
            made
        };
        let made = body(good()).unwrap();
        assert_eq!(DatasetBody::parse(&made.to_text().unwrap()).unwrap(), made);
        let context = |iri: &str| json!([{"url": "https://c", "terms": {"a": iri}}]);
        for (pointer, value, named) in [
            ("/writing/operations", json!([]), "writing.operations"),
            ("/writing/ids", Value::Null, "writing.ids"),
            ("/writing/members", json!(["modifiedAt"]), "writing.members"),
            ("/writing/attributes", json!([{"name": "no2"}]), "writing.attributes"),
            ("/writing/ids", json!(vec!["urn:".to_owned() + &"x".repeat(2000); 20]), "`writing` is longer"),
            ("/source", json!({"files": {"root": "open", "path": ""}}), "`writing` needs an HTTP source"),
            ("/selection/pseudonymousIds", json!(true), "`writing` cannot stand beside"),
            ("/selection/coordinateDecimals", json!(2), "`writing` cannot stand beside"),
            ("/selection/time", json!({"resolutionSeconds": 900}), "`writing` cannot stand beside"),
            ("/selection/attributes", json!([{"name": "https://m/no2", "pseudonym": true}]), "cannot stand beside"),
        ] {
            let mut changed = good();
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap()[member] = value;
            let refusal = body(changed).unwrap_err();
            assert!(refusal.contains(named), "{pointer}: {refusal}");
        }
        let mut two = good();
        two["writing"]["contexts"] = context("https://m/a");
        two["selection"]["contexts"] = context("https://m/a");
        assert!(body(two.clone()).is_ok());
        two["selection"]["contexts"] = context("https://m/b");
        assert!(body(two).unwrap_err().contains("writing.contexts"));
    }

    #[test]
    fn bad_members_are_named() {
        let table = [
            ("/source", json!({"http": {"baseUrl": "ftp://127.0.0.1"}}), "source.http.baseUrl"),
            ("/source", json!({"http": {"baseUrl": "http://u:p@127.0.0.1"}}), "source.http.baseUrl"),
            ("/source", json!({"http": {"baseUrl": "http://127.0.0.1/?a=b"}}), "source.http.baseUrl"),
            ("/source", json!({"http": {"baseUrl": "http://127.0.0.1/#a"}}), "source.http.baseUrl"),
            ("/source", json!({"http": {"baseUrl": "broker"}}), "source.http.baseUrl"),
            ("/source", json!({"http": {"baseUrl": "http://a", "credential": "a b"}}), "source.http.credential"),
            ("/source", json!({"http": {"baseUrl": "http://a", "password": "x"}}), "password"),
            ("/source", json!({"sftp": {}}), "sftp"),
            ("/source", json!({"files": {"root": "../etc", "path": ""}}), "source.files.root"),
            ("/source", json!({"files": {"root": "open", "path": "a/../../b"}}), "source.files.path"),
            ("/source", json!({"files": {"root": "open", "path": "/etc"}}), "source.files.path"),
            ("/source", json!({"files": {"root": "open", "path": "a\\b"}}), "source.files.path"),
            ("/admission/methods", json!([]), "admission.methods"),
            ("/admission/methods", json!(["get"]), "admission.methods"),
            ("/admission/methods", json!(["TRACE"]), "admission.methods"),
            ("/admission/methods", json!(["GET", "GET"]), "admission.methods"),
            ("/admission/paths", json!([]), "admission.paths"),
            ("/admission/paths", json!(["entities"]), "admission.paths"),
            ("/admission/paths", json!(["/a/../b"]), "admission.paths"),
            ("/admission/paths", json!(["/**/b"]), "admission.paths"),
            ("/admission/query", json!([{"name": "a"}, {"name": "a"}]), "admission.query"),
            ("/admission/query", json!([{"name": ""}]), "admission.query"),
            ("/limits", json!({"requestsPerSecond": 0}), "nonzero"),
            ("/limits", json!({"requestsPerSecond": -1}), "number"),
            ("/limits", json!({"bytesPerSecond": 5_000_000_000_u64}), "number"),
            ("/limits", json!({"requests": 1}), "requests"),
            ("/distributions", json!([]), "distributions"),
            ("/distributions", json!([{"format": ""}]), "distributions"),
            ("/keywords", json!(["a\nb"]), "keywords"),
            ("/keywords", json!(vec!["x".repeat(600)]), "keywords"),
            ("/description", json!("x".repeat(MAX_TEXT_BYTES + 1)), "description"),
            ("/selection", json!({"types": ["Thing"], "attributes": []}), "selection.types"),
            ("/selection", json!({"types": [], "attributes": []}), "selection.types"),
            ("/selection/pseudonymKey", json!("ab".repeat(32)), "selection.pseudonymKey"),
            (
                "/selection/attributes",
                json!([{"name": "https://m/".to_owned() + &"x".repeat(3000)}]),
                "selection.attributes",
            ),
            ("/selection/rows", json!({"q": "no2>40"}), "selection.rows.q"),
            ("/selection/rows", json!({"q": "https://m/no2>40;"}), "selection.rows.q"),
            ("/selection/rows", json!({}), "selection.rows"),
            (
                "/selection/rows",
                json!({"geo": {"georel": "within", "geometry": {"type": "Point", "coordinates": [1, 2]}}}),
                "selection.rows.geo",
            ),
            ("/selection/rows", json!({"geo": {"georel": "beside", "geometry": {}}}), "beside"),
            ("/selection/time", json!({}), "selection.time"),
            ("/selection/time", json!({"from": "2026-01-01"}), "selection.time.from"),
            ("/selection/time", json!({"minAgeSeconds": 0}), "selection.time.minAgeSeconds"),
            ("/selection/personal", json!({"mode": "remove", "marking": {}}), "https://m/Air"),
            (
                "/selection/personal",
                json!({"mode": "remove", "marking": {"https://m/Air": {}}}),
                "selection.personal.marking",
            ),
            ("/properties", json!({"@id": "x"}), "properties"),
            ("/properties", json!({"odrl:hasPolicy": []}), "properties"),
            ("/properties", json!({"http://www.w3.org/ns/dcat#distribution": []}), "properties"),
        ];
        for (pointer, value, named) in table {
            let mut changed = http();
            *changed.pointer_mut(pointer).unwrap() = value.clone();
            let refusal = body(changed).unwrap_err();
            assert!(refusal.contains(named), "{pointer} = {value}: {refusal}");
        }
    }
}
