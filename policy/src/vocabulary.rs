//! Terms of the ODRL vocabulary 2.2 in their short, prefixed and full spellings.

use policy_plan::Meter;

use crate::MUNICIPAL_PROFILE;
use crate::calendar::{Clock, Dial, Zone};
use crate::dialect;
use crate::model::Part;

/// Namespace of the ODRL vocabulary.
pub(crate) const ODRL: &str = "http://www.w3.org/ns/odrl/2/";
const EDC: &str = "https://w3id.org/edc/v0.0.1/ns/";

/// The short form of an ODRL term in any spelling; names of other vocabularies stay as they are.
pub(crate) fn term(name: &str) -> &str {
    name.strip_prefix("odrl:").or_else(|| name.strip_prefix(ODRL)).unwrap_or(name)
}

/// Whether the name belongs to another vocabulary than ODRL: a full IRI, or a name with a prefix.
pub(crate) fn is_foreign(name: &str) -> bool {
    name.contains(':') && term(name) == name
}

/// Names that tell people something and have no part in the evaluation.
pub(crate) fn is_annotation(name: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "dct:",
        "dcterms:",
        "rdfs:",
        "http://purl.org/dc/terms/",
        "https://purl.org/dc/terms/",
        "http://www.w3.org/2000/01/rdf-schema#",
    ];
    const NAMES: [&str; 8] =
        ["title", "description", "label", "comment", "creator", "publisher", "created", "modified"];
    PREFIXES.iter().filter_map(|prefix| name.strip_prefix(prefix)).any(|rest| NAMES.contains(&rest))
}

/// Actions and the action that each is included in (ODRL 2.2 Vocabulary, Actions; `includedIn`).
const ACTIONS: [(&str, Option<&str>); 45] = [
    ("use", None),
    ("transfer", None),
    ("acceptTracking", Some("use")),
    ("aggregate", Some("use")),
    ("annotate", Some("use")),
    ("anonymize", Some("use")),
    ("append", Some("modify")),
    ("archive", Some("use")),
    ("attribute", Some("use")),
    ("compensate", Some("use")),
    ("concurrentUse", Some("use")),
    ("copy", Some("reproduce")),
    ("delete", Some("use")),
    ("derive", Some("use")),
    ("digitize", Some("use")),
    ("display", Some("play")),
    ("distribute", Some("use")),
    ("ensureExclusivity", Some("use")),
    ("execute", Some("use")),
    ("export", Some("transform")),
    ("extract", Some("reproduce")),
    ("give", Some("transfer")),
    ("grantUse", Some("use")),
    ("include", Some("use")),
    ("index", Some("use")),
    ("inform", Some("use")),
    ("install", Some("use")),
    ("modify", Some("use")),
    ("move", Some("use")),
    ("nextPolicy", Some("use")),
    ("obtainConsent", Some("use")),
    ("play", Some("use")),
    ("present", Some("use")),
    ("print", Some("use")),
    ("read", Some("use")),
    ("reproduce", Some("use")),
    ("reviewPolicy", Some("use")),
    ("sell", Some("transfer")),
    ("stream", Some("use")),
    ("synchronize", Some("use")),
    ("textToSpeech", Some("use")),
    ("transform", Some("use")),
    ("translate", Some("use")),
    ("uninstall", Some("use")),
    ("write", Some("modify")),
];

/// The vocabulary's spelling of an action, whatever its prefix and case.
pub(crate) fn action(name: &str) -> Option<&'static str> {
    ACTIONS.iter().map(|(known, _)| *known).find(|known| known.eq_ignore_ascii_case(term(name)))
}

/// An action and all that it is included in, nearest first. Unknown actions are included in nothing.
pub(crate) fn action_with_ancestors(name: &str) -> Vec<&str> {
    let mut found = vec![action(name).unwrap_or(name)];
    while let Some(parent) =
        found.last().and_then(|last| ACTIONS.iter().find(|(known, _)| known == last)).and_then(|(_, parent)| *parent)
    {
        found.push(parent);
    }
    found
}

/// An action and all that is included in it, itself first.
pub(crate) fn action_with_parts(name: &str) -> Vec<&str> {
    let whole = action(name).unwrap_or(name);
    let parts = ACTIONS.iter().map(|(known, _)| *known);
    let parts = parts.filter(|known| *known != whole && action_with_ancestors(known).contains(&whole));
    std::iter::once(whole).chain(parts).collect()
}

