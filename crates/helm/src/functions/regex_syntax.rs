//! Whether a text is a regular expression of Go, and what Go says when it is not.
//!
//! The library that executes expressions accepts more than Go does, and has other words.

/// Most repetitions that `{n,m}` may ask for.
const MAX_REPEAT: u32 = 1000;

/// The reason and the part of the pattern that Go shows.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let mut checker = Checker {
        pattern,
        at: 0,
        open: 0,
        repeatable: false,
        last_repeat: None,
    };
    while checker.at < pattern.len() {
        checker.item()?;
    }
    if checker.open > 0 {
        return wrong("missing closing )", pattern);
    }
    Ok(())
}

/// What follows the `{` of a repetition: its length with the `}`, the least and, if there is one, the
/// most. Nothing when the brace is an ordinary character.
pub(super) fn repetition_counts(rest: &str) -> Option<(usize, u32, Option<u32>)> {
    let (inner, _) = rest.split_once('}')?;
    let number = |text: &str| {
        let plain = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        plain.then(|| text.parse::<u32>().unwrap_or(u32::MAX))
    };
    let (least, most) = match inner.split_once(',') {
        None => (number(inner)?, Some(number(inner)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    Some((inner.len() + 1, least, most))
}

fn wrong<T>(why: &str, part: &str) -> Result<T, String> {
    Err(format!("{why}: `{part}`"))
}

struct Checker<'p> {
    pattern: &'p str,
    at: usize,
    /// Groups that are open.
    open: usize,
    /// Whether a repetition may follow.
    repeatable: bool,
    /// Where the repetition just before begins.
    last_repeat: Option<usize>,
}

impl<'p> Checker<'p> {
    fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn item(&mut self) -> Result<(), String> {
        let begin = self.at;
        let last_repeat = self.last_repeat.take();
        match self.take() {
            Some('(') => {
                if self.eat("?") {
                    self.group_head(begin)?;
                } else {
                    self.open += 1;
                    self.repeatable = false;
                }
            }
            Some('|') => self.repeatable = false,
            Some(')') => {
                if self.open == 0 {
                    return wrong("unexpected )", self.pattern);
                }
                self.open -= 1;
                self.repeatable = true;
            }
            Some('*' | '+' | '?') => self.repetition(begin, last_repeat)?,
            Some('{') => {
                if self.counts()? {
                    self.repetition(begin, last_repeat)?;
                } else {
                    self.repeatable = true;
                }
            }
            Some('[') => {
                self.class(begin)?;
                self.repeatable = true;
            }
            Some('\\') => {
                if self.eat("Q") {
                    let rest = self.rest();
                    let length = rest.find("\\E").map_or(rest.len(), |end| end + 2);
                    self.at += length;
                } else {
                    self.escape(begin, false)?;
                }
                self.repeatable = true;
            }
            _ => self.repeatable = true,
        }
        Ok(())
    }

    /// What follows `(?`: a name, or flags.
    fn group_head(&mut self, begin: usize) -> Result<(), String> {
        if self.eat("P<") || self.eat("<") {
            let Some(end) = self.rest().find('>') else {
                return wrong("invalid named capture", &self.pattern[begin..]);
            };
            let name = &self.rest()[..end];
            self.at += end + 1;
            let fits = |c: char| c == '_' || c.is_ascii_alphanumeric();
            if name.is_empty() || !name.chars().all(fits) {
                return wrong("invalid named capture", &self.pattern[begin..self.at]);
            }
            self.open += 1;
            self.repeatable = false;
            return Ok(());
        }
        let (mut negated, mut any) = (false, false);
        loop {
            match self.take() {
                Some('i' | 'm' | 's' | 'U') => any = true,
                Some('-') if !negated => {
                    negated = true;
                    any = false;
                }
                Some(end @ (':' | ')')) if !negated || any => {
                    if end == ':' {
                        self.open += 1;
                        self.repeatable = false;
                    }
                    return Ok(());
                }
                _ => {
                    let part = &self.pattern[begin..self.at];
                    return wrong("invalid or unsupported Perl syntax", part);
                }
            }
        }
    }

    fn repetition(&mut self, begin: usize, last: Option<usize>) -> Result<(), String> {
        self.eat("?");
        if let Some(last) = last {
            let part = &self.pattern[last..self.at];
            return wrong("invalid nested repetition operator", part);
        }
        if !self.repeatable {
            let part = &self.pattern[begin..self.at];
            return wrong("missing argument to repetition operator", part);
        }
        self.last_repeat = Some(begin);
        Ok(())
    }

    /// The counts after `{`; false when the brace is an ordinary character.
    fn counts(&mut self) -> Result<bool, String> {
        let begin = self.at - 1;
        let Some((length, least, most)) = repetition_counts(self.rest()) else {
            return Ok(false);
        };
        self.at += length;
        let wrong_order = most.is_some_and(|most| least > most);
        if least > MAX_REPEAT || most.is_some_and(|most| most > MAX_REPEAT) || wrong_order {
            let part = &self.pattern[begin..self.at];
            return wrong("invalid repeat count", part);
        }
        Ok(true)
    }

    fn class(&mut self, begin: usize) -> Result<(), String> {
        self.eat("^");
        let mut first = true;
        loop {
            let unclosed = || wrong("missing closing ]", &self.pattern[begin..]);
            match self.peek() {
                None => return unclosed(),
                Some(']') if !first => {
                    self.at += 1;
                    return Ok(());
                }
                Some('[') if self.rest().starts_with("[:") => {
                    if let Some(end) = self.rest().find(":]") {
                        let name = &self.rest()[..end + 2];
                        let plain = name[2..end].trim_start_matches('^');
                        if !NAMES.contains(&plain) {
                            return wrong("invalid character class range", name);
                        }
                        self.at += name.len();
                        first = false;
                        continue;
                    }
                }
                Some(_) => {}
            }
            first = false;
            let range = self.at;
            let Some(low) = self.class_member(begin)? else {
                continue;
            };
            let rest = self.rest();
            if rest.starts_with('-') && rest.len() > 1 && !rest.starts_with("-]") {
                self.at += 1;
                let end = self.at;
                let Some(high) = self.class_member(begin)? else {
                    let part = &self.pattern[end..end + 2];
                    return wrong("invalid escape sequence", part);
                };
                if high < low {
                    let part = &self.pattern[range..self.at];
                    return wrong("invalid character class range", part);
                }
            }
        }
    }

    /// A character; nothing for a class such as `\d`.
    fn class_member(&mut self, class: usize) -> Result<Option<char>, String> {
        let begin = self.at;
        match self.take() {
            None => wrong("missing closing ]", &self.pattern[class..]),
            Some('\\') => self.escape(begin, true),
            character => Ok(character),
        }
    }

    /// What follows a backslash: the character that it stands for, if it is one.
    fn escape(&mut self, begin: usize, in_class: bool) -> Result<Option<char>, String> {
        let pattern = self.pattern;
        let Some(character) = self.take() else {
            return wrong("trailing backslash at end of expression", "");
        };
        match character {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => Ok(None),
            'A' | 'b' | 'B' | 'z' | 'C' if !in_class => Ok(None),
            'p' | 'P' => self.unicode_class(begin).map(|()| None),
            'a' => Ok(Some('\x07')),
            'f' => Ok(Some('\x0c')),
            'n' => Ok(Some('\n')),
            'r' => Ok(Some('\r')),
            't' => Ok(Some('\t')),
            'v' => Ok(Some('\x0b')),
            'x' => self.hexadecimal(begin),
            '0'..='7' => {
                let octal = |next: Option<char>| next.and_then(|next| next.to_digit(8));
                if character != '0' && octal(self.peek()).is_none() {
                    return wrong("invalid escape sequence", &pattern[begin..self.at]);
                }
                let mut code = character.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = octal(self.peek()) else {
                        break;
                    };
                    code = code * 8 + digit;
                    self.at += 1;
                }
                Ok(char::from_u32(code))
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Ok(Some(other)),
            _ => wrong("invalid escape sequence", &pattern[begin..self.at]),
        }
    }

    fn hexadecimal(&mut self, begin: usize) -> Result<Option<char>, String> {
        let braced = self.eat("{");
        let (mut code, mut digits) = (0u32, 0);
        loop {
            let next = self.take();
            if braced && next == Some('}') && digits > 0 {
                break;
            }
            let digit = next.and_then(|next| next.to_digit(16));
            let wider = digit.map(|digit| code.saturating_mul(16).saturating_add(digit));
            match wider.filter(|&code| code <= 0x10_ffff) {
                Some(wider) => code = wider,
                None => {
                    let part = &self.pattern[begin..self.at];
                    return wrong("invalid escape sequence", part);
                }
            }
            digits += 1;
            if !braced && digits == 2 {
                break;
            }
        }
        Ok(char::from_u32(code))
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`.
    fn unicode_class(&mut self, begin: usize) -> Result<(), String> {
        if self.eat("{") {
            let Some(end) = self.rest().find('}') else {
                return wrong("invalid character class range", &self.pattern[begin..]);
            };
            self.at += end + 1;
        } else {
            self.take();
        }
        let part = &self.pattern[begin..self.at];
        if regex::Regex::new(part).is_err() {
            return wrong("invalid character class range", part);
        }
        Ok(())
    }
}

/// The classes of `[:name:]`.
const NAMES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn expressions_of_go_are_accepted() {
        for pattern in [
            "",
            "a*?b+?",
            "[]a]",
            "[^]a]",
            "[a-]",
            "[-a]",
            "[[:alpha:]_]",
            "a{2}",
            "a{,2}",
            "{",
            "a{1,}",
            "(?i)a",
            "(?i:a)",
            "(?-s:.)",
            "(?P<n>a)",
            "\\pL",
            "\\p{Greek}",
            "\\x{1F600}",
            "\\x41",
            "\\0",
            "\\123",
            "\\Qa*\\E+",
            "^*",
            "a|*",
            "é+",
            "[\\d-z]",
            "\\.",
            "[[]",
        ] {
            let accepted = check(pattern).is_ok();
            assert_eq!(
                accepted,
                pattern != "a|*",
                "{pattern}: {:?}",
                check(pattern)
            );
        }
    }
}
