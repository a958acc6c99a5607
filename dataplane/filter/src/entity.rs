//! One entity, or one GeoJSON feature, in memory.

use std::ops::Range;

use policy_plan::Member;

use crate::attribute::{put_key, put_moment};
use crate::moment::Moments;
use crate::names::Names;
use crate::rules::Filter;
use crate::scan::{Scan, Scanner, Text, fault};
use crate::stream::Representation;
use crate::value::{How, put_text};

/// What holds while one answer passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'f> {
    pub(crate) filter: &'f Filter,
    pub(crate) names: &'f Names,
    pub(crate) representation: Representation,
    /// Attributes are lists of instances.
    pub(crate) temporal: bool,
    /// The `geometry` of a feature is that of an attribute that passes whole.
    pub(crate) geometry: bool,
    /// The moments that may be shown, where the selection says which.
    pub(crate) moments: Option<Moments<'f>>,
    /// The attributes that are personal in an entity like this one.
    pub(crate) personal: &'f [u32],
}

/// What was found in an entity.
#[derive(Debug, Default)]
pub(crate) struct Found {
    id: Option<bool>,
    kind: Option<bool>,
    /// Where the `@context` stands.
    pub(crate) context: Option<Range<usize>>,
    /// Where attributes stand that conditions speak of.
    pub(crate) watched: Vec<(u32, Range<usize>)>,
    /// Its types, where the selection says what is personal.
    pub(crate) kinds: Vec<u32>,
    /// It has a type of which nobody said what is personal.
    unmarked: bool,
    /// Attributes that passed and have a moment.
    dated: Vec<u32>,
}

impl Found {
    /// Whether the entity is shown, as far as its conditions are not asked. One without id or type is not, and where
    /// moments matter, neither is one that has none that are shown.
    pub(crate) fn admitted(&self, pass: &Pass<'_>) -> bool {
        self.id == Some(true)
            && self.kind == Some(true)
            && !self.unmarked
            && (pass.moments.is_none_or(|moments| !moments.each()) || !self.dated.is_empty())
    }

    fn denied(&self) -> bool {
        self.id == Some(false) || self.kind == Some(false) || self.unmarked
    }
}

