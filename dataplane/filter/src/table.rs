//! CSV answers: a table with an entity in each row, its id, type and attributes in columns (RFC 4180).
//!
//! One row is in memory. What passes is written anew, each cell with quotes where it needs them.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use policy_plan::{Member, PersonalMode};
use serde_json::Value;

use crate::Fault;
use crate::condition::{Watched, is_instance};
use crate::moment::Moments;
use crate::names::Names;
use crate::rules::{Filter, Rule};
use crate::scan::Scanner;
use crate::stream::{Representation, Summary};
use crate::value::How;

/// Longest header in bytes.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// What may stand between cells.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// Attributes that hold places (ETSI GS CIM 009, 4.7).
const PLACES: [&str; 3] = [
    "https://uri.etsi.org/ngsi-ld/location",
    "https://uri.etsi.org/ngsi-ld/observationSpace",
    "https://uri.etsi.org/ngsi-ld/operationSpace",
];
/// Beginnings of places in well-known text.
const WELL_KNOWN: [&str; 6] = ["SRID", "POINT", "LINESTRING", "POLYGON", "MULTI", "GEOMETRYCOLLECTION"];

/// The state of one table.
#[derive(Debug)]
pub(crate) struct Table {
    /// The bytes of the header until its line ends.
    header: Vec<u8>,
    rows: Option<Rows>,
}

#[derive(Debug)]
struct Rows {
    reader: Box<Reader>,
    delimiter: u8,
    columns: Vec<Column>,
    record: Vec<u8>,
    ends: Vec<usize>,
    /// How much of `record` and `ends` is filled.
    filled: (usize, usize),
    /// The header has been written.
    begun: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Kind,
    ObservedAt,
    /// An attribute that a rule shows (`true`), or that conditions speak of.
    Attribute(u32, bool),
    /// Nothing that passes.
    Other,
}

/// What holds for all rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'f> {
    pub(crate) filter: &'f Filter,
    pub(crate) names: &'f Names,
    pub(crate) moments: Option<Moments<'f>>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { header: Vec::new(), rows: None }
    }

    /// Takes bytes and appends what passes; no bytes at all end the table.
    pub(crate) fn push(
        &mut self,
        reading: Reading<'_>,
        bytes: &[u8],
        summary: &mut Summary,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if let Some(rows) = &mut self.rows {
            return rows.read(reading, bytes, summary, out);
        }
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        if self.header.len() + end.unwrap_or(bytes.len()) > MAX_HEADER_BYTES {
            return unclear("its header is too long");
        }
        self.header.extend_from_slice(bytes);
        if end.is_none() && !bytes.is_empty() {
            return Ok(());
        }
        let header = std::mem::take(&mut self.header);
        let mut rows = Rows::open(reading, &header)?;
        rows.read(reading, &header, summary, out)?;
        if bytes.is_empty() {
            rows.read(reading, &[], summary, out)?;
        }
        self.rows = Some(rows);
        Ok(())
    }
}

impl Rows {
    /// Finds out from the header what stands between cells, and what the columns are.
    fn open(reading: Reading<'_>, bytes: &[u8]) -> Result<Self, Fault> {
        let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
        let mut fitting = DELIMITERS.into_iter().filter_map(|delimiter| {
            let names = cells(line, delimiter)?;
            let has = |wanted: [&str; 2]| names.iter().any(|name| wanted.contains(&name.as_str()));
            (has(["id", "@id"]) && has(["type", "@type"])).then_some((delimiter, names))
        });
        let (Some((delimiter, names)), None) = (fitting.next(), fitting.next()) else {
            return unclear("its first line does not name the columns `id` and `type`");
        };
        let columns: Vec<Column> = names.iter().map(|name| reading.column(name)).collect();
        for (place, column) in columns.iter().enumerate() {
            let again = columns.iter().skip(place + 1).any(|other| match (column, other) {
                (Column::Attribute(number, _), Column::Attribute(other, _)) => number == other,
                (column, other) => *column != Column::Other && column == other,
            });
            if again {
                return unclear("two columns mean the same");
            }
        }
        if reading.moments.is_some_and(|moments| moments.each()) && !columns.contains(&Column::ObservedAt) {
            return unclear("no column `observedAt` tells when a row was observed");
        }
        Ok(Self {
            reader: Box::new(reader(delimiter)),
            delimiter,
            columns,
            record: vec![0; 1024],
            ends: vec![0; 64],
            filled: (0, 0),
            begun: false,
        })
    }

