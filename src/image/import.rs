//! Recipes of ibek-support (`<module>.install.yml`) as recipes of our own. Pure.
//!
//! Keys with the same meaning are taken over; what cannot be taken over is a finding with its line, never
//! dropped in silence. Ansible expressions (`{{ … }}`) are not evaluated.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Place};
use crate::image::name;
use crate::yaml;

/// Where modules are when `organization` is not given.
const ORGANIZATION: &str = "https://github.com/epics-modules";

/// What came of reading a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Name for the recipe file, without its ending.
    pub name: String,
    /// Text of our recipe.
    pub text: String,
    /// Patch files, as the recipe names them; they belong beside ours as `<name>/<file>`.
    pub patches: Vec<String>,
    /// What was not taken over, or has to be looked at.
    pub findings: Vec<Diagnostic>,
}

/// Our recipe in the order in which its fields are written.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    description: String,
    source: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    folder: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    macros: Vec<String>,
    depends: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uses: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    packages: BTreeMap<&'static str, Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    release: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    config_site: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remove: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    edits: Vec<BTreeMap<&'static str, String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    make_options: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dbds: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    libraries: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    protocols: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runtime_files: Vec<String>,
}

/// Reads an ibek-support recipe. `modules` says which of our modules a `RELEASE` macro means.
///
/// # Errors
///
/// A diagnostic when the file is not YAML, or says neither module nor version.
pub fn recipe(
    path: &Path,
    source: &str,
    modules: &BTreeMap<String, String>,
) -> Result<Imported, Box<Diagnostic>> {
    let values: BTreeMap<String, Value> = yaml::from_str(path, source)?;
    let mut import = Import {
        path,
        source,
        findings: Vec::new(),
        patches: Vec::new(),
        written: Written::default(),
    };
    let text = |key: &str| values.get(key).and_then(as_text);
    let required = |key: &str| {
        text(key).ok_or_else(|| {
            Box::new(
                Diagnostic::error(format!(
                    "`{key}` is missing, so this is not an ibek-support recipe"
                ))
                .in_file(path)
                .hint("the file is called `<module>.install.yml` there"),
            )
        })
    };
    let module = required("module")?;
    let version = required("version")?;
    let recipe_name = module.to_ascii_lowercase().replace('_', "-");
    if let Some(problem) = name::problem_of_name(&recipe_name) {
        return Err(Box::new(
            Diagnostic::error(format!(
                "`{module}` cannot be the name of a module: {problem}"
            ))
            .at(import.place("module")),
        ));
    }
    let repository = text("git_repo").unwrap_or_else(|| {
        let organization = text("organization").unwrap_or_else(|| ORGANIZATION.to_owned());
        format!("{}/{module}", organization.trim_end_matches('/'))
    });
    import.written.description = format!("{module} (imported from ibek-support)");
    import.written.source.insert(
        "git",
        BTreeMap::from([("url", repository), ("tag", version)]),
    );
    import.written.depends = vec!["epics-base".to_owned()];
    for (key, value) in &values {
        import.key(key, value, &recipe_name, modules);
    }
    let text = yaml::to_string(&import.written).map_err(|error| {
        Box::new(Diagnostic::error(format!("the recipe cannot be written: {error}")).in_file(path))
    })?;
    import
        .findings
        .sort_by_key(|finding| finding.place.as_ref().map_or(0, |place| place.line));
    Ok(Imported {
        name: recipe_name,
        text,
        patches: import.patches,
        findings: import.findings,
    })
}

struct Import<'a> {
    path: &'a Path,
    source: &'a str,
    findings: Vec<Diagnostic>,
    patches: Vec<String>,
    written: Written,
}

