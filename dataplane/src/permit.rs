//! Admission of one data request. Code that reaches a source takes a [`Permitted`] value, and only this module makes one.
//!
//! The phases of a request: find the flow, authenticate by the token, check the flow's state, check method, path and query
//! (of a write that something may be written at all; what it is follows when its body is read), ask the agreement's rules, enter the run, spend a use where uses are counted. Nothing behind the data plane is touched
//! before the last one.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use dps_signaling::{DataFlowState, Direction};

use crate::clock::now_ms;
use crate::fairness::Fairness;
use crate::flow::{Access, Connection, Flow, Live, NoEntry, Role, Ticket};
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::proxy::{ended_meanwhile, write};
use crate::token;
use crate::usage::{self, Limiter};

/// Proof that a request may use `T`, and its place in the flow's run.
#[derive(Debug)]
pub(crate) struct Permitted<T> {
    target: T,
    ticket: Ticket,
}

impl<T> Permitted<T> {
    /// What may be used.
    pub(crate) fn target(&self) -> &T {
        &self.target
    }

    /// The place in the run.
    pub(crate) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Gives the place on to the body of the answer.
    pub(crate) fn into_ticket(self) -> Ticket {
        self.ticket
    }
}

/// A request for data, as far as it has to be judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// What follows the flow's address, percent-encoded; empty for the address itself.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

/// Admits a partner's request to one of our sources.
///
/// # Errors
/// 401 without the right token; 403, 405, 400, 414 with the reason when the flow, the dataset or the agreement refuse.
pub(crate) async fn pull(
    plane: &Arc<Plane>,
    flow: Option<Arc<Flow>>,
    request: &HttpRequest,
    asked: Asked<'_>,
) -> Result<Permitted<Arc<Flow>>, Problem> {
    let (flow, live) = authenticate(flow, request, Role::Provider, Direction::Pull)?;
    running(&live)?;
    let Some(plan) = &flow.terms.plan else { return Err(not_valid()) };
    let path = if asked.path.is_empty() { "/" } else { asked.path };
    if write::writes(plan, request.method(), path) {
        if plan.writing.is_none() {
            return Err(Problem::method_not_allowed("GET", "this flow lets nothing be written"));
        }
        return enter(plane, flow, &live, Access::Write, request, plane.fairness.as_ref()).await;
    }
    plan.admission.check(request.method().as_str(), path, asked.query).map_err(|refusal| {
        let problem = Problem::from(refusal);
        match header::HeaderValue::from_str(&plan.admission.methods.join(", ")) {
            Ok(allow) if problem.status() == StatusCode::METHOD_NOT_ALLOWED => {
                problem.with_header(header::ALLOW, allow)
            }
            _ => problem,
        }
    })?;
    enter(plane, flow, &live, Access::Read, request, plane.fairness.as_ref()).await
}

/// Admits what a partner pushes to us.
///
/// # Errors
/// 401 without the right token; 403 when the flow is not ready.
pub(crate) async fn push(
    plane: &Arc<Plane>,
    flow: Option<Arc<Flow>>,
    request: &HttpRequest,
) -> Result<Permitted<Arc<Flow>>, Problem> {
    let (flow, live) = authenticate(flow, request, Role::Consumer, Direction::Push)?;
    if live.state != DataFlowState::Prepared {
        running(&live)?;
    }
    enter(plane, flow, &live, Access::Read, request, plane.fairness.as_ref()).await
}

/// Admits a local reader of a partner's data.
///
/// # Errors
/// 403 when the flow is not started or the agreement refuses.
pub(crate) async fn local(
    plane: &Arc<Plane>,
    flow: Arc<Flow>,
    request: &HttpRequest,
) -> Result<Permitted<Arc<Flow>>, Problem> {
    let live = flow.live();
    running(&live)?;
    enter(plane, flow, &live, Access::Read, request, None).await
}

/// Admits a partner to its subscriptions: no dataset is read and no use is spent, which is done for each notification.
///
/// # Errors
/// 401 without the right token; 403 when the flow or the agreement refuses.
pub(crate) fn subscriber(flow: Option<Arc<Flow>>, request: &HttpRequest) -> Result<Permitted<Arc<Flow>>, Problem> {
    let (flow, live) = authenticate(flow, request, Role::Provider, Direction::Pull)?;
    running(&live)?;
    if flow.needs.is_none() {
        flow.judge(Access::Read, now_ms())?;
    }
    let ticket = take_place(&flow, &live, connection(request))?;
    Ok(Permitted { target: flow, ticket })
}

