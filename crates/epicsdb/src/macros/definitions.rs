//! The definition string of `dbLoadRecords`, `dbLoadTemplate`, `iocshLoad` and `msi -M`.

/// One `NAME=VALUE` of a definition string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The name, without quotes and escapes.
    pub name: String,
    /// The value as written, quotes and escapes kept (they go when the macro is used). `None` if
    /// no `=` follows the name, which undefines the macro.
    pub value: Option<String>,
}

/// Splits `A=1, B="x,y"` as `macParseDefns` does: white space around names and values is dropped,
/// commas separate, quotes and backslashes protect.
pub fn parse_definitions(text: &str) -> Vec<Definition> {
    let bytes = text.as_bytes();
    let mut definitions = Vec::new();
    let mut position = 0;
    loop {
        while bytes
            .get(position)
            .is_some_and(|&byte| is_space(byte) || byte == b',')
        {
            position += 1;
        }
        if position >= bytes.len() {
            return definitions;
        }
        let end = find_unquoted(bytes, position, b"=,");
        let name = unquote(trim_end(bytes, position, end));
        if bytes.get(end) != Some(&b'=') {
            definitions.push(Definition { name, value: None });
            position = end + 1;
            continue;
        }
        position = end + 1;
        while bytes.get(position).is_some_and(|&byte| is_space(byte)) {
            position += 1;
        }
        let end = find_unquoted(bytes, position, b",");
        let value = String::from_utf8_lossy(trim_end(bytes, position, end)).into_owned();
        definitions.push(Definition {
            name,
            value: Some(value),
        });
        position = end + 1;
    }
}

/// `isspace` of the C locale, which includes the vertical tab.
pub(super) fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn find_unquoted(bytes: &[u8], start: usize, wanted: &[u8]) -> usize {
    let mut quote = None;
    let mut position = start;
    while let Some(&byte) = bytes.get(position) {
        match quote {
            Some(open) if byte == open => quote = None,
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if wanted.contains(&byte) => return position,
            Some(_) | None => {}
        }
        let escape = byte == b'\\' && position + 1 < bytes.len();
        position += if escape { 2 } else { 1 };
    }
    bytes.len()
}

fn trim_end(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    let mut end = end.min(bytes.len());
    let start = start.min(end);
    while end > start && is_space(bytes[end - 1]) {
        end -= 1;
    }
    &bytes[start..end]
}

fn unquote(bytes: &[u8]) -> String {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut quote = None;
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match quote {
            Some(open) if byte == open => {
                quote = None;
                continue;
            }
            None if byte == b'"' || byte == b'\'' => {
                quote = Some(byte);
                continue;
            }
            _ => {}
        }
        if byte == b'\\'
            && let Some(next) = rest.next()
        {
            plain.push(next);
        } else {
            plain.push(byte);
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}
