//! Free TCP ports of the loopback address.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::{Context as _, Result};

/// Below the range from which Linux takes the ports of outgoing connections: nothing slips into a port while the
/// program that owns it is restarted.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// What was given out: between that and the start of its program nothing listens on a port.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port that nothing listens on now, and that was not given out before.
///
/// # Errors
/// When no free one was found in many tries.
pub fn free() -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    (0..500)
        .map(|_| rand::random_range(RANGE))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && given.insert(port))
        .context("no free port was found on the loopback address")
}
