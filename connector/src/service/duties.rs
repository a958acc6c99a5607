//! The ledger of duties: what agreements oblige to (ODRL 2.2, Duty), written down on both sides when they are concluded. Software
//! cannot see whether data was deleted or a fee was paid; it can remind in time, and keep what people say about it.

use policy::DutyTerm;
use serde_json::{Value, json};
use uuid::Uuid;

use super::decide::policy_of_agreement;
use super::registry::shown;
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::{Unit, agreement, duties, duty};

/// How long before its deadline a duty without a beginning is called due, ms.
const REMIND_BEFORE_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// What an operator says about a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was done.
    Fulfilled,
    /// It was not done, or too late.
    Violated,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fulfilled => "fulfilled",
            Self::Violated => "violated",
        }
    }
}

/// Writes down what a new agreement obliges to. An agreement that is not understood here, which only an operator can have accepted,
/// leaves nothing.
///
/// # Errors
/// When the database fails.
pub(crate) async fn enter(unit: &mut Unit, agreement: &agreement::Model) -> ServiceResult<()> {
    // Compiling is not for the only writer, unless there is something to find.
    if !["duty", "obligation", "remedy"].iter().any(|word| agreement.body.contains(word)) {
        return Ok(());
    }
    let policy = match policy_of_agreement(&agreement.body) {
        Ok(policy) => policy,
        Err(error) => {
            tracing::warn!(agreement = %agreement.id, %error, "the duties of an agreement cannot be read");
            return Ok(());
        }
    };
    let now = unit.now();
    let rows = policy.duties().into_iter().map(|term| row(agreement, term, now)).collect();
    Ok(duties::insert(unit, rows).await?)
}

fn row(agreement: &agreement::Model, term: DutyTerm, now: i64) -> duty::Model {
    duty::Model {
        context: agreement.context.clone(),
        id: Uuid::new_v4().urn().to_string(),
        agreement_id: agreement.id.clone(),
        role: agreement.role.clone(),
        counter_party: agreement.counter_party.clone(),
        dataset_id: agreement.dataset_id.clone(),
        next_at: begins(&term, now),
        name: term.id,
        rule: term.rule,
        kind: term.role.as_str().to_owned(),
        action: term.action,
        text: term.text,
        conditional: term.conditional,
        state: "unset".to_owned(),
        due_from: term.due_from_ms,
        due_by: term.due_by_ms,
        note: None,
        decided_at: None,
        created_at: now,
        updated_at: now,
    }
}

/// When a duty is called due: when its time begins, else in good time before its deadline, else at once. One that depends on
/// something else than time is only called due when it names a time.
fn begins(term: &DutyTerm, now: i64) -> Option<i64> {
    match (term.due_from_ms, term.due_by_ms) {
        (Some(from), _) => Some(from),
        (None, Some(by)) => Some(by.saturating_sub(REMIND_BEFORE_MS).max(now)),
        (None, None) => (!term.conditional).then_some(now),
    }
}

/// Calls due what is due now, and violated what is too late; true when there may be more.
///
/// # Errors
/// When the database fails.
pub(crate) async fn turn(app: &App) -> ServiceResult<bool> {
    let context = app.context();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let rows = duties::due(unit, context, unit.now()).await?;
                let any = !rows.is_empty();
                for row in rows {
                    pass(unit, row).await?;
                }
                Ok(any)
            })
        })
        .await
}

async fn pass(unit: &mut Unit, mut row: duty::Model) -> ServiceResult<()> {
    let now = unit.now();
    let late = row.due_by.is_some_and(|by| by <= now);
    // Of a duty with conditions only people know whether it had to be done.
    if late && !row.conditional {
        return settle(unit, row, Verdict::Violated, None).await.map(drop);
    }
    row.next_at = row.due_by.filter(|by| *by > now && !row.conditional);
    row.updated_at = now;
    let was_open = row.state == "unset";
    if was_open {
        "due".clone_into(&mut row.state);
    }
    duties::save(unit, row.clone()).await?;
    if was_open { announce(unit, &row).await } else { Ok(()) }
}

