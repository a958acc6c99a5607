//! DSP 2025-1, "Transfer Process Protocol: State Machine": every state, message and sender, legal and illegal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;

use dsp_protocol::transfer::{
    self as machine, OwedTransfer, Reconciled, Role, SuspendedBy, Transfer, TransferMessage, TransferState,
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
    row(C, "-/Request/unsent",               "Termination>TERMINATED", "Termination", "REQUESTED"),
    row(C, "-/Request/sent",                 "Start>STARTED* Termination>TERMINATED", "Termination", "REQUESTED"),
    row(C, "REQUESTED",                      "Start>STARTED Termination>TERMINATED", "Termination", ""),
    row(C, "REQUESTED/Termination/unsent",   "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "REQUESTED/Termination/sent",     "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "STARTED",                        "Completion>COMPLETED Suspension>SUSPENDED Termination>TERMINATED", "Completion Suspension Termination", ""),
    row(C, "STARTED/Completion/unsent",      "Completion>COMPLETED Termination>TERMINATED", "Termination", "COMPLETED"),
    row(C, "STARTED/Completion/sent",        "Completion>COMPLETED Termination>TERMINATED", "Termination", "COMPLETED"),
    row(C, "STARTED/Suspension/unsent",      "Completion>COMPLETED Suspension>SUSPENDED Termination>TERMINATED", "Termination", "SUSPENDED"),
    row(C, "STARTED/Suspension/sent",        "Start>STARTED* Completion>COMPLETED Suspension>SUSPENDED Termination>TERMINATED", "Termination", "SUSPENDED"),
    row(C, "STARTED/Termination/unsent",     "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "STARTED/Termination/sent",       "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "SUSPENDED",                      "Start>STARTED Termination>TERMINATED", "Start Termination", ""),
    row(C, "SUSPENDED/Start/unsent",         "Start>STARTED Termination>TERMINATED", "Termination", "STARTED"),
    row(C, "SUSPENDED/Start/sent",           "Start>STARTED Completion>COMPLETED* Suspension>SUSPENDED* Termination>TERMINATED", "Termination", "STARTED"),
    row(C, "SUSPENDED/Termination/unsent",   "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "SUSPENDED/Termination/sent",     "Termination>TERMINATED", "", "TERMINATED"),
    row(C, "COMPLETED",                      "", "", ""),
    row(C, "TERMINATED",                     "", "", ""),

    row(P, "REQUESTED",                      "Termination>TERMINATED", "Start Termination", ""),
    row(P, "REQUESTED/Start/unsent",         "Termination>TERMINATED", "Termination", "STARTED"),
    row(P, "REQUESTED/Start/sent",           "Completion>COMPLETED* Suspension>SUSPENDED* Termination>TERMINATED", "Termination", "STARTED"),
    row(P, "REQUESTED/Termination/unsent",   "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "REQUESTED/Termination/sent",     "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "STARTED",                        "Completion>COMPLETED Suspension>SUSPENDED Termination>TERMINATED", "Completion Suspension Termination", ""),
    row(P, "STARTED/Completion/unsent",      "Completion>COMPLETED Termination>TERMINATED", "Termination", "COMPLETED"),
    row(P, "STARTED/Completion/sent",        "Completion>COMPLETED Termination>TERMINATED", "Termination", "COMPLETED"),
    row(P, "STARTED/Suspension/unsent",      "Completion>COMPLETED Suspension>SUSPENDED Termination>TERMINATED", "Termination", "SUSPENDED"),
    row(P, "STARTED/Suspension/sent",        "Start>STARTED* Completion>COMPLETED Suspension>SUSPENDED Termination>TERMINATED", "Termination", "SUSPENDED"),
    row(P, "STARTED/Termination/unsent",     "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "STARTED/Termination/sent",       "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "SUSPENDED",                      "Start>STARTED Termination>TERMINATED", "Start Termination", ""),
    row(P, "SUSPENDED/Start/unsent",         "Start>STARTED Termination>TERMINATED", "Termination", "STARTED"),
    row(P, "SUSPENDED/Start/sent",           "Start>STARTED Completion>COMPLETED* Suspension>SUSPENDED* Termination>TERMINATED", "Termination", "STARTED"),
    row(P, "SUSPENDED/Termination/unsent",   "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "SUSPENDED/Termination/sent",     "Termination>TERMINATED", "", "TERMINATED"),
    row(P, "COMPLETED",                      "", "", ""),
    row(P, "TERMINATED",                     "", "", ""),
];

/// The sender is at fault, whatever the state (unless it is final): a request of the provider, and a start of the
/// consumer before the transfer ever started.
fn wrong_sender(sender: Role, settled: Option<TransferState>, message: TransferMessage) -> bool {
    match message {
        TransferMessage::Request => sender == P,
        TransferMessage::Start => sender == C && matches!(settled, None | Some(TransferState::Requested)),
        _ => false,
    }
}

fn key(state: Transfer) -> String {
    let settled = state.settled.map_or("-", TransferState::as_str);
    match state.owed {
        None => settled.to_owned(),
        Some(owed) => format!("{settled}/{}/{}", owed.message.as_str(), if owed.sent { "sent" } else { "unsent" }),
    }
}

fn state(key: &str) -> Transfer {
    let mut parts = key.split('/');
    let settled = TransferState::parse(parts.next().unwrap());
    let owed = parts.next().map(|message| OwedTransfer {
        message: TransferMessage::parse(message).unwrap(),
        sent: parts.next() == Some("sent"),
    });
    Transfer {
        settled,
        owed,
        suspended_by: (settled == Some(TransferState::Suspended)).then_some(SuspendedBy::Provider),
    }
}

fn every_state() -> Vec<Transfer> {
    let settled = TransferState::ALL.into_iter().map(Some).chain([None]);
    let owed: Vec<Option<OwedTransfer>> = TransferMessage::ALL
        .into_iter()
        .flat_map(|message| [false, true].map(|sent| Some(OwedTransfer { message, sent })))
        .chain([None])
        .collect();
    settled
        .flat_map(|settled| owed.iter().map(move |owed| Transfer { settled, owed: *owed, suspended_by: None }))
        .collect()
}

#[test]
fn the_table_lists_exactly_the_states_that_can_be_reached() {
    for (role, first) in [(C, machine::initiate()), (P, machine::receive_initial())] {
        let mut reached = BTreeMap::new();
        let mut open = vec![first];
        while let Some(state) = open.pop() {
            if reached.insert(key(state), ()).is_some() {
                continue;
            }
            assert_eq!(state.suspended_by.is_some(), state.settled == Some(TransferState::Suspended), "{state:?}");
            open.extend(TransferMessage::ALL.into_iter().filter_map(|m| machine::owe(role, state, m).ok()));
            open.extend(
                TransferMessage::ALL.into_iter().filter_map(|m| machine::receive(role, state, m).ok()).map(|r| r.state),
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
        let before = state(row.state);
        for message in TransferMessage::ALL {
            let case = format!("{} in {} receives {}", row.role, row.state, message.as_str());
            let outcome = machine::receive(row.role, before, message);
            match legal.get(message.as_str()) {
                Some(next) => {
                    let received = outcome.expect(&case);
                    assert_eq!(key(received.state), next.trim_end_matches('*'), "{case}");
                    let owed = before.owed.map(|owed| owed.message);
                    assert_eq!(received.implied, owed.filter(|_| next.ends_with('*')), "{case}");
                    let tie = row.state == "STARTED/Suspension/sent";
                    let by = if tie { SuspendedBy::Both } else { row.role.other().into() };
                    let by = (message == TransferMessage::Suspension).then_some(by);
                    assert_eq!(received.state.suspended_by, by, "{case}");
                }
                None => {
                    let illegal = outcome.expect_err(&case);
                    let request = message == TransferMessage::Request;
                    let fault = if wrong_sender(row.role.other(), before.settled, message) && !before.is_final() {
                        if row.state.contains("/Termination/") && !request { "terminating" } else { "wrong_sender" }
                    } else if row.state.contains("/Termination/") && !request {
                        "terminating"
                    } else if row.state.contains("/Completion/") && message == TransferMessage::Suspension {
                        "completing"
                    } else {
                        "wrong_state"
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
        for message in TransferMessage::ALL {
            let case = format!("{} in {} wants to send {}", row.role, row.state, message.as_str());
            let outcome = machine::owe(row.role, before, message);
            if !legal.contains(&message.as_str()) {
                let illegal = outcome.expect_err(&case);
                let fault = if before.owed.is_some() && message != TransferMessage::Termination {
                    "message_owed"
                } else if wrong_sender(row.role, before.settled, message) && !before.is_final() {
                    "wrong_sender"
                } else {
                    "wrong_state"
                };
                assert_eq!(illegal.code, fault, "{case}: {illegal}");
                continue;
            }
            let after = outcome.expect(&case);
            let expected = match before {
                Transfer { settled: None, owed: Some(OwedTransfer { sent: false, .. }), .. } => "TERMINATED".to_owned(),
                Transfer { settled: None, .. } => format!("{}/Termination/unsent", row.acknowledged),
                Transfer { settled: Some(settled), .. } => format!("{}/{}/unsent", settled.as_str(), message.as_str()),
            };
            assert_eq!(key(after), expected, "{case}");
            assert_eq!(after.suspended_by, before.suspended_by, "{case}");
        }
    }
}

#[test]
fn every_acknowledgement() {
    for row in TABLE {
        let case = format!("{} in {} is acknowledged", row.role, row.state);
        match machine::acknowledge(row.role, state(row.state)) {
            Ok(next) => {
                assert_eq!(key(next), row.acknowledged, "{case}");
                assert_eq!(next.suspended_by, (row.acknowledged == "SUSPENDED").then_some(row.role.into()), "{case}");
            }
            Err(illegal) => {
                assert_eq!(row.acknowledged, "", "{case}");
                assert_eq!(illegal.code, "nothing_owed", "{case}");
            }
        }
        assert_eq!(key(machine::sent(state(row.state))), row.state.replace("unsent", "sent"), "{case}");
        let given_up = key(machine::give_up(state(row.state)));
        assert_eq!(given_up, if row.state == "COMPLETED" { "COMPLETED" } else { "TERMINATED" }, "{case}");
    }
}

#[test]
fn states_that_cannot_be_reached_are_no_danger() {
    for role in [C, P] {
        for state in every_state() {
            let _ = (state.name(), state.wire(), state.is_final(), machine::acknowledge(role, state));
            for message in TransferMessage::ALL {
                if let Ok(received) = machine::receive(role, state, message) {
                    assert_eq!(received.state.settled, Some(message.leads_to()));
                }
                let _ = machine::owe(role, state, message);
            }
            for peer in TransferState::ALL {
                let _ = machine::reconcile(role, state, peer);
            }
        }
    }
}

#[test]
fn names_and_wire_states() {
    #[rustfmt::skip]
    let names = [
        ("-/Request/unsent", "REQUESTING", "REQUESTED"), ("REQUESTED/Start/sent", "STARTING", "REQUESTED"),
        ("STARTED/Completion/sent", "COMPLETING", "STARTED"), ("STARTED/Suspension/sent", "SUSPENDING", "STARTED"),
        ("SUSPENDED/Start/sent", "STARTING", "SUSPENDED"), ("SUSPENDED/Termination/sent", "TERMINATING", "SUSPENDED"),
        ("COMPLETED", "COMPLETED", "COMPLETED"),
    ];
    for (key, name, wire) in names {
        assert_eq!((state(key).name(), state(key).wire().as_wire()), (name, wire), "{key}");
    }
}

/// What the peer's GET tells a sender in doubt.
#[test]
fn the_peers_state_settles_doubts() {
    #[rustfmt::skip]
    let cases = [
        (C, "-/Request/sent", "REQUESTED", "REQUESTED"), (C, "-/Request/sent", "TERMINATED", "TERMINATED"),
        (P, "REQUESTED/Start/sent", "STARTED", "STARTED"), (P, "REQUESTED/Start/sent", "REQUESTED", "not yet"),
        (C, "STARTED/Completion/sent", "SUSPENDED", "diverged"), (C, "STARTED/Completion/sent", "COMPLETED", "COMPLETED"),
        (C, "STARTED/Termination/sent", "COMPLETED", "COMPLETED"), (C, "STARTED/Termination/sent", "SUSPENDED", "not yet"),
        (C, "STARTED", "STARTED", "STARTED"), (C, "STARTED", "TERMINATED", "TERMINATED"),
        (C, "STARTED/Suspension/sent", "SUSPENDED", "SUSPENDED by both"), (C, "STARTED/Suspension/sent", "STARTED", "not yet"),
        (C, "SUSPENDED/Start/sent", "SUSPENDED", "SUSPENDED by provider"), (P, "SUSPENDED/Start/sent", "SUSPENDED", "SUSPENDED by consumer"),
        (C, "SUSPENDED/Start/sent", "STARTED", "STARTED"),
        (C, "COMPLETED", "STARTED", "diverged"), (C, "COMPLETED", "COMPLETED", "COMPLETED"),
    ];
    for (role, ours, peers, expected) in cases {
        let found = match machine::reconcile(role, state(ours), TransferState::parse(peers).unwrap()) {
            Reconciled::Settled(state) => {
                state.suspended_by.map_or_else(|| key(state), |by| format!("{} by {}", key(state), by.as_str()))
            }
            Reconciled::NotYet => "not yet".to_owned(),
            Reconciled::Diverged => "diverged".to_owned(),
        };
        assert_eq!(found, expected, "{role} in {ours} sees {peers}");
    }
}

/// A start lifts a suspension of its sender's, of both, and one that we are lifting ourselves.
#[test]
fn who_lifts_a_suspension() {
    let suspended = |by: SuspendedBy, owed: Option<TransferMessage>| Transfer {
        settled: Some(TransferState::Suspended),
        owed: owed.map(|message| OwedTransfer { message, sent: true }),
        suspended_by: Some(by),
    };
    let start = Some(TransferMessage::Start);
    for (by, owed, consumer, provider) in [
        (SuspendedBy::Consumer, None, true, false),
        (SuspendedBy::Provider, None, false, true),
        (SuspendedBy::Both, None, true, true),
        (SuspendedBy::Consumer, start, true, true),
        (SuspendedBy::Provider, Some(TransferMessage::Termination), false, true),
    ] {
        let state = suspended(by, owed);
        assert_eq!((state.lifts(C), state.lifts(P)), (consumer, provider), "{state:?}");
        assert_eq!(SuspendedBy::parse(by.as_str()), Some(by));
    }
    assert!(state("STARTED").lifts(C) && SuspendedBy::parse("nobody").is_none());
}
