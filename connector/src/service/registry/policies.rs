//! Policies, as operators write them.

use ::policy::{Policy, PolicySource};
use async_trait::async_trait;
use dsp_protocol::policy::Rules;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{MAX_TITLE_BYTES, Resource, Stamp, some};
use crate::app::App;
use crate::service::dataset::{bad, check_length, check_names};
use crate::service::decide::{About, not_understood};
use crate::service::{ServiceError, ServiceResult};
use crate::store::{Unit, offer, policy, registry};

/// An ODRL policy in the shape of the Dataspace Protocol. A policy that is not understood as a whole is refused.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "id": "urn:city:bari:policy:region-only",
    "title": "Only for the region",
    "permission": [{
        "action": "use",
        "constraint": [{"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01T00:00:00Z"}]
    }]
}))]
pub(crate) struct PolicyInput {
    /// Id; made when left out.
    id: Option<String>,
    /// Title for people.
    title: Option<String>,
    /// What is allowed.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    permission: Vec<Map<String, Value>>,
    /// What is forbidden, whatever else is allowed.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    prohibition: Vec<Map<String, Value>>,
    /// What the consumer has to do.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    obligation: Vec<Map<String, Value>>,
    /// IRI of the ODRL profile that it uses, or several.
    #[schema(value_type = Option<Vec<String>>)]
    profile: Option<Value>,
}

impl PolicyInput {
    fn profiles(&self) -> ServiceResult<Vec<String>> {
        let given = match &self.profile {
            None => &[],
            Some(Value::Array(profiles)) => profiles.as_slice(),
            Some(profile) => std::slice::from_ref(profile),
        };
        let names: Option<Vec<&str>> = given.iter().map(Value::as_str).collect();
        let names = names.ok_or_else(|| bad("profile", "must be an IRI or a list of IRIs"))?;
        check_names("profile", names.iter().copied())?;
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn body(self, profiles: &[String]) -> ServiceResult<Value> {
        if self.permission.is_empty() && self.prohibition.is_empty() {
            return Err(bad("permission", "and `prohibition` are both empty; a policy needs at least one rule"));
        }
        let mut body = Map::new();
        let rules =
            [("permission", self.permission), ("prohibition", self.prohibition), ("obligation", self.obligation)];
        for (name, rules) in rules {
            if !rules.is_empty() {
                body.insert(name.to_owned(), rules.into_iter().map(Value::Object).collect());
            }
        }
        if !profiles.is_empty() {
            body.insert("profile".to_owned(), profiles.into());
        }
        Ok(Value::Object(body))
    }
}

#[async_trait]
impl Resource for policy::Entity {
    const NAME: &'static str = "policy";
    type Input = PolicyInput;

    fn given_id(input: &PolicyInput) -> Option<&str> {
        input.id.as_deref()
    }

    async fn row(
        app: &App,
        mut input: PolicyInput,
        stamp: Stamp,
        _before: Option<&policy::Model>,
    ) -> ServiceResult<policy::Model> {
        let title = input.title.take().unwrap_or_default();
        if !title.is_empty() {
            check_length("title", &title, MAX_TITLE_BYTES)?;
        }
        let profiles = input.profiles()?;
        let body = input.body(&profiles)?;
        // First as it was written, so that an error names the place there; what is kept has its rules in order.
        let written =
            PolicySource { rules: body.clone(), assigner: Some(app.participant.clone()), ..PolicySource::default() };
        Policy::compile(&app.decisions.with_areas(written)).map_err(not_understood)?;
        let rules = Rules::parse(&body)
            .map_err(|error| ServiceError::bad_request("policy_not_understood", error.to_string()))?;
        app.decisions.compile(&rules, &profiles, About { assigner: Some(&app.participant), ..About::default() })?;
        Ok(policy::Model {
            context: stamp.context,
            id: stamp.id,
            title,
            body: body.to_string(),
            created_at: stamp.now,
            updated_at: stamp.now,
        })
    }

    fn created_at(row: &mut policy::Model) -> &mut i64 {
        &mut row.created_at
    }

    fn changed(app: &App) {
        app.decisions.forget();
    }

    async fn used_by(unit: &Unit, context: &str, id: &str) -> ServiceResult<Option<String>> {
        let mut offers = registry::offers_using(unit, context, offer::Column::PolicyId, id).await?;
        offers += registry::offers_using(unit, context, offer::Column::AccessPolicyId, id).await?;
        Ok(some(offers, "offer"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(profile: &Value) -> Result<Value, String> {
        let input = json!({"permission": [{"action": "use"}], "profile": profile});
        let input: PolicyInput = serde_json::from_value(input).unwrap();
        let profiles = input.profiles().map_err(|error| error.message)?;
        input.body(&profiles).map_err(|error| error.message)
    }

    #[test]
    fn profiles_come_alone_or_as_a_list() {
        assert_eq!(body(&json!("urn:p")).unwrap()["profile"], json!(["urn:p"]));
        assert_eq!(body(&json!(["urn:p", "urn:q"])).unwrap()["profile"], json!(["urn:p", "urn:q"]));
        assert!(body(&Value::Null).unwrap().get("profile").is_none());
        for wrong in [json!(5), json!([5]), json!(""), json!({}), json!(["urn:p", "urn:p"])] {
            assert!(body(&wrong).unwrap_err().contains("`profile`"), "{wrong}");
        }
    }
}
