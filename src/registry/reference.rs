//! Names of things in a registry: `[oci://]HOST[:PORT]/PATH[:TAG][@DIGEST]`, read strictly.
//!
//! There is no default registry: what an engine would silently take from `docker.io` has to say so here, because
//! a chart or image that comes from somewhere else than meant runs at a beamline.

use std::fmt;

use crate::diagnostic::{Diagnostic, Place};

/// Longest path of a repository that registries accept.
const LONGEST_PATH: usize = 255;
/// Longest tag.
const LONGEST_TAG: usize = 128;
/// Longest text that is looked at.
const LONGEST_TEXT: usize = 1024;
/// Where logins come from.
const NO_LOGIN: &str =
    "a login does not belong here: it comes from `helm registry login` or `docker login`";

/// A repository, or a tag or digest in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// A text that is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a registry reference: {why}")]
pub struct ReferenceError {
    /// The whole text.
    pub text: String,
    /// First character that is wrong, from 0.
    pub start: usize,
    /// How many characters are.
    pub length: usize,
    /// What is wrong.
    pub why: String,
    /// What to write instead.
    pub hint: String,
}

impl Digest {
    /// Reads a digest; `None` when it is not one of SHA-256.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?;
        let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == 64 && digits.bytes().all(is_hexadecimal)).then(|| Self(text.to_owned()))
    }

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        let sum = sha2::Sha256::digest(bytes);
        Self(format!("sha256:{}", crate::source::hexadecimal(&sum)))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place in the text.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        Reader { text }.reference()
    }

    /// The registry: host, and port if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The last part of the path, which is the name of a chart or image.
    pub fn name(&self) -> &str {
        self.repository
            .rsplit_once('/')
            .map_or(self.repository.as_str(), |(_, name)| name)
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository with another tag and without digest.
    #[must_use]
    pub fn with_tag(&self, tag: impl Into<String>) -> Self {
        Self {
            tag: Some(tag.into()),
            digest: None,
            ..self.clone()
        }
    }

    /// The same repository with a digest and without tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// A repository below this one.
    ///
    /// # Errors
    ///
    /// The name cannot be part of a path.
    pub fn join(&self, name: &str) -> Result<Self, ReferenceError> {
        Self::parse(&format!("{}/{}/{name}", self.registry, self.repository))
    }

    /// The repository without tag and digest, as messages name it.
    pub fn repository_name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Tag or digest as the API of a registry wants it.
    pub(super) fn selector(&self) -> Option<&str> {
        self.digest
            .as_ref()
            .map(Digest::as_str)
            .or(self.tag.as_deref())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl ReferenceError {
    /// The error as a finding that shows the text and marks what is wrong; `place` names where it was written.
    pub fn diagnostic(&self, place: &str) -> Diagnostic {
        Diagnostic::error(self.to_string())
            .at(Place::in_text(
                place,
                &self.text,
                1,
                self.start + 1,
                self.length,
            ))
            .hint(self.hint.clone())
    }
}

/// One text being read; errors name places in it.
struct Reader<'t> {
    text: &'t str,
}

impl<'t> Reader<'t> {
    fn reference(&self) -> Result<Reference, ReferenceError> {
        let text = self.text;
        if text.len() > LONGEST_TEXT {
            let beginning: String = text.chars().take(40).collect();
            let shown = format!("{beginning}…");
            let why = format!("it is longer than {LONGEST_TEXT} bytes");
            return Err(Reader { text: &shown }.wrong(0, shown.len(), why, "take a shorter one"));
        }
        if let Some((at, character)) = text
            .char_indices()
            .find(|(_, character)| character.is_whitespace() || character.is_control())
        {
            return Err(self.wrong(
                at,
                character.len_utf8(),
                "it holds white space or a control character",
                "write it without",
            ));
        }
        let rest = match text.split_once("://") {
            Some(("oci", rest)) => rest,
            Some((scheme, _)) => {
                return Err(self.wrong(
                    0,
                    scheme.len(),
                    format!("`{scheme}://` is not the scheme of a registry"),
                    "begin with `oci://` or with the host",
                ));
            }
            None => text,
        };
        let (rest, digest) = match rest.split_once('@') {
            Some((user, after)) if !user.contains('/') => {
                // What stands before `@` may be a password and is not repeated.
                let shown = format!("…@{after}");
                let hidden = Reader { text: &shown };
                return Err(hidden.wrong(0, "…@".len(), "it holds a user name", NO_LOGIN));
            }
            Some((before, digest)) => (before, Some(self.digest(digest)?)),
            None => (rest, None),
        };
        let Some((registry, path)) = rest.split_once('/') else {
            return Err(self.wrong(
                self.offset(rest),
                rest.len(),
                "it has no path",
                "write it as `HOST/PATH`, for example `registry.example.org/charts/ioc-instance`",
            ));
        };
        self.registry(registry)?;
        let (path, tag) = match path.split_once(':') {
            Some((path, tag)) => (path, Some(self.tag(tag)?)),
            None => (path, None),
        };
        self.path(path)?;
        Ok(Reference {
            registry: registry.to_owned(),
            repository: path.to_owned(),
            tag,
            digest,
        })
    }

    fn registry(&self, registry: &'t str) -> Result<(), ReferenceError> {
        let at = self.offset(registry);
        if registry.is_empty() {
            return Err(self.wrong(at, 1, "the host is missing", "write it as `HOST/PATH`"));
        }
        let (host, port) = split_port(registry);
        if let Some(port) = port
            && !matches!(port.parse::<u16>(), Ok(1..))
        {
            return Err(self.wrong(
                self.offset(port),
                port.len(),
                format!("`{port}` is not a port"),
                "a port is a number from 1 to 65535",
            ));
        }
        let is_address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !is_address && !host.split('.').all(is_label) {
            return Err(self.wrong(
                at,
                host.len(),
                format!("`{host}` is not the name of a host"),
                "a host has letters, digits, `-` and `.`",
            ));
        }
        if port.is_none() && !host.contains('.') && host != "localhost" && !is_address {
            return Err(self.wrong(
                at,
                host.len(),
                format!("it does not begin with a registry: `{host}` has neither a dot nor a port"),
                "name the registry: `registry.example.org/…`, `docker.io/library/…`",
            ));
        }
        Ok(())
    }

    fn path(&self, path: &'t str) -> Result<(), ReferenceError> {
        if path.len() > LONGEST_PATH {
            return Err(self.wrong(
                self.offset(path),
                path.len(),
                format!("the path is longer than {LONGEST_PATH} characters"),
                "take a shorter one",
            ));
        }
        for part in path.split('/') {
            if let Some((at, length)) = problem_of_part(part) {
                let at = self.offset(part) + at;
                return Err(if part.is_empty() {
                    self.wrong(at, 1, "a part of the path is empty", "remove the extra `/`")
                } else {
                    self.wrong(
                        at,
                        length,
                        format!("`{part}` cannot be part of a path"),
                        "a path has lower-case letters and digits, with `.`, `_`, `__` or `-` between them",
                    )
                });
            }
        }
        Ok(())
    }

    fn tag(&self, tag: &'t str) -> Result<String, ReferenceError> {
        let at = self.offset(tag);
        // Registries have no `+` in tags; the version of a chart is written with `_` there.
        let fits = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-' | '+')
        };
        let first_wrong = tag.char_indices().find(|(index, character)| {
            !fits(*character) || (*index == 0 && matches!(character, '.' | '-' | '+'))
        });
        if tag.is_empty() {
            return Err(self.wrong(at, 1, "the tag is missing", "remove `:` or name a tag"));
        }
        if let Some((index, character)) = first_wrong {
            return Err(self.wrong(
                at + index,
                character.len_utf8(),
                format!("`{character}` cannot stand there in a tag"),
                "a tag has letters, digits, `_`, `.` and `-`, and begins with a letter, a digit or `_`",
            ));
        }
        if tag.len() > LONGEST_TAG {
            return Err(self.wrong(
                at,
                tag.len(),
                format!("the tag is longer than {LONGEST_TAG} characters"),
                "take a shorter one",
            ));
        }
        Ok(tag.replace('+', "_"))
    }

    fn digest(&self, digest: &'t str) -> Result<Digest, ReferenceError> {
        Digest::parse(digest).ok_or_else(|| {
            self.wrong(
                self.offset(digest),
                digest.len(),
                "the digest is not one of SHA-256",
                "write `@sha256:` and 64 hexadecimal digits in lower case",
            )
        })
    }

    /// Where a part of the text begins, in bytes; all parts are slices of it.
    fn offset(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    fn wrong(
        &self,
        at: usize,
        length: usize,
        why: impl Into<String>,
        hint: &str,
    ) -> ReferenceError {
        let characters = |range: std::ops::Range<usize>| {
            self.text
                .get(range)
                .map_or(0, |part: &str| part.chars().count())
        };
        ReferenceError {
            text: self.text.to_owned(),
            start: characters(0..at),
            length: characters(at..at + length).max(1),
            why: why.into(),
            hint: hint.to_owned(),
        }
    }
}

/// Host and port of a registry; the colons of an IPv6 address stay in its brackets.
pub(super) fn split_port(registry: &str) -> (&str, Option<&str>) {
    match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    }
}

