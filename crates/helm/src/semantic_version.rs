//! Versions and constraints as Helm reads them: looser than `SemVer` (`v1`, `1.2`), with its own
//! rules for `~`, `^`, wildcards and pre-releases (Masterminds/semver version 3).

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;

const MAX_VERSION_LENGTH: usize = 256;
const MAX_CONSTRAINT_LENGTH: usize = 512;
const MAX_GROUPS: usize = 32;

/// A version; missing minor and patch numbers count as 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) pre: String,
    pub(crate) metadata: String,
    pub(crate) original: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VersionError {
    #[error("invalid semantic version")]
    Invalid,
    #[error("version string is too long (max 256 bytes)")]
    TooLong,
    #[error("error parsing version segment: strconv.ParseUint: parsing {0:?}: value out of range")]
    OutOfRange(String),
    #[error("version segment starts with 0")]
    LeadingZero,
    #[error("invalid prerelease string")]
    InvalidPrerelease,
    #[error("invalid metadata string")]
    InvalidMetadata,
    #[error("improper constraint: {0}")]
    Constraint(String),
    #[error("constraint string is too long (max 512 bytes)")]
    ConstraintTooLong,
    #[error("too many constraint groups (max 32)")]
    TooManyGroups,
    #[error("constraint parser error")]
    ConstraintParser,
}

const SUFFIX: &str =
    r"(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";

static LOOSE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?{SUFFIX}$")).ok());

fn wildcard_version() -> String {
    format!(r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?{SUFFIX}")
}

static ONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(&format!(
        r"^\s*({OPERATORS})\s*({})\s*$",
        wildcard_version()
    ))
    .ok()
});
static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let version = wildcard_version();
    Regex::new(&format!(r"\s*({version})\s+-\s+({version})\s*")).ok()
});
static FIND: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"({OPERATORS})\s*({})", wildcard_version())).ok());
static VALID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let version = wildcard_version();
    Regex::new(&format!(
        r"^(\s*({OPERATORS})\s*({version})\s*)((?:\s+|,\s*)({OPERATORS})\s*({version})\s*)*$"
    ))
    .ok()
});

impl Version {
    pub(crate) fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_VERSION_LENGTH {
            return Err(VersionError::TooLong);
        }
        let captures = LOOSE
            .as_ref()
            .and_then(|pattern| pattern.captures(text))
            .ok_or(VersionError::Invalid)?;
        let number = |index: usize| {
            let digits = captures.get(index).map_or("0", |part| part.as_str());
            let digits = digits.trim_start_matches('.');
            digits
                .parse::<u64>()
                .map_err(|_| VersionError::OutOfRange(digits.to_owned()))
        };
        let part = |index: usize| {
            captures
                .get(index)
                .map_or("", |part| part.as_str())
                .to_owned()
        };
        let version = Self {
            major: number(1)?,
            minor: number(2)?,
            patch: number(3)?,
            pre: part(5),
            metadata: part(8),
            original: text.to_owned(),
        };
        let numeric_with_zero = |identifier: &str| {
            identifier.len() > 1
                && identifier.starts_with('0')
                && identifier.bytes().all(|byte| byte.is_ascii_digit())
        };
        if version.pre.split('.').any(numeric_with_zero) {
            return Err(VersionError::LeadingZero);
        }
        Ok(version)
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_pre(&self.pre, &other.pre),
            })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(formatter, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(formatter, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// Whether a text can be a pre-release, written without the hyphen before it.
pub(crate) fn check_pre(text: &str) -> Result<(), VersionError> {
    for part in text.split('.') {
        if part.is_empty() || !part.bytes().all(is_allowed) {
            return Err(VersionError::InvalidPrerelease);
        }
        if part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(VersionError::LeadingZero);
        }
    }
    Ok(())
}

/// Whether a text can be metadata, written without the plus before it.
pub(crate) fn check_metadata(text: &str) -> Result<(), VersionError> {
    let is_valid = text
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(is_allowed));
    if is_valid {
        Ok(())
    } else {
        Err(VersionError::InvalidMetadata)
    }
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn compare_pre(one: &str, other: &str) -> Ordering {
    let mut ones = one.split('.');
    let mut others = other.split('.');
    loop {
        let (one, other) = match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) => (one, other),
        };
        let order = match (one.parse::<u64>(), other.parse::<u64>()) {
            (Ok(one), Ok(other)) => one.cmp(&other),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => one.cmp(other),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// A range of versions, for example `^1.2 || >=3.0.0-0`.
#[derive(Debug, Clone)]
pub(crate) struct Constraint {
    groups: Vec<Vec<Comparison>>,
}

#[derive(Debug, Clone)]
struct Comparison {
    operator: String,
    version: Version,
    /// Some number is missing or a wildcard.
    dirty: bool,
    minor_dirty: bool,
    patch_dirty: bool,
}

impl Constraint {
    pub(crate) fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_CONSTRAINT_LENGTH {
            return Err(VersionError::ConstraintTooLong);
        }
        let text = rewrite_ranges(text);
        let alternatives: Vec<&str> = text.split("||").collect();
        if alternatives.len() > MAX_GROUPS {
            return Err(VersionError::TooManyGroups);
        }
        let groups = alternatives
            .into_iter()
            .map(parse_group)
            .collect::<Result<_, _>>()?;
        Ok(Self { groups })
    }

    /// Whether a version is in the range. A pre-release is only when the range names one.
    pub(crate) fn allows(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            let pre_allowed = group
                .iter()
                .any(|comparison| !comparison.version.pre.is_empty());
            (version.pre.is_empty() || pre_allowed)
                && group.iter().all(|comparison| comparison.holds(version))
        })
    }
}

