//! What of an IOC's output may reach a person's terminal. Pure.
//!
//! Colours pass. Everything else that moves the cursor, changes the title, or writes to the clipboard of a
//! terminal is left out of logs: a log line must not be able to change what was printed before it. An attached
//! console passes the cursor movements of the shell's line editor too, but no sequence that sets terminal state.

/// Removes control sequences other than colours and attributes, and control characters other than tab.
///
/// `line` has no line end; a trailing carriage return of a terminal line is removed.
pub fn printable_line(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let mut output = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(position) = rest.find(|character: char| character.is_control()) {
        output.push_str(&rest[..position]);
        let tail = &rest[position..];
        let control = tail.chars().next().unwrap_or_default();
        let length = match control {
            '\u{1b}' => {
                let length = sequence_length(tail);
                let sequence = &tail[..length];
                if is_colour(sequence) {
                    output.push_str(sequence);
                }
                length
            }
            '\t' => {
                output.push('\t');
                1
            }
            other => other.len_utf8(),
        };
        rest = &tail[length..];
    }
    output.push_str(rest);
    output
}

/// Length in bytes of the escape sequence at the start of `text`: CSI, OSC and other strings, or two characters.
fn sequence_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    let Some((_, kind)) = characters.next() else {
        return text.len();
    };
    match kind {
        '[' => characters
            .find(|(_, character)| ('\u{40}'..='\u{7e}').contains(character))
            .map_or(text.len(), |(index, character)| {
                index + character.len_utf8()
            }),
        ']' | 'P' | 'X' | '^' | '_' => string_length(text),
        other => 1 + other.len_utf8(),
    }
}

/// Length of a string sequence: it ends with BEL or ESC \, or with the text.
fn string_length(text: &str) -> usize {
    let bell = text.find('\u{7}').map(|index| index + 1);
    let terminator = text[1..].find("\u{1b}\\").map(|index| 1 + index + 2);
    match (bell, terminator) {
        (Some(bell), Some(terminator)) => bell.min(terminator),
        (Some(end), None) | (None, Some(end)) => end,
        (None, None) => text.len(),
    }
}

fn is_colour(sequence: &str) -> bool {
    sequence
        .strip_prefix("\u{1b}[")
        .and_then(|rest| rest.strip_suffix('m'))
        .is_some_and(|parameters| {
            parameters
                .chars()
                .all(|character| character.is_ascii_digit() || matches!(character, ';' | ':'))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn table() {
        let table = [
            ("iocInit done\r", "iocInit done"),
            (
                "\u{1b}[31;1mERROR\u{1b}[0m: x",
                "\u{1b}[31;1mERROR\u{1b}[0m: x",
            ),
            ("\u{1b}[2Jgone\u{1b}[H", "gone"),
            (
                "\u{1b}]0;title\u{7}text",
                "title-less text".trim_start_matches("title-less "),
            ),
            ("\u{1b}]52;c;Y2xpcA==\u{1b}\\text", "text"),
            ("a\tb\u{8}\u{0}c", "a\tbc"),
            ("cut \u{1b}[31", "cut "),
            ("cut \u{1b}", "cut "),
            ("\u{9b}2J", "2J"),
        ];
        for (line, expected) in table {
            assert_eq!(printable_line(line), expected, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_colours_passes(line in "\\PC*|[\u{1b}\\[\\]a-zA-Z0-9;\u{7}\\\\ ]{0,60}") {
            let printed = printable_line(&line);
            for piece in printed.split('\u{1b}').skip(1) {
                let end = piece.find('m');
                prop_assert!(piece.starts_with('[') && end.is_some(), "{printed:?}");
            }
            prop_assert_eq!(printable_line(&printed), printed);
        }
    }
}
