//! Countries and statistical regions, and which of them lie in which.
//!
//! Known code lists are ISO 3166 (`urn:iso:IT`, `urn:iso:IT-72`, `urn:iso:EU`, or the bare two letters) and NUTS
//! (`urn:nuts:ITF4`, `http://data.europa.eu/nuts/code/ITF4`), with the groups of countries `EU`, `EEA` and `EFTA`. Of names
//! from other lists only equality is known.

use policy_plan::Truth;

/// The state of the list of countries, as a date: the membership of the European Union since 2020-02-01, of the European
/// Economic Area and of the European Free Trade Association since 1995-05-01, looked at on this day.
pub const REGIONS_VERSION: &str = "2026-11-21";

/// ISO 3166-1 codes of the member states of the European Union.
const EU: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];
/// Countries of the European Economic Area that are not in the European Union, and the members of EFTA.
const EEA_BESIDE_EU: [&str; 3] = ["IS", "LI", "NO"];
const EFTA: [&str; 4] = ["CH", "IS", "LI", "NO"];
const ISO: &str = "urn:iso:";
const NUTS: &str = "urn:nuts:";

/// One spelling for each region: `urn:iso:` or `urn:nuts:` and the code in capitals; other names unchanged.
pub(crate) fn canonical(name: &str, bare_is_nuts: bool) -> String {
    const ISO_SPELLINGS: [&str; 3] = ["urn:iso:std:iso:3166:", "urn:iso:3166:", ISO];
    const NUTS_SPELLINGS: [&str; 3] = ["http://data.europa.eu/nuts/code/", "nuts:", NUTS];
    let stripped = |spellings: &[&str]| spellings.iter().find_map(|prefix| name.strip_prefix(prefix));
    let iso = |code: &str| {
        (is_iso(code) || is_group(&code.to_ascii_uppercase())).then(|| format!("{ISO}{}", code.to_ascii_uppercase()))
    };
    let nuts = |code: &str| is_nuts(code).then(|| nuts_name(&code.to_ascii_uppercase()));
    if let Some(code) = stripped(&ISO_SPELLINGS) {
        iso(code)
    } else if let Some(code) = stripped(&NUTS_SPELLINGS) {
        nuts(code)
    } else if bare_is_nuts {
        nuts(name)
    } else if is_group(name) || name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_uppercase()) {
        iso(name)
    } else {
        None
    }
    .unwrap_or_else(|| name.to_owned())
}

/// A group of countries.
fn is_group(code: &str) -> bool {
    matches!(code, "EU" | "EEA" | "EFTA")
}

/// Whether a country is in a group; `None` when the second is no group.
fn is_in_group(country: &str, group: &str) -> Option<bool> {
    match group {
        "EU" => Some(EU.contains(&country)),
        "EEA" => Some(EU.contains(&country) || EEA_BESIDE_EU.contains(&country)),
        "EFTA" => Some(EFTA.contains(&country)),
        _ => None,
    }
}

