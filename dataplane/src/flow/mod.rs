//! Data flows: what was agreed when they came, and what changes while they live.

mod record;
mod run;
mod table;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use dps_signaling::{DataAddress, DataFlowState, Delivery, Direction};
use ngsi_ld_filter::{Filter, Writer};
use policy_plan::{EnforcementPlan, Residual, Used};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub(crate) use record::{FlowRecord, moves};
pub(crate) use run::{Connection, NoEntry, Run, Ticket};
pub(crate) use table::FlowTable;

use crate::fairness::Share;
use crate::problem::Problem;
use crate::proxy::Bookmarks;
use crate::renewal::Renewal;
use crate::source::Source;
use crate::token::TokenHash;
use crate::usage::{Account, Limiter, Needs};

/// Property of a data address that says which interface lies behind it, so that the consumer's data plane can offer the same.
/// Data planes of other makers ignore it.
pub(crate) const INTERFACE_PROPERTY: &str = "https://github.com/hansa-connector/hansa/ns/interface";
/// The interface of an NGSI-LD broker; also a label of flows.
pub(crate) const NGSI_LD: &str = "ngsi-ld";
/// Property of a data address that says that the flow goes on at another one when its data plane is gone, which comes by a start.
pub(crate) const MOVES_PROPERTY: &str = "https://github.com/hansa-connector/hansa/ns/moves";

/// On which side of the transfer we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// We fetch or receive.
    Consumer,
    /// We serve or send.
    Provider,
}

/// What a request does with the data behind a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It reads.
    Read,
    /// It writes.
    Write,
}

/// What does not change in the life of a flow.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Our name for the flow.
    pub(crate) id: String,
    /// The control plane's name.
    pub(crate) process_id: String,
    pub(crate) role: Role,
    pub(crate) direction: Direction,
    pub(crate) profile: String,
    pub(crate) counter_party_id: String,
    pub(crate) agreement_id: String,
    pub(crate) dataset_id: String,
    pub(crate) labels: Vec<String>,
    /// What the agreement admits. A provider always has one.
    pub(crate) plan: Option<EnforcementPlan>,
    /// The control plane whose key signed the plan.
    pub(crate) control_plane: Option<String>,
    /// Base address for this flow's callbacks, where the control plane named one.
    pub(crate) callback_address: Option<String>,
    /// The control plane can verify who the partner is, so that its token can be renewed.
    pub(crate) renewable: bool,
    /// What the consumer wants done with the data beside reading it.
    pub(crate) delivery: Option<Delivery>,
}

impl Terms {
    /// Whether the partner gets an address and a token from us: it reads from us, or it writes to us.
    pub(crate) fn hands_out_address(&self) -> bool {
        matches!((self.role, self.direction), (Role::Provider, Direction::Pull) | (Role::Consumer, Direction::Push))
    }

    /// Whether the dataset is an NGSI-LD broker's: an HTTP source that admits paths of that interface.
    pub(crate) fn serves_ngsi_ld(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| {
            matches!(plan.source, Some(policy_plan::Source::Http { .. }))
                && plan.admission.paths.iter().any(|path| path.starts_with("/ngsi-ld/"))
        })
    }
}

/// What changes. A new one replaces the old one as a whole.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) state: DataFlowState,
    /// The token that we gave to the partner.
    pub(crate) token: Option<Issued>,
    /// How the partner gets the next one, where it can.
    pub(crate) renewal: Option<Renewal>,
    /// The address that the partner gave to us.
    pub(crate) address: Option<DataAddress>,
    /// When the token in that address ends, where it can be renewed; milliseconds since the epoch.
    pub(crate) address_expires_ms: Option<i64>,
    /// Id of the message that led here: the same message again gets the same answer.
    pub(crate) last_message: Option<String>,
    /// When the flow came here, in milliseconds since the epoch.
    pub(crate) changed_ms: i64,
    /// Present while data may move.
    pub(crate) run: Option<Arc<Run>>,
}

impl Live {
    /// The token of ours that the partner shows: the present one, or after a renewal still the one before.
    pub(crate) fn issued(&self, presented: &str) -> Option<Issued> {
        let shown = TokenHash::of(presented);
        let before = self.renewal.as_ref().and_then(Renewal::token_before);
        [self.token, before].into_iter().flatten().find(|issued| issued.hash.is(&shown))
    }
}

