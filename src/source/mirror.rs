//! Rules that rewrite the beginning of a URL, for sites that keep copies of what others have on the internet.

use std::fmt;

use crate::project::Mirror;

/// A URL after mirror rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The URL to ask.
    pub url: String,
    /// The prefix of the rule that rewrote it, if one did.
    pub rule: Option<String>,
}

impl Address {
    /// Whether it lies on this machine, so that it may be used offline.
    pub fn is_local(&self) -> bool {
        self.url.starts_with("file://") || self.url.starts_with('/')
    }
}

impl fmt::Display for Address {
    /// The URL without user name and password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&without_credentials(&self.url))
    }
}

/// The URL after the first rule whose prefix it begins with.
///
/// A prefix ends at a boundary of the URL: `https://host/epics` matches `https://host/epics/asyn.git` and
/// `https://host/epics`, but not `https://host/epics-modules/asyn.git`.
pub fn rewrite(url: &str, mirrors: &[Mirror]) -> Address {
    let rewritten = mirrors.iter().find_map(|mirror| {
        let rest = url.strip_prefix(mirror.prefix.as_str())?;
        let at_boundary = rest.is_empty()
            || mirror.prefix.ends_with(['/', ':'])
            || rest.starts_with(['/', '?', '#']);
        at_boundary.then(|| Address {
            url: format!("{}{rest}", mirror.replace),
            rule: Some(mirror.prefix.clone()),
        })
    });
    rewritten.unwrap_or_else(|| Address {
        url: url.to_owned(),
        rule: None,
    })
}

/// A URL without user name and password, for messages: `https://token@host/x` becomes `https://host/x`.
///
/// What stands before `@` in `git@host:path` is not a secret and stays.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// The part of a URL that a mirror rule would rewrite: scheme and host, or `user@host:`.
pub fn host_prefix(url: &str) -> &str {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.find('/').map_or(rest.len(), |slash| slash + 1);
            &url[..scheme.len() + "://".len() + host]
        }
        None => url.find(':').map_or(url, |colon| &url[..=colon]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, replace: &str) -> Mirror {
        Mirror {
            prefix: prefix.to_owned(),
            replace: replace.to_owned(),
        }
    }

    #[test]
    fn first_match_wins_at_a_boundary() {
        let rules = [
            rule("https://host/epics", "file:///srv/epics"),
            rule("https://host/", "https://mirror/host/"),
            rule("git@host:", "https://mirror/"),
            rule("https://exact/x.tar.gz", "file:///x.tar.gz"),
        ];
        for (url, expected) in [
            ("https://host/epics/asyn.git", "file:///srv/epics/asyn.git"),
            ("https://host/epics", "file:///srv/epics"),
            (
                "https://host/epics-modules/a",
                "https://mirror/host/epics-modules/a",
            ),
            ("git@host:a/b.git", "https://mirror/a/b.git"),
            ("https://exact/x.tar.gz", "file:///x.tar.gz"),
            ("https://exact/x.tar.gz2", "https://exact/x.tar.gz2"),
            ("https://other/", "https://other/"),
        ] {
            assert_eq!(rewrite(url, &rules).url, expected, "{url}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for (url, expected) in [
            ("https://user:secret@host/a@b", "https://host/a@b"),
            ("https://host/a@b", "https://host/a@b"),
            ("git@host:a", "git@host:a"),
        ] {
            assert_eq!(without_credentials(url), expected);
        }
    }

    #[test]
    fn the_prefix_to_rewrite_is_the_host() {
        for (url, expected) in [
            ("https://host/a/b", "https://host/"),
            ("https://host", "https://host"),
            ("git@host:a/b", "git@host:"),
            ("plain", "plain"),
        ] {
            assert_eq!(host_prefix(url), expected);
        }
    }
}
