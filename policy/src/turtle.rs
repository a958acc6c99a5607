//! Policies in Turtle (RDF 1.1 Turtle), as the JSON-LD document that says the same.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use oxrdf::vocab::{rdf, xsd};
use oxrdf::{Literal, NamedOrBlankNode, Term, Triple};
use oxttl::TurtleParser;
use serde_json::{Map, Value, json};

use crate::error::{At, PolicyError};
use crate::vocabulary::ODRL;

/// The longest text, in bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The most statements.
const MAX_TRIPLES: usize = 50_000;
/// How deep nodes without a name stand in each other.
const MAX_DEPTH: usize = 64;

/// Reads Turtle as a JSON-LD document for [`PolicySource::rules`](crate::PolicySource::rules).
///
/// Names of ODRL become short, nodes without a name stand where they are used, and lists are lists. So places in errors are
/// paths from the policy: `/permission/0/constraint`.
///
/// # Errors
///
/// A [`PolicyError`] with the code `turtle`, and line and column, when the text is not Turtle; `too_large` and `too_deep`.
pub fn from_turtle(text: &str) -> Result<Value, PolicyError> {
    let graph = Graph::parse(text)?;
    let roots: Vec<&NamedOrBlankNode> = graph.order.iter().filter(|node| graph.is_root(node)).collect();
    let mut writer = Writer { graph: &graph, written: BTreeSet::new(), labels: BTreeMap::new() };
    let mut nodes = Vec::new();
    for root in roots {
        nodes.push(writer.node(root, 0)?);
    }
    // Nodes that stand for each other in a circle are reached from nowhere.
    for node in &graph.order {
        if !writer.written.contains(&node.to_string()) {
            nodes.push(writer.node(node, 0)?);
        }
    }
    Ok(match (nodes.len(), nodes.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            nodes.extend(last);
            json!({ "@graph": nodes })
        }
    })
}

fn fault(code: &'static str, message: impl Into<String>) -> PolicyError {
    PolicyError::new(code, &At::default(), message)
}

/// The statements by their subjects, both in the order of the text.
#[derive(Default)]
struct Graph {
    order: Vec<NamedOrBlankNode>,
    about: HashMap<NamedOrBlankNode, Vec<(String, Term)>>,
    /// How often a node without a name is named as an object.
    uses: HashMap<String, usize>,
}

impl Graph {
    fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_BYTES {
            return Err(fault("too_large", format!("a text is at most {MAX_BYTES} bytes long")));
        }
        let mut graph = Self::default();
        let mut known: HashSet<Triple> = HashSet::new();
        for (count, triple) in TurtleParser::new().for_slice(text).enumerate() {
            let triple = triple.map_err(|error| {
                let start = error.location().start;
                let place = format!("line {}, column {}", start.line + 1, start.column + 1);
                fault("turtle", format!("{place}: {}", error.message()))
            })?;
            if count >= MAX_TRIPLES {
                return Err(fault("too_large", format!("a policy has at most {MAX_TRIPLES} statements")));
            }
            // What is said twice is said once.
            if !known.insert(triple.clone()) {
                continue;
            }
            if let Term::BlankNode(node) = &triple.object {
                *graph.uses.entry(node.to_string()).or_default() += 1;
            }
            let statements = graph.about.entry(triple.subject.clone()).or_insert_with(|| {
                graph.order.push(triple.subject);
                Vec::new()
            });
            statements.push((triple.predicate.into_string(), triple.object));
        }
        Ok(graph)
    }

    fn uses(&self, node: &NamedOrBlankNode) -> usize {
        self.uses.get(&node.to_string()).copied().unwrap_or_default()
    }

    /// Whether the node stands for itself: it has a name, or is not used at just one place.
    fn is_root(&self, node: &NamedOrBlankNode) -> bool {
        matches!(node, NamedOrBlankNode::NamedNode(_)) || (self.uses(node) != 1 && !self.is_list(node))
    }

    fn statements(&self, node: &NamedOrBlankNode) -> &[(String, Term)] {
        self.about.get(node).map(Vec::as_slice).unwrap_or_default()
    }

    fn is_list(&self, node: &NamedOrBlankNode) -> bool {
        self.statements(node).iter().any(|(predicate, _)| predicate == rdf::FIRST.as_str())
    }
}