/// An operator says that a duty was done, or that it was not.
///
/// # Errors
/// `not_found`; `already_decided`, 409, when that is what the ledger says.
pub(crate) async fn decide(app: &App, id: &str, verdict: Verdict, note: Option<String>) -> ServiceResult<duty::Model> {
    let context = app.context();
    let id = id.to_owned();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let row = duties::lock(unit, context, &id).await?;
                let row = row.ok_or_else(|| ServiceError::not_found(format!("there is no duty `{}`", shown(&id))))?;
                if row.state == verdict.as_str() {
                    let message = format!("the duty is {} already", verdict.as_str());
                    return Err(ServiceError::conflict("already_decided", message));
                }
                settle(unit, row, verdict, note).await
            })
        })
        .await
}

async fn settle(
    unit: &mut Unit,
    mut row: duty::Model,
    verdict: Verdict,
    note: Option<String>,
) -> ServiceResult<duty::Model> {
    let now = unit.now();
    verdict.as_str().clone_into(&mut row.state);
    row.note = note.or(row.note);
    row.next_at = None;
    row.decided_at = Some(now);
    row.updated_at = now;
    duties::save(unit, row.clone()).await?;
    announce(unit, &row).await?;
    if verdict == Verdict::Violated {
        follow(unit, &row).await?;
    }
    Ok(row)
}

/// What follows from a neglected duty has to be done from now on (ODRL 2.2, Consequence).
async fn follow(unit: &mut Unit, neglected: &duty::Model) -> ServiceResult<()> {
    for row in duties::consequences(unit, neglected).await? {
        if follows(&row.name, &neglected.name) {
            let next_at = row.due_from.unwrap_or(unit.now());
            duties::save(unit, duty::Model { next_at: Some(next_at), updated_at: unit.now(), ..row }).await?;
        }
    }
    Ok(())
}

/// Whether a consequence is that of a duty itself, by their names: `p0.d0.c0` of `p0.d0`.
fn follows(consequence: &str, duty: &str) -> bool {
    let place = consequence.strip_prefix(duty).and_then(|rest| rest.strip_prefix(".c"));
    place.is_some_and(|place| !place.contains('.'))
}

async fn announce(unit: &mut Unit, row: &duty::Model) -> ServiceResult<()> {
    let moment = |ms: Option<i64>| ms.map(policy_plan::instant_text);
    let data: Value = json!({
        "role": row.role, "agreementId": row.agreement_id, "datasetId": row.dataset_id,
        "counterPartyId": row.counter_party, "duty": row.name, "action": row.action, "text": row.text,
        "dueFrom": moment(row.due_from), "dueBy": moment(row.due_by), "note": row.note,
    });
    Ok(unit.event(&row.context, format!("duty.{}", row.state), &row.id, &data).await?)
}

#[cfg(test)]
mod tests {
    use policy::DutyRole;

    use super::*;

    fn term(from: Option<i64>, by: Option<i64>, conditional: bool) -> DutyTerm {
        DutyTerm {
            id: "o0".to_owned(),
            rule: "obligation o0".to_owned(),
            role: DutyRole::Obligation,
            action: "delete".to_owned(),
            text: "delete".to_owned(),
            due_from_ms: from,
            due_by_ms: by,
            conditional,
        }
    }

    #[test]
    fn consequences_are_known_by_name() {
        for (name, is) in
            [("p0.d0.c0", true), ("p0.d0.c12", true), ("p0.d0.c0.c0", false), ("p0.d0", false), ("p0.d01.c0", false)]
        {
            assert_eq!(follows(name, "p0.d0"), is, "{name}");
        }
    }

    #[test]
    fn a_duty_is_called_due_in_good_time() {
        let day = 24 * 60 * 60 * 1000;
        let now = 100 * day;
        for (term, begins_at) in [
            (term(None, None, false), Some(now)),
            (term(None, None, true), None),
            (term(Some(200 * day), None, true), Some(200 * day)),
            (term(Some(200 * day), Some(201 * day), false), Some(200 * day)),
            (term(None, Some(200 * day), false), Some(193 * day)),
            (term(None, Some(101 * day), false), Some(now)),
        ] {
            assert_eq!(begins(&term, now), begins_at, "{term:?}");
        }
    }
}
