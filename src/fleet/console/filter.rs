//! What happens to the keys that somebody types into an attached IOC shell. Pure: bytes in, actions out.
//!
//! The IOC shell reads the same standard input as the process that controls the beamline, so three things that
//! are harmless in other shells would end it: Ctrl-C (interrupt), Ctrl-D (end of input) and a typed `exit`. The
//! first two are held back unless they were allowed; `exit` is held back at its Enter key and needs a `y`.
//!
//! Not done here: an `exit` that comes back through the shell's history (cursor keys) is not recognised, because
//! only the IOC knows what it then shows. The restart policy of the instance covers that.

/// Leaves the console: Ctrl-], as in telnet.
pub const DETACH_KEY: u8 = 0x1d;

/// Longest line that is remembered to recognise `exit`, in bytes; a longer one is something else.
const LONGEST_LINE: usize = 256;

/// What to do with typed bytes, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these bytes to the IOC.
    Send(Vec<u8>),
    /// Tell the person something; nothing was sent.
    Tell(Notice),
    /// Leave the console, the IOC goes on.
    Detach,
}

/// What the person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Ctrl-C was held back.
    InterruptHeld,
    /// Ctrl-D was held back.
    EndOfInputHeld,
    /// Another control key that ends or suspends a process was held back (Ctrl-\, Ctrl-Z).
    SignalHeld,
    /// A key was held back that the console program would take as its own command.
    OwnKeyHeld,
    /// An `exit` waits for `y`.
    ExitAsks,
    /// The `exit` was given up; the typed word was removed from the IOC's line.
    ExitGivenUp,
    /// Read-only: nothing is sent.
    ReadOnly,
}

impl Notice {
    /// The text for the person, one line.
    pub fn text(self) -> &'static str {
        match self {
            Self::InterruptHeld => {
                "Ctrl-C would end the IOC and was held back (--allow-control passes it on; Ctrl-] leaves)"
            }
            Self::EndOfInputHeld => {
                "Ctrl-D would end the IOC and was held back (--allow-control passes it on; Ctrl-] leaves)"
            }
            Self::SignalHeld => "this key would stop the IOC and was held back (Ctrl-] leaves)",
            Self::OwnKeyHeld => {
                "this key is a command of the console program and was held back (Ctrl-] leaves)"
            }
            Self::ExitAsks => {
                "`exit` ends the IOC and with it the control of its devices: y ends it, any other key does not"
            }
            Self::ExitGivenUp => "not sent, the IOC goes on (Ctrl-] leaves)",
            Self::ReadOnly => "read-only: nothing that is typed reaches the IOC (Ctrl-] leaves)",
        }
    }
}

/// What may pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Nothing reaches the IOC.
    pub read_only: bool,
    /// Ctrl-C, Ctrl-D, Ctrl-\ and Ctrl-Z pass.
    pub allow_control: bool,
    /// Keys that the program between us and the IOC would take as its own commands; they never pass.
    pub own_keys: &'static [u8],
}

/// The state of one person's typing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    rules: Rules,
    line: Vec<u8>,
    /// The line can no longer be known: a cursor or history key was used.
    unknown: bool,
    escape: Escape,
    asking: bool,
    told_read_only: bool,
}

/// Where in a terminal escape sequence the typing is; its bytes are not part of the line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    Outside,
    Started,
    Sequence,
}

impl Filter {
    /// A fresh line under these rules.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Takes typed bytes and says what to do with them. Bytes after a detach key are dropped.
    pub fn typed(&mut self, bytes: &[u8]) -> Vec<Action> {
        let mut actions = Vec::new();
        for &byte in bytes {
            if byte == DETACH_KEY {
                actions.push(Action::Detach);
                break;
            }
            self.key(byte, &mut actions);
        }
        actions
    }

