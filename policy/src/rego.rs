//! The evaluator: the Rego bundle, run by regorus.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use policy_plan::Truth;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::rvm::program::Program;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use crate::compile::{Compiled, Node, object, one_or_many, scalar_value, strings};
use crate::facts::Operands;

const BUNDLE: &str = include_str!("../rego/odrl.rego");
const DECISION: &str = "data.odrl.decision";

/// The longest time that one decision may take, and how many steps lie between two looks at the clock.
const LIMIT: ExecutionTimerConfig =
    ExecutionTimerConfig { limit: Duration::from_millis(500), check_interval: NonZeroU32::new(4096).unwrap() };

/// The most instructions of one decision; more than a policy of the largest size takes.
const MAX_INSTRUCTIONS: usize = 5_000_000;

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
pub(crate) fn evaluate(policy: &Compiled, request: &Request<'_>, operands: &Operands) -> Option<Verdict> {
    verdict(&answer(input(policy, request, operands))?, policy)
}

/// What the bundle says to an input document.
pub(crate) fn answer(input: Value) -> Option<Value> {
    let mut machine = RegoVM::new();
    machine.set_strict_builtin_errors(true);
    machine.set_execution_timer_config(Some(LIMIT));
    machine.set_max_instructions(MAX_INSTRUCTIONS);
    machine.load_program(program()?);
    machine.set_input(input);
    machine.execute().ok()
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The action, and all that includes it.
    pub(crate) actions: Vec<&'a str>,
    /// The asset, and the collections that it is in.
    pub(crate) targets: Vec<&'a str>,
    /// Duties of permissions that stand in no way, by their numbers in the policy.
    pub(crate) settled: Vec<usize>,
}

/// The input document of the bundle.
pub(crate) fn input(policy: &Compiled, request: &Request<'_>, operands: &Operands) -> Value {
    let numbers = policy.atoms.iter().map(|(number, _)| number);
    let judged = numbers.enumerate().filter(|(_, number)| !operands.fixed.contains_key(number));
    let judged = judged.map(|(index, _)| Value::from(index));
    object([
        ("request", object([("actions", strings(&request.actions)), ("targets", strings(&request.targets))])),
        ("policy", policy.document.clone()),
        ("operands", operand_values(operands)),
        ("relations", relations(operands)),
        ("fixed", fixed(operands)),
        ("settled", Value::from(request.settled.iter().map(|number| Value::from(*number)).collect::<Vec<_>>())),
        ("judged", Value::from(judged.collect::<Vec<_>>())),
    ])
}

/// The bundle as a program for regorus' virtual machine, compiled once.
fn program() -> Option<Arc<Program>> {
    static PROGRAM: LazyLock<Option<Arc<Program>>> = LazyLock::new(|| {
        let policy = engine()?.compile_with_entrypoint(&DECISION.into()).ok()?;
        Compiler::compile_from_policy(&policy, &[DECISION]).ok()
    });
    PROGRAM.clone()
}

fn engine() -> Option<Engine> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    engine.set_execution_timer_config(LIMIT);
    engine.add_policy("odrl.rego".to_owned(), BUNDLE.to_owned()).ok()?;
    Some(engine)
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

fn truth_value(truth: Truth) -> Value {
    match truth {
        Truth::True => Value::from(true),
        Truth::False => Value::from(false),
        Truth::Unknown => Value::Null,
    }
}

fn fixed(operands: &Operands) -> Value {
    let truths = operands.fixed.iter().map(|(number, truth)| (Value::from(Node::name(*number)), truth_value(*truth)));
    Value::from(truths.collect::<BTreeMap<_, _>>())
}

