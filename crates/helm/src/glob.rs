//! Patterns of `.Files.Glob`: `*` and `?` stop at a slash, `**` does not, `[a-z]`, `[!a]` and
//! `{one,other}` choose, `\` takes the next character as it is (gobwas/glob with separator `/`).

use regex::Regex;

pub(crate) enum Glob {
    /// A text and then anything without a slash, the most usual pattern.
    Prefix(String),
    Pattern(Regex),
    /// Helm takes every file when a pattern cannot be read.
    Everything,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        const SPECIAL: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];
        if let Some(prefix) = pattern.strip_suffix('*')
            && !prefix.contains(SPECIAL)
        {
            return Self::Prefix(prefix.to_owned());
        }
        translate(pattern)
            .and_then(|regex| Regex::new(&regex).ok())
            .map_or(Self::Everything, Self::Pattern)
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| !rest.contains('/')),
            Self::Pattern(regex) => regex.is_match(path),
            Self::Everything => true,
        }
    }
}

/// The same as a regular expression; nothing when the pattern is malformed.
fn translate(pattern: &str) -> Option<String> {
    let mut out = String::from("(?s)^");
    let mut characters = pattern.chars().peekable();
    let mut braces = 0usize;
    while let Some(character) = characters.next() {
        match character {
            '*' => {
                let mut stars = 1;
                while characters.peek() == Some(&'*') {
                    characters.next();
                    stars += 1;
                }
                out.push_str(if stars > 1 { ".*" } else { "[^/]*" });
            }
            '?' => out.push_str("[^/]"),
            '\\' => push_literal(&mut out, characters.next()?),
            '{' => {
                braces += 1;
                out.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            '[' => out.push_str(&class(&mut characters)?),
            other => push_literal(&mut out, other),
        }
    }
    out.push('$');
    (braces == 0).then_some(out)
}

fn push_literal(out: &mut String, character: char) {
    out.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
}

fn class(characters: &mut std::iter::Peekable<std::str::Chars>) -> Option<String> {
    let mut out = String::from("[");
    if characters.peek() == Some(&'!') {
        characters.next();
        out.push('^');
    }
    let mut members = Vec::new();
    loop {
        match characters.next()? {
            ']' => break,
            '\\' => members.push(characters.next()?),
            other => members.push(other),
        }
    }
    match members.as_slice() {
        [] => return None,
        [low, '-', high] => {
            push_literal(&mut out, *low);
            out.push('-');
            push_literal(&mut out, *high);
        }
        members => members
            .iter()
            .for_each(|&member| push_literal(&mut out, member)),
    }
    out.push(']');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stop_at_slashes() {
        for (pattern, path, matches) in [
            ("config/*", "config/a.yaml", true),
            ("config/*", "config/sub/a.yaml", false),
            ("config/**", "config/sub/a.yaml", true),
            ("**.yaml", "config/sub/a.yaml", true),
            ("*.yaml", "config/a.yaml", false),
            ("config/*.{db,cmd}", "config/st.cmd", true),
            ("config/*.{db,cmd}", "config/st.yaml", false),
            ("config/[a-c]?.db", "config/b1.db", true),
            ("config/[!a-c]?.db", "config/b1.db", false),
            ("config/a.b", "config/axb", false),
            ("[", "anything/at/all", true),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(path),
                matches,
                "{pattern} {path}"
            );
        }
    }
}
