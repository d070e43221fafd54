//! Calls of a code host after a push: are they signed as agreed, and do they mean the branch that is followed?
//!
//! Signatures are those of GitHub, Gitea, Forgejo and Bitbucket (HMAC-SHA256 of the body) and GitLab's token. A call
//! only brings the next look forward; nothing of what it says is believed.

use axum::http::HeaderMap;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// Headers with `sha256=HEX` or `HEX`.
const SIGNATURES: [&str; 5] = [
    "x-hub-signature-256",
    "x-gitea-signature",
    "x-forgejo-signature",
    "x-gogs-signature",
    "x-hub-signature",
];
/// GitLab sends the secret itself.
const TOKEN: &str = "x-gitlab-token";

/// What both sides know.
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    /// From the text of its file: blanks and line ends around it do not count.
    ///
    /// # Errors
    ///
    /// One that is too short to be one.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.len() < 16 {
            return Err("has fewer than 16 characters");
        }
        Ok(Self(text.as_bytes().to_vec()))
    }

    fn mac(&self, content: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(content);
        Some(mac)
    }

    /// Whether a call was signed with it. Takes as long for a wrong signature as for a right one.
    pub fn has_signed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name: &str| headers.get(name)?.to_str().ok();
        for signature in SIGNATURES.into_iter().filter_map(header) {
            let digits = signature.strip_prefix("sha256=").unwrap_or(signature);
            let (Some(mac), Some(bytes)) = (self.mac(body), hexadecimal(digits)) else {
                continue;
            };
            if mac.verify_slice(&bytes).is_ok() {
                return true;
            }
        }
        let Some(token) = header(TOKEN) else {
            return false;
        };
        // compared by their hashes, so that the time says nothing about the place where they differ
        let (Some(ours), Some(theirs)) = (self.mac(&self.0), self.mac(token.as_bytes())) else {
            return false;
        };
        ours.verify_slice(&theirs.finalize().into_bytes()).is_ok()
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|start| u8::from_str_radix(text.get(start..start + 2)?, 16).ok())
        .collect()
}

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: Option<String>,
}

/// Whether a call may be about a branch: only one that names another reference is not.
pub fn may_mean(body: &[u8], branch: &str) -> bool {
    let push: Option<Push> = serde_json::from_slice(body).ok();
    let reference = push.and_then(|push| push.reference);
    reference.is_none_or(|reference| {
        reference
            .strip_prefix("refs/heads/")
            .unwrap_or(reference.as_str())
            == branch
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    /// From GitHub's documentation, "Validating webhook deliveries".
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn signed(name: &'static str, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let secret = Secret::new(&format!("{SECRET}\n")).unwrap();
        secret.has_signed(&headers, BODY)
    }

    #[test]
    fn signatures_are_those_of_the_code_hosts() {
        let digits = SIGNATURE.to_owned();
        let wrong = digits.replace("757", "758");
        let rows = [
            ("x-hub-signature-256", format!("sha256={digits}"), true),
            ("x-hub-signature", format!("sha256={digits}"), true),
            ("x-gitea-signature", digits.clone(), true),
            ("x-hub-signature-256", format!("sha256={wrong}"), false),
            ("x-hub-signature-256", "sha256=".to_owned(), false),
            ("x-hub-signature-256", "sha256=zz".to_owned(), false),
            ("x-hub-signature-256", format!("sha1={digits}"), false),
            ("x-gitlab-token", SECRET.to_owned(), true),
            ("x-gitlab-token", "It's a Secret".to_owned(), false),
            ("authorization", digits, false),
        ];
        for (name, value, expected) in rows {
            assert_eq!(signed(name, &value), expected, "{name}: {value}");
        }
    }

    #[test]
    fn short_secrets_are_none_and_are_not_shown() {
        assert!(Secret::new("short\n").is_err());
        let secret = Secret::new(SECRET).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn a_push_to_another_branch_is_not_meant() {
        let rows = [
            (r#"{"ref": "refs/heads/main"}"#, true),
            (r#"{"ref": "main"}"#, true),
            (r#"{"ref": "refs/heads/other"}"#, false),
            (r#"{"ref": "refs/tags/main"}"#, false),
            (r#"{"zen": "Design for failure."}"#, true),
            ("payload=%7B%7D", true),
            ("", true),
        ];
        for (body, expected) in rows {
            assert_eq!(may_mean(body.as_bytes(), "main"), expected, "{body}");
        }
    }
}
