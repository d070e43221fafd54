//! Where texts come from: the caller's files, and the rules by which EPICS looks for a name.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What the caller knows about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The file and its text.
    Text(Arc<str>),
    /// The caller knows the folder, and there is no such file in it.
    Missing,
    /// The caller cannot see there (a file inside an image that is not at hand, for example).
    Unknown,
}

/// Files by path. The caller merges what it has: the configuration folder, files of the image.
pub trait Files {
    /// Text of the file at `path`, which is normalised (`.` and `..` resolved) and absolute as
    /// soon as the working directory is.
    fn read(&self, path: &str) -> Lookup;

    /// The directory in which the IOC starts; relative names are looked up from there.
    fn working_directory(&self) -> String {
        String::new()
    }

    /// How the file at `path` comes into being, if the container makes it with `msi` from a
    /// substitution file before the IOC starts. It is then not read with [`Files::read`].
    fn generated(&self, path: &str) -> Option<Generated> {
        let _ = path;
        None
    }
}

/// A database that `msi` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Path of the substitution file.
    pub substitutions: String,
    /// Directories in which `msi` looks for templates (`-I`), in order.
    pub include_path: Vec<String>,
}

/// Files held in memory: those given, and nothing else anywhere.
impl Files for BTreeMap<String, String> {
    fn read(&self, path: &str) -> Lookup {
        self.get(path)
            .map_or(Lookup::Missing, |text| Lookup::Text(text.as_str().into()))
    }
}

/// How the names in `include`, `dbLoadRecords` and their like are turned into paths.
#[derive(Clone)]
pub(crate) struct Search<'a> {
    pub(crate) files: &'a dyn Files,
    pub(crate) directory: String,
    /// Directories for names without a slash. Empty: the working directory.
    pub(crate) path: Vec<String>,
}

/// A name that was looked up.
pub(crate) struct Found {
    /// The path under which it was found, or the first one tried.
    pub(crate) path: Arc<str>,
    pub(crate) lookup: Lookup,
}

impl<'a> Search<'a> {
    pub(crate) fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            directory: files.working_directory(),
            path: Vec::new(),
        }
    }

    /// Sets the search path from a list separated by colons; an empty element is the working
    /// directory.
    pub(crate) fn set_path(&mut self, list: &str) {
        self.path.clear();
        self.add_path(list);
    }

    pub(crate) fn add_path(&mut self, list: &str) {
        for directory in list.split(':').map(str::trim).take(256) {
            let directory = if directory.is_empty() { "." } else { directory };
            self.path.push(directory.to_owned());
        }
    }

    /// Opens a name as it is, from the working directory.
    pub(crate) fn open(&self, name: &str) -> Found {
        let path: Arc<str> = join(&self.directory, name).into();
        Found {
            lookup: self.files.read(&path),
            path,
        }
    }

    /// Looks for a name as `dbOpenFile` does: along the path, unless it holds a slash.
    pub(crate) fn find(&self, name: &str) -> Found {
        if name.contains(['/', '\\']) || self.path.is_empty() {
            return self.open(name);
        }
        self.find_along(name)
    }

    /// Looks for a name as `msi` does: along the path, unless it is absolute.
    pub(crate) fn find_along(&self, name: &str) -> Found {
        if name.starts_with('/') {
            return self.open(name);
        }
        let mut best: Option<Found> = None;
        for directory in &self.path {
            let found = self.open(&format!("{directory}/{name}"));
            match found.lookup {
                Lookup::Text(_) => return found,
                Lookup::Unknown if best.as_ref().is_none_or(|b| b.lookup == Lookup::Missing) => {
                    best = Some(found);
                }
                Lookup::Missing if best.is_none() => best = Some(found),
                Lookup::Unknown | Lookup::Missing => {}
            }
        }
        best.unwrap_or_else(|| self.open(name))
    }
}

/// Joins a directory and a name, and resolves `.` and `..` without looking at any disk.
pub(crate) fn join(directory: &str, name: &str) -> String {
    let whole = if name.starts_with('/') || directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    };
    let absolute = whole.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|&last| last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if absolute {
        format!("/{joined}")
    } else {
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined() {
        for (directory, name, expected) in [
            ("", "a.db", "a.db"),
            ("", "./db/../a.db", "a.db"),
            ("/epics/ioc", "db/a.db", "/epics/ioc/db/a.db"),
            ("/epics/ioc", "../../../a.db", "/a.db"),
            ("/epics/ioc", "/x//y/./z", "/x/y/z"),
            ("config", "../../a.db", "../a.db"),
        ] {
            assert_eq!(join(directory, name), expected, "{directory} {name}");
        }
    }

    #[test]
    fn the_path_is_for_names_without_a_slash() {
        let files = BTreeMap::from([
            ("b/x.db".to_owned(), "2".to_owned()),
            ("x.db".into(), "0".into()),
        ]);
        let mut search = Search::new(&files);
        assert_eq!(&*search.find("x.db").path, "x.db");
        search.set_path("a:b");
        assert_eq!(&*search.find("x.db").path, "b/x.db");
        assert_eq!(&*search.find("./x.db").path, "x.db");
        assert_eq!(search.find("y.db").lookup, Lookup::Missing);
    }
}
