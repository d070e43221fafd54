//! What an instance is made of at a commit: its folder, the values that all instances share, and what symbolic links reach
//! from there, through any number of links.
//!
//! Everything is told by the names of git's objects: an object of the same name has the same contents, so nothing but
//! folders and links is ever read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::error::VersionsError;
use super::git::{Entry, Id, Location, Mode, Objects};

/// Folders that hold the instances, the first that exists is taken: as in a working copy.
const INSTANCE_FOLDERS: [&str; 2] = ["services", "iocs"];
/// Longest target of a symbolic link, in bytes.
const LONGEST_TARGET: u64 = 4096;
/// Most links that one path leads through, as on Linux.
const MOST_HOPS: usize = 40;
/// Most folders and links that are looked at for one instance.
const MOST_PARTS: usize = 20_000;
/// Deepest folder that is looked into.
const DEEPEST: usize = 64;

/// What an instance is made of: paths from the root of the git repository, and what is there. A path to nothing is part
/// of it too: the same link that leads nowhere has not changed.
pub(super) type Parts = BTreeMap<String, Option<Found>>;

/// What is at a path.
pub(super) type Found = (Mode, Id);

/// The layout of a services repository at a commit.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Root of the git repository.
    root: Id,
    /// Folder by instance name: path from the root of the git repository, and its object.
    pub(super) instances: BTreeMap<String, (String, Id)>,
    /// The values that all instances share.
    values: Option<String>,
    /// Everything that is not the folder of an instance. When this is the same, an instance with the same folder is.
    pub(super) rest: Arc<Vec<Entry>>,
}

/// An instance at a commit.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    /// What it is made of.
    pub(super) parts: Parts,
    /// A link leads to where [`Layout::rest`] does not look: another instance, or out of the services repository.
    pub(super) is_wide: bool,
}

/// A path after all links, and what is there.
pub(super) type Resolved = (String, Option<Found>);

/// The entries of two folders by name.
type Both<'a> = BTreeMap<&'a str, (Option<Found>, Option<Found>)>;

/// A link: its path, and its target as it is written.
type Links = Arc<Vec<(String, String)>>;

/// Looks into commits; remembers the links of every folder.
pub(super) struct Reader {
    pub(super) objects: Objects,
    links: HashMap<Id, Links>,
}

impl Reader {
    pub(super) fn new(location: &Location) -> Result<Self, VersionsError> {
        Ok(Self {
            objects: location.objects()?,
            links: HashMap::new(),
        })
    }

    /// The folder of the services repository in a commit; `None` when it is not part of it.
    pub(super) fn folder(
        &mut self,
        location: &Location,
        root: Id,
    ) -> Result<Option<Id>, VersionsError> {
        let mut id = root;
        for name in location.prefix.split('/').filter(|name| !name.is_empty()) {
            match self.entry(id, name)? {
                Some((Mode::Folder, inner)) => id = inner,
                _ => return Ok(None),
            }
        }
        Ok(Some(id))
    }

    /// Reads the folders that [`Self::layout`] looks into for each of `roots`, all of one depth at once.
    pub(super) fn layouts_ahead(
        &mut self,
        location: &Location,
        roots: &[Id],
    ) -> Result<(), VersionsError> {
        let mut folders = roots.to_vec();
        for name in location.prefix.split('/').filter(|name| !name.is_empty()) {
            self.objects.trees_ahead(&folders)?;
            folders = self.inside(&folders, |entry| entry == name);
        }
        self.objects.trees_ahead(&folders)?;
        let services = self.inside(&folders, |entry| INSTANCE_FOLDERS.contains(&entry));
        self.objects.trees_ahead(&services)?;
        let instances = self.inside(&services, |entry| !entry.starts_with('.'));
        self.objects.trees_ahead(&instances)
    }

    /// The folders inside of folders that were read already.
    fn inside(&self, folders: &[Id], is_wanted: impl Fn(&str) -> bool) -> Vec<Id> {
        let mut found = HashSet::new();
        let mut inside = Vec::new();
        for entries in folders.iter().filter_map(|id| self.objects.known_tree(*id)) {
            for entry in entries {
                if entry.mode == Mode::Folder && is_wanted(&entry.name) && found.insert(entry.id) {
                    inside.push(entry.id);
                }
            }
        }
        inside
    }

