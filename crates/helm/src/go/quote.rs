//! Go's quoting: `strconv.Quote` and `strconv.Unquote`.

use std::fmt::Write as _;

use super::text::Text;

/// Quotes as `%q` does: the form of a Go string constant.
pub(crate) fn quote(text: &Text) -> String {
    quote_with(text.as_bytes(), '"', false)
}

/// As [`quote`] with only ASCII in the result, as `%+q`.
pub(crate) fn quote_ascii(text: &Text) -> String {
    quote_with(text.as_bytes(), '"', true)
}

/// Quotes one character as `%q` of a number does.
pub(crate) fn quote_char(character: char) -> String {
    let mut buffer = [0; 4];
    quote_with(character.encode_utf8(&mut buffer).as_bytes(), '\'', false)
}

fn quote_with(bytes: &[u8], mark: char, ascii: bool) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push(mark);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_escaped(&mut quoted, character, mark, ascii);
        }
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push(mark);
    quoted
}

fn push_escaped(quoted: &mut String, character: char, mark: char, ascii: bool) {
    match character {
        '\\' => quoted.push_str("\\\\"),
        _ if character == mark => {
            quoted.push('\\');
            quoted.push(mark);
        }
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0C' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0B' => quoted.push_str("\\v"),
        _ if is_print(character) && (!ascii || character.is_ascii()) => quoted.push(character),
        _ => {
            let code = u32::from(character);
            let escaped = match code {
                0..0x20 | 0x7f => format!("\\x{code:02x}"),
                0..=0xffff => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            };
            quoted.push_str(&escaped);
        }
    }
}

/// Whether Go calls a character printable: letters, marks, numbers, punctuation, symbols, space.
pub(crate) fn is_print(character: char) -> bool {
    if character.is_ascii() {
        return (' '..='~').contains(&character);
    }
    // Unicode whitespace other than the ASCII space is not printable, nor are controls, format
    // characters, surrogates, private use and what is not assigned.
    !(character.is_whitespace()
        || character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{10ffff}'))
}

/// Reads a Go string constant in double quotes or backquotes; nothing when it is none.
pub(crate) fn unquote(constant: &str) -> Option<Text> {
    if let Some(raw) = constant.strip_prefix('`') {
        let raw = raw.strip_suffix('`').filter(|raw| !raw.contains('`'))?;
        return Some(raw.replace('\r', "").into());
    }
    let inner = constant.strip_prefix('"')?.strip_suffix('"')?;
    unescape(inner, '"').map(Text::from_bytes)
}

/// Reads a Go character constant in single quotes.
pub(crate) fn unquote_char(constant: &str) -> Option<char> {
    let inner = constant.strip_prefix('\'')?.strip_suffix('\'')?;
    let bytes = unescape(inner, '\'')?;
    if let [byte] = bytes.as_slice() {
        return Some(char::from(*byte));
    }
    let text = String::from_utf8(bytes).ok()?;
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// Whether a character constant has well-formed text in it, one character or too many.
pub(crate) fn is_one_char_or_more(constant: &str) -> bool {
    constant
        .strip_prefix('\'')
        .and_then(|inner| inner.strip_suffix('\''))
        .and_then(|inner| unescape(inner, '\''))
        .is_some_and(|bytes| !bytes.is_empty())
}

fn unescape(inner: &str, mark: char) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(inner.len());
    let mut characters = inner.chars();
    let mut buffer = [0; 4];
    while let Some(character) = characters.next() {
        if character == '\n' || character == mark {
            return None;
        }
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        let escape = characters.next()?;
        match escape {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            '\'' | '"' if escape == mark => bytes.push(if mark == '"' { b'"' } else { b'\'' }),
            'x' => bytes.push(u8::try_from(digits(&mut characters, 2, 16)?).ok()?),
            'u' | 'U' => {
                let count = if escape == 'u' { 4 } else { 8 };
                let character = char::from_u32(digits(&mut characters, count, 16)?)?;
                bytes.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
            }
            '0'..='7' => {
                let first = escape.to_digit(8)?;
                let rest = digits(&mut characters, 2, 8)?;
                bytes.push(u8::try_from(first * 64 + rest).ok()?);
            }
            _ => return None,
        }
    }
    Some(bytes)
}

fn digits(characters: &mut std::str::Chars, count: usize, radix: u32) -> Option<u32> {
    (0..count).try_fold(0u32, |number, _| {
        let digit = characters.next()?.to_digit(radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    })
}
