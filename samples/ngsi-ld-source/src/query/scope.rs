//! Scope queries (GS CIM 009, clause 4.19): `/Madrid`, `/Madrid/+`, `/Madrid/#`, `(a;b)`, `a,b`.

use crate::problem::Problem;

/// Which scopes are asked for: alternatives of patterns that must all match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeQuery(Vec<Vec<String>>);

impl ScopeQuery {
    /// Reads the value of the parameter `scopeQ`.
    ///
    /// # Errors
    /// A `BadRequestData` when a scope does not start with `/`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut alternatives = Vec::new();
        for alternative in text.split(['|', ',']) {
            let together: Vec<String> =
                alternative.trim_matches(['(', ')']).split(';').map(|scope| scope.trim().to_owned()).collect();
            if let Some(wrong) = together.iter().find(|scope| !scope.starts_with('/')) {
                return Err(Problem::bad(format!("`scopeQ`: the scope `{wrong}` does not start with `/`")));
            }
            alternatives.push(together);
        }
        Ok(Self(alternatives))
    }

    /// Whether an entity with these scopes is selected.
    #[must_use]
    pub fn matches(&self, scopes: &[String]) -> bool {
        self.0
            .iter()
            .any(|together| together.iter().all(|pattern| scopes.iter().any(|scope| scope_matches(pattern, scope))))
    }
}

fn scope_matches(pattern: &str, scope: &str) -> bool {
    if let Some(root) = pattern.strip_suffix("/#") {
        let depth = root.matches('/').count();
        let head: Vec<&str> = scope.split('/').take(depth + 1).collect();
        return scope.matches('/').count() >= depth && scope_matches(root, &head.join("/"));
    }
    let (wanted, given): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), scope.split('/').collect());
    wanted.len() == given.len() && wanted.iter().zip(given).all(|(wanted, given)| *wanted == "+" || *wanted == given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_levels() {
        for (text, scope, expected) in [
            ("/Madrid", "/Madrid", true),
            ("/Madrid", "/Madrid/Centro", false),
            ("/Madrid/+", "/Madrid/Centro", true),
            ("/Madrid/+", "/Madrid", false),
            ("/+/Centro", "/Madrid/Centro", true),
            ("/Madrid/#", "/Madrid", true),
            ("/Madrid/#", "/Madrid/Centro/Sol", true),
            ("/Madrid/#", "/Madridx", false),
            ("/#", "/anything/below", true),
            ("/A,/B", "/B", true),
            ("(/A;/B)", "/B", false),
        ] {
            assert_eq!(
                ScopeQuery::parse(text).unwrap().matches(&[scope.to_owned()]),
                expected,
                "`{text}` on `{scope}`"
            );
        }
        assert!(!ScopeQuery::parse("/#").unwrap().matches(&[]));
        assert!(ScopeQuery::parse("Madrid").is_err());
    }
}
