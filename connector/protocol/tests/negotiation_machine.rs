//! DSP 2025-1, "Contract Negotiation Protocol: State Machine": every state, message and sender, legal and illegal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;

use dsp_protocol::negotiation::{
    self as machine, Negotiation, NegotiationMessage, NegotiationState, Owed, Reconciled, Role,
};

/// One state of one role: what may be received (`*`: proves that our owed message arrived), which commands are
/// allowed, and what an acknowledgement leads to.
struct Row {
    role: Role,
    state: &'static str,
    received: &'static str,
    commands: &'static str,
    acknowledged: &'static str,
}

const fn row(
    role: Role,
    state: &'static str,
    received: &'static str,
    commands: &'static str,
    acknowledged: &'static str,
) -> Row {
    Row { role, state, received, commands, acknowledged }
}

use Role::{Consumer as C, Provider as P};

/// The whole machine as data: a state is `settled/owed message/sent`. What is not listed is illegal.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(C, "-/ContractRequest/unsent",         "Termination>TERMINATED", "Termination", "REQUESTED"),
    row(C, "-/ContractRequest/sent",           "ContractOffer>OFFERED* Agreement>AGREED* Termination>TERMINATED", "Termination", "REQUESTED"),
    row(C, "REQUESTED",                        "ContractOffer>OFFERED Agreement>AGREED Termination>TERMINATED", "Termination", ""),
    row(C, "REQUESTED/Termination/unsent",     "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "REQUESTED/Termination/sent",       "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "OFFERED",                          "Termination>TERMINATED", "ContractRequest Accepted Termination", ""),
    row(C, "OFFERED/ContractRequest/unsent",   "Termination>TERMINATED", "Termination", "REQUESTED"),
    row(C, "OFFERED/ContractRequest/sent",     "ContractOffer>OFFERED* Agreement>AGREED* Termination>TERMINATED", "Termination", "REQUESTED"),
    row(C, "OFFERED/Accepted/unsent",          "Termination>TERMINATED", "Termination", "ACCEPTED"),
    row(C, "OFFERED/Accepted/sent",            "Agreement>AGREED* Termination>TERMINATED", "Termination", "ACCEPTED"),
    row(C, "OFFERED/Termination/unsent",       "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "OFFERED/Termination/sent",         "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "ACCEPTED",                         "Agreement>AGREED Termination>TERMINATED", "Termination", ""),
    row(C, "ACCEPTED/Termination/unsent",      "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "ACCEPTED/Termination/sent",        "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "AGREED",                           "Termination>TERMINATED", "Verification Termination", ""),
    row(C, "AGREED/Verification/unsent",       "Termination>TERMINATED", "Termination", "VERIFIED"),
    row(C, "AGREED/Verification/sent",         "Finalized>FINALIZED* Termination>TERMINATED", "Termination", "VERIFIED"),
    row(C, "AGREED/Termination/unsent",        "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "AGREED/Termination/sent",          "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "VERIFIED",                         "Finalized>FINALIZED Termination>TERMINATED", "Termination", ""),
    row(C, "VERIFIED/Termination/unsent",      "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "VERIFIED/Termination/sent",        "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "FINALIZED",                        "", "", ""),
    row(C, "TERMINATED",                       "", "", ""),

    row(P, "-/ContractOffer/unsent",           "Termination>TERMINATED", "Termination", "OFFERED"),
    row(P, "-/ContractOffer/sent",             "ContractRequest>REQUESTED* Accepted>ACCEPTED* Termination>TERMINATED", "Termination", "OFFERED"),
    row(P, "REQUESTED",                        "Termination>TERMINATED", "ContractOffer Agreement Termination", ""),
    row(P, "REQUESTED/ContractOffer/unsent",   "Termination>TERMINATED", "Termination", "OFFERED"),
    row(P, "REQUESTED/ContractOffer/sent",     "ContractRequest>REQUESTED* Accepted>ACCEPTED* Termination>TERMINATED", "Termination", "OFFERED"),
    row(P, "REQUESTED/Agreement/unsent",       "Termination>TERMINATED", "Termination", "AGREED"),
    row(P, "REQUESTED/Agreement/sent",         "Verification>VERIFIED* Termination>TERMINATED", "Termination", "AGREED"),
    row(P, "REQUESTED/Termination/unsent",     "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "REQUESTED/Termination/sent",       "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "OFFERED",                          "ContractRequest>REQUESTED Accepted>ACCEPTED Termination>TERMINATED", "Termination", ""),
    row(P, "OFFERED/Termination/unsent",       "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "OFFERED/Termination/sent",         "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "ACCEPTED",                         "Termination>TERMINATED", "Agreement Termination", ""),
    row(P, "ACCEPTED/Agreement/unsent",        "Termination>TERMINATED", "Termination", "AGREED"),
    row(P, "ACCEPTED/Agreement/sent",          "Verification>VERIFIED* Termination>TERMINATED", "Termination", "AGREED"),
    row(P, "ACCEPTED/Termination/unsent",      "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "ACCEPTED/Termination/sent",        "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "AGREED",                           "Verification>VERIFIED Termination>TERMINATED", "Termination", ""),
    row(P, "AGREED/Termination/unsent",        "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "AGREED/Termination/sent",          "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "VERIFIED",                         "Termination>TERMINATED", "Finalized Termination", ""),
    row(P, "VERIFIED/Finalized/unsent",        "Termination>TERMINATED", "Termination", "FINALIZED"),
    row(P, "VERIFIED/Finalized/sent",          "Termination>TERMINATED", "Termination", "FINALIZED"),
    row(P, "VERIFIED/Termination/unsent",      "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "VERIFIED/Termination/sent",        "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "FINALIZED",                        "", "", ""),
    row(P, "TERMINATED",                       "", "", ""),
];

