//! Names under a context: which spelling in a document means which expanded name (ETSI GS CIM 009, 5.5.7).

use std::collections::{BTreeMap, HashMap};

use policy_plan::NamedContext;

use crate::scan::{Scan, fault};

/// The vocabulary of terms that no context defines.
const DEFAULT: &str = "https://uri.etsi.org/ngsi-ld/default-context/";
/// The vocabulary of NGSI-LD itself, and the prefix that the core context gives it.
const CORE: &str = "https://uri.etsi.org/ngsi-ld/";
const CORE_PREFIX: &str = "ngsi-ld";
/// Addresses of the core context: this, then a version or nothing, then `.jsonld`.
const CORE_CONTEXT: [&str; 2] =
    ["https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context", "http://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context"];

/// Terms of the core context that data models use as names of attributes and that expand into other vocabularies.
const CORE_ELSEWHERE: &[(&str, &str)] = &[
    ("title", "http://purl.org/dc/terms/title"),
    ("description", "http://purl.org/dc/terms/description"),
    ("properties", "https://purl.org/geojson/vocab#properties"),
    ("geometry", "https://purl.org/geojson/vocab#geometry"),
    ("coordinates", "https://purl.org/geojson/vocab#coordinates"),
    ("features", "https://purl.org/geojson/vocab#features"),
    ("bbox", "https://purl.org/geojson/vocab#bbox"),
];
/// Further terms of the core context, which expand into its own vocabulary. No other context can give them a meaning.
const CORE_TERMS: &[&str] = &[
    "location",
    "observationSpace",
    "operationSpace",
    "scope",
    "status",
    "data",
    "information",
    "mode",
    "reason",
    "key",
    "format",
    "q",
    "lang",
    "attributes",
    "entities",
    "min",
    "max",
    "avg",
    "sum",
    "stddev",
    "sumsq",
    "totalCount",
    "distinctCount",
    "values",
    "objects",
    "tenant",
    "timeout",
    "uri",
    "error",
    "value",
    "object",
    "languageMap",
    "languageMaps",
    "vocab",
    "vocabs",
    "json",
    "jsons",
    "valueList",
    "valueLists",
    "objectList",
    "objectLists",
    "unitCode",
    "observedAt",
    "createdAt",
    "modifiedAt",
    "deletedAt",
    "expiresAt",
    "instanceId",
    "datasetId",
    "valueType",
    "objectType",
    "previousValue",
    "previousObject",
    "previousLanguageMap",
    "previousVocab",
    "previousJson",
    "previousValueList",
    "previousObjectList",
    "ngsildproof",
    "entity",
    "entityList",
    "dataset",
    "Property",
    "GeoProperty",
    "Relationship",
    "LanguageProperty",
    "VocabProperty",
    "VocabularyProperty",
    "JsonProperty",
    "ListProperty",
    "ListRelationship",
    "type",
    "id",
];

/// Whether an address is that of the core context in any version.
pub fn is_core(url: &str) -> bool {
    CORE_CONTEXT.iter().any(|base| {
        url.strip_prefix(base).and_then(|rest| rest.strip_suffix(".jsonld")).is_some_and(|version| {
            version.is_empty()
                || version.strip_prefix("-v").is_some_and(|number| {
                    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
                })
        })
    })
}

/// One context, or several one after the other, under the core context.
#[derive(Debug)]
pub(crate) struct Names {
    terms: BTreeMap<String, String>,
    /// Expanded names that matter, by their number.
    known: HashMap<String, u32>,
    /// Short spellings of those.
    short: Spellings,
}

