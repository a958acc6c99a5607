//! The query language of NGSI-LD (ETSI GS CIM 009, 4.9) as rules use it: every name is expanded.
//!
//! A name is the longest run of characters of an IRI. A point in it separates an attribute from a part of it where a member
//! such as `observedAt` or another expanded name follows: `https://m/no2.https://m/accuracy`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::selection::{Member, is_iri};

/// Longest operators first.
const OPERATORS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Greater),
    ("<", Comparison::Less),
];
/// Longest query in bytes.
const MAX_BYTES: usize = 8 * 1024;
/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 8;
/// Most terms of a query, and most values of a term.
const MAX_TERMS: usize = 100;
/// Largest compiled regular expression in bytes.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// All hold.
    All(Vec<Query>),
    /// One holds at least.
    Any(Vec<Query>),
    /// A condition on one attribute.
    Term(Term),
}

/// A condition on one attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The expanded name of the attribute.
    pub attribute: String,
    /// What of the attribute is looked at instead of its value.
    pub part: Option<Part>,
    /// Keys that lead into the value, or a language; `*` for all.
    pub inside: Vec<String>,
    /// The condition.
    pub test: Test,
}

/// A part of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// An attribute of the attribute, by its expanded name.
    Attribute(String),
    /// A member such as `observedAt`.
    Member(Member),
}

/// What must hold.
#[derive(Clone, Debug)]
pub enum Test {
    /// It is there.
    Present,
    /// It is not there.
    Absent,
    /// It compares so with one of the values; with `Unequal`, with all of them.
    Compare(Comparison, Vec<Wanted>),
    /// The text matches the expression somewhere; `false`: nowhere.
    Matches(Box<regex::Regex>, bool),
}

impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, Self::Present) | (Self::Absent, Self::Absent) => true,
            (Self::Compare(left, these), Self::Compare(right, those)) => left == right && these == those,
            (Self::Matches(left, these), Self::Matches(right, those)) => {
                left.as_str() == right.as_str() && these == those
            }
            _ => false,
        }
    }
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `<`
    Less,
}

impl Comparison {
    /// The operator as it is written.
    #[must_use]
    pub fn sign(self) -> &'static str {
        OPERATORS.iter().find(|(_, known)| *known == self).map_or("==", |(sign, _)| sign)
    }
}

/// A value, or a range with both its ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// One value.
    One(Literal),
    /// From the first to the second.
    Range(Literal, Literal),
}

/// A value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A number, with its spelling.
    Number(f64, String),
    /// A text in quotes.
    Text(String),
    /// `true` or `false`.
    Truth(bool),
    /// A moment in milliseconds since the epoch, with its spelling.
    Instant(i64, String),
    /// A date, a time of day or an IRI: a text without quotes.
    Bare(String),
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// A sentence without subject about what cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("it is longer than {MAX_BYTES} bytes"));
        }
        let mut reader = Reader { rest: text, terms: 0 };
        let query = reader.any(0)?;
        if reader.rest.is_empty() {
            return Ok(query);
        }
        Err(format!("something follows its end: `{}`", excerpt(reader.rest)))
    }

    /// The terms, from left to right.
    #[must_use]
    pub fn terms(&self) -> Vec<&Term> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::terms).collect(),
            Self::Term(term) => vec![term],
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    terms: usize,
}

