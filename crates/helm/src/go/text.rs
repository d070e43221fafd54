//! A Go string: bytes that are nearly always, but not necessarily, UTF-8.
//!
//! `.Files.Get` of a binary file, `b64dec` and cutting by bytes make strings that are not UTF-8;
//! they must survive until `b64enc` or until they are printed.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

#[derive(Clone)]
pub(crate) enum Text {
    Utf8(Arc<str>),
    /// Never valid UTF-8.
    Raw(Arc<[u8]>),
}

impl Text {
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text.into()),
            Err(error) => Self::Raw(error.into_bytes().into()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Utf8(text) => text.as_bytes(),
            Self::Raw(bytes) => bytes,
        }
    }

    /// The text as Go's range over a string sees it: each bad byte as U+FFFD.
    pub(crate) fn lossy(&self) -> Cow<'_, str> {
        match self {
            Self::Utf8(text) => Cow::Borrowed(text),
            Self::Raw(bytes) => Cow::Owned(replace_bad_bytes(bytes)),
        }
    }

    /// The shared text; copied only when it is not UTF-8.
    pub(crate) fn to_shared(&self) -> Arc<str> {
        match self {
            Self::Utf8(text) => text.clone(),
            Self::Raw(bytes) => replace_bad_bytes(bytes).into(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// A part by byte offsets, as a Go slice expression.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Self {
        match self {
            Self::Utf8(text) => match text.get(from..to) {
                Some(part) => part.into(),
                None => Self::from_bytes(self.as_bytes()[from..to].to_vec()),
            },
            Self::Raw(bytes) => Self::from_bytes(bytes[from..to].to_vec()),
        }
    }
}

/// One U+FFFD for each byte that is no part of a character.
fn replace_bad_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            text.push('\u{fffd}');
        }
    }
    text
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Utf8(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Utf8(text.into())
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self::Utf8(text)
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        Self::Utf8(text.into())
    }
}

impl Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.lossy())
    }
}
