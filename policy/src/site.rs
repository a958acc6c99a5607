//! The operator's own rules: Rego modules that may say no where an agreement says yes.
//!
//! All modules are of the package `site`; what they put into its set `deny` is a reason to refuse each. They can close and
//! never open. A module that fails, runs too long or gives something else than messages refuses, too.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::time::Duration;

use policy_plan::instant_text;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use serde::Serialize;
use serde_json::Value as Json;

use crate::decision::Reason;
use crate::model::{MAX_COMPARISON_TEXT, clipped};
use crate::{Decision, Facts, Scope};

const PACKAGE: &str = "data.site";
const DENY: &str = "data.site.deny";

/// The longest time that the modules may take together, and how many steps lie between two looks at the clock.
const LIMIT: ExecutionTimerConfig =
    ExecutionTimerConfig { limit: Duration::from_millis(100), check_interval: NonZeroU32::new(256).unwrap() };

/// The most modules, the most bytes of one, of the input document, and the most messages that are looked at.
const MAX_MODULES: usize = 64;
const MAX_MODULE_BYTES: usize = 256 * 1024;
const MAX_INPUT_BYTES: usize = 256 * 1024;
const MAX_MESSAGES: usize = 64;

/// One Rego module before it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteModule {
    /// The name by which reasons and errors call it, for example its file name.
    pub name: String,
    /// Its text.
    pub source: String,
}

/// Why the operator's modules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{module}: {message}")]
pub struct SiteError {
    /// The module, or the modules with `, ` between when it is not known which of them is meant.
    pub module: String,
    /// What is wrong with it; lower case, without a final period.
    pub message: String,
}

/// What the modules are asked about: their `input`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteInput<'a> {
    /// Where the decision is taken: `negotiation`, `transfer`, `request` (also for plans and the watch over running transfers).
    scope: &'static str,
    /// The action of the ODRL vocabulary, `use`.
    action: &'a str,
    /// The dataset, when there is one.
    dataset: Option<&'a str>,
    /// The agreement, when there is one.
    agreement: Option<&'a str>,
    /// The moment, as `xsd:dateTime` in UTC; `facts.nowMs` has it in milliseconds since the Unix epoch.
    now: String,
    /// Participant id of the party that asks for, or receives, the data.
    participant: &'a str,
    /// What is verified about it.
    claims: &'a Json,
    /// All facts, [`Facts`].
    facts: &'a Facts,
    /// What the policy decides, [`Decision`].
    decision: &'a Decision,
}

impl<'a> SiteInput<'a> {
    /// The question that belongs to a decision.
    #[must_use]
    pub fn new(
        scope: Scope,
        action: &'a str,
        dataset: Option<&'a str>,
        agreement: Option<&'a str>,
        facts: &'a Facts,
        decision: &'a Decision,
    ) -> Self {
        Self {
            scope: scope.as_str(),
            action,
            dataset,
            agreement,
            now: instant_text(facts.now_ms),
            participant: &facts.participant,
            claims: &facts.claims,
            facts,
            decision,
        }
    }
}

/// The operator's modules, compiled. Cheap to clone, and shared between threads.
#[derive(Clone)]
pub struct Site {
    engine: Engine,
    /// The modules that have a rule `deny`, with `, ` between.
    judges: String,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("judges", &self.judges).finish_non_exhaustive()
    }
}

