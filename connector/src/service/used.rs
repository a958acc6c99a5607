//! Tokens that are good for one message.

use identity::token::TokenUse;

use super::{ServiceError, ServiceResult};
use crate::store::{Unit, tokens};

/// Writes down the use of the token that a message came with, in the transaction of that message.
///
/// # Errors
/// `token_replayed` when another message came with it before, also to another replica.
pub(crate) async fn use_token(unit: &Unit, context: &str, used: Option<&TokenUse>) -> ServiceResult<()> {
    let Some(used) = used else { return Ok(()) };
    if tokens::use_once(unit, context, &used.issuer, &used.jti, used.expires).await? {
        return Ok(());
    }
    Err(ServiceError::unauthorized("token_replayed", "the ID token was used before; each message needs a new one"))
}
