//! Signatures of messages: Standard Webhooks 1.0 (`spec/standard-webhooks.md`), symmetric, `v1`.
//!
//! Signed is `<id>.<seconds>.<body>` with HMAC-SHA-256. A receiver that keeps the ids of the last
//! minutes and refuses older times takes no message twice.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// How many bytes a key has.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs messages.
pub(super) struct SigningKey(hmac::Key);

impl SigningKey {
    /// Reads `whsec_` and base64; none if it is of another form.
    pub(super) fn read(secret: &SecretString) -> Option<Self> {
        let text = secret.expose_secret().trim().strip_prefix("whsec_")?;
        let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        KEY_BYTES.contains(&bytes.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, seconds: u64, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<SigningKey> {
        SigningKey::read(&SecretString::from(text.to_owned()))
    }

    /// The example of the reference libraries (`libraries/python/tests`).
    #[test]
    fn a_message_is_signed_as_the_reference_does() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let signed = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_has_its_form_and_length() {
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!"] {
            assert!(key(bad).is_none(), "{bad}");
        }
    }
}
