//! Rows of `used_token`: self-issued ID tokens are good for one message (DCP 1.0.1, 4.3.3).

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};

use super::entity::used_token;
use super::{StoreResult, Unit};

/// Writes down that a token was used, in the transaction of the message that it came with. `false`: it was used before, here or
/// on another replica.
pub(crate) async fn use_once(
    unit: &Unit,
    context: &str,
    issuer: &str,
    jti: &str,
    expires_at: i64,
) -> StoreResult<bool> {
    let row = used_token::ActiveModel {
        context: ActiveValue::Set(context.to_owned()),
        issuer: ActiveValue::Set(issuer.to_owned()),
        jti: ActiveValue::Set(jti.to_owned()),
        expires_at: ActiveValue::Set(expires_at),
    };
    let key = [used_token::Column::Context, used_token::Column::Issuer, used_token::Column::Jti];
    let written = used_token::Entity::insert(row)
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .exec_without_returning(unit.db())
        .await?;
    Ok(written == 1)
}

/// Forgets the tokens that have expired, which are refused for that; answers how many.
pub(crate) async fn forget_expired(unit: &Unit, now_s: i64) -> StoreResult<u64> {
    let gone =
        used_token::Entity::delete_many().filter(used_token::Column::ExpiresAt.lt(now_s)).exec(unit.db()).await?;
    Ok(gone.rows_affected)
}
