//! `sasl.jaas.config`: one login module with its options, as Java's client reads it (Kafka documentation, "JAAS
//! configuration for Kafka clients"; `org.apache.kafka.common.security.JaasConfig`).

use super::syntax::{Character, Place};

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) at: Option<Place>,
    pub(super) problem: String,
    pub(super) hint: Option<String>,
}

/// A login module.
#[derive(PartialEq, Eq)]
pub(super) struct Module {
    /// The last part of the class' name.
    pub(super) class: String,
    pub(super) class_at: Option<Place>,
    pub(super) options: Vec<(String, String)>,
}

impl Module {
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

#[derive(PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(char),
}

/// Reads a value.
pub(super) fn parse(value: &[Character]) -> Result<Module, Broken> {
    let tokens = tokens(value)?;
    let end = value.last().map(|last| Place {
        column: last.at.column + 1,
        ..last.at
    });
    let mut tokens = tokens.into_iter();
    let broken = |at: Option<Place>, problem: &str| {
        Broken {
        at: at.or(end),
        problem: problem.to_owned(),
        hint: Some(
            "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"USER\" password=\"PASSWORD\";"
                .to_owned(),
        ),
    }
    };
    let (class, class_at) = match tokens.next() {
        Some((Token::Word(class), at)) => (class, Some(at)),
        other => {
            return Err(broken(
                other.map(|(_, at)| at),
                "expected the class of a login module",
            ));
        }
    };
    match tokens.next() {
        Some((Token::Word(flag), _))
            if ["required", "requisite", "sufficient", "optional"]
                .contains(&flag.to_lowercase().as_str()) => {}
        other => {
            return Err(broken(
                other.map(|(_, at)| at),
                "expected `required` after the login module",
            ));
        }
    }
    let mut options = Vec::new();
    loop {
        let name = match tokens.next() {
            Some((Token::Sign(';'), _)) => break,
            Some((Token::Word(name), _)) => name,
            Some((_, at)) => {
                return Err(broken(Some(at), "expected the name of an option, or `;`"));
            }
            None => return Err(broken(None, "the `;` at the end is missing")),
        };
        match tokens.next() {
            Some((Token::Sign('='), _)) => {}
            other => {
                return Err(broken(
                    other.map(|(_, at)| at),
                    &format!("expected `=` after `{name}`"),
                ));
            }
        }
        match tokens.next() {
            Some((Token::Word(value) | Token::Quoted(value), _)) => options.push((name, value)),
            other => {
                return Err(broken(
                    other.map(|(_, at)| at),
                    &format!("expected a value for `{name}`"),
                ));
            }
        }
    }
    if let Some((_, at)) = tokens.next() {
        return Err(broken(Some(at), "only one login module is allowed"));
    }
    let class = class.rsplit('.').next().unwrap_or_default().to_owned();
    Ok(Module {
        class,
        class_at,
        options,
    })
}

/// Splits as Java's `StreamTokenizer` does with the settings of Kafka's `JaasConfig`: words, quoted text with escapes, signs,
/// comments.
fn tokens(value: &[Character]) -> Result<Vec<(Token, Place)>, Broken> {
    let mut tokens = Vec::new();
    let mut index = 0;
    let character = |index: usize| value.get(index).map(|character| character.character);
    while let Some(&Character {
        character: begin,
        at,
    }) = value.get(index)
    {
        match begin {
            begin if begin.is_whitespace() => index += 1,
            '/' if character(index + 1) == Some('/') => {
                while character(index).is_some_and(|character| character != '\n') {
                    index += 1;
                }
            }
            '/' if character(index + 1) == Some('*') => {
                index += 2;
                while index < value.len()
                    && !(character(index) == Some('*') && character(index + 1) == Some('/'))
                {
                    index += 1;
                }
                index += 2;
            }
            quote @ ('"' | '\'') => {
                let mut text = String::new();
                index += 1;
                loop {
                    match character(index) {
                        Some(end) if end == quote => break,
                        None | Some('\n') => {
                            let hint = if quote == '"' {
                                "a `\"` in a password is written `\\\\\"`"
                            } else {
                                "a `'` is written `\\\\'`"
                            };
                            let problem = format!("the {quote} that opens here is not closed");
                            return Err(Broken {
                                at: Some(at),
                                problem,
                                hint: Some(hint.to_owned()),
                            });
                        }
                        Some('\\') => {
                            let (escaped, length) = escape(&value[index + 1..]);
                            text.extend(escaped);
                            index += 1 + length;
                        }
                        Some(other) => {
                            text.push(other);
                            index += 1;
                        }
                    }
                }
                index += 1;
                tokens.push((Token::Quoted(text), at));
            }
            begin if is_word(begin) => {
                let mut word = String::new();
                while let Some(character) = character(index).filter(|character| is_word(*character))
                {
                    word.push(character);
                    index += 1;
                }
                tokens.push((Token::Word(word), at));
            }
            sign => {
                index += 1;
                tokens.push((Token::Sign(sign), at));
            }
        }
    }
    Ok(tokens)
}

