//! An answer as a stream: chunks of any size in, bytes out.

use std::sync::Arc;

use policy_plan::Stretch;

use crate::Fault;
use crate::condition::Watched;
use crate::entity::{Found, Pass};
use crate::names::{Names, addresses};
use crate::rules::Filter;
use crate::scan::{Halt, Scan, Scanner, fault};
use crate::table::{Reading, Table};

/// Longest member of a collection that is no entity, in bytes.
const MAX_MEMBER_BYTES: usize = 64 * 1024;

/// How attributes are written (ETSI GS CIM 009, 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// With the kind of each attribute. Anything else is removed.
    Normalized,
    /// Short, without loss.
    Concise,
    /// Values only; also called `keyValues`.
    Simplified,
}

/// What an answer's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One entity.
    Entity,
    /// An array of entities.
    Entities,
    /// A GeoJSON feature.
    Feature,
    /// A GeoJSON feature collection.
    Features,
    /// Entities one after the other, as NDJSON has them.
    Lines,
    /// A table: an entity in each row, its id, type and attributes in columns.
    Csv,
}

/// What is known of an answer before its body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// How attributes are written.
    pub representation: Representation,
    /// What the body is.
    pub shape: Shape,
    /// Attributes are lists of instances.
    pub temporal: bool,
    /// Whether the `geometry` of features may be shown.
    pub geometry: bool,
    /// The context that the `Link` header names.
    pub context: Option<String>,
    /// The moments that were asked for; what else comes is not shown where the selection says which moments are.
    pub asked: Stretch,
}

/// How many entities came and passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Entities of the source.
    pub seen: u64,
    /// Entities that were written.
    pub shown: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before everything.
    Start,
    /// Where an item or the end of the array may come; `true` after an item.
    Item(bool),
    /// After a comma, where an item must come.
    Next,
    /// Between the members of a collection; `true` after a member.
    Member(bool),
    /// After everything.
    End,
}

/// The state of one answer.
#[derive(Debug)]
pub struct Stream {
    filter: Arc<Filter>,
    answer: Answer,
    /// The names under the context in force.
    names: Option<Arc<Names>>,
    /// The body's `@context` that these names come from; `None` when they come from a header.
    read_from: Option<Vec<u8>>,
    place: Place,
    /// Bytes that wait for the rest of their entity.
    held: Vec<u8>,
    /// How far `held` was looked at for the entity's end, and what was found.
    end: Boundary,
    /// Whether the collection's features were seen, and under which names.
    features: Option<Arc<Names>>,
    kind_seen: bool,
    summary: Summary,
    /// The moments that are shown.
    stretch: Stretch,
    /// The types of the entity before, and what is personal in such a one.
    kinds: Vec<u32>,
    personal: Vec<u32>,
    table: Table,
}

/// Looks for the end of an object without reading it again for each chunk.
#[derive(Debug, Default, Clone, Copy)]
struct Boundary {
    looked: usize,
    depth: usize,
    text: bool,
    escape: bool,
    /// Before this many bytes there is nothing to be tried.
    wait: usize,
}

