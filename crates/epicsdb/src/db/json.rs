//! Just enough of the JSON dialect of base (JSON5 strings, keys without quotes, trailing commas)
//! to find the keys of a link.

const DEPTH: u32 = 64;

/// Keys of the outermost object.
pub(super) fn object_keys(text: &str) -> Result<Vec<String>, String> {
    let mut reader = Reader { text, position: 0 };
    reader.skip_space();
    if reader.peek() != Some('{') {
        return Err("it does not begin with `{`".to_owned());
    }
    let keys = reader.object(0)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(keys),
        Some(extra) => Err(format!("`{extra}` follows the closing bracket")),
    }
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.position..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.bump();
        }
    }

    fn value(&mut self, depth: u32) -> Result<(), String> {
        if depth > DEPTH {
            return Err("it is nested too deeply".to_owned());
        }
        self.skip_space();
        match self.peek() {
            Some('{') => self.object(depth).map(drop),
            Some('[') => self.array(depth),
            Some('"' | '\'') => self.string().map(drop),
            Some(_) => {
                let word = self.word();
                let known = matches!(word.as_str(), "null" | "true" | "false");
                if known || super::number::parse_double(&word).is_ok() {
                    Ok(())
                } else if word.is_empty() {
                    Err(self.unexpected("a value"))
                } else {
                    Err(format!("`{word}` needs quotes"))
                }
            }
            None => Err(self.unexpected("a value")),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Vec<String>, String> {
        self.bump();
        let mut keys = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some('}') => {
                    self.bump();
                    return Ok(keys);
                }
                Some('"' | '\'') => keys.push(self.string()?),
                _ => match self.word() {
                    word if word.is_empty() => return Err(self.unexpected("a key")),
                    word => keys.push(word),
                },
            }
            self.skip_space();
            if self.bump() != Some(':') {
                return Err("a `:` is missing behind a key".to_owned());
            }
            self.value(depth + 1)?;
            if self.separator('}')? {
                return Ok(keys);
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<(), String> {
        self.bump();
        loop {
            self.skip_space();
            if self.peek() == Some(']') {
                self.bump();
                return Ok(());
            }
            self.value(depth + 1)?;
            if self.separator(']')? {
                return Ok(());
            }
        }
    }

    /// `true` at the closing bracket, `false` at a comma.
    fn separator(&mut self, close: char) -> Result<bool, String> {
        self.skip_space();
        match self.bump() {
            Some(',') => Ok(false),
            Some(found) if found == close => Ok(true),
            Some(found) => Err(format!(
                "`{found}` stands where `,` or `{close}` is expected"
            )),
            None => Err(format!("`{close}` is missing at the end")),
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err("a closing quote is missing".to_owned()),
                found if found == quote => return Ok(text),
                Some('\\') => text.extend(self.bump()),
                Some(other) => text.push(other),
            }
        }
    }

    fn word(&mut self) -> String {
        let rest = &self.text[self.position..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-+.$".contains(c)));
        let word = &rest[..end.unwrap_or(rest.len())];
        self.position += word.len();
        word.to_owned()
    }

    fn unexpected(&self, expected: &str) -> String {
        match self.peek() {
            Some(found) => format!("`{found}` stands where {expected} is expected"),
            None => format!("it ends where {expected} is expected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (text, expected) in [
            ("{}", Ok(vec![])),
            ("{const:1}", Ok(vec!["const"])),
            (r#"{"calc":{"expr":"A+1","args":[1,]},}"#, Ok(vec!["calc"])),
            ("{'a':1,b:2}", Ok(vec!["a", "b"])),
            ("{const:}", Err("`}` stands where a value is expected")),
            ("{const:x}", Err("`x` needs quotes")),
            ("{const 1}", Err("a `:` is missing behind a key")),
            ("{a:[1 2]}", Err("`2` stands where `,` or `]` is expected")),
            ("{a:1", Err("`}` is missing at the end")),
        ] {
            let expected: Result<Vec<String>, String> = expected
                .map(|keys| keys.into_iter().map(str::to_owned).collect())
                .map_err(str::to_owned);
            assert_eq!(object_keys(text), expected, "{text}");
        }
        assert!(object_keys(&"{a:".repeat(10_000)).is_err());
    }
}
