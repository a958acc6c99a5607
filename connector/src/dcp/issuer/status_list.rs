//! The status lists of what we issued: places in them, and the lists as they are published.

use std::sync::Arc;

use identity::dcp::issuer::{Planned, Profile};
use identity::status::{MIN_ENTRIES, NewStatusList, StatusBits, StatusKind, publish};
use rand::Rng as _;
use serde_json::json;
use url::Url;

use super::{REVOKED, VALID};
use crate::app::App;
use crate::dcp::{DcpServices, STATUS_LISTS};
use crate::service::{ServiceError, ServiceResult};
use crate::store::{issuance, issuances, issued_credential};

/// Places of a list that are given out before the next list is begun: random places stay easy to find.
const LIST_FILL: u64 = 100_000;
/// How long a published list is valid, seconds. Verifiers read it again sooner, by their own settings.
const LIST_LIFETIME_S: i64 = 86_400;

/// Gives a planned credential a random place in a status list, so that neighbours tell nothing about each other.
pub(super) async fn place(
    app: &App,
    dcp: &DcpServices,
    row: &issuance::Model,
    plan: &mut Planned,
    credential_type: String,
) -> ServiceResult<issued_credential::Model> {
    let (kind, prefix) = match plan.profile {
        Profile::Vc20 => (StatusKind::Bitstring, "b"),
        Profile::Vc11 => (StatusKind::StatusList2021, "s"),
    };
    let (list_id, taken) = issuances::last_list(&app.store, app.context(), prefix).await?;
    let list_id = if taken < LIST_FILL { list_id } else { next_list(&list_id, prefix) };
    let index = rand::rng().random_range(0..MIN_ENTRIES as i64);
    let url = list_url(dcp, &list_id)?;
    plan.status = Some(json!({
        "id": format!("{url}#{index}"),
        "type": kind.entry_type(),
        "statusPurpose": "revocation",
        "statusListIndex": index.to_string(),
        "statusListCredential": url.as_str(),
    }));
    let now = crate::store::now_ms();
    Ok(issued_credential::Model {
        context: row.context.clone(),
        id: plan.id.clone(),
        issuance_id: row.id.clone(),
        holder: row.holder.clone(),
        kind: credential_type,
        format: plan.profile.alias().to_owned(),
        list_id,
        list_index: index,
        state: VALID.to_owned(),
        reason: String::new(),
        valid_until: plan.valid_until,
        created_at: now,
        updated_at: now,
    })
}

fn next_list(list: &str, prefix: &str) -> String {
    let number: u64 = list.trim_start_matches(prefix).parse().unwrap_or(1);
    format!("{prefix}{}", number + 1)
}

fn list_url(dcp: &DcpServices, list: &str) -> ServiceResult<Url> {
    Url::parse(&format!("{}{STATUS_LISTS}/{list}", dcp.root)).map_err(ServiceError::internal)
}

/// A status list as a signed credential, kept for a moment: a revocation shows here at once, and on other replicas after it.
///
/// # Errors
/// `not_found` when no list has this id.
pub(crate) async fn status_list(app: &App, dcp: &DcpServices, list: &str) -> ServiceResult<Arc<str>> {
    let missing = || ServiceError::not_found("there is no such status list");
    let kind = match list.as_bytes().first() {
        Some(b'b') => StatusKind::Bitstring,
        Some(b's') => StatusKind::StatusList2021,
        _ => return Err(missing()),
    };
    // Anybody may read a list; reading it must not cost queries and a signature each time.
    let made = async {
        if !issuances::list_exists(&app.store, app.context(), list).await? {
            return Err(missing());
        }
        make(app, dcp, kind, list).await.map(Arc::<str>::from)
    };
    dcp.lists.try_get_with(list.to_owned(), made).await.map_err(|error| (*error).clone())
}

async fn make(app: &App, dcp: &DcpServices, kind: StatusKind, list: &str) -> ServiceResult<String> {
    let mut bits = StatusBits::new(MIN_ENTRIES);
    for index in issuances::indexes(&app.store, app.context(), list, REVOKED).await? {
        let index = u64::try_from(index).map_err(ServiceError::internal)?;
        bits.set(index, true).map_err(ServiceError::internal)?;
    }
    let now = dcp.clock.now();
    let new = NewStatusList {
        kind,
        issuer: &dcp.did,
        url: &list_url(dcp, list)?,
        purpose: "revocation",
        bits: &bits,
        valid_from: now,
        valid_until: now.saturating_add(LIST_LIFETIME_S),
    };
    publish(&new, &*dcp.keys.signer()).await.map_err(ServiceError::internal)
}