impl Boundary {
    /// Whether the object that `bytes` begins with may be complete.
    fn reached(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes.get(self.looked..).unwrap_or_default() {
            self.looked += 1;
            match byte {
                _ if self.escape => self.escape = false,
                b'\\' if self.text => self.escape = true,
                b'"' => self.text = !self.text,
                _ if self.text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }
}

impl Stream {
    /// Begins an answer at this moment, in milliseconds since the epoch.
    ///
    /// # Errors
    /// `context_unknown` when the header's context is not one that the selection lists.
    pub fn new(filter: &Arc<Filter>, answer: Answer, now_ms: i64) -> Result<Self, Fault> {
        let names = filter.declared(answer.context.as_deref())?;
        if answer.shape == Shape::Csv && !filter.csv_reads() {
            let message = "rows of CSV cannot be judged by the agreement's rules".to_owned();
            return Err(Fault { code: "csv_not_understood", message });
        }
        let stretch = filter.stretch(answer.asked, now_ms);
        Ok(Self {
            filter: Arc::clone(filter),
            names,
            read_from: None,
            answer,
            place: Place::Start,
            held: Vec::new(),
            end: Boundary::default(),
            features: None,
            kind_seen: false,
            summary: Summary::default(),
            stretch,
            kinds: Vec::new(),
            personal: Vec::new(),
            table: Table::new(),
        })
    }

    /// Takes a chunk and appends what passes to `out`. After an error the stream is over.
    ///
    /// # Errors
    /// What makes the rest unreadable.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.answer.shape == Shape::Csv {
            return if chunk.is_empty() { Ok(()) } else { self.rows(chunk, out) };
        }
        let mut held = std::mem::take(&mut self.held);
        let used = if held.is_empty() {
            let used = self.run(chunk, out)?;
            held.extend_from_slice(chunk.get(used..).unwrap_or_default());
            0
        } else {
            held.extend_from_slice(chunk);
            if self.worth_trying(&held)? { self.run(&held, out)? } else { 0 }
        };
        if used > 0 {
            held.drain(..used);
        }
        self.held = held;
        Ok(())
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// `answer_broken_off` when the body is not whole.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<Summary, Fault> {
        if self.answer.shape == Shape::Csv {
            self.rows(&[], out)?;
            return Ok(self.summary);
        }
        let mut held = std::mem::take(&mut self.held);
        // A space ends what only its successor ends.
        held.push(b' ');
        let used = self.run(&held, out)?;
        let rest = held.get(used..).unwrap_or_default();
        let ended = self.place == Place::End || (self.answer.shape == Shape::Lines && self.place == Place::Start);
        if ended && rest.iter().all(|byte| is_space(*byte)) {
            return Ok(self.summary);
        }
        Err(Fault { code: "answer_broken_off", message: "the answer ends before it is whole".to_owned() })
    }

    /// Bytes of a table; none at its end.
    fn rows(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(names) = &self.names else {
            let message = "a table names no context; the dataset may say which one to assume".to_owned();
            return Err(Fault { code: "context_missing", message });
        };
        let moments = self.filter.moments(self.stretch);
        let reading = Reading { filter: &self.filter, names, moments };
        self.table.push(reading, bytes, &mut self.summary, out)
    }

