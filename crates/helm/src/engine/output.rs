//! A rendered chart as text: what `helm template` prints, and what a release record holds.

use super::RenderError;
use super::manifest::{HookEvent, Manifest, Rendered};
use crate::path_pattern::PathPattern;

/// Which documents `helm template` prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateOptions {
    /// `--include-crds`: the files of `crds/` before all others.
    pub include_crds: bool,
    /// `--no-hooks`: documents that are no hooks only.
    pub no_hooks: bool,
    /// `--skip-tests`: no hooks of the event `test`.
    pub skip_tests: bool,
    /// `--show-only`: patterns of paths inside the chart (`templates/*.yaml`); all documents when
    /// empty.
    pub show_only: Vec<String>,
}

impl Manifest {
    fn write(&self, out: &mut String) {
        write_document(out, &self.source_template, &self.text);
    }

    fn is_test(&self) -> bool {
        self.hook
            .as_ref()
            .is_some_and(|hook| hook.events.contains(&HookEvent::Test))
    }
}

fn write_document(out: &mut String, path: &str, text: &str) {
    out.extend(["---\n# Source: ", path, "\n", text, "\n"]);
}

impl Rendered {
    /// Documents that are no hooks, in the order of installation.
    pub fn resources(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests
            .iter()
            .filter(|manifest| manifest.hook.is_none())
    }

    /// Documents that are hooks, in the order in which Helm prints and records them. They are run by
    /// weight, then by name: see [`Hook`](super::Hook).
    pub fn hooks(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests
            .iter()
            .filter(|manifest| manifest.hook.is_some())
    }

    /// The manifest as Helm's release record holds it: every document that is no hook.
    pub fn manifest_text(&self) -> String {
        let mut out = String::new();
        self.resources()
            .for_each(|manifest| manifest.write(&mut out));
        out
    }

    /// What `helm template` prints without options.
    pub fn to_template_output(&self) -> String {
        self.all(&TemplateOptions::default())
    }

    /// What `helm template` prints.
    ///
    /// # Errors
    /// When a pattern of `show_only` fits no document.
    pub fn template_output(&self, options: &TemplateOptions) -> Result<String, RenderError> {
        let all = self.all(options);
        if options.show_only.is_empty() {
            return Ok(all);
        }
        let mut out = String::new();
        let documents = super::manifest::split(&all);
        for pattern in &options.show_only {
            let mut found = false;
            let path_pattern = PathPattern::new(pattern);
            let fits = |path: &str| path_pattern.as_ref().is_some_and(|it| it.matches(path));
            for document in &documents {
                if path_in_chart(document).is_some_and(fits) {
                    found = true;
                    out.extend(["---\n", document, "\n"]);
                }
            }
            if !found {
                return Err(RenderError::message(format!(
                    "could not find template {pattern} in chart"
                )));
            }
        }
        Ok(out)
    }

    /// What `helm template --output-dir` writes: a file for each template that wrote something, in the order in which
    /// each is first written, with the path that begins with the chart's name.
    ///
    /// Helm writes all files whatever `show_only` says; here they are those that it names.
    ///
    /// # Errors
    /// When a pattern of `show_only` fits no document.
    pub fn template_files(
        &self,
        options: &TemplateOptions,
    ) -> Result<Vec<(String, String)>, RenderError> {
        // what does not exist is refused in the same words
        self.template_output(options)?;
        let patterns: Vec<Option<PathPattern>> = options
            .show_only
            .iter()
            .map(|pattern| PathPattern::new(pattern))
            .collect();
        let is_wanted = |path: &str| {
            let inner = path.split_once('/').map_or(path, |(_, inner)| inner);
            patterns.is_empty() || patterns.iter().flatten().any(|it| it.matches(inner))
        };
        let crds = self
            .crds
            .iter()
            .filter(|_| options.include_crds)
            .map(|(path, text)| (path, text));
        let hooks = self
            .hooks()
            .filter(|hook| !(options.no_hooks || (options.skip_tests && hook.is_test())));
        let documents = self
            .resources()
            .chain(hooks)
            .map(|manifest| (&manifest.source_template, &manifest.text));
        let mut files: Vec<(String, String)> = Vec::new();
        for (path, text) in crds.chain(documents).filter(|(path, _)| is_wanted(path)) {
            let at = files
                .iter()
                .position(|(known, _)| known == path)
                .unwrap_or_else(|| {
                    files.push((path.clone(), String::new()));
                    files.len() - 1
                });
            if let Some((_, file)) = files.get_mut(at) {
                write_document(file, path, text);
            }
        }
        Ok(files)
    }

    fn all(&self, options: &TemplateOptions) -> String {
        let mut out = String::new();
        if options.include_crds {
            for (path, text) in &self.crds {
                write_document(&mut out, path, text);
            }
        }
        self.resources()
            .for_each(|manifest| manifest.write(&mut out));
        let mut out = format!("{}\n", out.trim());
        if !options.no_hooks {
            self.hooks()
                .filter(|hook| !(options.skip_tests && hook.is_test()))
                .for_each(|hook| hook.write(&mut out));
        }
        out
    }
}

/// `templates/a.yaml` of a document that begins with `# Source: chart/templates/a.yaml`.
fn path_in_chart(document: &str) -> Option<&str> {
    let (_, after) = document.split_once("# Source: ")?;
    let (_, path) = after.lines().next()?.split_once('/')?;
    (!path.is_empty()).then_some(path)
}