    fn read(
        &mut self,
        reading: Reading<'_>,
        mut bytes: &[u8],
        summary: &mut Summary,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let longest = usize::try_from(reading.filter.selection.max_entity_bytes).unwrap_or(usize::MAX);
        let last = bytes.is_empty();
        loop {
            let record = self.record.get_mut(self.filled.0..).unwrap_or_default();
            let ends = self.ends.get_mut(self.filled.1..).unwrap_or_default();
            let (result, taken, written, ended) = self.reader.read_record(bytes, record, ends);
            bytes = bytes.get(taken..).unwrap_or_default();
            self.filled = (self.filled.0 + written, self.filled.1 + ended);
            match result {
                ReadRecordResult::InputEmpty if last => {}
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(()),
                ReadRecordResult::OutputFull if self.record.len() > longest => {
                    let message = format!("the answer holds a row of more than {longest} bytes");
                    return Err(Fault { code: "entity_too_large", message });
                }
                ReadRecordResult::OutputFull => self.record.resize(self.record.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() > self.columns.len() => {
                    return unclear("a row has more cells than there are columns");
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.columns.len() + 64, 0),
                ReadRecordResult::Record => {
                    self.row(reading, summary, out)?;
                    self.filled = (0, 0);
                }
            }
        }
    }

    fn row(&mut self, reading: Reading<'_>, summary: &mut Summary, out: &mut Vec<u8>) -> Result<(), Fault> {
        let bytes = self.record.get(..self.filled.0).unwrap_or_default();
        let Ok(text) = std::str::from_utf8(bytes) else { return unclear("it is not UTF-8") };
        let mut from = 0;
        let mut cells = Vec::with_capacity(self.columns.len());
        for end in self.ends.get(..self.filled.1).unwrap_or_default() {
            let Some(cell) = text.get(from..*end) else { return unclear("it is not UTF-8") };
            cells.push(cell);
            from = *end;
        }
        if cells.len() != self.columns.len() {
            return unclear("a row has not as many cells as there are columns");
        }
        if !std::mem::replace(&mut self.begun, true) {
            let shown = self.columns.iter().zip(&cells).filter(|(column, _)| reading.shows(**column));
            write(out, self.delimiter, shown.map(|(_, cell)| (*cell).to_owned()));
            return Ok(());
        }
        summary.seen += 1;
        if let Some(row) = reading.row(&self.columns, &cells) {
            summary.shown += 1;
            write(out, self.delimiter, row.into_iter());
        }
        Ok(())
    }
}

impl Reading<'_> {
    fn column(&self, name: &str) -> Column {
        match name {
            "id" | "@id" => return Column::Id,
            "type" | "@type" => return Column::Kind,
            "observedAt" => return Column::ObservedAt,
            _ => {}
        }
        let Some(number) = self.names.number(name.as_bytes()) else { return Column::Other };
        let watched = self.filter.conditions.as_ref().is_some_and(|conditions| conditions.watched.contains(&number));
        let shown = self.filter.attribute(number).is_some_and(shows) && !self.filter.is_never_shown(number);
        if shown || watched { Column::Attribute(number, shown) } else { Column::Other }
    }

    fn shows(&self, column: Column) -> bool {
        match column {
            Column::Id | Column::Kind => true,
            Column::ObservedAt => self.filter.shows(Member::ObservedAt),
            Column::Attribute(_, shown) => shown,
            Column::Other => false,
        }
    }

    /// The cells of a row that pass; `None` when it does not.
    fn row(&self, columns: &[Column], cells: &[&str]) -> Option<Vec<String>> {
        let cell =
            |wanted: Column| columns.iter().zip(cells).find(|(column, _)| **column == wanted).map(|(_, cell)| *cell);
        let kind = self.names.number(cell(Column::Kind)?.as_bytes())?;
        let marking = self.filter.selection.personal.is_some();
        if !self.filter.is_type(kind)
            || marking && !self.filter.is_marked(kind)
            || !self.filter.admits_id(cell(Column::Id)?.as_bytes())
        {
            return None;
        }
        if let Some(moments) = self.moments.filter(Moments::each) {
            moments.shown(cell(Column::ObservedAt)?.as_bytes())?;
        }
        if let Some(conditions) = &self.filter.conditions {
            let found = columns.iter().zip(cells).filter_map(|(column, cell)| match column {
                Column::Attribute(number, _) if conditions.watched.contains(number) => Some((*number, typed(cell)?)),
                _ => None,
            });
            let attributes = found.collect();
            let representation = Representation::Simplified;
            if !conditions
                .met(&Watched { attributes, complete: false, names: self.names, representation }, self.moments.as_ref())
            {
                return None;
            }
        }
        let personal = self.filter.personal(&[kind]);
        let shown = columns.iter().zip(cells).filter(|(column, _)| self.shows(**column));
        Some(
            shown
                .map(|(column, cell)| match column {
                    Column::Attribute(number, _) => self.cell(*number, cell, personal.contains(number)),
                    _ => (*cell).to_owned(),
                })
                .collect(),
        )
    }