impl<'f> Pass<'f> {
    /// Writes what passes of an entity. What was written is to be removed unless the entity is admitted.
    pub(crate) fn entity(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Scan<Found> {
        let mut found = Found::default();
        self.body(scanner, out, &mut found, true)?;
        Ok(found)
    }

    /// The same of a GeoJSON feature (ETSI GS CIM 009, 4.5.16).
    pub(crate) fn feature(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Scan<Found> {
        let mut found = Found::default();
        let (mut kind, mut properties) = (false, false);
        out.push(b'{');
        let begin = out.len();
        scanner.object(|scanner, key| {
            let name = key.decoded()?;
            match &*name {
                b"type" => {
                    if scanner.value()? != b"\"Feature\"" || std::mem::replace(&mut kind, true) {
                        return fault("answer_not_understood", "the answer holds something that is no feature");
                    }
                    put_key(out, begin, key);
                    out.extend_from_slice(b"\"Feature\"");
                }
                b"id" | b"@id" => self.id(scanner, out, begin, key, &mut found)?,
                b"@context" => self.context(scanner, out, begin, key, &mut found)?,
                b"properties" => {
                    if std::mem::replace(&mut properties, true) {
                        return fault("answer_ambiguous", "the answer says something twice that can be said once");
                    }
                    put_key(out, begin, key);
                    self.body(scanner, out, &mut found, false)?;
                }
                b"geometry" => {
                    put_key(out, begin, key);
                    if self.geometry && scanner.peek()? == b'{' {
                        let how = self.filter.selection.coordinate_decimals.map_or(How::Same, How::Coarse);
                        self.filter.value(scanner, out, how)?;
                    } else {
                        scanner.value()?;
                        out.extend_from_slice(b"null");
                    }
                }
                // `bbox` and whatever else: recomputing is not ours, and it would show the exact place.
                _ => {
                    scanner.value()?;
                }
            }
            Ok(())
        })?;
        out.push(b'}');
        if !kind {
            return fault("answer_not_understood", "the answer holds something that is no feature");
        }
        Ok(found)
    }

    /// An entity's members; those of a feature's `properties` when it is not `whole`.
    fn body(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, found: &mut Found, whole: bool) -> Scan<()> {
        out.push(b'{');
        let begin = out.len();
        scanner.object(|scanner, key| {
            let name = key.decoded()?;
            match &*name {
                b"id" | b"@id" if whole => self.id(scanner, out, begin, key, found),
                b"type" | b"@type" => self.types(scanner, out, begin, key, found),
                b"@context" if whole => self.context(scanner, out, begin, key, found),
                name if name.first() == Some(&b'@') => {
                    fault("member_not_admitted", "the answer has a JSON-LD keyword that entities do not have")
                }
                // The rest of what is dropped anyway is only passed over.
                _ if found.denied() => scanner.value().map(|_| ()),
                name => {
                    let number = self.names.number(name);
                    let conditions = self.filter.conditions.as_ref();
                    let watched = number.filter(|number| conditions.is_some_and(|c| c.watched.contains(number)));
                    let from = scanner.at();
                    self.member(scanner, out, begin, key, name, number, found)?;
                    found.watched.extend(watched.map(|number| (number, from..scanner.at())));
                    Ok(())
                }
            }
        })?;
        out.push(b'}');
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one walk over an entity")]
    fn member(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        begin: usize,
        key: Text<'_>,
        name: &[u8],
        number: Option<u32>,
        found: &mut Found,
    ) -> Scan<()> {
        let own = matches!(name, b"scope" | b"createdAt" | b"modifiedAt" | b"deletedAt" | b"expiresAt");
        if let Some(member) = Member::named(name).filter(|_| own) {
            let raw = scanner.value()?;
            // A scope may be a list, and in temporal answers a list of instances; times are texts.
            let scope = member == Member::Scope && (self.moments.is_none() || !raw.contains(&b'{'));
            if self.filter.shows(member) && (scope || raw.first() == Some(&b'"')) {
                put_moment(out, begin, key, member, raw, self.moments)?;
            }
            return Ok(());
        }
        let case = number.and_then(|number| self.filter.attribute(number)).and_then(|rule| self.case(rule));
        let (Some(case), Some(number)) = (case, number) else { return scanner.value().map(|_| ()) };
        if case.is_dated() && found.dated.contains(&number) {
            // Said twice, so that a period could show two values.
            return scanner.value().map(|_| ());
        }
        let mark = out.len();
        put_key(out, begin, key);
        if !self.attribute(scanner, out, case)? {
            out.truncate(mark);
        } else if case.is_dated() {
            found.dated.push(number);
        }
        Ok(())
    }

    fn id(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        begin: usize,
        key: Text<'_>,
        found: &mut Found,
    ) -> Scan<()> {
        let text = scanner.string()?;
        let id = text.decoded()?;
        if found.id.replace(self.filter.admits_id(&id)).is_some() {
            return fault("answer_ambiguous", "the answer has an entity with two ids");
        }
        put_key(out, begin, key);
        if self.filter.selection.pseudonymous_ids {
            put_text(out, &self.filter.pseudonymous_id(&id));
        } else {
            text.write(out);
        }
        Ok(())
    }

    fn types(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        begin: usize,
        key: Text<'_>,
        found: &mut Found,
    ) -> Scan<()> {
        if found.kind.is_some() {
            return fault("answer_ambiguous", "the answer has an entity whose type is said twice");
        }
        put_key(out, begin, key);
        let marking = self.filter.selection.personal.is_some();
        let mut admits = |text: Text<'_>| -> Scan<bool> {
            let number = self.names.number(&text.decoded()?);
            if marking {
                match number.filter(|number| self.filter.is_marked(*number)) {
                    Some(number) => found.kinds.push(number),
                    None => found.unmarked = true,
                }
            }
            Ok(number.is_some_and(|number| self.filter.is_type(number)))
        };
        if scanner.peek()? == b'"' {
            let text = scanner.string()?;
            let admitted = admits(text)?;
            found.kind = Some(admitted);
            text.write(out);
            return Ok(());
        }
        out.push(b'[');
        let inner = out.len();
        scanner.array(|scanner| {
            let text = scanner.string()?;
            if admits(text)? {
                if out.len() > inner {
                    out.push(b',');
                }
                text.write(out);
            }
            Ok(())
        })?;
        found.kind = Some(out.len() > inner);
        out.push(b']');
        Ok(())
    }

    fn context(
        &self,
        scanner: &mut Scanner<'_>,
        out: &mut Vec<u8>,
        begin: usize,
        key: Text<'_>,
        found: &mut Found,
    ) -> Scan<()> {
        let raw = scanner.value()?;
        let end = scanner.at();
        if found.context.replace(end - raw.len()..end).is_some() {
            return fault("answer_ambiguous", "the answer has an entity with two contexts");
        }
        put_key(out, begin, key);
        out.extend_from_slice(raw);
        Ok(())
    }
}
