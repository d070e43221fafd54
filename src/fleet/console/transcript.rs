//! A file that keeps what an attached console showed, with the time of each line.
//!
//! What the IOC echoes of the typed words is among it, so that the file tells who did what; keys that never reached
//! the IOC are not. The file belongs to its owner alone: nobody knows what is typed into a shell.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Zoned;

use crate::fleet::console::output::edited_line;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// A line that does not end is written in pieces of this size, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// An open transcript. Lines are written as soon as they are whole, to the end of a file that may be there already.
pub struct Transcript {
    file: File,
    path: std::path::PathBuf,
    pending: Vec<u8>,
    problem: Option<CommandError>,
}

impl Transcript {
    /// Opens the file and writes who attached to what.
    ///
    /// # Errors
    ///
    /// The file cannot be made or written.
    pub fn open(path: &Path, instance: &str, user: &str) -> CommandResult<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| not_written(path, error))?;
        let mut transcript = Self {
            file,
            path: path.to_owned(),
            pending: Vec::new(),
            problem: None,
        };
        transcript.note(&format!("{user} attached to {instance}"));
        match transcript.problem.take() {
            None => Ok(transcript),
            Some(problem) => Err(problem),
        }
    }

    /// Takes what was shown. Returns why nothing is kept from here on, once, when the file cannot be written any more:
    /// the conversation with the IOC matters more.
    pub fn add(&mut self, bytes: &[u8]) -> Option<String> {
        if self.problem.is_some() {
            return None;
        }
        self.pending.extend_from_slice(bytes);
        let mut lines = Lines::default();
        while let Some(line) = next_line(&mut self.pending) {
            lines.add(&line);
        }
        self.write(&lines.text);
        self.problem.as_ref().map(ToString::to_string)
    }

    /// Writes what is left of a line, and that the console was left.
    ///
    /// # Errors
    ///
    /// Something could not be written.
    pub fn finish(mut self, how: &str) -> CommandResult<()> {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            let mut lines = Lines::default();
            lines.add(&rest);
            self.write(&lines.text);
        }
        self.note(how);
        self.problem.map_or(Ok(()), Err)
    }

    fn note(&mut self, text: &str) {
        let line = format!("{} --- {text}\n", now());
        self.write(&line);
    }

    fn write(&mut self, text: &str) {
        if self.problem.is_none()
            && let Err(error) = self.file.write_all(text.as_bytes())
        {
            self.problem = Some(not_written(&self.path, error));
        }
    }
}

/// Lines with the time at which they became whole.
#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn add(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        self.text
            .push_str(&format!("{} {}\n", now(), edited_line(&line)));
    }
}

/// Takes the first line out of `pending`, without its end; a piece of one that is too long.
fn next_line(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = pending.iter().position(|byte| *byte == b'\n');
    match end {
        Some(end) if end <= LONGEST_LINE => {
            let mut line: Vec<u8> = pending.drain(..=end).collect();
            line.pop();
            Some(line)
        }
        _ if pending.len() > LONGEST_LINE => Some(pending.drain(..LONGEST_LINE).collect()),
        _ => None,
    }
}

fn now() -> String {
    Zoned::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.3f%:z")
        .to_string()
}

fn not_written(path: &Path, error: std::io::Error) -> CommandError {
    CommandError::new(
        ErrorKind::Usage,
        format!("the transcript `{}` cannot be written", path.display()),
    )
    .caused_by(error)
    .hint("name a file in a folder that you may write; the IOC goes on")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn lines_come_whole_and_a_flood_without_ends_in_pieces() {
        let mut pending = b"epics> dbl\r\nT01:A\r\nT0".to_vec();
        assert_eq!(next_line(&mut pending).unwrap(), b"epics> dbl\r");
        assert_eq!(next_line(&mut pending).unwrap(), b"T01:A\r");
        assert_eq!(next_line(&mut pending), None);
        assert_eq!(pending, b"T0");
        let mut pending = vec![b'x'; LONGEST_LINE * 2 + 1];
        assert_eq!(next_line(&mut pending).unwrap().len(), LONGEST_LINE);
        assert_eq!(next_line(&mut pending).unwrap().len(), LONGEST_LINE);
        assert_eq!(next_line(&mut pending), None);
    }

    #[test]
    fn the_file_is_its_owners_and_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.txt");
        for word in ["dbl", "iocstats"] {
            let mut transcript = Transcript::open(&path, "t01-ea-ioc-01", "jane@ws1").unwrap();
            let (first, last) = word.split_at(2);
            assert_eq!(transcript.add(format!("epics> {first}").as_bytes()), None);
            let rest = format!("{last}\r\n\u{1b}[2Jepics> ");
            assert_eq!(transcript.add(rest.as_bytes()), None);
            transcript.finish("left").unwrap();
        }
        let text = fs_err::read_to_string(&path).unwrap();
        let without_times: Vec<&str> = text
            .lines()
            .map(|line| {
                let (time, rest) = line.split_once(' ').unwrap();
                time.parse::<jiff::Timestamp>().unwrap();
                rest
            })
            .collect();
        assert_eq!(
            without_times,
            [
                "--- jane@ws1 attached to t01-ea-ioc-01",
                "epics> dbl",
                "epics> ",
                "--- left",
                "--- jane@ws1 attached to t01-ea-ioc-01",
                "epics> iocstats",
                "epics> ",
                "--- left",
            ]
        );
        let mode = fs_err::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told() {
        let error = Transcript::open(Path::new("/proc/none/x"), "a", "b")
            .err()
            .unwrap();
        assert!(error.to_string().contains("/proc/none/x"), "{error}");
    }

    #[test]
    fn a_full_disk_is_told_once_and_at_the_end() {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut transcript = Transcript {
            file,
            path: "/dev/full".into(),
            pending: Vec::new(),
            problem: None,
        };
        assert_eq!(transcript.add(b"no whole line yet"), None);
        assert!(transcript.add(b"\n").unwrap().contains("/dev/full"));
        assert_eq!(transcript.add(b"more\n"), None);
        assert!(transcript.finish("left").is_err());
    }
}
