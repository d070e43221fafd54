//! What a registry says when it refuses: the JSON of the distribution specification, or whatever came. Pure.

use serde::Deserialize;

/// Most characters of a refusal that are shown.
const LONGEST: usize = 300;

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Vec<Item>,
    /// Some token services say it so.
    #[serde(default)]
    details: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The refusal in words; `None` when nothing was said.
pub(super) fn words(body: &[u8]) -> Option<String> {
    let text = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => {
            let mut texts: Vec<String> = refusal
                .errors
                .iter()
                .take(3)
                .map(|item| match (item.code.as_str(), item.message.as_str()) {
                    (code, "") => code.to_owned(),
                    (_, message) => message.to_owned(),
                })
                .collect();
            texts.extend(refusal.details);
            texts.join("; ")
        }
        // A web page says nothing that helps.
        Err(_) if body.trim_ascii_start().starts_with(b"<") => String::new(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|character| !character.is_control())
        .take(LONGEST)
        .collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"requested access is denied","detail":[]}]}"#,
                Some("requested access is denied"),
            ),
            (r#"{"errors":[{"code":"DENIED"}]}"#, Some("DENIED")),
            (
                r#"{"details":"incorrect username or password"}"#,
                Some("incorrect username or password"),
            ),
            ("<html>", None),
            ("", None),
            (" too\nmuch \u{1b}[31m", Some("too much [31m")),
        ] {
            assert_eq!(words(body.as_bytes()).as_deref(), expected);
        }
    }
}
