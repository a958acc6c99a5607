//! The terms of the 2025-1 context and of its ODRL profile, as a table.

/// How the value of a term is written in the official schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A string; `{"@id": …}` and `{"@value": …}` are unwrapped.
    Text,
    /// A string that names a protocol term, such as a state: its prefix is taken off.
    Token,
    /// A string that names something outside the protocol, such as an action: only prefixes defined inside the
    /// message are resolved, since they mean nothing elsewhere.
    Name,
    /// An action: a name, of which only `use` is a term of the ODRL profile.
    Action,
    /// An operator: a term of the ODRL profile.
    Operator,
    /// An array of objects; a single value is put into one.
    Nodes,
    /// An array whose items stay as they are; a single value is put into one.
    Verbatim,
    /// One object; an array around it is taken off.
    Node,
    /// A string or an object.
    TextOrNode,
    /// A value to compare with: strings are unwrapped, everything else stays.
    Operand,
}

/// The compact name, its namespace and the shape of its value. Order as in the sections of the context.
pub(super) const TERMS: &[(&str, &str, Shape)] = &[
    ("providerPid", super::DSPACE, Shape::Text),
    ("consumerPid", super::DSPACE, Shape::Text),
    ("state", super::DSPACE, Shape::Token),
    ("eventType", super::DSPACE, Shape::Token),
    ("code", super::DSPACE, Shape::Text),
    ("reason", super::DSPACE, Shape::Verbatim),
    ("callbackAddress", super::DSPACE, Shape::Text),
    ("offer", super::DSPACE, Shape::Node),
    ("agreement", super::DSPACE, Shape::Node),
    ("agreementId", super::DSPACE, Shape::Text),
    ("timestamp", super::DSPACE, Shape::Text),
    ("dataAddress", super::DSPACE, Shape::Node),
    ("format", super::DCT, Shape::Token),
    ("filter", super::DSPACE, Shape::Verbatim),
    ("endpointType", super::DSPACE, Shape::Name),
    ("endpoint", super::DSPACE, Shape::Text),
    ("endpointProperties", super::DSPACE, Shape::Nodes),
    ("name", super::DSPACE, Shape::Text),
    ("value", super::DSPACE, Shape::Text),
    ("participantId", super::DSPACE, Shape::Text),
    ("service", super::DCAT, Shape::Nodes),
    ("catalog", super::DCAT, Shape::Nodes),
    ("dataset", super::DCAT, Shape::Nodes),
    ("distribution", super::DCAT, Shape::Nodes),
    ("accessService", super::DCAT, Shape::TextOrNode),
    ("endpointURL", super::DCAT, Shape::Text),
    ("hasPolicy", super::ODRL, Shape::Nodes),
    ("profile", super::ODRL, Shape::Operand),
    ("target", super::ODRL, Shape::Text),
    ("assigner", super::ODRL, Shape::Text),
    ("assignee", super::ODRL, Shape::Text),
    ("permission", super::ODRL, Shape::Nodes),
    ("prohibition", super::ODRL, Shape::Nodes),
    ("obligation", super::ODRL, Shape::Nodes),
    ("duty", super::ODRL, Shape::Nodes),
    ("action", super::ODRL, Shape::Action),
    ("constraint", super::ODRL, Shape::Nodes),
    ("leftOperand", super::ODRL, Shape::Name),
    ("operator", super::ODRL, Shape::Operator),
    ("rightOperand", super::ODRL, Shape::Operand),
    ("and", super::ODRL, Shape::Nodes),
    ("or", super::ODRL, Shape::Nodes),
    ("xone", super::ODRL, Shape::Nodes),
    ("andSequence", super::ODRL, Shape::Nodes),
];

/// The shape of a compact member; none for a member that the context does not know.
pub(super) fn shape(name: &str) -> Option<Shape> {
    TERMS.iter().find(|(term, _, _)| *term == name).map(|(_, _, shape)| *shape)
}

/// Whether this local name in this namespace is a term without prefix.
pub(super) fn is_term(namespace: &str, local: &str) -> bool {
    TERMS.iter().any(|(term, home, _)| *term == local && *home == namespace)
}
