//! The evaluator: the Rego bundle, run by regorus.

use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::time::Duration;

use policy_plan::Truth;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use crate::compile::{Compiled, Node, object, one_or_many, scalar_value, strings};
use crate::facts::Operands;

const BUNDLE: &str = include_str!("../rego/odrl.rego");
const DECISION: &str = "data.odrl.decision";

/// The longest time that one decision may take.
const TIME_LIMIT: Duration = Duration::from_millis(500);
/// Work units between two looks at the clock.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// The evaluator's answer.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) allow: bool,
    /// Rules that permit, that forbid, that speak of the action at all, that oblige; by their place in the policy.
    pub(crate) permits: Vec<usize>,
    pub(crate) forbids: Vec<usize>,
    pub(crate) about: Vec<usize>,
    pub(crate) obligations: Vec<usize>,
    /// By node number.
    pub(crate) truths: Vec<Truth>,
}

/// Evaluates; `None` when the evaluator fails or says less than it has to, which the caller takes as a refusal.
pub(crate) fn evaluate(policy: &Compiled, actions: &[&str], operands: &Operands) -> Option<Verdict> {
    let input = object([
        ("request", object([("actions", strings(actions)), ("targets", policy.targets.clone())])),
        ("policy", policy.document.clone()),
        ("operands", operand_values(operands)),
        ("relations", relations(operands)),
        ("unknown", Value::from(operands.unknown.iter().map(|n| Value::from(Node::name(*n))).collect::<Vec<_>>())),
    ]);
    let mut engine = engine()?.clone();
    engine.set_input(input);
    verdict(&engine.eval_rule(DECISION.to_owned()).ok()?, policy)
}

/// The engine with the bundle, made once; a clone shares what has been compiled.
fn engine() -> Option<&'static Engine> {
    static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
    ENGINE
        .get_or_init(|| {
            let mut engine = Engine::new();
            engine.set_strict_builtin_errors(true);
            engine
                .set_execution_timer_config(ExecutionTimerConfig { limit: TIME_LIMIT, check_interval: CHECK_INTERVAL });
            engine.add_policy("odrl.rego".to_owned(), BUNDLE.to_owned()).ok()?;
            // The first evaluation compiles; its answer, for an empty policy, is not needed.
            engine.set_input(Value::new_object());
            engine.eval_rule(DECISION.to_owned()).ok()?;
            Some(engine)
        })
        .as_ref()
}

fn operand_values(operands: &Operands) -> Value {
    let mut values = Value::new_object();
    if let Ok(map) = values.as_object_mut() {
        for (name, scalars) in &operands.values {
            map.insert(Value::from(name.as_str()), one_or_many(scalars.iter().map(scalar_value).collect()));
        }
    }
    values
}

fn relations(operands: &Operands) -> Value {
    use std::collections::BTreeMap;
    let named = |pairs: Vec<(&String, Value)>| {
        Value::from(
            pairs.into_iter().map(|(name, value)| (Value::from(name.as_str()), value)).collect::<BTreeMap<_, _>>(),
        )
    };
    let truth = |truth: Truth| match truth {
        Truth::True => Value::from(true),
        Truth::False => Value::from(false),
        Truth::Unknown => Value::Null,
    };
    named(
        operands
            .relations
            .iter()
            .map(|(operand, inners)| {
                let inners = inners.iter().map(|(inner, outers)| {
                    (inner, named(outers.iter().map(|(outer, value)| (outer, truth(*value))).collect()))
                });
                (operand, named(inners.collect()))
            })
            .collect(),
    )
}

fn verdict(answer: &Value, policy: &Compiled) -> Option<Verdict> {
    let member = |name: &str| answer.as_object().ok()?.get(&Value::from(name)).cloned();
    let numbers = |name: &str| {
        let list = member(name)?;
        list.as_array().ok()?.iter().map(|item| usize::try_from(item.as_u64().ok()?).ok()).collect::<Option<Vec<_>>>()
    };
    let truths = member("truths")?;
    let truths = truths.as_object().ok()?;
    let of_node = |number| match truths.get(&Value::from(Node::name(number)))? {
        Value::Bool(truth) => Some(Truth::from(*truth)),
        Value::Null => Some(Truth::Unknown),
        _ => None,
    };
    Some(Verdict {
        allow: *member("allow")?.as_bool().ok()?,
        permits: numbers("permits")?,
        forbids: numbers("forbids")?,
        about: numbers("about")?,
        obligations: numbers("obligations")?,
        truths: (0..policy.node_count).map(of_node).collect::<Option<Vec<_>>>()?,
    })
}
