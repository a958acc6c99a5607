//! Issuers that operators trust, as they write them.

use async_trait::async_trait;
use identity::did::Did;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Resource, Stamp};
use crate::app::App;
use crate::service::dataset::{bad, check_names};
use crate::service::{ServiceError, ServiceResult};
use crate::store::trusted_issuer;

/// The type that every credential has; trust cannot rest on it.
const ANY_TYPE: &str = "VerifiableCredential";

/// An issuer, and what it is trusted for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "id": "did:web:authority.example",
    "types": ["MembershipCredential"],
    "claims": ["membership", "memberSince"]
}))]
pub(crate) struct TrustedIssuerInput {
    /// DID of the issuer; the one in the path when left out.
    id: Option<String>,
    /// Credential types that it may issue, `*` for all that no other entry names.
    types: Vec<String>,
    /// Claims that it may make about a holder; all when left out.
    claims: Option<Vec<String>>,
}

#[async_trait]
impl Resource for trusted_issuer::Entity {
    const NAME: &'static str = "trusted issuer";
    const ID_IS_GIVEN: bool = true;
    type Input = TrustedIssuerInput;

    fn given_id(input: &TrustedIssuerInput) -> Option<&str> {
        input.id.as_deref()
    }

    async fn row(
        _app: &App,
        input: TrustedIssuerInput,
        stamp: Stamp,
        _before: Option<&trusted_issuer::Model>,
    ) -> ServiceResult<trusted_issuer::Model> {
        stamp.id.parse::<Did>().map_err(|error| bad("id", format_args!("cannot be used: {error}")))?;
        if input.types.is_empty() {
            return Err(bad("types", "must not be empty; `*` stands for all types"));
        }
        check_names("types", input.types.iter().map(String::as_str))?;
        if input.types.iter().any(|name| name == ANY_TYPE) {
            return Err(bad(
                "types",
                format_args!("holds `{ANY_TYPE}`, which every credential is; `*` stands for all"),
            ));
        }
        if input.claims.as_ref().is_some_and(Vec::is_empty) {
            return Err(bad("claims", "must not be empty; leave it out to trust all claims"));
        }
        let claims = input.claims.unwrap_or_default();
        check_names("claims", claims.iter().map(String::as_str))?;
        let text = |list: &[String]| serde_json::to_string(list).map_err(ServiceError::internal);
        Ok(trusted_issuer::Model {
            context: stamp.context,
            id: stamp.id,
            types: text(&input.types)?,
            claims: text(&claims)?,
            created_at: stamp.now,
            updated_at: stamp.now,
        })
    }

    fn created_at(row: &mut trusted_issuer::Model) -> &mut i64 {
        &mut row.created_at
    }

    fn changed(app: &App) {
        if let Some(dcp) = &app.dcp {
            dcp.stored_trust.forget();
            dcp.identity.forget();
        }
    }
}
