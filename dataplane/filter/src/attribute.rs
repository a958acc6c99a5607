//! Attributes in all their shapes (ETSI GS CIM 009, 4.5): which of their instances, sub-attributes and members pass.

use std::collections::BTreeSet;

use policy_plan::{Member, PersonalMode};

use crate::entity::Pass;
use crate::moment::{self, Moments};
use crate::rules::Rule;
use crate::scan::{Scan, Scanner, Text, fault};
use crate::stream::Representation;
use crate::value::How;

/// The kinds of attributes, as a document names them.
pub(crate) const KINDS: [&[u8]; 9] = [
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
pub(crate) enum Kept {
    Plain,
    Target,
    Languages,
}

/// Members that hold a value: name, the kind that may have it, treatment, and whether it is one of a temporal list.
pub(crate) const VALUES: &[(&[u8], &[u8], Kept, bool)] = &[
    (b"value", b"Property", Kept::Plain, false),
    (b"values", b"Property", Kept::Plain, true),
    (b"object", b"Relationship", Kept::Target, false),
    (b"objects", b"Relationship", Kept::Target, true),
    (b"languageMap", b"LanguageProperty", Kept::Languages, false),
    (b"languageMaps", b"LanguageProperty", Kept::Languages, true),
    (b"vocab", b"VocabProperty", Kept::Plain, false),
    (b"vocabs", b"VocabProperty", Kept::Plain, true),
    (b"json", b"JsonProperty", Kept::Plain, false),
    (b"jsons", b"JsonProperty", Kept::Plain, true),
    (b"valueList", b"ListProperty", Kept::Plain, false),
    (b"valueLists", b"ListProperty", Kept::Plain, true),
    (b"objectList", b"ListRelationship", Kept::Target, false),
    (b"objectLists", b"ListRelationship", Kept::Target, true),
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

/// What holds for one attribute of one entity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'c> {
    rule: &'c Rule,
    /// The moments that may be shown; `None` where time says nothing.
    moments: Option<Moments<'c>>,
    /// Instances must say when they were observed. An attribute of an attribute may leave that to its attribute.
    dated: bool,
    /// It is about a person, and its values become pseudonyms.
    veiled: bool,
}

impl Case<'_> {
    /// Whether the attribute must say when it was observed.
    pub(crate) fn is_dated(self) -> bool {
        self.dated
    }
}

