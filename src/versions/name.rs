//! What the name of a tag says: release or pre-release, before or after another, and which chart version it is. Pure.
//!
//! Read are calendar versions (`2026.11.1`), semantic versions (`1.2.3-rc.1+build`), both with `v` before them, and the
//! shorter pre-releases of Python (`2025.8.2b1`, `2025.8.2rc1`, `2025.8.2.dev3`). Other names are tags too; they come last.

use std::cmp::Ordering;

use serde::Serialize;

/// What a tag is. In this order they are listed: a release always before a pre-release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The name is no version: `latest`, `before-shutdown`.
    Other,
    /// A version before a release: `2026.11.1-beta.1`, `2026.11.1b1`.
    PreRelease,
    /// A release: `2026.11.1`.
    Release,
}

/// The name of a tag, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagName {
    text: String,
    kind: Kind,
    numbers: Vec<Number>,
    /// Parts after the numbers: those of a pre-release, or the number of a `.post` release.
    rest: Vec<Part>,
}

/// Digits of any length, without leading zeros: longer is larger, then by text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Number(usize, String);

impl Number {
    fn new(digits: &str) -> Self {
        let digits = digits.trim_start_matches('0');
        Self(digits.len(), digits.to_owned())
    }
}

/// Part of a pre-release: numbers come before words, `dev` before every other word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(Number),
    Word {
        is_dev: std::cmp::Reverse<bool>,
        word: String,
    },
}

impl TagName {
    /// Reads the name of a tag; every name can be read.
    pub fn new(text: &str) -> Self {
        let version = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let version = version
            .split_once('+')
            .map_or(version, |(version, _build)| version);
        let end = version
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(version.len());
        let (numbers, rest) = version.split_at(end);
        let mut parts: Vec<&str> = numbers.split('.').collect();
        // `2025.8.2.dev3` leaves an empty part before `dev3`
        if parts.len() > 1 && parts.last() == Some(&"") && !rest.is_empty() {
            parts.pop();
        }
        let is_version = parts.iter().all(|part| !part.is_empty());
        let suffix = rest.trim_start_matches(['-', '.', '_']);
        let is_pre_release =
            rest.starts_with('-') && !suffix.is_empty() || short_pre_release(suffix).is_some();
        let kind = if !is_version {
            Kind::Other
        } else if rest.is_empty() || is_post(suffix) {
            Kind::Release
        } else if is_pre_release {
            Kind::PreRelease
        } else {
            Kind::Other
        };
        Self {
            text: text.to_owned(),
            kind,
            numbers: if is_version {
                parts.into_iter().map(Number::new).collect()
            } else {
                Vec::new()
            },
            rest: split(suffix),
        }
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Release, pre-release, or neither.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The version that a chart of this tag has: semantic versions only, `v` left out.
    ///
    /// # Errors
    ///
    /// Why it cannot be one, and what would be.
    pub fn chart_version(&self) -> Result<String, NotAChartVersion> {
        let version = self.text.strip_prefix('v').unwrap_or(&self.text);
        match semver::Version::parse(version) {
            // the registry keeps `+` as `_`, which is one way only
            Ok(_) => Ok(version.to_owned()),
            Err(error) => Err(NotAChartVersion {
                tag: self.text.clone(),
                why: self.why_not(&error.to_string()),
                suggestion: self.suggestion(),
            }),
        }
    }

    fn why_not(&self, error: &str) -> String {
        let numbers = self.text.trim_start_matches('v');
        let numbers: Vec<&str> = numbers
            .split(['-', '+'])
            .next()
            .unwrap_or_default()
            .split('.')
            .collect();
        if self.kind == Kind::Other {
            return "it is no version of three numbers".to_owned();
        }
        if let Some(part) = numbers
            .iter()
            .find(|part| part.len() > 1 && part.starts_with('0'))
        {
            return format!("`{part}` begins with a zero");
        }
        match self.numbers.len() {
            3 if self.kind == Kind::PreRelease && !self.text.contains('-') => {
                "a pre-release is written with `-` after three numbers".to_owned()
            }
            3 => error.to_owned(),
            count => format!("it has {count} numbers, and a chart version has three"),
        }
    }

    /// The nearest name that a chart version can have.
    fn suggestion(&self) -> Option<String> {
        if self.kind == Kind::Other || self.numbers.len() > 3 {
            return None;
        }
        let mut numbers: Vec<&str> = self
            .numbers
            .iter()
            .map(|Number(_, digits)| if digits.is_empty() { "0" } else { digits })
            .collect();
        numbers.resize(3, "0");
        let mut version = numbers.join(".");
        if self.kind == Kind::PreRelease {
            let parts: Vec<&str> = self
                .rest
                .iter()
                .map(|part| match part {
                    Part::Number(Number(_, digits)) if digits.is_empty() => "0",
                    Part::Number(Number(_, digits)) => digits,
                    Part::Word { word, .. } => word,
                })
                .collect();
            version = format!("{version}-{}", parts.join("."));
        }
        semver::Version::parse(&version).ok().map(|_| version)
    }

    /// Releases after pre-releases, those after other names; within each by number.
    pub fn order(&self, other: &Self) -> Ordering {
        self.kind
            .cmp(&other.kind)
            .then_with(|| self.by_number(other))
            .then_with(|| other.text.cmp(&self.text))
    }

    fn by_number(&self, other: &Self) -> Ordering {
        let longest = self.numbers.len().max(other.numbers.len());
        let zero = Number::new("");
        for index in 0..longest {
            let ours = self.numbers.get(index).unwrap_or(&zero);
            let theirs = other.numbers.get(index).unwrap_or(&zero);
            match ours.cmp(theirs) {
                Ordering::Equal => {}
                different => return different,
            }
        }
        self.rest.cmp(&other.rest)
    }
}

/// Why a tag cannot be the version of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAChartVersion {
    /// The tag.
    pub tag: String,
    /// Why not.
    pub why: String,
    /// A name that could.
    pub suggestion: Option<String>,
}