    /// What came and passed up to now.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Whether the bytes that wait can be more than they were at the last try.
    fn worth_trying(&mut self, held: &[u8]) -> Result<bool, Fault> {
        let in_entity = !matches!(self.place, Place::Member(_));
        if in_entity {
            let complete = self.end.reached(held);
            let longest = usize::try_from(self.filter.selection.max_entity_bytes).unwrap_or(usize::MAX);
            if !complete && held.len() > longest {
                return Err(too_large(longest));
            }
            return Ok(complete);
        }
        if held.len() < self.end.wait {
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes what is complete; gives the number of bytes that were taken.
    fn run(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let spaces = rest.iter().position(|byte| !is_space(*byte)).unwrap_or(rest.len());
            used += spaces;
            let rest = rest.get(spaces..).unwrap_or_default();
            if rest.is_empty() {
                self.end = Boundary::default();
                return Ok(used);
            }
            let mark = out.len();
            let before = self.place;
            match self.step(rest, out) {
                Ok(taken) => used += taken,
                Err(Halt::Fault(fault)) => return Err(*fault),
                Err(Halt::Incomplete) => {
                    out.truncate(mark);
                    self.place = before;
                    self.end = Boundary { wait: rest.len() * 2, ..Boundary::default() };
                    self.waiting(rest)?;
                    return Ok(used);
                }
            }
        }
    }

    /// Something is not complete: it must be what can grow, and not be too long already.
    fn waiting(&mut self, rest: &[u8]) -> Result<(), Fault> {
        let longest = match self.place {
            Place::Member(_) => MAX_MEMBER_BYTES,
            _ => usize::try_from(self.filter.selection.max_entity_bytes).unwrap_or(usize::MAX),
        };
        if rest.len() > longest {
            return Err(too_large(longest));
        }
        self.end.reached(rest);
        Ok(())
    }

    /// One step from a byte that is no white space: an item, a member, a bracket.
    fn step(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Scan<usize> {
        let mut scanner = Scanner::new(rest);
        match (self.place, self.answer.shape) {
            (Place::Start, Shape::Entities) => {
                if scanner.next()? != b'[' {
                    return fault("answer_not_understood", "the answer is not an array of entities");
                }
                out.push(b'[');
                self.place = Place::Item(false);
            }
            (Place::Start, Shape::Entity | Shape::Feature) => {
                self.item(&mut scanner, rest, out, false)?;
                self.place = Place::End;
            }
            (Place::Start, Shape::Lines) => {
                if self.item(&mut scanner, rest, out, false)? {
                    out.push(b'\n');
                }
            }
            (Place::Start, Shape::Features) => {
                scanner.expect(b'{')?;
                out.push(b'{');
                self.place = Place::Member(false);
            }
            (Place::Item(after), _) => match scanner.peek()? {
                b']' => {
                    scanner.next()?;
                    out.push(b']');
                    self.place = if self.answer.shape == Shape::Features { Place::Member(true) } else { Place::End };
                }
                b',' if after => {
                    scanner.next()?;
                    self.place = Place::Next;
                }
                b'{' if !after => {
                    self.item(&mut scanner, rest, out, false)?;
                    self.place = Place::Item(true);
                }
                _ => return fault("answer_not_understood", "the answer is not an array of entities"),
            },
            (Place::Next, _) => {
                // The comma is written with the entity, when that passes.
                let comma = self.summary.shown > 0;
                self.item(&mut scanner, rest, out, comma)?;
                self.place = Place::Item(true);
            }
            (Place::Member(after), _) => self.collection(&mut scanner, out, after)?,
            (Place::End, _) | (_, Shape::Csv) => {
                return fault("answer_not_understood", "something follows the end of the answer");
            }
        }
        Ok(scanner.at())
    }

    /// One entity or feature. `true` when it passed.
    fn item(&mut self, scanner: &mut Scanner<'_>, bytes: &[u8], out: &mut Vec<u8>, comma: bool) -> Scan<bool> {
        if scanner.peek()? != b'{' {
            return fault("answer_not_understood", "the answer holds something that is no entity");
        }
        let start = *scanner;
        let mark = out.len();
        if comma {
            out.push(b',');
        }
        let inner = out.len();
        // Without a context yet, the first listed one is tried; what is found is read again when it says otherwise.
        let mut names = match &self.names {
            Some(names) => Arc::clone(names),
            None => self.guess()?,
        };
        let mut found = self.pass(scanner, out, &names)?;
        let end = scanner.at();
        let whole = bytes.get(start.at()..end).unwrap_or_default();
        let longest = usize::try_from(self.filter.selection.max_entity_bytes).unwrap_or(usize::MAX);
        if whole.len() > longest {
            return Err(Halt::Fault(Box::new(too_large(longest))));
        }
        if std::str::from_utf8(whole).is_err() {
            return fault("answer_not_json", "the answer is not JSON: it is not UTF-8");
        }
        if self.answer.shape == Shape::Features {
            // The collection's context has to come before, and it is that of all.
            if let Some(range) = found.context.clone()
                && !Arc::ptr_eq(&self.filter.names(&addresses(bytes.get(range).unwrap_or_default())?)?, &names)
            {
                return fault("context_late", "a feature has another context than the collection");
            }
        } else if self.settle(bytes, &found)? {
            let Some(right) = self.names.clone() else {
                return fault("context_missing", "the answer names no context");
            };
            if !Arc::ptr_eq(&right, &names) {
                names = right;
                out.truncate(inner);
                *scanner = start;
                found = self.pass(scanner, out, &names)?;
            }
        }
        if self.names.is_none() {
            return fault(
                "context_missing",
                "the answer names no context, so its names cannot be understood; the dataset may say which one to assume",
            );
        }
        if self.filter.selection.personal.is_some() && found.kinds != self.kinds {
            self.personal = self.filter.personal(&found.kinds);
            self.kinds = std::mem::take(&mut found.kinds);
            out.truncate(inner);
            *scanner = start;
            found = self.pass(scanner, out, &names)?;
        }
        self.summary.seen += 1;
        if found.admitted(&self.pass_over(&names)) && self.meets(&found, bytes, &names) {
            self.summary.shown += 1;
            return Ok(true);
        }
        out.truncate(mark);
        Ok(false)
    }

    fn guess(&self) -> Scan<Arc<Names>> {
        let first = self.filter.selection.contexts.first().map(|context| context.url.clone());
        self.filter.names(first.as_slice())
    }

    /// Whether the entity meets the selection's conditions.
    fn meets(&self, found: &Found, bytes: &[u8], names: &Names) -> bool {
        let Some(conditions) = &self.filter.conditions else { return true };
        let mut attributes = Vec::with_capacity(found.watched.len());
        for (number, range) in &found.watched {
            let raw = bytes.get(range.clone()).unwrap_or_default();
            // A key that stands twice could be read in two ways.
            if !Scanner::new(raw).has_single_keys() {
                return false;
            }
            let Ok(value) = serde_json::from_slice(raw) else { return false };
            attributes.push((*number, value));
        }
        let representation = self.answer.representation;
        let moments = self.filter.moments(self.stretch);
        conditions.met(&Watched { attributes, complete: true, names, representation }, moments.as_ref())
    }

    fn pass_over<'p>(&'p self, names: &'p Names) -> Pass<'p> {
        Pass {
            filter: &self.filter,
            names,
            representation: self.answer.representation,
            temporal: self.answer.temporal,
            geometry: self.answer.geometry,
            moments: self.filter.moments(self.stretch),
            personal: &self.personal,
        }
    }

    fn pass(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, names: &Names) -> Scan<Found> {
        let pass = self.pass_over(names);
        match self.answer.shape {
            Shape::Feature | Shape::Features => pass.feature(scanner, out),
            _ => pass.entity(scanner, out),
        }
    }

    /// Takes over the names of an entity's own context. `true` when there is one, or one is lacking.
    fn settle(&mut self, bytes: &[u8], found: &Found) -> Scan<bool> {
        let Some(range) = found.context.clone() else {
            if self.read_from.is_some() {
                // The entity before had a context of its own; this one has what the header says.
                self.read_from = None;
                let declared = self.filter.declared(self.answer.context.as_deref());
                self.names = declared.map_err(|fault| Halt::Fault(Box::new(fault)))?;
                return Ok(true);
            }
            return Ok(false);
        };
        let raw = bytes.get(range).unwrap_or_default();
        if self.read_from.as_deref() != Some(raw) {
            self.names = Some(self.filter.names(&addresses(raw)?)?);
            self.read_from = Some(raw.to_vec());
        }
        Ok(true)
    }

    /// One member of a feature collection, its end, or the beginning of its features.
    fn collection(&mut self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, after: bool) -> Scan<()> {
        let ends = scanner.peek()? == b'}';
        if ends {
            scanner.next()?;
            if !self.kind_seen || self.features.is_none() {
                return fault("answer_not_understood", "the answer is no feature collection");
            }
            out.push(b'}');
            self.place = Place::End;
            return Ok(());
        }
        if after {
            scanner.expect(b',')?;
        }
        let key = scanner.string()?;
        scanner.expect(b':')?;
        let name = key.decoded()?;
        let comma = out_comma(self.kind_seen || self.features.is_some() || self.read_from.is_some());
        match &*name {
            b"type" => {
                if scanner.value()? != b"\"FeatureCollection\"" || self.kind_seen {
                    return fault("answer_not_understood", "the answer is no feature collection");
                }
                out.extend_from_slice(comma);
                out.extend_from_slice(b"\"type\":\"FeatureCollection\"");
                self.kind_seen = true;
            }
            b"features" => {
                if scanner.next()? != b'[' || self.features.is_some() {
                    return fault("answer_not_understood", "the answer is no feature collection");
                }
                let Some(names) = self.names.clone() else {
                    return fault("context_missing", "the features come before the context that explains them");
                };
                self.features = Some(names);
                out.extend_from_slice(comma);
                out.extend_from_slice(b"\"features\":[");
                self.place = Place::Item(false);
                return Ok(());
            }
            b"@context" => {
                let raw = scanner.value()?;
                let names = self.filter.names(&addresses(raw)?)?;
                if self.read_from.is_some() || self.features.as_ref().is_some_and(|used| !Arc::ptr_eq(used, &names)) {
                    return fault("context_late", "the context contradicts the one that the features were read with");
                }
                out.extend_from_slice(comma);
                key.write(out);
                out.push(b':');
                out.extend_from_slice(raw);
                self.names = Some(names);
                self.read_from = Some(raw.to_vec());
            }
            _ => {
                scanner.value()?;
            }
        }
        self.place = Place::Member(true);
        Ok(())
    }
}

fn out_comma(needed: bool) -> &'static [u8] {
    if needed { b"," } else { b"" }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn too_large(limit: usize) -> Fault {
    Fault { code: "entity_too_large", message: format!("the answer holds an entity of more than {limit} bytes") }
}
