//! The syntax of Java's properties files (Java SE API documentation, `java.util.Properties.load`), with the place of
//! every character, so that an error inside a value points into the file.

use std::path::Path;

use super::Error;

/// A name with its value.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) name_at: Place,
    pub(super) value: Vec<Character>,
    /// Where the value begins, or would.
    pub(super) value_at: Place,
}

/// A character after its escapes are resolved, and where it came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Character {
    pub(super) character: char,
    pub(super) at: Place,
}

/// Line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Entry {
    /// The value without white space around it, which Java's client takes off too.
    pub(super) fn text(&self) -> String {
        let text: String = self
            .value
            .iter()
            .map(|character| character.character)
            .collect();
        text.trim().to_owned()
    }
}

/// Bytes as characters: Java reads these files as ISO 8859-1, whatever wrote them.
pub(super) fn decode(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Reads a file's text.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut lines = natural_lines(text);
    while let Some((number, line)) = lines.next() {
        let Some(begin) = line.iter().position(|character| !is_blank(*character)) else {
            continue;
        };
        if matches!(line[begin], '#' | '!') {
            continue;
        }
        let mut logical: Vec<Character> = placed(number, &line, begin).collect();
        while ends_with_continuation(&logical) {
            logical.pop();
            let Some((number, line)) = lines.next() else {
                break;
            };
            let begin = line
                .iter()
                .position(|character| !is_blank(*character))
                .unwrap_or(line.len());
            logical.extend(placed(number, &line, begin));
        }
        entries.push(entry(path, text, &logical)?);
    }
    Ok(entries)
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0c')
}

/// Lines with their numbers; they end with `\n`, `\r` or both.
fn natural_lines(text: &str) -> impl Iterator<Item = (usize, Vec<char>)> {
    let mut characters = text.chars().peekable();
    let mut number = 0;
    std::iter::from_fn(move || {
        characters.peek()?;
        number += 1;
        let mut line = Vec::new();
        while let Some(character) = characters.next() {
            match character {
                '\n' => break,
                '\r' => {
                    characters.next_if_eq(&'\n');
                    break;
                }
                character => line.push(character),
            }
        }
        Some((number, line))
    })
}

fn placed(number: usize, line: &[char], begin: usize) -> impl Iterator<Item = Character> {
    line.iter()
        .enumerate()
        .skip(begin)
        .map(move |(index, &character)| Character {
            character,
            at: Place {
                line: number,
                column: index + 1,
            },
        })
}

/// An odd number of backslashes at the end: the last one escapes the end of the line.
fn ends_with_continuation(line: &[Character]) -> bool {
    line.iter()
        .rev()
        .take_while(|character| character.character == '\\')
        .count()
        % 2
        == 1
}

fn entry(path: &Path, text: &str, line: &[Character]) -> Result<Entry, Error> {
    let mut end = 0;
    while let Some(character) = line.get(end) {
        match character.character {
            '\\' => end += 2,
            '=' | ':' => break,
            character if is_blank(character) => break,
            _ => end += 1,
        }
    }
    let end = end.min(line.len());
    let blank = |index: usize| {
        line.get(index)
            .is_some_and(|character| is_blank(character.character))
    };
    let mut begin = end;
    while blank(begin) {
        begin += 1;
    }
    if line
        .get(begin)
        .is_some_and(|character| matches!(character.character, '=' | ':'))
    {
        begin += 1;
        while blank(begin) {
            begin += 1;
        }
    }
    let name: String = unescape(path, text, &line[..end])?
        .iter()
        .map(|character| character.character)
        .collect();
    let at = |index: usize| line.get(index).map(|character| character.at);
    let name_at = at(0).unwrap_or(Place { line: 1, column: 1 });
    let after = line.last().map_or(name_at, |last| Place {
        line: last.at.line,
        column: last.at.column + 1,
    });
    Ok(Entry {
        name,
        name_at,
        value: unescape(path, text, &line[begin..])?,
        value_at: at(begin).unwrap_or(after),
    })
}