    fn key(&mut self, byte: u8, actions: &mut Vec<Action>) {
        if self.rules.read_only {
            if !self.told_read_only {
                self.told_read_only = true;
                actions.push(Action::Tell(Notice::ReadOnly));
            }
            return;
        }
        if self.asking {
            self.answer(byte, actions);
            return;
        }
        let held = match byte {
            0x03 => Some(Notice::InterruptHeld),
            0x04 => Some(Notice::EndOfInputHeld),
            0x1a | 0x1c => Some(Notice::SignalHeld),
            _ => None,
        };
        if let Some(notice) = held.filter(|_| !self.rules.allow_control) {
            actions.push(Action::Tell(notice));
            return;
        }
        if self.rules.own_keys.contains(&byte) {
            actions.push(Action::Tell(Notice::OwnKeyHeld));
            return;
        }
        if matches!(byte, b'\r' | b'\n') {
            if self.ends_the_ioc() {
                self.asking = true;
                actions.push(Action::Tell(Notice::ExitAsks));
                return;
            }
            self.forget_line();
        } else {
            self.remember(byte);
        }
        send(actions, byte);
    }

    /// The key after the question. Only `y` sends the waiting Enter; anything else erases the typed word.
    fn answer(&mut self, byte: u8, actions: &mut Vec<Action>) {
        if matches!(byte, b'\n') && self.line.is_empty() {
            return;
        }
        self.asking = false;
        if matches!(byte, b'y' | b'Y') {
            send(actions, b'\r');
        } else {
            // Ctrl-U: the IOC shell's line editor forgets the line.
            send(actions, 0x15);
            actions.push(Action::Tell(Notice::ExitGivenUp));
        }
        self.forget_line();
    }

    fn forget_line(&mut self) {
        self.line.clear();
        self.unknown = false;
        self.escape = Escape::Outside;
    }

    fn remember(&mut self, byte: u8) {
        match (self.escape, byte) {
            (Escape::Outside, 0x1b) => {
                self.escape = Escape::Started;
                self.unknown = true;
            }
            (Escape::Started, b'[' | b'O') => self.escape = Escape::Sequence,
            (Escape::Sequence, 0x40..=0x7e) | (Escape::Started, _) => {
                self.escape = Escape::Outside;
            }
            (Escape::Sequence, _) => {}
            (Escape::Outside, 0x7f | 0x08) => {
                self.line.pop();
            }
            // Ctrl-U starts over: the line is known again.
            (Escape::Outside, 0x15) => self.forget_line(),
            // Ctrl-W removes a word.
            (Escape::Outside, 0x17) => {
                while self.line.last().is_some_and(u8::is_ascii_whitespace) {
                    self.line.pop();
                }
                while self
                    .line
                    .last()
                    .is_some_and(|last| !last.is_ascii_whitespace())
                {
                    self.line.pop();
                }
            }
            (Escape::Outside, b' '..=b'~' | b'\t' | 0x80..) => {
                if self.line.len() < LONGEST_LINE {
                    self.line.push(byte);
                } else {
                    self.unknown = true;
                }
            }
            // Every other control key moves in the line or through the history.
            (Escape::Outside, _) => self.unknown = true,
        }
    }

    /// Whether the line is the shell's `exit`, with or without arguments; the line may be known in part only.
    fn ends_the_ioc(&self) -> bool {
        let Ok(line) = std::str::from_utf8(&self.line) else {
            return false;
        };
        let word = line
            .trim_start()
            .split(|character: char| character.is_whitespace() || "(),\"".contains(character))
            .next()
            .unwrap_or_default();
        // After a cursor key the typed part may stand anywhere: the bare word is asked about all the same.
        word == "exit" || (self.unknown && line.trim() == "exit")
    }
}

