//! What the control plane's signals do to flows (DPS, Data Plane API).
//!
//! A change is on disk before it is answered. Signals that stop data are different in one point: streams are cut first, so
//! that a full disk cannot keep data moving.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dps_signaling::{
    Callback as Told, DataAddress, DataFlowState, Direction, FlowRequest, HTTP_PULL, HTTP_PUSH, Signal, StatusMessage,
    next,
};
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::clock::now_ms;
use crate::flow::{
    Flow, FlowRecord, INTERFACE_PROPERTY, Issued, Live, MOVES_PROPERTY, NGSI_LD, Role, Run, Terms, moves,
};
use crate::inbox;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::push;
use crate::renewal::{self, Renewal};
use crate::signaling::callback::Callback;
use crate::signaling::caller::Caller;
use crate::store::Change;
use crate::token;

/// Names of the two kinds of transfer: the profile's, and the short ones of test kits and EDC.
const PULL: [&str; 3] = [HTTP_PULL, "http-pull", "HttpData-PULL"];
const PUSH: [&str; 3] = [HTTP_PUSH, "http-push", "HttpData-PUSH"];

/// The answer to a signal.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusMessage,
    /// The work goes on; a callback follows.
    pub(crate) accepted: bool,
}

impl Plane {
    /// `prepare`: we are the consumer.
    ///
    /// # Errors
    /// 400 with what is wrong.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        request: FlowRequest,
        name: Option<&str>,
        caller: &Caller,
    ) -> Result<Answer, Problem> {
        self.take_up(Role::Consumer, Signal::Prepare, request, name, caller).await
    }

    /// `start`: we are the provider.
    ///
    /// # Errors
    /// 400 with what is wrong.
    pub(crate) async fn start(
        self: &Arc<Self>,
        request: FlowRequest,
        name: Option<&str>,
        caller: &Caller,
    ) -> Result<Answer, Problem> {
        self.take_up(Role::Provider, Signal::Start, request, name, caller).await
    }

    /// `started`: we are the consumer, and the provider gave its address. It is kept, not called.
    ///
    /// # Errors
    /// 404 for an unknown flow, 400 for a wrong state or address.
    pub(crate) async fn started(
        self: &Arc<Self>,
        id: &str,
        message: Option<String>,
        address: Option<&Value>,
    ) -> Result<Answer, Problem> {
        let flow = self.known(id)?;
        match (flow.terms.direction, address.is_some()) {
            // The short names belong to test kits, which send no address.
            (Direction::Pull, false) if flow.terms.profile == HTTP_PULL => {
                return Err(Problem::bad_request("address_missing", "a pull is started with a data address"));
            }
            (Direction::Push, true) if flow.terms.profile == HTTP_PUSH => {
                return Err(Problem::bad_request("address_not_expected", "a push is started without a data address"));
            }
            _ => {}
        }
        self.check_renewal(&flow, address)?;
        self.change(&flow, Signal::Started, message, address, false).await
    }

    /// With the setting, a pull by the HTTP profile must come with an address that can be renewed.
    fn check_renewal(&self, flow: &Flow, address: Option<&Value>) -> Result<(), Problem> {
        let Some(address) = address.filter(|_| self.config.renewal.required && flow.terms.profile == HTTP_PULL) else {
            return Ok(());
        };
        if DataAddress::decode(address)?.renewal().is_none() {
            let detail = "the data address has no `refreshToken` and `expiresIn`, and `renewal.required` is set";
            return Err(Problem::bad_request("renewal_missing", detail));
        }
        Ok(())
    }

    /// `resume`, on either side.
    ///
    /// # Errors
    /// 404 for an unknown flow, 400 for a wrong state or address.
    pub(crate) async fn resume(
        self: &Arc<Self>,
        id: &str,
        message: Option<String>,
        address: Option<&Value>,
    ) -> Result<Answer, Problem> {
        let flow = self.known(id)?;
        self.check_renewal(&flow, address)?;
        self.change(&flow, Signal::Resume, message, address, false).await
    }

    /// `suspend`, on either side. With `swap` a resumption with another address follows: what we read comes to its end.
    ///
    /// # Errors
    /// 404 for an unknown flow, 400 for a wrong state.
    pub(crate) async fn suspend(
        self: &Arc<Self>,
        id: &str,
        message: Option<String>,
        swap: bool,
    ) -> Result<Answer, Problem> {
        let flow = self.known(id)?;
        let reads = (flow.terms.role, flow.terms.direction) == (Role::Consumer, Direction::Pull);
        self.change(&flow, Signal::Suspend, message, None, swap && reads).await
    }

    /// `completed` or `terminate`, on either side.
    ///
    /// # Errors
    /// 404 for an unknown flow, 400 for a wrong state.
    pub(crate) async fn stop(
        self: &Arc<Self>,
        id: &str,
        signal: Signal,
        message: Option<String>,
    ) -> Result<Answer, Problem> {
        let flow = self.known(id)?;
        self.change(&flow, signal, message, None, false).await
    }

    /// The flow's state.
    ///
    /// # Errors
    /// 404 for an unknown flow.
    pub(crate) fn status(&self, id: &str) -> Result<StatusMessage, Problem> {
        let flow = self.known(id)?;
        Ok(StatusMessage { message_id: None, ..status(&flow, flow.live().state, None) })
    }

    /// All data of a push was sent, or cannot be sent. The control plane is told.
    pub(crate) async fn push_ended(self: &Arc<Self>, flow: &Arc<Flow>, run: &Arc<Run>, outcome: Result<(), String>) {
        let _gate = flow.gate.lock().await;
        let live = flow.live();
        if !live.run.as_ref().is_some_and(|current| Arc::ptr_eq(current, run)) {
            return;
        }
        let (state, told, error) = match (&outcome, next(Some(live.state), Signal::DataDone)) {
            (Ok(()), Ok(state)) => (state, Told::Completed, None),
            (Ok(()), Err(_)) => return,
            (Err(reason), _) => (live.state, Told::Errored, Some(reason.clone())),
        };
        if let Err(problem) = self.end(flow, &live, state, told, error).await {
            tracing::error!(flow = flow.terms.id, %problem, "the end of a push could not be kept; it is told all the same");
        }
    }

    /// Our own reader has got all that it wants: the transfer is done. The control plane is told. Saying it again changes nothing.
    ///
    /// # Errors
    /// 404 for an unknown transfer, 400 when it does not run.
    pub(crate) async fn reader_done(&self, process_id: &str) -> Result<(), Problem> {
        let unknown =
            || Problem::not_found("unknown_transfer", "there is no transfer of this name on the consumer's side");
        let flow = self.flows.by_process(Role::Consumer, process_id).ok_or_else(unknown)?;
        let _gate = flow.gate.lock().await;
        let live = flow.live();
        if live.state == DataFlowState::Completed {
            return Ok(());
        }
        let state = next(Some(live.state), Signal::DataDone)?;
        let before = Live { address: None, address_expires_ms: None, ..(*live).clone() };
        self.end(&flow, &before, state, Told::Completed, None).await
    }

    /// Ends a flow's run of our own accord. A flow that failed has no run any more, and keeps its state until the control plane
    /// decides.
    async fn end(
        &self,
        flow: &Flow,
        live: &Live,
        state: DataFlowState,
        told: Told,
        error: Option<String>,
    ) -> Result<(), Problem> {
        let ended = Live { state, run: None, changed_ms: now_ms(), ..live.clone() };
        let message = StatusMessage { error, ..status(flow, state, None) };
        let callback = Callback::new(self.callback_base(flow), &flow.terms.process_id, told, &message);
        let changes = vec![Change::flow(&FlowRecord::of(&flow.terms, &ended)), callback.keep()];
        flow.publish(ended);
        self.deliveries.notify_one();
        let kept = self.write(changes).await;
        // The receiver lives as long as the plane.
        let _ = self.callbacks.send(callback);
        kept
    }

    /// Goes on where a restart interrupted: unfinished preparations and starts, and pushes.
    pub(crate) fn take_up_again(self: &Arc<Self>) {
        use DataFlowState::{Preparing, Started, Starting};
        for flow in self.flows.select(|flow| matches!(flow.live().state, Preparing | Starting)) {
            let plane = Arc::clone(self);
            self.background.spawn(async move {
                let outcome = plane.settle(&flow).await;
                plane.tell(&flow, outcome).await;
            });
        }
        for flow in self.flows.select(|flow| is_push_of_ours(&flow.terms) && flow.live().state == Started) {
            self.launch_push(&flow);
        }
    }

    async fn take_up(
        self: &Arc<Self>,
        role: Role,
        signal: Signal,
        request: FlowRequest,
        name: Option<&str>,
        caller: &Caller,
    ) -> Result<Answer, Problem> {
        let direction = direction(&request.profile)?;
        if let Some(flow) = self.flows.by_process(role, &request.process_id) {
            caller.check_owner(flow.terms.control_plane.as_deref())?;
            return self.repeat(&flow, signal, &request.message_id).await;
        }
        let address = self.address_at_start(role, direction, &request)?;
        let now = now_ms();
        let delivery = self.delivery(role, direction, &request)?;
        let (control_plane, plan) = self.plan(role, &request, now)?.unzip();
        let control_plane = caller.owner(control_plane.flatten())?;
        let terms = Terms {
            id: flow_name(name)?,
            role,
            direction,
            control_plane,
            plan,
            callback_address: self.admitted_callback_address(request.callback_address.as_deref()),
            renewable: self.is_renewable(role, direction, &request),
            delivery,
            process_id: request.process_id,
            profile: request.profile,
            counter_party_id: request.counter_party_id,
            agreement_id: request.agreement_id,
            dataset_id: request.dataset_id,
            labels: request.labels,
        };
        let live = Live {
            state: next(None, signal)?,
            token: None,
            renewal: None,
            address,
            address_expires_ms: None,
            last_message: Some(request.message_id),
            changed_ms: now,
            run: None,
        };
        let flow = Arc::new(Flow::new(terms, live));
        if !self.flows.insert(&flow) {
            return Err(Problem::bad_request("flow_exists", "there is a flow of this name or process already"));
        }
        self.finish_within(&flow).await
    }

    /// Waits for the flow to be ready, but not for long: then the answer is 202 and a callback follows.
    async fn finish_within(self: &Arc<Self>, flow: &Arc<Flow>) -> Result<Answer, Problem> {
        let begun = flow.live().state;
        let (done, mut finished) = oneshot::channel();
        let limit = self.config.answer_within;
        if limit.is_zero() {
            finished.close();
        }
        let (plane, waiting) = (Arc::clone(self), Arc::clone(flow));
        self.background.spawn(async move {
            let outcome = plane.settle(&waiting).await;
            if let Err(outcome) = done.send(outcome) {
                plane.tell(&waiting, outcome).await;
            }
        });
        let outcome = match limit.is_zero() {
            true => None,
            false => tokio::time::timeout(limit, &mut finished).await.ok(),
        };
        let outcome = outcome.or_else(|| {
            // From here on the task tells by callback; what it gave at the last moment is taken.
            finished.close();
            finished.try_recv().ok().map(Ok)
        });
        match outcome {
            Some(Ok(Ok(status))) => Ok(Answer { status, accepted: false }),
            Some(Ok(Err(problem))) => {
                self.flows.remove(flow);
                Err(problem)
            }
            Some(Err(_)) => {
                self.flows.remove(flow);
                Err(Problem::internal(&"a task ended early"))
            }
            None => {
                let _gate = flow.gate.lock().await;
                let live = flow.live();
                if live.state == begun {
                    self.write(vec![Change::flow(&FlowRecord::of(&flow.terms, &live))]).await?;
                }
                Ok(Answer { status: status(flow, begun, None), accepted: true })
            }
        }
    }

    /// Makes a flow ready: opens its source or its inbox, then grants a token where the partner needs one.
    async fn settle(self: &Arc<Self>, flow: &Arc<Flow>) -> Result<StatusMessage, Problem> {
        match (flow.terms.role, flow.terms.direction) {
            (Role::Provider, _) => self.source(flow).await.map(drop)?,
            (Role::Consumer, Direction::Push) => inbox::make(self, &flow.terms.process_id)?,
            (Role::Consumer, Direction::Pull) => {}
        }
        let _gate = flow.gate.lock().await;
        let live = flow.live();
        let done = match flow.terms.role {
            Role::Consumer => Signal::PreparationDone,
            Role::Provider => Signal::StartDone,
        };
        let state = next(Some(live.state), done)?;
        let status = self.arrive(flow, &live, state, live.last_message.clone(), true).await?;
        if is_push_of_ours(&flow.terms) {
            self.launch_push(flow);
        }
        Ok(status)
    }

    /// Tells the control plane how an asynchronous preparation or start ended.
    async fn tell(self: &Arc<Self>, flow: &Arc<Flow>, outcome: Result<StatusMessage, Problem>) {
        let (told, message) = match outcome {
            Ok(message) if message.state == DataFlowState::Prepared => (Told::Prepared, message),
            Ok(message) => (Told::Started, message),
            Err(problem) => {
                let message =
                    StatusMessage { error: Some(problem.to_string()), ..status(flow, flow.live().state, None) };
                (Told::Errored, message)
            }
        };
        let callback = Callback::new(self.callback_base(flow), &flow.terms.process_id, told, &message);
        if let Err(problem) = self.write(vec![callback.keep()]).await {
            tracing::error!(flow = flow.terms.id, %problem, "a callback could not be kept; it is sent all the same");
        }
        // The receiver lives as long as the plane.
        let _ = self.callbacks.send(callback);
    }

    /// Moves a flow into a state in which it may have a run, on disk first. With `grant` the partner gets a new token where
    /// it needs one.
    async fn arrive(
        &self,
        flow: &Arc<Flow>,
        live: &Live,
        state: DataFlowState,
        message: Option<String>,
        grant: bool,
    ) -> Result<StatusMessage, Problem> {
        let now = now_ms();
        let mut next = Live { state, last_message: message, changed_ms: now, ..live.clone() };
        let mut address = None;
        if grant && flow.terms.hands_out_address() {
            let (issued, renewal, given) = self.grant(flow, now)?;
            next.token = Some(issued);
            next.renewal = renewal;
            address = Some(given.encode());
        }
        if !moves(flow.terms.role, flow.terms.direction, state) {
            next.run = None;
        } else if next.run.as_ref().is_none_or(|run| run.is_over()) {
            next.run = Some(Arc::new(Run::default()));
        }
        self.write(vec![Change::flow(&FlowRecord::of(&flow.terms, &next))]).await?;
        flow.publish(next);
        self.deliveries.notify_one();
        Ok(status(flow, state, address))
    }

    fn grant(&self, flow: &Flow, now_ms: i64) -> Result<(Issued, Option<Renewal>, DataAddress), Problem> {
        let (text, hash) = token::mint().map_err(|error| Problem::internal(&error))?;
        let seconds = self.token_seconds(&flow.terms);
        let base = self.public_address(&flow.terms.id);
        let (profile, endpoint) = match flow.terms.direction {
            Direction::Pull => (HTTP_PULL, base),
            Direction::Push => (HTTP_PUSH, format!("{base}/inbox")),
        };
        let issued = Issued { hash, expires_ms: now_ms.saturating_add(i64::from(seconds) * 1000) };
        let mut address = DataAddress::bearer(profile, &endpoint, &text, Some(u64::from(seconds)));
        let mut renewal = None;
        if flow.terms.renewable {
            let (refresh, hash) = token::mint().map_err(|error| Problem::internal(&error))?;
            address = address.renewable(&refresh, &self.refresh_address(&flow.terms.id));
            renewal = Some(Renewal::new(hash));
        }
        if flow.terms.direction == Direction::Push {
            address.properties.push((inbox::PROPERTY.to_owned(), inbox::RESUMABLE.to_owned()));
        }
        if flow.terms.direction == Direction::Pull && self.is_seen() {
            address.properties.push((MOVES_PROPERTY.to_owned(), "true".to_owned()));
        }
        if flow.terms.serves_ngsi_ld() {
            address.properties.push((INTERFACE_PROPERTY.to_owned(), NGSI_LD.to_owned()));
        }
        Ok((issued, renewal, address))
    }

    /// Whether the partner's token shall be one that it renews: only where the control plane says that it knows the partner by
    /// its DID, since it has to verify who comes for a new one.
    fn is_renewable(&self, role: Role, direction: Direction, request: &FlowRequest) -> bool {
        let verifiable = request.metadata.get("renewal").and_then(Value::as_bool).unwrap_or_default();
        self.config.renewal.offered && verifiable && (role, direction) == (Role::Provider, Direction::Pull)
    }

    /// A `prepare` or `start` for a process that is known: the same message gets its answer again, with a new token where
    /// one belongs to it, since the first answer may have been lost.
    async fn repeat(&self, flow: &Arc<Flow>, signal: Signal, message: &str) -> Result<Answer, Problem> {
        let _gate = flow.gate.lock().await;
        let live = flow.live();
        if live.last_message.as_deref() != Some(message) {
            next(Some(live.state), signal)?;
            return Err(Problem::bad_request("flow_exists", "there is a flow of this process already"));
        }
        if matches!(live.state, DataFlowState::Preparing | DataFlowState::Starting) {
            return Ok(Answer { status: status(flow, live.state, None), accepted: true });
        }
        let status = self.arrive(flow, &live, live.state, live.last_message.clone(), true).await?;
        Ok(Answer { status, accepted: false })
    }

    async fn change(
        self: &Arc<Self>,
        flow: &Arc<Flow>,
        signal: Signal,
        message: Option<String>,
        address: Option<&Value>,
        swap: bool,
    ) -> Result<Answer, Problem> {
        let _gate = flow.gate.lock().await;
        let live = flow.live();
        let repeated = message.is_some() && live.last_message == message;
        let state = if repeated { live.state } else { next(Some(live.state), signal)? };
        if matches!(signal, Signal::Started | Signal::Resume) {
            let mut before = (*live).clone();
            // A message that came again may carry an address whose token has been renewed since.
            if let Some(address) = address.filter(|_| !repeated) {
                let address = self.partner_address(flow, address)?;
                before.address_expires_ms = renewal::expires_ms(&address, now_ms());
                before.address = Some(address);
            }
            // What was pushed to us since `prepare` came with that token; `started` leaves it.
            let status = self.arrive(flow, &before, state, message, signal == Signal::Resume).await?;
            if !repeated && is_push_of_ours(&flow.terms) {
                self.launch_push(flow);
            }
            self.renewals.notify_one();
            return Ok(Answer { status, accepted: false });
        }
        if !repeated {
            let address = live.address.clone().filter(|_| !state.is_final());
            let stopped = Live {
                state,
                token: live.token,
                // Nobody gets a token for a flow that stands; a resumption brings a new pair.
                renewal: None,
                address,
                address_expires_ms: None,
                last_message: message,
                changed_ms: now_ms(),
                run: live.run.clone().filter(|_| swap),
            };
            let change = Change::flow(&FlowRecord::of(&flow.terms, &stopped));
            flow.publish(stopped);
            self.deliveries.notify_one();
            tracing::info!(flow = flow.terms.id, %state, "data has stopped");
            if let Err(problem) = self.write(vec![change]).await {
                // Data stays where it is, but the signal is not taken: it is kept before it is answered, also when it comes again.
                flow.publish(Live { run: None, ..(*live).clone() });
                return Err(problem);
            }
        }
        Ok(Answer { status: status(flow, state, None), accepted: false })
    }

    /// The address of a `prepare` or `start`: only a push is started with one.
    fn address_at_start(
        &self,
        role: Role,
        direction: Direction,
        request: &FlowRequest,
    ) -> Result<Option<DataAddress>, Problem> {
        match (role, direction, &request.data_address) {
            (Role::Provider, Direction::Push, Some(address)) => {
                let address = DataAddress::decode(address)?;
                self.check_address(&address)?;
                Ok(Some(address))
            }
            (Role::Provider, Direction::Push, None) => {
                Err(Problem::bad_request("address_missing", "a push is started with the partner's data address"))
            }
            (Role::Provider, Direction::Pull, Some(_)) => {
                Err(Problem::bad_request("address_not_expected", "a pull is started without a data address"))
            }
            _ => Ok(None),
        }
    }

    fn partner_address(&self, flow: &Flow, address: &Value) -> Result<DataAddress, Problem> {
        if flow.terms.hands_out_address() {
            return Err(Problem::bad_request("address_not_expected", "the partner needs no address on this side"));
        }
        let address = DataAddress::decode(address)?;
        self.check_address(&address)?;
        // A new address may want its token in the other form.
        flow.raw_token.store(false, Ordering::Relaxed);
        Ok(address)
    }

    fn check_address(&self, address: &DataAddress) -> Result<(), Problem> {
        let endpoint = address.endpoint.as_deref().unwrap_or_default();
        self.guard.check(endpoint).map(drop).map_err(|error| Problem::bad_request("bad_address", error.to_string()))
    }

    fn known(&self, id: &str) -> Result<Arc<Flow>, Problem> {
        self.flows.by_id(id).ok_or_else(|| Problem::not_found("unknown_flow", "there is no such data flow"))
    }

    fn launch_push(self: &Arc<Self>, flow: &Arc<Flow>) {
        let Some(run) = flow.live().run.clone() else { return };
        let (plane, flow) = (Arc::clone(self), Arc::clone(flow));
        self.background.spawn(async move {
            let over = plane.over.clone();
            tokio::select! {
                outcome = push::send_all(&plane, &flow, &run) => plane.push_ended(&flow, &run, outcome).await,
                () = over.cancelled() => {}
            }
        });
    }
}

