//! `hansa status`

use super::client::Client;
use super::failure::Outcome;
use super::show::Printer;

/// Shows who we are and what there is.
///
/// # Errors
/// When the control plane cannot be reached or refuses.
pub(super) async fn show(client: &Client, print: Printer) -> Outcome {
    print.item(&client.get(&["status"]).await?)
}
