//! Free ports of the loopback address.

use std::net::TcpListener;

use crate::fault::Fault;

/// As many different free ports as asked for.
///
/// They are free when they are looked for; another program could take one before it is used.
pub fn free<const N: usize>() -> Result<[u16; N], Fault> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let failed = |error| Fault::new(format!("no free port: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        *port = listener.local_addr().map_err(failed)?.port();
        // All are held until the last is found, so that none is found twice.
        held.push(listener);
    }
    Ok(ports)
}
