//! The query language of the parameter `q` (GS CIM 009, clause 4.9): its tree and its parser.

use regex::Regex;
use time::OffsetDateTime;

use crate::instant;
use crate::problem::Problem;

/// How deep parentheses may nest.
const MAX_DEPTH: usize = 16;

/// A parsed `q`.
#[derive(Debug, Clone)]
pub enum Q {
    /// All must hold (`;`).
    And(Vec<Self>),
    /// One must hold (`|`).
    Or(Vec<Self>),
    /// A condition on one attribute.
    Term(Term),
}

/// A condition on one attribute.
#[derive(Debug, Clone)]
pub struct Term {
    /// The attribute, then sub-attributes or members such as `observedAt`; never empty.
    pub path: Vec<String>,
    /// Members inside the value, written in brackets.
    pub inside: Vec<String>,
    /// What must hold.
    pub test: Test,
}

/// What must hold for the target of a term.
#[derive(Debug, Clone)]
pub enum Test {
    /// It exists.
    Exists,
    /// It does not exist (`!attr`, an extension seen in brokers).
    Missing,
    /// It equals one of the values, or lies in the range.
    Equal(Operand),
    /// It exists and equals none of the values.
    Unequal(Operand),
    /// It stands in this order to the value.
    Ordered(Ordered, Scalar),
    /// Its text matches the pattern.
    Like(Regex),
    /// Its text does not match the pattern.
    Unlike(Regex),
}

/// The operators that compare by order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

/// The right side of `==` and `!=`.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A single value or a comma list of alternatives.
    Values(Vec<Scalar>),
    /// Both bounds belong to the range.
    Range(Scalar, Scalar),
}

/// A single value of the query language.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// `true` or `false`
    Boolean(bool),
    /// Any JSON number.
    Number(f64),
    /// A string in quotes, a URI, a date or a time.
    Text(String),
    /// A date-time.
    Time(OffsetDateTime),
}

