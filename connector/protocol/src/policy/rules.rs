//! The rules of a policy: reading, checking, writing.

use serde_json::{Map, Value};

use crate::context::{compact_fragment, is_operator_term, odrl_local};
use crate::error::MessageError;
use crate::member::{Node, kind, put_list, shorten};

pub(super) const LOGICAL: [&str; 4] = ["and", "or", "xone", "andSequence"];

/// The rules of a policy as JSON in the compact form of the schemas.
///
/// Members that we do not know stay: whoever decides must see and refuse what it does not understand.
///
/// DSP 2025-1, contract schema: `permission`, `prohibition`, `obligation`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// What is granted.
    pub permission: Vec<Value>,
    /// What is forbidden.
    pub prohibition: Vec<Value>,
    /// What has to be done.
    pub obligation: Vec<Value>,
}

impl Rules {
    /// Reads the three lists from a compacted policy. Rules are not looked into, see [`Rules::check`].
    ///
    /// # Errors
    /// [`MessageError`] when a list is no array or a rule no object.
    pub fn parse(policy: &Value) -> Result<Self, MessageError> {
        let node = Node::new("policy", policy)?;
        let list = |name: &str| {
            let items = node.items(name)?;
            match items.iter().find(|item| !item.is_object()) {
                Some(other) => Err(MessageError::wrong_type("policy", name, "an array of objects", other)),
                None => Ok(items.to_vec()),
            }
        };
        Ok(Self { permission: list("permission")?, prohibition: list("prohibition")?, obligation: list("obligation")? })
    }

    /// Reads a policy that comes without `@context`, in any spelling that a message may have, and checks it. For
    /// policies from our own operator.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn from_fragment(policy: Value) -> Result<Self, MessageError> {
        let rules = Self::parse(&compact_fragment(policy)?)?;
        rules.check()?;
        Ok(rules)
    }

    /// Whether there is no rule at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.permission.is_empty() && self.prohibition.is_empty() && self.obligation.is_empty()
    }

    /// Checks that every rule has the shape that the schema asks for. Lenient where peers are: empty constraint
    /// lists, numbers and booleans as right operands, and `odrl:` before any name are accepted.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn check(&self) -> Result<(), MessageError> {
        let lists =
            [("permission", &self.permission), ("prohibition", &self.prohibition), ("obligation", &self.obligation)];
        for (name, rules) in lists {
            for rule in rules {
                check_rule(name, rule)?;
            }
        }
        Ok(())
    }

    /// A policy that binds needs a permission or a prohibition (contract schema).
    pub(crate) fn require_grant(&self, owner: &str) -> Result<(), MessageError> {
        if self.permission.is_empty() && self.prohibition.is_empty() {
            let message = format!("the member `permission` or `prohibition` of {owner} is missing");
            return Err(MessageError::new("missing_member", message));
        }
        Ok(())
    }

    /// Targets belong to the policy, not to its rules; some peers repeat them there.
    pub(super) fn without_target(mut self, target: &str) -> Self {
        for rule in self.permission.iter_mut().chain(&mut self.prohibition).chain(&mut self.obligation) {
            if let Value::Object(map) = rule
                && map.get("target").and_then(Value::as_str) == Some(target)
            {
                map.shift_remove("target");
            }
        }
        self
    }

    /// Adds the lists that are not empty, written so that they validate.
    pub(super) fn write(&self, map: &mut Map<String, Value>) {
        for (name, rules) in
            [("permission", &self.permission), ("prohibition", &self.prohibition), ("obligation", &self.obligation)]
        {
            put_list(map, name, rules.iter().map(write_node).collect());
        }
    }
}

fn check_rule(owner: &str, rule: &Value) -> Result<(), MessageError> {
    let node = Node::new(owner, rule)?;
    node.text("action")?;
    check_constraints(node, "constraint")?;
    for duty in node.items("duty")? {
        check_rule("duty", duty)?;
    }
    Ok(())
}

fn check_constraints(node: Node<'_>, name: &str) -> Result<(), MessageError> {
    node.items(name)?.iter().try_for_each(check_constraint)
}

fn check_constraint(constraint: &Value) -> Result<(), MessageError> {
    const OWNER: &str = "constraint";
    let node = Node::new(OWNER, constraint)?;
    let mut logical = LOGICAL.into_iter().filter(|name| node.get(name).is_some());
    let (first, second) = (logical.next(), logical.next());
    let atomic = ["leftOperand", "operator", "rightOperand"].into_iter().find(|name| node.get(name).is_some());
    match (first, second.or(atomic)) {
        (Some(name), None) => {
            if node.items(name)?.is_empty() {
                return Err(MessageError::invalid(OWNER, name, "it is empty"));
            }
            check_constraints(node, name)
        }
        (Some(first), Some(second)) => {
            let message = format!("the members `{first}` and `{second}` of constraint exclude each other");
            Err(MessageError::new("conflicting_members", message))
        }
        (None, _) => {
            node.text("leftOperand")?;
            let operator = node.text("operator")?;
            if !is_operator_term(odrl_local(operator)) {
                let why = format!("`{}` is no operator of the protocol", shorten(operator));
                return Err(MessageError::invalid(OWNER, "operator", why));
            }
            node.required("rightOperand")?;
            Ok(())
        }
    }
}

/// A rule or constraint as it is sent: no empty constraint list, operators as terms, scalars that the schema refuses
/// as typed values.
fn write_node(node: &Value) -> Value {
    let Value::Object(map) = node else { return node.clone() };
    let mut written = Map::new();
    for (name, value) in map {
        let value = match (name.as_str(), value) {
            (_, Value::Null) => continue,
            ("constraint" | "duty", Value::Array(items)) if items.is_empty() => continue,
            ("constraint" | "duty" | "and" | "or" | "xone" | "andSequence", Value::Array(items)) => {
                items.iter().map(write_node).collect()
            }
            ("action", Value::String(action)) if odrl_local(action) == "use" => Value::from("use"),
            ("operator", Value::String(operator)) if is_operator_term(odrl_local(operator)) => {
                Value::from(odrl_local(operator))
            }
            ("rightOperand", operand) => typed(operand),
            (_, other) => other.clone(),
        };
        written.insert(name.clone(), value);
    }
    Value::Object(written)
}

/// Numbers and booleans as typed value objects; strings, objects and arrays (with their items typed) as they are.
pub(super) fn typed(operand: &Value) -> Value {
    let (text, datatype) = match operand {
        Value::Bool(flag) => (flag.to_string(), "xsd:boolean"),
        Value::Number(number) => {
            let text = number.to_string();
            let datatype = if text.contains(['e', 'E']) {
                "xsd:double"
            } else if text.contains('.') {
                "xsd:decimal"
            } else {
                "xsd:integer"
            };
            (text, datatype)
        }
        Value::Array(items) => return items.iter().map(typed).collect(),
        other => return other.clone(),
    };
    let mut map = Map::new();
    map.insert("@value".to_owned(), Value::String(text));
    map.insert("@type".to_owned(), Value::from(datatype));
    Value::Object(map)
}

/// A rule for a sentence: as JSON, shortened.
pub(super) fn show(rule: &Value) -> String {
    match rule {
        Value::Object(_) | Value::Array(_) => shorten(&rule.to_string()),
        other => kind(other).to_owned(),
    }
}