/// Who sends what; a message from the other side is the fault `wrong_sender`.
const SENDERS: [(NegotiationMessage, &[Role]); 7] = [
    (NegotiationMessage::ContractRequest, &[C]),
    (NegotiationMessage::ContractOffer, &[P]),
    (NegotiationMessage::Accepted, &[C]),
    (NegotiationMessage::Agreement, &[P]),
    (NegotiationMessage::Verification, &[C]),
    (NegotiationMessage::Finalized, &[P]),
    (NegotiationMessage::Termination, &[C, P]),
];

fn key(state: Negotiation) -> String {
    let settled = state.settled.map_or("-", NegotiationState::as_str);
    match state.owed {
        None => settled.to_owned(),
        Some(owed) => format!("{settled}/{}/{}", owed.message.as_str(), if owed.sent { "sent" } else { "unsent" }),
    }
}

fn state(key: &str) -> Negotiation {
    let mut parts = key.split('/');
    let settled = NegotiationState::parse(parts.next().unwrap());
    let owed = parts.next().map(|message| Owed {
        message: NegotiationMessage::parse(message).unwrap(),
        sent: parts.next() == Some("sent"),
    });
    Negotiation { settled, owed }
}

fn every_state() -> Vec<Negotiation> {
    let settled = NegotiationState::ALL.into_iter().map(Some).chain([None]);
    let owed: Vec<Option<Owed>> = NegotiationMessage::ALL
        .into_iter()
        .flat_map(|message| [false, true].map(|sent| Some(Owed { message, sent })))
        .chain([None])
        .collect();
    settled.flat_map(|settled| owed.iter().map(move |owed| Negotiation { settled, owed: *owed })).collect()
}

fn sends(role: Role, message: NegotiationMessage) -> bool {
    SENDERS.iter().any(|(sent, senders)| *sent == message && senders.contains(&role))
}

