//! Requests that brokers forward to each other (ETSI GS CIM 009, 6.3.18): a loop is refused, and no names of brokers leave the city.
//!
//! A broker that forwards a request adds its name to `Via`. Each data plane adds a name of its own, and passes on the names of data
//! planes alone. A loop over a registration of ours leads through our data plane again.

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use crate::problem::{Fault, Problem};

/// Begins the names of data planes.
const PREFIX: &str = "hansa-";
/// Longest chain that is looked at, in bytes.
const MAX_CHAIN: usize = 4096;

/// The name of the data plane with this id, which is seen at this address; it tells neither.
pub(crate) fn alias(id: &str, public_url: &str) -> String {
    let digest = Sha256::digest(format!("{id}\n{public_url}").as_bytes());
    format!("{PREFIX}{}", hex::encode(digest.get(..8).unwrap_or_default()))
}

/// Refuses a request that was here before.
///
/// # Errors
/// 508 `loop_detected`.
pub(crate) fn refuse_loop(request: &HttpRequest, alias: &str) -> Result<(), Problem> {
    if !request.headers().contains_key(header::VIA) || !names(request).iter().any(|name| name == alias) {
        return Ok(());
    }
    let detail = "the request came here before: brokers forward it in a circle";
    Err(Problem::new(StatusCode::LOOP_DETECTED, "loop_detected", Fault::Caller, detail))
}

/// The chain for the next hop, of a request that a broker has forwarded; no other one has a chain.
pub(crate) fn onward(request: &HttpRequest, alias: &str) -> Option<HeaderValue> {
    if !request.headers().contains_key(header::VIA) {
        return None;
    }
    let mut chain: String =
        names(request).iter().filter(|name| name.starts_with(PREFIX)).map(|name| format!("1.1 {name}, ")).collect();
    chain.push_str("1.1 ");
    chain.push_str(alias);
    HeaderValue::from_str(&chain).ok()
}

/// The names in the chain (RFC 9110, 7.6.3): `protocol name comment`, separated by commas.
fn names(request: &HttpRequest) -> Vec<String> {
    let values = request.headers().get_all(header::VIA).filter_map(|value| value.to_str().ok());
    let hops = values.filter(|value| value.len() <= MAX_CHAIN).flat_map(|value| value.split(','));
    hops.filter_map(|hop| hop.split_ascii_whitespace().nth(1)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_chain_names_data_planes_alone() {
        let ours = alias("dp", "https://dp.bari.example");
        let plain = TestRequest::get().to_http_request();
        assert!(onward(&plain, &ours).is_none() && refuse_loop(&plain, &ours).is_ok());
        let first = TestRequest::get().insert_header(("via", "1.1 orion-of-durres")).to_http_request();
        assert!(refuse_loop(&first, &ours).is_ok());
        assert_eq!(onward(&first, &ours).unwrap(), format!("1.1 {ours}").as_str());
        let later = TestRequest::get()
            .append_header(("via", "1.1 orion (x), HTTP/1.1 hansa-0011"))
            .append_header(("via", "1.1 scorpio"))
            .to_http_request();
        assert_eq!(onward(&later, &ours).unwrap(), format!("1.1 hansa-0011, 1.1 {ours}").as_str());
        let back = TestRequest::get().insert_header(("via", format!("1.1 a, 1.1 {ours}"))).to_http_request();
        assert_eq!(refuse_loop(&back, &ours).unwrap_err().status().as_u16(), 508);
        assert_ne!(ours, alias("dp", "https://dp.durres.example"));
    }
}
