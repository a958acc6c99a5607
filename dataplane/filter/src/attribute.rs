//! Attributes in all their shapes (ETSI GS CIM 009, 4.5): which of their instances, sub-attributes and members pass.

use policy_plan::Member;

use crate::entity::Pass;
use crate::rules::Rule;
use crate::scan::{Scan, Scanner, Text, fault};
use crate::stream::Representation;
use crate::value::{How, Keyed};

/// The kinds of attributes, as a document names them.
const KINDS: [&[u8]; 9] = [
    b"Property",
    b"GeoProperty",
    b"Relationship",
    b"LanguageProperty",
    b"VocabProperty",
    b"VocabularyProperty",
    b"JsonProperty",
    b"ListProperty",
    b"ListRelationship",
];

/// How a member that holds the value is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Plain,
    Target,
    Languages,
}

/// Members that hold a value: name, the kind that may have it, treatment, and whether it is one of a temporal list.
const VALUES: &[(&[u8], &[u8], Held, bool)] = &[
    (b"value", b"Property", Held::Plain, false),
    (b"values", b"Property", Held::Plain, true),
    (b"object", b"Relationship", Held::Target, false),
    (b"objects", b"Relationship", Held::Target, true),
    (b"languageMap", b"LanguageProperty", Held::Languages, false),
    (b"languageMaps", b"LanguageProperty", Held::Languages, true),
    (b"vocab", b"VocabProperty", Held::Plain, false),
    (b"vocabs", b"VocabProperty", Held::Plain, true),
    (b"json", b"JsonProperty", Held::Plain, false),
    (b"jsons", b"JsonProperty", Held::Plain, true),
    (b"valueList", b"ListProperty", Held::Plain, false),
    (b"valueLists", b"ListProperty", Held::Plain, true),
    (b"objectList", b"ListRelationship", Held::Target, false),
    (b"objectLists", b"ListRelationship", Held::Target, true),
];

/// What an object in the place of an attribute is.
#[derive(Debug, Clone, Copy)]
enum Form<'a> {
    /// An instance with members; the kind where it is given.
    Instance(Option<&'a [u8]>),
    /// The simplified form of several instances.
    Datasets,
    /// The value itself.
    Bare,
}

