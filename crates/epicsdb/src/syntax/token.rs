//! One word from a line: the character rules of `dbLex.l`.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or word without quotes; the parser tells them apart.
    Word(String),
    /// The inside of `"…"`, backslashes kept.
    Quoted(String),
    /// A string of the JSON grammar as written, with its quotes.
    JsonText(String),
    /// The rest of a line behind `%`.
    CLine(String),
    Mark(char),
    End,
}

/// What was read, or what is wrong, and where it ends.
type Lexed = (Result<Token, String>, usize);

pub(super) fn plain_token(text: &str, start: usize) -> Lexed {
    let rest = &text[start..];
    let bytes = rest.as_bytes();
    match bytes[0] {
        b'"' => {
            let mut position = 1;
            loop {
                match bytes.get(position) {
                    Some(b'"') => {
                        let inside = rest[1..position].to_owned();
                        return (Ok(Token::Quoted(inside)), start + position + 1);
                    }
                    Some(b'\\') if position + 1 < bytes.len() => position += 2,
                    Some(_) => position += 1,
                    None => {
                        let message = "the closing quote is missing on this line".to_owned();
                        return (Err(message), text.len());
                    }
                }
            }
        }
        b'%' => (Ok(Token::CLine(rest[1..].to_owned())), text.len()),
        mark @ (b'{' | b'}' | b'(' | b')' | b',') => (Ok(Token::Mark(mark.into())), start + 1),
        byte if is_bareword(byte) => {
            let length = bytes.iter().take_while(|&&byte| is_bareword(byte)).count();
            (Ok(Token::Word(rest[..length].to_owned())), start + length)
        }
        _ => invalid_character(rest, start),
    }
}

pub(super) fn json_token(text: &str, start: usize) -> Lexed {
    let rest = &text[start..];
    let bytes = rest.as_bytes();
    match bytes[0] {
        mark @ (b':' | b',' | b'[' | b']' | b'{' | b'}') => {
            (Ok(Token::Mark(mark.into())), start + 1)
        }
        b'"' | b'\'' => json_text(rest, start),
        byte if is_json_bare(byte) => {
            let length = bytes.iter().take_while(|&&byte| is_json_bare(byte)).count();
            (Ok(Token::Word(rest[..length].to_owned())), start + length)
        }
        _ => invalid_character(rest, start),
    }
}

/// A string begins at `start` and the line ends with a backslash inside it.
pub(super) fn goes_on(text: &str, start: usize) -> bool {
    let bytes = &text.as_bytes()[start..];
    let Some(&quote) = bytes.first().filter(|&&byte| byte == b'"' || byte == b'\'') else {
        return false;
    };
    let mut position = 1;
    while let Some(&byte) = bytes.get(position) {
        if byte == quote {
            return false;
        }
        if byte == b'\\' && position + 1 == bytes.len() {
            return true;
        }
        position += if byte == b'\\' { 2 } else { 1 };
    }
    false
}

fn json_text(rest: &str, start: usize) -> Lexed {
    let bytes = rest.as_bytes();
    let quote = bytes[0];
    let hex = |from: usize, count: usize| {
        bytes
            .get(from..from + count)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut position = 1;
    loop {
        match bytes.get(position) {
            Some(&byte) if byte == quote => {
                let whole = rest[..=position].to_owned();
                return (Ok(Token::JsonText(whole)), start + position + 1);
            }
            None => {
                let message = "the closing quote is missing on this line".to_owned();
                return (Err(message), start + rest.len());
            }
            Some(b'\\') => match bytes.get(position + 1) {
                Some(b'x') if hex(position + 2, 2) => position += 4,
                Some(b'u') if hex(position + 2, 4) => position += 6,
                Some(b'u' | b'x' | b'1'..=b'9') => {
                    let message = "this backslash sequence is not allowed in a string".to_owned();
                    return (Err(message), closing_quote(bytes, position, quote) + start);
                }
                _ => position += 2,
            },
            Some(&byte) if byte < 0x20 => {
                let what = if byte == b'\t' {
                    "a tab"
                } else {
                    "a control character"
                };
                let message = format!("{what} is not allowed inside a string");
                return (Err(message), closing_quote(bytes, position, quote) + start);
            }
            Some(_) => position += 1,
        }
    }
}

/// The end of a string with an error in it, so that its rest is not taken for code.
fn closing_quote(bytes: &[u8], from: usize, quote: u8) -> usize {
    let found = bytes[from..].iter().position(|&byte| byte == quote);
    found.map_or(bytes.len(), |distance| from + distance + 1)
}

fn invalid_character(rest: &str, start: usize) -> Lexed {
    let character = rest.chars().next().unwrap_or(' ');
    let message = if character.is_control() {
        format!(
            "the control character 0x{:02x} is not allowed here",
            u32::from(character)
        )
    } else {
        format!("the character `{character}` needs quotes around the word")
    };
    (Err(message), start + character.len_utf8())
}

fn is_bareword(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-+:.[]<>;".contains(&byte)
}

fn is_json_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-+.".contains(&byte)
}

/// `dbTranslateEscape`: the escapes of C.
pub(super) fn translate_escapes(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut plain: Vec<u8> = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        let Some(escaped) = bytes.next() else { break };
        plain.push(match escaped {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'x' => {
                let mut number = 0u8;
                for _ in 0..2 {
                    let Some(digit) = bytes.peek().and_then(|&byte| char::from(byte).to_digit(16))
                    else {
                        break;
                    };
                    number = (number << 4) | u8::try_from(digit).unwrap_or_default();
                    bytes.next();
                }
                number
            }
            b'0'..=b'7' => {
                let mut number = u32::from(escaped - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.peek().and_then(|&byte| char::from(byte).to_digit(8))
                    else {
                        break;
                    };
                    number = number * 8 + digit;
                    bytes.next();
                }
                u8::try_from(number & 0xff).unwrap_or_default()
            }
            other => other,
        });
    }
    // A string ends at the first NUL in C.
    if let Some(end) = plain.iter().position(|&byte| byte == 0) {
        plain.truncate(end);
    }
    String::from_utf8_lossy(&plain).into_owned()
}