/// Letters, digits, and what Kafka's client adds to them.
fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '-' | '_' | '$' | '.')
        || character as u32 >= 0xa0
}

/// What follows a backslash, and how long that is.
fn escape(rest: &[Character]) -> (Option<char>, usize) {
    let Some(first) = rest.first().map(|first| first.character) else {
        return (None, 0);
    };
    let plain = match first {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '0'..='7' => {
            // up to three digits, the first of three at most 3
            let limit = if first <= '3' { 3 } else { 2 };
            let digits: Vec<u32> = rest
                .iter()
                .take(limit)
                .map_while(|digit| digit.character.to_digit(8))
                .collect();
            let code = digits.iter().fold(0, |code, digit| code * 8 + digit);
            return (char::from_u32(code), digits.len());
        }
        other => other,
    };
    (Some(plain), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn characters(text: &str) -> Vec<Character> {
        let place = |(index, character)| Character {
            character,
            at: Place {
                line: 1,
                column: index + 1,
            },
        };
        text.chars().enumerate().map(place).collect()
    }

    #[track_caller]
    fn check(text: &str, class: &str, options: &[(&str, &str)]) {
        let module = parse(&characters(text)).unwrap_or_else(|broken| panic!("{}", broken.problem));
        let found: Vec<_> = module
            .options
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!((module.class.as_str(), found.as_slice()), (class, options));
    }

    #[track_caller]
    fn refused(text: &str, column: usize, problem: &str) {
        let broken = parse(&characters(text)).err().expect("it is accepted");
        assert_eq!(
            (broken.at.map(|at| at.column), broken.problem.as_str()),
            (Some(column), problem)
        );
    }

    #[test]
    fn modules_and_their_options() {
        check(
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"p w;=\";",
            "PlainLoginModule",
            &[("username", "u"), ("password", "p w;=")],
        );
        check(
            "a.ScramLoginModule REQUIRED\n  username='u'\n password=p-1_$.x ;",
            "ScramLoginModule",
            &[("username", "u"), ("password", "p-1_$.x")],
        );
        check(
            "S required password=\"a\\\"b\\\\c\\101\\n\" /* x */ // y\n;",
            "S",
            &[("password", "a\"b\\cA\n")],
        );
        check("S optional;", "S", &[]);
    }

    #[test]
    fn what_is_broken_has_its_place() {
        refused("=", 1, "expected the class of a login module");
        assert!(parse(&[]).is_err_and(|broken| broken.at.is_none()));
        refused(
            "S username=\"u\";",
            3,
            "expected `required` after the login module",
        );
        refused(
            "S required username=\"u\"",
            24,
            "the `;` at the end is missing",
        );
        refused(
            "S required username \"u\";",
            21,
            "expected `=` after `username`",
        );
        refused(
            "S required username=;",
            21,
            "expected a value for `username`",
        );
        refused(
            "S required password=\"u;",
            21,
            "the \" that opens here is not closed",
        );
        refused(
            "S required; T required;",
            13,
            "only one login module is allowed",
        );
        refused(
            "S required = u;",
            12,
            "expected the name of an option, or `;`",
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_breaks_it(text in "[a-z\"'\\\\/*=; \n0-9]{0,60}") {
            let _ = parse(&characters(&text)).is_ok();
        }
    }
}
