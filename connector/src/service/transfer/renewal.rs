//! Renewal of a data flow's token (DPS profiles, Token renewal): data planes know no DIDs, so they ask us who a client is, and for
//! a token that says who we are.

use std::sync::Arc;

use dsp_protocol::Role;
use secrecy::{ExposeSecret as _, SecretString};

use super::row::is_push;
use crate::app::App;
use crate::dcp::DcpServices;
use crate::service::process::role;
use crate::service::{ServiceError, ServiceResult, use_token};
use crate::store::processes;
use crate::store::transfer::Model;

/// Whether a flow's consumer can be verified when it comes for a new token: both sides are known by DIDs, and the partner is not one that
/// shows a fixed token.
pub(crate) fn can_be_verified(app: &App, counter_party: &str) -> bool {
    let by_token = app.config.danger_static_peers.iter().any(|peer| peer.id == counter_party);
    app.dcp.is_some() && !by_token && counter_party.starts_with("did:")
}

/// Verifies the JWT of a client that wants a new token for a flow of ours, and answers with the access token that it names.
///
/// # Errors
/// `not_found`; `wrong_state` when the transfer has not started or is suspended or over; 401 with the rule that the JWT does not keep;
/// `cannot_verify` when the client's DID cannot be resolved now.
pub(crate) async fn verify(app: &Arc<App>, id: &str, client_token: &str) -> ServiceResult<SecretString> {
    let row = running(app, id, Role::Provider).await?;
    let dcp = credentials(app, &row)?;
    let client = dcp.tokens.validate_client(client_token, &dcp.did, &row.counter_party).await.map_err(|error| {
        if error.is_temporary() {
            return ServiceError::unavailable("cannot_verify", error.to_string());
        }
        ServiceError::unauthorized(error.code(), error.to_string())
    })?;
    let (used, context) = (client.token_use, app.context());
    // Each token counts once, among all replicas.
    app.store.write(move |unit| Box::pin(async move { use_token(unit, context, Some(&used)).await })).await?;
    Ok(client.access_token)
}

/// A JWT of ours for the provider of a flow that we read, with the access token that is to be exchanged.
///
/// # Errors
/// `not_found`, `wrong_state`; `cannot_sign` when our key does not sign.
pub(crate) async fn sign(app: &Arc<App>, id: &str, access_token: &SecretString) -> ServiceResult<SecretString> {
    if access_token.expose_secret().is_empty() {
        return Err(ServiceError::bad_request("bad_signal", "member `token` is empty"));
    }
    let row = running(app, id, Role::Consumer).await?;
    let dcp = credentials(app, &row)?;
    let signed = dcp.client.id_token(&row.counter_party, Some(access_token)).await;
    signed.map_err(|error| ServiceError::unavailable("cannot_sign", error.to_string()))
}

/// The transfer, if it is a pull that runs and we have this role.
async fn running(app: &App, id: &str, wanted: Role) -> ServiceResult<Model> {
    let row = processes::find::<Model>(app.store.reads(), app.context(), id).await?;
    let row = row.ok_or_else(|| ServiceError::not_found(format!("no transfer `{id}`")))?;
    // The data plane may have started before the counter-party has heard of it, and stands before a pause is settled.
    let runs = row.flow_state.as_deref() == Some("STARTED")
        && !matches!(row.settled.as_deref(), Some("SUSPENDED" | "COMPLETED" | "TERMINATED"));
    if runs && role(&row) == wanted && !is_push(&row) {
        return Ok(row);
    }
    Err(ServiceError::bad_request("wrong_state", "the transfer is no running pull of this side"))
}

fn credentials<'a>(app: &'a App, row: &Model) -> ServiceResult<&'a DcpServices> {
    let services = app.dcp.as_deref().filter(|_| can_be_verified(app, &row.counter_party));
    services.ok_or_else(|| {
        let text = "tokens are renewed between participants that know each other by DIDs";
        ServiceError::bad_request("renewal_not_possible", text)
    })
}

#[cfg(test)]
mod tests {
    use identity::token::{IdToken, mint};

    use super::*;

    const US: &str = "did:web:us.example";

