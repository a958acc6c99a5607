//! Which credentials a policy wants to see: asked of callers when it is decided, and granted to the other side when it is about
//! us (DCP 1.0.1, 5.4.1.2).

use identity::Participant;
use identity::scope::{Scope, Scopes};
use policy::Policy;

use super::{ServiceError, ServiceResult};
use crate::app::App;

/// Where the claim `membership` comes from.
const MEMBERSHIP: &str = "MembershipCredential";

/// The scopes for the credentials that the policy's constraints name: `membership`, and every claim whose first name is a type
/// of credential (`credential:TypeCredential.member`). Other claims are looked for in what is presented anyway.
pub(crate) fn of_policy(policy: &Policy) -> Scopes {
    let types = policy.claims_read().into_iter().filter_map(|name| match name {
        "membership" => Some(MEMBERSHIP),
        name if name.ends_with("Credential") => Some(name),
        _ => None,
    });
    let scopes: Vec<Scope> = types.filter_map(|name| Scope::read_type(name).ok()).collect();
    Scopes::new(scopes).unwrap_or_default()
}

/// The participant with the claims that the policy looks at, which its credential service is asked for where they are missing.
///
/// # Errors
/// The missing or failed credential by name; `unavailable` when the answer may come later.
pub(crate) async fn proven(app: &App, participant: &Participant, policy: &Policy) -> ServiceResult<Participant> {
    if app.dcp.is_none() {
        return Ok(participant.clone());
    }
    app.identity.with_scopes(participant, &of_policy(policy)).await.map_err(|error| {
        if error.is_temporary() {
            return ServiceError::unavailable(error.code(), error.to_string());
        }
        ServiceError::bad_request(error.code(), error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use policy::PolicySource;
    use serde_json::json;

    use super::*;

    #[test]
    fn scopes_follow_from_the_constraints() {
        let rules = json!({"permission": [{"action": "use", "constraint": [
            {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"},
            {"leftOperand": "credential:SensitiveDataCredential.level", "operator": "eq", "rightOperand": "high"},
            {"leftOperand": "credential:level.of", "operator": "eq", "rightOperand": "x"},
            {"leftOperand": "dateTime", "operator": "gt", "rightOperand": "2026-01-01T00:00:00Z"}
        ]}]});
        let policy = Policy::compile(&PolicySource { rules, ..PolicySource::default() }).unwrap();
        assert_eq!(
            of_policy(&policy).to_string(),
            "org.eclipse.dspace.dcp.vc.type:MembershipCredential:read org.eclipse.dspace.dcp.vc.type:SensitiveDataCredential:read"
        );
    }
}