fn rewrite_ranges(text: &str) -> String {
    let mut rewritten = text.to_owned();
    let Some(pattern) = RANGE.as_ref() else {
        return rewritten;
    };
    for captures in pattern.captures_iter(text) {
        let part = |index: usize| captures.get(index).map_or("", |part| part.as_str());
        let range = format!(">= {}, <= {} ", part(1), part(11));
        rewritten = rewritten.replacen(part(0), &range, 1);
    }
    rewritten
}

fn parse_group(text: &str) -> Result<Vec<Comparison>, VersionError> {
    let improper =
        || VersionError::Constraint(super::go::quote::quote(&super::go::text::Text::from(text)));
    if !VALID.as_ref().is_some_and(|pattern| pattern.is_match(text)) {
        return Err(improper());
    }
    let pattern = FIND.as_ref().ok_or_else(improper)?;
    pattern
        .find_iter(text)
        .map(|found| Comparison::parse(found.as_str()))
        .collect()
}

fn is_wildcard(part: &str) -> bool {
    matches!(part, "" | "x" | "X" | "*")
}

impl Comparison {
    fn parse(text: &str) -> Result<Self, VersionError> {
        let captures = ONE
            .as_ref()
            .and_then(|pattern| pattern.captures(text))
            .ok_or_else(|| VersionError::Constraint(format!("{text:?}")))?;
        let part = |index: usize| captures.get(index).map_or("", |part| part.as_str());
        let (major, minor, patch, pre) = (part(3), part(4), part(5), part(6));
        let (mut dirty, mut minor_dirty, mut patch_dirty) = (true, false, false);
        let version = if is_wildcard(major) {
            format!("0.0.0{pre}")
        } else if is_wildcard(minor.trim_start_matches('.')) {
            minor_dirty = true;
            format!("{major}.0.0{pre}")
        } else if is_wildcard(patch.trim_start_matches('.')) {
            patch_dirty = true;
            format!("{major}{minor}.0{pre}")
        } else {
            dirty = false;
            part(2).to_owned()
        };
        let version = Version::parse(&version).map_err(|_| VersionError::ConstraintParser)?;
        let operator = part(1).to_owned();
        Ok(Self {
            operator,
            version,
            dirty,
            minor_dirty,
            patch_dirty,
        })
    }

    fn holds(&self, version: &Version) -> bool {
        let order = version.compare(&self.version);
        match self.operator.as_str() {
            "!=" => self.not_equal(version, order),
            ">" => self.greater(version, order),
            "<" => order == Ordering::Less,
            ">=" | "=>" => order != Ordering::Less,
            "<=" | "=<" => self.at_most(version, order),
            "~" | "~>" => self.tilde(version, order),
            "^" => self.caret(version, order),
            _ if self.dirty => self.tilde(version, order),
            _ => order == Ordering::Equal,
        }
    }

    fn not_equal(&self, version: &Version, order: Ordering) -> bool {
        let wanted = &self.version;
        if !self.dirty {
            return order != Ordering::Equal;
        }
        if version.major != wanted.major {
            return true;
        }
        if version.minor != wanted.minor && !self.minor_dirty {
            return true;
        }
        if self.minor_dirty {
            return false;
        }
        if version.patch != wanted.patch && !self.patch_dirty {
            return true;
        }
        if self.patch_dirty {
            return version.pre != wanted.pre;
        }
        order != Ordering::Equal
    }

