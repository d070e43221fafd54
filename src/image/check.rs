//! What is wrong with one image definition or recipe by itself: names, paths, files that are missing.
//!
//! Everything that ends up in a makefile, a shell script or an image reference is checked here, so that the
//! modules that write those need not quote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::image::catalog::DefinitionFile;
use crate::image::definition::ImageDefinition;
use crate::image::name;
use crate::image::recipe::Recipe;
use crate::source::Source;
use crate::yaml::Spanned;

/// Checks an image definition; `folder` is the folder of all images, which no path may leave.
pub fn definition(
    image: &ImageDefinition,
    file: &DefinitionFile,
    folder: &Path,
) -> Vec<Diagnostic> {
    let mut check = Check::new(file, folder);
    check.one_line("description", &image.description);
    let base = &image.base.value;
    let is_reference = base.contains(['/', ':']);
    if is_reference {
        if !is_reference_text(base) {
            check.add(
                &image.base,
                format!("`{base}` is not an image reference"),
                "write it as `registry/path/name:tag`, with `{target}` where the target stands",
            );
        }
    } else if base != "os" && name::problem_of_name(base).is_some() {
        check.add(
            &image.base,
            format!("`{base}` is not the name of an image"),
            "write `os`, the name of another image, or a registry reference with its tag",
        );
    }
    if let (Some(first), false) = (image.provides.first(), is_reference) {
        check.add(
            first,
            "`provides` belongs to an image whose base is a registry reference".to_owned(),
            "images of the project know their modules by themselves: remove it",
        );
    }
    check.packages(&image.developer.packages);
    check.packages(&image.runtime.packages);
    check.environment(&image.developer.environment);
    check.environment(&image.runtime.environment);
    for path in &image.runtime.files {
        if !name::is_image_path(&path.value) {
            check.add(
                path,
                format!("`{}` is not an absolute path in the image", path.value),
                "write it as `/epics/…`",
            );
        }
    }
    if let Some(uid) = &image.runtime.uid
        && uid.value == 0
    {
        check.add(
            uid,
            "the runtime image does not run as root".to_owned(),
            "give a number above 0; a chart can still set another user",
        );
    }
    if let Some(application) = &image.application {
        check.makefile_words("application.dbds", &application.dbds);
        check.makefile_words("application.libraries", &application.libraries);
        check.makefile_words(
            "application.system-libraries",
            &application.system_libraries,
        );
        check.makefile_words("application.registrars", &application.registrars);
        if let Some(sources) = &application.sources {
            check.folder("sources folder", sources, file.folder());
        }
    }
    check.findings
}

/// Checks a recipe; `folder` is the folder of all images, which no path may leave.
pub fn recipe(recipe: &Recipe, file: &DefinitionFile, folder: &Path) -> Vec<Diagnostic> {
    let mut check = Check::new(file, folder);
    check.one_line("description", &recipe.description);
    if let Some(version) = &recipe.version {
        check.one_line("version", version);
    }
    if let Some(place) = &recipe.folder
        && !(name::is_image_path(&place.value) && place.value.starts_with("/epics/"))
    {
        check.add(
            place,
            format!("`{}` is not a folder below `/epics`", place.value),
            "leave `folder` out to build in `/epics/support/<module>`",
        );
    }
    for each in recipe.macros.iter().flatten() {
        if !name::is_macro(&each.value) {
            check.add(
                each,
                format!("`{}` cannot be a macro of a RELEASE file", each.value),
                "letters, digits and `_`, no digit first",
            );
        }
    }
    if recipe.macros.as_ref().is_some_and(Vec::is_empty) {
        check.findings.push(
            Diagnostic::error("a module needs at least one macro")
                .in_file(&file.shown)
                .hint("leave `macros` out to use the name of the module in upper case"),
        );
    }
    check.packages(&recipe.packages.build);
    check.packages(&recipe.packages.run);
    check.settings("release", &recipe.release);
    check.settings("config-site", &recipe.config_site);
    check.settings("shared-config-site", &recipe.shared_config_site);
    check.environment(&recipe.environment);
    check.inner_paths(&recipe.remove, true);
    for edit in &recipe.edits {
        if let Some(problem) = edit.value.problem() {
            check.add(
                edit,
                format!("this edit {problem}"),
                "see `edits` in docs/images.md",
            );
        } else if !name::is_inner_path(&edit.value.file, true) {
            check.add(
                edit,
                format!("`{}` is not a file of the module", edit.value.file),
                "name it relative to the module, without `..`",
            );
        }
    }
    for patch in &recipe.patches {
        check.file("patch", patch, file.folder());
    }
    if let Some(overlay) = &recipe.overlay {
        check.folder("overlay folder", overlay, file.folder());
    }
    if let Source::Path(path) = &recipe.source.value {
        let path = Spanned {
            value: path.clone(),
            referenced: recipe.source.referenced,
            defined: recipe.source.defined,
        };
        check.folder("source folder", &path, file.folder());
    }
    for option in &recipe.make_options {
        let sets_flags = ["USR_CFLAGS=", "USR_CXXFLAGS=", "USR_CPPFLAGS="]
            .iter()
            .find(|flag| option.value.starts_with(**flag));
        if let Some(flag) = sets_flags {
            check.add(
                option,
                format!("`{flag}` as an argument of make drops the flags that the makefiles set themselves"),
                "append in `config-site` instead: `USR_CFLAGS: += …`",
            );
        }
    }
    if let Some(jobs) = &recipe.jobs
        && jobs.value == 0
    {
        check.add(
            jobs,
            "make needs at least one job".to_owned(),
            "leave `jobs` out for one per processor",
        );
    }
    check.makefile_words("dbds", &recipe.dbds);
    check.makefile_words("libraries", &recipe.libraries);
    check.makefile_words("system-libraries", &recipe.system_libraries);
    check.inner_paths(recipe.databases.as_deref().unwrap_or_default(), false);
    check.inner_paths(&recipe.protocols, false);
    check.inner_paths(&recipe.programs, false);
    check.inner_paths(&recipe.runtime_files, true);
    check.findings
}

