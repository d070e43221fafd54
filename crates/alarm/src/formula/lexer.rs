//! Words of a formula with their places.

use crate::formula::{FormulaError, LONGEST_FORMULA, Operator};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    /// A name that may be a function, a constant or a PV.
    Word(String),
    /// A name in quotes: a PV, whatever it is called.
    Quoted(String),
    Operator(Operator),
    Not,
    Question,
    Colon,
    Comma,
    Open,
    Close,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
    pub(super) length: usize,
}

pub(super) fn wrong(at: usize, length: usize, message: impl Into<String>) -> FormulaError {
    FormulaError {
        at,
        length,
        message: message.into(),
        hint: None,
    }
}

pub(super) fn words(text: &str) -> Result<Vec<Placed>, FormulaError> {
    if text.len() > LONGEST_FORMULA {
        return Err(wrong(
            0,
            0,
            format!(
                "the formula has {} bytes, at most {LONGEST_FORMULA} are read",
                text.len()
            ),
        ));
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        if character.is_whitespace() {
            at += character.len_utf8();
            continue;
        }
        let (token, length) = word(&text[at..], at, character)?;
        found.push(Placed { token, at, length });
        at += length;
    }
    Ok(found)
}

fn word(rest: &str, at: usize, first: char) -> Result<(Token, usize), FormulaError> {
    if first.is_ascii_digit()
        || (first == '.' && rest[1..].starts_with(|next: char| next.is_ascii_digit()))
    {
        return number(rest, at);
    }
    if matches!(first, '"' | '\'' | '`') {
        let Some(end) = rest[1..].find(first) else {
            let what = if first == '"' { "text" } else { "name" };
            return Err(wrong(
                at,
                rest.len(),
                format!("the {what} has no end: there is no second `{first}`"),
            ));
        };
        let inside = rest[1..=end].to_owned();
        if inside.is_empty() && first != '"' {
            return Err(wrong(at, 2, "a name of a PV is empty"));
        }
        let token = if first == '"' {
            Token::Text(inside)
        } else {
            Token::Quoted(inside)
        };
        return Ok((token, end + 2));
    }
    if is_name(first) && first != ':' {
        let length = rest.find(|next: char| !is_name(next)).unwrap_or(rest.len());
        // `a ? b : c` without spaces: a colon at the end is not part of the name
        let name = rest[..length].trim_end_matches(':');
        return Ok((Token::Word(name.to_owned()), name.len()));
    }
    let two = [
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("&&", Operator::And),
        ("||", Operator::Or),
    ];
    if let Some((_sign, operator)) = two.iter().find(|(sign, _operator)| rest.starts_with(sign)) {
        return Ok((Token::Operator(*operator), 2));
    }
    let token = match first {
        '^' => Token::Operator(Operator::Power),
        '*' => Token::Operator(Operator::Times),
        '/' => Token::Operator(Operator::Divided),
        '%' => Token::Operator(Operator::Remainder),
        '+' => Token::Operator(Operator::Plus),
        '-' => Token::Operator(Operator::Minus),
        '<' => Token::Operator(Operator::Less),
        '>' => Token::Operator(Operator::Greater),
        '&' => Token::Operator(Operator::And),
        '|' => Token::Operator(Operator::Or),
        '!' => Token::Not,
        '?' => Token::Question,
        ':' => Token::Colon,
        ',' => Token::Comma,
        '(' => Token::Open,
        ')' => Token::Close,
        '=' => {
            let mut error = wrong(at, 1, "`=` is no operator");
            error.hint = Some("`==` compares".to_owned());
            return Err(error);
        }
        other => {
            let mut error = wrong(
                at,
                other.len_utf8(),
                format!("`{other}` has no meaning in a formula"),
            );
            error.hint = Some("a PV whose name has other characters than letters, digits, `_` and `:` stands in `'…'`".to_owned());
            return Err(error);
        }
    };
    Ok((token, 1))
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | ':')
}

/// A number with fraction and exponent. What goes on as a name (`2theta`) is a name.
fn number(rest: &str, at: usize) -> Result<(Token, usize), FormulaError> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        let count = bytes[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        from + count
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    if rest[end..].starts_with(is_name) && !rest[end..].starts_with(':') {
        let length = rest.find(|next: char| !is_name(next)).unwrap_or(rest.len());
        if length == 0 {
            // `.5a`: the dot belongs to a number, the letter to a name; a word without letters would never end
            let more = rest[end..]
                .find(|next: char| !is_name(next))
                .unwrap_or(rest.len() - end);
            let what = &rest[..end + more];
            return Err(wrong(
                at,
                what.len(),
                format!("`{what}` is neither a number nor a name"),
            ));
        }
        return Ok((Token::Word(rest[..length].to_owned()), length));
    }
    match rest[..end].parse() {
        Ok(number) => Ok((Token::Number(number), end)),
        Err(_no_number) => Err(wrong(at, end, format!("`{}` is no number", &rest[..end]))),
    }
}