    /// What is shown of a cell; nothing where that cannot be told.
    fn cell(&self, number: u32, cell: &str, personal: bool) -> String {
        let selection = &self.filter.selection;
        let removed = selection.personal.as_ref().is_some_and(|rule| rule.mode == PersonalMode::Remove);
        let Some(rule) = self.filter.attribute(number).filter(|_| !(cell.is_empty() || personal && removed)) else {
            return String::new();
        };
        // A whole attribute in a cell would show what it carries beside its value.
        let attribute = |value: &Value| value.as_object().is_some_and(is_instance);
        if cell.trim_start().starts_with(['{', '[']) {
            let value: Value = serde_json::from_str(cell).unwrap_or_default();
            if attribute(&value) || value.as_array().is_some_and(|items| items.iter().any(attribute)) {
                return String::new();
            }
        }
        if rule.pseudonym || personal {
            return self.filter.pseudonym(cell.as_bytes());
        }
        let Some(decimals) = selection.coordinate_decimals else { return cell.to_owned() };
        let name = usize::try_from(number).ok().and_then(|place| self.filter.known.get(place));
        let place = name.is_some_and(|name| PLACES.contains(&name.as_str()));
        let start = cell.trim_start().to_ascii_uppercase();
        if start.starts_with(['{', '[']) {
            let mut scanner = Scanner::new(cell.as_bytes());
            let mut out = Vec::new();
            let how = if place { How::Place(decimals) } else { How::Coarse(decimals) };
            let whole = matches!(self.filter.value(&mut scanner, &mut out, how), Ok(true));
            let rest = cell.get(scanner.at()..).unwrap_or("?");
            return String::from_utf8(out).ok().filter(|_| whole && rest.trim().is_empty()).unwrap_or_default();
        }
        // Well-known text cannot be made coarse here.
        if place || WELL_KNOWN.iter().any(|word| start.starts_with(word)) { String::new() } else { cell.to_owned() }
    }
}

/// A cell has no languages and no instances, so rules about these show nothing of it.
fn shows(rule: &Rule) -> bool {
    rule.languages.is_none() && rule.admits_dataset(b"@none")
}

/// The values that a cell may stand for: a number may be a text. `None` for an empty one.
fn typed(cell: &str) -> Option<Value> {
    let text = Value::from(cell);
    if cell.is_empty() {
        return None;
    }
    Some(match serde_json::from_str::<Value>(cell) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => Value::Array(vec![value, text]),
        _ => text,
    })
}

fn reader(delimiter: u8) -> Reader {
    ReaderBuilder::new().delimiter(delimiter).build()
}

/// The cells of one line; `None` when it is not one whole record.
fn cells(line: &[u8], delimiter: u8) -> Option<Vec<String>> {
    let mut record = vec![0; line.len() + 1];
    let mut ends = vec![0; line.len() + 2];
    let mut reader = reader(delimiter);
    let (result, taken, written, ended) = reader.read_record(line, &mut record, &mut ends);
    if result != ReadRecordResult::InputEmpty || taken != line.len() {
        return None;
    }
    let rest = record.get_mut(written..).unwrap_or_default();
    let (result, _, more, last) = reader.read_record(&[], rest, ends.get_mut(ended..).unwrap_or_default());
    if result != ReadRecordResult::Record {
        return None;
    }
    let text = std::str::from_utf8(record.get(..written + more)?).ok()?;
    let mut from = 0;
    ends.get(..ended + last)?
        .iter()
        .map(|end| text.get(std::mem::replace(&mut from, *end)..*end).map(str::to_owned))
        .collect()
}

fn write(out: &mut Vec<u8>, delimiter: u8, cells: impl Iterator<Item = String>) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push(delimiter);
        }
        let plain = !cell.bytes().any(|byte| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r'));
        if plain && cell.trim() == cell {
            out.extend_from_slice(cell.as_bytes());
        } else {
            out.push(b'"');
            out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn unclear<T>(what: &str) -> Result<T, Fault> {
    let message = format!("the answer is no CSV that the agreement's rules can be applied to: {what}");
    Err(Fault { code: "csv_not_understood", message })
}
