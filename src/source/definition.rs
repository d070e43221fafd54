//! What a recipe says about where the source of a support module comes from: the `source:` field.
//!
//! Only the shape is checked here (hexadecimal digits, names that cannot be taken for options or leave a
//! folder); whether a source exists is seen when it is fetched. `docs/sources.md` describes the fields.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a source comes from; exactly one key in YAML.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A tag of a git repository.
    Git(GitSource),
    /// A tar archive.
    Archive(ArchiveSource),
    /// A Debian source package.
    Debian(DebianSource),
    /// A folder of the project. Build products (`O.*`, `.git`) are left out.
    ///
    /// In a recipe it is relative to the folder of the recipe's file; [`Source::relative_to`] resolves it.
    Path(PathBuf),
}

impl Source {
    /// Resolves a local path against the folder of the file that names it; other sources stay as they are.
    #[must_use]
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            Self::Path(path) => Self::Path(folder.join(path)),
            other => other,
        }
    }
}

impl fmt::Display for Source {
    /// The source in a few words, for progress lines and messages.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Git(git) => write!(formatter, "{} at {}", git.url, git.tag),
            Self::Archive(archive) => formatter.write_str(&archive.url),
            Self::Debian(debian) => write!(
                formatter,
                "Debian source package {} {}",
                debian.package, debian.version
            ),
            Self::Path(path) => write!(formatter, "folder {}", path.display()),
        }
    }
}

/// `git:`
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitSource {
    /// Repository, any URL that `git` understands except those that run a program (`ext::`).
    pub url: GitUrl,
    /// Tag to take; a branch is refused, because it would not be the same tomorrow.
    pub tag: Tag,
    /// Commit that the tag must point to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Folders of the submodules to take along; others stay empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub submodules: Vec<RelativePath>,
}

/// `archive:`
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSource {
    /// `http://`, `https://` or `file://` URL of a `.tar`, `.tar.gz`, `.tar.bz2` or `.tar.xz` file; what it is
    /// compressed with is seen from its first bytes.
    pub url: String,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// How many leading folders of the names in the archive are left out; 1 by default, since archives of
    /// releases hold a single folder.
    #[serde(default = "one")]
    pub strip: u8,
}

fn one() -> u8 {
    1
}

/// `debian:`
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianSource {
    /// Name of the source package.
    pub package: PackageName,
    /// Its version with the Debian revision, as `apt-cache showsrc` prints it, such as `7.0.8.1+dfsg1-2`.
    pub version: PackageVersion,
    /// Section of the archive that it is kept in.
    #[serde(default)]
    pub component: ArchiveComponent,
    /// Its archives, each with its checksum. Empty is an error that prints what the mirror has, ready to be
    /// pasted.
    ///
    /// The `.orig.tar.*` becomes the tree, an `.orig-NAME.tar.*` the folder `NAME` in it, a `.debian.tar.*` the
    /// folder `debian`. The patches of the distribution are not applied: they fit the software to the
    /// distribution's folders and tests; a recipe has its own `patches`.
    #[serde(default)]
    pub files: Vec<DebianFile>,
}

/// One archive of a Debian source package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianFile {
    /// File name.
    pub name: RelativePath,
    /// SHA-256 of the file.
    pub sha256: Sha256,
}

/// Section of a Debian archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArchiveComponent {
    /// The distribution proper.
    #[default]
    Main,
    /// Free, but needs what is not.
    Contrib,
    /// Not free.
    NonFree,
}

impl ArchiveComponent {
    /// Name of its folder below `pool/`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Contrib => "contrib",
            Self::NonFree => "non-free",
        }
    }
}

/// Declares a string that is checked when it is read.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            ///
            /// Says what was expected.
            pub fn new(text: impl Into<String>) -> Result<Self, String> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    Err(format!("`{}` is not {}", shown(&text), $expected))
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

checked_string!(
    /// SHA-256 in 64 lower-case hexadecimal digits.
    Sha256,
    |text| text.len() == 64 && is_hexadecimal(text),
    "a SHA-256 sum (64 lower-case hexadecimal digits)"
);

checked_string!(
    /// A full git commit in 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    Commit,
    |text| matches!(text.len(), 40 | 64) && is_hexadecimal(text),
    "a full git commit (40 lower-case hexadecimal digits)"
);

checked_string!(
    /// A git tag without `refs/tags/`, by the rules of `git check-ref-format`.
    Tag,
    is_tag,
    "the name of a git tag"
);

checked_string!(
    /// A git branch without `refs/heads/`, by the same rules.
    Branch,
    is_tag,
    "the name of a git branch"
);

checked_string!(
    /// URL of a git repository: `https://`, `http://`, `ssh://`, `git://`, `file://` or `user@host:path`.
    GitUrl,
    is_git_url,
    "the URL of a git repository (`https://…`, `ssh://…`, `git@host:path`, `file://…`)"
);

checked_string!(
    /// A path that stays below where it starts: no `..`, not absolute, not empty.
    RelativePath,
    is_relative_path,
    "a relative path without `..`"
);

checked_string!(
    /// Name of a Debian source package (Debian Policy 5.6.1).
    PackageName,
    |text| {
        text.len() > 1
            && text.len() <= 128
            && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && text.chars().all(|character| {
                character.is_ascii_lowercase()
                    || character.is_ascii_digit()
                    || matches!(character, '+' | '-' | '.')
            })
    },
    "the name of a Debian source package"
);

