//! What the tables `negotiation` and `transfer` have in common: both hold processes with a counter-party, and in both the
//! row is the outbox of what it owes.

use sea_orm::{Condition, EntityTrait, FromQueryResult, IntoActiveModel, ModelTrait};

use super::{negotiation, transfer};
use crate::store::page::Listing;
use crate::store::unit::StepKind;

/// The table of a kind of process.
pub(crate) type TableOf<P> = <P as ModelTrait>::Entity;
/// A column of that table.
pub(crate) type ColumnOf<P> = <TableOf<P> as EntityTrait>::Column;
/// A change of a row of that table.
pub(crate) type ActiveOf<P> = <TableOf<P> as EntityTrait>::ActiveModel;

/// Columns that queries about any process use.
pub(crate) struct Columns<C> {
    /// Our own pid.
    pub id: C,
    /// Participant context.
    pub context: C,
    /// Our role.
    pub role: C,
    /// The counter-party's participant id.
    pub counter_party: C,
    /// The counter-party's pid.
    pub counter_pid: C,
    /// Not to be tried before, ms.
    pub next_attempt_at: C,
    /// Replica that works on the row.
    pub lease_owner: C,
    /// Until when the lease holds, ms.
    pub lease_until: C,
}

/// A row of `negotiation` or `transfer`.
pub(crate) trait ProcessRow:
    ModelTrait<Entity: EntityTrait<Model = Self, Column: Copy, ActiveModel: Send>>
    + FromQueryResult
    + IntoActiveModel<ActiveOf<Self>>
    + Sync
    + 'static
{
    /// Kind of process, for the worker.
    const KIND: StepKind;
    /// Columns that queries use.
    const COLUMNS: Columns<ColumnOf<Self>>;
    /// How the table is listed.
    const LISTING: Listing<ColumnOf<Self>>;
    /// The rows that owe something, for a query.
    fn owing() -> Condition;
    /// Whether the row owes something.
    fn owes(&self) -> bool;
    /// The columns that every process has, to be read.
    fn common(&self) -> Common<'_>;
    /// The columns that every process has, to be changed.
    fn common_mut(&mut self) -> CommonMut<'_>;
}

// Macros, since the entities are flat: no struct with the common columns can be nested in them.
macro_rules! process_row {
    ($table:ident, $kind:ident, [$($owing:ident => $owed:ident),+], [$($read:ident),+], [$($change:ident),+]) => {
        impl ProcessRow for $table::Model {
            const KIND: StepKind = StepKind::$kind;
            const COLUMNS: Columns<$table::Column> = Columns {
                id: $table::Column::Id,
                context: $table::Column::Context,
                role: $table::Column::Role,
                counter_party: $table::Column::CounterParty,
                counter_pid: $table::Column::CounterPid,
                next_attempt_at: $table::Column::NextAttemptAt,
                lease_owner: $table::Column::LeaseOwner,
                lease_until: $table::Column::LeaseUntil,
            };
            const LISTING: Listing<$table::Column> = Listing {
                sort: &[("createdAt", $table::Column::CreatedAt), ("updatedAt", $table::Column::UpdatedAt)],
                filter: &[
                    ("role", $table::Column::Role),
                    ("state", $table::Column::State),
                    ("counterPartyId", $table::Column::CounterParty),
                    ("datasetId", $table::Column::DatasetId),
                    ("agreementId", $table::Column::AgreementId),
                ],
                id: $table::Column::Id,
            };
            fn owing() -> Condition {
                use sea_orm::ColumnTrait as _;
                Condition::any()$(.add($table::Column::$owing.is_not_null()))+
            }
            fn owes(&self) -> bool {
                false $(|| self.$owed.is_some())+
            }
            fn common(&self) -> Common<'_> {
                Common { $($read: &self.$read),+ }
            }
            fn common_mut(&mut self) -> CommonMut<'_> {
                CommonMut { $($change: &mut self.$change),+ }
            }
        }
    };
}

macro_rules! process_rows {
    (read { $($read:ident: $read_type:ty),+ $(,)? } change { $($change:ident: $change_type:ty),+ $(,)? }) => {
        /// The columns that every process has; [`negotiation::Model`] says what each means.
        pub(crate) struct Common<'r> { $(pub $read: &'r $read_type),+ }

        /// The same, to be changed.
        pub(crate) struct CommonMut<'r> { $(pub $change: &'r mut $change_type),+ }

        process_row!(negotiation, Negotiation, [Owed => owed], [$($read),+], [$($change),+]);
        process_row!(transfer, Transfer, [Owed => owed, FlowTarget => flow_target], [$($read),+], [$($change),+]);
    };
}

process_rows! {
    read {
        id: String,
        context: String,
        role: String,
        counter_party: String,
        counter_pid: Option<String>,
        counter_address: String,
        settled: Option<String>,
        owed_id: Option<String>,
        state: String,
        dataset_id: String,
        decision: String,
        initial_digest: Option<String>,
        termination: Option<String>,
        error: Option<String>,
        attempts: i32,
        owed_since: i64,
        next_attempt_at: i64,
        lease_owner: Option<String>,
        lease_until: i64,
        updated_at: i64,
    }
    change {
        id: String,
        counter_pid: Option<String>,
        settled: Option<String>,
        owed: Option<String>,
        owed_id: Option<String>,
        state: String,
        last_taken: Option<String>,
        termination: Option<String>,
        error: Option<String>,
        attempts: i32,
        owed_since: i64,
        next_attempt_at: i64,
        lease_owner: Option<String>,
        lease_until: i64,
        created_at: i64,
        updated_at: i64,
    }
}