/// A country (or `EU`), or one of its subdivisions.
fn is_iso(code: &str) -> bool {
    let (country, subdivision) = code.split_once('-').map_or((code, None), |(c, s)| (c, Some(s)));
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subdivision.is_none_or(|s| (1..=3).contains(&s.len()) && s.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_nuts(code: &str) -> bool {
    (2..=5).contains(&code.len())
        && code.bytes().take(2).all(|byte| byte.is_ascii_alphabetic())
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A NUTS code of two letters is a country; NUTS writes EL and UK where ISO 3166 writes GR and GB.
fn nuts_name(code: &str) -> String {
    match code {
        "EL" => format!("{ISO}GR"),
        "UK" => format!("{ISO}GB"),
        _ if code.len() == 2 => format!("{ISO}{code}"),
        _ => format!("{NUTS}{code}"),
    }
}

/// Whether a canonical name is a country, a group of countries or a statistical region.
pub(crate) fn is_known(name: &str) -> bool {
    name.strip_prefix(ISO).is_some_and(|code| is_iso(code) || is_group(code))
        || name.starts_with(NUTS) && is_nuts(name.trim_start_matches(NUTS))
}

/// The country of a canonical name.
fn country(name: &str) -> Option<String> {
    match (name.strip_prefix(ISO), name.strip_prefix(NUTS)) {
        (Some(code), _) if is_group(code) => Some(code.to_owned()),
        (Some(code), _) => code.get(..2).map(str::to_owned),
        (_, Some(code)) => code.get(..2).and_then(|two| nuts_name(two).strip_prefix(ISO).map(str::to_owned)),
        _ => None,
    }
}

/// Whether `inner` lies in `outer`; both canonical. A region lies in itself.
pub(crate) fn lies_in(inner: &str, outer: &str) -> Truth {
    if inner == outer {
        return Truth::True;
    }
    if !is_known(inner) || !is_known(outer) {
        return Truth::Unknown;
    }
    let (Some(inner_country), Some(outer_country)) = (country(inner), country(outer)) else { return Truth::Unknown };
    if is_group(&inner_country) {
        // Of the groups only the European Union lies in another one.
        return match (inner_country.as_str(), outer_country.as_str()) {
            ("EU", "EEA") => Truth::True,
            (_, outer) if is_group(outer) => Truth::False,
            _ => Truth::Unknown,
        };
    }
    if let Some(is_in) = is_in_group(&inner_country, &outer_country) {
        return is_in.into();
    }
    if inner_country != outer_country {
        return Truth::False;
    }
    if outer == format!("{ISO}{outer_country}") {
        return Truth::True;
    }
    match (inner.strip_prefix(NUTS), outer.strip_prefix(NUTS)) {
        (Some(small), Some(large)) if small.starts_with(large) => Truth::True,
        // Two different regions of one list are apart, unless the "inner" one is the larger of the two.
        (Some(small), Some(large)) if !large.starts_with(small) => Truth::False,
        (None, None) if inner.contains('-') && outer.contains('-') => Truth::False,
        _ => Truth::Unknown,
    }
}

/// Whether two canonical names come from one list, so that different names are different places.
pub(crate) fn are_comparable(one: &str, other: &str) -> bool {
    let list = |name: &str| name.rfind(['/', '#', ':']).map(|at| name.get(..at).unwrap_or_default().to_owned());
    (is_known(one) && is_known(other)) || (!is_known(one) && !is_known(other) && list(one) == list(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_each_region() {
        for (name, expected) in [
            ("IT", "urn:iso:IT"),
            ("urn:iso:it", "urn:iso:IT"),
            ("urn:iso:std:iso:3166:IT-72", "urn:iso:IT-72"),
            ("urn:nuts:itf47", "urn:nuts:ITF47"),
            ("http://data.europa.eu/nuts/code/ITF4", "urn:nuts:ITF4"),
            ("nuts:EL30", "urn:nuts:EL30"),
            ("urn:nuts:EL", "urn:iso:GR"),
            ("urn:nuts:UK", "urn:iso:GB"),
            ("BEN", "BEN"),
            ("EEA", "urn:iso:EEA"),
            ("urn:iso:efta", "urn:iso:EFTA"),
            ("EU", "urn:iso:EU"),
            ("it", "it"),
            ("urn:iso:ITALY", "urn:iso:ITALY"),
            ("https://sws.geonames.org/3175395/", "https://sws.geonames.org/3175395/"),
        ] {
            assert_eq!(canonical(name, false), expected, "{name}");
        }
        assert_eq!(canonical("ITF47", true), "urn:nuts:ITF47");
    }

    #[test]
    fn what_lies_in_what() {
        use Truth::{False, True, Unknown};
        for (inner, outer, expected) in [
            ("urn:iso:IT", "urn:iso:EU", True),
            ("urn:iso:US", "urn:iso:EU", False),
            ("urn:iso:AL", "urn:iso:EU", False),
            ("urn:nuts:ITF47", "urn:iso:EU", True),
            ("urn:nuts:EL30", "urn:iso:EU", True),
            ("urn:nuts:EL30", "urn:iso:GR", True),
            ("urn:nuts:UKI", "urn:iso:EU", False),
            ("urn:nuts:ITF47", "urn:nuts:ITF4", True),
            ("urn:nuts:ITF4", "urn:nuts:ITF47", Unknown),
            ("urn:nuts:ITF47", "urn:nuts:ITF5", False),
            ("urn:nuts:ITF47", "urn:iso:IT", True),
            ("urn:iso:IT", "urn:nuts:ITF", Unknown),
            ("urn:iso:FR", "urn:nuts:ITF", False),
            ("urn:iso:IT-72", "urn:iso:IT", True),
            ("urn:iso:IT-72", "urn:iso:IT-75", False),
            ("urn:iso:IT-72", "urn:nuts:ITF4", Unknown),
            ("urn:iso:EU", "urn:iso:IT", Unknown),
            ("urn:iso:EU", "urn:iso:EU", True),
            ("urn:iso:NO", "urn:iso:EEA", True),
            ("urn:iso:NO", "urn:iso:EU", False),
            ("urn:iso:NO", "urn:iso:EFTA", True),
            ("urn:iso:CH", "urn:iso:EFTA", True),
            ("urn:iso:CH", "urn:iso:EEA", False),
            ("urn:iso:IT-72", "urn:iso:EEA", True),
            ("urn:nuts:NO02", "urn:iso:EEA", True),
            ("urn:iso:GB", "urn:iso:EEA", False),
            ("urn:iso:EU", "urn:iso:EEA", True),
            ("urn:iso:EEA", "urn:iso:EU", False),
            ("urn:iso:EFTA", "urn:iso:EEA", False),
            ("urn:iso:EEA", "urn:iso:IT", Unknown),
            ("urn:iso:IT", "https://sws.geonames.org/3175395/", Unknown),
            ("urn:iso:ITALY", "urn:iso:EU", Unknown),
            ("https://a.example/x", "https://a.example/x", True),
        ] {
            assert_eq!(lies_in(inner, outer), expected, "{inner} in {outer}");
        }
    }

    #[test]
    fn names_of_different_lists_are_not_compared() {
        assert!(are_comparable("urn:iso:IT", "urn:nuts:ITF"));
        assert!(are_comparable("https://sws.geonames.org/1", "https://sws.geonames.org/2"));
        assert!(!are_comparable("urn:iso:IT", "https://sws.geonames.org/3175395"));
        assert!(!are_comparable("https://a.example/1", "https://b.example/1"));
    }
}
