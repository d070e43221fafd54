//! Removes the negotiation of a telnet stream, which procServ speaks. Pure.

/// Begins a command.
const COMMAND: u8 = 255;
/// Ends a subnegotiation.
const END: u8 = 240;
/// Begins one.
const SUBNEGOTIATION: u8 = 250;

/// Where in a command the stream is; it may be cut anywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Command,
    Option,
    Subnegotiation,
    SubnegotiationCommand,
}

/// A stream from procServ.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    state: State,
}

impl Filter {
    /// The text among the bytes.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Text, COMMAND) => State::Command,
                (State::Text, byte) => {
                    // a carriage return that ends no line is followed by a zero
                    if byte != 0 {
                        text.push(byte);
                    }
                    State::Text
                }
                // a doubled one is the byte itself, which no text has
                (State::Command, SUBNEGOTIATION) => State::Subnegotiation,
                (State::Command, 251..=254) => State::Option,
                (State::Command | State::Option, _) | (State::SubnegotiationCommand, END) => {
                    State::Text
                }
                (State::Subnegotiation, COMMAND) => State::SubnegotiationCommand,
                (State::Subnegotiation | State::SubnegotiationCommand, _) => State::Subnegotiation,
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_passes_wherever_the_stream_is_cut() {
        let stream = b"\xff\xfb\x01\xff\xfd\x1fepics> \xff\xfa\x18\x01\xff\xf0dbl\r\0\n\xff\xf1end";
        for cut in 0..stream.len() {
            let mut filter = Filter::default();
            let mut text = filter.pass(&stream[..cut]);
            text.extend(filter.pass(&stream[cut..]));
            assert_eq!(text, b"epics> dbl\r\nend", "{cut}");
        }
    }
}
