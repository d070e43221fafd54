//! What is wrong with a YAML text, and where.

/// A text that is not the YAML that Helm reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.place())]
pub struct YamlError {
    /// Line of the problem, counted from 1; 0 when it has no place.
    pub line: usize,
    /// Column of the problem in characters, counted from 1; 0 when it has no place.
    pub column: usize,
    /// What is wrong, in the words of Helm's parser.
    pub message: String,
    /// The line that Helm's own message names. Its parser counts from 0 in some of its messages.
    helm_line: usize,
    wrong_type: bool,
}

impl YamlError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            line: 0,
            column: 0,
            message: message.into(),
            helm_line: 0,
            wrong_type: false,
        }
    }

    pub(crate) fn at(mark: Mark, helm_line: usize, message: impl Into<String>) -> Self {
        Self {
            line: mark.line as usize + 1,
            column: mark.column as usize + 1,
            message: message.into(),
            helm_line,
            wrong_type: false,
        }
    }

    /// What Helm's parser says of bytes that are not UTF-8; nothing when they are.
    pub(crate) fn not_utf8(bytes: &[u8]) -> Option<Self> {
        let at = std::str::from_utf8(bytes).err()?.valid_up_to();
        let character = bytes.get(at..)?;
        let length = match *character.first()? {
            0x00..0x80 => 1,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf8 => 4,
            _ => return Some(Self::new("invalid leading UTF-8 octet")),
        };
        let Some(trailing) = character.get(1..length) else {
            return Some(Self::new("incomplete UTF-8 octet sequence"));
        };
        let continues = trailing.iter().all(|byte| (0x80..0xc0).contains(byte));
        Some(Self::new(if continues {
            "invalid length of a UTF-8 sequence"
        } else {
            "invalid trailing UTF-8 octet"
        }))
    }

    /// The message as Helm's own parser words it (`yaml: line 3: …`).
    pub fn helm_text(&self) -> String {
        if self.message.starts_with("json: ") || self.message.starts_with("unsupported map key") {
            return self.message.clone();
        }
        match self.helm_line {
            0 => format!("yaml: {}", self.message),
            line => format!("yaml: line {line}: {}", self.message),
        }
    }

    /// Whether the text is YAML, but of another type than wanted.
    pub(crate) const fn is_wrong_type(&self) -> bool {
        self.wrong_type
    }

    pub(crate) fn wrong_type(message: impl Into<String>) -> Self {
        Self {
            wrong_type: true,
            ..Self::new(message)
        }
    }

    /// The same with its line moved by so many lines.
    pub(crate) fn moved(mut self, lines: usize) -> Self {
        if self.line > 0 {
            self.line += lines;
        }
        self
    }

    fn place(&self) -> String {
        match self.line {
            0 => String::new(),
            line => format!("line {line}, column {}: ", self.column),
        }
    }
}

/// A place in a text, counted from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Characters before this place.
    pub(crate) index: u32,
    pub(crate) line: u32,
    pub(crate) column: u32,
}