/// Whether we are the one who sends.
pub(crate) fn is_push_of_ours(terms: &Terms) -> bool {
    terms.role == Role::Provider && terms.direction == Direction::Push
}

fn status(flow: &Flow, state: DataFlowState, data_address: Option<Value>) -> StatusMessage {
    let message_id = Some(format!("urn:uuid:{}", Uuid::new_v4()));
    StatusMessage { message_id, data_flow_id: flow.terms.id.clone(), state, data_address, error: None }
}

fn direction(profile: &str) -> Result<Direction, Problem> {
    if PULL.contains(&profile) {
        Ok(Direction::Pull)
    } else if PUSH.contains(&profile) {
        Ok(Direction::Push)
    } else {
        Err(Problem::bad_request("unsupported_profile", "the profile is not one that this data plane serves"))
    }
}

/// The name that the control plane gave, or a new one. It stands in addresses, so it is short and plain.
fn flow_name(given: Option<&str>) -> Result<String, Problem> {
    let Some(name) = given else { return Ok(Uuid::new_v4().simple().to_string()) };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    if name.len() > 200 || !name.bytes().all(plain) || name.bytes().all(|byte| byte == b'.') {
        return Err(Problem::bad_request(
            "bad_value",
            "member `dataFlowId` must be short and of letters, digits, `-_.:`",
        ));
    }
    Ok(name.to_owned())
}
