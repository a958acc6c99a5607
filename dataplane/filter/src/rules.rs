//! A selection made ready for use.

use std::sync::Arc;

use hmac::{Hmac, Mac};
use policy_plan::{AttributeRule, Member, Part, PersonalMode, Query, Selection, Stretch};
use sha2::Sha256;

use crate::Fault;
use crate::condition::Conditions;
use crate::moment::Moments;
use crate::names::{Names, is_core};
use crate::scan::{Halt, Scan, fault};
use crate::search::searchable;
use crate::stream::{Answer, Representation, Shape};

/// A selection made ready; shared by all requests of a flow.
#[derive(Debug)]
pub struct Filter {
    pub(crate) selection: Selection,
    /// Expanded names that rules speak of: attributes, sub-attributes and types. The place is the number.
    pub(crate) known: Vec<String>,
    pub(crate) rules: Vec<Rule>,
    /// The names under each listed context alone, and under the core context alone at the end.
    single: Vec<Arc<Names>>,
    key: Option<[u8; 32]>,
    pub(crate) conditions: Option<Conditions>,
    /// The types that are marked, and the personal attributes of each.
    marked: Vec<(u32, Vec<u32>)>,
}

/// What of an attribute passes.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    pub(crate) name: u32,
    pub(crate) sub_attributes: Vec<u32>,
    pub(crate) languages: Option<Vec<String>>,
    pub(crate) dataset_ids: Option<Vec<String>>,
    pub(crate) pseudonym: bool,
    pub(crate) timeless: bool,
}

impl Rule {
    /// Whether instances with this `datasetId` pass.
    pub(crate) fn admits_dataset(&self, id: &[u8]) -> bool {
        self.dataset_ids.as_ref().is_none_or(|ids| ids.iter().any(|known| known.as_bytes() == id))
    }

    pub(crate) fn admits_language(&self, tag: &[u8]) -> bool {
        self.languages.as_ref().is_none_or(|tags| tags.iter().any(|known| known.as_bytes() == tag))
    }

    /// Whether the values show less than the source holds, so that nobody may search by them.
    pub(crate) fn veils(&self) -> bool {
        self.pseudonym || self.languages.is_some() || self.dataset_ids.is_some()
    }
}

impl Filter {
    /// What is known of a stored document before it is read. A bare value may be an attribute's or an entity's id; where that
    /// matters, only what says what it is passes.
    #[must_use]
    pub fn stored(&self, shape: Shape) -> Answer {
        let representation = match self.selection.pseudonymous_ids {
            true => Representation::Normalized,
            false => Representation::Concise,
        };
        // `location` means the same under every context.
        let core = self.single.last();
        let geometry = core.is_some_and(|names| searchable(self, names, "location").is_ok());
        Answer { representation, shape, temporal: true, geometry, context: None, asked: Stretch::ALWAYS }
    }

    /// Makes a selection ready.
    ///
    /// # Errors
    /// `selection_not_usable` with the member that is not as it must be, also a key that is missing.
    pub fn new(selection: Selection) -> Result<Self, Fault> {
        let unusable = |message: String| Fault { code: "selection_not_usable", message };
        selection.check().map_err(|(member, why)| unusable(format!("`{member}` of the selection {why}")))?;
        let key = selection.pseudonym_key.as_ref().and_then(policy_plan::PseudonymKey::bytes);
        if selection.needs_key() && key.is_none() {
            return Err(unusable("the selection wants pseudonyms and has no key for them".to_owned()));
        }
        let mut known: Vec<String> = selection.types.clone();
        let attributes = selection.attributes.iter();
        known.extend(attributes.flat_map(|rule| std::iter::once(&rule.name).chain(&rule.sub_attributes)).cloned());
        known.extend(spoken_of(&selection).map_err(unusable)?);
        known.sort_unstable();
        known.dedup();
        let number = |iri: &str| place(&known, iri);
        let conditions = Conditions::new(&selection, number);
        let conditions = conditions.map_err(|why| unusable(format!("the selection's conditions: {why}")))?;
        let marking = selection.personal.iter().flat_map(|personal| &personal.marking);
        let marked = marking
            .filter_map(|(kind, marking)| {
                Some((number(kind)?, marking.personal.iter().filter_map(|name| number(name)).collect()))
            })
            .collect();
        let rules = selection.attributes.iter().map(|rule| Self::rule(rule, &known)).collect();
        let mut single: Vec<Arc<Names>> = Vec::new();
        for context in &selection.contexts {
            single.push(Arc::new(Names::new(std::iter::once(context), &known)));
        }
        single.push(Arc::new(Names::new(std::iter::empty(), &known)));
        Ok(Self { selection, known, rules, single, key, conditions, marked })
    }

