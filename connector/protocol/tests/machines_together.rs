//! Two machines wired to each other over a network that loses and repeats messages and answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fmt::Debug;

use dsp_protocol::negotiation::{self, Negotiation, NegotiationMessage, NegotiationState};
use dsp_protocol::transfer::{self, Transfer, TransferMessage, TransferState};
use dsp_protocol::{Reconciled, Role};
use proptest::prelude::*;

/// One machine behind function pointers, so that both are put to the same test.
struct Machine<S, M, W: 'static> {
    initiate: fn(Role) -> S,
    receive_initial: fn(Role) -> S,
    receive: fn(Role, S, M) -> Option<S>,
    owe: fn(Role, S, M) -> Option<S>,
    sent: fn(S) -> S,
    acknowledge: fn(Role, S) -> S,
    give_up: fn(S) -> S,
    reconcile: fn(Role, S, W) -> Reconciled<S>,
    owed: fn(S) -> Option<M>,
    wire: fn(S) -> W,
    unacknowledged: fn(S) -> bool,
    is_final: fn(W) -> bool,
    termination: M,
    /// The arrows of the diagram of the specification, without termination.
    arrows: &'static [(W, W)],
    terminated: W,
}

const NEGOTIATION: Machine<Negotiation, NegotiationMessage, NegotiationState> = Machine {
    initiate: negotiation::initiate,
    receive_initial: negotiation::receive_initial,
    receive: |role, state, message| negotiation::receive(role, state, message).ok().map(|received| received.state),
    owe: |role, state, message| negotiation::owe(role, state, message).ok(),
    sent: negotiation::sent,
    acknowledge: |role, state| negotiation::acknowledge(role, state).unwrap(),
    give_up: negotiation::give_up,
    reconcile: negotiation::reconcile,
    owed: |state| state.owed.map(|owed| owed.message),
    wire: |state| state.wire(),
    unacknowledged: |state| state.settled.is_none(),
    is_final: NegotiationState::is_final,
    termination: NegotiationMessage::Termination,
    arrows: &[
        (NegotiationState::Requested, NegotiationState::Offered),
        (NegotiationState::Requested, NegotiationState::Agreed),
        (NegotiationState::Offered, NegotiationState::Requested),
        (NegotiationState::Offered, NegotiationState::Accepted),
        (NegotiationState::Accepted, NegotiationState::Agreed),
        (NegotiationState::Agreed, NegotiationState::Verified),
        (NegotiationState::Verified, NegotiationState::Finalized),
    ],
    terminated: NegotiationState::Terminated,
};

const TRANSFER: Machine<Transfer, TransferMessage, TransferState> = Machine {
    initiate: |_| transfer::initiate(),
    receive_initial: |_| transfer::receive_initial(),
    // As the control plane does: only a side that suspended resumes (Data Plane Signaling, Data Flow States).
    receive: |role, state, message| {
        let refused = message == TransferMessage::Start && !state.lifts(role.other());
        if refused { None } else { transfer::receive(role, state, message).ok().map(|received| received.state) }
    },
    owe: |role, state, message| {
        let refused = message == TransferMessage::Start && !state.lifts(role);
        if refused { None } else { transfer::owe(role, state, message).ok() }
    },
    sent: transfer::sent,
    acknowledge: |role, state| transfer::acknowledge(role, state).unwrap(),
    give_up: transfer::give_up,
    reconcile: transfer::reconcile,
    owed: |state| state.owed.map(|owed| owed.message),
    wire: |state| state.wire(),
    unacknowledged: |state| state.settled.is_none(),
    is_final: TransferState::is_final,
    termination: TransferMessage::Termination,
    arrows: &[
        (TransferState::Requested, TransferState::Started),
        (TransferState::Started, TransferState::Completed),
        (TransferState::Started, TransferState::Suspended),
        (TransferState::Suspended, TransferState::Started),
    ],
    terminated: TransferState::Terminated,
};

#[derive(Debug, Clone, Copy)]
enum Fate {
    /// The message is lost.
    Lost,
    /// The message arrives, the answer is lost.
    AnswerLost,
    /// The message arrives twice, the second answer comes back.
    Twice,
    /// Message and answer arrive.
    Answered,
}

#[derive(Debug, Clone, Copy)]
enum Step<M> {
    Command(bool, M),
    Deliver(bool, Fate),
    /// The messages of both sides are under way at the same time, and so are the answers.
    Cross,
}

struct World<'a, S, M, W: 'static> {
    machine: &'a Machine<S, M, W>,
    /// The side that began, then the other, which does not exist before the initial message arrives.
    sides: [Option<S>; 2],
    roles: [Role; 2],
    /// The `@id` of the message that each side sends, and of the last one that it accepted.
    ids: [u32; 2],
    accepted: [u32; 2],
}