impl Pass<'_> {
    /// Writes what passes of an attribute's value. `false` when nothing does; what was written is to be removed then.
    pub(crate) fn attribute(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, rule: &Rule) -> Scan<bool> {
        if scanner.peek()? != b'[' {
            return self.instance(scanner, out, rule);
        }
        if self.representation == Representation::Simplified && !rule.veils() && self.how(rule) == How::Same {
            let probe = *scanner;
            if !holds_kind(probe)? {
                return self.filter.value(scanner, out, How::Same);
            }
        }
        let begin = out.len();
        out.push(b'[');
        let (mut kept, mut seen) = (0_usize, false);
        scanner.array(|scanner| {
            seen = true;
            let mark = out.len();
            if kept > 0 {
                out.push(b',');
            }
            if self.instance(scanner, out, rule)? {
                kept += 1;
            } else {
                out.truncate(mark);
            }
            Ok(())
        })?;
        out.push(b']');
        if seen && kept == 0 {
            out.truncate(begin);
        }
        Ok(kept > 0 || !seen)
    }

    /// One instance, or a bare value.
    fn instance(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, rule: &Rule) -> Scan<bool> {
        let form = if scanner.peek()? == b'{' { self.form(*scanner)? } else { Form::Bare };
        match form {
            Form::Instance(kind) => self.members(scanner, out, rule, kind),
            Form::Datasets => self.datasets(scanner, out, rule),
            // A normalized answer has no bare values: this is something that we do not know.
            Form::Bare if self.representation == Representation::Normalized => {
                scanner.value()?;
                Ok(false)
            }
            Form::Bare if !rule.admits_dataset(b"@none") => {
                scanner.value()?;
                Ok(false)
            }
            Form::Bare => self.filter.value(scanner, out, self.how(rule)),
        }
    }

    fn how(&self, rule: &Rule) -> How {
        if rule.pseudonym {
            return How::Pseudonym;
        }
        self.filter.selection.coordinate_decimals.map_or(How::Same, How::Coarse)
    }

    /// Looks at an object without taking it.
    fn form<'b>(&self, mut probe: Scanner<'b>) -> Scan<Form<'b>> {
        let (mut kind, mut holds, mut members, mut datasets) = (None, false, 0_usize, false);
        let simplified = self.representation == Representation::Simplified;
        // The usual case: the kind comes first.
        let mut first = probe;
        first.expect(b'{')?;
        if first.peek()? == b'"' && first.string()?.raw == b"type" {
            first.expect(b':')?;
            if first.peek()? == b'"' {
                let text = first.string()?;
                if KINDS.contains(&text.raw) {
                    return Ok(Form::Instance(Some(text.raw)));
                }
            }
        }
        probe.object(|probe, key| {
            members += 1;
            let name = key.decoded()?;
            if &*name == b"type" && probe.peek()? == b'"' {
                let text = probe.string()?;
                let known = text.decoded()?;
                kind = kind.or_else(|| KINDS.into_iter().find(|kind| **kind == *known));
                return Ok(());
            }
            holds |= match VALUES.iter().find(|(member, ..)| **member == *name) {
                None => false,
                // In simplified form only these keep their names, and other members are data.
                Some((member, ..)) if simplified => matches!(*member, b"languageMap" | b"vocab" | b"json"),
                Some(_) => true,
            };
            datasets |= &*name == b"dataset" && probe.peek()? == b'{';
            probe.value().map(|_| ())
        })?;
        Ok(match kind {
            Some(kind) => Form::Instance(Some(kind)),
            None if simplified && datasets && members == 1 => Form::Datasets,
            None if holds && (!simplified || members == 1) => Form::Instance(None),
            None => Form::Bare,
        })
    }

    /// An instance with members.
    fn members(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, rule: &Rule, kind: Option<&[u8]>) -> Scan<bool> {
        out.push(b'{');
        let begin = out.len();
        let (mut typed, mut held, mut shown) = (false, false, true);
        let (mut dataset, mut language) = (None, None);
        scanner.object(|scanner, key| {
            let name = key.decoded()?;
            match &*name {
                b"type" if kind.is_some() => {
                    shown &= !std::mem::replace(&mut typed, true);
                    put_key(out, begin, key);
                    out.extend_from_slice(scanner.value()?);
                    Ok(())
                }
                b"datasetId" => {
                    let raw = scanner.value()?;
                    shown &= dataset.replace(plain_text(raw)?).is_none() && raw.first() == Some(&b'"');
                    put_key(out, begin, key);
                    out.extend_from_slice(raw);
                    Ok(())
                }
                name if name.first() == Some(&b'@') => {
                    fault("member_not_admitted", "the answer has a JSON-LD keyword inside an attribute")
                }
                name => {
                    if let Some((_, fits, treatment, temporal)) = VALUES.iter().find(|(member, ..)| *member == name) {
                        if !kind_fits(kind, fits) || *temporal && !self.temporal {
                            return scanner.value().map(|_| ());
                        }
                        // Two values: whoever reads the rest may take the other one.
                        shown &= !std::mem::replace(&mut held, true);
                        put_key(out, begin, key);
                        let place = kind == Some(b"GeoProperty");
                        shown &= self.held(scanner, out, rule, *treatment, *temporal, place)?;
                        return Ok(());
                    }
                    if let Some(member) = Member::named(name) {
                        let raw = scanner.value()?;
                        if member == Member::Lang {
                            language = Some(plain_text(raw)?);
                        }
                        // Anything but a text would be a sub-attribute of this name.
                        if self.filter.shows(member) && raw.first() == Some(&b'"') {
                            put_key(out, begin, key);
                            out.extend_from_slice(raw);
                        }
                        return Ok(());
                    }
                    self.sub_attribute(scanner, out, begin, key, name, rule)
                }
            }
        })?;
        out.push(b'}');
        let dataset = dataset.unwrap_or_else(|| b"@none".to_vec());
        let spoken = language.is_none_or(|tag| rule.admits_language(&tag));
        Ok(shown && held && spoken && rule.admits_dataset(&dataset))
    }

    fn sub_attribute(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        begin: usize,
        key: Text<'_>,
        name: &[u8],
        rule: &Rule,
    ) -> Scan<()> {
        let admitted = self.names.number(name).is_some_and(|number| rule.sub_attributes.contains(&number));
        if !admitted {
            return scanner.value().map(|_| ());
        }
        let mark = out.len();
        put_key(out, begin, key);
        // An attribute of an attribute has none of its own that pass.
        if !self.attribute(scanner, out, &Rule::default())? {
            out.truncate(mark);
        }
        Ok(())
    }

    /// The member that holds the value.
    fn held(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        rule: &Rule,
        held: Held,
        temporal: bool,
        place: bool,
    ) -> Scan<bool> {
        if held == Held::Languages && rule.languages.is_some() {
            if temporal || scanner.peek()? != b'{' {
                scanner.value()?;
                return Ok(false);
            }
            return self.languages(scanner, out, rule);
        }
        let how = match (held, self.how(rule)) {
            (_, How::Pseudonym) if temporal => How::First(Keyed::Value),
            (_, How::Pseudonym) => How::Pseudonym,
            (Held::Target, _) if self.filter.selection.pseudonymous_ids && temporal => How::First(Keyed::Id),
            (Held::Target, _) if self.filter.selection.pseudonymous_ids => How::Id,
            (Held::Target, _) => How::Same,
            (_, How::Coarse(decimals)) if place => How::Place(decimals, temporal),
            (_, how) => how,
        };
        self.filter.value(scanner, out, how)
    }

    fn languages(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, rule: &Rule) -> Scan<bool> {
        self.chosen(scanner, out, |tag| rule.admits_language(tag), self.how(rule))
    }

    /// `{"dataset": {"@none": 50, "urn:ds": 52}}`.
    fn datasets(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, rule: &Rule) -> Scan<bool> {
        let mut kept = false;
        out.push(b'{');
        scanner.object(|scanner, key| {
            key.write(out);
            out.push(b':');
            kept = self.chosen(scanner, out, |id| rule.admits_dataset(id), self.how(rule))?;
            Ok(())
        })?;
        out.push(b'}');
        Ok(kept)
    }

    /// An object of which some members pass; `false` when none does.
    fn chosen(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        admits: impl Fn(&[u8]) -> bool,
        how: How,
    ) -> Scan<bool> {
        out.push(b'{');
        let begin = out.len();
        let mut shown = true;
        scanner.object(|scanner, key| {
            if !admits(&key.decoded()?) {
                return scanner.value().map(|_| ());
            }
            put_key(out, begin, key);
            shown &= self.filter.value(scanner, out, how)?;
            Ok(())
        })?;
        let kept = out.len() > begin;
        out.push(b'}');
        Ok(shown && kept)
    }
}

