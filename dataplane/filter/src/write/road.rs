//! Which operation a request is (ETSI GS CIM 009, 6.4 to 6.17).

use policy_plan::{Operation, Refusal};

use super::refuse;

/// What a request does, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Road {
    /// `POST /entities`
    Create,
    /// `POST /entities/{id}/attrs`
    Append(String),
    /// `PATCH /entities/{id}/attrs`
    Update(String),
    /// `PATCH /entities/{id}/attrs/{name}`
    Part(String, String),
    /// `DELETE /entities/{id}/attrs/{name}`
    Remove(String, String),
    /// `PATCH /entities/{id}`
    Merge(String),
    /// `DELETE /entities/{id}`
    RemoveEntity(String),
    /// `POST /entityOperations/…`
    Batch(Batch),
}

/// An operation on many entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batch {
    Create,
    Update,
    Upsert,
    Merge,
    Delete,
}

impl Batch {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Merge => "merge",
            Self::Delete => "delete",
        }
    }
}

impl Road {
    /// Reads method and path; also the segments that stand before the interface's own.
    ///
    /// # Errors
    /// `path_not_safe`, `path_not_admitted`, `method_not_admitted`.
    pub(super) fn read(method: &str, path: &str) -> Result<(Self, &'static [&'static str]), Refusal> {
        let segments = policy_plan::path_segments(path)?;
        let mut rest: Vec<&str> = segments.iter().map(String::as_str).collect();
        let mut base: &[&str] = &[];
        if rest.starts_with(&["ngsi-ld", "v1"]) {
            rest.drain(..2);
            base = &["ngsi-ld", "v1"];
        }
        let road = match (method, rest.as_slice()) {
            ("POST", ["entities"]) => Self::Create,
            ("PATCH", ["entities", id]) => Self::Merge((*id).to_owned()),
            ("DELETE", ["entities", id]) => Self::RemoveEntity((*id).to_owned()),
            ("POST", ["entities", id, "attrs"]) => Self::Append((*id).to_owned()),
            ("PATCH", ["entities", id, "attrs"]) => Self::Update((*id).to_owned()),
            ("PATCH", ["entities", id, "attrs", name]) => Self::Part((*id).to_owned(), (*name).to_owned()),
            ("DELETE", ["entities", id, "attrs", name]) => Self::Remove((*id).to_owned(), (*name).to_owned()),
            ("POST", ["entityOperations", "create"]) => Self::Batch(Batch::Create),
            ("POST", ["entityOperations", "update"]) => Self::Batch(Batch::Update),
            ("POST", ["entityOperations", "upsert"]) => Self::Batch(Batch::Upsert),
            ("POST", ["entityOperations", "merge"]) => Self::Batch(Batch::Merge),
            ("POST", ["entityOperations", "delete"]) => Self::Batch(Batch::Delete),
            ("PUT", ["entities", ..]) => {
                return Err(refuse(
                    "method_not_admitted",
                    "nothing is replaced as a whole: what is hidden would be lost",
                ));
            }
            ("DELETE", ["entities"]) => {
                return Err(refuse("method_not_admitted", "entities are not removed by a query"));
            }
            (_, ["entities", ..] | ["entityOperations", "create" | "update" | "upsert" | "merge" | "delete"]) => {
                return Err(refuse("method_not_admitted", "this method writes nothing here"));
            }
            _ => return Err(refuse("path_not_admitted", "only entities and their attributes can be written")),
        };
        Ok((road, base))
    }

    /// The operation that must be admitted.
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::Create | Self::Batch(Batch::Create) => Operation::Create,
            Self::Append(_) | Self::Batch(Batch::Update) => Operation::Append,
            Self::Update(_) | Self::Part(..) => Operation::Patch,
            Self::Remove(..) => Operation::Delete,
            Self::Merge(_) | Self::Batch(Batch::Merge) => Operation::Merge,
            Self::RemoveEntity(_) | Self::Batch(Batch::Delete) => Operation::DeleteEntity,
            Self::Batch(Batch::Upsert) => Operation::Upsert,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roads() {
        let id = || "urn:a".to_owned();
        for (method, path, expected) in [
            ("POST", "/ngsi-ld/v1/entities", Ok(Road::Create)),
            ("POST", "/entities", Ok(Road::Create)),
            ("PATCH", "/entities/urn:a", Ok(Road::Merge(id()))),
            ("DELETE", "/entities/urn%3Aa", Ok(Road::RemoveEntity(id()))),
            ("POST", "/entities/urn:a/attrs", Ok(Road::Append(id()))),
            ("PATCH", "/entities/urn:a/attrs", Ok(Road::Update(id()))),
            ("PATCH", "/entities/urn:a/attrs/no2", Ok(Road::Part(id(), "no2".into()))),
            ("DELETE", "/entities/urn:a/attrs/no2", Ok(Road::Remove(id(), "no2".into()))),
            ("POST", "/entityOperations/upsert", Ok(Road::Batch(Batch::Upsert))),
            ("PUT", "/entities/urn:a", Err("method_not_admitted")),
            ("PUT", "/entities/urn:a/attrs/no2", Err("method_not_admitted")),
            ("DELETE", "/entities", Err("method_not_admitted")),
            ("DELETE", "/entities/urn:a/attrs", Err("method_not_admitted")),
            ("POST", "/entities/urn:a", Err("method_not_admitted")),
            ("PATCH", "/entityOperations/create", Err("method_not_admitted")),
            ("POST", "/entityOperations/purge", Err("path_not_admitted")),
            ("POST", "/temporal/entities", Err("path_not_admitted")),
            ("POST", "/ngsi-ld/v1/csourceRegistrations", Err("path_not_admitted")),
            ("POST", "/ngsi-ld/v1/jsonldContexts", Err("path_not_admitted")),
            ("POST", "/ngsi-ld/ex/v1/notify", Err("path_not_admitted")),
            ("PATCH", "/entities/..", Err("path_not_safe")),
        ] {
            let read = Road::read(method, path).map(|(road, _)| road).map_err(|refusal| refusal.code);
            assert_eq!(read, expected, "{method} {path}");
        }
    }
}
