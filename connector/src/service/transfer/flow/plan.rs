//! What a flow admits, for the data plane to enforce.

use dsp_protocol::Role;
use policy::Policy;
use policy_plan::{
    Admission, Conflict, EnforcementPlan, Expr, Limits, Residual, ResidualRule, Selection, Truth, Writing, WritingPlan,
};
use serde_json::Value;

use crate::app::App;
use crate::service::dataset::DatasetBody;
use crate::service::decide;
use crate::service::process::role;
use crate::service::transfer::asking;
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::store::{agreements, dataset, now_ms, registry};

/// The plan of a flow as it is now.
///
/// # Errors
/// `dataset_gone`, or what reading the database brought.
pub(super) async fn plan(app: &App, row: &Model) -> ServiceResult<EnforcementPlan> {
    let db = app.store.reads();
    let provider = role(row) == Role::Provider;
    let (rules, source, admission, selection, writing, limits) = if provider {
        let body = registry::find::<dataset::Entity>(db, app.context(), &row.dataset_id).await?;
        let body = body.ok_or_else(|| {
            ServiceError::operator("dataset_gone", format!("dataset `{}` has been removed", row.dataset_id))
        })?;
        let body = DatasetBody::parse(&body.body).map_err(ServiceError::internal)?;
        let selection = body.selection.map(|selection| keyed(app, row, selection));
        let writing = writing(app, row, body.writing).await?;
        (rules(app, row).await?, Some(body.source), body.admission, selection, writing, body.limits)
    } else {
        (open_rules(), None, any_request(), None, None, Limits::default())
    };
    let (us, them) = (app.participant.clone(), row.counter_party.clone());
    let (provider, consumer) = if provider { (us, them) } else { (them, us) };
    Ok(EnforcementPlan {
        process_id: row.id.clone(),
        agreement_id: row.agreement_id.clone(),
        dataset_id: row.dataset_id.clone(),
        provider,
        consumer,
        issued_at: now_ms(),
        rules,
        source,
        admission,
        selection,
        writing,
        limits,
        max_token_seconds: app.config.transfer.token_lifetime_s,
    })
}

/// The selection with the key of this agreement's pseudonyms, where it needs one.
fn keyed(app: &App, row: &Model, mut selection: Selection) -> Selection {
    selection.pseudonym_key = selection.needs_key().then(|| app.signer.pseudonym_key(&row.agreement_id));
    selection
}

/// What the agreement leaves to the data plane of a transfer in which we are the provider.
///
/// # Errors
/// What reading the database brought.
pub(crate) async fn rules(app: &App, row: &Model) -> ServiceResult<Residual> {
    let claims: Value = serde_json::from_str(&row.claims).unwrap_or_default();
    decide::residual(app, &policy(app, row).await?, &asking(row, &claims)).await
}

/// What may be written, with what the agreement leaves of it.
async fn writing(app: &App, row: &Model, what: Option<Writing>) -> ServiceResult<Option<WritingPlan>> {
    let Some(what) = what else { return Ok(None) };
    let claims: Value = serde_json::from_str(&row.claims).unwrap_or_default();
    let rules = decide::writing_residual(app, &policy(app, row).await?, &asking(row, &claims)).await?;
    Ok(Some(WritingPlan { what, rules }))
}

async fn policy(app: &App, row: &Model) -> ServiceResult<Policy> {
    let agreement = agreements::find(app.store.reads(), app.context(), "provider", &row.agreement_id).await?;
    let agreement = agreement.ok_or_else(|| ServiceError::internal("a transfer has lost its agreement"))?;
    app.decisions.compile_agreement(&agreement.body)
}

/// As consumer we read what the provider lets us read; the provider's plane enforces the agreement.
fn open_rules() -> Residual {
    let rule = ResidualRule {
        id: "provider".to_owned(),
        text: "the provider's data plane enforces the agreement".to_owned(),
        when: Expr::Known(Truth::True),
    };
    Residual { permissions: vec![rule], prohibitions: Vec::new(), conflict: Conflict::default() }
}

fn any_request() -> Admission {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    Admission { methods: methods.map(str::to_owned).to_vec(), paths: vec!["/**".to_owned()], query: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_selection_gets_the_key_of_its_agreement_when_it_needs_one() {
        let (_folder, app) = crate::testing::app().await;
        let mut row = Model::blank(
            app.context(),
            "provider",
            "urn:uuid:1".to_owned(),
            "did:web:them.example",
            "http://127.0.0.1:1",
        );
        let selection = json!({"types": ["https://m/Air"], "attributes": [{"name": "https://m/no2"}]});
        let plain: Selection = serde_json::from_value(selection).unwrap();
        assert_eq!(keyed(&app, &row, plain.clone()), plain);
        let veiled = Selection { pseudonymous_ids: true, ..plain };
        row.agreement_id = "urn:uuid:a".to_owned();
        let first = keyed(&app, &row, veiled.clone()).pseudonym_key.unwrap();
        assert_eq!(keyed(&app, &row, veiled.clone()).pseudonym_key.unwrap(), first);
        row.agreement_id = "urn:uuid:b".to_owned();
        assert_ne!(keyed(&app, &row, veiled).pseudonym_key.unwrap(), first);
    }
}
