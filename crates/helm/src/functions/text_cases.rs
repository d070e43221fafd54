//! Sprig: `snakecase`, `kebabcase` and `camelcase`, by the rules of the library xstrings 1.5.

use super::arguments::string;
use super::strings::{one_lower, one_upper};
use super::{Function, Type, function};
use crate::go::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("snakecase", &[Type::Str], |_, a| {
        Ok(Value::str(lower_with_connector(&string(a, 0), '_')))
    }),
    function("kebabcase", &[Type::Str], |_, a| {
        Ok(Value::str(lower_with_connector(&string(a, 0), '-')))
    }),
    function("camelcase", &[Type::Str], |_, a| {
        Ok(Value::str(pascal_case(&string(a, 0))))
    }),
];

fn is_connector(character: char) -> bool {
    matches!(character, '-' | '_') || character.is_whitespace()
}

fn is_punctuation(character: char) -> bool {
    if character.is_ascii() {
        // Go's punctuation leaves out the ASCII symbols $ + < = > ^ ` | ~.
        return character.is_ascii_punctuation()
            && !matches!(
                character,
                '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~'
            );
    }
    matches!(character, '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}')
}

/// A letter that words are made of; those of Chinese stand for themselves.
fn is_alphabet(character: char) -> bool {
    character.is_alphabetic()
        && !matches!(character,
            '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}')
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

fn kind(character: char) -> Kind {
    if is_connector(character) {
        Kind::Connector
    } else if is_punctuation(character) {
        Kind::Punctuation
    } else if character.is_uppercase() {
        Kind::Upper
    } else if is_alphabet(character) {
        Kind::Alphabet
    } else if character.is_numeric() {
        Kind::Number
    } else {
        Kind::Other
    }
}

/// The first word and what follows it.
fn next_word(text: &str) -> (Kind, &str, &str) {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else {
        return (Kind::Nothing, "", "");
    };
    let first_kind = kind(first);
    let run = |from: usize, belongs: &dyn Fn(char) -> bool| {
        text[from..]
            .find(|character| !belongs(character))
            .map_or(text.len(), |at| from + at)
    };
    let after_first = first.len_utf8();
    let end = match first_kind {
        Kind::Upper => match text[after_first..].chars().next() {
            Some(second) if second.is_uppercase() => {
                let end = run(after_first, &char::is_uppercase);
                let followed = text[end..].chars().next().is_some_and(is_alphabet);
                // The last capital begins the next word: HTTPServer is HTTP, Server.
                if followed {
                    text[..end]
                        .char_indices()
                        .next_back()
                        .map_or(end, |(at, _)| at)
                } else {
                    end
                }
            }
            Some(second) if is_alphabet(second) => {
                run(after_first, &|c| is_alphabet(c) && !c.is_uppercase())
            }
            _ => after_first,
        },
        Kind::Alphabet => run(0, &|c| is_alphabet(c) && !c.is_uppercase()),
        Kind::Connector => run(0, &is_connector),
        Kind::Punctuation => run(0, &is_punctuation),
        Kind::Number => run(0, &char::is_numeric),
        Kind::Other => run(after_first, &|c| {
            !(is_connector(c) || is_alphabet(c) || c.is_numeric() || is_punctuation(c))
        }),
        Kind::Nothing => 0,
    };
    (first_kind, &text[..end], &text[end..])
}

fn push_lower(out: &mut String, kind: Kind, word: &str, connector: char) {
    match kind {
        Kind::Upper | Kind::Alphabet => out.extend(word.chars().map(one_lower)),
        Kind::Connector => out.extend(word.chars().map(|_| connector)),
        _ => out.push_str(word),
    }
}

fn lower_with_connector(text: &str, connector: char) -> String {
    let joins = |kind: Kind| !matches!(kind, Kind::Connector | Kind::Punctuation);
    let mut out = String::new();
    let (mut kind, mut word, mut rest) = next_word(text);
    while !rest.is_empty() {
        if kind != Kind::Connector {
            push_lower(&mut out, kind, word, connector);
        }
        let (before, last) = (kind, word);
        (kind, word, rest) = next_word(rest);
        match before {
            Kind::Number => {
                while matches!(kind, Kind::Alphabet | Kind::Number) {
                    push_lower(&mut out, kind, word, connector);
                    (kind, word, rest) = next_word(rest);
                }
                if kind != Kind::Nothing && joins(kind) {
                    out.push(connector);
                }
            }
            Kind::Connector => push_lower(&mut out, before, last, connector),
            Kind::Punctuation => {}
            _ if kind != Kind::Number => {
                if joins(kind) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, rest) = next_word(rest);
                if kind != Kind::Alphabet {
                    push_lower(&mut out, Kind::Number, number, connector);
                    if joins(kind) {
                        out.push(connector);
                    }
                    continue;
                }
                out.push(connector);
                push_lower(&mut out, Kind::Number, number, connector);
                while matches!(kind, Kind::Alphabet | Kind::Number) {
                    push_lower(&mut out, kind, word, connector);
                    (kind, word, rest) = next_word(rest);
                }
                if kind != Kind::Nothing && joins(kind) {
                    out.push(connector);
                }
            }
        }
    }
    push_lower(&mut out, kind, word, connector);
    out
}

fn pascal_case(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    let mut first_upper = false;
    let mut current = None;
    for character in characters.by_ref() {
        if is_connector(character) {
            out.push(character);
            continue;
        }
        first_upper = character.is_uppercase();
        current = Some(one_upper(character));
        break;
    }
    let Some(mut current) = current else {
        return out;
    };
    for next in characters {
        let previous = current;
        current = next;
        if is_connector(current) && is_connector(previous) {
            out.push(previous);
            continue;
        }
        if is_connector(previous) {
            first_upper = current.is_uppercase();
            current = one_upper(current);
        } else {
            if first_upper {
                if current.is_uppercase() {
                    current = one_lower(current);
                } else {
                    first_upper = false;
                }
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}