fn relations(operands: &Operands) -> Value {
    let named = |pairs: Vec<(&String, Value)>| {
        Value::from(
            pairs.into_iter().map(|(name, value)| (Value::from(name.as_str()), value)).collect::<BTreeMap<_, _>>(),
        )
    };
    named(
        operands
            .relations
            .iter()
            .map(|(operand, inners)| {
                let inners = inners.iter().map(|(inner, outers)| {
                    (inner, named(outers.iter().map(|(outer, value)| (outer, truth_value(*value))).collect()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{What, compile};
    use crate::model::{Atom, Condition, Duty, DutyRole, Kind, Model, Origin, Rule, Scalar};
    use crate::vocabulary::{Left, Operator};
    use policy_plan::Conflict;
    use proptest::prelude::*;

    const OPERATORS: [Operator; 13] = [
        Operator::Eq,
        Operator::Neq,
        Operator::Lt,
        Operator::Lteq,
        Operator::Gt,
        Operator::Gteq,
        Operator::IsA,
        Operator::IsPartOf,
        Operator::HasPart,
        Operator::IsAnyOf,
        Operator::IsNoneOf,
        Operator::IsAllOf,
        Operator::IsNotPartOf,
    ];

    fn scalar() -> impl Strategy<Value = Scalar> {
        prop_oneof![
            "[abc]".prop_map(Scalar::Text),
            (0..3_i64).prop_map(Scalar::Integer),
            Just(Scalar::Decimal(0.5)),
            any::<bool>().prop_map(Scalar::Bool),
        ]
    }

    fn scalars() -> impl Strategy<Value = Vec<Scalar>> {
        proptest::collection::vec(scalar(), 1..3)
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let atom =
            (0..4_usize, proptest::sample::select(&OPERATORS[..]), scalars()).prop_map(|(name, operator, right)| {
                let name = format!("credential:{name}");
                Condition::Atom(Atom {
                    left: Left::Claim { path: vec![name.clone()], name },
                    operator,
                    right,
                    text: String::new(),
                    origin: Origin::default(),
                })
            });
        atom.prop_recursive(4, 24, 4, |inner| {
            let list = proptest::collection::vec(inner, 1..4);
            prop_oneof![
                list.clone().prop_map(Condition::And),
                list.clone().prop_map(Condition::Or),
                list.prop_map(Condition::Xone),
            ]
        })
    }

    fn rule() -> impl Strategy<Value = Rule> {
        let kind = proptest::sample::select(&Kind::ALL[..]);
        let action = proptest::sample::select(&["use", "read", "sell"][..]);
        let duties = proptest::collection::vec(proptest::option::of(condition()), 0..3);
        (kind, action, proptest::option::of("[tu]"), proptest::option::of(condition()), duties).prop_map(
            |(kind, action, target, condition, duties)| Rule {
                id: "r".into(),
                pointer: String::new(),
                kind,
                actions: vec![action.to_owned()],
                targets: target.into_iter().collect(),
                condition,
                duties: duties
                    .into_iter()
                    .map(|condition| Duty {
                        id: "d".into(),
                        role: DutyRole::Duty,
                        actions: vec!["inform".into()],
                        refinement: Vec::new(),
                        what: "inform".into(),
                        condition,
                        consequences: Vec::new(),
                    })
                    .collect(),
                obliged: None,
            },
        )
    }

    /// Values for three of the four operands, and relations for all pairs that could come up.
    fn operands(values: [Vec<Scalar>; 3], truths: &[Truth], compiled: &Compiled) -> Operands {
        let mut operands = Operands::default();
        for (place, values) in values.into_iter().enumerate() {
            operands.values.insert(format!("credential:{place}"), values);
        }
        let mut truths = truths.iter().cycle();
        for (number, atom) in &compiled.atoms {
            let Some(values) = operands.values.get(&atom.operand()) else {
                operands.fixed.insert(*number, Truth::Unknown);
                continue;
            };
            let all = values.iter().chain(&atom.right).chain(&atom.right).chain(values);
            let texts: Vec<_> = all.filter(|v| matches!(v, Scalar::Text(_))).map(ToString::to_string).collect();
            if atom.operator.is_relation() && texts.len() < 2 * (values.len() + atom.right.len()) {
                operands.fixed.insert(*number, Truth::Unknown);
                continue;
            }
            let table = operands.relations.entry(atom.operand()).or_default();
            for inner in &texts {
                for outer in &texts {
                    let truth = if inner == outer { &Truth::True } else { truths.next().unwrap() };
                    table.entry(inner.clone()).or_default().entry(outer.clone()).or_insert(*truth);
                }
            }
        }
        operands
    }

    fn by_hand(node: &Node, truths: &[Truth]) -> Truth {
        match &node.what {
            What::Atom(_) => truths[node.number],
            What::And(parts) => Truth::all(parts.iter().map(|part| by_hand(part, truths))),
            What::Or(parts) => Truth::any(parts.iter().map(|part| by_hand(part, truths))),
            What::Xone(parts) => Truth::exactly_one(parts.iter().map(|part| by_hand(part, truths))),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// The virtual machine answers what the interpreter answers, and both join truths as the plan does.
        #[test]
        fn both_engines_and_the_plan_agree(
            rules in proptest::collection::vec(rule(), 0..5),
            values in [scalars(), scalars(), scalars()],
            truths in proptest::collection::vec(
                proptest::sample::select(&[Truth::True, Truth::False, Truth::Unknown][..]), 7),
            conflict in proptest::sample::select(&[Conflict::Perm, Conflict::Prohibit, Conflict::Invalid][..]),
        ) {
            let model = Model { rules, target: Some("t".into()), conflict, agreed_at_ms: None, all_duties_first: true };
            let compiled = compile(model).unwrap();
            let operands = operands(values, &truths, &compiled);
            let actions = || Request { actions: vec!["read", "use"], targets: vec!["t"], settled: vec![1] };

            let mut interpreter = engine().unwrap();
            interpreter.set_input(input(&compiled, &actions(), &operands));
            let interpreted = interpreter.eval_rule(DECISION.to_owned()).unwrap();
            let mut machine = RegoVM::new();
            machine.load_program(program().unwrap());
            machine.set_input(input(&compiled, &actions(), &operands));
            prop_assert_eq!(&machine.execute().unwrap(), &interpreted);

            let verdict = evaluate(&compiled, &actions(), &operands).unwrap();
            for root in compiled.rules.iter().filter_map(|rule| rule.root.as_ref()) {
                prop_assert_eq!(by_hand(root, &verdict.truths), verdict.truths[root.number]);
            }
            for (number, truth) in &operands.fixed {
                prop_assert_eq!(verdict.truths[*number], *truth);
            }
        }
    }
}
