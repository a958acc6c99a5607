//! What the kit wants the connector to do, test by test. The sequence of each test is in the kit's own test classes.

/// One step: after this event, this management command.
pub(super) type Step = (&'static str, &'static str);

/// What belongs to one test.
#[derive(Debug)]
pub(super) struct Script {
    /// The kit's name for the test.
    pub test: &'static str,
    /// The dataset that the test is about. For a transfer, the dataset of the agreement that is made for it.
    pub subject: &'static str,
    /// What the operator does, in order. A process whose steps are used up is left alone.
    pub steps: &'static [Step],
}

/// Which half of the protocol a test is about, and in which role the connector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `CN`: a negotiation with the connector as provider.
    ProviderNegotiation,
    /// `CN_C`: a negotiation that the connector begins as consumer.
    ConsumerNegotiation,
    /// `TP`: a transfer with the connector as provider.
    ProviderTransfer,
    /// `TP_C`: a transfer that the connector requests.
    ConsumerTransfer,
}

impl Script {
    /// The half and the role.
    pub(super) fn part(&self) -> Part {
        match self.test.split(':').next() {
            Some("CN") => Part::ProviderNegotiation,
            Some("CN_C") => Part::ConsumerNegotiation,
            Some("TP") => Part::ProviderTransfer,
            _ => Part::ConsumerTransfer,
        }
    }

    /// The offer of the test's dataset.
    pub(super) fn offer(&self) -> String {
        format!("CD123:{}:456", self.subject)
    }
}

const fn script(test: &'static str, subject: &'static str, steps: &'static [Step]) -> Script {
    Script { test, subject, steps }
}

const OFFER: Step = ("requested", "offer");
const AGREE: Step = ("requested", "agree");
const ACCEPT: Step = ("offered", "accept");
const VERIFY: Step = ("agreed", "verify");
const FINALIZE: Step = ("verified", "finalize");
const START: Step = ("requested", "start");
const SUSPEND: Step = ("started", "suspend");
const RESUME: Step = ("suspended", "resume");
const COMPLETE: Step = ("started", "complete");

const fn terminate_when(state: &'static str) -> Step {
    (state, "terminate")
}

/// Every test with a dataset or an agreement of its own.
pub(super) const SCRIPTS: &[Script] = &[
    script("CN:01-01", "ACN0101", &[OFFER]),
    script("CN:01-02", "ACN0102", &[OFFER, terminate_when("requested")]),
    script("CN:01-03", "ACN0103", &[OFFER, ("accepted", "agree"), FINALIZE]),
    script("CN:01-04", "ACN0104", &[AGREE, FINALIZE]),
    script("CN:02-01", "ACN0201", &[terminate_when("requested")]),
    script("CN:02-02", "ACN0202", &[]),
    script("CN:02-03", "ACN0203", &[AGREE]),
    script("CN:02-04", "ACN0204", &[OFFER]),
    script("CN:02-05", "ACN0205", &[OFFER, terminate_when("offered")]),
    script("CN:02-06", "ACN0206", &[OFFER, terminate_when("accepted")]),
    script("CN:02-07", "ACN0207", &[AGREE, terminate_when("verified")]),
    script("CN:03-01", "ACN0301", &[AGREE, FINALIZE]),
    script("CN:03-02", "ACN0302", &[OFFER]),
    script("CN:03-03", "ACN0303", &[OFFER]),
    script("CN:03-04", "ACN0304", &[OFFER]),
    script("CN_C:01-01", "ACNC0101", &[ACCEPT, VERIFY]),
    script("CN_C:01-02", "ACNC0102", &[("offered", "counter")]),
    script("CN_C:01-03", "ACNC0103", &[terminate_when("offered")]),
    script("CN_C:01-04", "ACNC0104", &[VERIFY]),
    script("CN_C:02-01", "ACNC0201", &[]),
    script("CN_C:02-02", "ACNC0202", &[terminate_when("requested")]),
    script("CN_C:02-03", "ACNC0203", &[terminate_when("agreed")]),
    script("CN_C:02-04", "ACNC0204", &[]),
    script("CN_C:02-05", "ACNC0205", &[ACCEPT]),
    script("CN_C:02-06", "ACNC0206", &[VERIFY]),
    script("CN_C:03-01", "ACNC0301", &[]),
    script("CN_C:03-02", "ACNC0302", &[]),
    script("CN_C:03-03", "ACNC0303", &[]),
    script("CN_C:03-04", "ACNC0304", &[ACCEPT]),
    script("CN_C:03-05", "ACNC0305", &[ACCEPT]),
    script("CN_C:03-06", "ACNC0306", &[ACCEPT]),
    script("TP:01-01", "ATP0101", &[START, terminate_when("started")]),
    script("TP:01-02", "ATP0102", &[START, COMPLETE]),
    script("TP:01-03", "ATP0103", &[START, SUSPEND, terminate_when("suspended")]),
    script("TP:01-04", "ATP0104", &[START, SUSPEND, RESUME, COMPLETE]),
    script("TP:01-05", "ATP0105", &[terminate_when("requested")]),
    script("TP:02-01", "ATP0201", &[START]),
    script("TP:02-02", "ATP0202", &[START]),
    script("TP:02-03", "ATP0203", &[START]),
    script("TP:02-05", "ATP0205", &[]),
    script("TP:03-01", "ATP0301", &[]),
    script("TP:03-02", "ATP0302", &[]),
    script("TP:03-03", "ATP0303", &[START]),
    script("TP:03-04", "ATP0304", &[START]),
    script("TP:03-05", "ATP0305", &[START]),
    script("TP:03-06", "ATP0306", &[START]),
    script("TP_C:01-01", "ATPC0101", &[]),
    script("TP_C:01-02", "ATPC0102", &[]),
    script("TP_C:01-03", "ATPC0103", &[]),
    script("TP_C:01-04", "ATPC0104", &[]),
    script("TP_C:01-05", "ATPC0105", &[]),
    script("TP_C:02-01", "ATPC0201", &[terminate_when("started")]),
    script("TP_C:02-02", "ATPC0202", &[COMPLETE]),
    script("TP_C:02-03", "ATPC0203", &[SUSPEND, terminate_when("suspended")]),
    script("TP_C:02-05", "ATPC0205", &[terminate_when("requested")]),
    script("TP_C:03-01", "ATPC0301", &[]),
    script("TP_C:03-02", "ATPC0302", &[]),
    script("TP_C:03-03", "ATPC0303", &[]),
    script("TP_C:03-04", "ATPC0304", &[]),
    script("TP_C:03-05", "ATPC0305", &[]),
    script("TP_C:03-06", "ATPC0306", &[]),
];