impl<S: Copy + Debug, M: Copy + Debug + PartialEq, W: Copy + Debug + PartialEq + 'static> World<'_, S, M, W> {
    fn set(&mut self, side: usize, next: S) {
        if let Some(before) = self.sides[side] {
            let (before, after) = ((self.machine.wire)(before), (self.machine.wire)(next));
            assert!(before == after || self.reachable(before, after), "{before:?} to {after:?}");
        }
        self.sides[side] = Some(next);
    }

    /// One arrow, or two when an acknowledgement was implied; nothing leaves a final state.
    fn reachable(&self, from: W, to: W) -> bool {
        if (self.machine.is_final)(from) {
            return false;
        }
        let arrow = |from: W, to: W| self.machine.arrows.contains(&(from, to));
        to == self.machine.terminated
            || arrow(from, to)
            || self.machine.arrows.iter().any(|(start, middle)| *start == from && arrow(*middle, to))
    }

    fn command(&mut self, side: usize, message: M) {
        let Some(state) = self.sides[side] else { return };
        if let Some(next) = (self.machine.owe)(self.roles[side], state, message) {
            self.ids[side] += 1;
            self.set(side, next);
        }
    }

    fn deliver(&mut self, side: usize, fate: Fate) {
        let Some(state) = self.sides[side] else { return };
        let Some(message) = (self.machine.owed)(state) else { return };
        self.set(side, (self.machine.sent)(state));
        let answer = match fate {
            Fate::Lost => return,
            Fate::Answered => self.arrive(side, message),
            Fate::Twice => {
                self.arrive(side, message);
                self.arrive(side, message)
            }
            Fate::AnswerLost => {
                self.arrive(side, message);
                return;
            }
        };
        self.answered(side, answer);
    }

    fn cross(&mut self) {
        let owed = self.sides.map(|side| side.and_then(self.machine.owed));
        let [Some(one), Some(other)] = owed else { return };
        for side in [0, 1] {
            self.set(side, (self.machine.sent)(self.sides[side].unwrap()));
        }
        for (side, answer) in [self.arrive(0, one), self.arrive(1, other)].into_iter().enumerate() {
            if (self.machine.owed)(self.sides[side].unwrap()) == owed[side] {
                self.answered(side, answer);
            }
        }
    }

    fn answered(&mut self, side: usize, answer: Answer) {
        let state = self.sides[side].unwrap();
        match answer {
            Answer::Ok => self.set(side, (self.machine.acknowledge)(self.roles[side], state)),
            Answer::Unknown => self.set(side, (self.machine.give_up)(state)),
            Answer::Refused => {
                let peer = (self.machine.wire)(self.sides[1 - side].unwrap());
                match (self.machine.reconcile)(self.roles[side], state, peer) {
                    Reconciled::Settled(next) => self.set(side, next),
                    Reconciled::NotYet => {}
                    Reconciled::Diverged => {
                        // Only a termination that replaced a message in flight can leave the sides at odds.
                        let peer = self.sides[1 - side].and_then(self.machine.owed);
                        assert_eq!(peer, Some(self.machine.termination), "{:?}", self.sides);
                        self.command(side, self.machine.termination);
                    }
                }
            }
        }
    }

    fn arrive(&mut self, from: usize, message: M) -> Answer {
        let (at, role) = (1 - from, self.roles[1 - from]);
        let initial = (self.machine.unacknowledged)(self.sides[from].unwrap());
        match self.sides[at] {
            None if initial => {
                self.sides[at] = Some((self.machine.receive_initial)(role));
                Answer::Ok
            }
            None => Answer::Unknown,
            Some(_) if initial => Answer::Ok,
            // A copy of what was accepted before must not pass as the next message of its kind.
            Some(_) if self.accepted[at] == self.ids[from] => Answer::Refused,
            Some(state) => match (self.machine.receive)(role, state, message) {
                Some(next) => {
                    self.accepted[at] = self.ids[from];
                    self.set(at, next);
                    Answer::Ok
                }
                None => Answer::Refused,
            },
        }
    }

    fn settle(&mut self) {
        for _ in 0..20 {
            self.deliver(0, Fate::Answered);
            self.deliver(1, Fate::Answered);
        }
        for state in self.sides.into_iter().flatten() {
            assert_eq!((self.machine.owed)(state), None, "{:?}", self.sides);
        }
        let wire: Vec<W> = self.sides.into_iter().flatten().map(self.machine.wire).collect();
        match wire[..] {
            [only] => assert_eq!(only, self.machine.terminated),
            [one, other] => assert_eq!(one, other),
            _ => panic!("nobody is left"),
        }
    }
}