    /// Which instances there are, or `None` when the folder is no services repository at this commit.
    pub(super) fn layout(
        &mut self,
        location: &Location,
        root: Id,
    ) -> Result<Option<Layout>, VersionsError> {
        let Some(folder) = self.folder(location, root)? else {
            return Ok(None);
        };
        let inside = |name: &str| joined(&location.prefix, name);
        let entries = self.objects.tree(folder)?;
        let services = INSTANCE_FOLDERS.iter().find_map(|name| {
            let entry = entries.iter().find(|entry| entry.name == *name)?;
            (entry.mode == Mode::Folder).then_some(entry)
        });
        let Some(services) = services else {
            return self.single_chart(location, root, folder);
        };
        let path = inside(&services.name);
        let mut rest: Vec<Entry> = entries
            .iter()
            .filter(|entry| entry.name != services.name)
            .cloned()
            .collect();
        let mut instances = BTreeMap::new();
        let mut values = None;
        for entry in self.objects.tree(services.id)?.iter() {
            if entry.mode == Mode::Folder && !entry.name.starts_with('.') {
                if self.is_chart(entry.id)? {
                    let folder = joined(&path, &entry.name);
                    instances.insert(entry.name.to_lowercase(), (folder, entry.id));
                    continue;
                }
            } else if entry.name == "values.yaml" {
                values = Some(joined(&path, &entry.name));
            } else if entry.mode == Mode::Link && !entry.name.starts_with('.') {
                let folder = joined(&path, &entry.name);
                let found = self.resolved(root, &folder, &mut Parts::new())?;
                if let Some((_, Some((Mode::Folder, id)))) = found
                    && self.is_chart(id)?
                {
                    instances.insert(entry.name.to_lowercase(), (folder, entry.id));
                }
            }
            let name = joined(&services.name, &entry.name);
            rest.push(Entry {
                name,
                ..entry.clone()
            });
        }
        Ok(Some(Layout {
            root,
            instances,
            values,
            rest: Arc::new(rest),
        }))
    }

    /// A chart folder by itself is a repository of one instance.
    fn single_chart(
        &mut self,
        location: &Location,
        root: Id,
        folder: Id,
    ) -> Result<Option<Layout>, VersionsError> {
        let mut instances = BTreeMap::new();
        if !self.is_chart(folder)? {
            return Ok(None);
        }
        let (above, name) = match location.prefix.rsplit_once('/') {
            Some((above, name)) => (above, name),
            None if location.prefix.is_empty() => ("", location.name.as_str()),
            None => ("", location.prefix.as_str()),
        };
        instances.insert(name.to_lowercase(), (location.prefix.clone(), folder));
        // the folder of one instance of a repository still has that repository's shared values
        let shared = joined(above, "values.yaml");
        let is_inside = INSTANCE_FOLDERS.contains(&above.rsplit('/').next().unwrap_or_default());
        let values = if is_inside && self.look(root, &shared)?.is_some() {
            Some(shared)
        } else {
            None
        };
        Ok(Some(Layout {
            root,
            instances,
            values,
            // anything may be shared: it is looked at each time
            rest: Arc::new(self.objects.tree(root)?.to_vec()),
        }))
    }

    fn is_chart(&mut self, folder: Id) -> Result<bool, VersionsError> {
        Ok(matches!(
            self.entry(folder, "Chart.yaml")?,
            Some((Mode::File | Mode::Executable | Mode::Link, _))
        ))
    }

    fn entry(&mut self, folder: Id, name: &str) -> Result<Option<Found>, VersionsError> {
        let entries = self.objects.tree(folder)?;
        let found = entries.iter().find(|entry| entry.name == name);
        Ok(found.map(|entry| (entry.mode, entry.id)))
    }