    fn greater(&self, version: &Version, order: Ordering) -> bool {
        let wanted = &self.version;
        if !self.dirty {
            return order == Ordering::Greater;
        }
        match version.major.cmp(&wanted.major) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal if self.minor_dirty => false,
            Ordering::Equal if self.patch_dirty => version.minor > wanted.minor,
            Ordering::Equal => order == Ordering::Greater,
        }
    }

    fn at_most(&self, version: &Version, order: Ordering) -> bool {
        let wanted = &self.version;
        if !self.dirty {
            return order != Ordering::Greater;
        }
        version.major <= wanted.major
            && (version.major != wanted.major || version.minor <= wanted.minor || self.minor_dirty)
    }

    fn tilde(&self, version: &Version, order: Ordering) -> bool {
        let wanted = &self.version;
        if order == Ordering::Less {
            return false;
        }
        let zero = (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0);
        if zero && !self.minor_dirty && !self.patch_dirty {
            return true;
        }
        version.major == wanted.major && (version.minor == wanted.minor || self.minor_dirty)
    }

    fn caret(&self, version: &Version, order: Ordering) -> bool {
        let wanted = &self.version;
        if order == Ordering::Less {
            return false;
        }
        if wanted.major > 0 || self.minor_dirty {
            return version.major == wanted.major;
        }
        if version.major > 0 {
            return false;
        }
        if wanted.minor > 0 || self.patch_dirty {
            return version.minor == wanted.minor;
        }
        version.minor == 0 && version.patch == wanted.patch
    }
}

/// Whether a version is in a range; false when either cannot be read.
pub(crate) fn is_compatible(constraint: &str, version: &str) -> bool {
    match (Constraint::parse(constraint), Version::parse(version)) {
        (Ok(constraint), Ok(version)) => constraint.allows(&version),
        _ => false,
    }
}

/// Whether a text is one complete version in the strict sense of `SemVer`, not a range.
pub fn is_exact_version(text: &str) -> bool {
    Version::parse(text).is_ok_and(|version| version.to_string() == text)
}

/// Whether a version is in a range; false when either cannot be read.
pub fn allows(range: &str, version: &str) -> bool {
    is_compatible(range, version)
}

/// The newest of several versions that a range allows; those that cannot be read are left out.
///
/// An empty range allows every release.
///
/// # Errors
/// When the range cannot be read: what Helm says then.
pub fn newest_matching<'v>(
    range: &str,
    versions: impl IntoIterator<Item = &'v str>,
) -> Result<Option<&'v str>, String> {
    let range = if range.trim().is_empty() { "*" } else { range };
    let constraint = Constraint::parse(range).map_err(|error| error.to_string())?;
    let allowed = versions
        .into_iter()
        .filter_map(|text| Some((Version::parse(text).ok()?, text)))
        .filter(|(version, _)| constraint.allows(version));
    Ok(allowed
        .max_by(|(one, _), (other, _)| one.compare(other))
        .map(|(_, text)| text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_helm() {
        for (constraint, version, allowed) in [
            ("^1.2", "1.9.0", true),
            ("^1.2", "2.0.0", false),
            ("^0.2.1", "0.2.9", true),
            ("^0.2.1", "0.3.0", false),
            ("~1.2.3", "1.2.9", true),
            ("~1.2.3", "1.3.0", false),
            ("5.5.0", "5.5.0", true),
            ("5.5", "5.5.7", true),
            (">=1.0 <2.0", "1.5.0", true),
            (">=1.0, <2.0", "2.0.0", false),
            ("1.0 - 2.0", "1.5.0", true),
            ("*", "1.5.0", true),
            ("*", "1.5.0-rc1", false),
            (">=1.0.0-0", "1.5.0-rc1", true),
            ("1.x || 3.x", "3.1.4", true),
            ("", "1.0.0", false),
        ] {
            assert_eq!(
                is_compatible(constraint, version),
                allowed,
                "{constraint} {version}"
            );
        }
    }

    #[test]
    fn the_newest_that_fits_is_chosen() {
        let versions = ["1.0.0", "1.2.0-rc.1", "junk", "1.1.0", "0.9.0"];
        for (range, expected) in [
            ("", Some("1.1.0")),
            ("~1.0", Some("1.0.0")),
            (">0.0.0-0", Some("1.2.0-rc.1")),
            ("^2", None),
        ] {
            assert_eq!(
                newest_matching(range, versions).unwrap(),
                expected,
                "{range}"
            );
        }
        assert!(newest_matching("one", versions).is_err());
        assert!(
            is_exact_version("1.0.0-rc.1+b")
                && !is_exact_version("1.0")
                && !is_exact_version("v1.0.0")
        );
    }
}
