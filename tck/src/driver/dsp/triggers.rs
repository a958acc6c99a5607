//! The two addresses at which the kit asks for a negotiation or a transfer that the connector begins.

use std::sync::Arc;

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::management::{Management, text};
use crate::peer::messages;
use crate::server::{Incoming, Outgoing, Server};
use crate::{Result, ports};

/// Serves them on a free port.
pub(super) fn start(api: Management) -> Result<Server> {
    Server::start(
        ports::free()?,
        Arc::new(move |request| {
            let api = api.clone();
            async move { answer(&api, &request).await }.boxed()
        }),
    )
}

async fn answer(api: &Management, request: &Incoming) -> Outgoing {
    let wanted = request.json();
    let begun = match request.path() {
        "/negotiations" => api.post("/negotiations", negotiation(&wanted)).await,
        "/transfers" => api.post("/transfers", transfer(&wanted)).await,
        _ => return Outgoing::empty(404),
    };
    match begun {
        Ok(process) => Outgoing::json(200, &process),
        Err(error) => {
            println!("{wanted}: {error}");
            Outgoing::json(500, &json!({"detail": error.to_string()}))
        }
    }
}

fn counter_party(wanted: &Value) -> Value {
    let address = json!({"base": text(wanted, "connectorAddress"), "version": "2025-1"});
    json!({"id": text(wanted, "providerId"), "address": address})
}

fn negotiation(wanted: &Value) -> Value {
    json!({
        "counterParty": counter_party(wanted),
        "offer": messages::open_offer(text(wanted, "offerId"), text(wanted, "datasetId")),
        "decision": "manual"
    })
}

fn transfer(wanted: &Value) -> Value {
    json!({
        "counterParty": counter_party(wanted),
        "agreementId": text(wanted, "agreementId"),
        "format": text(wanted, "format"),
        "decision": "manual"
    })
}