/// Whether a short name is a word of the ODRL vocabulary, or of the profile here, that policies use.
pub(crate) fn is_term(name: &str) -> bool {
    const WORDS: [&str; 51] = [
        "Action",
        "Agreement",
        "Asset",
        "AssetCollection",
        "Constraint",
        "Duty",
        "LogicalConstraint",
        "Offer",
        "Party",
        "PartyCollection",
        "Permission",
        "Policy",
        "Prohibition",
        "Rule",
        "Set",
        "action",
        "and",
        "andSequence",
        "assignee",
        "assigner",
        "conflict",
        "consequence",
        "constraint",
        "dataType",
        "duty",
        "id",
        "inForceDate",
        "inheritFrom",
        "invalid",
        "leftOperand",
        "obligation",
        "operand",
        "operator",
        "or",
        "perm",
        "permission",
        "profile",
        "prohibit",
        "prohibition",
        "refinement",
        "remedy",
        "rightOperand",
        "rightOperandReference",
        "source",
        "status",
        "target",
        "type",
        "uid",
        "unit",
        "xone",
        "partOf",
    ];
    WORDS.contains(&name)
        || action(name).is_some()
        || Operator::parse(name).is_some()
        || UNSUPPORTED.contains(&name)
        || MUNICIPAL.contains(&name)
        || left_operand(name, Reading::default()).is_ok_and(|left| !matches!(left, Left::Claim { .. }))
}

/// Operators (ODRL 2.2 Vocabulary, Constraint Operators).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operator {
    Eq,
    Neq,
    Lt,
    Lteq,
    Gt,
    Gteq,
    IsA,
    IsPartOf,
    HasPart,
    IsAnyOf,
    IsNoneOf,
    IsAllOf,
    /// Ours, for what `neq` and `isNoneOf` mean where the left side has groups: contained in none of the right values.
    IsNotPartOf,
}

impl Operator {
    /// Reads an operator. The schema of DSP 2025-1 also knows `term-lteq`, an anchor name that slipped into its list.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match term(name).to_ascii_lowercase().as_str() {
            "eq" => Self::Eq,
            "neq" => Self::Neq,
            "lt" => Self::Lt,
            "lteq" | "term-lteq" => Self::Lteq,
            "gt" => Self::Gt,
            "gteq" => Self::Gteq,
            "isa" => Self::IsA,
            "ispartof" => Self::IsPartOf,
            "haspart" => Self::HasPart,
            "isanyof" | "anyof" => Self::IsAnyOf,
            "isnoneof" => Self::IsNoneOf,
            "isallof" => Self::IsAllOf,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::Lt => "lt",
            Self::Lteq => "lteq",
            Self::Gt => "gt",
            Self::Gteq => "gteq",
            Self::IsA => "isA",
            Self::IsPartOf => "isPartOf",
            Self::HasPart => "hasPart",
            Self::IsAnyOf => "isAnyOf",
            Self::IsNoneOf => "isNoneOf",
            Self::IsAllOf => "isAllOf",
            Self::IsNotPartOf => "isNotPartOf",
        }
    }

    /// Whether it asks for order, which only numbers and instants have.
    pub(crate) fn is_ordering(self) -> bool {
        matches!(self, Self::Lt | Self::Lteq | Self::Gt | Self::Gteq)
    }

    /// Whether it asks what contains what, or what is an instance of what.
    pub(crate) fn is_relation(self) -> bool {
        matches!(self, Self::IsA | Self::IsPartOf | Self::HasPart | Self::IsNotPartOf)
    }
}

/// What a constraint looks at (ODRL 2.2 Vocabulary, Constraint Left Operands).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The clock.
    DateTime,
    /// Milliseconds since the agreement; EDC's `inForceDate` with a relative value.
    SinceAgreement,
    /// Milliseconds since the agreement; `delayPeriod` that no moment stands before.
    Delay,
    /// The clock of one place.
    Calendar(Clock),
    /// What is counted or measured of the agreement's use.
    Usage(Meter),
    /// The ordinal of the transfer under the agreement.
    Transfers,
    /// The events that are in force.
    Event,
    /// The consents that hold for this recipient, dataset and purpose.
    Consent,
    /// The transfer format.
    Channel,
    /// The media type of the dataset.
    Format,
    /// The device that the recipient's credential names.
    Device,
    /// The party that receives the data.
    Recipient,
    /// What the recipient says, or its credential says, that the data is for.
    Purpose,
    /// Where the recipient is.
    Spatial,
    /// The position of the recipient; `spatial` that is compared with an area.
    Position,
    /// The recipient's statistical region (NUTS).
    NutsRegion,
    /// Whether the recipient belongs to the data space.
    Membership,
    /// What the recipient is in its organisation.
    Role,
    /// The asset that is asked for; only in the conditions that targets become.
    Target,
    /// A property of the asset that is asked for: its name in the policy and the path to it.
    Asset { name: String, path: Vec<String> },
    /// A value that only the facts of a case give, with what the constraint says about it.
    Given { name: String, unit: Option<String>, label: String },
    /// A member of the subjects of a type: its name in the policy, the type and the path to it.
    Subject { name: String, subject_type: String, path: Vec<String> },
    /// A member of the verified claims: its name in the policy and the path to it.
    Claim { name: String, path: Vec<String> },
}

