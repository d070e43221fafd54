//! Lists of Secrets in the compact form of the Kubernetes API: the few fields that a look needs. Pure.
//!
//! The API server gives Secrets as JSON with their content in Base64 once more; as protocol buffers the same list is
//! a quarter smaller and costs the server a tenth. Field numbers are those of `k8s.io/api/core/v1/generated.proto`
//! and `k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto`.

use std::collections::BTreeMap;

/// Begins every message.
const MAGIC: &[u8] = b"k8s\0";

/// A Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secret<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its labels.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// Content of its key `release`.
    pub release: &'a [u8],
}

/// A page of Secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretPage<'a> {
    /// Where the next page begins; empty at the end.
    pub next: &'a str,
    /// The Secrets.
    pub secrets: Vec<Secret<'a>>,
}

/// Whether this is a message in this form.
pub fn is_protobuf(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

/// Reads a page; `None` when the bytes are no such message.
pub fn secrets(body: &[u8]) -> Option<SecretPage<'_>> {
    let envelope = body.strip_prefix(MAGIC)?;
    let mut page = SecretPage::default();
    let mut list: &[u8] = &[];
    fields(envelope, |number, value| {
        if number == 2 {
            list = value;
        }
        Some(())
    })?;
    fields(list, |number, value| {
        match number {
            1 => fields(value, |number, value| {
                if number == 3 {
                    page.next = std::str::from_utf8(value).ok()?;
                }
                Some(())
            })?,
            2 => page.secrets.push(secret(value)?),
            _ => {}
        }
        Some(())
    })?;
    Some(page)
}

fn secret(bytes: &[u8]) -> Option<Secret<'_>> {
    let mut secret = Secret::default();
    fields(bytes, |number, value| {
        match number {
            1 => fields(value, |number, value| {
                match number {
                    1 => secret.name = std::str::from_utf8(value).ok()?,
                    3 => secret.namespace = std::str::from_utf8(value).ok()?,
                    11 => {
                        let (key, value) = entry(value)?;
                        secret.labels.insert(key, std::str::from_utf8(value).ok()?);
                    }
                    _ => {}
                }
                Some(())
            })?,
            2 => {
                let (key, value) = entry(value)?;
                if key == "release" {
                    secret.release = value;
                }
            }
            _ => {}
        }
        Some(())
    })?;
    Some(secret)
}

/// Key and value of a map's entry.
fn entry(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (mut key, mut content): (&str, &[u8]) = ("", &[]);
    fields(bytes, |number, value| {
        match number {
            1 => key = std::str::from_utf8(value).ok()?,
            2 => content = value,
            _ => {}
        }
        Some(())
    })?;
    Some((key, content))
}

/// Gives each field that has a length (texts, bytes, messages) to `each`, and passes over the others.
fn fields<'a>(
    mut bytes: &'a [u8],
    mut each: impl FnMut(u64, &'a [u8]) -> Option<()>,
) -> Option<()> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            1 => bytes = bytes.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                each(tag >> 3, value)?;
            }
            5 => bytes = bytes.get(4..)?,
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend_from_slice(content);
        bytes
    }

    fn message(fields: &[Vec<u8>]) -> Vec<u8> {
        fields.concat()
    }

    fn page() -> Vec<u8> {
        let label = message(&[field(1, b"version"), field(2, b"3")]);
        let metadata = message(&[
            field(1, b"sh.helm.release.v1.a.v3"),
            field(3, b"t01"),
            vec![7 << 3, 1],
            field(11, &label),
        ]);
        let data = message(&[field(1, b"release"), field(2, &[b'x'; 300])]);
        let secret = message(&[
            field(1, &metadata),
            field(2, &data),
            field(3, b"helm.sh/release.v1"),
        ]);
        let list = message(&[field(1, &field(3, b"token")), field(2, &secret)]);
        [MAGIC, &field(1, b""), &field(2, &list)].concat()
    }

    #[test]
    fn a_page_is_read() {
        let bytes = page();
        let found = secrets(&bytes).unwrap();
        assert_eq!(found.next, "token");
        let secret = &found.secrets[0];
        assert_eq!(
            (secret.name, secret.namespace),
            ("sh.helm.release.v1.a.v3", "t01")
        );
        assert_eq!(secret.labels["version"], "3");
        assert_eq!(secret.release.len(), 300);
    }

    proptest! {
        #[test]
        fn nothing_panics(cut in 0usize..500, at in 0usize..500, byte: u8, junk in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = page();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut.max(4));
            let _any = secrets(&bytes);
            let _any = secrets(&[MAGIC, &junk].concat());
        }
    }
}
