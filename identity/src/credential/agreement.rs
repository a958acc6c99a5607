//! Generated credentials, good and damaged: what we accept and refuse, `ssi` accepts and refuses.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use ssi_claims::jwt::ToDecodedJwt as _;
use ssi_claims::vc_jose_cose::JoseVc;
use ssi_claims::{JwsString, VerificationParameters};
use ssi_jwk::JWK;

use super::testkit::World;
use super::validity::instant;
use crate::jose::{Algorithm, PrivateKey};
use crate::{Clock as _, SystemClock};

const HOUR: i64 = 3600;

/// What is wrong with a credential.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    None,
    /// One bit of header, payload or signature, by the share of its length.
    Bit {
        part: usize,
        at: f64,
        bit: u8,
    },
    OtherKey,
    OtherAlgorithm,
    Truncated,
    Expired,
    NotYetValid,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => Just(Damage::None),
        4 => (0..3_usize, 0.0..1.0_f64, 0..8_u8).prop_map(|(part, at, bit)| Damage::Bit { part, at, bit }),
        1 => Just(Damage::OtherKey),
        1 => Just(Damage::OtherAlgorithm),
        1 => Just(Damage::Truncated),
        1 => Just(Damage::Expired),
        1 => Just(Damage::NotYetValid),
    ]
}

/// A value of a claim.
fn claim() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e6..1.0e6_f64).prop_map(Value::from),
        "[ -~é€\\n\"]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn validity(damage: Damage, now: i64) -> (i64, i64) {
    match damage {
        Damage::Expired => (now - 2 * HOUR, now - HOUR),
        Damage::NotYetValid => (now + HOUR, now + 2 * HOUR),
        _ => (now - HOUR, now + HOUR),
    }
}

/// A compact JWS, damaged.
fn token(world: &World, header: Value, payload: &Value, damage: Damage) -> String {
    let mut token = world.issuer.sign(&header, payload);
    match damage {
        Damage::OtherKey => {
            let mut header = header;
            header["kid"] = json!(world.issuer.kid);
            token = PrivateKey::generate(Algorithm::Es256).unwrap().sign_compact(&header, payload).unwrap();
        }
        Damage::OtherAlgorithm => {
            let mut header = header;
            header["kid"] = json!(world.issuer.kid);
            token = PrivateKey::generate(Algorithm::EdDsa).unwrap().sign_compact(&header, payload).unwrap();
        }
        Damage::Truncated => {
            token.pop();
            token.pop();
        }
        Damage::Bit { part, at, bit } => {
            let mut parts: Vec<Vec<u8>> = token.split('.').map(|part| part.as_bytes().to_vec()).collect();
            let bytes = &mut parts[part];
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] ^= 1 << bit;
            token = parts.iter().map(|part| String::from_utf8_lossy(part)).collect::<Vec<_>>().join(".");
        }
        Damage::None | Damage::Expired | Damage::NotYetValid => {}
    }
    token
}

/// Whether `ssi` accepts the token: signature and times.
async fn accepted_by_ssi(token: &str, key: &JWK, version_2: bool) -> bool {
    let parameters = VerificationParameters::from_resolver(key);
    let Ok(jws) = JwsString::from_string(token.to_owned()) else { return false };
    if version_2 {
        let Ok(decoded) = JoseVc::decode_any(&jws) else { return false };
        matches!(decoded.verify(parameters).await, Ok(Ok(())))
    } else {
        let Ok(decoded) = jws.to_decoded_jwt() else { return false };
        matches!(decoded.verify(parameters).await, Ok(Ok(())))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn we_agree_with_ssi(
        version_2 in any::<bool>(),
        claims in prop::collection::btree_map("[b-hj-z]{1,8}", claim(), 0..4),
        damage in damage(),
    ) {
        let now = SystemClock.now();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            world.clock.set(now);
            let (from, until) = validity(damage, now);
            let mut subject = json!({"id": world.holder.did});
            subject.as_object_mut().unwrap().extend(claims);
            let (header, payload) = if version_2 {
                let mut vc = world.vc20();
                vc["validFrom"] = json!(instant(from));
                vc["validUntil"] = json!(instant(until));
                vc["credentialSubject"] = subject;
                (json!({"typ": "vc+jwt"}), vc)
            } else {
                let mut vc = world.vc11();
                vc["nbf"] = json!(from);
                vc["exp"] = json!(until);
                vc["vc"]["issuanceDate"] = json!(instant(from));
                vc["vc"]["credentialSubject"] = subject;
                (json!({"typ": "JWT"}), vc)
            };
            let token = token(&world, header, &payload, damage);
            let key: JWK = serde_json::from_value(Value::Object(world.issuer.key.public().jwk().clone())).unwrap();
            let ours = world.code(&token).await;
            let theirs = accepted_by_ssi(&token, &key, version_2).await;
            prop_assert_eq!(ours.is_ok(), theirs, "{:?}: {:?}, {}", damage, ours, token);
            prop_assert_eq!(ours.is_ok(), damage == Damage::None, "{:?}: {:?}", damage, ours);
            Ok(())
        })?;
    }
}
