//! Free ports of the loopback address.

use std::net::{Ipv4Addr, TcpListener};

use crate::fault::Fault;

/// Below the range from which Linux takes the ports of outgoing connections: none of those gets in between.
const RANGE: std::ops::Range<u16> = 12_000..32_000;
/// How often another port is tried.
const TRIES: usize = 500;

/// Finds free ports, each only once: it holds those that it has found until it is dropped.
///
/// They are free when they are looked for; another program could take one before it is used.
#[derive(Debug, Default)]
pub struct Ports(Vec<TcpListener>);

impl Ports {
    /// As many different free ports as asked for.
    ///
    /// # Errors
    /// When none is found in many tries.
    pub fn free<const N: usize>(&mut self) -> Result<[u16; N], Fault> {
        let mut ports = [0; N];
        for port in &mut ports {
            *port = self.one().ok_or_else(|| Fault::new("there is no free port"))?;
        }
        Ok(ports)
    }

    fn one(&mut self) -> Option<u16> {
        (0..TRIES).find_map(|_| {
            let port = rand::random_range(RANGE);
            self.0.push(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?);
            Some(port)
        })
    }
}
