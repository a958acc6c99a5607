//! Type selection (GS CIM 009, clause 4.17): `Building,House`, `(Home;Vehicle)|Motorhome`, `*`.

use crate::model::compact;
use crate::problem::Problem;

/// Which entity types are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeSelection {
    /// Every type (`*`).
    Any,
    /// One of the alternatives; each names the types an entity must all have.
    OneOf(Vec<Vec<String>>),
}

impl TypeSelection {
    /// Reads the value of the parameter `type`.
    ///
    /// # Errors
    /// A `BadRequestData` when the selection is not well formed.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let mut alternatives = Vec::new();
        let mut rest = text;
        loop {
            let (alternative, after) = match rest.strip_prefix('(') {
                Some(inside) => inside.split_once(')').ok_or_else(|| wrong(text))?,
                None => rest.split_at(rest.find(['|', ',']).unwrap_or(rest.len())),
            };
            let together: Vec<String> = alternative.split(';').map(|name| compact(name.trim()).to_owned()).collect();
            let bare = !rest.starts_with('(');
            if together.iter().any(|name| name.is_empty() || name.contains(['(', ')'])) || (bare && together.len() > 1)
            {
                return Err(wrong(text));
            }
            alternatives.push(together);
            if after.is_empty() {
                return Ok(Self::OneOf(alternatives));
            }
            rest = after.strip_prefix(['|', ',']).ok_or_else(|| wrong(text))?;
        }
    }

    /// Whether an entity with these types is selected.
    #[must_use]
    pub fn matches(&self, types: &[String]) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(alternatives) => {
                alternatives.iter().any(|together| together.iter().all(|name| types.contains(name)))
            }
        }
    }
}

fn wrong(text: &str) -> Problem {
    Problem::bad(format!("`{text}` is not a type selection such as `Building,House` or `(Home;Vehicle)|Motorhome`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_match_as_the_standard_says() {
        let table: [(&str, &[&str], bool); 11] = [
            ("*", &["A"], true),
            ("A", &["A"], true),
            ("https://uri.etsi.org/ngsi-ld/default-context/A", &["A"], true),
            ("A", &["B"], false),
            ("A,B", &["B"], true),
            ("A|B", &["B"], true),
            ("(A;B)", &["A"], false),
            ("(A;B)", &["A", "B"], true),
            ("(A;B)|C", &["C"], true),
            ("C,(A;B)", &["B", "A"], true),
            ("C,(A;B)", &["B"], false),
        ];
        for (text, types, expected) in table {
            let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(TypeSelection::parse(text).unwrap().matches(&types), expected, "`{text}` on {types:?}");
        }
    }

    #[test]
    fn malformed_selections_are_refused() {
        for text in ["", "A,", ",A", "A;B", "(A", "(A;)", "(A)B", "A)"] {
            assert!(TypeSelection::parse(text).is_err(), "`{text}` must be refused");
        }
    }
}