impl Q {
    /// Reads the value of the parameter `q`.
    ///
    /// # Errors
    /// A `BadRequestData` that shows where the text stops making sense; `OperationNotSupported` for linked
    /// entities (`attr{path}`), which this source does not follow.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut parser = Parser { text, rest: text };
        let query = parser.alternatives(0)?;
        if parser.rest.is_empty() { Ok(query) } else { Err(parser.wrong("an operator `;` or `|`")) }
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Parser<'_> {
    fn wrong(&self, expected: &str) -> Problem {
        let at = self.text.chars().count() - self.rest.chars().count() + 1;
        Problem::bad(format!("`q`: expected {expected} at character {at} of `{}`", self.text))
    }

    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn alternatives(&mut self, depth: usize) -> Result<Q, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::bad(format!("`q`: parentheses nest deeper than {MAX_DEPTH}")));
        }
        let mut all = vec![self.conjunction(depth)?];
        while self.take("|") {
            all.push(self.conjunction(depth)?);
        }
        Ok(single_or(all, Q::Or))
    }

    fn conjunction(&mut self, depth: usize) -> Result<Q, Problem> {
        let mut all = vec![self.term(depth)?];
        while self.take(";") {
            all.push(self.term(depth)?);
        }
        Ok(single_or(all, Q::And))
    }

    fn term(&mut self, depth: usize) -> Result<Q, Problem> {
        if self.take("(") {
            let inner = self.alternatives(depth + 1)?;
            return if self.take(")") { Ok(inner) } else { Err(self.wrong("`)`")) };
        }
        let missing = self.rest.starts_with('!') && !self.rest.starts_with("!=") && self.take("!");
        let path = self.path()?;
        if self.rest.starts_with('{') {
            return Err(Problem::unsupported("`q`: this test source does not follow linked entities (`attr{path}`)"));
        }
        let mut inside = Vec::new();
        if self.take("[") {
            inside = if self.take("*") { vec!["*".to_owned()] } else { self.path()? };
            if !self.take("]") {
                return Err(self.wrong("`]`"));
            }
        }
        let test = if missing { Test::Missing } else { self.test()? };
        Ok(Q::Term(Term { path, inside, test }))
    }

    fn path(&mut self) -> Result<Vec<String>, Problem> {
        const ENDS: [char; 16] = ['=', '!', '<', '>', '~', ';', '|', '(', ')', '[', ']', '{', '}', '"', ',', ' '];
        let end = self.rest.find(ENDS).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        // A name written as a URI holds dots that do not part a path.
        let names: Vec<String> =
            if word.contains("://") { vec![word.to_owned()] } else { word.split('.').map(str::to_owned).collect() };
        if names.iter().any(String::is_empty) {
            return Err(self.wrong("an attribute name"));
        }
        self.rest = rest;
        Ok(names)
    }

    fn test(&mut self) -> Result<Test, Problem> {
        if self.take("!~=") {
            return Ok(Test::Unlike(self.pattern()?));
        }
        if self.take("~=") {
            return Ok(Test::Like(self.pattern()?));
        }
        if self.take("==") {
            return Ok(Test::Equal(self.operand()?));
        }
        if self.take("!=") {
            return Ok(Test::Unequal(self.operand()?));
        }
        for (sign, order) in [
            (">=", Ordered::GreaterOrEqual),
            ("<=", Ordered::LessOrEqual),
            (">", Ordered::Greater),
            ("<", Ordered::Less),
        ] {
            if self.take(sign) {
                return Ok(Test::Ordered(order, self.scalar()?));
            }
        }
        Ok(Test::Exists)
    }

    fn pattern(&mut self) -> Result<Regex, Problem> {
        let text = match self.quoted()? {
            Some(text) => text,
            None => self.bare(&[';', '|', ')']).to_owned(),
        };
        Regex::new(&text).map_err(|_| Problem::bad(format!("`q`: `{text}` is not a regular expression")))
    }

    fn operand(&mut self) -> Result<Operand, Problem> {
        let first = self.scalar()?;
        if self.take("..") {
            return Ok(Operand::Range(first, self.scalar()?));
        }
        let mut values = vec![first];
        while self.take(",") {
            values.push(self.scalar()?);
        }
        Ok(Operand::Values(values))
    }

    fn scalar(&mut self) -> Result<Scalar, Problem> {
        if let Some(text) = self.quoted()? {
            return Ok(Scalar::Text(text));
        }
        let word = self.bare(&[';', '|', ')', ',', ' ']);
        if word.is_empty() {
            return Err(self.wrong("a value"));
        }
        Ok(match word {
            "true" => Scalar::Boolean(true),
            "false" => Scalar::Boolean(false),
            other => match (other.parse::<f64>(), instant::parse(other)) {
                (Ok(number), _) if number.is_finite() => Scalar::Number(number),
                (_, Some(time)) => Scalar::Time(time),
                _ => Scalar::Text(other.to_owned()),
            },
        })
    }

    /// A string in double quotes, if one stands here.
    fn quoted(&mut self) -> Result<Option<String>, Problem> {
        let Some(inside) = self.rest.strip_prefix('"') else { return Ok(None) };
        let (text, rest) = inside.split_once('"').ok_or_else(|| self.wrong("a closing `\"`"))?;
        self.rest = rest;
        Ok(Some(text.to_owned()))
    }

    /// The text up to one of `ends` or the dots of a range.
    fn bare(&mut self, ends: &[char]) -> &str {
        let mut end = self.rest.find(ends).unwrap_or(self.rest.len());
        if ends.contains(&',') {
            end = self.rest.find("..").map_or(end, |dots| dots.min(end));
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

fn single_or(mut all: Vec<Q>, join: fn(Vec<Q>) -> Q) -> Q {
    match (all.len(), all.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            all.push(last);
            join(all)
        }
        (_, None) => join(all),
    }
}
