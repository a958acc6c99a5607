//! From the model to what the evaluator reads: a flat list of nodes, because Rego has no recursion.

use std::collections::BTreeMap;

use policy_plan::{TimeOperator, Truth};
use regorus::Value;
use sha2::{Digest, Sha256};

use crate::duties::comes_first;
use crate::error::{At, PolicyError};
use crate::model::{Atom, Condition, Duty, Kind, Model, Rule, Scalar};
use crate::vocabulary::{Left, Operator};

/// Levels of logical nodes that the evaluator joins.
const LEVELS: usize = 6;
/// The most nodes of a policy.
const MAX_NODES: usize = 2048;

/// A policy ready for the evaluator.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) rules: Vec<CompiledRule>,
    /// Comparisons with the numbers of their nodes.
    pub(crate) atoms: Vec<(usize, Atom)>,
    /// What a proposal takes for granted, by node: comparisons in permissions and prohibitions that only the future can
    /// tell, so that none of them stands in the way.
    pub(crate) hopes: BTreeMap<usize, Truth>,
    pub(crate) conflict: policy_plan::Conflict,
    pub(crate) node_count: usize,
    /// `input.policy`.
    pub(crate) document: Value,
    /// The asset that the policy is about.
    pub(crate) target: Option<String>,
    /// The duties that permissions ask for, by their numbers in the document.
    pub(crate) duties: Vec<Asked>,
    /// When the agreement was made, milliseconds since the Unix epoch.
    pub(crate) agreed_at_ms: Option<i64>,
    /// SHA-256 over the document, the targets and the rules in readable form; lower-case hexadecimal.
    pub(crate) hash: String,
}

impl Compiled {
    /// Whether a permission's duty is among those that stand in no way.
    pub(crate) fn is_settled(&self, id: &str, settled: &[usize]) -> bool {
        self.duties.iter().enumerate().any(|(number, duty)| duty.id == id && settled.contains(&number))
    }
}

/// A rule and its condition as a tree of nodes.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) rule: Rule,
    pub(crate) root: Option<Node>,
    /// The roots of its duties' conditions.
    pub(crate) duty_roots: Vec<Option<Node>>,
}

/// A duty of a permission.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: String,
    /// Whether it stands in the way of use until it is done.
    pub(crate) comes_first: bool,
}

/// A node of a condition; `number` is its place in the flat list.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Index into [`Compiled::atoms`].
    Atom(usize),
    And(Vec<Node>),
    Or(Vec<Node>),
    Xone(Vec<Node>),
}

impl Node {
    /// The node's name in the evaluator's input and answer.
    pub(crate) fn name(number: usize) -> String {
        format!("n{number}")
    }
}

/// The operator of a comparison with the clock.
pub(crate) fn time_operator(operator: Operator) -> Option<TimeOperator> {
    Some(match operator {
        Operator::Lt => TimeOperator::Lt,
        Operator::Lteq => TimeOperator::Lteq,
        Operator::Eq => TimeOperator::Eq,
        Operator::Neq => TimeOperator::Neq,
        Operator::Gteq => TimeOperator::Gteq,
        Operator::Gt => TimeOperator::Gt,
        _ => return None,
    })
}

pub(crate) fn compile(model: Model) -> Result<Compiled, PolicyError> {
    let mut builder = Builder { agreed_at_ms: model.agreed_at_ms, ..Builder::default() };
    let mut rules = Vec::with_capacity(model.rules.len());
    let mut lists: BTreeMap<Kind, Vec<Value>> = BTreeMap::new();
    let mut duties: Vec<Asked> = Vec::new();
    for (index, mut rule) in model.rules.into_iter().enumerate() {
        let root = match rule.condition.take() {
            None => None,
            Some(condition) => {
                rule.condition = Some(condition.clone());
                builder.hope = match rule.kind {
                    Kind::Permission => Some(Truth::True),
                    Kind::Prohibition => Some(Truth::False),
                    Kind::Obligation => None,
                };
                Some(builder.node(condition, &At::rule(&rule.label(), rule.pointer.clone()))?)
            }
        };
        builder.hope = None;
        let mut duty_roots = Vec::with_capacity(rule.duties.len());
        let mut asked = Vec::new();
        for duty in &rule.duties {
            let at = At::rule(&rule.label(), rule.pointer.clone());
            let root = duty.condition.clone().map(|condition| builder.node(condition, &at)).transpose()?;
            let root = root.map(|(node, _)| node);
            if rule.kind == Kind::Permission {
                asked
                    .push(object([("id", Value::from(duties.len())), ("root", Value::from(root_name(root.as_ref())))]));
                duties.push(Asked { id: duty.id.clone(), comes_first: model.all_duties_first || comes_first(duty) });
            }
            duty_roots.push(root);
        }
        let root = root.map(|(node, _)| node);
        lists.entry(rule.kind).or_default().push(object([
            ("id", Value::from(index)),
            ("actions", strings(&rule.actions)),
            ("targets", strings(&rule.targets)),
            ("root", Value::from(root_name(root.as_ref()))),
            ("duties", Value::from(asked)),
        ]));
        rules.push(CompiledRule { rule, root, duty_roots });
    }
    let mut list = |kind| Value::from(lists.remove(&kind).unwrap_or_default());
    let document = object([
        ("conflict", Value::from(model.conflict.as_str())),
        ("permissions", list(Kind::Permission)),
        ("prohibitions", list(Kind::Prohibition)),
        ("obligations", list(Kind::Obligation)),
        ("atoms", Value::from(builder.atom_values)),
        ("levels", Value::from(builder.levels.into_iter().map(Value::from).collect::<Vec<_>>())),
    ]);
    let targets: Vec<&String> = model.target.iter().collect();
    let targets = strings(&targets);
    let text = |value: &Value| {
        value
            .to_json_str()
            .map_err(|_| PolicyError::new("internal", &At::default(), "the policy cannot be written down"))
    };
    let readable = rules.iter().flat_map(|rule| std::iter::once(rule.rule.text()).chain(duty_texts(&rule.rule.duties)));
    let first = duties.iter().filter(|duty| duty.comes_first).map(|duty| format!("first {}", duty.id));
    let readable: Vec<String> = readable.chain(first).collect();
    let hash = hex::encode(Sha256::digest([text(&document)?, text(&targets)?, text(&strings(&readable))?].join("\n")));
    Ok(Compiled {
        rules,
        node_count: builder.count,
        atoms: builder.atoms,
        hopes: builder.hopes,
        conflict: model.conflict,
        document,
        target: model.target,
        duties,
        agreed_at_ms: model.agreed_at_ms,
        hash,
    })
}