impl Import<'_> {
    /// The line of a top-level key.
    fn place(&self, key: &str) -> Place {
        let line = self.source.lines().position(|line| {
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with(':'))
        });
        match line {
            Some(index) => {
                Place::in_text(self.path, self.source, index + 1, 1, key.chars().count())
            }
            None => Place::file(self.path),
        }
    }

    /// The first line after a key that holds `word`, else the key.
    fn place_of_word(&self, key: &str, word: &str) -> Place {
        let start = self.place(key);
        let line = self
            .source
            .lines()
            .enumerate()
            .skip(start.line.saturating_sub(1))
            .find(|(_, line)| !word.is_empty() && line.contains(word));
        match line {
            Some((index, line)) => {
                let column = line
                    .find(word)
                    .map_or(0, |byte| line[..byte].chars().count());
                Place::in_text(
                    self.path,
                    self.source,
                    index + 1,
                    column + 1,
                    word.chars().count(),
                )
            }
            None => start,
        }
    }

    fn warn(&mut self, key: &str, message: impl Into<String>, hint: &str) {
        let place = self.place(key);
        self.findings
            .push(Diagnostic::warning(message).at(place).hint(hint));
    }

    fn warn_at(&mut self, place: Place, message: impl Into<String>, hint: &str) {
        self.findings
            .push(Diagnostic::warning(message).at(place).hint(hint));
    }

    fn key(&mut self, key: &str, value: &Value, recipe: &str, modules: &BTreeMap<String, String>) {
        if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
            return;
        }
        match key {
            // taken before
            "module" | "version" | "organization" | "git_repo" => {}
            "macro" => self.macro_name(value, recipe),
            "dbds" => self.written.dbds = self.words(key, value),
            "libs" => self.written.libraries = self.words(key, value),
            "apt_developer" => self.packages(key, "build", value),
            "apt_runtime" => self.packages(key, "run", value),
            "remove_macros" => self.optional_modules(key, value, modules),
            "extra_release_macros" => self.release(key, value),
            "patch_lines" => self.patch_lines(key, value),
            "patch_blocks" => self.patch_blocks(key, value),
            "comment_out" => self.comment_out(key, value),
            "patch_file" => self.patch_file(key, value, recipe),
            "remove_files_prebuild" => {
                let paths = self.words(key, value);
                self.written.remove = self.inner(key, paths);
            }
            "make_options" => self.make_options(value),
            "protocol_files" => self.protocols(key, value),
            "runtime_files" => {
                let paths = self.words(key, value);
                self.written.runtime_files = self.inner(key, paths);
            }
            "local_path" => self.local_path(key, value),
            "scripts" | "bash" | "tasks" => self.warn(
                key,
                format!("`{key}` was not taken over: it is code for another build"),
                "write the same as shell commands under `prepare` or `finish`",
            ),
            "download_extras" => self.warn(
                key,
                "`download_extras` was not taken over: builds fetch nothing but sources",
                "name a Debian package instead, or make what is downloaded a module of its own",
            ),
            "is_rtems" | "skip_clean" | "skip_apt" => self.warn(
                key,
                format!("`{key}` was not taken over: it has no meaning here"),
                "nothing has to be done",
            ),
            other => self.warn(
                other,
                format!("`{other}` was not taken over: this key is not known"),
                "see docs/images.md for the fields of a recipe",
            ),
        }
    }

    /// The texts of a list, or of a single value; anything else is told.
    fn words(&mut self, key: &str, value: &Value) -> Vec<String> {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            other => std::slice::from_ref(other),
        };
        let mut words = Vec::new();
        for value in values {
            match as_text(value) {
                Some(text) if text.contains("{{") => {
                    let place = self.place_of_word(key, &text);
                    self.warn_at(
                        place,
                        format!("`{text}` was not taken over: it is an Ansible expression"),
                        "write what it stands for",
                    );
                }
                Some(text) => words.push(text),
                None => self.warn(
                    key,
                    format!("an entry of `{key}` was not taken over: it is not a text"),
                    "write it by hand",
                ),
            }
        }
        words
    }

    fn macro_name(&mut self, value: &Value, recipe: &str) {
        let usual = recipe.to_ascii_uppercase().replace('-', "_");
        if let Some(name) = as_text(value).filter(|name| *name != usual) {
            self.written.macros = vec![name];
        }
    }

    fn packages(&mut self, key: &str, field: &'static str, value: &Value) {
        let mut packages = Vec::new();
        for package in self.words(key, value) {
            if name::is_package(&package) {
                packages.push(package);
            } else {
                let place = self.place_of_word(key, &package);
                self.warn_at(
                    place,
                    format!("`{package}` was not taken over: it is not the name of a package"),
                    "name a Debian package, or make it a module of its own",
                );
            }
        }
        if !packages.is_empty() {
            self.written.packages.insert(field, packages);
            self.warn(
                key,
                format!("the packages of `{key}` are those of Ubuntu"),
                "check their names in Debian: many have a `t64` at the end there",
            );
        }
    }

    fn optional_modules(&mut self, key: &str, value: &Value, modules: &BTreeMap<String, String>) {
        for name in self.words(key, value) {
            if let Some(module) = modules.get(&name) {
                if !self.written.uses.contains(module) {
                    self.written.uses.push(module.clone());
                }
                continue;
            }
            // RELEASE is written anew with what the image has: what it lacks needs no removal.
            let note = Diagnostic::note(format!(
                "no recipe here is for `{name}`: it stays out of RELEASE"
            ));
            self.findings.push(note.at(self.place_of_word(key, &name)));
        }
    }

    fn release(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    if let Some(text) = as_text(value).filter(|text| !text.contains("{{")) {
                        self.written.release.insert(name.clone(), text);
                    } else {
                        let place = self.place_of_word(key, name);
                        self.warn_at(
                            place,
                            format!("`{name}` was not taken over"),
                            "add it under `release`",
                        );
                    }
                }
            }
            other => {
                for line in self.words(key, other) {
                    if let Some((name, value)) = line.split_once('=') {
                        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
                        self.written.release.insert(name, value);
                    } else {
                        let place = self.place_of_word(key, &line);
                        self.warn_at(
                            place,
                            format!("`{line}` was not taken over"),
                            "add it under `release`",
                        );
                    }
                }
            }
        }
    }

    fn patch_lines(&mut self, key: &str, value: &Value) {
        for entry in entries(value) {
            let field = |name: &str| entry.get(name).and_then(as_text);
            let (path, regexp, line) = (field("path"), field("regexp"), field("line"));
            let (Some(path), Some(line)) = (path, line) else {
                self.warn(
                    key,
                    "an entry of `patch_lines` was not taken over",
                    "see `edits` in docs/images.md",
                );
                continue;
            };
            let place = self.place_of_word(key, &path);
            let post_build = entry.get("post_build").and_then(Value::as_bool) == Some(true);
            if path.contains("{{")
                || line.contains("{{")
                || post_build
                || entry.contains_key("when")
            {
                self.warn_at(
                    place,
                    format!(
                        "the change of `{path}` was not taken over: it depends on the other build"
                    ),
                    "write it under `edits`, or as a command under `finish` if it comes after make",
                );
                continue;
            }
            let setting = line
                .split_once('=')
                .map(|(name, value)| (name.trim(), value.trim()));
            match setting {
                Some((name, value))
                    if path.starts_with("configure/CONFIG_SITE") && name::is_macro(name) =>
                {
                    self.written
                        .config_site
                        .insert(name.to_owned(), value.to_owned());
                }
                _ => {
                    let edit = match regexp {
                        Some(regexp) => {
                            self.warn_at(
                                place,
                                format!("the expression for `{path}` is Python's, ours is extended POSIX"),
                                "check it: a change that finds nothing fails the build",
                            );
                            BTreeMap::from([
                                ("file", path),
                                ("replace", whole_line(&regexp)),
                                ("with", line.replace('\\', "\\\\").replace('&', "\\&")),
                            ])
                        }
                        None => BTreeMap::from([("file", path), ("append", line)]),
                    };
                    self.written.edits.push(edit);
                }
            }
        }
    }

    fn patch_blocks(&mut self, key: &str, value: &Value) {
        for entry in entries(value) {
            let field = |name: &str| entry.get(name).and_then(as_text);
            match (field("path"), field("block")) {
                (Some(path), Some(block)) if !path.contains("{{") && !block.contains("{{") => {
                    let edit =
                        BTreeMap::from([("file", path), ("append", block.trim_end().to_owned())]);
                    self.written.edits.push(edit);
                }
                _ => self.warn(
                    key,
                    "a block of `patch_blocks` was not taken over",
                    "write it under `edits` with `append`",
                ),
            }
        }
    }

    fn comment_out(&mut self, key: &str, value: &Value) {
        for entry in entries(value) {
            let field = |name: &str| entry.get(name).and_then(as_text);
            match (field("path"), field("regexp")) {
                (Some(path), Some(regexp)) if !path.contains("{{") => {
                    self.written
                        .edits
                        .push(BTreeMap::from([("file", path), ("comment", regexp)]));
                }
                _ => self.warn(
                    key,
                    "an entry of `comment_out` was not taken over",
                    "write it under `edits` with `comment`",
                ),
            }
        }
    }

    fn patch_file(&mut self, key: &str, value: &Value, recipe: &str) {
        let listed = match value {
            Value::Object(_) => vec![value.clone()],
            Value::Array(values) => values.clone(),
            other => vec![serde_json::json!({ "path": other })],
        };
        for entry in listed {
            let field = |name: &str| entry.get(name).and_then(as_text);
            let Some(path) = field("path").filter(|path| name::is_inner_path(path, false)) else {
                self.warn(key, "a patch was not taken over", "name it under `patches`");
                continue;
            };
            let file = path.rsplit('/').next().unwrap_or(&path).to_owned();
            self.written.patches.push(format!("{recipe}/{file}"));
            self.patches.push(path);
            if field("commit").is_some() || field("when").is_some() {
                self.warn(
                    key,
                    "the patch is applied to every version",
                    "check that it fits the tag",
                );
            }
        }
    }

    fn make_options(&mut self, value: &Value) {
        for text in self.words("make_options", value) {
            for word in text.split_whitespace() {
                match word.strip_prefix("-j").map(str::parse::<u16>) {
                    Some(Ok(jobs)) if jobs > 0 => self.written.jobs = Some(jobs),
                    Some(_) => {}
                    None => self.written.make_options.push(word.to_owned()),
                }
            }
        }
    }

    fn protocols(&mut self, key: &str, value: &Value) {
        let paths = self.words(key, value);
        for path in self.inner(key, paths) {
            let folder = path
                .rsplit_once('/')
                .map_or(".", |(folder, _)| folder)
                .to_owned();
            if !self.written.protocols.contains(&folder) {
                self.written.protocols.push(folder);
            }
        }
    }

    /// Paths inside the module; others are told.
    fn inner(&mut self, key: &str, paths: Vec<String>) -> Vec<String> {
        let mut inner = Vec::new();
        for path in paths {
            if name::is_inner_path(&path, true) {
                inner.push(path);
            } else {
                let place = self.place_of_word(key, &path);
                self.warn_at(
                    place,
                    format!("`{path}` was not taken over: it is not a path inside the module"),
                    "name it relative to the module",
                );
            }
        }
        inner
    }

    fn local_path(&mut self, key: &str, value: &Value) {
        match as_text(value) {
            Some(path) if name::is_image_path(&path) && path.starts_with("/epics/") => {
                self.written.folder = path;
            }
            _ => self.warn(
                key,
                "`local_path` was not taken over",
                "give the folder in the image as `folder`",
            ),
        }
    }
}

/// The whole line around what an expression matches.
fn whole_line(regexp: &str) -> String {
    let start = regexp
        .strip_prefix('^')
        .map_or_else(|| format!("^.*{regexp}"), |rest| format!("^{rest}"));
    start
        .strip_suffix('$')
        .map_or_else(|| format!("{start}.*$"), |rest| format!("{rest}$"))
}

fn entries(value: &Value) -> Vec<serde_json::Map<String, Value>> {
    match value {
        Value::Array(values) => values
            .iter()
            .filter_map(Value::as_object)
            .cloned()
            .collect(),
        Value::Object(map) => vec![map.clone()],
        _ => Vec::new(),
    }
}

/// Texts, and numbers that were written without quotes.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(if *on { "YES" } else { "NO" }.to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