impl Names {
    /// `known` are the names that rules speak of; the place is the number.
    pub(crate) fn new<'a>(contexts: impl Iterator<Item = &'a NamedContext>, known: &[String]) -> Self {
        let mut terms = BTreeMap::new();
        for context in contexts {
            terms.extend(context.terms.iter().map(|(term, iri)| (term.clone(), iri.clone())));
        }
        let numbers: HashMap<String, u32> = known.iter().cloned().zip(0..).collect();
        let mut names = Self { terms, known: numbers, short: Spellings::default() };
        let mut short = Spellings::default();
        let defaults = known.iter().filter_map(|iri| iri.strip_prefix(DEFAULT));
        let elsewhere = CORE_ELSEWHERE.iter().map(|(term, _)| *term);
        let mut spellings: Vec<&str> = names.terms.keys().map(String::as_str).collect();
        spellings.extend(CORE_TERMS.iter().copied().chain(elsewhere).chain(defaults));
        spellings.sort_unstable();
        spellings.dedup();
        for term in spellings {
            if let Some(number) = names.known.get(&names.expand(term)) {
                short.add(term.as_bytes(), *number);
            }
        }
        names.short = short;
        names
    }

    /// Several contexts one after the other, for expanding only.
    pub(crate) fn joined<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let mut terms = BTreeMap::new();
        for part in parts {
            terms.extend(part.terms.iter().map(|(term, iri)| (term.clone(), iri.clone())));
        }
        Self { terms, known: HashMap::new(), short: Spellings::default() }
    }

    /// The expanded form of a name.
    pub(crate) fn expand(&self, name: &str) -> String {
        if let Some((_, iri)) = CORE_ELSEWHERE.iter().find(|(term, _)| *term == name) {
            return (*iri).to_owned();
        }
        if CORE_TERMS.contains(&name) {
            return format!("{CORE}{name}");
        }
        if let Some(iri) = self.terms.get(name) {
            return iri.clone();
        }
        match name.split_once(':') {
            Some((_, rest)) if rest.starts_with("//") => name.to_owned(),
            Some((CORE_PREFIX, rest)) => format!("{CORE}{rest}"),
            Some((prefix, rest)) => match self.terms.get(prefix) {
                // JSON-LD 1.1 takes a term for a prefix only when it ends like one.
                Some(iri) if iri.ends_with(['/', '#', ':', '?', '@']) => format!("{iri}{rest}"),
                _ => name.to_owned(),
            },
            None => format!("{DEFAULT}{name}"),
        }
    }

    /// Whether a term is one of the core context, which no other context can give another meaning.
    pub(crate) fn is_core_term(term: &str) -> bool {
        CORE_TERMS.contains(&term) || CORE_ELSEWHERE.iter().any(|(known, _)| *known == term)
    }

    /// A short spelling of a whole name, of letters, digits, `_` and `-`; `None` when there is none.
    pub(crate) fn short(&self, iri: &str) -> Option<String> {
        let terms = self.terms.iter().filter(|(_, known)| *known == iri).map(|(term, _)| term.as_str());
        let core = CORE_TERMS.iter().copied().filter(|term| iri.strip_prefix(CORE) == Some(*term));
        let mut spellings = terms.chain(core).chain(iri.strip_prefix(DEFAULT));
        let plain = |term: &str| {
            term.starts_with(|first: char| first.is_ascii_alphabetic())
                && term.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        };
        spellings.find(|term| plain(term) && self.expand(term) == iri).map(str::to_owned)
    }

    /// The number of the name that is written so.
    #[inline]
    pub(crate) fn number(&self, spelling: &[u8]) -> Option<u32> {
        if let Some(number) = self.short.get(spelling) {
            return Some(number);
        }
        // A whole name, or one with a prefix: rare, since answers are written in short names.
        if !spelling.contains(&b':') {
            return None;
        }
        let spelling = std::str::from_utf8(spelling).ok()?;
        self.known.get(&self.expand(spelling)).copied()
    }
}

/// A table of few spellings; looked up for each key of an answer.
#[derive(Debug, Default)]
struct Spellings(HashMap<u64, Vec<Spelling>, std::hash::BuildHasherDefault<Plain>>);

/// A spelling and the number of what it means.
type Spelling = (Box<[u8]>, u32);

