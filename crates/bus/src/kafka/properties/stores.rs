//! Stores of keys and certificates: what kind a file is, and PEM text as OpenSSL wants it.

use std::path::Path;

/// What a file is, by its begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Text with `-----BEGIN …-----`.
    Pem,
    /// Java's own; the number that its files begin with is in `sun.security.provider.JavaKeyStore`.
    Jks,
    /// PKCS#12: a DER sequence.
    Pkcs12,
    /// None of them.
    Unknown,
}

/// The most that is read of a file.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Reads a file and tells what it is.
pub(super) fn read(path: &Path) -> std::io::Result<(Format, Vec<u8>)> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs_err::File::open(path)?
        .take(LIMIT)
        .read_to_end(&mut bytes)?;
    Ok((format(&bytes), bytes))
}

fn format(bytes: &[u8]) -> Format {
    if bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) || bytes.starts_with(&[0xce, 0xce, 0xce, 0xce])
    {
        Format::Jks
    } else if bytes.windows(11).any(|window| window == b"-----BEGIN ") {
        Format::Pem
    } else if bytes.starts_with(&[0x30]) {
        Format::Pkcs12
    } else {
        Format::Unknown
    }
}

/// Blocks of PEM text with their lines as OpenSSL wants them: Java also takes them in one line.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find("-----BEGIN ") {
        rest = &rest[begin + 11..];
        let (label, after) = rest
            .split_once("-----")
            .ok_or("the line `-----BEGIN …-----` is cut short")?;
        let label = label.trim().to_owned();
        let end = format!("-----END {label}-----");
        let (body, after) = after
            .split_once(&end)
            .ok_or_else(|| format!("`{end}` is missing"))?;
        let body: String = body
            .chars()
            .filter(|character| !character.is_whitespace())
            .collect();
        if let Some(wrong) = body
            .chars()
            .find(|character| !(character.is_ascii_alphanumeric() || "+/=".contains(*character)))
        {
            return Err(format!(
                "`{wrong}` does not belong into the block `{label}`"
            ));
        }
        blocks.push(Block { label, body });
        rest = after;
    }
    if blocks.is_empty() {
        return Err("there is no `-----BEGIN …-----` in it".to_owned());
    }
    Ok(blocks)
}

/// A block of PEM text.
#[derive(PartialEq, Eq)]
pub(super) struct Block {
    label: String,
    body: String,
}

impl Block {
    pub(super) fn is_certificate(&self) -> bool {
        self.label == "CERTIFICATE"
    }

    pub(super) fn is_private_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }
}

/// Some blocks as text.
pub(super) fn text<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> String {
    let mut text = String::new();
    for Block { label, body } in blocks {
        text.push_str(&format!("-----BEGIN {label}-----\n"));
        for line in body.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str(&format!("-----END {label}-----\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_becomes_lines() {
        let body = "A".repeat(70);
        let given = format!(
            "-----BEGIN CERTIFICATE----- {body} -----END CERTIFICATE----- -----BEGIN PRIVATE KEY-----\nQQ==\n-----END PRIVATE KEY-----"
        );
        let found = blocks(&given).unwrap();
        assert!(found[0].is_certificate() && found[1].is_private_key());
        let certificate = format!(
            "-----BEGIN CERTIFICATE-----\n{}\nAAAAAA\n-----END CERTIFICATE-----\n",
            "A".repeat(64)
        );
        assert_eq!(text(&found[..1]), certificate);
        assert!(
            blocks("").is_err()
                && blocks("-----BEGIN X").is_err()
                && blocks("-----BEGIN X-----a").is_err()
        );
        assert!(blocks("-----BEGIN X-----Proc-Type: 4-----END X-----").is_err());
    }

    #[test]
    fn kinds_of_files() {
        assert_eq!(
            format(b"subject=CN\n-----BEGIN CERTIFICATE-----"),
            Format::Pem
        );
        assert_eq!(format(&[0xfe, 0xed, 0xfe, 0xed, 0, 0]), Format::Jks);
        assert_eq!(format(&[0x30, 0x82]), Format::Pkcs12);
        assert_eq!(format(b""), Format::Unknown);
    }
}
