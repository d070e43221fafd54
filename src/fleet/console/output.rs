//! What of an IOC's output may reach a person's terminal. Pure.
//!
//! Colours pass. Everything else that moves the cursor, changes the title, or writes to the clipboard of a
//! terminal is left out of logs: a log line must not be able to change what was printed before it. An attached
//! console passes the cursor movements of the shell's line editor too, but no sequence that sets terminal state.

/// A line editor inserts no more than a window is wide at once.
const MOST_INSERTED: usize = 1000;

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

/// The text that a line of a terminal shows in the end, after all that was typed, taken back and overwritten.
///
/// Understands what line editors write: backspace, carriage return, movements in the line, erasing, inserting and
/// deleting characters. Everything else of control sequences, colours too, is left out.
pub fn edited_line(line: &str) -> String {
    let mut shown: Vec<char> = Vec::new();
    let mut column = 0;
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        let mut length = character.len_utf8();
        match character {
            '\u{1b}' => {
                length = sequence_length(rest);
                edit(&rest[..length], &mut shown, &mut column);
            }
            '\u{8}' => column = column.saturating_sub(1),
            '\r' => column = 0,
            '\t' => put('\t', &mut shown, &mut column),
            other if other.is_control() => {}
            other => put(other, &mut shown, &mut column),
        }
        rest = &rest[length..];
    }
    shown.into_iter().collect()
}

fn put(character: char, shown: &mut Vec<char>, column: &mut usize) {
    match shown.get_mut(*column) {
        Some(place) => *place = character,
        None => shown.push(character),
    }
    *column += 1;
}

/// Does what one control sequence says, as far as it concerns the line. The cursor never leaves what is shown.
fn edit(sequence: &str, shown: &mut Vec<char>, column: &mut usize) {
    let Some(body) = sequence.strip_prefix("\u{1b}[") else {
        return;
    };
    let Some(kind) = body.chars().last() else {
        return;
    };
    let number = body[..body.len() - kind.len_utf8()].parse::<usize>();
    let count = number.as_ref().copied().unwrap_or(1).max(1);
    match kind {
        'C' => *column = column.saturating_add(count).min(shown.len()),
        'D' => *column = column.saturating_sub(count),
        'G' => *column = (count - 1).min(shown.len()),
        'K' => match number.unwrap_or(0) {
            0 => shown.truncate(*column),
            2 => {
                shown.clear();
                *column = 0;
            }
            _ => {}
        },
        'P' => {
            let end = column.saturating_add(count).min(shown.len());
            shown.drain((*column).min(end)..end);
        }
        '@' => {
            let blanks = count.min(MOST_INSERTED);
            let at = (*column).min(shown.len());
            shown.splice(at..at, std::iter::repeat_n(' ', blanks));
        }
        _ => {}
    }
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

    #[test]
    fn a_line_reads_as_it_stood_on_the_screen() {
        let table = [
            ("epics> dbl\r", "epics> dbl"),
            ("epics> dbx\u{8}\u{1b}[Kl", "epics> dbl"),
            ("epics> dbx\u{8} \u{8}l", "epics> dbl"),
            ("epics> dl\u{1b}[1D\u{1b}[1@b", "epics> dbl"),
            ("epics> dbxl\u{8}\u{8}\u{1b}[1P", "epics> dbl"),
            ("waiting\repics> dbl", "epics> dbl"),
            ("\u{1b}[?2004hepics> \u{1b}[31mred\u{1b}[0m", "epics> red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("a\u{1b}[99999999999999999999Cb", "ab"),
            ("a\u{1b}[2Kb", "b"),
            ("\u{1b}[é", ""),
        ];
        for (line, expected) in table {
            assert_eq!(edited_line(line), expected, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn an_edited_line_has_no_controls(line in "\\PC*|[\u{1b}\\[\\]a-zéDCGKP@0-9;\u{7}\u{8}\r\\\\ ]{0,60}") {
            let shown = edited_line(&line);
            prop_assert!(shown.chars().all(|character| !character.is_control() || character == '\t'), "{shown:?}");
        }

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
