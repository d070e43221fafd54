//! Files of lines that a killed process may have left with half a line at the end.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::database::open_private;

/// How much of the end of a file is searched for what may be given again, in bytes.
pub(crate) const TAIL: u64 = 16 << 20;

/// A file whose last line is whole.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The file; what is written goes to its end.
    pub(crate) file: fs_err::File,
    /// Its bytes.
    pub(crate) length: u64,
    /// The last of its lines, of which the first may be the end of one only.
    pub(crate) tail: Vec<u8>,
}

/// Opens a file for its owner only, and makes it if it is missing; removes half a line at its end, however long. Gives its
/// last bytes too, at most `most` of them.
pub(crate) fn open(path: &Path, most: u64) -> std::io::Result<Lines> {
    let mut file = open_private(path)?;
    let all = file.metadata()?.len();
    let mut length = 0;
    let mut part = Vec::new();
    // backwards, until there is the end of a line
    let mut end = all;
    while end > 0 {
        let begin = end.saturating_sub(most.max(1));
        read(&mut file, begin, end, &mut part)?;
        if let Some(place) = part.iter().rposition(|byte| *byte == b'\n') {
            length = begin + place as u64 + 1;
            break;
        }
        end = begin;
    }
    if length < all {
        file.set_len(length)?;
    }
    read(&mut file, length.saturating_sub(most), length, &mut part)?;
    Ok(Lines {
        file,
        length,
        tail: part,
    })
}

/// Reads a part of a file; the place is behind it then.
fn read(file: &mut fs_err::File, begin: u64, end: u64, part: &mut Vec<u8>) -> std::io::Result<()> {
    part.clear();
    file.seek(SeekFrom::Start(begin))?;
    file.take(end - begin).read_to_end(part)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn half_a_line_goes_however_long_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let rows = [
            ("", "", ""),
            ("one\n", "one\n", "one\n"),
            ("one\ntwo", "one\n", "one\n"),
            ("one\nmuch longer than what is looked at", "one\n", "one\n"),
            ("nothing but half a line, and longer", "", ""),
            ("one\ntwo\nthree\nhalf", "one\ntwo\nthree\n", "wo\nthree\n"),
        ];
        for (text, expected, tail) in rows {
            fs_err::write(&path, text).unwrap();
            let lines = open(&path, 9).unwrap();
            assert_eq!(fs_err::read_to_string(&path).unwrap(), expected, "{text}");
            assert_eq!(lines.length, expected.len() as u64);
            assert_eq!(String::from_utf8(lines.tail).unwrap(), tail);
        }
    }
}