fn root_name(root: Option<&Node>) -> String {
    root.map_or_else(|| "always".to_owned(), |node| Node::name(node.number))
}

/// All that says something of duties, for telling policies apart.
fn duty_texts(duties: &[Duty]) -> Vec<String> {
    let mut texts = Vec::new();
    for duty in duties {
        texts.push(format!("{} {}", duty.id, duty.text()));
        texts.extend(duty_texts(&duty.consequences));
    }
    texts
}

#[derive(Default)]
struct Builder {
    agreed_at_ms: Option<i64>,
    count: usize,
    atoms: Vec<(usize, Atom)>,
    /// What comparisons that only the future can tell are hoped to be in the rule that is compiled.
    hope: Option<Truth>,
    hopes: BTreeMap<usize, Truth>,
    atom_values: Vec<Value>,
    levels: [Vec<Value>; LEVELS],
}

impl Builder {
    /// Appends a condition; gives its node and its level (0 for a comparison).
    fn node(&mut self, condition: Condition, at: &At) -> Result<(Node, usize), PolicyError> {
        let (op, parts, make): (_, _, fn(Vec<Node>) -> What) = match condition {
            Condition::Atom(atom) => return self.atom(atom, at).map(|node| (node, 0)),
            Condition::And(parts) => ("and", parts, What::And),
            Condition::Or(parts) => ("or", parts, What::Or),
            Condition::Xone(parts) => ("xone", parts, What::Xone),
        };
        let mut below = 0;
        let mut nodes = Vec::with_capacity(parts.len());
        for part in parts {
            let (node, level) = self.node(part, at)?;
            below = below.max(level);
            nodes.push(node);
        }
        let number = self.number(at)?;
        let Some(level) = self.levels.get_mut(below) else {
            let message = format!("and, or and xone alternate more than {LEVELS} levels deep");
            return Err(PolicyError::new("too_deep", &at.clone().named("constraint"), message));
        };
        let of: Vec<String> = nodes.iter().map(|node| Node::name(node.number)).collect();
        level.push(object([("id", Value::from(Node::name(number))), ("op", Value::from(op)), ("of", strings(&of))]));
        Ok((Node { number, what: make(nodes) }, below + 1))
    }

    fn atom(&mut self, mut atom: Atom, at: &At) -> Result<Node, PolicyError> {
        // Once the agreement is made, a time after it is a point in time like any other.
        if let (Left::SinceAgreement | Left::Delay, Some(agreed), [Scalar::AfterAgreement(after)]) =
            (&atom.left, self.agreed_at_ms, atom.right.as_slice())
        {
            atom.right = vec![Scalar::Instant(agreed.saturating_add(*after))];
            atom.left = Left::DateTime;
        }
        let number = self.number(at)?;
        if let Some(hope) = self.hope.filter(|_| atom.left.is_of_the_future()) {
            self.hopes.insert(number, hope);
        }
        let right: Vec<Value> = atom.right.iter().map(scalar_value).collect();
        self.atom_values.push(object([
            ("id", Value::from(Node::name(number))),
            ("left", Value::from(atom.operand())),
            ("operator", Value::from(atom.operator.as_str())),
            ("right", one_or_many(right)),
        ]));
        self.atoms.push((number, atom));
        Ok(Node { number, what: What::Atom(self.atoms.len() - 1) })
    }

    fn number(&mut self, at: &At) -> Result<usize, PolicyError> {
        if self.count >= MAX_NODES {
            return Err(PolicyError::new("too_large", at, format!("a policy has at most {MAX_NODES} constraints")));
        }
        self.count += 1;
        Ok(self.count - 1)
    }
}

/// A value as the evaluator compares it.
pub(crate) fn scalar_value(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Text(text) => Value::from(text.as_str()),
        Scalar::Area(area) => Value::from(area.key.as_str()),
        Scalar::Integer(number)
        | Scalar::Instant(number)
        | Scalar::AfterAgreement(number)
        | Scalar::Duration(number) => Value::from(*number),
        Scalar::Decimal(number) => Value::from(*number),
        Scalar::Bool(truth) => Value::from(*truth),
    }
}

/// A single value stands for itself, so that it can be ordered.
pub(crate) fn one_or_many(mut values: Vec<Value>) -> Value {
    match (values.len(), values.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            values.extend(last);
            Value::from(values)
        }
    }
}

pub(crate) fn strings(names: &[impl AsRef<str>]) -> Value {
    Value::from(names.iter().map(|name| Value::from(name.as_ref())).collect::<Vec<_>>())
}

pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::from(members.into_iter().map(|(name, value)| (Value::from(name), value)).collect::<BTreeMap<_, _>>())
}
