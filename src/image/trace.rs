//! From a failed build step back to the line that asked for it. Pure.
//!
//! Scripts say `::ioc OWNER PHASE INDEX` before each of their steps ([`super::script`]).

use crate::diagnostic::{Diagnostic, Place};
use crate::image::catalog::Module;
use crate::image::chain::Layer;
use crate::image::definition::Target;
use crate::yaml::Spanned;

/// Begins a line that says which step runs.
const MARK: &str = "::ioc ";

/// How many of the last lines of a failed step are shown.
pub const SHOWN_LINES: usize = 25;

/// A step of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Module, or `application`, `scripts`, `image`, `runtime`.
    pub owner: String,
    /// Which field of the recipe, or which part of the script.
    pub phase: String,
    /// Which entry of the field, from 0.
    pub index: usize,
}

impl Mark {
    /// Reads a line of a build's output.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(MARK)?.split_whitespace();
        Some(Self {
            owner: words.next()?.to_owned(),
            phase: words.next()?.to_owned(),
            index: words.next()?.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { owner, phase, .. } = self;
        match phase.as_str() {
            "source" => write!(formatter, "{owner}: copying its source"),
            "make" => write!(formatter, "{owner}: make"),
            "packages" => write!(formatter, "{owner}: installing packages"),
            "collect" => write!(formatter, "{owner}: collecting files"),
            "check" => write!(formatter, "{owner}: checking libraries"),
            _ => write!(formatter, "{owner}: {phase}"),
        }
    }
}

/// A failed step as a finding at the line that asked for it, with a hint where the output says what helps.
pub fn finding(
    layer: &Layer<'_>,
    target: Target,
    mark: Option<&Mark>,
    output: &[String],
) -> Diagnostic {
    let what = mark.map_or_else(|| "a step".to_owned(), |mark| format!("`{mark}`"));
    let name = layer.name();
    let finding = Diagnostic::error(format!("{what} failed while building `{name}-{target}`"))
        .at(place(layer, mark, output));
    match hint(output) {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

fn place(layer: &Layer<'_>, mark: Option<&Mark>, output: &[String]) -> Place {
    let image = &layer.image.file;
    let Some(mark) = mark else {
        return Place::file(&image.shown);
    };
    let module = layer
        .own
        .iter()
        .map(|placed| placed.module)
        .find(|module| module.name == mark.owner);
    let Some(module) = module else {
        return match (mark.owner.as_str(), layer.image.definition()) {
            ("image" | "runtime", Some(definition)) => {
                let packages = definition
                    .developer
                    .packages
                    .iter()
                    .chain(&definition.runtime.packages);
                named_in(output, packages).map_or_else(
                    || field(&image.shown, &image.text, &mark.owner),
                    |package| image.place(package),
                )
            }
            _ => field(&image.shown, &image.text, &mark.owner),
        };
    };
    in_recipe(module, mark, output)
}

fn in_recipe(module: &Module, mark: &Mark, output: &[String]) -> Place {
    let recipe = &module.recipe;
    let file = &module.file;
    let at = |entries: &[Spanned<String>]| entries.get(mark.index).map(|entry| file.place(entry));
    let found = match mark.phase.as_str() {
        // make has no line of its own: what is built is what the source is
        "source" | "make" => Some(file.place(&recipe.source)),
        "remove" => at(&recipe.remove),
        "prepare" => at(&recipe.prepare),
        "build" => at(recipe.build.as_deref().unwrap_or_default()),
        "finish" => at(&recipe.finish),
        "patches" => recipe
            .patches
            .get(mark.index)
            .map(|patch| file.place(patch)),
        "edit" => recipe.edits.get(mark.index).map(|edit| file.place(edit)),
        "overlay" => recipe.overlay.as_ref().map(|overlay| file.place(overlay)),
        "packages" => named_in(output, &recipe.packages.build).map(|package| file.place(package)),
        _ => None,
    };
    found.unwrap_or_else(|| field(&file.shown, &file.text, &mark.phase))
}

/// The package that the output complains about.
fn named_in<'a>(
    output: &[String],
    packages: impl IntoIterator<Item = &'a Spanned<String>>,
) -> Option<&'a Spanned<String>> {
    packages.into_iter().find(|package| {
        output.iter().any(|line| {
            line.starts_with("E:")
                && line
                    .split_whitespace()
                    .any(|word| word.trim_matches('\'') == package.value)
        })
    })
}

/// The line that begins a field, or the file.
fn field(path: &std::path::Path, text: &str, field: &str) -> Place {
    let line = text.lines().position(|line| {
        line.trim_start()
            .strip_prefix(field)
            .is_some_and(|rest| rest.starts_with(':'))
    });
    match line {
        Some(index) => Place::in_text(path, text, index + 1, 1, field.chars().count()),
        None => Place::file(path),
    }
}

/// What helps against well-known failures.
fn hint(output: &[String]) -> Option<String> {
    let rules: [(&str, &str); 10] = [
        (
            "Unable to locate package",
            "no such package in this release of the distribution: look for its new name (Debian 13 renamed many to `…t64`)",
        ),
        (
            "has no installation candidate",
            "the package exists in another release of the distribution only",
        ),
        (
            "Temporary failure resolving",
            "the build has no network: a proxy is set as `proxy` in `[fetch]` of `ioc.toml`, a package mirror comes with the base image",
        ),
        (
            "Could not connect to",
            "the package mirror cannot be reached: is a proxy needed (`proxy` in `[fetch]` of `ioc.toml`)?",
        ),
        (
            "certificate verify failed",
            "the site's certificates are set as `ca-bundle` in `[fetch]` of `ioc.toml`",
        ),
        (
            "No space left on device",
            "the engine's disk is full: remove old images and build cache",
        ),
        (
            "incompatible pointer type",
            "gcc 14 made this an error: take a newer version of the module, or append `USR_CFLAGS: += -Wno-error=incompatible-pointer-types` in `config-site`",
        ),
        (
            "rpc/rpc.h: No such file",
            "the module needs `libtirpc-dev` in `packages.build` and `TIRPC: YES` in `config-site`",
        ),
        (
            "readline/readline.h: No such file",
            "add `libreadline-dev` to `packages.build`",
        ),
        (
            "libraries are missing in the runtime image",
            "name their Debian packages in `packages.run` of the recipe",
        ),
    ];
    rules
        .iter()
        .find(|(text, _)| output.iter().any(|line| line.contains(text)))
        .map(|(_, hint)| (*hint).to_owned())
        .or_else(|| missing_header(output))
        .or_else(|| missing_program(output))
}

/// A program that the developer image does not have, as bash tells it.
fn missing_program(output: &[String]) -> Option<String> {
    let program = output.iter().find_map(|line| {
        let told = line.strip_suffix(": command not found")?;
        Some(told.rsplit(": ").next().unwrap_or(told))
    })?;
    Some(format!(
        "the image below has no `{program}`: take a `base` that has EPICS and its build tools, such as `epics-base`, or name the program's Debian package in `packages.build` of a recipe or `developer.packages` of the image"
    ))
}

/// A header that no package of the recipe brings.
fn missing_header(output: &[String]) -> Option<String> {
    let line = output.iter().find(|line| {
        line.contains(": fatal error: ") && line.ends_with("No such file or directory")
    })?;
    let header = line.split(": fatal error: ").nth(1)?.split(':').next()?;
    Some(format!(
        "`{header}` was not found: a module under `depends`, or a package in `packages.build`, has to bring it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_and_other_lines_are_not() {
        let mark = Mark::parse("::ioc asyn prepare 2").unwrap();
        assert_eq!(
            (mark.owner.as_str(), mark.phase.as_str(), mark.index),
            ("asyn", "prepare", 2)
        );
        for other in [
            "",
            "ioc asyn prepare 2",
            "::ioc asyn",
            "::ioc asyn make x",
            "gcc ::ioc a b 1",
        ] {
            assert_eq!(Mark::parse(other), None, "{other}");
        }
    }

    #[test]
    fn well_known_failures_have_a_hint() {
        for (line, word) in [
            ("E: Unable to locate package libtiff5", "renamed"),
            (
                "../x.c:3:10: fatal error: asynDriver.h: No such file or directory",
                "`asynDriver.h`",
            ),
            ("cp: write error: No space left on device", "disk is full"),
            (
                "/build/build.sh: line 18: make: command not found",
                "has no `make`",
            ),
        ] {
            let hint = hint(&[line.to_owned()]).unwrap();
            assert!(hint.contains(word), "{line}: {hint}");
        }
        assert_eq!(hint(&["make: *** [x] Error 2".to_owned()]), None);
    }
}