/// What a constraint is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The request, its party, its time.
    #[default]
    Request,
    /// The asset: refinements of asset collections.
    Asset,
}

/// How constraints are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) subject: Subject,
    /// Whether the facts may give a value for any left operand of the vocabulary.
    pub(crate) is_open: bool,
    /// Whether they are shown as they are written, and compared with nothing.
    pub(crate) is_shown: bool,
    /// What of a rule the constraints narrow.
    pub(crate) part: Part,
}

impl Reading {
    pub(crate) fn asset(self) -> Self {
        Self { subject: Subject::Asset, part: Part::Target, ..self }
    }

    pub(crate) fn of(self, part: Part) -> Self {
        Self { part, ..self }
    }
}

/// Left operands of the vocabulary whose values only the facts of a case can tell; for those in the second list there is a
/// source of values here, too.
const UNSUPPORTED: [&str; 22] = [
    "absolutePosition",
    "absoluteSize",
    "absoluteSpatialPosition",
    "absoluteTemporalPosition",
    "device",
    "industry",
    "language",
    "media",
    "payAmount",
    "percentage",
    "product",
    "relativePosition",
    "relativeSize",
    "relativeSpatialPosition",
    "relativeTemporalPosition",
    "resolution",
    "spatialCoordinates",
    "system",
    "timedCount",
    "unitOfCount",
    "version",
    "virtualLocation",
];
const MEASURED: [&str; 9] = [
    "count",
    "delayPeriod",
    "deliveryChannel",
    "elapsedTime",
    "event",
    "fileFormat",
    "meteredTime",
    "systemDevice",
    "timeInterval",
];

const SUPPORTED: &str = "dateTime, dayOfWeek, hourOfDay, timeOfDay, delayPeriod, elapsedTime, timeInterval, meteredTime, count, volume, event, consent, deliveryChannel, fileFormat, systemDevice, recipient, purpose, spatial, nutsRegion, membership, role, inForceDate, credential:<path> or a full IRI";

/// Words of the municipal profile, which are read with and without its namespace.
const MUNICIPAL: [&str; 10] = [
    "consent",
    "dayOfWeek",
    "hourOfDay",
    "membership",
    "nutsRegion",
    "request",
    "role",
    "timeOfDay",
    "transfer",
    "volume",
];

/// The word of the municipal profile that the IRI names.
///
/// # Errors
///
/// A sentence, when the profile has no such word; `None` for names of other vocabularies.
fn municipal(name: &str) -> Option<Result<&str, String>> {
    let word = name.strip_prefix(MUNICIPAL_PROFILE)?.strip_prefix('#')?;
    let is_word = MUNICIPAL.contains(&word) || word.starts_with("credential:");
    Some(if is_word { Ok(word) } else { Err(format!("the municipal profile has no word `{word}`")) })
}

/// What counts as a use: every transfer when true, every request when false (`unit` of `count`).
///
/// # Errors
///
/// A sentence, when the unit is neither.
pub(crate) fn counts_transfers(unit: &str) -> Result<bool, String> {
    match municipal(unit).unwrap_or(Ok(unit))? {
        "request" => Ok(false),
        "transfer" => Ok(true),
        other => Err(format!("`{other}` is not a unit of uses; they are `request` and `transfer`")),
    }
}

/// The name under which facts tell a property of an asset: terms of DCAT and of Dublin Core with their usual prefixes.
fn asset_property(name: &str) -> String {
    const NAMESPACES: [(&str, &str); 4] = [
        ("http://www.w3.org/ns/dcat#", "dcat:"),
        ("http://purl.org/dc/terms/", "dct:"),
        ("https://purl.org/dc/terms/", "dct:"),
        ("dcterms:", "dct:"),
    ];
    let short = NAMESPACES.iter().find_map(|(from, to)| name.strip_prefix(from).map(|rest| format!("{to}{rest}")));
    short.unwrap_or_else(|| term(name).to_owned())
}

/// Whether a connector can tell the property of each asset.
fn is_described(property: &str) -> bool {
    property.starts_with("dcat:") || property.starts_with("dct:")
}

