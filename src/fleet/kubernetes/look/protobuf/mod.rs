//! Lists in the compact form of the Kubernetes API: the few fields that a look needs. Pure.
//!
//! As protocol buffers a list is smaller than as JSON and costs the server a tenth. Field numbers are those of
//! `k8s.io/api/{core,apps}/v1/generated.proto` and `k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto`. A field that is not
//! known here is passed over, as the format has it; a message that is none at all gives `None`.

mod metadata;
mod pod;
mod secret;
mod workload;

use super::object::{Deployment, Node, Pod, StatefulSet};

pub use self::secret::Secret;

/// Begins every message.
const MAGIC: &[u8] = b"k8s\0";

/// An object that can be read from this form.
pub trait Read<'a>: Sized {
    /// Reads one; `None` when the bytes are no such message.
    fn read(bytes: &'a [u8]) -> Option<Self>;
}

impl Read<'_> for Pod {
    fn read(bytes: &[u8]) -> Option<Self> {
        pod::pod(bytes)
    }
}

impl Read<'_> for StatefulSet {
    fn read(bytes: &[u8]) -> Option<Self> {
        workload::stateful_set(bytes)
    }
}

impl Read<'_> for Deployment {
    fn read(bytes: &[u8]) -> Option<Self> {
        workload::deployment(bytes)
    }
}

impl Read<'_> for Node {
    fn read(bytes: &[u8]) -> Option<Self> {
        pod::node(bytes)
    }
}

impl<'a> Read<'a> for Secret<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        secret::secret(bytes)
    }
}

/// Whether this is a message in this form.
pub fn is_protobuf(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

/// Gives each object of a page to `take`, and where the next page begins, empty at the end; `None` when the bytes are no
/// such message.
pub fn page<'a, T: Read<'a>>(body: &'a [u8], mut take: impl FnMut(T)) -> Option<&'a str> {
    let envelope = body.strip_prefix(MAGIC)?;
    let mut next = "";
    let mut list: &[u8] = &[];
    fields(envelope, |number, value| {
        if let (2, Value::Bytes(value)) = (number, value) {
            list = value;
        }
        Some(())
    })?;
    fields(list, |number, value| {
        match (number, value) {
            (1, Value::Bytes(metadata)) => fields(metadata, |number, value| {
                if number == 3 {
                    next = value.text()?;
                }
                Some(())
            })?,
            (2, Value::Bytes(object)) => take(T::read(object)?),
            _ => {}
        }
        Some(())
    })?;
    Some(next)
}

/// The content of a field.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    /// Of one with a length: a text, bytes, a message.
    Bytes(&'a [u8]),
    /// A number or a truth value.
    Number(u64),
}

impl<'a> Value<'a> {
    fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Number(_) => None,
        }
    }

    fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn owned(self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// As the format has negative numbers: in two's complement of 64 bits, whatever the type.
    fn long(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number.cast_signed()),
            Self::Bytes(_) => None,
        }
    }

    fn integer(self) -> Option<i32> {
        i32::try_from(self.long()?).ok()
    }

    fn truth(self) -> Option<bool> {
        self.long().map(|number| number != 0)
    }
}

/// Key and value of a map's entry.
fn entry(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (mut key, mut content): (&str, &[u8]) = ("", &[]);
    fields(bytes, |number, value| {
        match number {
            1 => key = value.text()?,
            2 => content = value.bytes()?,
            _ => {}
        }
        Some(())
    })?;
    Some((key, content))
}

/// A message whose fields are set one by one; what it does not have stays as it is by default.
fn message<'a, T: Default>(
    bytes: &'a [u8],
    mut set: impl FnMut(&mut T, u64, Value<'a>) -> Option<()>,
) -> Option<T> {
    let mut message = T::default();
    fields(bytes, |number, value| set(&mut message, number, value))?;
    Some(message)
}

/// Gives each field to `each`; numbers of a fixed length, which no field here is, are passed over.
fn fields<'a>(
    mut bytes: &'a [u8],
    mut each: impl FnMut(u64, Value<'a>) -> Option<()>,
) -> Option<()> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => each(tag >> 3, Value::Number(varint(&mut bytes)?))?,
            1 => bytes = bytes.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                each(tag >> 3, Value::Bytes(value))?;
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

    fn page_of<'a, T: Read<'a>>(body: &'a [u8], take: impl FnMut(T)) -> Option<&'a str> {
        super::page(body, take)
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
        let mut found: Vec<Secret<'_>> = Vec::new();
        assert_eq!(page_of(&bytes, |secret| found.push(secret)), Some("token"));
        let secret = &found[0];
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
            for body in [bytes, [MAGIC, &junk].concat()] {
                let _any = page_of(&body, |_: Secret<'_>| {});
                let _any = page_of(&body, |_: Pod| {});
                let _any = page_of(&body, |_: StatefulSet| {});
                let _any = page_of(&body, |_: Deployment| {});
                let _any = page_of(&body, |_: Node| {});
            }
        }
    }
}
