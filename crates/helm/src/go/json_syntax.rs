//! What Go's JSON reader says of a text that is not JSON.

use super::quote::quote_char;

/// What is expected next.
#[derive(Clone, Copy)]
enum Want {
    Value,
    /// A value or the end of an array that has none yet.
    FirstItem,
    /// A key or the end of an object that has none yet.
    FirstKey,
    Key,
    Colon,
    /// What follows a value.
    After,
}

/// The message for the first thing that is wrong; nothing for a text that is JSON.
pub(crate) fn syntax_error(text: &str) -> Option<String> {
    let mut open = Vec::new();
    let mut want = Want::Value;
    let mut characters = text.char_indices().peekable();
    while let Some(&(at, character)) = characters.peek() {
        if matches!(character, ' ' | '\t' | '\r' | '\n') {
            characters.next();
            continue;
        }
        let rest = &text[at..];
        let (taken, next) = match step(rest, character, want, &mut open) {
            Ok(step) => step,
            Err(error) => return Some(error),
        };
        want = next;
        while characters
            .peek()
            .is_some_and(|&(next, _)| next < at + taken)
        {
            characters.next();
        }
    }
    (!open.is_empty() || !matches!(want, Want::After))
        .then(|| "unexpected end of JSON input".to_owned())
}

fn invalid<T>(character: char, context: &str) -> Result<T, String> {
    let shown = match character {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        other => quote_char(other),
    };
    Err(format!("invalid character {shown} {context}"))
}

/// Takes one token: how many bytes it has and what is expected after it.
fn step(
    rest: &str,
    character: char,
    want: Want,
    open: &mut Vec<char>,
) -> Result<(usize, Want), String> {
    match (want, character) {
        (Want::FirstItem, ']') | (Want::FirstKey, '}') => {
            open.pop();
            Ok((1, Want::After))
        }
        (Want::Value | Want::FirstItem, _) => value(rest, character, open),
        (Want::FirstKey | Want::Key, '"') => Ok((string(rest)?, Want::Colon)),
        (Want::FirstKey | Want::Key, _) => {
            invalid(character, "looking for beginning of object key string")
        }
        (Want::Colon, ':') => Ok((1, Want::Value)),
        (Want::Colon, _) => invalid(character, "after object key"),
        (Want::After, _) => match (open.last(), character) {
            (None, _) => invalid(character, "after top-level value"),
            (Some('{'), ',') => Ok((1, Want::Key)),
            (Some('['), ',') => Ok((1, Want::Value)),
            (Some('{'), '}') | (Some('['), ']') => {
                open.pop();
                Ok((1, Want::After))
            }
            (Some('{'), _) => invalid(character, "after object key:value pair"),
            (Some(_), _) => invalid(character, "after array element"),
        },
    }
}

fn value(rest: &str, character: char, open: &mut Vec<char>) -> Result<(usize, Want), String> {
    let next = match character {
        '{' => Want::FirstKey,
        '[' => Want::FirstItem,
        _ => Want::After,
    };
    let taken = match character {
        '{' | '[' => {
            open.push(character);
            1
        }
        '"' => string(rest)?,
        't' => literal(rest, "true")?,
        'f' => literal(rest, "false")?,
        'n' => literal(rest, "null")?,
        '-' | '0'..='9' => number(rest)?,
        _ => return invalid(character, "looking for beginning of value"),
    };
    Ok((taken, next))
}

const END: &str = "unexpected end of JSON input";

fn string(rest: &str) -> Result<usize, String> {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok(at + 1),
            '\\' => match characters.next() {
                None => return Err(END.to_owned()),
                Some((_, 'u')) => {
                    for _ in 0..4 {
                        match characters.next() {
                            None => return Err(END.to_owned()),
                            Some((_, digit)) if digit.is_ascii_hexdigit() => {}
                            Some((_, other)) => {
                                return invalid(other, "in \\u hexadecimal character escape");
                            }
                        }
                    }
                }
                Some((_, 'b' | 'f' | 'n' | 'r' | 't' | '\\' | '/' | '"')) => {}
                Some((_, other)) => return invalid(other, "in string escape code"),
            },
            '\0'..='\x1f' => return invalid(character, "in string literal"),
            _ => {}
        }
    }
    Err(END.to_owned())
}

fn literal(rest: &str, word: &str) -> Result<usize, String> {
    let mut found = rest.chars();
    for wanted in word.chars() {
        match found.next() {
            None => return Err(END.to_owned()),
            Some(character) if character == wanted => {}
            Some(other) => {
                return invalid(other, &format!("in literal {word} (expecting '{wanted}')"));
            }
        }
    }
    Ok(word.len())
}

fn number(rest: &str) -> Result<usize, String> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        let count = bytes[from..].iter().take_while(|b| b.is_ascii_digit());
        from + count.count()
    };
    let need_digit = |at: usize, context: &str| match rest[at..].chars().next() {
        None => Err(END.to_owned()),
        Some(digit) if digit.is_ascii_digit() => Ok(()),
        Some(other) => invalid(other, context),
    };
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    need_digit(at, "in numeric literal")?;
    at = if bytes[at] == b'0' {
        at + 1
    } else {
        digits(at)
    };
    if bytes.get(at) == Some(&b'.') {
        need_digit(at + 1, "after decimal point in numeric literal")?;
        at = digits(at + 1);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        need_digit(at, "in exponent of numeric literal")?;
        at = digits(at);
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::syntax_error;

    #[test]
    fn json_has_no_error() {
        for text in [
            "{\"a\": [1, -2.5e+3, null, true]}",
            "\"\\u00e9\\n\"",
            "0",
            " [] ",
        ] {
            assert_eq!(syntax_error(text), None, "{text}");
        }
    }
}
