//! Ready-made policies with parameters, and what they say in the words of people.
//!
//! A template is a file of `templates`, its texts are in `templates/texts`, one file for each language. A file that is added
//! there is found by itself.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rust_embed::RustEmbed;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::calendar::{self, Dial, Zone};
use crate::instant::{Moment, moment};
use crate::{MUNICIPAL_PROFILE, Policy, PolicySource};

/// The language of the texts when there is none in the one that is asked for.
pub const DEFAULT_LANGUAGE: &str = "en";

/// The most items of a list.
const MAX_ITEMS: usize = 500;
/// The longest text, in bytes.
const MAX_TEXT_BYTES: usize = 2_048;

/// A policy with parameters.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name: `until-date`.
    pub id: String,
    /// What has to be told, in the order in which people are asked.
    pub parameters: Vec<Parameter>,
    /// The policy with the names of parameters in place of values: `${until}`.
    policy: Json,
    /// What the dataset has to say, so that the policy is kept; `None` for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dataset: Option<Json>,
}

/// A value that a template asks for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What kind of value it is.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// The value when none is told; without it one has to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Json>,
    /// A value as people may tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Json>,
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<i64>,
    /// The largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<i64>,
    /// The words of which one is chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What kind of value a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// One of several words.
    Choice,
    /// A day: `2027-12-31`.
    Date,
    /// A name with a scheme: `did:web:city.example`.
    Iri,
    /// A list of such names.
    Iris,
    /// A whole number.
    Number,
    /// A time of day: `08:00`.
    Time,
    /// A day of the week: `Monday`.
    Weekday,
    /// A time zone of the IANA database: `Europe/Rome`.
    Zone,
}

impl ParameterType {
    /// The word in files and lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Choice => "choice",
            Self::Date => "date",
            Self::Iri => "iri",
            Self::Iris => "iris",
            Self::Number => "number",
            Self::Time => "time",
            Self::Weekday => "weekday",
            Self::Zone => "zone",
        }
    }
}

/// What a template says in one language.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateText {
    /// A few words.
    pub title: String,
    /// One sentence.
    pub summary: String,
    /// What the policy means, for lawyers; `{name}` stands for the value of a parameter.
    pub text: String,
    /// What each parameter is.
    pub parameters: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    /// Its own name, for translators.
    #[serde(rename = "language")]
    _name: String,
    templates: BTreeMap<String, TemplateText>,
}

/// A policy made from a template.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// The template.
    pub template: String,
    /// The title in the language that was asked for.
    pub title: String,
    /// What the policy means, with the values of its parameters.
    pub text: String,
    /// The policy.
    pub policy: Json,
    /// What the dataset has to say, so that the policy is kept; `None` for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Json>,
}

/// Why no policy was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Stable code: `parameter_missing`, `parameter_unknown`, `parameter_value` or `template_policy`.
    pub code: &'static str,
    /// The parameter; `None` when it is not about one.
    pub parameter: Option<String>,
    /// What is wrong; lower case, without a final period.
    pub message: String,
}

impl TemplateError {
    fn new(code: &'static str, parameter: &str, message: impl Into<String>) -> Self {
        Self { code, parameter: Some(parameter.to_owned()), message: message.into() }
    }
}

/// Templates, and below `texts` what they say.
#[derive(RustEmbed)]
#[folder = "templates"]
struct Files;

const TEXTS: &str = "texts/";

/// All templates, by their names.
#[must_use]
pub fn templates() -> &'static [Template] {
    static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
        let files = Files::iter().filter(|name| !name.starts_with(TEXTS)).filter_map(|name| Files::get(&name));
        let mut all: Vec<Template> = files.filter_map(|file| serde_json::from_slice(&file.data).ok()).collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    });
    &TEMPLATES
}

/// The template of this name.
#[must_use]
pub fn template(id: &str) -> Option<&'static Template> {
    templates().iter().find(|template| template.id == id)
}

/// The languages in which there are texts, by their tags.
#[must_use]
pub fn languages() -> Vec<&'static str> {
    texts().keys().map(String::as_str).collect()
}

fn texts() -> &'static BTreeMap<String, Language> {
    static LANGUAGES: LazyLock<BTreeMap<String, Language>> = LazyLock::new(|| {
        Files::iter()
            .filter_map(|name| {
                let tag = name.strip_prefix(TEXTS)?.strip_suffix(".json")?;
                Some((tag.to_owned(), serde_json::from_slice(&Files::get(&name)?.data).ok()?))
            })
            .collect()
    });
    &LANGUAGES
}