/// `post1` and the like: after the release, not before it.
fn is_post(suffix: &str) -> bool {
    suffix.strip_prefix("post").is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The word that Python's short form of a pre-release stands for.
fn short_pre_release(suffix: &str) -> Option<&'static str> {
    let end = suffix
        .find(|character: char| !character.is_ascii_alphabetic())
        .unwrap_or(suffix.len());
    let (word, digits) = suffix.split_at(end);
    let digits = digits.trim_start_matches(['.', '-', '_']);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    long_word(word)
}

fn long_word(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "a" | "alpha" => Some("alpha"),
        "b" | "beta" => Some("beta"),
        "c" | "rc" | "pre" | "preview" => Some("rc"),
        "dev" => Some("dev"),
        _ => None,
    }
}

/// Words and numbers of a pre-release, so that `rc10` comes after `rc9`.
fn split(suffix: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for piece in suffix.split(['.', '-', '_']) {
        let mut rest = piece;
        while let Some(first) = rest.chars().next() {
            let digits = first.is_ascii_digit();
            let end = rest
                .find(|character: char| character.is_ascii_digit() != digits)
                .unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            parts.push(if digits {
                Part::Number(Number::new(part))
            } else {
                let word = long_word(part).unwrap_or(part);
                Part::Word {
                    is_dev: std::cmp::Reverse(word == "dev"),
                    word: word.to_owned(),
                }
            });
            rest = after;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&str]) -> Vec<String> {
        let mut tags: Vec<TagName> = names.iter().map(|name| TagName::new(name)).collect();
        tags.sort_by(|a, b| b.order(a));
        tags.into_iter().map(|tag| tag.text).collect()
    }

    #[test]
    fn releases_come_before_pre_releases_and_newest_first() {
        assert_eq!(
            sorted(&[
                "2025.8.2",
                "test",
                "2025.10.1",
                "2025.8.2b1",
                "v2025.9.1",
                "2026.01.1",
                "2026.1.1-rc.10",
                "2026.1.1-rc.9",
                "2026.1.1rc11",
                "2026.1.1.dev3",
                "2026.1.1-alpha",
                "1.0",
                "v1.0.1+build",
                "2025.8.2.post1",
                "R4-45",
                "7.0.9ec5"
            ]),
            [
                "2026.01.1",
                "2025.10.1",
                "v2025.9.1",
                "2025.8.2.post1",
                "2025.8.2",
                "v1.0.1+build",
                "1.0",
                "2026.1.1rc11",
                "2026.1.1-rc.10",
                "2026.1.1-rc.9",
                "2026.1.1-alpha",
                "2026.1.1.dev3",
                "2025.8.2b1",
                "7.0.9ec5",
                "test",
                "R4-45"
            ]
        );
    }

    #[test]
    fn chart_versions_and_what_to_write_instead() {
        for good in ["2026.1.1", "1.2.3-rc.1", "1.2.3+4", "v1.2.3", "0.0.0-0"] {
            assert!(TagName::new(good).chart_version().is_ok(), "{good}");
        }
        assert_eq!(TagName::new("v1.2.3").chart_version().unwrap(), "1.2.3");
        for (tag, why, suggestion) in [
            ("2026.01.1", "`01` begins with a zero", Some("2026.1.1")),
            (
                "2025.8.2b1",
                "a pre-release is written with `-` after three numbers",
                Some("2025.8.2-beta.1"),
            ),
            (
                "2025.8.2rc0",
                "a pre-release is written with `-` after three numbers",
                Some("2025.8.2-rc.0"),
            ),
            (
                "2026.11",
                "it has 2 numbers, and a chart version has three",
                Some("2026.11.0"),
            ),
            (
                "2026.11.1.2",
                "it has 4 numbers, and a chart version has three",
                None,
            ),
            ("latest", "it is no version of three numbers", None),
            ("2025.8.2-01", "", None),
        ] {
            let problem = TagName::new(tag).chart_version().unwrap_err();
            if !why.is_empty() {
                assert_eq!(
                    (problem.why.as_str(), problem.suggestion.as_deref()),
                    (why, suggestion),
                    "{tag}"
                );
            }
        }
    }

    #[test]
    fn the_order_is_total_and_no_name_panics() {
        let names = [
            "",
            "v",
            ".",
            "1.",
            "1..2",
            "-",
            "1-",
            "ü",
            "1ü",
            "99999999999999999999999.1.1",
            "1.0.0",
            "1.0",
            "v1.0",
            "1.0.0-",
            "1.0.0--",
            "2025.8.2b",
            "2025.8.2_b1",
            "+",
            "v+",
        ];
        let tags: Vec<TagName> = names.iter().map(|name| TagName::new(name)).collect();
        for a in &tags {
            for b in &tags {
                assert_eq!(a.order(b), b.order(a).reverse(), "{a:?} {b:?}");
                assert_eq!(a.order(b) == Ordering::Equal, a == b);
            }
            let _either = a.chart_version();
        }
    }
}
