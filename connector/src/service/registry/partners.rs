//! Partners, as operators write them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MAX_TITLE_BYTES, Resource, Stamp};
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::dataset::{bad, check_length, check_url};
use crate::service::partner::Address;
use crate::store::partner;

/// The only version that this connector speaks.
const VERSION: &str = "2025-1";

/// Where a connector answers: its root, whose version document is then read, or the base URL of its endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Address, example = json!({"root": "https://connector.city.example"}))]
pub(crate) struct AddressInput {
    /// Root URL; `/.well-known/dspace-version` below it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Base URL of its Dataspace Protocol endpoints; nothing is looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Version that it speaks at `base`: `2025-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl AddressInput {
    /// Checks the address.
    ///
    /// # Errors
    /// `bad_member`, 400: neither or both of `root` and `base`, another version, or not a usable URL.
    pub(crate) fn check(self, member: &str) -> ServiceResult<Address> {
        if self.version.as_deref().is_some_and(|version| version != VERSION) {
            return Err(bad(&format!("{member}.version"), format_args!("must be `{VERSION}`")));
        }
        let (name, url, make): (_, _, fn(String) -> Address) = match (self.root, self.base) {
            (Some(root), None) => ("root", root, Address::Root),
            (None, Some(base)) => ("base", base, Address::Base),
            _ => return Err(bad(member, "must have either `root` or `base`")),
        };
        let name = format!("{member}.{name}");
        if check_url(&name, &url)?.query().is_some() {
            return Err(bad(&name, "must not have a query"));
        }
        Ok(make(url.trim_end_matches('/').to_owned()))
    }
}

impl AddressInput {
    /// The address of a stored partner.
    pub(crate) fn shown(row: &partner::Model) -> Self {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let version = given(&row.base).map(|_| VERSION.to_owned());
        Self { root: given(&row.root), base: given(&row.base), version }
    }
}

/// A participant whose connector we deal with.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "id": "did:web:tirana.example",
    "name": "City of Tirana",
    "address": {"root": "https://connector.tirana.example"}
}))]
pub(crate) struct PartnerInput {
    /// Participant id in the dataspace; needed in a POST.
    id: Option<String>,
    /// Name for people.
    name: Option<String>,
    /// Where its connector answers.
    address: AddressInput,
}

#[async_trait]
impl Resource for partner::Entity {
    const NAME: &'static str = "partner";
    const ID_IS_GIVEN: bool = true;
    type Input = PartnerInput;

    fn given_id(input: &PartnerInput) -> Option<&str> {
        input.id.as_deref()
    }

    async fn row(
        _app: &App,
        input: PartnerInput,
        stamp: Stamp,
        _before: Option<&partner::Model>,
    ) -> ServiceResult<partner::Model> {
        let name = input.name.unwrap_or_default();
        if !name.is_empty() {
            check_length("name", &name, MAX_TITLE_BYTES)?;
        }
        let (root, base) = match input.address.check("address")? {
            Address::Root(root) => (root, String::new()),
            Address::Base(base) => (String::new(), base),
        };
        Ok(partner::Model {
            context: stamp.context,
            id: stamp.id,
            name,
            root,
            base,
            created_at: stamp.now,
            updated_at: stamp.now,
        })
    }

    fn created_at(row: &mut partner::Model) -> &mut i64 {
        &mut row.created_at
    }
}
