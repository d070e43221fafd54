//! The two commands that `msi` knows in a template: `include "file"` and `substitute "A=1"`.
//!
//! They stand on a line of their own and are gone when the IOC reads the result.

/// A command line of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'t> {
    Include(&'t str),
    Substitute(&'t str),
}

/// The command on a line, if it is one; all other lines are text.
pub(super) fn command(line: &str) -> Option<Command<'_>> {
    let line = line.trim_start();
    let (include, rest) = match line.strip_prefix("include") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix("substitute")?),
    };
    let inside = rest.trim_start().strip_prefix('"')?;
    let bytes = inside.as_bytes();
    let mut end = 0;
    while *bytes.get(end)? != b'"' {
        end += if bytes[end] == b'\\' && bytes.get(end + 1) == Some(&b'"') {
            2
        } else {
            1
        };
    }
    let after = inside[end + 1..].trim_start_matches(' ');
    if !after.is_empty() {
        return None;
    }
    let inside = &inside[..end];
    Some(if include {
        Command::Include(inside)
    } else {
        Command::Substitute(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_text() {
        for (line, expected) in [
            ("include \"a.db\"", Some(Command::Include("a.db"))),
            (
                "  substitute \"A=1,B=2\"  ",
                Some(Command::Substitute("A=1,B=2")),
            ),
            (
                "substitute \"A=\\\"x\\\"\"",
                Some(Command::Substitute("A=\\\"x\\\"")),
            ),
            ("include \"a.db\" # no", None),
            ("include a.db", None),
            ("include \"a.db", None),
            ("info(x, \"include\")", None),
        ] {
            assert_eq!(command(line), expected, "{line}");
        }
    }
}
