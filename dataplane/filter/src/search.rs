//! The query language `q` (ETSI GS CIM 009, 4.9), as far as it can be read in one way only.

use policy_plan::Member;

use crate::names::Names;
use crate::rules::{Filter, Rule};

/// Longest operators first.
const OPERATORS: [&str; 8] = ["!~=", "==", "!=", ">=", "<=", "~=", ">", "<"];
/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 16;

/// Why a query is refused: one that cannot be read, or one that asks about what is not shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// With what is wrong.
    Unreadable(&'static str),
    /// With the name.
    Hidden(String),
}

/// Checks that `text` asks about nothing but what the filter shows as it is.
pub(crate) fn check(filter: &Filter, names: &Names, text: &str) -> Result<(), Denied> {
    let mut reader = Reader { filter, names, rest: text };
    reader.terms(0)?;
    if reader.rest.is_empty() { Ok(()) } else { Err(Denied::Unreadable("something follows its end")) }
}

/// The rule of an attribute by which may be searched and sorted: its values are shown as they are.
pub(crate) fn searchable<'f>(filter: &'f Filter, names: &Names, name: &str) -> Result<&'f Rule, Denied> {
    let number = names.number(name.as_bytes()).filter(|number| !filter.is_personal(*number));
    let rule = number.and_then(|number| filter.attribute(number));
    // A value that may lie outside of what is shown must not be found out by searching.
    let shown = rule.filter(|rule| !rule.veils() && (filter.selection.time.is_none() || rule.timeless));
    shown.ok_or_else(|| Denied::Hidden(name.to_owned()))
}

/// The same for `attribute` and `attribute.part`.
pub(crate) fn path(filter: &Filter, names: &Names, text: &str) -> Result<(), Denied> {
    let mut parts = text.split('.');
    let rule = searchable(filter, names, parts.next().unwrap_or_default())?;
    let Some(part) = parts.next() else { return Ok(()) };
    let number = names.number(part.as_bytes()).filter(|number| !filter.is_personal(*number));
    let shown = number.is_some_and(|number| rule.sub_attributes.contains(&number))
        || Member::named(part.as_bytes()).is_some_and(|member| filter.shows(member));
    if !shown || parts.next().is_some() {
        return Err(Denied::Hidden(text.to_owned()));
    }
    Ok(())
}

struct Reader<'a> {
    filter: &'a Filter,
    names: &'a Names,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn terms(&mut self, depth: usize) -> Result<(), Denied> {
        if depth > MAX_DEPTH {
            return Err(Denied::Unreadable("it is nested too deeply"));
        }
        loop {
            if self.take("(") {
                self.terms(depth + 1)?;
                if !self.take(")") {
                    return Err(Denied::Unreadable("a parenthesis is not closed"));
                }
            } else {
                self.term()?;
            }
            if !self.take(";") && !self.take("|") {
                return Ok(());
            }
        }
    }

    fn term(&mut self) -> Result<(), Denied> {
        let absent = self.take("!");
        let name = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.'));
        if name.is_empty() {
            return Err(Denied::Unreadable("a name is missing, or is written in a way that brokers read differently"));
        }
        path(self.filter, self.names, name)?;
        if self.take("[") {
            let rule = name.split('.').next().unwrap_or_default();
            searchable(self.filter, self.names, rule)?;
            let inner = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*'));
            if inner.is_empty() || !self.take("]") {
                return Err(Denied::Unreadable("a bracket is not closed"));
            }
            if self.filter.selection.coordinate_decimals.is_some() {
                return Err(Denied::Hidden(name.to_owned()));
            }
        }
        if absent {
            return Ok(());
        }
        let Some(operator) = OPERATORS.into_iter().find(|operator| self.take(operator)) else { return Ok(()) };
        let pattern = operator.ends_with("~=");
        loop {
            self.value(pattern)?;
            if pattern || !self.take(",") {
                return Ok(());
            }
        }
    }

    /// A value, or a range of two.
    fn value(&mut self, pattern: bool) -> Result<(), Denied> {
        if self.filter.selection.pseudonymous_ids {
            // A comparison of texts would tell whether a guessed id is right.
            let next = self.rest.trim_start_matches('-');
            if pattern || !(next.starts_with(|c: char| c.is_ascii_digit()) || next == "true" || next == "false") {
                return Err(Denied::Hidden("texts, while ids are pseudonyms".to_owned()));
            }
        }
        if self.take("\"") {
            self.run(|c| !matches!(c, '"' | '\\') && !c.is_control());
            if !self.take("\"") {
                return Err(Denied::Unreadable("a text is not closed, or has a backslash"));
            }
            return if self.take("..") { self.value(pattern) } else { Ok(()) };
        }
        if pattern {
            return Err(Denied::Unreadable("a regular expression stands in quotes here"));
        }
        let plain =
            self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '+' | '/' | '#' | '@'));
        if plain.is_empty() {
            return Err(Denied::Unreadable("a value is missing, or stands without quotes"));
        }
        Ok(())
    }

    fn take(&mut self, wanted: &str) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn run(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}
