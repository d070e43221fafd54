//! A line of the IOC shell split into words, as `iocsh` of base 7.0.10 does it.

use std::ops::Range;

/// A word, with the bytes of the line it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) range: Range<usize>,
}

/// A line taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) list: Vec<Word>,
    /// `< file`.
    pub(super) input: Option<Word>,
    /// `> file`, `2> file` and so on: where output goes.
    pub(super) output: Vec<Word>,
}

/// What `iocsh` refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SplitError {
    UnbalancedQuote,
    TrailingBackslash,
    InvalidRedirection,
}

/// Splits a line. An error names the byte where it begins.
pub(super) fn split(line: &str) -> Result<Words, (SplitError, usize)> {
    let bytes = line.as_bytes();
    let mut result = Words::default();
    let mut current: Option<(Vec<u8>, usize)> = None;
    let mut quote: Option<(u8, usize)> = None;
    let mut redirect: Option<(u8, usize)> = None;
    let mut position = 0;

    while let Some(&byte) = bytes.get(position) {
        let start = position;
        position += 1;
        if let Some((open, _)) = quote {
            if byte == open {
                quote = None;
            } else if let Some((word, _)) = &mut current {
                // Inside quotes a backslash stands for itself.
                word.push(byte);
            }
            continue;
        }
        if byte == b'\\' {
            let Some(&escaped) = bytes.get(position) else {
                return Err((SplitError::TrailingBackslash, start));
            };
            position += 1;
            current
                .get_or_insert_with(|| (Vec::new(), start))
                .0
                .push(escaped);
            continue;
        }
        let numbered = matches!(byte, b'1'..=b'9') && bytes.get(position) == Some(&b'>');
        let stream = match byte {
            b'<' => Some(b'0'),
            b'>' => Some(b'1'),
            _ if numbered => {
                position += 1;
                Some(byte)
            }
            _ => None,
        };
        if let Some(stream) = stream {
            finish(&mut current, &mut redirect, start, &mut result);
            // A second input makes base run it as a script; nobody means that.
            if redirect.is_some() || (stream == b'0' && result.input.is_some()) {
                return Err((SplitError::InvalidRedirection, start));
            }
            if stream != b'0' && bytes.get(position) == Some(&b'>') {
                position += 1;
            }
            redirect = Some((stream, start));
            continue;
        }
        if b" \t(),\r".contains(&byte) {
            finish(&mut current, &mut redirect, start, &mut result);
            continue;
        }
        let (word, _) = current.get_or_insert_with(|| (Vec::new(), start));
        if byte == b'"' || byte == b'\'' {
            quote = Some((byte, start));
        } else {
            word.push(byte);
        }
    }
    if let Some((_, start)) = quote {
        return Err((SplitError::UnbalancedQuote, start));
    }
    finish(&mut current, &mut redirect, bytes.len(), &mut result);
    if let Some((_, start)) = redirect {
        return Err((SplitError::InvalidRedirection, start));
    }
    Ok(result)
}

fn finish(
    current: &mut Option<(Vec<u8>, usize)>,
    redirect: &mut Option<(u8, usize)>,
    end: usize,
    result: &mut Words,
) {
    let Some((bytes, start)) = current.take() else {
        return;
    };
    let word = Word {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        range: start..end,
    };
    match redirect.take() {
        None => result.list.push(word),
        Some((b'0', _)) => result.input = Some(word),
        Some(_) => result.output.push(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split() {
        let cases: &[(&str, &[&str])] = &[
            (
                "dbLoadRecords(\"a.db\", \"P=1,R=2\")",
                &["dbLoadRecords", "a.db", "P=1,R=2"],
            ),
            (
                "dbLoadRecords a.db 'P=1'",
                &["dbLoadRecords", "a.db", "P=1"],
            ),
            ("a\\ b c", &["a b", "c"]),
            ("a\"b\"'c'", &["abc"]),
            ("a \"\" b", &["a", "", "b"]),
            ("a \"x\\n\" b", &["a", "x\\n", "b"]),
            ("a \"it's\" 'a \"q\"'", &["a", "it's", "a \"q\""]),
            ("  a  ", &["a"]),
            ("a(1,,2)", &["a", "1", "2"]),
            ("a b#c", &["a", "b#c"]),
            ("dbl > out.txt", &["dbl"]),
            ("dbl 2>>out.txt x", &["dbl", "x"]),
            ("()", &[]),
        ];
        for (line, expected) in cases {
            let words = split(line).unwrap();
            let texts: Vec<&str> = words.list.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(&texts, expected, "{line}");
        }
        assert_eq!(
            split("< common.cmd").unwrap().input.unwrap().text,
            "common.cmd"
        );
    }

    #[test]
    fn broken_lines_are_refused() {
        use SplitError::{InvalidRedirection, TrailingBackslash, UnbalancedQuote};
        for (line, expected) in [
            ("a \"b", (UnbalancedQuote, 2)),
            ("a don't", (UnbalancedQuote, 5)),
            ("a \\", (TrailingBackslash, 2)),
            ("a >", (InvalidRedirection, 2)),
            ("a > < b", (InvalidRedirection, 4)),
            ("a < b < c", (InvalidRedirection, 6)),
        ] {
            assert_eq!(split(line), Err(expected), "{line}");
        }
    }
}
