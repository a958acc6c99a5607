//! The kit's settings for one run.

use super::{HOLDER_PID, STS_CLIENT};
use crate::server::url_by_name;

/// The lines that are the same in every run; `{...}` stands for what is found out when it begins.
const TEMPLATE: &str = include_str!("../../../kit/dcp.properties");

/// Where everything is in this run.
pub(super) struct Addresses<'a> {
    /// The role of the connector.
    pub role: &'a str,
    /// The DID of the connector.
    pub did: &'a str,
    /// The port that the kit listens on.
    pub kit_port: u16,
    /// Where a request makes the connector verify its caller.
    pub trigger: &'a str,
    /// The connector's token service, without `/token`, where the connector is the holder. A holder that the kit plays has
    /// its own.
    pub token_service: Option<&'a str>,
    /// Print every step.
    pub verbose: bool,
}

/// The settings. Every role but one is left to the kit.
pub(super) fn write(addresses: &Addresses<'_>) -> String {
    [
        ("{role}", addresses.role),
        ("{did}", addresses.did),
        ("{kit port}", &addresses.kit_port.to_string()),
        ("{kit}", &url_by_name(addresses.kit_port)),
        ("{trigger}", addresses.trigger),
        ("{only for a holder}", &addresses.token_service.map(for_holder).unwrap_or_default()),
        ("{verbose}", if addresses.verbose { "true" } else { "false" }),
    ]
    .into_iter()
    .fold(TEMPLATE.to_owned(), |text, (name, value)| text.replace(name, value))
}

fn for_holder(token_service: &str) -> String {
    let (client, secret) = STS_CLIENT;
    [
        ("sts.url", token_service),
        ("sts.client.id", client),
        ("sts.client.secret", secret),
        // The request under which the kit delivers credentials.
        ("credentials.correlation.id", HOLDER_PID),
    ]
    .map(|(name, value)| format!("dataspacetck.{name}={value}"))
    .join("\n")
}
