//! The JSON-LD contexts that are known: shipped with `ssi` or here. Few, because a context decides what a signature covers: a
//! second name for a term would let a holder hide a member from us without breaking the signature.

use std::collections::HashMap;
use std::sync::LazyLock;

use ssi_json_ld::ContextLoader;

/// VC Data Model 1.1.
pub(super) const CREDENTIALS_V1: &str = "https://www.w3.org/2018/credentials/v1";
/// VC Data Model 2.0.
pub(super) const CREDENTIALS_V2: &str = "https://www.w3.org/ns/credentials/v2";
/// Makes every term of its own one (VC Data Model 2.0, B.4).
const UNDEFINED_TERMS_V2: &str = "https://www.w3.org/ns/credentials/undefined-terms/v2";

/// All that may be named.
pub(super) const KNOWN: [&str; 11] = [
    CREDENTIALS_V1,
    CREDENTIALS_V2,
    UNDEFINED_TERMS_V2,
    "https://www.w3.org/2018/credentials/examples/v1",
    "https://www.w3.org/ns/credentials/examples/v2",
    "https://w3id.org/security/data-integrity/v1",
    "https://w3id.org/security/data-integrity/v2",
    "https://w3id.org/security/multikey/v1",
    "https://w3id.org/security/suites/ed25519-2020/v1",
    "https://w3id.org/security/suites/jws-2020/v1",
    "https://w3id.org/vc/status-list/2021/v1",
];

static LOADER: LazyLock<ContextLoader> = LazyLock::new(|| {
    let ours = HashMap::from([(
        UNDEFINED_TERMS_V2.to_owned(),
        r#"{"@context":{"@vocab":"https://www.w3.org/ns/credentials/undefined-term#"}}"#.to_owned(),
    )]);
    // Without ours it still knows the others; a document that needs ours is then refused.
    ContextLoader::default().with_context_map_from(ours).unwrap_or_default()
});

/// Answers from memory, for the known contexts and for what else `ssi` ships.
pub(super) fn loader() -> &'static ContextLoader {
    &LOADER
}