/// A token that we gave out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Issued {
    pub(crate) hash: TokenHash,
    /// Milliseconds since the epoch.
    pub(crate) expires_ms: i64,
}

/// A data flow.
pub(crate) struct Flow {
    pub(crate) terms: Terms,
    live: RwLock<Arc<Live>>,
    /// Tells those who wait of each new situation.
    changed: Notify,
    /// Signals for one flow are handled one after the other.
    pub(crate) gate: tokio::sync::Mutex<()>,
    /// What of its use the rules look at; `None` when the clock alone decides.
    pub(crate) needs: Option<Needs>,
    /// How fast it may be used, where that is limited.
    pub(crate) limiter: Option<Limiter>,
    /// The partner's part of the public listener, once it was used where that is limited.
    share: OnceLock<Arc<Share>>,
    /// What is granted under its agreement, once it was asked for.
    account: OnceLock<Arc<Account>>,
    /// From this millisecond on, when it was made, and until this one the last positive decision of the rules holds. Both ends are
    /// looked at, since a clock may also be set back.
    allowed_from_ms: AtomicI64,
    allowed_until_ms: AtomicI64,
    /// The partner wants its token without `Bearer`.
    pub(crate) raw_token: AtomicBool,
    /// The control plane knows that we keep something of it that no other data plane has.
    pub(crate) pinned: AtomicBool,
    /// Somebody is renewing the token of the partner's address.
    pub(crate) renewing: AtomicBool,
    /// The source, once it was opened.
    source: OnceLock<Arc<Source>>,
    /// The plan's selection, once it was made ready.
    filter: OnceLock<Arc<Filter>>,
    /// What may be written, once it was made ready.
    writer: OnceLock<Arc<Writer>>,
    /// Where pages of what is shown begin in the source's list.
    pub(crate) bookmarks: Bookmarks,
}

impl Flow {
    pub(crate) fn new(terms: Terms, live: Live) -> Self {
        let plan = terms.plan.as_ref();
        Self {
            needs: plan.and_then(|plan| Needs::of(&plan.rules)),
            limiter: plan.and_then(|plan| Limiter::of(&plan.limits)),
            share: OnceLock::new(),
            account: OnceLock::new(),
            terms,
            live: RwLock::new(Arc::new(live)),
            changed: Notify::new(),
            gate: tokio::sync::Mutex::new(()),
            allowed_from_ms: AtomicI64::new(i64::MAX),
            allowed_until_ms: AtomicI64::new(i64::MIN),
            raw_token: AtomicBool::new(false),
            bookmarks: Bookmarks::default(),
            pinned: AtomicBool::new(false),
            renewing: AtomicBool::new(false),
            source: OnceLock::new(),
            filter: OnceLock::new(),
            writer: OnceLock::new(),
        }
    }

