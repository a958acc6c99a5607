//! Plans survive any input: the seeds of `tests/corpus`, their mutations, and plain noise, within a fixed time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use policy_plan::{EnforcementPlan, PLAN_TYPE, PlanSigner, PlanVerifier, verify};
use serde_json::Value;

const TIME: Duration = Duration::from_secs(2);

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Signs any JSON as if it were a plan, so that the content is reached.
fn signed(signer: &PlanSigner, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(PLAN_TYPE.into());
    header.kid = Some(signer.kid().into());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(signer.to_pkcs8())).unwrap()
}

fn obey(plan: &EnforcementPlan) {
    let decision = plan.rules.decide(plan.issued_at, &policy_plan::Used::default());
    assert!(!decision.reasons.is_empty());
    assert!(decision.next_boundary_ms.is_none_or(|next| next > plan.issued_at));
    let _ = plan.admission.check("GET", "/ngsi-ld/v1/entities", Some("type=A"));
}

/// Marsaglia's xorshift: the same noise in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    /// A seed with some bytes changed, left out, doubled, or taken from another seed.
    fn mutation(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let from = self.below(bytes.len().max(1)).min(bytes.len());
            let to = (from + self.below(16)).min(bytes.len());
            let piece = match self.below(4) {
                0 => Vec::new(),
                1 => self.bytes(4),
                2 => bytes[from..to].repeat(2),
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let start = self.below(other.len());
                    other[start..(start + self.below(24)).min(other.len())].to_vec()
                }
            };
            bytes.splice(from..to, piece);
        }
        bytes
    }
}

#[test]
fn seeds_are_plans() {
    let (signer, seeds) = (PlanSigner::generate().unwrap(), seeds());
    let verifier = PlanVerifier::from_jwks(&signer.jwks()).unwrap();
    assert!(seeds.len() >= 3);
    for seed in seeds {
        let plan = verify(&signed(&signer, &serde_json::from_slice(&seed).unwrap()), &verifier).unwrap();
        assert_eq!(serde_json::to_value(&plan).unwrap(), serde_json::from_slice::<Value>(&seed).unwrap());
        obey(&plan);
    }
}

#[test]
fn any_input_is_answered() {
    let (signer, seeds) = (PlanSigner::generate().unwrap(), seeds());
    let verifier = PlanVerifier::from_jwks(&signer.jwks()).unwrap();
    let good = signed(&signer, &serde_json::from_slice(&seeds[0]).unwrap());
    let end = Instant::now() + TIME;
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    for _ in 0..20_000 {
        let content = noise.mutation(&seeds);
        if let Ok(claims) = serde_json::from_slice::<Value>(&content)
            && let Ok(plan) = verify(&signed(&signer, &claims), &verifier)
        {
            obey(&plan);
        }
        let changed = noise.mutation(&[good.clone().into_bytes()]);
        if changed != good.as_bytes() {
            assert!(verify(&String::from_utf8_lossy(&changed), &verifier).is_err());
        }
        let parts = [noise.bytes(60), noise.bytes(60), noise.bytes(70)].map(|part| URL_SAFE_NO_PAD.encode(part));
        assert!(verify(&parts.join("."), &verifier).is_err());
        assert!(verify(&String::from_utf8_lossy(&noise.bytes(100)), &verifier).is_err());
        if Instant::now() > end {
            break;
        }
    }
}