#[test]
fn the_table_lists_exactly_the_states_that_can_be_reached() {
    for role in [C, P] {
        let mut reached = BTreeMap::new();
        let mut open = vec![machine::initiate(role), machine::receive_initial(role)];
        while let Some(state) = open.pop() {
            if reached.insert(key(state), ()).is_some() {
                continue;
            }
            open.extend(NegotiationMessage::ALL.into_iter().filter_map(|m| machine::owe(role, state, m).ok()));
            open.extend(
                NegotiationMessage::ALL
                    .into_iter()
                    .filter_map(|m| machine::receive(role, state, m).ok())
                    .map(|r| r.state),
            );
            open.extend(machine::acknowledge(role, state));
            open.push(machine::sent(state));
            open.push(machine::give_up(state));
        }
        let mut listed: Vec<_> = TABLE.iter().filter(|row| row.role == role).map(|row| row.state.to_owned()).collect();
        listed.sort();
        assert_eq!(reached.into_keys().collect::<Vec<_>>(), listed, "{role}");
    }
}

#[test]
fn every_message_from_the_peer() {
    for row in TABLE {
        let legal: BTreeMap<&str, &str> = row.received.split_whitespace().map(|c| c.split_once('>').unwrap()).collect();
        for message in NegotiationMessage::ALL {
            let case = format!("{} in {} receives {}", row.role, row.state, message.as_str());
            let outcome = machine::receive(row.role, state(row.state), message);
            match legal.get(message.as_str()) {
                Some(next) => {
                    let received = outcome.expect(&case);
                    assert_eq!(key(received.state), next.trim_end_matches('*'), "{case}");
                    let owed = state(row.state).owed.map(|owed| owed.message);
                    assert_eq!(received.implied, owed.filter(|_| next.ends_with('*')), "{case}");
                }
                None => {
                    let illegal = outcome.expect_err(&case);
                    let fault = match (sends(row.role.other(), message), row.state.contains("/Termination/")) {
                        (false, _) => "wrong_sender",
                        (true, true) => "terminating",
                        (true, false) => "wrong_state",
                    };
                    assert_eq!(illegal.code, fault, "{case}: {illegal}");
                    assert!(illegal.message.contains(message.as_str()), "{case}: {illegal}");
                    assert!(illegal.message.contains(row.role.other().as_str()), "{case}: {illegal}");
                }
            }
        }
    }
}

#[test]
fn every_command_of_ours() {
    for row in TABLE {
        let legal: Vec<&str> = row.commands.split_whitespace().collect();
        let before = state(row.state);
        for message in NegotiationMessage::ALL {
            let case = format!("{} in {} wants to send {}", row.role, row.state, message.as_str());
            let outcome = machine::owe(row.role, before, message);
            if !legal.contains(&message.as_str()) {
                let illegal = outcome.expect_err(&case);
                let fault = match (sends(row.role, message), before.owed) {
                    (false, _) => "wrong_sender",
                    (true, Some(_)) if message != NegotiationMessage::Termination => "message_owed",
                    (true, _) => "wrong_state",
                };
                assert_eq!(illegal.code, fault, "{case}: {illegal}");
                continue;
            }
            let after = outcome.expect(&case);
            let expected = match before {
                Negotiation { settled: None, owed: Some(Owed { sent: false, .. }) } => "TERMINATED".to_owned(),
                Negotiation { settled: None, .. } => format!("{}/Termination/unsent", row.acknowledged),
                Negotiation { settled: Some(settled), .. } => {
                    format!("{}/{}/unsent", settled.as_str(), message.as_str())
                }
            };
            assert_eq!(key(after), expected, "{case}");
        }
    }
}

#[test]
fn every_acknowledgement() {
    for row in TABLE {
        let case = format!("{} in {} is acknowledged", row.role, row.state);
        match machine::acknowledge(row.role, state(row.state)) {
            Ok(next) => assert_eq!(key(next), row.acknowledged, "{case}"),
            Err(illegal) => {
                assert_eq!(row.acknowledged, "", "{case}");
                assert_eq!(illegal.code, "nothing_owed", "{case}");
            }
        }
        let sent = machine::sent(state(row.state));
        assert_eq!(key(sent), row.state.replace("unsent", "sent"), "{case}");
        let given_up = key(machine::give_up(state(row.state)));
        assert_eq!(given_up, if row.state == "FINALIZED" { "FINALIZED" } else { "TERMINATED" }, "{case}");
    }
}

