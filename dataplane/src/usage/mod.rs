//! Counted and limited use of a flow.
//!
//! Where the agreement's rules look at how much was used, each request spends from a block that the control plane granted; an
//! [`Account`] holds what is left of it for all flows of one agreement. A new block is asked for before the old one is
//! spent, so that requests rarely wait, and by one question at a time. Nothing is spent that was not granted: while the control
//! plane is away, what is held is used up, and then requests are refused. What is left when the program ends in order goes back.
//!
//! A flow without such rules has no account, and is judged as if this module did not exist.

mod account;
mod ask;
mod body;
mod give_back;
mod limiter;
mod needs;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use policy_plan::Residual;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use account::Account;
pub(crate) use body::{MeteredBody, metered_outgoing};
pub(crate) use give_back::give_back;
pub(crate) use limiter::{Limiter, too_busy, too_many_at_once};
pub(crate) use needs::Needs;

use account::{Bytes, Step};

use crate::clock::now_ms;
use crate::flow::{Access, Flow};
use crate::plane::Plane;
use crate::problem::Problem;
use crate::proxy::ended_meanwhile;

/// How long one request waits for a grant.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most questions of one request where each use is judged at the moment of its grant: our clock and the control plane's may
/// differ about that moment.
const MOST_QUESTIONS: u32 = 8;

/// The accounts of this data plane, one for each agreement of each control plane, as long as a flow uses it.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Mutex<HashMap<Key, Weak<Account>>>);

/// A control plane, where the plan named one, and its agreement.
type Key = (Option<String>, String);

impl Accounts {
    fn of(&self, control_plane: Option<&str>, agreement: &str) -> Arc<Account> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (control_plane.map(str::to_owned), agreement.to_owned());
        if let Some(account) = known.get(&key).and_then(Weak::upgrade) {
            return account;
        }
        known.retain(|_, account| account.strong_count() > 0);
        let account = Arc::new(Account::default());
        known.insert(key, Arc::downgrade(&account));
        account
    }
}

/// What a metered flow is judged by.
struct Metered<'a> {
    account: Arc<Account>,
    needs: Needs,
    rules: &'a Residual,
}

impl Metered<'_> {
    fn of<'a>(plane: &Plane, flow: &'a Flow, access: Access) -> Option<Metered<'a>> {
        let needs = flow.needs?;
        let rules = flow.rules(access)?;
        let terms = &flow.terms;
        let account = flow.account(|| plane.accounts.of(terms.control_plane.as_deref(), &terms.agreement_id));
        Some(Metered { account, needs, rules })
    }
}

/// Judges one use of a flow and spends it. Waits for a grant when the flow holds none; `ended` ends the waiting.
///
/// # Errors
/// 403 with rule and fact when the agreement refuses, also because it is used up; 503 when the control plane cannot be asked.
pub(crate) async fn begin(
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    access: Access,
    ended: &CancellationToken,
) -> Result<(), Problem> {
    let Some(metered) = Metered::of(plane, flow, access) else { return flow.judge(access, now_ms()) };
    let mut waiting = None;
    let mut questions = 0;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let changed = metered.account.changed();
        let lacks = match metered.account.begin(metered.rules, metered.needs, now_ms()) {
            Step::Go { low } => {
                for lacks in low {
                    ask::ask(plane, flow, &metered.account, lacks);
                }
                return Ok(());
            }
            Step::Refused(refusal) => return Err(Problem::from(refusal)),
            Step::Unavailable => return Err(ask::unavailable()),
            Step::Lacks(lacks) => lacks,
        };
        questions += 1;
        if metered.needs.interval && questions > MOST_QUESTIONS {
            return Err(ask::unavailable());
        }
        waiting.get_or_insert_with(|| metered.account.wait());
        ask::ask(plane, flow, &metered.account, lacks);
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(deadline) => return Err(ask::unavailable()),
            () = ended.cancelled() => return Err(ended_meanwhile()),
        }
    }
}

/// The same for a request that we make ourselves: it waits for its turn instead of being refused.
///
/// # Errors
/// As [`begin`].
pub(crate) async fn begin_own(plane: &Arc<Plane>, flow: &Arc<Flow>, ended: &CancellationToken) -> Result<(), Problem> {
    if let Some(limiter) = &flow.limiter {
        limiter.wait_for_request().await;
    }
    begin(plane, flow, Access::Read, ended).await
}

/// Spends the bytes of a piece of a body before it is sent.
///
/// # Errors
/// As [`begin`].
async fn spend_bytes(plane: &Arc<Plane>, flow: &Arc<Flow>, bytes: u64) -> Result<(), Problem> {
    let Some(metered) = Metered::of(plane, flow, Access::Read).filter(|metered| metered.needs.volume && bytes > 0)
    else {
        return Ok(());
    };
    loop {
        let changed = metered.account.changed();
        let lacks = match metered.account.spend(metered.rules, bytes, now_ms()) {
            Bytes::Spent { low } => {
                if let Some(lacks) = low {
                    ask::ask(plane, flow, &metered.account, lacks);
                }
                return Ok(());
            }
            Bytes::Refused(refusal) => return Err(Problem::from(refusal)),
            Bytes::Unavailable => return Err(ask::unavailable()),
            // Each answer brings more, or says that nothing is left.
            Bytes::Lacks(lacks) => lacks,
        };
        ask::ask(plane, flow, &metered.account, lacks);
        changed.await;
    }
}

/// Looks whether data of a flow may go on moving; for metered time it pays the second that has begun.
///
/// # Errors
/// As [`begin`].
pub(crate) fn go_on(plane: &Arc<Plane>, flow: &Arc<Flow>, now_ms: i64) -> Result<(), Problem> {
    let Some(metered) = Metered::of(plane, flow, Access::Read) else { return flow.judge(Access::Read, now_ms) };
    let looked = metered.account.look(metered.rules, metered.needs, now_ms);
    if let Some(lacks) = looked.lacks {
        ask::ask(plane, flow, &metered.account, lacks);
    }
    match looked.refusal {
        Some(refusal) => Err(Problem::from(refusal)),
        None if looked.unpaid => Err(ask::unavailable()),
        None => Ok(()),
    }
}

/// Waits until the flow's pace lets a piece of a body pass, and spends those of its bytes that are not paid yet.
///
/// # Errors
/// As [`begin`]; 403 when the run ends meanwhile.
async fn pass(
    plane: Arc<Plane>,
    flow: Arc<Flow>,
    ended: CancellationToken,
    bytes: u64,
    unpaid: u64,
) -> Result<(), Problem> {
    let passing = async {
        for limiter in flow.paces() {
            limiter.pace(bytes).await;
        }
        spend_bytes(&plane, &flow, unpaid).await
    };
    tokio::select! {
        outcome = passing => outcome,
        () = ended.cancelled() => Err(ended_meanwhile()),
    }
}
