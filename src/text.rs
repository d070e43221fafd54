//! Reading text files that people wrote, with bounds and errors that name the file.

use std::io::Read;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Place};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Reads a text file of at most `limit` bytes.
///
/// # Errors
///
/// Not found when it does not exist; an input error when it is larger or not UTF-8 (with the line of the first
/// wrong byte); otherwise why it cannot be read.
pub fn read(path: &Path, limit: usize) -> CommandResult<String> {
    let file = fs_err::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            CommandError::not_found(format!("there is no file `{}`", path.display()))
        }
        _ => CommandError::from(error),
    })?;
    let mut bytes = Vec::new();
    let more_than_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(more_than_limit).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(CommandError::from_diagnostic(
            ErrorKind::Input,
            Diagnostic::error(format!("the file has more than {limit} bytes")).in_file(path),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = String::from_utf8_lossy(valid).matches('\n').count() + 1;
        let mut place = Place::file(path);
        place.line = line;
        CommandError::from_diagnostic(
            ErrorKind::Input,
            Diagnostic::error("the file is not text in UTF-8")
                .at(place)
                .hint("is it a binary file, or text in another encoding? `iconv -f latin1 -t utf-8` converts it"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_byte_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("st.cmd");
        fs_err::write(&path, b"one\ntwo\n\xff").unwrap();
        let error = read(&path, 100).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert_eq!(error.diagnostics()[0].place.as_ref().unwrap().line, 3);
        assert_eq!(read(&path, 5).unwrap_err().kind(), ErrorKind::Input);
    }
}