#[test]
fn states_that_cannot_be_reached_are_no_danger() {
    for role in [C, P] {
        for state in every_state() {
            let _ = (state.name(), state.wire(), state.is_final(), machine::acknowledge(role, state));
            for message in NegotiationMessage::ALL {
                if let Ok(received) = machine::receive(role, state, message) {
                    assert_eq!(received.state.settled, Some(message.leads_to()));
                    assert!(sends(role.other(), message));
                }
                let _ = machine::owe(role, state, message);
            }
            for peer in NegotiationState::ALL {
                let _ = machine::reconcile(role, state, peer);
            }
        }
    }
}

#[test]
fn names_and_wire_states() {
    #[rustfmt::skip]
    let names = [
        ("-/ContractRequest/unsent", "REQUESTING", "REQUESTED"), ("-/ContractOffer/sent", "OFFERING", "OFFERED"),
        ("REQUESTED/ContractOffer/sent", "OFFERING", "REQUESTED"), ("OFFERED/Accepted/unsent", "ACCEPTING", "OFFERED"),
        ("ACCEPTED/Agreement/sent", "AGREEING", "ACCEPTED"), ("AGREED/Verification/sent", "VERIFYING", "AGREED"),
        ("VERIFIED/Finalized/sent", "FINALIZING", "VERIFIED"), ("AGREED/Termination/sent", "TERMINATING", "AGREED"),
        ("REQUESTED", "REQUESTED", "REQUESTED"), ("FINALIZED", "FINALIZED", "FINALIZED"),
    ];
    for (key, name, wire) in names {
        assert_eq!((state(key).name(), state(key).wire().as_wire()), (name, wire), "{key}");
    }
}

#[test]
fn states_are_read_in_every_spelling() {
    for state in NegotiationState::ALL {
        let name = state.as_wire();
        for spelling in [name.to_owned(), format!("dspace:{name}"), format!("https://w3id.org/dspace/2025/1/{name}")] {
            assert_eq!(NegotiationState::parse(&spelling), Some(state), "{spelling}");
        }
    }
    for other in ["", "requested", "OFFERING", "dspace:", "https://w3id.org/dspace/2024/1/REQUESTED", "x:REQUESTED"] {
        assert_eq!(NegotiationState::parse(other), None, "{other}");
    }
}

/// What the peer's GET tells a sender in doubt.
#[test]
fn the_peers_state_settles_doubts() {
    #[rustfmt::skip]
    let cases = [
        (C, "-/ContractRequest/sent", "REQUESTED", "REQUESTED"), (C, "OFFERED/Accepted/sent", "ACCEPTED", "ACCEPTED"),
        (C, "OFFERED/Accepted/sent", "OFFERED", "not yet"), (C, "OFFERED/Accepted/sent", "AGREED", "diverged"),
        (P, "REQUESTED/Agreement/sent", "AGREED", "AGREED"), (P, "REQUESTED/Agreement/sent", "TERMINATED", "TERMINATED"),
        (P, "VERIFIED/Finalized/sent", "FINALIZED", "FINALIZED"), (P, "VERIFIED/Finalized/sent", "VERIFIED", "not yet"),
        (P, "VERIFIED/Termination/sent", "FINALIZED", "FINALIZED"), (P, "VERIFIED/Termination/sent", "VERIFIED", "not yet"),
        (C, "VERIFIED/Termination/sent", "VERIFIED", "not yet"), (C, "AGREED/Termination/sent", "TERMINATED", "TERMINATED"),
        (C, "AGREED", "AGREED", "AGREED"), (C, "AGREED", "REQUESTED", "diverged"), (C, "AGREED", "TERMINATED", "TERMINATED"),
        (C, "FINALIZED", "FINALIZED", "FINALIZED"), (C, "FINALIZED", "VERIFIED", "diverged"),
    ];
    for (role, ours, peers, expected) in cases {
        let found = match machine::reconcile(role, state(ours), NegotiationState::parse(peers).unwrap()) {
            Reconciled::Settled(state) => key(state),
            Reconciled::NotYet => "not yet".to_owned(),
            Reconciled::Diverged => "diverged".to_owned(),
        };
        assert_eq!(found, expected, "{role} in {ours} sees {peers}");
    }
}
