//! The HTTP transfer profile (DPS profiles, HTTP) and the formats of DSP distributions that stand for it.

/// Profile of a pull over HTTP: the consumer reads from the provider's address.
pub const HTTP_PULL: &str = "https://w3id.org/dspace-sig/profile/http-pull";
/// Profile of a push over HTTP: the provider writes to the consumer's address.
pub const HTTP_PUSH: &str = "https://w3id.org/dspace-sig/profile/http-push";

/// Who opens the connection that carries the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The consumer reads.
    Pull,
    /// The provider writes.
    Push,
}

/// The direction that a profile name tells by its ending; `None` when it ends in neither `-pull` nor `-push`.
pub fn direction(profile: &str) -> Option<Direction> {
    let lower = profile.to_ascii_lowercase();
    if lower.ends_with("-pull") {
        Some(Direction::Pull)
    } else if lower.ends_with("-push") {
        Some(Direction::Push)
    } else {
        None
    }
}

/// The profile for the `format` of a DSP distribution or transfer request.
pub fn profile_of_format(format: &str) -> Option<&'static str> {
    match format {
        "HttpData-PULL" => Some(HTTP_PULL),
        "HttpData-PUSH" => Some(HTTP_PUSH),
        _ => None,
    }
}

/// The `format` of a DSP distribution for a profile.
pub fn format_of_profile(profile: &str) -> Option<&'static str> {
    match profile {
        HTTP_PULL => Some("HttpData-PULL"),
        HTTP_PUSH => Some("HttpData-PUSH"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_profiles_match_both_ways() {
        for format in ["HttpData-PULL", "HttpData-PUSH"] {
            assert_eq!(profile_of_format(format).and_then(format_of_profile), Some(format));
        }
        assert_eq!(profile_of_format("Kafka-PULL"), None);
        assert_eq!(format_of_profile("http-pull"), None);
    }

    #[test]
    fn the_ending_tells_the_direction() {
        assert_eq!(direction(HTTP_PULL), Some(Direction::Pull));
        assert_eq!(direction("http-push"), Some(Direction::Push));
        assert_eq!(direction("HttpData-PULL"), Some(Direction::Pull));
        assert_eq!(direction("pull"), None);
    }
}
