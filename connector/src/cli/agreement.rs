//! Agreements.

use super::arguments::{AgreementCommand, AgreementList};
use super::client::Client;
use super::failure::Outcome;
use super::partner;
use super::show::{Column, Printer};

const COLUMNS: [Column; 6] = [
    ("agreement", "/id"),
    ("role", "/role"),
    ("dataset", "/datasetId"),
    ("provider", "/providerId"),
    ("consumer", "/consumerId"),
    ("signed", "/signedAt"),
];

/// `hansa agreements`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn list(client: &Client, print: Printer, options: &AgreementList) -> Outcome {
    let partner = match &options.partner {
        Some(named) => Some(partner::resolve(client, named).await?),
        None => None,
    };
    let filters = [("role", &options.role), ("counterPartyId", &partner), ("datasetId", &options.dataset)];
    let filters: Vec<(&str, &str)> =
        filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    let list = client.list("agreements", &filters, options.many.limit).await?;
    print.list(&list, &COLUMNS, "there is no such agreement")
}

/// `hansa agreement …`
///
/// # Errors
/// What the control plane refuses with.
pub(super) async fn run(client: &Client, print: Printer, command: AgreementCommand) -> Outcome {
    match command {
        AgreementCommand::List(options) => list(client, print, &options).await,
        AgreementCommand::Show(what) => print.item(&client.get(&["agreements", &what.id]).await?),
    }
}
