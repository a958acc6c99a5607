//! Reads settings one by one and remembers every fault, so that all of them are told at once.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use config::{Map, Value, ValueKind};
use secrecy::SecretString;

use super::settings;

pub(crate) struct Reader {
    tree: Map<String, Value>,
    seen: BTreeSet<String>,
    faults: Vec<String>,
}

impl Reader {
    pub(crate) fn new(tree: Map<String, Value>) -> Self {
        Self { tree, seen: BTreeSet::new(), faults: Vec::new() }
    }

    /// Notes a fault of the setting `key`.
    pub(crate) fn fault(&mut self, key: &str, what: impl Display) {
        self.faults.push(format!("`{key}`: {what}"));
    }

    /// The text of a setting, or its default, or `None`.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        self.seen.insert(key.to_owned());
        let default = settings::find(key).and_then(|setting| setting.default);
        match self.lookup(key).map(|value| value.kind.clone()) {
            None | Some(ValueKind::Nil) => default.map(str::to_owned),
            Some(ValueKind::Table(_) | ValueKind::Array(_)) => {
                self.fault(key, "must be a single value");
                None
            }
            Some(kind) => Some(kind.to_string()),
        }
    }

    /// A setting that must be there.
    pub(crate) fn required(&mut self, key: &str) -> String {
        match self.text(key).filter(|text| !text.trim().is_empty()) {
            Some(text) => text,
            None => {
                self.fault(key, "is missing");
                String::new()
            }
        }
    }

    /// A setting that parses as `T`; its default stands in after a fault.
    pub(crate) fn parsed<T: FromStr + Default>(&mut self, key: &str, kind: &str) -> T {
        let text = self.text(key).unwrap_or_default();
        text.trim().parse().unwrap_or_else(|_| {
            self.fault(key, format!("must be {kind}"));
            T::default()
        })
    }

    /// A path, when set.
    pub(crate) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// A secret given directly under `key` or in the file under `key` + `_file`.
    pub(crate) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let file_key = format!("{key}_file");
        let direct = self.text(key);
        match (direct, self.path(&file_key)) {
            (Some(_), Some(_)) => {
                self.fault(key, format!("is set, and so is `{file_key}`; one of them is enough"));
                None
            }
            (Some(text), None) => Some(SecretString::from(text)),
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) if text.trim().is_empty() => {
                    self.fault(&file_key, format!("`{}` is empty", path.display()));
                    None
                }
                Ok(text) => Some(SecretString::from(text.trim().to_owned())),
                Err(error) => {
                    self.fault(&file_key, format!("cannot read `{}`: {error}", path.display()));
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// The names below a section.
    pub(crate) fn names(&self, section: &str) -> Vec<String> {
        match self.lookup(section).map(|value| &value.kind) {
            Some(ValueKind::Table(table)) => table.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether there are settings below `key`.
    pub(crate) fn is_section(&self, key: &str) -> bool {
        self.lookup(key).is_some_and(|value| matches!(value.kind, ValueKind::Table(_)))
    }

    /// Ends reading: adds a fault for every setting that nobody asked for.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let mut unknown = Vec::new();
        leaves(&self.tree, "", &mut |key| {
            if !self.seen.contains(key) {
                unknown.push(format!("`{key}`: there is no such setting"));
            }
        });
        self.faults.append(&mut unknown);
        self.faults.sort();
        self.faults
    }

    fn lookup(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let mut value = self.tree.get(parts.next()?)?;
        for part in parts {
            let ValueKind::Table(table) = &value.kind else { return None };
            value = table.get(part)?;
        }
        Some(value)
    }
}

fn leaves(tree: &Map<String, Value>, prefix: &str, visit: &mut impl FnMut(&str)) {
    for (name, value) in tree {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match &value.kind {
            ValueKind::Table(table) => leaves(table, &key, visit),
            _ => visit(&key),
        }
    }
}
