//! Paths of the alarm tree, such as `/Accelerator/Vacuum/SR:PRESSURE`.

use std::fmt;
use std::sync::Arc;

/// Longest path that is accepted, in bytes: longer ones come from mistakes, and Kafka keys should stay short.
pub const LONGEST_PATH: usize = 4096;

/// Place of an item in the tree: the names from the root down, at least one.
///
/// On the wire names are separated by `/`; a `/` inside a name is written `\/`. Empty names do not exist: `///a//b`
/// is `/a/b`. A copy costs no memory; the order is that of the names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlarmPath {
    /// The names with [`BETWEEN`] between them.
    names: Arc<str>,
}

/// Stands between the names in memory. No name has it, and it sorts before everything that names have.
const BETWEEN: char = '\0';

/// Why a text is no path, or a name cannot stand in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing but separators.
    #[error("a path needs at least the name of the root")]
    Empty,
    /// A name of an item that begins with two slashes: Phoebus refuses it.
    #[error("the name `{0}` begins with `//`")]
    Slashes(String),
    /// A name with a NUL character, which no PV has.
    #[error("a name has a NUL character")]
    Nul,
    /// More than [`LONGEST_PATH`] bytes.
    #[error("the path has {0} bytes, at most {LONGEST_PATH} are possible")]
    TooLong(usize),
}

impl AlarmPath {
    /// The root of a configuration.
    ///
    /// # Errors
    ///
    /// As [`AlarmPath::child`].
    pub fn root(name: &str) -> Result<Self, PathError> {
        check(name)?;
        Ok(Self { names: name.into() })
    }

    /// Reads a path. The leading `/` may be missing.
    ///
    /// # Errors
    ///
    /// A text without a name, or one that is too long.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > LONGEST_PATH {
            return Err(PathError::TooLong(text.len()));
        }
        if text.contains(BETWEEN) {
            return Err(PathError::Nul);
        }
        let mut names = String::with_capacity(text.len());
        let mut is_begun = false;
        let mut characters = text.chars().peekable();
        while let Some(mut character) = characters.next() {
            if character == '/' {
                is_begun = false;
                continue;
            }
            if character == '\\' && characters.peek() == Some(&'/') {
                characters.next();
                character = '/';
            }
            if !is_begun && !names.is_empty() {
                names.push(BETWEEN);
            }
            is_begun = true;
            names.push(character);
        }
        if names.is_empty() {
            return Err(PathError::Empty);
        }
        Ok(Self {
            names: names.into(),
        })
    }

    /// The path of an item below this one.
    ///
    /// # Errors
    ///
    /// An empty name, one that begins with `//`, or a path that gets too long.
    pub fn child(&self, name: &str) -> Result<Self, PathError> {
        check(name)?;
        let path = Self {
            names: format!("{}{BETWEEN}{name}", self.names).into(),
        };
        let slashes = path.names.bytes().filter(|byte| *byte == b'/').count();
        // one more for the slash in front
        let length = path.names.len() + slashes + 1;
        if length > LONGEST_PATH {
            return Err(PathError::TooLong(length));
        }
        Ok(path)
    }

    /// The item above; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (names, _last) = self.names.rsplit_once(BETWEEN)?;
        Some(Self {
            names: names.into(),
        })
    }

    /// The name of the item: for a leaf, the PV.
    pub fn name(&self) -> &str {
        self.names.rsplit(BETWEEN).next().unwrap_or_default()
    }

    /// The name of the item without a copy of it: the text that has it, and where it begins.
    pub(crate) fn shared_name(&self) -> (Arc<str>, usize) {
        (self.names.clone(), self.names.len() - self.name().len())
    }

    /// The names from the root down.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.split(BETWEEN)
    }

    /// The name of the root, which is the name of the configuration.
    pub fn configuration(&self) -> &str {
        self.names.split(BETWEEN).next().unwrap_or_default()
    }

    /// How many names it has; the root has one.
    pub fn depth(&self) -> usize {
        self.names().count()
    }

    /// Whether this is `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.names
            .strip_prefix(&*other.names)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(BETWEEN))
    }
}

fn check(name: &str) -> Result<(), PathError> {
    if name.is_empty() {
        return Err(PathError::Empty);
    }
    if name.starts_with("//") {
        return Err(PathError::Slashes(name.to_owned()));
    }
    if name.contains(BETWEEN) {
        return Err(PathError::Nul);
    }
    Ok(())
}

impl fmt::Display for AlarmPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in self.names() {
            formatter.write_str("/")?;
            let mut rest = name;
            while let Some(slash) = rest.find('/') {
                formatter.write_str(&rest[..slash])?;
                formatter.write_str("\\/")?;
                rest = &rest[slash + 1..];
            }
            formatter.write_str(rest)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_and_empty_names() {
        let rows: [(&str, &str, &[&str]); 6] = [
            ("/path/to/pv", "/path/to/pv", &["path", "to", "pv"]),
            ("///path//to", "/path/to", &["path", "to"]),
            ("Trace/A/x", "/Trace/A/x", &["Trace", "A", "x"]),
            (
                r"/path/to/sim:\/\/sine",
                r"/path/to/sim:\/\/sine",
                &["path", "to", "sim://sine"],
            ),
            (r"/a\b/c", r"/a\b/c", &[r"a\b", "c"]),
            ("/a/b/", "/a/b", &["a", "b"]),
        ];
        for (text, written, names) in rows {
            let path = AlarmPath::parse(text).unwrap();
            assert_eq!(path.to_string(), written);
            assert_eq!(path.names().collect::<Vec<_>>(), names);
        }
        assert_eq!(AlarmPath::parse("//"), Err(PathError::Empty));
        assert_eq!(
            AlarmPath::parse(&"x".repeat(LONGEST_PATH + 1)),
            Err(PathError::TooLong(LONGEST_PATH + 1))
        );
    }

    #[test]
    fn a_name_with_two_slashes_is_refused() {
        let root = AlarmPath::root("Demo").unwrap();
        assert_eq!(root.child("//x"), Err(PathError::Slashes("//x".to_owned())));
        assert_eq!(root.child("sim://sine").unwrap().name(), "sim://sine");
        assert_eq!(root.parent(), None);
    }

    #[test]
    fn a_path_is_within_its_parents_only() {
        let area = AlarmPath::parse("/X/a").unwrap();
        assert!(AlarmPath::parse("/X/a/b").unwrap().is_within(&area));
        assert!(area.is_within(&area));
        assert!(!AlarmPath::parse("/X/ab").unwrap().is_within(&area));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(names in proptest::collection::vec("[a-zA-Z:_.{}=]([a-z/]{0,6}[a-z])?", 1..6)) {
            let mut path = AlarmPath::root(&names[0]).unwrap();
            for name in &names[1..] {
                path = path.child(name).unwrap();
            }
            prop_assert_eq!(AlarmPath::parse(&path.to_string()).unwrap(), path);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Ok(path) = AlarmPath::parse(&text) {
                prop_assert!(path.depth() > 0);
                prop_assert!(path.names().all(|name| !name.is_empty()));
            }
        }
    }
}