impl Site {
    /// Compiles the modules; all of them are used together.
    ///
    /// # Errors
    ///
    /// The module that does not compile, is of another package or is too large; all of them when none has a rule `deny`, or
    /// when they fail already for a party of whom nothing is known.
    pub fn compile(modules: &[SiteModule]) -> Result<Self, SiteError> {
        let mut engine = Engine::new();
        engine.set_strict_builtin_errors(true);
        engine.set_execution_timer_config(LIMIT);
        let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
        let all = |message: String| SiteError { module: names.join(", "), message };
        if modules.is_empty() || modules.len() > MAX_MODULES {
            return Err(all(format!("there is at least one module and at most {MAX_MODULES}")));
        }
        let mut judges = Vec::new();
        for SiteModule { name, source } in modules {
            let wrong = |message: String| SiteError { module: name.clone(), message };
            if source.len() > MAX_MODULE_BYTES {
                return Err(wrong(format!("a module has at most {MAX_MODULE_BYTES} bytes")));
            }
            let package =
                engine.add_policy(name.clone(), source.clone()).map_err(|error| wrong(in_one_line(&error)))?;
            if package != PACKAGE {
                let package = package.strip_prefix("data.").unwrap_or(&package).to_owned();
                return Err(wrong(format!("the package is `{package}`; a module here is of the package `site`")));
            }
            if engine.has_declared_rule_rooted_at(name, "deny").map_err(|error| wrong(in_one_line(&error)))? {
                judges.push(name.as_str());
            }
        }
        if judges.is_empty() {
            return Err(all("no module has a rule `deny`, so none of them would ever refuse".to_owned()));
        }
        // Faults that only show when the modules are put together: unknown names, recursion, conflicting rules.
        engine.clone().compile_with_entrypoint(&DENY.into()).map_err(|error| all(in_one_line(&error)))?;
        let site = Self { engine, judges: judges.join(", ") };
        site.probe().map_err(all)?;
        Ok(site)
    }

    /// Asks about nobody: what nobody has defined shows only when it is evaluated.
    fn probe(&self) -> Result<(), String> {
        let (facts, decision) = (Facts::default(), Decision::failed(0));
        let input = SiteInput::new(Scope::Request, "use", None, None, &facts, &decision);
        self.evaluate(&input)
            .map(drop)
            .map_err(|error| format!("it fails for a party of whom nothing is known: {error}"))
    }

    /// What the modules have against it; nothing when the list is empty.
    #[must_use]
    pub fn objections(&self, input: &SiteInput<'_>) -> Vec<Reason> {
        match self.messages(input) {
            Ok(messages) => messages.into_iter().map(|message| self.objection(&message)).collect(),
            Err(fault) => vec![Reason {
                rule: format!("{}: a module that fails refuses", self.label()),
                fact: fault.clone(),
                sentence: format!("{} could not be evaluated: {fault}", self.label()),
            }],
        }
    }

    fn evaluate(&self, input: &SiteInput<'_>) -> Result<Value, String> {
        let input = serde_json::to_string(input).map_err(|error| in_one_line(&error))?;
        if input.len() > MAX_INPUT_BYTES {
            return Err(format!("what is known of the party has more than {MAX_INPUT_BYTES} bytes"));
        }
        let mut engine = self.engine.clone();
        engine.set_input(Value::from_json_str(&input).map_err(|error| in_one_line(&error))?);
        engine.eval_rule(DENY.to_owned()).map_err(|error| in_one_line(&error))
    }

    fn messages(&self, input: &SiteInput<'_>) -> Result<Vec<String>, String> {
        match self.evaluate(input)? {
            Value::Set(messages) => messages.iter().take(MAX_MESSAGES).map(text).collect(),
            Value::Array(messages) => messages.iter().take(MAX_MESSAGES).map(text).collect(),
            Value::Undefined => Err("`deny` is not defined for this case".to_owned()),
            _ => Err("`deny` is not a set or list of messages".to_owned()),
        }
    }

    fn objection(&self, message: &str) -> Reason {
        let label = self.label();
        Reason {
            rule: format!("{label}: {message}"),
            fact: message.to_owned(),
            sentence: format!("{label} refuses: {message}"),
        }
    }

    fn label(&self) -> String {
        format!("the operator's module {}", self.judges)
    }
}

/// A message: a text, or an object with the text as `msg`.
fn text(message: &Value) -> Result<String, String> {
    let message = match message {
        Value::Object(members) => members.get(&Value::from("msg")).unwrap_or(message),
        other => other,
    };
    message
        .as_string()
        .map(|text| clipped(text, MAX_COMPARISON_TEXT))
        .map_err(|_| "`deny` has a message that is no text".to_owned())
}

/// The evaluator shows the line of the module over several lines.
fn in_one_line(error: &dyn Display) -> String {
    let text = error.to_string();
    let words: Vec<&str> = text.split_whitespace().filter(|word| !matches!(*word, "|" | "^" | "-->")).collect();
    clipped(&words.join(" "), MAX_COMPARISON_TEXT)
}
