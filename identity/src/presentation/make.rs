//! Making presentations of stored credentials.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::credential::issue::{signed, unsupported};
use crate::credential::{CredentialError, Format, parse};
use crate::did::Did;
use crate::keys::Signer;

/// Makes a presentation for one verifier out of credentials (compact JWS) of one JWT format.
///
/// `now` and `lifetime` are in seconds.
///
/// # Errors
/// `unsupported_format` for [`Format::DataIntegrity`], `cannot_sign` when the key does not sign.
pub async fn make_vp_jwt(
    format: Format,
    signer: &dyn Signer,
    holder: &Did,
    audience: &Did,
    credentials: &[String],
    now: i64,
    lifetime: i64,
) -> Result<String, CredentialError> {
    let id = format!("urn:uuid:{}", Uuid::new_v4());
    let mut payload = json!({
        "iss": holder.as_str(), "aud": audience.as_str(), "jti": id, "iat": now, "exp": now.saturating_add(lifetime),
    });
    let (header, vp) = match format {
        Format::Vc11Jwt => {
            let vp = json!({"vp": {
                "@context": [parse::CONTEXT_V1], "id": id, "type": ["VerifiablePresentation"], "holder": holder.as_str(),
                "verifiableCredential": credentials,
            }, "sub": holder.as_str(), "nbf": now});
            (json!({"typ": "JWT"}), vp)
        }
        Format::Vc20Jwt => {
            let enveloped: Vec<Value> = credentials.iter().map(|credential| envelope(credential)).collect();
            let vp = json!({
                "@context": [parse::CONTEXT_V2], "id": id, "type": ["VerifiablePresentation"], "holder": holder.as_str(),
                "verifiableCredential": enveloped,
            });
            (json!({"typ": "vp+jwt", "cty": "vp"}), vp)
        }
        Format::DataIntegrity => return Err(unsupported()),
    };
    if let (Value::Object(payload), Value::Object(vp)) = (&mut payload, vp) {
        payload.extend(vp);
    }
    signed(signer, &header, &payload).await
}

/// Makes one presentation for each JWT format among the credentials (homogeneity), in the order of the formats' first credential.
/// Credentials with embedded proofs are left out: no presentation can be made of them here.
///
/// # Errors
/// `cannot_sign` when the key does not sign.
pub async fn present(
    signer: &dyn Signer,
    holder: &Did,
    audience: &Did,
    credentials: &[(Format, String)],
    now: i64,
    lifetime: i64,
) -> Result<Vec<String>, CredentialError> {
    let mut formats: Vec<Format> = Vec::new();
    for (format, _) in credentials {
        if *format != Format::DataIntegrity && !formats.contains(format) {
            formats.push(*format);
        }
    }
    let mut made = Vec::with_capacity(formats.len());
    for format in formats {
        let of_format: Vec<String> =
            credentials.iter().filter(|(other, _)| *other == format).map(|(_, token)| token.clone()).collect();
        made.push(make_vp_jwt(format, signer, holder, audience, &of_format, now, lifetime).await?);
    }
    Ok(made)
}

/// A credential as presentations of data model 2.0 hold it (VC-JOSE-COSE, 3.1.2).
fn envelope(credential: &str) -> Value {
    json!({
        "@context": parse::CONTEXT_V2,
        "type": "EnvelopedVerifiableCredential",
        "id": format!("data:application/vc+jwt,{credential}"),
    })
}
