//! Paths of the alarm tree, such as `/Accelerator/Vacuum/SR:PRESSURE`.

use std::fmt;

/// Longest path that is accepted, in bytes: longer ones come from mistakes, and Kafka keys should stay short.
pub const LONGEST_PATH: usize = 4096;

/// Place of an item in the tree: the names from the root down, at least one.
///
/// On the wire names are separated by `/`; a `/` inside a name is written `\/`. Empty names do not exist: `///a//b`
/// is `/a/b`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlarmPath {
    names: Vec<String>,
}

/// Why a text is no path, or a name cannot stand in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing but separators.
    #[error("a path needs at least the name of the root")]
    Empty,
    /// A name of an item that begins with two slashes: Phoebus refuses it.
    #[error("the name `{0}` begins with `//`")]
    Slashes(String),
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
        Ok(Self {
            names: vec![name.to_owned()],
        })
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
        let mut names = Vec::new();
        let mut name = String::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if characters.peek() == Some(&'/') => {
                    characters.next();
                    name.push('/');
                }
                '/' => {
                    if !name.is_empty() {
                        names.push(std::mem::take(&mut name));
                    }
                }
                other => name.push(other),
            }
        }
        if !name.is_empty() {
            names.push(name);
        }
        if names.is_empty() {
            return Err(PathError::Empty);
        }
        Ok(Self { names })
    }

    /// The path of an item below this one.
    ///
    /// # Errors
    ///
    /// An empty name, one that begins with `//`, or a path that gets too long.
    pub fn child(&self, name: &str) -> Result<Self, PathError> {
        check(name)?;
        let mut names = self.names.clone();
        names.push(name.to_owned());
        let path = Self { names };
        let length = path.to_string().len();
        if length > LONGEST_PATH {
            return Err(PathError::TooLong(length));
        }
        Ok(path)
    }

    /// The item above; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_last, names) = self.names.split_last()?;
        if names.is_empty() {
            return None;
        }
        Some(Self {
            names: names.to_vec(),
        })
    }

    /// The name of the item: for a leaf, the PV.
    pub fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// The names from the root down.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The name of the root, which is the name of the configuration.
    pub fn configuration(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// How many names it has; the root has one.
    pub fn depth(&self) -> usize {
        self.names.len()
    }

    /// Whether this is `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.names.starts_with(&other.names)
    }
}

fn check(name: &str) -> Result<(), PathError> {
    if name.is_empty() {
        return Err(PathError::Empty);
    }
    if name.starts_with("//") {
        return Err(PathError::Slashes(name.to_owned()));
    }
    Ok(())
}

impl fmt::Display for AlarmPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.names {
            formatter.write_str("/")?;
            let mut rest = name.as_str();
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
