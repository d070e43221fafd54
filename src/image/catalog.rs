//! All images and recipes of a project, read from its folder.
//!
//! Reading goes on after a mistake: each image and recipe carries its own findings, so that a broken one is
//! in the way only of what is built on it. How images and modules hang together is seen by
//! [`super::chain`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Place};
use crate::image::definition::{Base, ImageDefinition};
use crate::image::dockerfile::Dockerfile;
use crate::image::recipe::Recipe;
use crate::image::{check, name};
use crate::source::Source;
use crate::yaml::{self, Spanned};

/// Folder of the recipes inside the folder of the images.
pub const MODULES: &str = "modules";

/// Folder of the start and liveness scripts and of the console program.
pub const SCRIPTS: &str = "scripts";

/// All images and recipes of a project.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The folder that was read.
    pub folder: PathBuf,
    images: BTreeMap<String, Entry<Image>>,
    modules: BTreeMap<String, Entry<Module>>,
}

/// What was read of one file, and what is wrong with it.
#[derive(Debug)]
struct Entry<T> {
    value: Option<T>,
    findings: Vec<Diagnostic>,
}

/// A text file with the name that the user knows it by.
#[derive(Debug, Clone)]
pub struct DefinitionFile {
    /// Where it is.
    pub path: PathBuf,
    /// As the user would name it.
    pub shown: PathBuf,
    /// Its text.
    pub text: String,
}

impl DefinitionFile {
    /// Where a value stands.
    pub fn place<T>(&self, value: &Spanned<T>) -> Place {
        yaml::place_of(&self.shown, &self.text, value)
    }

    /// The folder that paths in it are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

/// One image of the project.
#[derive(Debug)]
pub struct Image {
    /// Name of its folder.
    pub name: String,
    /// What its folder holds.
    pub content: Content,
    /// The file that describes it.
    pub file: DefinitionFile,
}

/// How an image is described.
#[derive(Debug)]
pub enum Content {
    /// By an `image.yaml`.
    Definition(Box<ImageDefinition>),
    /// By its own Dockerfile with the stages `developer` and `runtime`.
    Dockerfile(Dockerfile),
}

impl Image {
    /// What it is built on.
    pub fn base(&self) -> Base {
        match &self.content {
            Content::Definition(definition) => Base::parse(&definition.base.value),
            Content::Dockerfile(dockerfile) => dockerfile.base.clone(),
        }
    }

    /// The line that names its base.
    pub fn base_place(&self) -> Place {
        match &self.content {
            Content::Definition(definition) => self.file.place(&definition.base),
            Content::Dockerfile(dockerfile) => dockerfile.base_place(&self.file),
        }
    }

    /// One line about it.
    pub fn description(&self) -> &str {
        match &self.content {
            Content::Definition(definition) => &definition.description,
            Content::Dockerfile(_) => "built from its own Dockerfile",
        }
    }

    /// Whether IOC instances can run it.
    pub fn is_ioc(&self) -> bool {
        match &self.content {
            Content::Definition(definition) => definition.application.is_some(),
            Content::Dockerfile(_) => true,
        }
    }

    /// Its definition, unless it brings its own Dockerfile.
    pub fn definition(&self) -> Option<&ImageDefinition> {
        match &self.content {
            Content::Definition(definition) => Some(definition),
            Content::Dockerfile(_) => None,
        }
    }
}

/// One support module of the project.
#[derive(Debug)]
pub struct Module {
    /// Name of its recipe file without the ending.
    pub name: String,
    /// The recipe.
    pub recipe: Recipe,
    /// The recipe's file.
    pub file: DefinitionFile,
}

impl Module {
    /// Where it is in the image.
    pub fn folder(&self) -> String {
        match &self.recipe.folder {
            Some(folder) => folder.value.clone(),
            None => format!("/epics/support/{}", self.name),
        }
    }

    /// The macros that `RELEASE` files know it by; never empty.
    pub fn macros(&self) -> Vec<String> {
        match &self.recipe.macros {
            Some(macros) => macros.iter().map(|each| each.value.clone()).collect(),
            None => vec![self.name.to_ascii_uppercase().replace('-', "_")],
        }
    }

    /// Its version for people.
    pub fn version(&self) -> String {
        if let Some(version) = &self.recipe.version {
            return version.clone();
        }
        match &self.recipe.source.value {
            Source::Git(git) => git.tag.to_string(),
            Source::Debian(debian) => debian.version.to_string(),
            Source::Archive(_) | Source::Path(_) => String::new(),
        }
    }

    /// Folders with databases, templates and request files, relative to the module.
    pub fn databases(&self) -> Vec<String> {
        match &self.recipe.databases {
            Some(folders) => folders.iter().map(|each| each.value.clone()).collect(),
            None => vec!["db".to_owned()],
        }
    }

    /// Whether its source is a folder of the project, which is worked on.
    pub fn is_local(&self) -> bool {
        matches!(self.recipe.source.value, Source::Path(_))
    }
}

impl Catalog {
    /// Reads all images and recipes below `folder`; `shown` is what the user calls that folder.
    ///
    /// # Errors
    ///
    /// The folder does not exist or cannot be listed.
    pub fn load(folder: &Path, shown: &Path) -> std::io::Result<Self> {
        let mut catalog = Self {
            folder: folder.to_path_buf(),
            ..Self::default()
        };
        for name in names_in(folder)? {
            if let Some(entry) = read_image(folder, shown, &name) {
                catalog.images.insert(name, entry);
            }
        }
        let modules = folder.join(MODULES);
        if modules.is_dir() {
            for file in names_in(&modules)? {
                if let Some(name) = file.strip_suffix(".yaml") {
                    let entry = read_module(folder, shown, name);
                    catalog.modules.insert(name.to_owned(), entry);
                }
            }
        }
        Ok(catalog)
    }