impl<'a> Reader<'a> {
    /// `;` binds tighter than `|`.
    fn any(&mut self, depth: usize) -> Result<Query, String> {
        let mut parts = vec![self.all(depth)?];
        while self.take("|") {
            parts.push(self.all(depth)?);
        }
        Ok(single(parts, Query::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Query, String> {
        let mut parts = vec![self.one(depth)?];
        while self.take(";") {
            parts.push(self.one(depth)?);
        }
        Ok(single(parts, Query::All))
    }

    fn one(&mut self, depth: usize) -> Result<Query, String> {
        if !self.take("(") {
            return self.term().map(Query::Term);
        }
        if depth >= MAX_DEPTH {
            return Err("it is nested too deeply".to_owned());
        }
        let inner = self.any(depth + 1)?;
        if self.take(")") { Ok(inner) } else { Err("a parenthesis is not closed".to_owned()) }
    }

    fn term(&mut self) -> Result<Term, String> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(format!("it has more than {MAX_TERMS} terms"));
        }
        let absent = self.take("!");
        let name =
            self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/' | '#' | '%' | '+'));
        let (attribute, part) = parts(name)?;
        let inside = self.inside()?;
        if absent {
            return Ok(Term { attribute, part, inside, test: Test::Absent });
        }
        let test = self.test()?;
        Ok(Term { attribute, part, inside, test })
    }

    /// `[a.b]`
    fn inside(&mut self) -> Result<Vec<String>, String> {
        if !self.take("[") {
            return Ok(Vec::new());
        }
        let path = self.run(|c| !matches!(c, '[' | ']' | '"' | '\\') && !c.is_control());
        if path.is_empty() || !self.take("]") {
            return Err("a bracket is empty or not closed".to_owned());
        }
        Ok(path.split('.').map(str::to_owned).collect())
    }

    fn test(&mut self) -> Result<Test, String> {
        for (sign, positive) in [("!~=", false), ("~=", true)] {
            if self.take(sign) {
                let Literal::Text(pattern) = self.literal()? else {
                    return Err("a regular expression stands in quotes".to_owned());
                };
                let built = regex::RegexBuilder::new(&pattern).size_limit(MAX_PATTERN_BYTES).build();
                let regex = built.map_err(|_| format!("`{}` is no regular expression", excerpt(&pattern)))?;
                return Ok(Test::Matches(Box::new(regex), positive));
            }
        }
        let Some((_, comparison)) = OPERATORS.into_iter().find(|(sign, _)| self.take(sign)) else {
            return Ok(Test::Present);
        };
        let mut wanted = Vec::new();
        loop {
            let first = self.literal()?;
            wanted.push(if self.take("..") { Wanted::Range(first, self.literal()?) } else { Wanted::One(first) });
            if !self.take(",") {
                break;
            }
        }
        let listed = wanted.len() > 1 || wanted.iter().any(|wanted| matches!(wanted, Wanted::Range(..)));
        if listed && !matches!(comparison, Comparison::Equal | Comparison::Unequal) {
            return Err("lists and ranges go with `==` and `!=` only".to_owned());
        }
        if wanted.len() > MAX_TERMS {
            return Err(format!("a list has more than {MAX_TERMS} values"));
        }
        Ok(Test::Compare(comparison, wanted))
    }

    fn literal(&mut self) -> Result<Literal, String> {
        if self.take("\"") {
            let text = self.run(|c| !matches!(c, '"') && !c.is_control());
            return if self.take("\"") {
                Ok(Literal::Text(text.to_owned()))
            } else {
                Err("a text is not closed".into())
            };
        }
        let end = self.rest.find("..").unwrap_or(self.rest.len());
        let stop = self.rest.find([';', '|', ',', '(', ')', '"', '=', '<', '>', '!', ' ']).unwrap_or(end).min(end);
        let (word, rest) = self.rest.split_at(stop);
        self.rest = rest;
        if word.chars().any(|c| c.is_control() || c == '\\') {
            return Err("a value has a backslash or a control character".to_owned());
        }
        let digits = word.strip_prefix('-').unwrap_or(word);
        if digits.starts_with(|c: char| c.is_ascii_digit())
            && serde_json::from_str::<serde_json::Value>(word).is_ok_and(|value| value.is_number())
        {
            let number = word.parse::<f64>().ok().filter(|number| number.is_finite());
            return number.map(|number| Literal::Number(number, word.to_owned())).ok_or("a number is too large".into());
        }
        if let Some(instant) = instant_ms(word) {
            return Ok(Literal::Instant(instant, word.to_owned()));
        }
        match word {
            "true" | "false" => Ok(Literal::Truth(word == "true")),
            _ if is_date(word) || is_time(word) || is_iri(word) => Ok(Literal::Bare(word.to_owned())),
            _ => Err(format!("a value is missing, or a text stands without quotes: `{}`", excerpt(word))),
        }
    }

    fn take(&mut self, wanted: &str) -> bool {
        self.rest.strip_prefix(wanted).map(|rest| self.rest = rest).is_some()
    }

    fn run(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

fn single(mut parts: Vec<Query>, join: impl Fn(Vec<Query>) -> Query) -> Query {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            join(parts)
        }
    }
}

/// The attribute, and what of it follows a point.
fn parts(name: &str) -> Result<(String, Option<Part>), String> {
    for (place, _) in name.match_indices('.') {
        let (attribute, rest) = name.split_at(place);
        let rest = rest.trim_start_matches('.');
        let scheme = rest.split_once("://").is_some_and(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-'))
        });
        let part = match Member::named(rest.as_bytes()) {
            Some(member) => Part::Member(member),
            None if (scheme || rest.starts_with("urn:")) && is_iri(rest) => Part::Attribute(rest.to_owned()),
            None => continue,
        };
        if is_iri(attribute) {
            return Ok((attribute.to_owned(), Some(part)));
        }
    }
    if is_iri(name) {
        return Ok((name.to_owned(), None));
    }
    Err(if name.is_empty() {
        "a name is missing".to_owned()
    } else {
        format!("`{}` is no expanded name", excerpt(name))
    })
}