/// Admits a notification: one use, of the provider's side when a broker sends it, of the consumer's when it goes to a program.
///
/// # Errors
/// 403 when the flow or the agreement refuses.
pub(crate) async fn notification(plane: &Arc<Plane>, flow: &Arc<Flow>) -> Result<Permitted<Arc<Flow>>, Problem> {
    let live = flow.live();
    running(&live)?;
    let run = live.run.as_ref().ok_or_else(ended_meanwhile)?;
    let ticket = run.enter(None, None).map_err(|_| ended_meanwhile())?;
    usage::begin_own(plane, flow, &ticket.ended()).await?;
    Ok(Permitted { target: Arc::clone(flow), ticket })
}

async fn enter(
    plane: &Arc<Plane>,
    flow: Arc<Flow>,
    live: &Live,
    access: Access,
    request: &HttpRequest,
    fairness: Option<&Fairness>,
) -> Result<Permitted<Arc<Flow>>, Problem> {
    let metered = flow.needs.is_some();
    if !metered {
        flow.judge(access, now_ms())?;
    }
    let mut ticket = take_place(&flow, live, connection(request))?;
    if let Some(limiter) = &flow.limiter {
        limiter.take_request("the flow's limit of requests per second is reached")?;
    }
    if let Some(fairness) = fairness {
        let share = flow.share(|| fairness.share(&flow.terms.counter_party_id));
        ticket.hold(fairness.admit(share, &ticket.ended()).await?);
    }
    if metered {
        // Last, so that a request that is refused for another reason spends nothing.
        usage::begin(plane, &flow, access, &ticket.ended()).await?;
    }
    Ok(Permitted { target: flow, ticket })
}

/// Enters the flow's run, unless as many are in as its limits allow.
fn take_place(flow: &Flow, live: &Live, connection: Option<Arc<Connection>>) -> Result<Ticket, Problem> {
    let most = flow.limiter.as_ref().and_then(Limiter::concurrent);
    let run = live.run.as_ref().ok_or_else(ended_meanwhile)?;
    run.enter(connection, most).map_err(|reason| match reason {
        NoEntry::Over => ended_meanwhile(),
        NoEntry::Full => usage::too_many_at_once("the flow's limit of answers under way at once is reached"),
    })
}

/// Checks that the token in the request is bound to the flow. Whether the flow or the token is unknown cannot be told from outside.
fn authenticate(
    flow: Option<Arc<Flow>>,
    request: &HttpRequest,
    role: Role,
    direction: Direction,
) -> Result<(Arc<Flow>, Arc<Live>), Problem> {
    let value = request.headers().get(header::AUTHORIZATION);
    let Some(presented) = value.and_then(|value| token::presented(value.as_bytes())) else {
        return Err(Problem::unauthorized("a data request needs the token of its transfer in `Authorization`"));
    };
    let flow = flow.ok_or_else(not_valid)?;
    if (flow.terms.role, flow.terms.direction) != (role, direction) {
        return Err(not_valid());
    }
    let live = flow.live();
    let issued = live.issued(presented).ok_or_else(not_valid)?;
    if issued.expires_ms <= now_ms() {
        let how = if live.renewal.is_some() { "renew it" } else { "suspend and resume the transfer for a new one" };
        return Err(Problem::unauthorized(format!("the token has expired; {how}")));
    }
    Ok((flow, live))
}

fn not_valid() -> Problem {
    Problem::unauthorized("the token is not valid for this address")
}

fn running(live: &Live) -> Result<(), Problem> {
    let (code, detail) = match live.state {
        DataFlowState::Started => return Ok(()),
        DataFlowState::Suspended => ("flow_suspended", "the transfer is suspended".to_owned()),
        DataFlowState::Completed | DataFlowState::Terminated => {
            ("flow_ended", format!("the transfer has ended: {}", live.state))
        }
        state => ("flow_not_started", format!("the transfer has not started: {state}")),
    };
    Err(Problem::new(StatusCode::FORBIDDEN, code, Fault::Caller, detail))
}

fn connection(request: &HttpRequest) -> Option<Arc<Connection>> {
    request.conn_data::<Arc<Connection>>().cloned()
}