impl Template {
    /// What it says in a language, `it` or `it-CH`, else in English.
    #[must_use]
    pub fn text(&self, language: &str) -> Option<&'static TemplateText> {
        let general = language.split('-').next().unwrap_or(language);
        let in_language = |tag: &str| texts().get(tag)?.templates.get(&self.id);
        in_language(language).or_else(|| in_language(general)).or_else(|| in_language(DEFAULT_LANGUAGE))
    }

    /// Makes the policy. Values may be told as JSON or as people type them: a list with commas between, a number as text.
    ///
    /// # Errors
    ///
    /// A [`TemplateError`] for the first parameter that is missing, not known, or not what it has to be.
    pub fn instantiate(&self, values: &Map<String, Json>, language: &str) -> Result<Instance, TemplateError> {
        if let Some(other) = values.keys().find(|name| !self.parameters.iter().any(|known| known.name == **name)) {
            let names: Vec<&str> = self.parameters.iter().map(|known| known.name.as_str()).collect();
            let message = format!("`{}` has no parameter `{other}`; it has {}", self.id, names.join(", "));
            return Err(TemplateError::new("parameter_unknown", other, message));
        }
        let mut filled = BTreeMap::from([("profile".to_owned(), Json::from(MUNICIPAL_PROFILE))]);
        for parameter in &self.parameters {
            let given = values.get(&parameter.name).filter(|value| !value.is_null()).or(parameter.default.as_ref());
            let given = given.ok_or_else(|| {
                let message = format!(
                    "`{}` asks for `{}`, a value of the type {}",
                    self.id,
                    parameter.name,
                    parameter.kind.as_str()
                );
                TemplateError::new("parameter_missing", &parameter.name, message)
            })?;
            let value = parameter.value(given).map_err(|why| {
                let message = format!("`{}` is not what it has to be: {why}", parameter.name);
                TemplateError::new("parameter_value", &parameter.name, message)
            })?;
            filled.insert(parameter.name.clone(), value);
        }
        let policy = fill(&self.policy, &filled);
        Policy::compile(&PolicySource { rules: policy.clone(), ..PolicySource::default() })
            .map_err(|error| TemplateError { code: "template_policy", parameter: None, message: error.to_string() })?;
        let told = self.text(language);
        Ok(Instance {
            template: self.id.clone(),
            title: told.map(|told| told.title.clone()).unwrap_or_default(),
            text: told.map(|told| in_words(&told.text, &filled)).unwrap_or_default(),
            policy,
            dataset: self.dataset.as_ref().map(|dataset| fill(dataset, &filled)),
        })
    }
}

impl Parameter {
    /// The value as the policy has it.
    fn value(&self, given: &Json) -> Result<Json, String> {
        let text = || given.as_str().map(str::trim).ok_or_else(|| "a text is expected".to_owned());
        Ok(match self.kind {
            ParameterType::Choice => match self.choices.iter().find(|choice| given.as_str() == Some(choice)) {
                Some(choice) => Json::from(choice.as_str()),
                None => return Err(format!("it is one of {}", self.choices.join(", "))),
            },
            ParameterType::Date => match moment(text()?) {
                Some(Moment::Day { .. }) => Json::from(text()?),
                _ => return Err("a day is expected, such as 2027-12-31".to_owned()),
            },
            ParameterType::Iri => Json::from(iri(text()?)?),
            ParameterType::Iris => {
                let items: Vec<&str> = match given {
                    Json::String(list) => list.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
                    Json::Array(items) => items.iter().map(Json::as_str).collect::<Option<_>>().unwrap_or_default(),
                    _ => Vec::new(),
                };
                if items.is_empty() || items.len() > MAX_ITEMS {
                    return Err(format!("at least one and at most {MAX_ITEMS} names are expected"));
                }
                items.into_iter().map(iri).collect::<Result<Vec<_>, _>>()?.into()
            }
            ParameterType::Number => {
                let number = given.as_i64().or_else(|| given.as_str()?.trim().parse().ok());
                let (least, most) = (self.least.unwrap_or(i64::MIN), self.most.unwrap_or(i64::MAX));
                match number.filter(|number| (least..=most).contains(number)) {
                    Some(number) => Json::from(number),
                    None => return Err(format!("a whole number from {least} to {most} is expected")),
                }
            }
            ParameterType::Time => on_dial(text()?, Dial::TimeOfDay, "a time of day is expected, such as 08:00")?,
            ParameterType::Weekday => {
                on_dial(text()?, Dial::DayOfWeek, "a day of the week is expected, such as Monday")?
            }
            ParameterType::Zone => match Zone::named(text()?) {
                Some(_) => Json::from(text()?),
                None => return Err("a time zone of the IANA database is expected, such as Europe/Rome".to_owned()),
            },
        })
    }
}

fn on_dial(text: &str, dial: Dial, expected: &str) -> Result<Json, String> {
    match calendar::value(text, dial) {
        // Zones are told by a parameter of their own.
        Ok((_, None)) if !text.contains('[') => Ok(Json::from(text)),
        _ => Err(expected.to_owned()),
    }
}

fn iri(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map(|(scheme, rest)| (scheme, !rest.is_empty()));
    let is_iri = matches!(scheme, Some((scheme, true)) if scheme.starts_with(|c: char| c.is_ascii_alphabetic()))
        && text.len() <= MAX_TEXT_BYTES
        && !text
            .contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '{' | '}' | '$'));
    if is_iri {
        Ok(text.to_owned())
    } else {
        Err("a name with a scheme is expected, such as did:web:city.example".to_owned())
    }
}

/// The document with values in place of the names of parameters.
fn fill(document: &Json, values: &BTreeMap<String, Json>) -> Json {
    match document {
        Json::Object(members) => members.iter().map(|(name, value)| (name.clone(), fill(value, values))).collect(),
        Json::Array(items) => items.iter().map(|item| fill(item, values)).collect(),
        Json::String(text) => {
            let whole =
                text.strip_prefix("${").and_then(|name| name.strip_suffix('}')).and_then(|name| values.get(name));
            whole.cloned().unwrap_or_else(|| replaced(text, "${", values).into())
        }
        other => other.clone(),
    }
}

/// The text with the values of parameters, as people read them.
fn in_words(text: &str, values: &BTreeMap<String, Json>) -> String {
    replaced(text, "{", values)
}

fn replaced(text: &str, open: &str, values: &BTreeMap<String, Json>) -> String {
    // Values hold no braces themselves, so that the order does not matter.
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{open}{name}}}"), &shown(value)))
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
