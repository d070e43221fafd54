//! Patterns with `*` for any text and `?` for any character.

use std::fmt;

/// A pattern. Upper and lower case differ, as they do in names of PVs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// A pattern as it is written.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is met by one text only.
    pub fn is_exact(&self) -> bool {
        !self.text.contains(['*', '?'])
    }

    /// What every text that meets it begins with.
    pub fn prefix(&self) -> &str {
        self.text.split(['*', '?']).next().unwrap_or_default()
    }

    /// The same for SQLite's `GLOB`, in which brackets mean something too.
    pub fn glob(&self) -> String {
        self.text.replace('[', "[[]")
    }

    /// Whether a text meets it.
    pub fn matches(&self, text: &str) -> bool {
        // where the last `*` was met, and how much of the text it stands for so far
        let mut star: Option<(usize, usize)> = None;
        let (pattern, text) = (self.text.as_bytes(), text.as_bytes());
        let (mut at, mut here) = (0, 0);
        while here < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, here));
                    at += 1;
                }
                Some(b'?') => {
                    here += character(text, here);
                    at += 1;
                }
                Some(byte) if *byte == text[here] => {
                    here += 1;
                    at += 1;
                }
                _ => {
                    let Some((begin, covered)) = star else {
                        return false;
                    };
                    let covered = covered + character(text, covered);
                    star = Some((begin, covered));
                    at = begin + 1;
                    here = covered;
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// Bytes of the character that begins here.
fn character(text: &[u8], here: usize) -> usize {
    let rest = text.get(here + 1..).unwrap_or_default();
    1 + rest.iter().take_while(|byte| **byte & 0xC0 == 0x80).count()
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        let rows = [
            ("T01:*", "T01:VAC:P1", true),
            ("T01:*", "T02:VAC:P1", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("*é", "aéé", true),
            ("*a*b*", "xaxbx", true),
            ("*a*b", "xaxbx", false),
            ("a[1]", "a[1]", true),
            ("major", "MAJOR", false),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(
                Pattern::new(pattern).matches(text),
                expected,
                "{pattern} {text}"
            );
        }
    }

    proptest! {
        #[test]
        fn as_sqlite_matches(pattern in "[ab*?\\[\\]é]{0,6}", text in "[ab\\[\\]é]{0,6}") {
            let database = rusqlite::Connection::open_in_memory().unwrap();
            let pattern = Pattern::new(pattern);
            let expected: bool = database
                .query_row("SELECT ?1 GLOB ?2", [&text, &pattern.glob()], |row| row.get(0))
                .unwrap();
            prop_assert_eq!(pattern.matches(&text), expected);
        }
    }
}
