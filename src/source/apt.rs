//! Package mirrors from apt's own configuration: one-line `*.list` files and deb822 `*.sources` files
//! (sources.list(5)).
//!
//! Only mirrors of Debian itself count, which is seen from the name of the suite: a machine may have
//! repositories of anything else. Whether a mirror answers is not asked here.

use std::path::Path;

/// Where apt keeps its configuration.
pub const APT_FOLDER: &str = "/etc/apt";

/// Names of Debian's releases and of what points to them; a newer name only means that `debian-mirror` has to
/// be set where nothing else is configured.
const SUITES: [&str; 13] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "experimental",
    "unstable",
    "testing",
    "stable",
    "oldstable",
    "oldoldstable",
];

/// A mirror of Debian that apt on this machine uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptMirror {
    /// Base URL without a slash at the end; `dists/` and `pool/` are below it.
    pub url: String,
    /// Suites taken from it, in order.
    pub suites: Vec<String>,
}

/// The mirrors that apt is configured with, in its order, each once.
///
/// # Errors
///
/// A configuration file that cannot be read. A machine without apt has no mirrors, which is no error.
pub fn mirrors(folder: &Path) -> std::io::Result<Vec<AptMirror>> {
    let mut files = Vec::new();
    let list = folder.join("sources.list");
    if list.is_file() {
        files.push(list);
    }
    let parts = folder.join("sources.list.d");
    if parts.is_dir() {
        let mut more: Vec<_> = fs_err::read_dir(&parts)?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .collect();
        more.sort();
        files.extend(more);
    }
    let mut mirrors = Vec::new();
    for path in files {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => add_lines(&mut mirrors, &fs_err::read_to_string(&path)?),
            Some("sources") => add_stanzas(&mut mirrors, &fs_err::read_to_string(&path)?),
            _ => {}
        }
    }
    Ok(mirrors)
}

/// `deb [options] URL SUITE COMPONENT…`
fn add_lines(mirrors: &mut Vec<AptMirror>, text: &str) {
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(rest) = line
            .strip_prefix("deb-src")
            .or_else(|| line.strip_prefix("deb"))
            .filter(|rest| rest.starts_with([' ', '\t']))
        else {
            continue;
        };
        let mut rest = rest.trim_start();
        if rest.starts_with('[') {
            let Some((_options, after)) = rest.split_once(']') else {
                continue;
            };
            rest = after;
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        if let [url, suite, components @ ..] = words.as_slice() {
            add(mirrors, &[url], &[suite], components);
        }
    }
}

/// Stanzas of `Field: value`, continued on lines that begin with a blank, separated by empty lines.
fn add_stanzas(mirrors: &mut Vec<AptMirror>, text: &str) {
    for stanza in stanzas(text) {
        let words = |name: &str| -> Vec<&str> {
            stanza
                .iter()
                .find(|(field, _)| field.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.split_whitespace().collect())
                .unwrap_or_default()
        };
        let disabled = words("Enabled").first().is_some_and(|word| {
            matches!(
                word.to_ascii_lowercase().as_str(),
                "no" | "false" | "off" | "0"
            )
        });
        if !disabled {
            add(
                mirrors,
                &words("URIs"),
                &words("Suites"),
                &words("Components"),
            );
        }
    }
}

/// Fields of each stanza, values with their continuation lines.
fn stanzas(text: &str) -> Vec<Vec<(String, String)>> {
    let mut all = vec![Vec::<(String, String)>::new()];
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            all.push(Vec::new());
            continue;
        }
        let Some(stanza) = all.last_mut() else {
            continue;
        };
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((field, value)) = line.split_once(':') {
            stanza.push((field.trim().to_owned(), value.trim().to_owned()));
        }
    }
    all
}