    /// The present situation.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new situation in place; the old run is cut unless the new situation carries it on.
    pub(crate) fn publish(&self, live: Live) {
        let next = Arc::new(live);
        let before = {
            let mut place = self.live.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *place, Arc::clone(&next))
        };
        if let Some(run) = &before.run
            && !next.run.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, run))
        {
            run.cut();
        }
        self.changed.notify_waiters();
    }

    /// Waits for the first situation that `fits`, which may be the present one.
    pub(crate) async fn situation(&self, fits: impl Fn(&Live) -> bool) -> Arc<Live> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let live = self.live();
            if fits(&live) {
                return live;
            }
            changed.await;
        }
    }

    /// The source, opened by `open` at the first use.
    ///
    /// # Errors
    /// What `open` says; it is asked again the next time.
    pub(crate) async fn source(
        &self,
        open: impl Future<Output = Result<Source, Problem>>,
    ) -> Result<Arc<Source>, Problem> {
        if let Some(source) = self.source.get() {
            return Ok(Arc::clone(source));
        }
        let source = Arc::new(open.await?);
        Ok(Arc::clone(self.source.get_or_init(|| source)))
    }

    /// The plan's selection, made ready at the first use; `None` when the plan has none.
    ///
    /// # Errors
    /// 500 when it cannot be used; that was checked when the flow came.
    pub(crate) fn filter(&self) -> Result<Option<Arc<Filter>>, Problem> {
        let Some(selection) = self.terms.plan.as_ref().and_then(|plan| plan.selection.as_ref()) else {
            return Ok(None);
        };
        if let Some(filter) = self.filter.get() {
            return Ok(Some(Arc::clone(filter)));
        }
        let filter = Arc::new(Filter::new(selection.clone()).map_err(|fault| Problem::internal(&fault))?);
        Ok(Some(Arc::clone(self.filter.get_or_init(|| filter))))
    }

    /// The account of its agreement; `find` gives it at the first use.
    pub(crate) fn account(&self, find: impl FnOnce() -> Arc<Account>) -> Arc<Account> {
        Arc::clone(self.account.get_or_init(find))
    }

    /// The partner's part of the public listener; `find` gives it at the first use.
    pub(crate) fn share(&self, find: impl FnOnce() -> Arc<Share>) -> &Share {
        self.share.get_or_init(find)
    }

    /// The account of its agreement, if it has been used.
    pub(crate) fn used_account(&self) -> Option<&Arc<Account>> {
        self.account.get()
    }

    /// Whether each piece of a body has to be paid for, or to wait for its turn.
    pub(crate) fn counts_bytes(&self) -> bool {
        self.needs.is_some_and(|needs| needs.volume) || self.paces().next().is_some()
    }

    /// The paces of its bodies: that of the flow and that of all flows of its partner.
    pub(crate) fn paces(&self) -> impl Iterator<Item = &Limiter> {
        let of_partner = self.share.get().and_then(|share| share.limiter());
        self.limiter.as_ref().into_iter().chain(of_partner).filter(|limiter| limiter.is_paced())
    }

    /// What may be written, made ready at the first use; `None` when the plan lets nothing be written.
    ///
    /// # Errors
    /// 500 when it cannot be used; that was checked when the flow came.
    pub(crate) fn writer(&self) -> Result<Option<Arc<Writer>>, Problem> {
        let Some(writing) = self.terms.plan.as_ref().and_then(|plan| plan.writing.as_ref()) else { return Ok(None) };
        if let Some(writer) = self.writer.get() {
            return Ok(Some(Arc::clone(writer)));
        }
        let writer = Writer::new(writing.what.clone(), self.filter()?).map_err(|fault| Problem::internal(&fault))?;
        Ok(Some(Arc::clone(self.writer.get_or_init(|| Arc::new(writer)))))
    }

    /// The agreement's rules for reading or writing; `None` where there are none, or nothing may be written.
    pub(crate) fn rules(&self, access: Access) -> Option<&Residual> {
        let plan = self.terms.plan.as_ref()?;
        match access {
            Access::Read => Some(&plan.rules),
            Access::Write => plan.writing.as_ref().map(|writing| &writing.rules),
        }
    }

    /// Asks the agreement's rules, for a flow whose use is not metered. A positive answer for reading is remembered until the
    /// next moment at which it could change.
    ///
    /// # Errors
    /// The refusal with rule and fact.
    pub(crate) fn judge(&self, access: Access, now_ms: i64) -> Result<(), Problem> {
        let until = self.allowed_until_ms.load(Ordering::Acquire);
        let remembered = now_ms < until && now_ms >= self.allowed_from_ms.load(Ordering::Relaxed);
        if access == Access::Read && remembered {
            return Ok(());
        }
        let Some(rules) = self.rules(access) else { return Ok(()) };
        let decision = rules.decide(now_ms, &Used::default());
        if !decision.allow {
            return Err(Problem::from(decision.refusal()));
        }
        if access == Access::Read {
            self.allowed_from_ms.store(now_ms, Ordering::Relaxed);
            self.allowed_until_ms.store(decision.next_boundary_ms.unwrap_or(i64::MAX), Ordering::Release);
        }
        Ok(())
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Flow")
            .field("id", &self.terms.id)
            .field("process_id", &self.terms.process_id)
            .field("state", &self.live().state)
            .finish_non_exhaustive()
    }
}