    fn rule(rule: &AttributeRule, known: &[String]) -> Rule {
        let number = |iri: &String| place(known, iri);
        Rule {
            name: number(&rule.name).unwrap_or(u32::MAX),
            sub_attributes: rule.sub_attributes.iter().filter_map(number).collect(),
            languages: rule.languages.clone(),
            dataset_ids: rule.dataset_ids.clone(),
            pseudonym: rule.pseudonym,
            timeless: rule.timeless,
        }
    }

    /// The names under the contexts at these addresses.
    pub(crate) fn names(&self, addresses: &[String]) -> Scan<Arc<Names>> {
        let mut places = Vec::new();
        for url in addresses {
            match self.selection.contexts.iter().position(|context| context.url == *url) {
                Some(place) => places.push(place),
                None if is_core(url) => {}
                None => {
                    let shown: String = url.chars().filter(|c| !c.is_control()).take(200).collect();
                    return fault("context_unknown", format!("the agreement does not list the context `{shown}`"));
                }
            }
        }
        let place = match places.as_slice() {
            [] => self.selection.contexts.len(),
            [one] => *one,
            several => {
                let contexts = several.iter().filter_map(|place| self.selection.contexts.get(*place));
                return Ok(Arc::new(Names::new(contexts, &self.known)));
            }
        };
        match self.single.get(place) {
            Some(names) => Ok(Arc::clone(names)),
            None => fault("context_unknown", "the agreement does not list the context"),
        }
    }

    /// The names under the context of an answer that says its context by a header, or nowhere.
    pub(crate) fn declared(&self, link: Option<&str>) -> Result<Option<Arc<Names>>, Fault> {
        let Some(url) = link.or(self.selection.assumed_context.as_deref()) else { return Ok(None) };
        match self.names(std::slice::from_ref(&url.to_owned())) {
            Ok(names) => Ok(Some(names)),
            Err(Halt::Fault(fault)) => Err(*fault),
            Err(Halt::Incomplete) => Ok(None),
        }
    }