fn add(mirrors: &mut Vec<AptMirror>, urls: &[&str], suites: &[&str], components: &[&str]) {
    let suites: Vec<&str> = suites
        .iter()
        .copied()
        .filter(|suite| is_debian(suite))
        .collect();
    if suites.is_empty() || !components.contains(&"main") {
        return;
    }
    for url in urls {
        let url = match url.split_once(':') {
            Some(("http" | "https", _)) => (*url).to_owned(),
            Some(("file" | "copy", path)) => {
                format!("file:///{}", path.trim_start_matches('/'))
            }
            // cdrom:, mirror:, tor+http: are for apt alone
            _ => continue,
        };
        let url = url.trim_end_matches('/').to_owned();
        let index = mirrors
            .iter()
            .position(|mirror| mirror.url == url)
            .unwrap_or_else(|| {
                mirrors.push(AptMirror {
                    url,
                    suites: Vec::new(),
                });
                mirrors.len() - 1
            });
        for suite in &suites {
            if !mirrors[index].suites.iter().any(|known| known == suite) {
                mirrors[index].suites.push((*suite).to_owned());
            }
        }
    }
}

/// Security updates have a pool of their own, which holds only few packages.
fn is_debian(suite: &str) -> bool {
    let name = suite
        .strip_suffix("-updates")
        .or_else(|| suite.strip_suffix("-backports"))
        .unwrap_or(suite);
    SUITES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, sources: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("sources.list.d")).unwrap();
        fs_err::write(folder.path().join("sources.list"), list).unwrap();
        fs_err::write(folder.path().join("sources.list.d/a.sources"), sources).unwrap();
        let ignored = folder.path().join("sources.list.d/b.list.disabled");
        fs_err::write(ignored, "deb http://disabled/debian trixie main").unwrap();
        mirrors(folder.path())
            .unwrap()
            .iter()
            .map(|mirror| format!("{} {}", mirror.url, mirror.suites.join(",")))
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn one_line_files() {
        for (text, expected) in [
            ("deb http://a/debian trixie main", "http://a/debian trixie"),
            (
                "deb-src http://a/debian/ sid main contrib",
                "http://a/debian sid",
            ),
            (
                "deb [arch=amd64 signed-by=/k] https://a/debian trixie main # x",
                "https://a/debian trixie",
            ),
            ("deb\thttp://a/d\tstable\tmain", "http://a/d stable"),
            (
                "deb file:/srv/debian trixie main",
                "file:///srv/debian trixie",
            ),
            (
                "deb copy:///srv/debian trixie main",
                "file:///srv/debian trixie",
            ),
            (
                "deb http://a/d trixie main\ndeb http://a/d trixie-updates main",
                "http://a/d trixie,trixie-updates",
            ),
            ("# deb http://a/d trixie main", ""),
            ("deb http://a/ubuntu noble main", ""),
            ("deb http://a/d-security trixie-security main", ""),
            ("deb http://a/d trixie contrib", ""),
            ("deb http://a/d ./", ""),
            ("deb [broken http://a/d trixie main", ""),
            ("deb cdrom:[Debian]/ trixie main", ""),
            ("debian http://a/d trixie main", ""),
            ("deb", ""),
        ] {
            assert_eq!(check(text, ""), expected, "{text}");
        }
    }

    #[test]
    fn stanza_files() {
        for (text, expected) in [
            (
                "Types: deb\nURIs: http://a/d\nSuites: trixie trixie-updates\nComponents: main\n",
                "http://a/d trixie,trixie-updates",
            ),
            (
                "Types: deb\nURIs: http://a/d\n  http://b/d\nSuites: trixie\nComponents: main\n",
                "http://a/d trixie; http://b/d trixie",
            ),
            (
                "types: deb\nuris: http://a/d\nsuites: trixie\n# c\ncomponents: main\n",
                "http://a/d trixie",
            ),
            (
                "Enabled: no\nURIs: http://a/d\nSuites: trixie\nComponents: main\n",
                "",
            ),
            (
                "URIs: http://a/d\nSuites: trixie-security\nComponents: main\n\nURIs: http://b/d\nSuites: sid\nComponents: main\n",
                "http://b/d sid",
            ),
            ("URIs: http://a/d\nSuites: nodistro\nComponents: main\n", ""),
            (" continued: nothing\n", ""),
        ] {
            assert_eq!(check("", text), expected, "{text}");
        }
    }

    #[test]
    fn a_machine_without_apt_has_none() {
        assert_eq!(mirrors(Path::new("/nowhere")).unwrap(), []);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(deb|Types: deb|URIs:|Suites:|[ \\[\\]a-z/:#\n])*") {
            check(&text, &text);
        }
    }
}
