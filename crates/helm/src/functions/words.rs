//! Sprig: words and lines (`wrap`, `abbrev`, `initials`, `title`).

use super::arguments::{int, string, text};
use super::strings::{one_lower, one_upper};
use super::{Called, Function, Type, function};
use crate::go::text::Text;
use crate::go::value::Value;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("title", &[Type::Str], |_, a| {
        Ok(Value::str(title(&string(a, 0))))
    }),
    function("untitle", &[Type::Str], |_, a| {
        Ok(Value::str(untitle(&string(a, 0))))
    }),
    function("swapcase", &[Type::Str], |_, a| {
        Ok(Value::str(swap_case(&string(a, 0))))
    }),
    function("initials", &[Type::Str], |_, a| {
        Ok(Value::Str(initials(&text(a, 0))))
    }),
    function("nospace", &[Type::Str], |_, a| {
        Ok(Value::Str(no_space(&text(a, 0))))
    }),
    function("abbrev", &[Type::Int, Type::Str], |_, a| {
        abbreviate(a, 0, int(a, 0), 1)
    }),
    function(
        "abbrevboth",
        &[Type::Int, Type::Int, Type::Str],
        abbreviate_both,
    ),
    function("wrap", &[Type::Int, Type::Str], |_, a| {
        Ok(Value::Str(wrap(
            &text(a, 1),
            int(a, 0),
            &Text::from("\n"),
            false,
        )))
    }),
    function("wrapWith", &[Type::Int, Type::Str, Type::Str], |_, a| {
        let separator = text(a, 1);
        let separator = if separator.is_empty() {
            Text::from("\n")
        } else {
            separator
        };
        Ok(Value::Str(wrap(&text(a, 2), int(a, 0), &separator, true)))
    }),
];

/// Characters that do not separate words for Go's `strings.Title`.
fn is_word(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || character == '_';
    }
    character.is_alphabetic() || character.is_numeric() || !character.is_whitespace()
}

fn title(text: &str) -> String {
    let mut after_separator = true;
    text.chars()
        .map(|character| {
            let mapped = if after_separator {
                one_upper(character)
            } else {
                character
            };
            after_separator = !is_word(character);
            mapped
        })
        .collect()
}

fn untitle(text: &str) -> String {
    let mut after_space = true;
    text.chars()
        .map(|character| {
            if character.is_whitespace() {
                after_space = true;
                return character;
            }
            let mapped = if after_space {
                one_lower(character)
            } else {
                character
            };
            after_space = false;
            mapped
        })
        .collect()
}

fn swap_case(text: &str) -> String {
    let mut after_space = true;
    text.chars()
        .map(|character| {
            if character.is_uppercase() {
                after_space = false;
                one_lower(character)
            } else if character.is_lowercase() {
                after_space = false;
                one_upper(character)
            } else {
                after_space = character.is_whitespace();
                character
            }
        })
        .collect()
}

/// A byte as the Latin-1 character that the library takes it for.
fn latin(byte: u8) -> char {
    char::from(byte)
}

fn initials(text: &Text) -> Text {
    let mut after_space = true;
    let mut out = String::new();
    for &byte in text.as_bytes() {
        if latin(byte).is_whitespace() {
            after_space = true;
        } else if after_space {
            out.push(latin(byte));
            after_space = false;
        }
    }
    out.into()
}

fn no_space(text: &Text) -> Text {
    if !text
        .as_bytes()
        .iter()
        .any(|&byte| latin(byte).is_whitespace())
    {
        return text.clone();
    }
    let kept = text.as_bytes().iter().map(|&byte| latin(byte));
    kept.filter(|character| !character.is_whitespace())
        .collect::<String>()
        .into()
}

fn abbreviate_both(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let (left, right) = (int(arguments, 0), int(arguments, 1));
    if left > 0 && right < 7 {
        return Ok(Value::Str(text(arguments, 2)));
    }
    abbreviate(arguments, left, right, 2)
}

fn abbreviate(arguments: &[Value], left: i64, width: i64, at: usize) -> Called {
    let whole = text(arguments, at);
    Ok(Value::Str(if width < 4 {
        whole
    } else {
        abbreviated(&whole, left, width)
    }))
}

fn abbreviated(whole: &Text, left: i64, width: i64) -> Text {
    let length = i64::try_from(whole.len()).unwrap_or(i64::MAX);
    if length <= width {
        return whole.clone();
    }
    let offset = left.min(length);
    let offset = if length - offset < width - 3 {
        length - (width - 3)
    } else {
        offset
    };
    let part = |from: i64, to: i64| {
        let bound = |number: i64| usize::try_from(number).unwrap_or(0).min(whole.len());
        whole.slice(bound(from), bound(to))
    };
    let joined = |parts: &[&[u8]]| Text::from_bytes(parts.concat());
    if offset <= 4 {
        return joined(&[part(0, width - 3).as_bytes(), b"..."]);
    }
    if width < 7 {
        return Text::from("");
    }
    if offset + width - 3 < length {
        let rest = abbreviated(&part(offset, length), 0, width - 3);
        return joined(&[b"...", rest.as_bytes()]);
    }
    joined(&[b"...", part(length - (width - 3), length).as_bytes()])
}

fn wrap(whole: &Text, width: i64, separator: &Text, cut_words: bool) -> Text {
    let bytes = whole.as_bytes();
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let mut offset = 0;
    while bytes.len() - offset > width {
        if bytes[offset] == b' ' {
            offset += 1;
            continue;
        }
        let line = &bytes[offset..=offset + width];
        if let Some(space) = line.iter().rposition(|&byte| byte == b' ') {
            out.extend_from_slice(&bytes[offset..offset + space]);
            out.extend_from_slice(separator.as_bytes());
            offset += space + 1;
        } else if cut_words {
            out.extend_from_slice(&bytes[offset..offset + width]);
            out.extend_from_slice(separator.as_bytes());
            offset += width;
        } else {
            let after = offset + width;
            match bytes[after..].iter().position(|&byte| byte == b' ') {
                None => {
                    out.extend_from_slice(&bytes[offset..]);
                    offset = bytes.len();
                }
                Some(space) => {
                    out.extend_from_slice(&bytes[offset..after + space]);
                    out.extend_from_slice(separator.as_bytes());
                    offset = after + space + 1;
                }
            }
        }
    }
    out.extend_from_slice(&bytes[offset..]);
    Text::from_bytes(out)
}
