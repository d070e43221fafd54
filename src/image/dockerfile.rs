//! Images that bring their own Dockerfile, in the shape of generic IOC repositories: stages `developer` and
//! `runtime`, whose bases are the build arguments `DEVELOPER` and `RUNTIME`.
//!
//! Only what the graph needs is read: stages, arguments, and which image of the project the arguments mean.
//! What the other instructions say is the engine's business.

use crate::diagnostic::{Diagnostic, Place};
use crate::image::catalog::DefinitionFile;
use crate::image::definition::{Base, Target};

/// What the graph needs of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The image that `ARG DEVELOPER` names by default.
    pub base: Base,
    /// Line of the argument that names the base, from 1.
    base_line: usize,
    /// Whether it has `ARG RUNTIME`.
    pub has_runtime_argument: bool,
}

impl Dockerfile {
    /// Reads a Dockerfile.
    ///
    /// # Errors
    ///
    /// A stage that is missing, or no `ARG DEVELOPER` to fill in.
    pub fn parse(file: &DefinitionFile) -> Result<Self, Vec<Diagnostic>> {
        let mut stages: Vec<String> = Vec::new();
        let mut developer: Option<(usize, String)> = None;
        let mut has_runtime_argument = false;
        for (index, line) in file.text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let instruction = words.next().unwrap_or("").to_ascii_uppercase();
            match instruction.as_str() {
                "FROM" => {
                    let mut rest = words.skip_while(|word| !word.eq_ignore_ascii_case("as"));
                    rest.next();
                    stages.extend(rest.next().map(str::to_ascii_lowercase));
                }
                "ARG" if stages.is_empty() => {
                    for word in words {
                        match word.split_once('=') {
                            Some(("DEVELOPER", value)) => {
                                developer = Some((index + 1, value.to_owned()));
                            }
                            Some(("RUNTIME", _)) => has_runtime_argument = true,
                            None if word == "DEVELOPER" => {
                                developer = Some((index + 1, String::new()));
                            }
                            None if word == "RUNTIME" => has_runtime_argument = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let mut findings = Vec::new();
        for target in Target::ALL {
            if !stages.iter().any(|stage| stage == target.as_str()) {
                findings.push(
                    Diagnostic::error(format!(
                        "`{}` has no stage `{target}`, so the image has no {target} target",
                        file.shown.display()
                    ))
                    .in_file(&file.shown)
                    .expected(found_stages(&stages))
                    .hint(format!("name the stage: `FROM … AS {target}`")),
                );
            }
        }
        let Some((base_line, value)) = developer else {
            findings.push(
                Diagnostic::error(format!(
                    "`{}` does not take its base as `ARG DEVELOPER`",
                    file.shown.display()
                ))
                .in_file(&file.shown)
                .hint("begin it with `ARG DEVELOPER=IMAGE` and `ARG RUNTIME=IMAGE`, and use them in `FROM ${DEVELOPER}`"),
            );
            return Err(findings);
        };
        if findings.is_empty() {
            Ok(Self {
                base: base_of(&value),
                base_line,
                has_runtime_argument,
            })
        } else {
            Err(findings)
        }
    }

    /// The line that names the base.
    pub fn base_place(&self, file: &DefinitionFile) -> Place {
        let text = file.text.lines().nth(self.base_line.saturating_sub(1));
        let length = text.map_or(1, |line| line.trim_end().chars().count());
        Place::in_text(&file.shown, &file.text, self.base_line, 1, length)
    }
}

fn found_stages(stages: &[String]) -> String {
    if stages.is_empty() {
        "no stage has a name".to_owned()
    } else {
        format!("its stages are `{}`", stages.join("`, `"))
    }
}

/// The image that a default such as `${REGISTRY}/epics-base${EXT}-developer:7.0.9` means: the last part of the
/// path without variables, tag and target.
fn base_of(default: &str) -> Base {
    let value = default.trim_matches(['"', '\'']);
    let mut plain = String::new();
    let mut depth = 0_usize;
    for character in value.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '$' => {}
            other if depth == 0 => plain.push(other),
            _ => {}
        }
    }
    let last = plain.rsplit('/').next().unwrap_or("");
    let name = last.split([':', '@']).next().unwrap_or("");
    match name.strip_suffix("-developer") {
        Some(name) if !name.is_empty() => Base::Image(name.to_owned()),
        _ => Base::Reference(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> DefinitionFile {
        DefinitionFile {
            path: "/p/x/Dockerfile".into(),
            shown: "x/Dockerfile".into(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_base_is_the_image_that_the_argument_means() {
        for (value, base) in [
            (
                "${REGISTRY}/epics-base${IMAGE_EXT}-developer:7.0.9ec5",
                Base::Image("epics-base".into()),
            ),
            ("epics-base-developer", Base::Image("epics-base".into())),
            (
                "\"r/epics-modules-developer:1\"",
                Base::Image("epics-modules".into()),
            ),
            ("debian:trixie", Base::Reference("debian:trixie".into())),
        ] {
            let text = format!(
                "ARG DEVELOPER={value}\nARG RUNTIME=x\nFROM ${{DEVELOPER}} AS developer\nFROM x AS runtime\n"
            );
            let dockerfile = Dockerfile::parse(&file(&text)).unwrap();
            assert_eq!(dockerfile.base, base, "{value}");
            assert!(dockerfile.has_runtime_argument);
        }
    }

    #[test]
    fn a_missing_stage_and_argument_are_named() {
        let findings = Dockerfile::parse(&file("FROM debian AS developer\n")).unwrap_err();
        let messages: Vec<_> = findings
            .iter()
            .map(|finding| finding.message.as_str())
            .collect();
        assert_eq!(
            messages,
            [
                "`x/Dockerfile` has no stage `runtime`, so the image has no runtime target",
                "`x/Dockerfile` does not take its base as `ARG DEVELOPER`"
            ]
        );
    }
}
