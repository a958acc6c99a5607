//! Renewal of access tokens (DPS profiles, Token renewal): a transfer outlives its token without a pause.
//!
//! As provider we give out tokens that live for minutes, and a refresh token beside each. The partner comes with the refresh
//! token and with a JWT of its own; the control plane, which knows DIDs, says whether the JWT is the partner's. As consumer we
//! ask our control plane for such a JWT and exchange the token before it ends. Reads go on all the time: neither side
//! touches the flow's run, and a token that was replaced lives to its own end.

mod answer;
mod control;
mod grant;
mod keep;
mod serve;

pub(crate) use grant::{Renewal, RenewalRecord};
pub(crate) use keep::{expires_ms, keep_renewed};
pub(crate) use serve::{PATH, serve};
