//! The kit's settings for one run.

use std::fmt::Write as _;

use super::operator::Subjects;
use super::publish;
use super::scripts::Part;
use crate::server::url;

/// The lines that are the same in every run; `{...}` stands for what is found out when it begins.
const TEMPLATE: &str = include_str!("../../../kit/dsp.properties");

/// Where everything is in this run.
pub(super) struct Addresses<'a> {
    /// The participant id of the connector.
    pub participant: &'a str,
    /// Where the connector's version document is.
    pub connector_root: &'a str,
    /// Where the connector's endpoints are.
    pub connector_base: &'a str,
    /// The port that the kit listens on.
    pub kit_port: u16,
    /// Where the triggers are.
    pub triggers: &'a str,
    /// What the kit shows the connector.
    pub token: &'a str,
    /// Print every step.
    pub verbose: bool,
}

/// The settings but for the tests' own.
pub(super) fn write(addresses: &Addresses<'_>) -> String {
    let port = addresses.kit_port;
    [
        ("{participant}", addresses.participant),
        ("{root}", addresses.connector_root),
        ("{base}", addresses.connector_base),
        ("{kit port}", &port.to_string()),
        ("{kit}", &url(port)),
        ("{triggers}", addresses.triggers),
        ("{token}", addresses.token),
        ("{verbose}", if addresses.verbose { "true" } else { "false" }),
        ("{listed dataset}", publish::LISTED),
        ("{shown dataset}", publish::SHOWN),
        ("{unknown dataset}", publish::UNKNOWN),
    ]
    .into_iter()
    .fold(TEMPLATE.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// The settings with the dataset or agreement of each test.
pub(super) fn with_subjects(mut settings: String, subjects: &Subjects) -> String {
    let mut line = |key: String, name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(settings, "{key}_{name}={value}");
    };
    for (subject, script) in subjects.iter() {
        let key = script.test.replace([':', '-'], "_");
        match script.part() {
            Part::ProviderNegotiation => {
                line(key.clone(), "DATASETID", subject);
                line(key, "OFFERID", &script.offer());
            }
            Part::ConsumerNegotiation => line(key, "DATASETID", subject),
            Part::ProviderTransfer | Part::ConsumerTransfer => {
                line(key.clone(), "AGREEMENTID", subject);
                line(key, "FORMAT", "HttpData-PULL");
            }
        }
    }
    settings
}