    /// The rule of the attribute with this number.
    #[inline]
    pub(crate) fn attribute(&self, number: u32) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == number)
    }

    /// Whether the number is that of an admitted entity type.
    pub(crate) fn is_type(&self, number: u32) -> bool {
        let name = usize::try_from(number).ok().and_then(|place| self.known.get(place));
        name.is_some_and(|name| self.selection.types.contains(name))
    }

    /// Whether the type with this number is marked as to what is personal.
    pub(crate) fn is_marked(&self, number: u32) -> bool {
        self.marked.iter().any(|(kind, _)| *kind == number)
    }

    /// The personal attributes of an entity of these types, by their numbers.
    pub(crate) fn personal(&self, kinds: &[u32]) -> Vec<u32> {
        let of = self.marked.iter().filter(|(kind, _)| kinds.contains(kind));
        of.flat_map(|(_, attributes)| attributes).copied().collect()
    }

    /// Whether the attribute is personal in entities of any type.
    pub(crate) fn is_personal(&self, number: u32) -> bool {
        self.marked.iter().any(|(_, attributes)| attributes.contains(&number))
    }

    /// Whether attributes that are personal are removed.
    pub(crate) fn removes_personal(&self) -> bool {
        self.selection.personal.as_ref().is_some_and(|personal| personal.mode == PersonalMode::Remove)
    }

    /// Whether the attribute is removed from entities of every type that is shown, because it is personal.
    pub(crate) fn is_never_shown(&self, number: u32) -> bool {
        self.removes_personal()
            && self
                .marked
                .iter()
                .filter(|(kind, _)| self.is_type(*kind))
                .all(|(_, attributes)| attributes.contains(&number))
    }

    /// The moments that an answer may show: those of the selection at this moment, as far as they were asked for.
    pub(crate) fn stretch(&self, asked: Stretch, now_ms: i64) -> Stretch {
        self.selection.time.as_ref().map_or(asked, |window| window.stretch(now_ms).and(asked))
    }

    /// How moments are shown, where the selection says it.
    pub(crate) fn moments(&self, stretch: Stretch) -> Option<Moments<'_>> {
        self.selection.time.as_ref().map(|window| Moments::new(window, stretch))
    }

    /// Whether entities are removed that a source counts.
    pub(crate) fn removes_entities(&self) -> bool {
        let selection = &self.selection;
        selection.ids.is_some() || selection.rows.is_some() || selection.time.is_some() || selection.personal.is_some()
    }

    /// Whether CSV can be read by the selection: cells do not tell ids from other texts, and rows of one period may lie
    /// anywhere.
    pub(crate) fn csv_reads(&self) -> bool {
        let coarse = self.selection.time.as_ref().is_some_and(|time| time.resolution_seconds.is_some());
        !self.selection.pseudonymous_ids && !coarse
    }

    pub(crate) fn shows(&self, member: Member) -> bool {
        self.selection.members.contains(&member)
    }

    /// Whether entities with this id are shown.
    pub(crate) fn admits_id(&self, id: &[u8]) -> bool {
        let patterns = self.selection.ids.as_deref();
        patterns.is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern.as_bytes(), id)))
    }

    /// The pseudonym of an entity id. It keeps the type of `urn:ngsi-ld:Type:…` when the type is one that is shown.
    pub(crate) fn pseudonymous_id(&self, id: &[u8]) -> String {
        let text = std::str::from_utf8(id).unwrap_or_default();
        let prefix = match text.strip_prefix("urn:ngsi-ld:") {
            Some(rest) => match rest.split_once(':') {
                Some((name, _)) if self.is_local_type(name) => format!("urn:ngsi-ld:{name}:"),
                _ => "urn:ngsi-ld:".to_owned(),
            },
            None => "urn:ngsi-ld:".to_owned(),
        };
        format!("{prefix}{}", self.pseudonym(id))
    }

    fn is_local_type(&self, name: &str) -> bool {
        self.selection.types.iter().any(|iri| iri.rsplit(['/', '#', ':']).next() == Some(name))
    }

    /// The pseudonym of any text: 128 bits of HMAC-SHA-256 under the agreement's key, in hexadecimal.
    pub(crate) fn pseudonym(&self, text: &[u8]) -> String {
        let key = self.key.unwrap_or_default();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return String::new() };
        mac.update(text);
        mac.finalize().into_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

fn place(known: &[String], iri: &str) -> Option<u32> {
    let found = known.binary_search_by(|name| name.as_str().cmp(iri)).ok();
    found.and_then(|place| u32::try_from(place).ok())
}

/// Further names that rules speak of: those of conditions and of what is personal.
fn spoken_of(selection: &Selection) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    if let Some(rows) = &selection.rows {
        names.extend(rows.geo.iter().map(|area| area.property().to_owned()));
        for term in rows.query()?.iter().flat_map(Query::terms) {
            names.push(term.attribute.clone());
            if let Some(Part::Attribute(name)) = &term.part {
                names.push(name.clone());
            }
        }
    }
    names.extend(selection.time.iter().filter_map(|time| time.attribute.clone()));
    for (kind, marking) in selection.personal.iter().flat_map(|personal| &personal.marking) {
        names.push(kind.clone());
        names.extend(marking.personal.iter().cloned());
    }
    Ok(names)
}

/// Whether the pattern covers the text; `*` stands for any bytes.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last: Option<&[u8]> = None;
    for part in parts {
        if let Some(before) = last.replace(part)
            && !before.is_empty()
        {
            let Some(at) = rest.windows(before.len()).position(|window| window == before) else { return false };
            rest = rest.get(at + before.len()..).unwrap_or_default();
        }
    }
    match last {
        None => rest.is_empty(),
        Some(last) => rest.ends_with(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("urn:a", "urn:a", true),
            ("urn:a", "urn:ab", false),
            ("urn:*", "urn:ab", true),
            ("urn:*", "xurn:ab", false),
            ("*:b", "urn:a:b", true),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "a--c--b", false),
            ("a*bc", "abc", true),
            ("a*b*b", "ab", false),
            ("*", "", true),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