/// Adds a byte to the last piece that is sent.
fn send(actions: &mut Vec<Action>, byte: u8) {
    if let Some(Action::Send(bytes)) = actions.last_mut() {
        bytes.push(byte);
    } else {
        actions.push(Action::Send(vec![byte]));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(rules: Rules, text: &[u8]) -> Vec<Action> {
        Filter::new(rules).typed(text)
    }

    fn sent(text: &str) -> Action {
        Action::Send(text.as_bytes().to_vec())
    }

    /// What was typed, and what became of it under the default rules.
    #[test]
    fn table() {
        use Action::{Detach, Tell};
        use Notice::{EndOfInputHeld, ExitAsks, ExitGivenUp, InterruptHeld, SignalHeld};
        let table: &[(&str, Vec<Action>)] = &[
            ("dbl\r", vec![sent("dbl\r")]),
            ("\x03", vec![Tell(InterruptHeld)]),
            ("\x04", vec![Tell(EndOfInputHeld)]),
            ("\x1c\x1a", vec![Tell(SignalHeld), Tell(SignalHeld)]),
            ("a\x03b", vec![sent("a"), Tell(InterruptHeld), sent("b")]),
            ("exit\r", vec![sent("exit"), Tell(ExitAsks)]),
            ("exit\ry", vec![sent("exit"), Tell(ExitAsks), sent("\r")]),
            (
                "exit\rn",
                vec![
                    sent("exit"),
                    Tell(ExitAsks),
                    sent("\x15"),
                    Tell(ExitGivenUp),
                ],
            ),
            ("  exit 1\r", vec![sent("  exit 1"), Tell(ExitAsks)]),
            ("exit(0)\r", vec![sent("exit(0)"), Tell(ExitAsks)]),
            ("\"exit\"\r", vec![sent("\"exit\"\r")]),
            ("exitx\r", vec![sent("exitx\r")]),
            ("echo exit\r", vec![sent("echo exit\r")]),
            ("exix\x7ft\r", vec![sent("exix\x7ft"), Tell(ExitAsks)]),
            ("foo\x15exit\r", vec![sent("foo\x15exit"), Tell(ExitAsks)]),
            ("dbl \x17exit\r", vec![sent("dbl \x17exit"), Tell(ExitAsks)]),
            ("\x1b[Aexit\r", vec![sent("\x1b[Aexit"), Tell(ExitAsks)]),
            ("ex\x1b[D\x1b[C\r", vec![sent("ex\x1b[D\x1b[C\r")]),
            ("dbl\x1dmore", vec![sent("dbl"), Detach]),
        ];
        for (text, expected) in table {
            assert_eq!(
                &typed(Rules::default(), text.as_bytes()),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn control_keys_pass_when_allowed() {
        let rules = Rules {
            allow_control: true,
            ..Rules::default()
        };
        assert_eq!(typed(rules, b"\x03\x04"), vec![sent("\x03\x04")]);
    }

    #[test]
    fn read_only_tells_once_and_sends_nothing() {
        let rules = Rules {
            read_only: true,
            ..Rules::default()
        };
        assert_eq!(
            typed(rules, b"dbl\rexit\r"),
            vec![Action::Tell(Notice::ReadOnly)]
        );
    }

    proptest! {
        #[test]
        fn no_typing_ends_the_ioc_without_being_asked(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut filter = Filter::new(Rules::default());
            for action in filter.typed(&text) {
                if let Action::Send(bytes) = action {
                    prop_assert!(!bytes.iter().any(|byte| matches!(byte, 0x03 | 0x04 | 0x1a | 0x1c | 0x1d)));
                }
            }
        }

        #[test]
        fn splitting_the_typing_changes_nothing(text in "[ -~\r\u{3}\u{1b}]{0,40}", at in 0usize..40) {
            let bytes = text.as_bytes();
            let at = at.min(bytes.len());
            let flatten = |actions: Vec<Action>| -> Vec<Action> {
                actions.into_iter().flat_map(|action| match action {
                    Action::Send(bytes) => bytes.into_iter().map(|byte| Action::Send(vec![byte])).collect(),
                    other => vec![other],
                }).collect()
            };
            let whole = flatten(Filter::new(Rules::default()).typed(bytes));
            let mut filter = Filter::new(Rules::default());
            let mut parts = flatten(filter.typed(&bytes[..at]));
            parts.extend(flatten(filter.typed(&bytes[at..])));
            prop_assert_eq!(whole, parts);
        }
    }
}