fn unescape(path: &Path, text: &str, line: &[Character]) -> Result<Vec<Character>, Error> {
    let mut plain = Vec::with_capacity(line.len());
    // Two `\u` in a row can be one character (UTF-16).
    let mut half: Option<(u16, Place)> = None;
    let mut index = 0;
    while let Some(&Character { character, at }) = line.get(index) {
        index += 1;
        if character != '\\' {
            plain.push(Character { character, at });
            continue;
        }
        let Some(escaped) = line.get(index) else {
            break;
        };
        index += 1;
        let character = match escaped.character {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\x0c',
            'u' => {
                let digits: Option<u16> = line.get(index..index + 4).and_then(|digits| {
                    digits.iter().try_fold(0, |unit, digit| {
                        Some(unit << 4 | u16::try_from(digit.character.to_digit(16)?).ok()?)
                    })
                });
                let Some(unit) = digits else {
                    return Err(Error::new(
                        path,
                        text,
                        at,
                        "`\\u` wants four hexadecimal digits after it",
                    )
                    .hint("a backslash that is meant as such is written `\\\\`"));
                };
                index += 4;
                match (half.take(), unit) {
                    (None, 0xd800..0xdc00) => {
                        half = Some((unit, at));
                        continue;
                    }
                    (Some((high, _)), low @ 0xdc00..0xe000) => char::decode_utf16([high, low])
                        .next()
                        .and_then(Result::ok)
                        .unwrap_or('\u{fffd}'),
                    (_, unit) => char::from_u32(u32::from(unit)).unwrap_or('\u{fffd}'),
                }
            }
            other => other,
        };
        plain.push(Character { character, at });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let entries = parse(Path::new("x"), text).unwrap();
        let value = |entry: &Entry| {
            entry
                .value
                .iter()
                .map(|character| character.character)
                .collect()
        };
        entries
            .iter()
            .map(|entry| (entry.name.clone(), value(entry)))
            .collect()
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(pairs(text), expected, "{text:?}");
    }

    /// Each line: what the documentation of `java.util.Properties.load` says, or an example of it.
    #[test]
    fn it_is_read_as_java_reads_it() {
        check("", &[]);
        check("# a\n! b\n  \t\n   # c\n", &[]);
        check("Truth = Beauty\n", &[("Truth", "Beauty")]);
        check(" Truth:Beauty", &[("Truth", "Beauty")]);
        check("Truth                    :Beauty", &[("Truth", "Beauty")]);
        check("Truth Beauty", &[("Truth", "Beauty")]);
        check("a==b", &[("a", "=b")]);
        check("a : = b", &[("a", "= b")]);
        check("cheeses", &[("cheeses", "")]);
        check("a\\:b\\=c\\ d = e", &[("a:b=c d", "e")]);
        check(
            "fruits  apple, banana, \\\n        cantaloupe, \\\r\n\tkiwi\rnext=1",
            &[("fruits", "apple, banana, cantaloupe, kiwi"), ("next", "1")],
        );
        check("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]);
        check("a=b\\\\\\\n  c", &[("a", "b\\c")]);
        check("a=b  ", &[("a", "b  ")]);
        check("a=\\t\\n\\r\\f\\z\\\"", &[("a", "\t\n\r\x0cz\"")]);
        check("a=\\u00e4\\uD83D\\uDE00\\u0041", &[("a", "ä😀A")]);
        check("a=b\\", &[("a", "b")]);
        // a comment cannot be continued, and one inside a value is none
        check("# a\\\nb=c\\\n# d", &[("b", "c# d")]);
        check("=v", &[("", "v")]);
    }

    #[test]
    fn places_are_those_of_the_file() {
        let entries = parse(Path::new("x"), "\n  name = v\\\n    w\\u0041z").unwrap();
        assert_eq!(entries[0].name_at, Place { line: 2, column: 3 });
        assert_eq!(
            entries[0].value_at,
            Place {
                line: 2,
                column: 10
            }
        );
        let places: Vec<_> = entries[0]
            .value
            .iter()
            .map(|character| (character.at.line, character.at.column))
            .collect();
        assert_eq!(places, [(2, 10), (3, 5), (3, 6), (3, 12)]);
    }

    #[test]
    fn a_broken_escape_has_its_place() {
        let error = parse(Path::new("x"), "a=1\nb=\\u12").err().unwrap();
        assert_eq!((error.line, error.column), (2, 3));
    }

    proptest::proptest! {
        #[test]
        fn nothing_breaks_it(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let text = decode(&bytes);
            let _ = parse(Path::new("x"), &text).map(|entries| entries.len());
        }

        #[test]
        fn what_is_escaped_comes_back(name in "[a-z.]{1,9}", value in proptest::collection::vec(proptest::char::range('\u{20}', '\u{ff}'), 0..30)) {
            let value: String = value.into_iter().collect();
            let mut escaped = String::new();
            for character in value.chars() {
                if "\\ =:#!".contains(character) {
                    escaped.push('\\');
                }
                escaped.push(character);
            }
            proptest::prop_assert_eq!(pairs(&format!("{name}={escaped}")), vec![(name, value)]);
        }
    }
}
