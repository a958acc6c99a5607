//! Consents of people to the use of data about them, as operators record them. A consent is given once and withdrawn once; whoever
//! consents to something else gives another one.

use async_trait::async_trait;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Resource, Stamp, change, moment};
use crate::app::App;
use crate::service::dataset::{bad, check_length, check_names};
use crate::service::{ServiceError, ServiceResult};
use crate::store::consent;

/// Longest pseudonym of a person, in bytes.
const MAX_SUBJECT_BYTES: usize = 512;

/// A consent. What a list leaves out is not restricted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "id": "urn:city:bari:consent:7c1e",
    "subject": "pseudonym-4711",
    "datasets": ["urn:city:bari:mobility-diaries"],
    "recipients": ["did:web:university.example"],
    "purposes": ["https://w3id.org/dpv#ScientificResearch"],
    "expiresAt": "2027-11-21T00:00:00Z"
}))]
pub(crate) struct ConsentInput {
    /// Id, as policies name it; made when left out.
    id: Option<String>,
    /// Whose consent it is: a pseudonym that only you can resolve, never a name.
    subject: String,
    /// The datasets that it is for.
    #[serde(default)]
    datasets: Vec<String>,
    /// The participants that may have them.
    #[serde(default)]
    recipients: Vec<String>,
    /// The purposes that they may use them for.
    #[serde(default)]
    purposes: Vec<String>,
    /// When it was given; now when left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    given_at: Option<String>,
    /// From when on it holds no more.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<String>,
}

#[async_trait]
impl Resource for consent::Entity {
    const NAME: &'static str = "consent";
    type Input = ConsentInput;

    fn given_id(input: &ConsentInput) -> Option<&str> {
        input.id.as_deref()
    }

    async fn row(
        _app: &App,
        input: ConsentInput,
        stamp: Stamp,
        _before: Option<&consent::Model>,
    ) -> ServiceResult<consent::Model> {
        check_length("subject", &input.subject, MAX_SUBJECT_BYTES)?;
        let given_at = moment("givenAt", input.given_at.as_deref())?.unwrap_or(stamp.now);
        let expires_at = moment("expiresAt", input.expires_at.as_deref())?;
        if expires_at.is_some_and(|expires_at| expires_at <= given_at) {
            return Err(bad("expiresAt", "must be after `givenAt`"));
        }
        Ok(consent::Model {
            context: stamp.context,
            id: stamp.id,
            subject: input.subject,
            datasets: names("datasets", &input.datasets)?,
            recipients: names("recipients", &input.recipients)?,
            purposes: names("purposes", &input.purposes)?,
            given_at,
            expires_at,
            withdrawn_at: None,
            created_at: stamp.now,
            updated_at: stamp.now,
        })
    }

    fn created_at(row: &mut consent::Model) -> &mut i64 {
        &mut row.created_at
    }
}

fn names(member: &str, list: &[String]) -> ServiceResult<String> {
    check_names(member, list.iter().map(String::as_str))?;
    serde_json::to_string(list).map_err(ServiceError::internal)
}

/// Withdraws a consent now; the record stays.
///
/// # Errors
/// `not_found`; `already_withdrawn`, 409.
pub(crate) async fn withdraw(app: &App, id: &str) -> ServiceResult<consent::Model> {
    change::<consent::Entity>(app, id, "withdrawn", |row, now| {
        if row.withdrawn_at.is_some() {
            let message = format!("the consent `{}` has been withdrawn before", row.id);
            return Err(ServiceError::conflict("already_withdrawn", message));
        }
        (row.withdrawn_at, row.updated_at) = (Some(now), now);
        Ok(())
    })
    .await
}