impl<'f> Pass<'f> {
    /// What holds for the attribute of a rule; `None` when it does not pass at all.
    pub(crate) fn case(&self, rule: &'f Rule) -> Option<Case<'f>> {
        let veiled = self.veiled(rule.name)?;
        let moments = self.moments.filter(|_| !rule.timeless);
        let dated = moments.is_some_and(|moments| moments.each());
        Some(Case { rule, moments, dated, veiled })
    }

    /// Whether the values of an attribute become pseudonyms because it is personal; `None` when it is removed.
    fn veiled(&self, number: u32) -> Option<bool> {
        if !self.personal.contains(&number) {
            return Some(false);
        }
        let mode = self.filter.selection.personal.as_ref().map(|personal| personal.mode);
        (mode == Some(PersonalMode::Pseudonymise)).then_some(true)
    }

    /// Writes what passes of an attribute's value. `false` when nothing does; what was written is to be removed then.
    pub(crate) fn attribute(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, case: Case<'_>) -> Scan<bool> {
        if scanner.peek()? != b'[' {
            return self.instance(scanner, out, case);
        }
        if self.representation == Representation::Simplified
            && !case.rule.veils()
            && !case.dated
            && self.how(case) == How::Same
        {
            let probe = *scanner;
            if !holds_kind(probe)? {
                return self.filter.value(scanner, out, How::Same);
            }
        }
        let hidden = match case.moments {
            Some(moments) => hidden(&moments, *scanner)?,
            None => Vec::new(),
        };
        let begin = out.len();
        out.push(b'[');
        let (mut kept, mut place) = (0_usize, 0_usize);
        scanner.array(|scanner| {
            let passed_by = hidden.get(place).is_some_and(|hidden| *hidden);
            place += 1;
            if passed_by {
                return scanner.value().map(|_| ());
            }
            let mark = out.len();
            if kept > 0 {
                out.push(b',');
            }
            if self.instance(scanner, out, case)? {
                kept += 1;
            } else {
                out.truncate(mark);
            }
            Ok(())
        })?;
        out.push(b']');
        let seen = place > 0;
        if seen && kept == 0 {
            out.truncate(begin);
        }
        Ok(kept > 0 || !seen && !case.dated)
    }

    /// One instance, or a bare value.
    fn instance(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, case: Case<'_>) -> Scan<bool> {
        let form = if scanner.peek()? == b'{' { self.form(*scanner)? } else { Form::Bare };
        match form {
            Form::Instance(kind) => self.members(scanner, out, case, kind),
            // Nobody knows when these were observed.
            Form::Datasets | Form::Bare if case.dated => {
                scanner.value()?;
                Ok(false)
            }
            Form::Datasets => self.datasets(scanner, out, case),
            // A normalized answer has no bare values: this is something that we do not know.
            Form::Bare if self.representation == Representation::Normalized => {
                scanner.value()?;
                Ok(false)
            }
            Form::Bare if !case.rule.admits_dataset(b"@none") => {
                scanner.value()?;
                Ok(false)
            }
            Form::Bare => self.filter.value(scanner, out, self.how(case)),
        }
    }

    fn how(&self, case: Case<'_>) -> How {
        if case.rule.pseudonym || case.veiled {
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
                // In simplified form only these keep their names, and other members are data. Where persons matter, an
                // answer that was not simplified must not pass for one.
                Some((member, ..)) if simplified && self.filter.selection.personal.is_none() => {
                    matches!(*member, b"languageMap" | b"vocab" | b"json")
                }
                Some(_) => true,
            };
            datasets |= &*name == b"dataset" && probe.peek()? == b'{';
            probe.value().map(|_| ())
        })?;
        Ok(match kind {
            Some(kind) => Form::Instance(Some(kind)),
            None if simplified && datasets && members == 1 => Form::Datasets,
            None if holds && (!simplified || members == 1 || self.filter.selection.personal.is_some()) => {
                Form::Instance(None)
            }
            None => Form::Bare,
        })
    }

    /// An instance with members.
    fn members(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, case: Case<'_>, kind: Option<&[u8]>) -> Scan<bool> {
        out.push(b'{');
        let begin = out.len();
        let (mut typed, mut held, mut shown, mut dated) = (false, false, true, !case.dated);
        let (mut dataset, mut language, mut observed) = (None, None, false);
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
                        shown &= self.held(scanner, out, case, *treatment, *temporal, place)?;
                        // Each of a list has its own moment.
                        dated |= *temporal;
                        return Ok(());
                    }
                    if let Some(member) = Member::named(name) {
                        let raw = scanner.value()?;
                        if member == Member::Lang {
                            language = Some(plain_text(raw)?);
                        }
                        if let (Member::ObservedAt, Some(moments)) = (member, case.moments) {
                            let fits = moments.shown(&plain_text(raw)?).is_some();
                            // Said twice: either may be meant.
                            shown &= fits && !std::mem::replace(&mut observed, true);
                            dated = true;
                        }
                        // Anything but a text would be a sub-attribute of this name.
                        if self.filter.shows(member) && raw.first() == Some(&b'"') {
                            put_moment(out, begin, key, member, raw, case.moments)?;
                        }
                        return Ok(());
                    }
                    self.sub_attribute(scanner, out, begin, key, name, case)
                }
            }
        })?;
        out.push(b'}');
        let named = dataset.is_some() && case.veiled && case.rule.dataset_ids.is_none();
        let dataset = dataset.unwrap_or_else(|| b"@none".to_vec());
        let spoken = language.is_none_or(|tag| case.rule.admits_language(&tag));
        Ok(shown && held && dated && spoken && !named && case.rule.admits_dataset(&dataset))
    }

    fn sub_attribute(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        begin: usize,
        key: Text<'_>,
        name: &[u8],
        case: Case<'_>,
    ) -> Scan<()> {
        let number = self.names.number(name).filter(|number| case.rule.sub_attributes.contains(number));
        let veiled = number.and_then(|number| self.veiled(number)).filter(|_| !case.veiled);
        let Some(veiled) = veiled else { return scanner.value().map(|_| ()) };
        let mark = out.len();
        put_key(out, begin, key);
        // An attribute of an attribute has none of its own that pass.
        let inner = Case { rule: &Rule::default(), moments: case.moments, dated: false, veiled };
        if !self.attribute(scanner, out, inner)? {
            out.truncate(mark);
        }
        Ok(())
    }

    /// The member that holds the value.
    fn held(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        case: Case<'_>,
        kept: Kept,
        temporal: bool,
        place: bool,
    ) -> Scan<bool> {
        if kept == Kept::Languages && case.rule.languages.is_some() {
            if temporal || scanner.peek()? != b'{' {
                scanner.value()?;
                return Ok(false);
            }
            return self.languages(scanner, out, case);
        }
        let how = match (kept, self.how(case)) {
            // Links between pseudonyms still fit.
            (Kept::Target, How::Pseudonym) if case.veiled && !case.rule.pseudonym => How::Id,
            (_, How::Pseudonym) => How::Pseudonym,
            (Kept::Target, _) if self.filter.selection.pseudonymous_ids => How::Id,
            (Kept::Target, _) => How::Same,
            (_, How::Coarse(decimals)) if place => How::Place(decimals),
            (_, how) => how,
        };
        if temporal && (how != How::Same || case.moments.is_some()) {
            return self.series(scanner, out, how, case.moments);
        }
        self.filter.value(scanner, out, how)
    }

    /// A list of pairs of a value and its time.
    fn series(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        how: How,
        moments: Option<Moments<'_>>,
    ) -> Scan<bool> {
        let Some(pairs) = moment::pairs(*scanner)? else {
            scanner.value()?;
            return Ok(false);
        };
        let chosen = moments.map(|moments| moments.chosen(&pairs));
        let (mut place, mut shown) = (0_usize, true);
        out.push(b'[');
        let begin = out.len();
        scanner.array(|scanner| {
            let pair = place;
            place += 1;
            if chosen.as_ref().is_some_and(|chosen| chosen.get(pair) != Some(&true)) {
                return scanner.value().map(|_| ());
            }
            if out.len() > begin {
                out.push(b',');
            }
            out.push(b'[');
            let mut second = false;
            scanner.array(|scanner| {
                if !std::mem::replace(&mut second, true) {
                    shown &= self.filter.value(scanner, out, how)?;
                    return Ok(());
                }
                out.push(b',');
                let raw = scanner.value()?;
                match (moments, pairs.get(pair)) {
                    (Some(moments), Some((_, Some(ms)))) => moments.write(*ms, raw, out),
                    _ => out.extend_from_slice(raw),
                }
                Ok(())
            })?;
            out.push(b']');
            Ok(())
        })?;
        let kept = out.len() > begin;
        out.push(b']');
        Ok(shown && (kept || moments.is_none()))
    }

    fn languages(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, case: Case<'_>) -> Scan<bool> {
        self.chosen(scanner, out, |tag| case.rule.admits_language(tag), self.how(case))
    }

    /// `{"dataset": {"@none": 50, "urn:ds": 52}}`.
    fn datasets(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, case: Case<'_>) -> Scan<bool> {
        let mut kept = false;
        out.push(b'{');
        scanner.object(|scanner, key| {
            key.write(out);
            out.push(b':');
            let unnamed = case.veiled && case.rule.dataset_ids.is_none();
            let admits = |id: &[u8]| case.rule.admits_dataset(id) && (!unnamed || id == b"@none");
            kept = self.chosen(scanner, out, admits, self.how(case))?;
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

/// Which instances of an array stand back: those that another one of their period stands for.
fn hidden(moments: &Moments<'_>, array: Scanner<'_>) -> Scan<Vec<bool>> {
    if !moments.is_coarse() {
        return Ok(Vec::new());
    }
    let instances = moment::instances(array)?;
    let chosen = moments.chosen(&instances);
    let mut undated = BTreeSet::new();
    let dated = instances.iter().zip(chosen);
    Ok(dated.map(|((series, ms), chosen)| if ms.is_some() { !chosen } else { !undated.insert(series) }).collect())
}

/// Writes a member that is no value. One that is a time is shown as exactly as the time of a value, and not at all outside of
/// what is shown.
pub(crate) fn put_moment(
    out: &mut Vec<u8>,
    begin: usize,
    key: Text<'_>,
    member: Member,
    raw: &[u8],
    moments: Option<Moments<'_>>,
) -> Scan<()> {
    let time = matches!(
        member,
        Member::ObservedAt | Member::CreatedAt | Member::ModifiedAt | Member::DeletedAt | Member::ExpiresAt
    );
    let Some(moments) = moments.filter(|_| time) else {
        put_key(out, begin, key);
        out.extend_from_slice(raw);
        return Ok(());
    };
    let text = plain_text(raw)?;
    let ms = if member == Member::ExpiresAt { moment::moment(&text) } else { moments.shown(&text) };
    if let Some(ms) = ms {
        put_key(out, begin, key);
        moments.write(ms, raw, out);
    }
    Ok(())
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
pub(crate) fn kind_fits(kind: Option<&[u8]>, fits: &[u8]) -> bool {
    match kind {
        None => true,
        Some(b"GeoProperty") => fits == b"Property",
        Some(b"VocabularyProperty") => fits == b"VocabProperty",
        Some(kind) => kind == fits,
    }
}