impl Spellings {
    fn add(&mut self, spelling: &[u8], number: u32) {
        self.0.entry(mark(spelling)).or_default().push((spelling.into(), number));
    }

    #[inline]
    fn get(&self, spelling: &[u8]) -> Option<u32> {
        let found = self.0.get(&mark(spelling))?;
        found.iter().find(|(known, _)| **known == *spelling).map(|(_, number)| *number)
    }
}

/// Length, first and last bytes. Only the plan's own names are in the table, so nobody can fill one place of it from outside.
#[inline]
fn mark(spelling: &[u8]) -> u64 {
    let first = spelling.first().copied().unwrap_or_default();
    let last = spelling.last().copied().unwrap_or_default();
    let middle = spelling.get(spelling.len() / 2).copied().unwrap_or_default();
    u64::from_le_bytes([first, last, middle, 0, 0, 0, 0, 0]) ^ (spelling.len() as u64) << 24
}

/// Spreads what is spread already.
#[derive(Debug, Default)]
struct Plain(u64);

impl std::hash::Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The addresses in an answer's `@context`.
///
/// # Errors
/// `context_inline` for a context that is written out, `answer_not_json` for none at all.
pub(crate) fn addresses(raw: &[u8]) -> Scan<Vec<String>> {
    let value: serde_json::Value = match serde_json::from_slice(raw) {
        Ok(value) => value,
        Err(_) => return fault("answer_not_json", "the answer is not JSON: its `@context` cannot be read"),
    };
    let items = match value {
        serde_json::Value::Array(items) => items,
        other => vec![other],
    };
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        let serde_json::Value::String(url) = item else {
            return fault("context_inline", "the answer has a `@context` that is not given by addresses");
        };
        found.push(url);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(terms: &[(&str, &str)]) -> NamedContext {
        let terms = terms.iter().map(|(term, iri)| ((*term).to_owned(), (*iri).to_owned())).collect();
        NamedContext { url: "https://c".into(), terms }
    }

    #[test]
    fn spellings_of_one_name() {
        let context = context(&[("no2", "https://a/NO2"), ("a", "https://a/"), ("location", "https://evil/x")]);
        let known = [
            "https://a/NO2".to_owned(),
            format!("{CORE}location"),
            format!("{DEFAULT}speed"),
            "http://purl.org/dc/terms/title".to_owned(),
        ];
        let names = Names::new([&context].into_iter(), &known);
        for (spelling, number) in [
            ("no2", Some(0)),
            ("a:NO2", Some(0)),
            ("https://a/NO2", Some(0)),
            ("NO2", None),
            ("location", Some(1)),
            ("ngsi-ld:location", Some(1)),
            ("https://evil/x", None),
            ("no2:", None),
            ("speed", Some(2)),
            ("https://uri.etsi.org/ngsi-ld/default-context/speed", Some(2)),
            ("title", Some(3)),
            ("Title", None),
            ("", None),
            (":", None),
        ] {
            assert_eq!(names.number(spelling.as_bytes()), number, "{spelling}");
        }
    }

    #[test]
    fn a_context_that_gives_a_term_another_meaning_hides_the_default() {
        let renamed = context(&[("speed", "https://secret/plate"), ("fast", "https://a/speed")]);
        let known = [format!("{DEFAULT}speed"), "https://a/speed".to_owned()];
        let names = Names::new([&renamed].into_iter(), &known);
        assert_eq!(names.number(b"speed"), None);
        assert_eq!(names.number(b"fast"), Some(1));
    }

    #[test]
    fn addresses_of_the_core_context() {
        for (url, expected) in [
            ("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld", true),
            ("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld", true),
            ("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v.jsonld/x", false),
            ("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-evil.jsonld", false),
            ("https://evil/ngsi-ld-core-context.jsonld", false),
        ] {
            assert_eq!(is_core(url), expected, "{url}");
        }
    }
}
