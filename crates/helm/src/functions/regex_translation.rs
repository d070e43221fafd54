//! Regular expressions of Go in the syntax of the library that executes them.
//!
//! In Go, `\d`, `\w`, `\s` and `\b` are ASCII, `\Q…\E` quotes, a brace that begins no repetition is
//! ordinary, and so are `[`, `&&`, `--` and `~~` inside a class.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use super::regex_syntax::repetition_counts;

/// `pattern` is one that Go accepts.
pub(super) fn translate(pattern: &str) -> String {
    let mut translation = Translation {
        out: String::with_capacity(pattern.len() + 8),
        characters: pattern.chars().peekable(),
    };
    while let Some(character) = translation.characters.next() {
        translation.item(character);
    }
    translation.out
}

/// Where a class stands, for what a `-` in it means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    /// No range can begin with what came before.
    None,
    /// A character came before.
    Low,
    /// The `-` of a range came before.
    Open,
}

struct Translation<'p> {
    out: String,
    characters: Peekable<Chars<'p>>,
}

impl Translation<'_> {
    fn item(&mut self, character: char) {
        match character {
            '\\' => self.escape(),
            '[' => self.class(),
            '{' if !self.repeats() => self.out.push_str("\\{"),
            other => self.out.push(other),
        }
    }

    /// Whether the brace that was just passed begins a repetition.
    fn repeats(&self) -> bool {
        // `{1000,1000}` is the longest.
        let rest: String = self.characters.clone().take(12).collect();
        repetition_counts(&rest).is_some()
    }

    fn escape(&mut self) {
        let Some(escaped) = self.characters.next() else {
            self.out.push('\\');
            return;
        };
        match escaped {
            'd' => self.out.push_str("[0-9]"),
            'w' => self.out.push_str("[0-9A-Za-z_]"),
            's' => self.out.push_str("[\\t\\n\\x0c\\r ]"),
            'b' => self.out.push_str("(?-u:\\b)"),
            // Outside UTF-8 `\B` could split a character, so it is left Unicode-aware.
            'C' => self.out.push_str("(?s:.)"),
            'Q' => self.quoted_run(),
            other => {
                self.common_escape(other);
            }
        }
    }

    /// What is the same in a class and outside; whether it is one character.
    fn common_escape(&mut self, escaped: char) -> bool {
        match escaped {
            'D' => self.out.push_str("[^0-9]"),
            'W' => self.out.push_str("[^0-9A-Za-z_]"),
            'S' => self.out.push_str("[^\\t\\n\\x0c\\r ]"),
            'p' | 'P' => {
                self.out.push('\\');
                self.out.push(escaped);
                self.braced();
            }
            '0'..='7' => {
                self.octal(escaped);
                return true;
            }
            other => {
                self.out.push('\\');
                self.out.push(other);
                if other == 'x' {
                    self.braced();
                }
                return true;
            }
        }
        false
    }

    /// Takes over `{…}` as it is.
    fn braced(&mut self) {
        if self.characters.peek() == Some(&'{') {
            for character in self.characters.by_ref() {
                self.out.push(character);
                if character == '}' {
                    return;
                }
            }
        }
    }

    fn octal(&mut self, first: char) {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.characters.peek().and_then(|next| next.to_digit(8)) else {
                break;
            };
            code = code * 8 + digit;
            self.characters.next();
        }
        let _ = write!(self.out, "\\x{{{code:x}}}");
    }

    fn quoted_run(&mut self) {
        while let Some(character) = self.characters.next() {
            if character == '\\' && self.characters.peek() == Some(&'E') {
                self.characters.next();
                return;
            }
            let mut buffer = [0; 4];
            self.out
                .push_str(&regex::escape(character.encode_utf8(&mut buffer)));
        }
    }

    /// What follows the `[` of a class, to its end.
    fn class(&mut self) {
        self.out.push('[');
        if self.characters.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut range = Range::None;
        let mut first = true;
        while let Some(character) = self.characters.next() {
            if character == ']' && !first {
                self.out.push(']');
                return;
            }
            first = false;
            range = self.class_member(character, range);
        }
    }

    fn class_member(&mut self, character: char, range: Range) -> Range {
        let after_character = match range {
            Range::Open => Range::None,
            Range::None | Range::Low => Range::Low,
        };
        match character {
            '-' if range == Range::Low && self.characters.peek() != Some(&']') => {
                self.out.push('-');
                return Range::Open;
            }
            '[' if self.characters.peek() == Some(&':') => {
                if self.named_class() {
                    return Range::None;
                }
                self.out.push_str("\\[");
            }
            '-' | '[' | ']' | '&' | '~' => {
                self.out.push('\\');
                self.out.push(character);
            }
            '\\' => {
                let Some(escaped) = self.characters.next() else {
                    return range;
                };
                match escaped {
                    'd' => self.out.push_str("0-9"),
                    'w' => self.out.push_str("0-9A-Za-z_"),
                    's' => self.out.push_str("\\t\\n\\x0c\\r "),
                    other => {
                        if self.common_escape(other) {
                            return after_character;
                        }
                    }
                }
                return Range::None;
            }
            other => self.out.push(other),
        }
        after_character
    }

    /// `[:alpha:]`, its bracket being passed; nothing is passed when it is something else.
    fn named_class(&mut self) -> bool {
        let mut ahead = self.characters.clone();
        let mut name = String::from("[");
        let is_part = |c: &char| matches!(c, ':' | '^') || c.is_ascii_lowercase();
        while let Some(character) = ahead.next_if(is_part) {
            name.push(character);
        }
        if name.len() < 4 || !name.ends_with(':') || ahead.next() != Some(']') {
            return false;
        }
        self.out.push_str(&name);
        self.out.push(']');
        self.characters = ahead;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn braces_and_hyphens_that_are_ordinary_are_escaped() {
        for (pattern, wanted) in [
            ("a{2}{", "a{2}\\{"),
            ("{{(.*)}}", "\\{\\{(.*)}}"),
            ("a{,2}", "a\\{,2}"),
            ("a{1000,1000}", "a{1000,1000}"),
            ("\\x{41}{2}\\p{Lu}{1,}", "\\x{41}{2}\\p{Lu}{1,}"),
            ("\\{\\Q{\\E", "\\{\\{"),
            ("[\\w-.]", "[0-9A-Za-z_\\-.]"),
            ("[a-c-e]", "[a-c\\-e]"),
            ("[+--]", "[+-\\-]"),
            ("[--/]", "[\\--/]"),
            ("[a-]", "[a\\-]"),
            ("[^]a[]", "[^\\]a\\[]"),
            ("[[:alpha:]-z]", "[[:alpha:]\\-z]"),
            ("[[:]", "[\\[:]"),
            ("[{]", "[{]"),
        ] {
            assert_eq!(translate(pattern), wanted, "{pattern}");
            assert!(regex::Regex::new(wanted).is_ok(), "{wanted}");
        }
    }
}