/// The first byte of a part of a path that is wrong, and how many are.
fn problem_of_part(part: &str) -> Option<(usize, usize)> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    let mut index = 0;
    let mut after_plain = false;
    while index < bytes.len() {
        if is_plain(bytes[index]) {
            after_plain = true;
            index += 1;
            continue;
        }
        let rest = &part[index..];
        let separator = if rest.starts_with('-') {
            rest.len() - rest.trim_start_matches('-').len()
        } else if rest.starts_with("__") {
            2
        } else if rest.starts_with(['_', '.']) {
            1
        } else {
            let wrong = rest.chars().next().map_or(1, char::len_utf8);
            return Some((index, wrong));
        };
        let next = index + separator;
        if !after_plain || !bytes.get(next).copied().is_some_and(is_plain) {
            return Some((index, separator));
        }
        index = next;
    }
    (!after_plain).then_some((0, part.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in [
            "ghcr.io/epics/charts/ioc-instance:5.5.0",
            "localhost/x",
            "localhost:5000/a/b:latest",
            "[::1]:5000/a",
            "r.example.org/a-b/c__d.e:1.0.0-rc.1_build",
            &format!("r.example.org/a@{digest}"),
            &format!("r.example.org/a:1@{digest}"),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
            let with_scheme = format!("oci://{text}");
            assert_eq!(Reference::parse(&with_scheme).unwrap().to_string(), text);
        }
        let plus = Reference::parse("r.example.org/a:1.0.0+b").unwrap();
        assert_eq!(plus.tag(), Some("1.0.0_b"));
        assert_eq!(plus.name(), "a");
    }

    #[test]
    fn what_is_wrong_is_marked() {
        for (text, marked, why) in [
            ("", "", "it has no path"),
            ("ioc-sim", "ioc-sim", "it has no path"),
            ("ioc/sim", "ioc", "neither a dot nor a port"),
            ("https://r.io/a", "https", "not the scheme"),
            ("r.io/A/b", "A", "cannot be part of a path"),
            ("r.io//b", "/", "is empty"),
            ("r.io/a/", "", "is empty"),
            ("r.io/a..b", ".", "cannot be part of a path"),
            ("r.io/../b", ".", "cannot be part of a path"),
            ("r.io/a___b", "__", "cannot be part of a path"),
            ("r.io/a-", "-", "cannot be part of a path"),
            ("r.io/a:", "", "the tag is missing"),
            ("r.io/a:-b", "-", "cannot stand there"),
            ("r.io/a:b!c", "!", "cannot stand there"),
            ("r.io/a:b:c", ":", "cannot stand there"),
            ("r.io:0/a", "0", "is not a port"),
            ("r.io:port/a", "port", "is not a port"),
            ("r_x.io/a", "r_x.io", "is not the name of a host"),
            ("r.io/a@sha256:12", "sha256:12", "the digest is not"),
            ("r.io/a b", " ", "white space"),
            ("r.io/ä", "ä", "cannot be part of a path"),
        ] {
            let error = Reference::parse(text).unwrap_err();
            assert!(error.why.contains(why), "{text}: {}", error.why);
            let found: String = text.chars().skip(error.start).take(error.length).collect();
            assert_eq!(found, marked, "{text}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let error = Reference::parse("oci://user:secret@r.io/a:1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`…@r.io/a:1` is not a registry reference: it holds a user name"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            match Reference::parse(&text) {
                Ok(reference) => {
                    let again = Reference::parse(&reference.to_string()).unwrap();
                    proptest::prop_assert_eq!(again, reference);
                }
                Err(error) => proptest::prop_assert!(error.length >= 1),
            }
        }
    }
}