/// A moment of RFC 3339 in milliseconds since the epoch. One without a zone is none.
#[must_use]
pub fn instant_ms(text: &str) -> Option<i64> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(instant.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

fn is_date(text: &str) -> bool {
    matches!(text.as_bytes(), [a @ .., b'-', m1, m2, b'-', d1, d2] if a.len() == 4
        && a.iter().chain([m1, m2, d1, d2]).all(u8::is_ascii_digit))
}

fn is_time(text: &str) -> bool {
    let text = text.strip_suffix('Z').unwrap_or(text);
    matches!(text.as_bytes(), [h1, h2, b':', m1, m2, b':', s1, s2] if [h1, h2, m1, m2, s1, s2].into_iter().all(u8::is_ascii_digit))
}

fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn term(text: &str) -> Term {
        match Query::parse(text) {
            Ok(Query::Term(term)) => term,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn names_and_their_parts() {
        let etsi = "https://uri.etsi.org/ngsi-ld/location";
        for (text, attribute, part) in [
            (etsi.to_owned(), etsi, None),
            (format!("{etsi}.observedAt"), etsi, Some(Part::Member(Member::ObservedAt))),
            (format!("{etsi}.https://m/accuracy"), etsi, Some(Part::Attribute("https://m/accuracy".into()))),
            ("urn:m:no2.urn:m:x".to_owned(), "urn:m:no2", Some(Part::Attribute("urn:m:x".into()))),
            ("https://a.b:80/x.y".to_owned(), "https://a.b:80/x.y", None),
            ("https://m#x".to_owned(), "https://m#x", None),
        ] {
            let read = term(&text);
            assert_eq!((read.attribute.as_str(), read.part), (attribute, part), "{text}");
        }
    }

    #[test]
    fn values() {
        let value = |text: &str| match term(&format!("https://m/a=={text}")).test {
            Test::Compare(Comparison::Equal, mut wanted) => wanted.pop().unwrap(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(value("-4.5e1"), Wanted::One(Literal::Number(-45.0, "-4.5e1".into())));
        assert_eq!(value("\"a;b|c\""), Wanted::One(Literal::Text("a;b|c".into())));
        assert_eq!(value("true"), Wanted::One(Literal::Truth(true)));
        assert_eq!(
            value("2026-01-01T01:00:00+01:00"),
            Wanted::One(Literal::Instant(1_767_225_600_000, "2026-01-01T01:00:00+01:00".into()))
        );
        assert_eq!(value("2026-01-01"), Wanted::One(Literal::Bare("2026-01-01".into())));
        assert_eq!(value("urn:a:1"), Wanted::One(Literal::Bare("urn:a:1".into())));
        assert_eq!(value("1..2"), Wanted::Range(Literal::Number(1.0, "1".into()), Literal::Number(2.0, "2".into())));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        let a = || Query::Term(term("https://m/a"));
        assert_eq!(
            Query::parse("https://m/a;https://m/a|https://m/a").unwrap(),
            Query::Any(vec![Query::All(vec![a(), a()]), a()])
        );
        assert_eq!(
            Query::parse("https://m/a;(https://m/a|https://m/a)").unwrap(),
            Query::All(vec![a(), Query::Any(vec![a(), a()])])
        );
        assert_eq!(Query::parse("(https://m/a)").unwrap().terms().len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "",
            "no2>40",
            "https://m/a==",
            "https://m/a==x",
            "https://m/a=1",
            "https://m/a==1;",
            "https://m/a==1|",
            "(https://m/a",
            "https://m/a)",
            "https://m/a[",
            "https://m/a[]==1",
            "https://m/a==\"x",
            "https://m/a~=x",
            "https://m/a~=\"(\"",
            "https://m/a>1,2",
            "https://m/a>1..2",
            "https://m/a==1 ;https://m/b",
            "https://m/a{b}==1",
            "https://m/a==1e999",
            "!https://m/a==1",
            "https://m/a==2026-13-01T00:00:00Z",
        ] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        let deep = format!("{}https://m/a{}", "(".repeat(20), ")".repeat(20));
        assert!(Query::parse(&deep).is_err());
        assert!(Query::parse(&vec!["https://m/a"; 200].join(";")).is_err());
    }
}
