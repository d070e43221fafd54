//! Whether the images that instances run exist, and what the IOC in them needs to be checked.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::engine::Engine;
use crate::image::contents::{self, Contents};
use crate::image::image_names;
use crate::settings::Settings;
use crate::ui::error::CommandResult;

/// What is known about an image.
#[derive(Debug)]
pub enum State {
    /// The engine has it.
    Here(Box<Contents>),
    /// The engine does not have it, and the project can build it.
    NotBuilt {
        /// Its name in the project.
        name: String,
    },
    /// The engine does not have it, and the project does not know it.
    Elsewhere,
    /// Nobody was asked.
    NotAsked,
    /// It cannot be the name of an image.
    Malformed(&'static str),
}

/// Looks for every image, through the engine where there is one.
///
/// # Errors
///
/// The engine fails while it is asked.
pub async fn look(
    references: &BTreeSet<String>,
    engine: Option<&Engine>,
    settings: &Settings,
) -> CommandResult<BTreeMap<String, State>> {
    let mut states = BTreeMap::new();
    for reference in references {
        let state = match (problem(reference), engine) {
            (Some(problem), _) => State::Malformed(problem),
            (None, None) => State::NotAsked,
            (None, Some(engine)) => {
                match contents::look(engine, reference, &settings.cache).await? {
                    Some(contents) => State::Here(Box::new(contents)),
                    None => match of_project(reference, settings) {
                        Some(name) => State::NotBuilt { name },
                        None => State::Elsewhere,
                    },
                }
            }
        };
        states.insert(reference.clone(), state);
    }
    Ok(states)
}

/// What there is to say about an image that stands at `place`.
pub fn finding(
    reference: &str,
    state: &State,
    settings: &Settings,
    place: Place,
) -> Option<Diagnostic> {
    let finding = match state {
        State::Here(_) => return None,
        State::NotAsked => {
            // What nobody else can have is known without the engine.
            let near = misspelt(reference, settings)
                .filter(|near| near != reference && reference.starts_with("localhost/"))?;
            Diagnostic::error(format!("the project does not build an image `{reference}`"))
                .hint(format!("did you mean `{near}`?"))
        }
        State::Malformed(problem) => Diagnostic::error(format!(
            "`{reference}` cannot be the name of an image: {problem}"
        ))
        .expected("expected `registry/path/name:tag`"),
        State::NotBuilt { name } => {
            Diagnostic::warning(format!("the image `{reference}` is not built yet"))
                .hint(format!("`ioc build {name}` builds it"))
        }
        State::Elsewhere => {
            let finding = Diagnostic::error(format!(
                "the container engine has no image `{reference}`, and the project does not build it"
            ));
            match misspelt(reference, settings) {
                Some(near) => finding.hint(format!("did you mean `{near}`?")),
                None => finding.hint("if a registry has it: pull it on this machine, or check without the engine (`--no-engine`)"),
            }
        }
    };
    Some(finding.at(place))
}

/// The name in the project of the image that this reference is the runtime of.
fn of_project(reference: &str, settings: &Settings) -> Option<String> {
    image_names(settings)
        .into_iter()
        .find(|name| runtime_reference(name, settings) == reference)
}

/// The reference of the runtime image that the project makes of an image definition.
fn runtime_reference(name: &str, settings: &Settings) -> String {
    let images = &settings.images;
    format!("{}/{name}-runtime:{}", images.registry, images.tag)
}

fn misspelt(reference: &str, settings: &Settings) -> Option<String> {
    let known: Vec<String> = image_names(settings)
        .iter()
        .map(|name| runtime_reference(name, settings))
        .collect();
    nearest(reference, known.iter().map(String::as_str)).map(str::to_owned)
}

/// Why a text cannot be an image reference (the grammar of the OCI distribution specification, shortened).
fn problem(reference: &str) -> Option<&'static str> {
    if reference.is_empty() {
        return Some("it is empty");
    }
    if reference.chars().any(char::is_whitespace) {
        return Some("it has a blank");
    }
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    if digest.is_some_and(|digest| !digest.contains(':')) {
        return Some("after `@` belongs a digest such as `sha256:…`");
    }
    let last = name.rfind('/').map_or(0, |index| index + 1);
    let (path, tag) = match name[last..].split_once(':') {
        Some((_, tag)) => (&name[..name.len() - tag.len() - 1], Some(tag)),
        None => (name, None),
    };
    let in_tag = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if tag.is_some_and(|tag| tag.is_empty() || tag.len() > 128 || !tag.chars().all(in_tag)) {
        return Some("after `:` belongs a tag of letters, digits, `.`, `_` and `-`");
    }
    // The first part may be a host with capitals and a port; all others are lower case.
    let repository = match path.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => path,
    };
    let in_path = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || "._-/".contains(character)
    };
    if repository.is_empty() || repository.starts_with('/') || repository.ends_with('/') {
        return Some("the name itself is missing");
    }
    (!repository.chars().all(in_path))
        .then_some("a name has lower-case letters, digits, `.`, `_`, `-` and `/`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for good in [
            "a",
            "a:1",
            "localhost/ioc-sim-runtime:latest",
            "localhost:5000/a/b",
            "Registry.Example.org:443/epics/ioc-motor-runtime:2026.11",
            "a@sha256:0000",
            "a:1@sha256:0000",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in [
            "", "a b", "A/b", "a:", "a/b:x y", "a/", "x.org/", "a@b", "a:b:c", "/a",
        ] {
            assert!(problem(bad).is_some(), "{bad}");
        }
    }
}