    /// An installation that is provider and consumer of itself: so its own key is the one that the other side's document lists.
    async fn ours(role: &str, state: &str) -> (tempfile::TempDir, Arc<App>) {
        let (folder, app) =
            crate::testing::app_with(&format!("[identity]\ndid = \"{US}\""), "https://us.example").await;
        let mut row = Model::blank(app.context(), role, "urn:uuid:1".to_owned(), US, "http://127.0.0.1:1");
        row.format = "HttpData-PULL".to_owned();
        row.settled = Some(state.to_owned());
        row.flow_state = Some(state.to_owned());
        app.store.write(move |unit| Box::pin(async move { processes::insert(unit, row).await })).await.unwrap();
        (folder, app)
    }

    #[tokio::test]
    async fn what_another_key_signed_is_refused() {
        let (_folder, consumer) = ours("consumer", "STARTED").await;
        let signed = sign(&consumer, "urn:uuid:1", &SecretString::from("access")).await.unwrap();
        let (_folder, provider) = ours("provider", "STARTED").await;
        let stranger = verify(&provider, "urn:uuid:1", signed.expose_secret()).await.unwrap_err();
        assert_eq!(stranger.kind.status(), 401, "{stranger}");
    }

    #[tokio::test]
    async fn a_client_is_verified_once() {
        let (_folder, app) = ours("provider", "STARTED").await;
        let dcp = app.dcp.as_deref().unwrap();
        let made = async |audience: &str, token: Option<&SecretString>| {
            let say = IdToken::new(&dcp.did, audience, 60).with_token(token);
            mint(&*dcp.keys.signer(), &*dcp.clock, &say).await.unwrap()
        };
        let access = SecretString::from("access");
        let good = made(US, Some(&access)).await;
        let found = verify(&app, "urn:uuid:1", good.expose_secret()).await.unwrap();
        assert_eq!(found.expose_secret(), "access");
        let again = verify(&app, "urn:uuid:1", good.expose_secret()).await.unwrap_err();
        assert_eq!((again.kind.status(), again.code), (401, "token_replayed"));
        let elsewhere = made("did:web:other.example", Some(&access)).await;
        let elsewhere = verify(&app, "urn:uuid:1", elsewhere.expose_secret()).await.unwrap_err();
        assert_eq!((elsewhere.kind.status(), elsewhere.code), (401, "wrong_audience"));
        let bare = made(US, None).await;
        assert_eq!(verify(&app, "urn:uuid:1", bare.expose_secret()).await.unwrap_err().code, "missing_claim");
        assert_eq!(verify(&app, "urn:uuid:2", good.expose_secret()).await.unwrap_err().kind.status(), 404);
        let ours = sign(&app, "urn:uuid:1", &access).await.unwrap_err();
        assert_eq!((ours.kind.status(), ours.code), (400, "wrong_state"), "as provider we need no token");
    }

    #[tokio::test]
    async fn a_transfer_that_stands_renews_nothing() {
        for state in ["SUSPENDED", "COMPLETED", "TERMINATED", "PREPARED"] {
            let (_folder, app) = ours("consumer", state).await;
            let refused = sign(&app, "urn:uuid:1", &SecretString::from("access")).await.unwrap_err();
            assert_eq!((refused.kind.status(), refused.code), (400, "wrong_state"), "{state}");
        }
    }

    #[tokio::test]
    async fn partners_without_dids_are_not_offered_it() {
        let (_folder, app) = crate::testing::app().await;
        assert!(!can_be_verified(&app, "did:web:them.example"), "we have no DID");
        let settings = format!(
            "[identity]\ndid = \"{US}\"\n[[identity.danger_static_peers]]\nid = \"did:web:fixed.example\"\n\
             accepts_token = \"0123456789abcdef\"\nsends_token = \"0123456789abcdef\"\n"
        );
        let (_folder, app) = crate::testing::app_with(&settings, "https://us.example").await;
        assert!(can_be_verified(&app, "did:web:them.example"));
        assert!(!can_be_verified(&app, "did:web:fixed.example"));
        assert!(!can_be_verified(&app, "urn:someone"));
    }
}