    /// Names of all images, also of those with mistakes, sorted.
    pub fn image_names(&self) -> impl Iterator<Item = &str> {
        self.images.keys().map(String::as_str)
    }

    /// Names of all recipes, also of those with mistakes, sorted.
    pub fn module_names(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// An image, unless its file could not be read at all.
    pub fn image(&self, name: &str) -> Option<&Image> {
        self.images.get(name)?.value.as_ref()
    }

    /// A module, unless its recipe could not be read at all.
    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules.get(name)?.value.as_ref()
    }

    /// What is wrong with the file of an image.
    pub fn image_findings(&self, name: &str) -> &[Diagnostic] {
        self.images.get(name).map_or(&[], |entry| &entry.findings)
    }

    /// What is wrong with the recipe of a module.
    pub fn module_findings(&self, name: &str) -> &[Diagnostic] {
        self.modules.get(name).map_or(&[], |entry| &entry.findings)
    }

    /// Whether there is such an image, be it with mistakes.
    pub fn has_image(&self, name: &str) -> bool {
        self.images.contains_key(name)
    }

    /// Whether there is such a recipe, be it with mistakes.
    pub fn has_module(&self, name: &str) -> bool {
        self.modules.contains_key(name)
    }
}

fn names_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        if let Ok(name) = entry?.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn read_image(folder: &Path, shown: &Path, name: &str) -> Option<Entry<Image>> {
    let of_image = folder.join(name);
    let (file_name, is_dockerfile) = if of_image.join("image.yaml").is_file() {
        ("image.yaml", false)
    } else if of_image.join("Dockerfile").is_file() {
        ("Dockerfile", true)
    } else {
        return None;
    };
    let shown = shown.join(name).join(file_name);
    let mut findings = Vec::new();
    if let Some(problem) = name::problem_of_name(name) {
        findings.push(
            Diagnostic::error(format!(
                "`{name}` cannot be the name of an image: {problem}"
            ))
            .in_file(&shown)
            .hint("rename its folder"),
        );
    }
    let file = match read_file(&of_image.join(file_name), &shown) {
        Ok(file) => file,
        Err(finding) => return Some(Entry::unreadable(*finding)),
    };
    let content = if is_dockerfile {
        Dockerfile::parse(&file).map(Content::Dockerfile)
    } else {
        yaml::from_str(&shown, &file.text)
            .map(|definition| Content::Definition(Box::new(definition)))
            .map_err(|finding| vec![*finding])
    };
    match content {
        Ok(content) => {
            let image = Image {
                name: name.to_owned(),
                content,
                file,
            };
            if let Content::Definition(definition) = &image.content {
                findings.extend(check::definition(definition, &image.file, folder));
            }
            Some(Entry {
                value: Some(image),
                findings,
            })
        }
        Err(mut wrong) => {
            findings.append(&mut wrong);
            Some(Entry {
                value: None,
                findings,
            })
        }
    }
}

fn read_module(folder: &Path, shown: &Path, name: &str) -> Entry<Module> {
    let file_name = Path::new(MODULES).join(format!("{name}.yaml"));
    let shown = shown.join(&file_name);
    let mut findings = Vec::new();
    if let Some(problem) = name::problem_of_name(name) {
        findings.push(
            Diagnostic::error(format!(
                "`{name}` cannot be the name of a module: {problem}"
            ))
            .in_file(&shown)
            .hint("rename the file"),
        );
    }
    let parsed = read_file(&folder.join(&file_name), &shown).and_then(|file| {
        let recipe = yaml::from_str::<Recipe>(&shown, &file.text)?;
        Ok((file, recipe))
    });
    match parsed {
        Ok((file, recipe)) => {
            findings.extend(check::recipe(&recipe, &file, folder));
            Entry {
                value: Some(Module {
                    name: name.to_owned(),
                    recipe,
                    file,
                }),
                findings,
            }
        }
        Err(finding) => {
            findings.push(*finding);
            Entry {
                value: None,
                findings,
            }
        }
    }
}

fn read_file(path: &Path, shown: &Path) -> Result<DefinitionFile, Box<Diagnostic>> {
    // A link could lead anywhere; what is read here comes from a repository.
    match fs_err::read_to_string(path) {
        Ok(text) => Ok(DefinitionFile {
            path: path.to_path_buf(),
            shown: shown.to_path_buf(),
            text,
        }),
        Err(error) => Err(Box::new(
            Diagnostic::error(format!(
                "`{}` cannot be read: {}",
                shown.display(),
                cause(&error)
            ))
            .in_file(shown),
        )),
    }
}

/// The reason without the path, which the message names already.
fn cause(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::InvalidData {
        return "it is not UTF-8 text".to_owned();
    }
    let text = error.to_string();
    text.rsplit(": ").next().unwrap_or(&text).to_owned()
}

impl<T> Entry<T> {
    fn unreadable(finding: Diagnostic) -> Self {
        Self {
            value: None,
            findings: vec![finding],
        }
    }
}
