//! When credentials and presentations are valid (VC Data Model 1.1, 4.6; 2.0, 4.9; RFC 7519, 4.1.4 and 4.1.5).

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::CredentialError;

/// A period of validity, seconds since the epoch; an end that is `None` is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Period {
    /// Not valid before.
    pub(crate) from: Option<i64>,
    /// Not valid from here on.
    pub(crate) until: Option<i64>,
}

impl Period {
    /// What lies in both.
    pub(crate) fn and(self, other: Self) -> Self {
        let latest = [self.from, other.from].into_iter().flatten().max();
        let earliest = [self.until, other.until].into_iter().flatten().min();
        Self { from: latest, until: earliest }
    }

    /// Passes when `now` lies within, give or take `leeway` seconds for clocks that differ.
    ///
    /// # Errors
    /// `not_yet_valid`, `expired`.
    pub(crate) fn check(self, now: i64, leeway: i64) -> Result<(), CredentialError> {
        if let Some(from) = self.from.filter(|from| *from > now.saturating_add(leeway)) {
            let text = format!("not valid before {}", instant(from));
            return Err(CredentialError::refused("not_yet_valid", text));
        }
        if let Some(until) = self.until.filter(|until| now >= until.saturating_add(leeway)) {
            return Err(CredentialError::refused("expired", format!("expired since {}", instant(until))));
        }
        Ok(())
    }
}

/// The period that the claims `nbf` and `exp` give.
///
/// # Errors
/// `bad_credential` when one of them is not a number.
pub(crate) fn claims(claims: &Map<String, Value>) -> Result<Period, CredentialError> {
    let seconds = |name: &str| -> Result<Option<i64>, CredentialError> {
        let Some(value) = claims.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
        // NumericDate may have a fraction (RFC 7519, 2); whole seconds are exact enough.
        let number = value.as_i64().or_else(|| {
            value.as_f64().filter(|number| number.abs() < 1e15).map(
                #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
                |number| number.floor() as i64,
            )
        });
        number.map(Some).ok_or_else(|| wrong(name, "a number of seconds"))
    };
    Ok(Period { from: seconds("nbf")?, until: seconds("exp")? })
}

/// The period that the members of a document give: those of both data models count, wherever they stand.
///
/// # Errors
/// `bad_credential` when one of them is not a date and time with a time zone.
pub(crate) fn members(document: &Map<String, Value>) -> Result<Period, CredentialError> {
    let date = |name: &str| -> Result<Option<i64>, CredentialError> {
        let Some(value) = document.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
        let read = value.as_str().filter(|text| text.len() <= 64).and_then(parse);
        read.map(Some).ok_or_else(|| wrong(name, "a date and time with a time zone"))
    };
    let old = Period { from: date("issuanceDate")?, until: date("expirationDate")? };
    Ok(old.and(Period { from: date("validFrom")?, until: date("validUntil")? }))
}

fn parse(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// A time as documents write it.
pub(crate) fn instant(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| seconds.to_string())
}

fn wrong(name: &str, expected: &str) -> CredentialError {
    CredentialError::refused("bad_credential", format!("`{name}` is not {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Period, claims, instant, members};

    fn object(value: Value) -> serde_json::Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_narrowest_period_counts() {
        let document = object(json!({
            "issuanceDate": "2026-01-01T00:00:00Z", "validFrom": "2026-01-01T02:00:00+01:00",
            "expirationDate": null, "validUntil": "2026-01-01T03:00:00.5Z",
        }));
        let claimed = claims(&object(json!({"nbf": 1_767_225_600, "exp": 1_767_232_800.25}))).unwrap();
        let both = members(&document).unwrap().and(claimed);
        assert_eq!(both, Period { from: Some(1_767_229_200), until: Some(1_767_232_800) });
        assert_eq!(instant(1_767_229_200), "2026-01-01T01:00:00Z");
    }

    #[test]
    fn limits_give_way_by_the_leeway_and_no_more() {
        let period = Period { from: Some(1000), until: Some(2000) };
        let code = |now| period.check(now, 30).map_err(|error| error.code());
        assert_eq!(code(969), Err("not_yet_valid"));
        assert_eq!(code(970), Ok(()));
        assert_eq!(code(2029), Ok(()));
        assert_eq!(code(2030), Err("expired"));
        assert_eq!(Period::default().check(i64::MAX, 30), Ok(()));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for value in [json!("soon"), json!(5), json!("2026-01-01"), json!("2026-01-01T00:00:00"), json!(["x"])] {
            assert_eq!(members(&object(json!({"validUntil": value}))).unwrap_err().code(), "bad_credential");
        }
        for value in [json!("1767225600"), json!(1e300), json!({}), json!(true)] {
            assert_eq!(claims(&object(json!({"exp": value}))).unwrap_err().code(), "bad_credential");
        }
    }
}