    /// What is at a path, no link being followed.
    fn look(&mut self, root: Id, path: &str) -> Result<Option<Found>, VersionsError> {
        let mut found = (Mode::Folder, root);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            if found.0 != Mode::Folder {
                return Ok(None);
            }
            match self.entry(found.1, name)? {
                Some(next) => found = next,
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// What an instance is made of.
    pub(super) fn reached(
        &mut self,
        location: &Location,
        layout: &Layout,
        folder: &str,
    ) -> Result<Reached, VersionsError> {
        let mut reached = Reached {
            parts: Parts::new(),
            is_wide: false,
        };
        let mut open = vec![folder.to_owned()];
        open.extend(layout.values.clone());
        while let Some(path) = open.pop() {
            if reached.parts.len() > MOST_PARTS {
                break;
            }
            if is_below_a_part(&path, &reached.parts) {
                continue;
            }
            let Some((path, found)) = self.resolved(layout.root, &path, &mut reached.parts)? else {
                reached.is_wide = true;
                continue;
            };
            reached.is_wide |= !is_in_rest(&path, location, folder, layout);
            reached.parts.insert(path.clone(), found);
            if let Some((Mode::Folder, id)) = found {
                for (link, target) in self.links(id, 0)?.iter() {
                    let link = joined(&path, link);
                    open.extend(target_of(&link, target));
                }
            }
        }
        Ok(reached)
    }

    /// Follows links until something else is there; the links are parts themselves. `None` leaves the repository, or goes
    /// round in circles.
    pub(super) fn resolved(
        &mut self,
        root: Id,
        path: &str,
        parts: &mut Parts,
    ) -> Result<Option<Resolved>, VersionsError> {
        let mut wanted = path.to_owned();
        for _ in 0..MOST_HOPS {
            let mut found = (Mode::Folder, root);
            let mut here = String::new();
            let mut rest = wanted.split('/').filter(|name| !name.is_empty());
            let mut followed = None;
            while let Some(name) = rest.next() {
                if found.0 != Mode::Folder {
                    return Ok(Some((wanted, None)));
                }
                here = joined(&here, name);
                let Some(next) = self.entry(found.1, name)? else {
                    return Ok(Some((wanted, None)));
                };
                if next.0 == Mode::Link {
                    parts.insert(here.clone(), Some(next));
                    let after: Vec<&str> = rest.collect();
                    let Some(target) = self
                        .target(next.1)?
                        .and_then(|target| target_of(&here, &target))
                    else {
                        return Ok(None);
                    };
                    followed = Some(after.iter().fold(target, |path, name| joined(&path, name)));
                    break;
                }
                found = next;
            }
            match followed {
                Some(next) => wanted = next,
                None => return Ok(Some((wanted, Some(found)))),
            }
        }
        Ok(None)
    }

    fn target(&mut self, id: Id) -> Result<Option<String>, VersionsError> {
        let target = self.objects.file(id, LONGEST_TARGET)?;
        Ok(target.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The links below a folder; remembered.
    fn links(&mut self, folder: Id, depth: usize) -> Result<Links, VersionsError> {
        if let Some(links) = self.links.get(&folder) {
            return Ok(Arc::clone(links));
        }
        let mut links = Vec::new();
        for entry in self.objects.tree(folder)?.iter() {
            if links.len() > MOST_PARTS {
                break;
            }
            match entry.mode {
                Mode::Link => {
                    if let Some(target) = self.target(entry.id)? {
                        links.push((entry.name.clone(), target));
                    }
                }
                Mode::Folder if depth < DEEPEST => {
                    for (path, target) in self.links(entry.id, depth + 1)?.iter() {
                        links.push((joined(&entry.name, path), target.clone()));
                    }
                }
                _ => {}
            }
        }
        let links = Arc::new(links);
        self.links.insert(folder, Arc::clone(&links));
        Ok(links)
    }

    /// The files that differ between two states of the same thing, at most `most` of them.
    pub(super) fn changed_files(
        &mut self,
        before: &Parts,
        after: &Parts,
        most: usize,
    ) -> Result<Vec<String>, VersionsError> {
        let mut changed = Vec::new();
        for path in before
            .keys()
            .chain(after.keys().filter(|path| !before.contains_key(*path)))
        {
            let (old, new) = (
                before.get(path).copied().flatten(),
                after.get(path).copied().flatten(),
            );
            self.differences(path, old, new, most, 0, &mut changed)?;
        }
        changed.sort();
        changed.dedup();
        Ok(changed)
    }

    fn differences(
        &mut self,
        path: &str,
        old: Option<Found>,
        new: Option<Found>,
        most: usize,
        depth: usize,
        changed: &mut Vec<String>,
    ) -> Result<(), VersionsError> {
        if old == new || changed.len() >= most {
            return Ok(());
        }
        let entries = |found: Option<Found>, reader: &mut Self| match found {
            Some((Mode::Folder, id)) if depth < DEEPEST => reader.objects.tree(id).map(Some),
            _ => Ok(None),
        };
        let (old_entries, new_entries) = (entries(old, self)?, entries(new, self)?);
        if old_entries.is_none() && new_entries.is_none() {
            changed.push(path.to_owned());
            return Ok(());
        }
        let is_a_file = |found: Option<Found>| found.is_some_and(|(mode, _)| mode != Mode::Folder);
        if is_a_file(old) || is_a_file(new) {
            changed.push(path.to_owned());
        }
        let mut both = Both::new();
        for entry in old_entries.iter().flat_map(|entries| entries.iter()) {
            both.entry(&entry.name).or_default().0 = Some((entry.mode, entry.id));
        }
        for entry in new_entries.iter().flat_map(|entries| entries.iter()) {
            both.entry(&entry.name).or_default().1 = Some((entry.mode, entry.id));
        }
        for (name, (old, new)) in both {
            self.differences(&joined(path, name), old, new, most, depth + 1, changed)?;
        }
        Ok(())
    }
}

/// Whether [`Layout::rest`] and the folder of the instance together tell when something at a path changes.
fn is_in_rest(path: &str, location: &Location, folder: &str, layout: &Layout) -> bool {
    if is_below(path, folder) {
        return true;
    }
    let other = layout
        .instances
        .values()
        .any(|(other, _)| is_below(path, other) || is_below(other, path));
    !other && is_below(path, &location.prefix)
}

/// Whether a part covers the path already, so that its links are known.
fn is_below_a_part(path: &str, parts: &Parts) -> bool {
    if parts.contains_key("") {
        return true;
    }
    let mut end = path.len();
    loop {
        if let Some(Some((mode, _))) = parts.get(&path[..end]) {
            // what is behind a link is not yet known
            return *mode != Mode::Link;
        }
        match path[..end].rfind('/') {
            Some(slash) => end = slash,
            None => return false,
        }
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else if name.is_empty() {
        folder.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// Where a link leads, as a path from the root of the git repository; `None` leaves it.
fn target_of(link: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut path: Vec<&str> = link.split('/').collect();
    path.pop();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            name => path.push(name),
        }
    }
    Some(path.join("/"))
}
