//! What a client asked an answer to look like.

use serde_json::Value;

use crate::params::Params;
use crate::problem::{Problem, ProblemKind};

/// The representation of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Attributes with all their members.
    #[default]
    Normalized,
    /// As normalized, without what can be inferred.
    Concise,
    /// Values alone (`simplified`, `keyValues`).
    Simplified,
    /// Temporal only: pairs of value and time.
    TemporalValues,
}

/// Representation and projection of the entities of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// The representation.
    pub format: Format,
    /// Whether `createdAt` and `modifiedAt` are shown.
    pub sys_attrs: bool,
    /// Only these attributes (`attrs`).
    pub attrs: Option<Vec<String>>,
    /// Only these members, `id` and `type` included (`pick`).
    pub pick: Option<Vec<String>>,
    /// None of these members (`omit`).
    pub omit: Vec<String>,
    /// The language that language properties are reduced to.
    pub lang: Option<String>,
    /// Only these instances; `@none` is the default one.
    pub datasets: Option<Vec<String>>,
    /// The GeoProperty that becomes the geometry of a GeoJSON feature.
    pub geometry_property: Option<String>,
}

impl Shape {
    /// Reads the shaping parameters of a URL; `temporal` decides which formats exist.
    ///
    /// # Errors
    /// `InvalidRequest` for an unknown option or format, `BadRequestData` for `pick` and `omit` that contradict.
    pub fn parse(params: &Params, temporal: bool) -> Result<Self, Problem> {
        let mut shape = Self {
            attrs: params.list("attrs"),
            pick: params.list("pick"),
            omit: params.list("omit").unwrap_or_default(),
            lang: params.get("lang").map(str::to_owned),
            datasets: params.list("datasetId"),
            geometry_property: params.get("geometryProperty").map(str::to_owned),
            ..Self::default()
        };
        for option in params.list("options").unwrap_or_default() {
            match option.as_str() {
                "sysAttrs" => shape.sys_attrs = true,
                other => shape.format = format("options", other, temporal)?,
            }
        }
        if let Some(name) = params.get("format") {
            shape.format = format("format", name, temporal)?;
        }
        shape.checked()
    }

    /// Refuses nested projections and members that are both picked and omitted.
    ///
    /// # Errors
    /// See [`Shape::parse`].
    pub fn checked(self) -> Result<Self, Problem> {
        let mut named = self.pick.iter().flatten().chain(&self.omit);
        if named.any(|name| name.contains(['{', '}'])) {
            return Err(Problem::unsupported("this test source does not follow linked entities in `pick` and `omit`"));
        }
        if let Some(both) = self.pick.iter().flatten().find(|name| self.omit.contains(name)) {
            return Err(Problem::bad(format!("`{both}` stands both in `pick` and in `omit`")));
        }
        Ok(self)
    }

    /// Whether a member of an entity is shown.
    #[must_use]
    pub fn shows(&self, member: &str) -> bool {
        if self.omit.iter().any(|name| name == member) {
            return false;
        }
        if let Some(pick) = &self.pick {
            return pick.iter().any(|name| name == member);
        }
        match &self.attrs {
            Some(names) if crate::model::is_attribute(member) => names.iter().any(|name| name == member),
            _ => true,
        }
    }

    /// Whether an instance of an attribute is shown.
    #[must_use]
    pub fn shows_instance(&self, instance: &Value) -> bool {
        let id = instance.get("datasetId").and_then(Value::as_str).unwrap_or("@none");
        self.datasets.as_ref().is_none_or(|wanted| wanted.iter().any(|name| name == id))
    }
}

fn format(parameter: &str, name: &str, temporal: bool) -> Result<Format, Problem> {
    match name {
        "normalized" => Ok(Format::Normalized),
        "concise" if !temporal => Ok(Format::Concise),
        "simplified" | "keyValues" if !temporal => Ok(Format::Simplified),
        "temporalValues" if temporal => Ok(Format::TemporalValues),
        "aggregatedValues" if temporal => {
            Err(Problem::unsupported("this test source does not aggregate temporal values"))
        }
        other => Err(Problem::new(ProblemKind::InvalidRequest, format!("`{parameter}`: `{other}` is not known here"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::SHAPING;

    fn shape(query: &str, temporal: bool) -> Result<Shape, Problem> {
        Shape::parse(&Params::parse(query, &[SHAPING]).unwrap(), temporal)
    }

    #[test]
    fn format_wins_over_options() {
        for (query, temporal, expected) in [
            ("", false, Format::Normalized),
            ("options=keyValues", false, Format::Simplified),
            ("options=concise,sysAttrs", false, Format::Concise),
            ("options=keyValues&format=concise", false, Format::Concise),
            ("format=simplified", false, Format::Simplified),
            ("options=temporalValues", true, Format::TemporalValues),
        ] {
            assert_eq!(shape(query, temporal).unwrap().format, expected, "{query}");
        }
        for (query, temporal) in [("options=pretty", false), ("format=concise", true), ("format=temporalValues", false)]
        {
            assert_eq!(shape(query, temporal).unwrap_err().kind(), ProblemKind::InvalidRequest, "{query}");
        }
    }

    #[test]
    fn projection_decides_member_by_member() {
        for (query, member, expected) in [
            ("attrs=no2", "no2", true),
            ("attrs=no2", "co", false),
            ("attrs=no2", "id", true),
            ("pick=id,no2", "type", false),
            ("pick=id,no2", "no2", true),
            ("omit=no2", "no2", false),
            ("omit=type", "id", true),
        ] {
            assert_eq!(shape(query, false).unwrap().shows(member), expected, "{query} {member}");
        }
        assert!(shape("pick=a&omit=a", false).is_err());
        assert!(shape("pick=a{b}", false).is_err());
    }
}