checked_string!(
    /// Version of a Debian package with optional epoch and revision (Debian Policy 5.6.12).
    PackageVersion,
    |text| {
        text.len() <= 128
            && text.starts_with(|first: char| first.is_ascii_digit())
            && text.chars().all(|character| {
                character.is_ascii_alphanumeric()
                    || matches!(character, '.' | '+' | '-' | ':' | '~')
            })
    },
    "the version of a Debian package"
);

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_tag(text: &str) -> bool {
    let forbidden = |character: char| {
        character.is_control()
            || matches!(
                character,
                ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\' | '\u{7f}'
            )
    };
    !text.is_empty()
        && text.len() <= 255
        && !text.starts_with('-')
        && !text.starts_with("refs/")
        && !text.contains(forbidden)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && text != "@"
        && text.split('/').all(|part| {
            !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none()
        })
}

fn is_git_url(text: &str) -> bool {
    const SCHEMES: [&str; 6] = ["https", "http", "ssh", "git", "file", "git+ssh"];
    if text.is_empty()
        || text.len() > 2048
        || text.starts_with('-')
        || text.contains(|character: char| character.is_control() || character == ' ')
    {
        return false;
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        // `ssh://-oProxyCommand=…` is the classic way to have a program run
        return SCHEMES.contains(&scheme) && !rest.is_empty() && !rest.starts_with('-');
    }
    // `user@host:path`; `transport::address` would run a program
    text.split_once(':').is_some_and(|(host, path)| {
        !host.is_empty()
            && !path.is_empty()
            && !path.starts_with(':')
            && !path.starts_with('-')
            && host.contains('@')
            && !host.contains('/')
            && !host.split('@').any(|part| part.starts_with('-'))
    })
}

fn is_relative_path(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 1024
        && !text.contains(char::is_control)
        && !text.starts_with('-')
        && Path::new(text)
            .components()
            .all(|component| matches!(component, Component::Normal(_)))
}

/// The beginning of hostile or long text, for messages.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(80).collect();
    let cut: String = cut.escape_debug().collect();
    if text.chars().count() > 80 {
        format!("{cut}…")
    } else {
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source, String> {
        crate::yaml::from_str(Path::new("recipe.yaml"), text).map_err(|error| error.message)
    }

    #[test]
    fn each_kind_is_read() {
        let sum = "a".repeat(64);
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let cases = [
            "path: simplant".to_owned(),
            "git: {url: 'https://host/asyn.git', tag: R4-45}".to_owned(),
            format!(
                "git: {{url: 'git@host:asyn.git', tag: v1, commit: {commit}, submodules: [a/b]}}"
            ),
            format!("archive: {{url: 'https://host/x.tar.gz', sha256: {sum}, strip: 0}}"),
            format!(
                "debian: {{package: epics-base, version: 7.0.8.1-1, files: [{{name: a.tar.xz, sha256: {sum}}}]}}"
            ),
        ];
        for case in &cases {
            let source = parse(case).unwrap();
            let again = crate::yaml::to_string(&source).unwrap();
            assert_eq!(parse(&again).unwrap(), source, "{again}");
        }
    }

    #[test]
    fn hostile_fields_are_refused() {
        let sum = "a".repeat(64);
        for case in [
            "git: {url: '--upload-pack=touch /tmp/x', tag: v1}",
            "git: {url: 'ext::sh -c id', tag: v1}",
            "git: {url: 'ext::id', tag: v1}",
            "git: {url: 'ssh://-oProxyCommand=id/x', tag: v1}",
            "git: {url: '-oProxyCommand=id@host:x', tag: v1}",
            "git: {url: 'a@-oProxyCommand=id:x', tag: v1}",
            "git: {url: '/etc', tag: v1}",
            "git: {url: 'https://host/x', tag: '--all'}",
            "git: {url: 'https://host/x', tag: 'v1:refs/heads/main'}",
            "git: {url: 'https://host/x', tag: v1, commit: abc}",
            "git: {url: 'https://host/x', tag: v1, submodules: ['../x']}",
            "git: {url: 'https://host/x', tag: v1, branch: main}",
            "archive: {url: 'https://host/x', sha256: ABC}",
            "debian: {package: '../x', version: 1-1}",
            "debian: {package: x, version: 1-1}",
            "debian: {package: epics-base, version: 1/2}",
        ] {
            parse(case).expect_err(case);
        }
        for name in ["../a", "/a", "", "-a", "a/../b", "./a"] {
            let case = format!(
                "debian: {{package: xy, version: 1-1, files: [{{name: '{name}', sha256: {sum}}}]}}"
            );
            parse(&case).expect_err(name);
        }
    }

    #[test]
    fn messages_say_what_was_expected() {
        insta::assert_snapshot!(parse("archive: {url: u, sha256: abc}").unwrap_err(), @"`abc` is not a SHA-256 sum (64 lower-case hexadecimal digits)");
        insta::assert_snapshot!(parse("svn: {url: u}").unwrap_err(), @"unknown value `svn`");
    }

    #[test]
    fn a_path_is_relative_to_the_file_that_names_it() {
        let source = Source::Path("simplant".into()).relative_to(Path::new("/p/modules"));
        assert_eq!(source, Source::Path("/p/modules/simplant".into()));
    }
}