enum Answer {
    Ok,
    Refused,
    Unknown,
}

fn run<S: Copy + Debug, M: Copy + Debug + PartialEq, W: Copy + Debug + PartialEq + 'static>(
    machine: &Machine<S, M, W>,
    first: Role,
    steps: Vec<Step<M>>,
) -> World<'_, S, M, W> {
    let sides = [Some((machine.initiate)(first)), None];
    let mut world = World { machine, sides, roles: [first, first.other()], ids: [1, 1], accepted: [0, 0] };
    for step in steps {
        match step {
            Step::Command(side, message) => world.command(usize::from(side), message),
            Step::Cross => world.cross(),
            Step::Deliver(side, fate) => world.deliver(usize::from(side), fate),
        }
    }
    world.settle();
    world
}

fn steps<M: Copy + Debug + 'static>(messages: Vec<M>, termination: M) -> impl Strategy<Value = Vec<Step<M>>> {
    let message = prop_oneof![30 => proptest::sample::select(messages), 1 => Just(termination)];
    let fate =
        proptest::sample::select(vec![Fate::Lost, Fate::AnswerLost, Fate::Twice, Fate::Answered, Fate::Answered]);
    let step = prop_oneof![
        Just(Step::Cross),
        (any::<bool>(), message).prop_map(|(side, message)| Step::Command(side, message)),
        (any::<bool>(), fate).prop_map(|(side, fate)| Step::Deliver(side, fate)),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn negotiations_converge(
        consumer_begins: bool,
        steps in steps(NegotiationMessage::ALL[..6].to_vec(), NegotiationMessage::Termination),
    ) {
        run(&NEGOTIATION, if consumer_begins { Role::Consumer } else { Role::Provider }, steps);
    }

    #[test]
    fn transfers_converge(steps in steps(TransferMessage::ALL[..4].to_vec(), TransferMessage::Termination)) {
        run(&TRANSFER, Role::Consumer, steps);
    }

    #[test]
    fn a_suspension_can_always_be_lifted(
        provider_tries_first: bool,
        suspensions in steps(vec![TransferMessage::Suspension, TransferMessage::Start], TransferMessage::Suspension),
    ) {
        let start = [Step::Deliver(false, Fate::Answered), Step::Command(true, TransferMessage::Start), Step::Deliver(true, Fate::Answered)];
        let mut world = run(&TRANSFER, Role::Consumer, start.into_iter().chain(suspensions).collect());
        for side in [usize::from(provider_tries_first), usize::from(!provider_tries_first)] {
            world.command(side, TransferMessage::Start);
            world.settle();
        }
        let wire = world.sides.map(|side| side.map(|state| state.wire()));
        prop_assert_eq!(wire, [Some(TransferState::Started); 2]);
    }

    #[test]
    fn random_messages_never_leave_a_final_state(
        provider: bool,
        moves in proptest::collection::vec((0..5_u8, proptest::sample::select(NegotiationMessage::ALL.to_vec())), 0..60),
    ) {
        let role = if provider { Role::Provider } else { Role::Consumer };
        let mut state = negotiation::initiate(role);
        for (kind, message) in moves {
            let before = state;
            state = match kind {
                0 => negotiation::receive(role, state, message).map_or(state, |received| received.state),
                1 => negotiation::owe(role, state, message).unwrap_or(state),
                2 => negotiation::acknowledge(role, state).unwrap_or(state),
                3 => negotiation::sent(state),
                _ if message == NegotiationMessage::Termination => negotiation::give_up(state),
                _ => state,
            };
            prop_assert!(!before.is_final() || before == state);
        }
    }

    #[test]
    fn random_messages_never_leave_a_final_state_of_a_transfer(
        provider: bool,
        moves in proptest::collection::vec((0..5_u8, proptest::sample::select(TransferMessage::ALL.to_vec())), 0..60),
    ) {
        let (role, mut state) = match provider {
            true => (Role::Provider, transfer::receive_initial()),
            false => (Role::Consumer, transfer::initiate()),
        };
        for (kind, message) in moves {
            let before = state;
            state = match kind {
                0 => transfer::receive(role, state, message).map_or(state, |received| received.state),
                1 => transfer::owe(role, state, message).unwrap_or(state),
                2 => transfer::acknowledge(role, state).unwrap_or(state),
                3 => transfer::sent(state),
                _ if message == TransferMessage::Termination => transfer::give_up(state),
                _ => state,
            };
            prop_assert!(!before.is_final() || before == state);
        }
    }
}
