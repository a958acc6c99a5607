//! Free TCP ports of the loopback address.

use std::net::{Ipv4Addr, TcpListener};

use crate::{Context as _, Result};

/// Below the range from which Linux takes the ports of outgoing connections: nothing slips into a port while the
/// program that owns it is restarted.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// A port that nothing listens on now.
///
/// # Errors
/// When no free one was found in many tries.
pub fn free() -> Result<u16> {
    (0..500)
        .map(|_| rand::random_range(RANGE))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .context("no free port was found on the loopback address")
}
