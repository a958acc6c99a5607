//! Which addresses of partners may be called: scheme, host, and the IP address that a name leads to (SSRF filter).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use url::{Host, Url};

use crate::config::Partners;

/// Why an address of a partner is not called.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not an http or https URL with a host, or with user or fragment.
    #[error("the data address is not a usable http or https URL")]
    NotUsable,
    /// `http:` where only `https:` is accepted.
    #[error("the data address is not https; `partners.danger_allow_plain_http` would allow it")]
    PlainHttp,
    /// A host that is not public.
    #[error(
        "the data address leads to a loopback, private or link-local host; `partners.danger_allow_private_addresses` would allow it"
    )]
    Private,
}

/// Rules for addresses of partners.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard {
    allow_private: bool,
    allow_plain: bool,
}

impl Guard {
    pub(crate) fn new(partners: &Partners) -> Self {
        Self { allow_private: partners.danger_allow_private_addresses, allow_plain: partners.danger_allow_plain_http }
    }

    /// Parses and checks an address as far as that is possible without DNS.
    ///
    /// # Errors
    /// [`AddressError`].
    pub(crate) fn check(self, text: &str) -> Result<Url, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::NotUsable)?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(AddressError::NotUsable);
        }
        let literal = match url.host().ok_or(AddressError::NotUsable)? {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        if literal.is_some_and(|address| !self.admits(address)) {
            return Err(AddressError::Private);
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.allow_plain || literal.is_some_and(|address| address.is_loopback()) => Ok(url),
            "http" => Err(AddressError::PlainHttp),
            _ => Err(AddressError::NotUsable),
        }
    }

    /// Whether a connection to this IP address may be opened.
    pub(crate) fn admits(self, address: IpAddr) -> bool {
        self.allow_private || is_public(address)
    }
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // Shared address space (RFC 6598), protocol assignments (RFC 6890), benchmarks (RFC 2544), 6to4 relays (RFC 7526).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || (a == 192 && b == 88 && c == 99))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [s0, s1, s2, _, _, _, s6, s7] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (s0, s1) {
        // Addresses that carry an IPv4 address: NAT64 (RFC 6052), 6to4 (RFC 3056).
        (0x0064, 0xff9b) => embedded(s6, s7),
        (0x2002, _) => embedded(s1, s2),
        // Teredo (RFC 4380), documentation (RFC 3849).
        (0x2001, 0 | 0x0db8) => false,
        // Global unicast is 2000::/3; loopback, unspecified, mapped, unique local, link-local and multicast lie outside.
        _ => (s0 & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Guard = Guard { allow_private: false, allow_plain: false };

    #[test]
    fn f_1_3_6_addresses_that_are_refused() {
        for text in [
            "https://127.0.0.1/x",
            "https://127.1/x",
            "https://2130706433/x",
            "https://0x7f000001/x",
            "https://0177.0.0.1/x",
            "https://10.0.0.1/",
            "https://172.16.3.4/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[ff02::1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
        ] {
            assert_eq!(STRICT.check(text), Err(AddressError::Private), "{text}");
        }
        for text in ["ftp://example.org/", "file:///etc/passwd", "https://u:p@example.org/", "x", "https://", "data:,x"]
        {
            assert_eq!(STRICT.check(text), Err(AddressError::NotUsable), "{text}");
        }
        assert_eq!(STRICT.check("http://example.org/"), Err(AddressError::PlainHttp));
    }

    #[test]
    fn public_addresses_pass() {
        for text in ["https://example.org/a?b=c", "https://93.184.216.34/", "https://[2606:2800:220:1::1]/"] {
            assert!(STRICT.check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn settings_open_the_doors_one_by_one() {
        let loopback = Guard { allow_private: true, allow_plain: false };
        assert!(loopback.check("http://127.0.0.1:1/x").is_ok(), "plain HTTP never leaves the machine");
        assert_eq!(loopback.check("http://10.0.0.1/"), Err(AddressError::PlainHttp));
        let plain = Guard { allow_private: false, allow_plain: true };
        assert!(plain.check("http://example.org/").is_ok());
        assert_eq!(plain.check("http://10.0.0.1/"), Err(AddressError::Private));
    }
}