struct Writer<'a> {
    graph: &'a Graph,
    /// Nodes that stand in the document already.
    written: BTreeSet<String>,
    /// Names of nodes without one that are used at several places.
    labels: BTreeMap<String, String>,
}

impl Writer<'_> {
    fn node(&mut self, node: &NamedOrBlankNode, depth: usize) -> Result<Value, PolicyError> {
        if depth > MAX_DEPTH {
            return Err(fault("too_deep", format!("nodes without a name are nested at most {MAX_DEPTH} deep")));
        }
        self.written.insert(node.to_string());
        let mut members: Map<String, Value> = Map::new();
        let name = match node {
            NamedOrBlankNode::NamedNode(name) => Some(name.as_str().to_owned()),
            NamedOrBlankNode::BlankNode(_) if depth == 0 && self.graph.uses(node) > 0 => Some(self.label(node)),
            NamedOrBlankNode::BlankNode(_) => None,
        };
        if let Some(name) = &name {
            members.insert("@id".to_owned(), Value::from(name.as_str()));
        }
        for (predicate, object) in self.graph.statements(node) {
            let member = match predicate.as_str() {
                predicate if predicate == rdf::TYPE.as_str() => "@type",
                other => short(other),
            };
            let value = match (member, object) {
                ("@type", Term::NamedNode(kind)) => Value::from(short(kind.as_str())),
                // The name of a policy or rule, said once more.
                ("uid", Term::NamedNode(uid)) if name.as_deref() == Some(uid.as_str()) => continue,
                (_, object) => self.value(object, depth)?,
            };
            match members.get_mut(member) {
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
                None => drop(members.insert(member.to_owned(), value)),
            }
        }
        Ok(Value::Object(members))
    }

    fn value(&mut self, object: &Term, depth: usize) -> Result<Value, PolicyError> {
        Ok(match object {
            Term::Literal(literal) => literal_value(literal),
            Term::NamedNode(nil) if nil.as_ref() == rdf::NIL => json!({ "@list": [] }),
            Term::NamedNode(name) => json!({ "@id": name.as_str() }),
            Term::BlankNode(blank) => {
                let node = NamedOrBlankNode::from(blank.clone());
                if self.graph.is_list(&node) {
                    return self.list(node, depth);
                }
                if self.graph.uses(&node) == 1 && !self.written.contains(&node.to_string()) {
                    return self.node(&node, depth + 1);
                }
                json!({ "@id": self.label(&node) })
            }
        })
    }

    fn list(&mut self, head: NamedOrBlankNode, depth: usize) -> Result<Value, PolicyError> {
        let broken = || fault("turtle", "a list of the text is not a list: its nodes need one `first` and one `rest`");
        let mut items = Vec::new();
        let mut node = head;
        loop {
            self.written.insert(node.to_string());
            let (mut first, mut rest) = (None, None);
            for (predicate, object) in self.graph.statements(&node) {
                let place = match predicate.as_str() {
                    predicate if predicate == rdf::FIRST.as_str() => &mut first,
                    predicate if predicate == rdf::REST.as_str() => &mut rest,
                    predicate if predicate == rdf::TYPE.as_str() => continue,
                    _ => return Err(broken()),
                };
                if place.replace(object).is_some() {
                    return Err(broken());
                }
            }
            items.push(self.value(first.ok_or_else(broken)?, depth + 1)?);
            if items.len() > MAX_TRIPLES || depth > MAX_DEPTH {
                return Err(broken());
            }
            match rest.ok_or_else(broken)? {
                Term::NamedNode(nil) if nil.as_ref() == rdf::NIL => return Ok(json!({ "@list": items })),
                Term::BlankNode(next) => node = next.clone().into(),
                _ => return Err(broken()),
            }
        }
    }

    fn label(&mut self, node: &NamedOrBlankNode) -> String {
        let next = self.labels.len();
        self.labels.entry(node.to_string()).or_insert_with(|| format!("_:b{next}")).clone()
    }
}

/// The short form of a name of ODRL.
fn short(name: &str) -> &str {
    name.strip_prefix(ODRL).filter(|local| local.bytes().all(|byte| byte.is_ascii_alphanumeric())).unwrap_or(name)
}

