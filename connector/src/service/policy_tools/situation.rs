//! A situation that somebody thinks up: who asks, when, what for, and what is known of them.

use std::collections::BTreeSet;

use policy::{Facts, PolicySource, Scope, Used};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use crate::service::ServiceResult;
use crate::service::dataset::bad;

/// A situation in which a policy is asked. What is left out is not known.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "participant": "did:web:bari.example",
    "at": "2027-01-15T09:30:00+01:00",
    "claims": {"membership": "active"},
    "purpose": ["https://w3id.org/dpv#AcademicResearch"]
}))]
pub(crate) struct Situation {
    /// Participant id of the party that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// When it asks, RFC 3339; now when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What it says that the data is for; a claim `purpose` counts when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purpose: Vec<String>,
    /// What its credentials say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub claims: Option<Value>,
    /// Events that are in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Consents that hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<String>,
    /// Which use this is: 1 for the first under the agreement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Which transfer this is: 1 for the first under the agreement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfers: Option<u64>,
    /// Bytes of use before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<u64>,
    /// Seconds of use before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metered_seconds: Option<u64>,
    /// When the first use was, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_use: Option<String>,
    /// When the last use before this one was, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_use: Option<String>,
    /// When the agreement was made, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreed_at: Option<String>,
    /// The transfer format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The media type of the dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// What is asked for: `catalog`, `negotiation`, `transfer` or `request`, the last when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(catalog|negotiation|transfer|request)$")]
    pub scope: Option<String>,
    /// The action, `use` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The dataset, when the policy does not name it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Situation {
    /// The facts that it tells.
    ///
    /// # Errors
    /// `bad_member`, when a moment is none or the claims are no object.
    pub(crate) fn facts(&self, now: i64) -> ServiceResult<Facts> {
        self.over(Facts::default(), now)
    }

    /// These facts, with what the situation tells in their place.
    ///
    /// # Errors
    /// As [`Situation::facts`].
    pub(crate) fn over(&self, known: Facts, now: i64) -> ServiceResult<Facts> {
        let moment = |name: &str, text: &Option<String>| text.as_deref().map(|text| moment(name, text)).transpose();
        let set = |told: &[String], known: BTreeSet<String>| {
            if told.is_empty() { known } else { told.iter().cloned().collect() }
        };
        if self.claims.as_ref().is_some_and(|claims| !claims.is_object()) {
            return Err(bad("situation.claims", "must be an object"));
        }
        let usage = Used {
            count: self.count.or(known.usage.count),
            metered_ms: self.metered_seconds.map(|s| s.saturating_mul(1_000)).or(known.usage.metered_ms),
            volume_bytes: self.volume.or(known.usage.volume_bytes),
            first_use_ms: moment("firstUse", &self.first_use)?.or(known.usage.first_use_ms),
            last_use_ms: moment("lastUse", &self.last_use)?.or(known.usage.last_use_ms),
        };
        Ok(Facts {
            now_ms: moment("at", &self.at)?.unwrap_or(now),
            participant: self.participant.clone().unwrap_or(known.participant),
            claims: self.claims.clone().unwrap_or(known.claims),
            purpose: if self.purpose.is_empty() { known.purpose } else { Some(self.purpose.clone()) },
            target: known.target,
            events: set(&self.events, known.events),
            consents: set(&self.consents, known.consents),
            usage,
            transfers: self.transfers.or(known.transfers),
            channel: self.channel.clone().or(known.channel),
            format: self.format.clone().or(known.format),
            ..known
        })
    }

    /// The source of a policy with what the situation tells of the agreement.
    ///
    /// # Errors
    /// `bad_member`, when the moment of the agreement is none.
    pub(crate) fn about(&self, source: PolicySource) -> ServiceResult<PolicySource> {
        let agreed_at_ms = self.agreed_at.as_deref().map(|text| moment("agreedAt", text)).transpose()?;
        let names_target = source.rules.get("target").or_else(|| source.rules.get("odrl:target")).is_some();
        Ok(PolicySource {
            agreed_at_ms: agreed_at_ms.or(source.agreed_at_ms),
            target: self.target.clone().filter(|_| !names_target).or(source.target),
            ..source
        })
    }

    /// At which of the moments of decision it is asked.
    ///
    /// # Errors
    /// `bad_member`, when there is no such moment.
    pub(crate) fn scope(&self) -> ServiceResult<Scope> {
        let all = [Scope::Catalog, Scope::Negotiation, Scope::Transfer, Scope::Request];
        match self.scope.as_deref() {
            None => Ok(Scope::Request),
            Some(name) => all
                .into_iter()
                .find(|scope| scope.as_str() == name)
                .ok_or_else(|| bad("situation.scope", "must be catalog, negotiation, transfer or request")),
        }
    }
}

/// A moment as RFC 3339, in ms.
///
/// # Errors
/// `bad_member`.
pub(super) fn moment(name: &str, text: &str) -> ServiceResult<i64> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
    parsed
        .and_then(|moment| i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok())
        .ok_or_else(|| bad(name, "must be a moment with its zone, such as 2027-01-15T09:30:00Z"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn situation(value: Value) -> Situation {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_told_goes_before_what_is_known() {
        let known = Facts {
            claims: json!({"membership": "active"}),
            events: ["urn:flood".to_owned()].into(),
            usage: Used { count: Some(3), ..Used::default() },
            ..Facts::new(5, "did:web:a")
        };
        let same = situation(json!({})).over(known.clone(), 7).unwrap();
        assert_eq!(same, Facts { now_ms: 7, ..known.clone() });
        let told = situation(json!({
            "participant": "did:web:b", "at": "1970-01-01T01:00:01+01:00", "claims": {}, "events": ["urn:fire"], "count": 4,
            "purpose": ["urn:p"], "meteredSeconds": 2
        }));
        let facts = told.over(known, 7).unwrap();
        assert_eq!((facts.now_ms, facts.participant.as_str(), &facts.claims), (1_000, "did:web:b", &json!({})));
        assert_eq!((facts.usage.count, facts.usage.metered_ms), (Some(4), Some(2_000)));
        assert!(facts.events.contains("urn:fire") && facts.events.len() == 1);
        assert_eq!(told.scope().unwrap(), Scope::Request);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (value, part) in [
            (json!({"at": "tomorrow"}), "`at`"),
            (json!({"claims": []}), "`situation.claims`"),
            (json!({"lastUse": "2027-01-15"}), "`lastUse`"),
        ] {
            let error = situation(value).facts(0).unwrap_err();
            assert!(error.message.contains(part), "{error}");
        }
        assert!(situation(json!({"scope": "always"})).scope().is_err());
        assert!(situation(json!({"agreedAt": "x"})).about(PolicySource::default()).is_err());
    }
}
