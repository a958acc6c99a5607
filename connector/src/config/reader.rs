//! Reads settings one by one and remembers every fault, so that all of them are told at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ::config::{Map, Value, ValueKind};
use secrecy::SecretString;
use serde_json::{Map as JsonMap, Value as Json};
use url::Url;

use super::settings::{self, Kind, SETTINGS};

/// The values of all settings by key, and the faults found so far.
pub(super) struct Reader {
    values: BTreeMap<String, ValueKind>,
    folder: PathBuf,
    faults: Vec<String>,
}

impl Reader {
    /// Takes the merged tree of file and environment; keys that are not in the list of settings are faults.
    pub(super) fn new(tree: Map<String, Value>, folder: &Path) -> Self {
        let mut values = BTreeMap::new();
        flatten(tree, "", &mut values);
        let faults = values
            .keys()
            .filter(|key| !is_known(key))
            .map(|key| format!("`{key}`: there is no such setting{}", suggestion(key)))
            .collect();
        Self { values, folder: folder.to_owned(), faults }
    }

    /// Notes a fault of the setting `key`.
    pub(super) fn fault(&mut self, key: &str, what: impl Display) {
        self.faults.push(format!("`{key}`: {what}"));
    }

    /// All faults, in the order of their keys.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.faults.sort();
        self.faults.dedup();
        self.faults
    }

    /// The raw value of a setting.
    pub(super) fn raw(&self, key: &str) -> Option<&ValueKind> {
        self.values.get(key).filter(|kind| !matches!(kind, ValueKind::Nil))
    }

    /// The text of a setting, or its default, or `None`.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.raw(key) {
            None => settings::find(key).and_then(|setting| setting.default).map(str::to_owned),
            Some(ValueKind::Table(_) | ValueKind::Array(_)) => {
                self.fault(key, "must be a single value");
                None
            }
            Some(kind) => Some(kind.to_string()).filter(|text| !text.is_empty()),
        }
    }

    /// A setting that parses as `T`.
    fn parsed<T: FromStr + Default>(&mut self, key: &str, kind: &str) -> T {
        let Some(text) = self.text(key) else { return T::default() };
        text.trim().parse().unwrap_or_else(|_| {
            self.fault(key, format!("`{text}` must be {kind}"));
            T::default()
        })
    }

    /// A whole number that is at least `least`.
    pub(super) fn number<T: FromStr + Default + PartialOrd + Display + Copy>(&mut self, key: &str, least: T) -> T {
        let before = self.faults.len();
        let number: T = self.parsed(key, "a whole number");
        if number < least && self.faults.len() == before {
            self.fault(key, format!("must be at least {least}"));
        }
        number
    }

    /// A whole number of seconds, at least one.
    pub(super) fn seconds(&mut self, key: &str) -> Duration {
        Duration::from_secs(self.number(key, 1))
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.parsed(key, "`true` or `false`")
    }

    /// A path, when set or with a default. One that is set and relative begins at the folder of the file.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let set = self.raw(key).is_some();
        let path = self.text(key)?;
        Some(if set { self.below_folder(&path) } else { PathBuf::from(path) })
    }

    /// A path as the file means it.
    pub(super) fn below_folder(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// A list of texts: an array, or one text with commas.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let items: Vec<String> = match self.raw(key) {
            Some(ValueKind::Array(items)) => items.iter().map(|item| item.kind.to_string()).collect(),
            _ => self.text(key).unwrap_or_default().split(',').map(str::to_owned).collect(),
        };
        items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }

    /// A list of tables as JSON objects: an array of tables, or the text of a JSON array. What is not one is noted as a fault.
    pub(super) fn tables(&mut self, key: &str) -> Vec<JsonMap<String, Json>> {
        let list = match self.raw(key).cloned() {
            None => return Vec::new(),
            Some(kind) => as_list(kind),
        };
        let list = list.unwrap_or_else(|what| {
            self.fault(key, what);
            Vec::new()
        });
        let mut tables = Vec::with_capacity(list.len());
        for (position, entry) in list.into_iter().enumerate() {
            match entry {
                Json::Object(table) => tables.push(table),
                _ => self.fault(key, format!("entry {} must be a table", position + 1)),
            }
        }
        tables
    }

    /// An http or https URL without credentials, query and fragment, when set.
    pub(super) fn url(&mut self, key: &str) -> Option<Url> {
        let text = self.text(key)?;
        parse_url(&text).map_err(|what| self.fault(key, what)).ok()
    }

    /// A secret given directly under `key` or in the file under `key` + `_file`.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let file_key = format!("{key}_file");
        match (self.text(key), self.path(&file_key)) {
            (Some(_), Some(_)) => {
                self.fault(key, format!("is set, and so is `{file_key}`; one of them is enough"));
                None
            }
            (Some(text), None) => Some(SecretString::from(text)),
            (None, Some(path)) => secret_file(&path).map_err(|what| self.fault(&file_key, what)).ok(),
            (None, None) => None,
        }
    }
}

fn as_list(kind: ValueKind) -> Result<Vec<Json>, String> {
    match kind {
        ValueKind::Array(list) => list.into_iter().map(as_json).collect(),
        ValueKind::String(text) => serde_json::from_str(&text)
            .map_err(|error| format!("is not a JSON array (line {}, column {})", error.line(), error.column())),
        _ => Err("must be a list of tables".to_owned()),
    }
}

fn as_json(value: Value) -> Result<Json, String> {
    value.try_deserialize().map_err(|_| "holds a value that JSON does not have".to_owned())
}

/// Reads a secret from a file; white space around it does not count.
///
/// # Errors
/// A sentence that names the file.
pub(super) fn secret_file(path: &Path) -> Result<SecretString, String> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(format!("`{}` is empty", path.display())),
        Ok(text) => Ok(SecretString::from(text.trim().to_owned())),
        Err(error) => Err(format!("cannot read `{}`: {error}", path.display())),
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("`{text}` must be an http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must be a URL without user, query and fragment".to_owned());
    }
    Ok(url)
}

/// The leaves of a tree by their dotted keys. What the list declares as a whole is not taken apart.
fn flatten(tree: Map<String, Value>, prefix: &str, values: &mut BTreeMap<String, ValueKind>) {
    for (name, value) in tree {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value.kind {
            ValueKind::Table(table) if !is_known(&key) => flatten(table, &key, values),
            kind => {
                values.insert(key, kind);
            }
        }
    }
}

fn is_known(key: &str) -> bool {
    let secret = |key: &str| settings::find(key).is_some_and(|setting| setting.kind == Kind::Secret);
    settings::find(key).is_some() || key.strip_suffix("_file").is_some_and(secret)
}

/// The setting that was probably meant: the same last word in another section.
fn suggestion(key: &str) -> String {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let mut alike = SETTINGS.iter().filter(|setting| last(setting.key) == last(key)).map(|setting| setting.key);
    alike.next().map_or_else(String::new, |key| format!("; is `{key}` meant?"))
}