fn literal_value(literal: &Literal) -> Value {
    match literal.language() {
        Some(language) => json!({ "@value": literal.value(), "@language": language }),
        None if literal.datatype() == xsd::STRING => Value::from(literal.value()),
        None => json!({ "@value": literal.value(), "@type": literal.datatype().as_str() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIXES: &str = "@prefix odrl: <http://www.w3.org/ns/odrl/2/> .\n\
        @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n\
        @prefix : <urn:x:> .\n";

    fn read(text: &str) -> Value {
        from_turtle(&format!("{PREFIXES}{text}")).unwrap()
    }

    #[test]
    fn nodes_without_a_name_stand_where_they_are_used() {
        let policy = read(
            ":p a odrl:Set ; odrl:uid :p ; odrl:permission [
               odrl:action odrl:use ; odrl:target :d ;
               odrl:constraint [ odrl:and ( [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ;
                 odrl:rightOperand \"2027-01-01\"^^xsd:date ] [ odrl:leftOperand odrl:purpose ;
                 odrl:operator odrl:isAnyOf ; odrl:rightOperand :a, :b ] ) ] ] .",
        );
        let odrl = |word: &str| json!({"@id": format!("http://www.w3.org/ns/odrl/2/{word}")});
        assert_eq!(
            policy,
            json!({"@id": "urn:x:p", "@type": "Set", "permission": {
                "action": odrl("use"), "target": {"@id": "urn:x:d"},
                "constraint": {"and": {"@list": [
                    {"leftOperand": odrl("dateTime"), "operator": odrl("lt"),
                     "rightOperand": {"@value": "2027-01-01", "@type": "http://www.w3.org/2001/XMLSchema#date"}},
                    {"leftOperand": odrl("purpose"), "operator": odrl("isAnyOf"),
                     "rightOperand": [{"@id": "urn:x:a"}, {"@id": "urn:x:b"}]}
                ]}}
            }})
        );
    }

    #[test]
    fn shared_nodes_and_circles_keep_their_names() {
        let shared =
            read(":p odrl:permission [ odrl:constraint _:c ] ; odrl:prohibition [ odrl:constraint _:c ] . _:c a :C .");
        assert_eq!(
            shared,
            json!({"@graph": [
                {"@id": "urn:x:p", "permission": {"constraint": {"@id": "_:b0"}}, "prohibition": {"constraint": {"@id": "_:b0"}}},
                {"@id": "_:b0", "@type": "urn:x:C"}
            ]})
        );
        let circle = read("_:a :knows _:b . _:b :knows _:a .");
        assert_eq!(circle, json!({"@id": "_:b0", "urn:x:knows": {"urn:x:knows": {"@id": "_:b0"}}}));
        assert_eq!(read(":p :in () ."), json!({"@id": "urn:x:p", "urn:x:in": {"@list": []}}));
    }

    #[test]
    fn what_is_said_twice_is_said_once() {
        let twice = read(":p :knows _:a ; :is \"x\" . :p :knows _:a ; :is \"x\" . _:a a :A .");
        assert_eq!(twice, json!({"@id": "urn:x:p", "urn:x:knows": {"@type": "urn:x:A"}, "urn:x:is": "x"}));
        let many: Vec<String> = (0..49_000).map(|n| format!(":o{n}")).collect();
        let many = read(&format!(":p :is {} .", many.join(", ")));
        assert_eq!(many.get("urn:x:is").and_then(Value::as_array).map(Vec::len), Some(49_000));
    }

    #[test]
    fn what_is_no_turtle_is_refused_with_its_place() {
        let deep = format!("{} :x {}", ":a :b ".to_owned() + &"[ :c ".repeat(200), "]".repeat(200));
        for (text, code, part) in [
            (":p odrl:permission [ .", "turtle", "line 4, column"),
            ("<relative> a :x .", "turtle", "line 4"),
            ("other:p a :x .", "turtle", "line 4"),
            (":p :in _:l . _:l <http://www.w3.org/1999/02/22-rdf-syntax-ns#first> :a .", "turtle", "not a list"),
            (
                ":p :in _:l . _:l <http://www.w3.org/1999/02/22-rdf-syntax-ns#first> :a ; <http://www.w3.org/1999/02/22-rdf-syntax-ns#rest> _:l .",
                "turtle",
                "not a list",
            ),
            (&format!("{deep} ."), "too_deep", "nested"),
        ] {
            let error = from_turtle(&format!("{PREFIXES}{text}")).unwrap_err();
            assert!(error.code == code && error.message.contains(part), "{text}: {error}");
        }
    }
}
