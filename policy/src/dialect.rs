//! Words of other ecosystems: those that mean what a word here means, and those that are refused with the reason.
//! All other names of other vocabularies are claims, which a verifier may know by that name.

use crate::vocabulary::Left;

/// Namespaces of Catena-X' ODRL profile, and the prefix that its policies use.
const CATENA_X: [&str; 3] =
    ["cx-policy:", "https://w3id.org/catenax/policy/", "https://w3id.org/catenax/2025/9/policy/"];
const GAIA_X: [&str; 2] = ["ovc:", "https://w3id.org/gaia-x/ovc/1/"];

/// The assignee that stands for everybody in FIWARE's ODRL-PAP.
pub(crate) const ANYBODY: &str = "vc:any";

/// Terms of Catena-X that people keep, and nothing that a connector knows decides.
const CATENA_X_TERMS: [&str; 14] = [
    "AffiliatesBpnl",
    "AffiliatesRegion",
    "ConfidentialInformationMeasures",
    "ConfidentialInformationSharing",
    "ContractReference",
    "ContractTermination",
    "DataFrequency",
    "DataProvisioningEndDurationDays",
    "ExclusiveUsage",
    "JurisdictionLocation",
    "Liability",
    "Precedence",
    "VersionChanges",
    "Warranty",
];
const CATENA_X_ENDS: [&str; 3] = ["DataProvisioningEndDate", "DataUsageEndDate", "DataUsageEndDurationDays"];

fn local<'a>(name: &'a str, namespaces: &[&str]) -> Option<&'a str> {
    namespaces.iter().find_map(|namespace| name.strip_prefix(namespace))
}

/// Whether the name is one of FIWARE's `http:` operands; addresses begin with `http://`.
fn is_http_operand(name: &str) -> bool {
    name.starts_with("http:") && !name.starts_with("http://")
}

/// The left operand that another ecosystem's name stands for; `None` when no dialect here knows the name.
pub(crate) fn left_operand(name: &str) -> Option<Result<Left, String>> {
    if let Some(term) = local(name, &CATENA_X) {
        return match term {
            "Membership" => Some(Ok(Left::Membership)),
            "UsagePurpose" => Some(Ok(Left::Purpose)),
            term if CATENA_X_ENDS.contains(&term) => Some(Err(format!(
                "`{term}` of Catena-X is not read here; write the end with `dateTime` or `inForceDate`"
            ))),
            term if CATENA_X_TERMS.contains(&term) || term.starts_with("UsageRestriction") => Some(Err(format!(
                "`{term}` of Catena-X is a term that people keep; nothing that is known here decides it"
            ))),
            _ => None,
        };
    }
    let prefix = name.split_once(':').map(|(prefix, _)| prefix)?;
    match (prefix, name) {
        (_, "vc:role") => Some(Ok(Left::Role)),
        (_, "vc:currentParty") => Some(Ok(Left::Recipient)),
        // The types of all credentials that were accepted.
        (_, "vc:type") => {
            Some(Ok(Left::Claim { name: name.to_owned(), path: vec!["credentials".to_owned(), "type".to_owned()] }))
        }
        ("ngsi-ld", _) => {
            Some(Err(format!("`{name}` of FIWARE looks at entities; that is said by the selection of the dataset")))
        }
        ("tmf" | "dome-op", _) => {
            Some(Err(format!("`{name}` of FIWARE looks at a marketplace that is not known here")))
        }
        _ if is_http_operand(name) => Some(Err(format!(
            "`{name}` of FIWARE looks at the request; which requests a dataset admits is said with the dataset"
        ))),
        _ => None,
    }
}

/// Why an operator that another ecosystem adds is refused; `None` when no dialect here knows the name.
pub(crate) fn refused_operator(name: &str) -> Option<String> {
    let odrl = crate::vocabulary::term(name);
    (odrl == "regex" || name == "http:isInPath").then(|| {
        format!(
            "the operator `{odrl}` of FIWARE compares patterns, which is not done here; list the values with `isAnyOf`"
        )
    })
}

/// Why a right operand that another ecosystem adds is refused.
pub(crate) fn refused_right(name: &str) -> Option<String> {
    let is_odrl = crate::vocabulary::term(name) == "policyUsage" && name != "policyUsage";
    (is_odrl || name == "dome-op:currentParty")
        .then(|| format!("`{name}` stands for a value of the moment, which is not put in here; write the value"))
}

/// The word of Gaia-X' profile that a member's name is: `constraint`, `leftOperand` and `credentialSubjectType` are read.
pub(crate) fn gaia_x(name: &str) -> Option<&str> {
    local(name, &GAIA_X)
}

/// Why an action that another ecosystem adds is refused.
pub(crate) fn refused_action(name: &str) -> Option<String> {
    if local(name, &CATENA_X) == Some("access") {
        return Some(format!(
            "`{name}` of Catena-X is said here by the access policy of an offer, whose action is `use`"
        ));
    }
    let prefix = name.split_once(':').map(|(prefix, _)| prefix)?;
    matches!(prefix, "ngsi-ld" | "tmf" | "dome-op").then(|| {
        format!("the action `{name}` of FIWARE is a request of a kind; which requests a dataset admits is said with the dataset")
    })
}