/// Collects findings about one file.
struct Check<'a> {
    file: &'a DefinitionFile,
    root: &'a Path,
    findings: Vec<Diagnostic>,
}

impl<'a> Check<'a> {
    fn new(file: &'a DefinitionFile, root: &'a Path) -> Self {
        Self {
            file,
            root,
            findings: Vec::new(),
        }
    }

    fn add<T>(&mut self, at: &Spanned<T>, message: String, hint: &str) {
        let place = self.file.place(at);
        self.findings
            .push(Diagnostic::error(message).at(place).hint(hint));
    }

    fn one_line(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() || text.contains(char::is_control) {
            self.findings.push(
                Diagnostic::error(format!("`{field}` is not one line of text"))
                    .in_file(&self.file.shown)
                    .hint("write it as one line; it becomes a label of the image"),
            );
        }
    }

    fn packages(&mut self, packages: &[Spanned<String>]) {
        for package in packages {
            if !name::is_package(&package.value) {
                self.add(
                    package,
                    format!("`{}` is not the name of a Debian package", package.value),
                    "lower-case letters, digits, `+`, `-` and `.`, with `=version` behind it if need be",
                );
            }
        }
    }

    fn inner_paths(&mut self, paths: &[Spanned<String>], pattern: bool) {
        for path in paths {
            if !name::is_inner_path(&path.value, pattern) {
                self.add(
                    path,
                    format!("`{}` is not a path inside the module", path.value),
                    "name it relative to the module, without `..`",
                );
            }
        }
    }

    fn makefile_words(&mut self, field: &str, words: &[String]) {
        for word in words {
            if !name::is_makefile_word(word) {
                let message = format!("`{word}` in `{field}` cannot stand in a makefile");
                self.in_line_with(word, message);
            }
        }
    }

    fn settings(&mut self, field: &str, settings: &BTreeMap<String, String>) {
        for (key, value) in settings {
            if !name::is_macro(key) {
                let message = format!("`{key}` in `{field}` is not a makefile macro");
                self.in_line_with(key, message);
            } else if value.contains(['\n', '\r', '\0']) {
                let message = format!("the value of `{key}` in `{field}` is not one line");
                self.in_line_with(key, message);
            }
        }
    }

    fn environment(&mut self, variables: &BTreeMap<String, String>) {
        for (key, value) in variables {
            if !name::is_macro(key) {
                let message = format!("`{key}` is not the name of an environment variable");
                self.in_line_with(key, message);
            } else if value.contains(char::is_control) {
                let message = format!("the value of `{key}` is not one line");
                self.in_line_with(key, message);
            }
        }
    }

    /// A finding at the first line that holds `word`, for values that carry no place of their own.
    fn in_line_with(&mut self, word: &str, message: String) {
        let first = word.lines().next().unwrap_or(word);
        let place = match self.file.text.find(first) {
            Some(start) if !first.is_empty() => crate::diagnostic::Place::in_range(
                &self.file.shown,
                &self.file.text,
                start..start + first.len(),
            ),
            _ => crate::diagnostic::Place::file(&self.file.shown),
        };
        self.findings.push(Diagnostic::error(message).at(place));
    }

    fn file(&mut self, what: &str, path: &Spanned<PathBuf>, folder: &Path) {
        if let Some(found) = self.inside(what, path, folder)
            && !found.is_file()
        {
            let message = format!("the {what} `{}` is not a file", path.value.display());
            self.add(path, message, "name a file");
        }
    }

    fn folder(&mut self, what: &str, path: &Spanned<PathBuf>, folder: &Path) {
        if let Some(found) = self.inside(what, path, folder)
            && !found.is_dir()
        {
            let message = format!("the {what} `{}` is not a folder", path.value.display());
            self.add(path, message, "name a folder");
        }
    }

    /// The real place of a path if it exists and, links followed, is below the folder of the images.
    fn inside(&mut self, what: &str, path: &Spanned<PathBuf>, folder: &Path) -> Option<PathBuf> {
        let shown = path.value.display();
        let Ok(found) = folder.join(&path.value).canonicalize() else {
            let message = format!("the {what} `{shown}` does not exist");
            let from = self.file.shown.parent().unwrap_or(Path::new("."));
            let hint = format!("paths here are relative to `{}`", from.display());
            self.add(path, message, &hint);
            return None;
        };
        let root = self
            .root
            .canonicalize()
            .unwrap_or_else(|_| self.root.to_path_buf());
        if found.starts_with(&root) {
            return Some(found);
        }
        let message = format!(
            "the {what} `{shown}` leads to `{}`, outside the folder of the images",
            found.display()
        );
        self.add(
            path,
            message,
            "copy what is needed into the folder: an image must build from its repository alone",
        );
        None
    }
}

/// Whether this can be a reference once `{target}` is filled in.
fn is_reference_text(text: &str) -> bool {
    let filled = text.replace("{target}", "runtime");
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || "._-/:@".contains(character);
    filled.len() <= 255
        && filled.chars().all(allowed)
        && filled.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !filled.contains("//")
        && !filled.ends_with(['/', ':', '@'])
}
