//! Lines of a log, put together from the pieces in which the engine sends them. Pure.

use jiff::Timestamp;

/// Longest line that is kept together, in bytes; a longer one is cut so that memory stays bounded.
pub const LONGEST_LINE: usize = 64 * 1024;

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the engine got it; `None` when the engine gave no time.
    pub time: Option<Timestamp>,
    /// The text without line end, not yet safe for a terminal.
    pub text: String,
}

/// Puts pieces together to lines; each line begins with the engine's timestamp and a blank.
#[derive(Debug, Default)]
pub struct LineBuffer {
    pending: Vec<u8>,
    returns_end_lines: bool,
}

impl LineBuffer {
    /// For Podman, which leaves out the line end before a last line that has none itself: a carriage return is
    /// all that parts the two.
    pub fn of_podman() -> Self {
        Self {
            returns_end_lines: true,
            ..Self::default()
        }
    }

    /// Takes a piece and gives the lines that are complete.
    pub fn push(&mut self, piece: &[u8]) -> Vec<LogLine> {
        let mut lines = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(part);
            let complete = self.pending.last() == Some(&b'\n');
            if complete || self.pending.len() >= LONGEST_LINE {
                self.take(&mut lines);
            }
        }
        lines
    }

    fn take(&mut self, lines: &mut Vec<LogLine>) {
        let line = parse(&std::mem::take(&mut self.pending));
        match line.text.rsplit_once('\r') {
            Some((text, last)) if self.returns_end_lines => {
                let time = line.time;
                lines.extend([text, last].map(|text| LogLine {
                    time,
                    text: text.to_owned(),
                }));
            }
            _ => lines.push(line),
        }
    }

    /// What is left when the stream has ended.
    pub fn finish(&mut self) -> Option<LogLine> {
        (!self.pending.is_empty()).then(|| parse(&std::mem::take(&mut self.pending)))
    }
}

fn parse(bytes: &[u8]) -> LogLine {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    if let Some((time, rest)) = text.split_once(' ')
        && let Ok(time) = time.parse::<Timestamp>()
    {
        return LogLine {
            time: Some(time),
            text: rest.to_owned(),
        };
    }
    // An empty line is the time alone.
    match text.parse::<Timestamp>() {
        Ok(time) => LogLine {
            time: Some(time),
            text: String::new(),
        },
        Err(_not_a_time) => LogLine {
            time: None,
            text: text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_become_lines_with_times() {
        let mut buffer = LineBuffer::default();
        let mut lines = buffer.push(b"2026-11-22T10:00:00.5Z star");
        lines.extend(
            buffer.push(b"ting\r\n2026-11-22T10:00:01Z \n2026-11-22T10:00:02Z\nno time\nrest"),
        );
        lines.extend(buffer.finish());
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["starting", "", "", "no time", "rest"]);
        assert_eq!(
            lines[0].time,
            Some("2026-11-22T10:00:00.5Z".parse().unwrap())
        );
        assert_eq!(lines[3].time, None);
    }

    #[test]
    fn the_last_line_of_podman_is_a_line_of_its_own() {
        let mut buffer = LineBuffer::of_podman();
        let lines = buffer.push(b"2026-11-22T10:00:00Z complete\rioc > \n");
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["complete", "ioc > "]);
        assert_eq!(lines[0].time, lines[1].time);
        // a progress bar of Docker's stays one line
        let lines = LineBuffer::default().push(b"2026-11-22T10:00:00Z 10%\r20%\n");
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn a_line_without_end_does_not_grow_without_bound() {
        let mut buffer = LineBuffer::default();
        let piece = vec![b'x'; 10_000];
        let lines: usize = (0..20).map(|_| buffer.push(&piece).len()).sum();
        assert!(lines >= 2);
        assert!(buffer.pending.len() < LONGEST_LINE);
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_does_not_matter(text in "([a-z ]{0,8}\r?\n){0,6}[a-z]{0,3}", at in 0usize..60) {
            let bytes = text.as_bytes();
            let at = at.min(bytes.len());
            let collect = |pieces: &[&[u8]]| {
                let mut buffer = LineBuffer::default();
                let mut lines: Vec<LogLine> = pieces.iter().flat_map(|piece| buffer.push(piece)).collect();
                lines.extend(buffer.finish());
                lines
            };
            prop_assert_eq!(collect(&[bytes]), collect(&[&bytes[..at], &bytes[at..]]));
        }
    }
}