/// Whether an array holds an object that names a kind of attribute.
fn holds_kind(mut probe: Scanner<'_>) -> Scan<bool> {
    let mut found = false;
    probe.array(|probe| {
        if probe.peek()? != b'{' {
            return probe.value().map(|_| ());
        }
        probe.object(|probe, key| {
            let raw = probe.value()?;
            if &*key.decoded()? == b"type" && raw.first() == Some(&b'"') {
                let kind = plain_text(raw)?;
                found |= KINDS.contains(&kind.as_slice());
            }
            Ok(())
        })
    })?;
    Ok(found)
}

/// Writes a key, after a comma unless it is the first since `begin`.
#[inline]
pub(crate) fn put_key(out: &mut Vec<u8>, begin: usize, key: Text<'_>) {
    if out.len() > begin {
        out.push(b',');
    }
    key.write(out);
    out.push(b':');
}

/// The meaning of a value that must be a text; anything else means nothing that a rule could admit.
fn plain_text(raw: &[u8]) -> Scan<Vec<u8>> {
    if raw.first() != Some(&b'"') {
        return Ok(Vec::new());
    }
    Ok(Scanner::new(raw).string()?.decoded()?.into_owned())
}

/// Whether an attribute of this kind may hold its value in a member for `fits`.
fn kind_fits(kind: Option<&[u8]>, fits: &[u8]) -> bool {
    match kind {
        None => true,
        Some(b"GeoProperty") => fits == b"Property",
        Some(b"VocabularyProperty") => fits == b"VocabProperty",
        Some(kind) => kind == fits,
    }
}