/// Reads a left operand.
///
/// # Errors
///
/// A sentence, when nothing here knows where its value would come from.
pub(crate) fn left_operand(name: &str, reading: Reading) -> Result<Left, String> {
    if reading.subject == Subject::Asset {
        let property = asset_property(name);
        if !reading.is_open && property == "fileFormat" {
            return Ok(Left::Format);
        }
        if !reading.is_open && !is_described(&property) {
            return Err(format!(
                "`{property}` is not known of assets here; what is known is `fileFormat`, and how the catalog describes them: `dcat:…` and `dct:…`"
            ));
        }
        return Ok(Left::Asset { name: format!("{property} of the asset"), path: vec![property] });
    }
    let short = match name.strip_prefix("edc:").or_else(|| name.strip_prefix(EDC)) {
        Some("inForceDate") => "inForceDate",
        _ => municipal(name).unwrap_or(Ok(term(name)))?,
    };
    let given = || Left::Given { name: short.to_owned(), unit: None, label: short.to_owned() };
    Ok(match short {
        "dateTime" | "inForceDate" => Left::DateTime,
        "delayPeriod" if reading.is_shown => Left::Delay,
        _ if reading.is_open && (UNSUPPORTED.contains(&short) || MEASURED.contains(&short)) => given(),
        "delayPeriod" => Left::Delay,
        "count" => Left::Usage(Meter::Count),
        "meteredTime" => Left::Usage(Meter::MeteredTime),
        "elapsedTime" => Left::Usage(Meter::Elapsed),
        "timeInterval" => Left::Usage(Meter::Interval),
        "volume" => Left::Usage(Meter::Volume),
        "event" => Left::Event,
        "consent" => Left::Consent,
        "deliveryChannel" => Left::Channel,
        "fileFormat" => Left::Format,
        "systemDevice" => Left::Device,
        "dayOfWeek" => Left::Calendar(Clock::new(Dial::DayOfWeek, Zone::UTC)),
        "hourOfDay" => Left::Calendar(Clock::new(Dial::HourOfDay, Zone::UTC)),
        "timeOfDay" => Left::Calendar(Clock::new(Dial::TimeOfDay, Zone::UTC)),
        "recipient" => Left::Recipient,
        "purpose" => Left::Purpose,
        "spatial" => Left::Spatial,
        "nutsRegion" => Left::NutsRegion,
        "membership" => Left::Membership,
        "role" => Left::Role,
        _ if UNSUPPORTED.contains(&short) => {
            return Err(format!("no value is known here for the left operand `{short}`; supported are {SUPPORTED}"));
        }
        _ => match short.strip_prefix("credential:") {
            Some(path) => {
                let path: Vec<String> = path.split('.').map(str::to_owned).collect();
                if path.len() > MAX_CLAIM_STEPS || path.iter().any(String::is_empty) {
                    return Err(format!(
                        "`{short}` is not a path of at most {MAX_CLAIM_STEPS} names with dots between"
                    ));
                }
                Left::Claim { name: short.to_owned(), path }
            }
            None if is_foreign(name) => match dialect::left_operand(name) {
                Some(known) => return known,
                None => Left::Claim { name: name.to_owned(), path: vec![name.to_owned()] },
            },
            None => return Err(format!("the left operand `{short}` is not known; supported are {SUPPORTED}")),
        },
    })
}

/// The deepest path into the claims.
const MAX_CLAIM_STEPS: usize = 16;

impl Left {
    /// The name under which a value is handed to the evaluator and shown to people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::DateTime => "dateTime",
            Self::SinceAgreement => "inForceDate",
            Self::Delay => "delayPeriod",
            Self::Usage(meter) => meter.as_str(),
            Self::Transfers => "count of transfers",
            Self::Event => "event",
            Self::Consent => "consent",
            Self::Channel => "deliveryChannel",
            Self::Format => "fileFormat",
            Self::Device => "systemDevice",
            Self::Recipient => "recipient",
            Self::Purpose => "purpose",
            Self::Spatial => "spatial",
            Self::Position => "position",
            Self::NutsRegion => "nutsRegion",
            Self::Membership => "membership",
            Self::Role => "role",
            Self::Calendar(clock) => &clock.label,
            Self::Target => "target",
            Self::Asset { name, .. } | Self::Subject { name, .. } | Self::Claim { name, .. } => name,
            Self::Given { label, .. } => label,
        }
    }

    /// Whether only the time after an agreement can tell its value, so that it is no reason to refuse a proposal.
    pub(crate) fn is_of_the_future(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Transfers | Self::Event | Self::Consent | Self::Channel | Self::Format)
    }
}
