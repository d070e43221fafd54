//! What a build says: steps, output, marks, and what failed.

use std::collections::{BTreeMap, VecDeque};

use bollard::errors::Error as EngineError;
use bollard::models::{BuildInfo, BuildInfoAux};

use super::{BuildFailure, BuildObserver, refused};
use crate::image::trace::Mark;

/// How many lines of a step are kept for the case that it fails.
const KEPT_LINES: usize = 400;

/// What a build has said so far.
#[derive(Debug, Default)]
pub(super) struct BuildLog {
    /// Steps by digest.
    steps: BTreeMap<String, StepLog>,
    /// Digest of the step that failed, or that spoke last.
    current: String,
    failed: Option<String>,
    pub(super) id: Option<String>,
}

#[derive(Debug, Default)]
struct StepLog {
    name: String,
    mark: Option<Mark>,
    lines: VecDeque<String>,
    partial: String,
    told: bool,
}

impl BuildLog {
    /// Takes a message; the identifier of the image when this was the last.
    pub(super) fn take(&mut self, info: BuildInfo, observer: &dyn BuildObserver) -> Option<String> {
        if let Some(text) = info.stream {
            self.classic(&text, observer);
        }
        match info.aux {
            Some(BuildInfoAux::BuildKit(status)) => {
                for vertex in status.vertexes {
                    let step = self.steps.entry(vertex.digest.clone()).or_default();
                    step.name = short_name(&vertex.name);
                    if !vertex.error.is_empty() {
                        self.failed = Some(vertex.digest);
                    } else if vertex.cached {
                        observer.cached(&step.name);
                    } else if vertex.started.is_some() && vertex.completed.is_none() && !step.told {
                        step.told = true;
                        observer.step(&step.name);
                    }
                }
                for log in status.logs {
                    let text = String::from_utf8_lossy(&log.msg).into_owned();
                    self.current.clone_from(&log.vertex);
                    self.steps
                        .entry(log.vertex)
                        .or_default()
                        .add(&text, observer);
                }
                None
            }
            Some(BuildInfoAux::Default(image)) => {
                self.id = image.id;
                // BuildKit names the image last.
                self.id
                    .clone()
                    .filter(|_| !self.steps.contains_key(CLASSIC))
            }
            None => None,
        }
    }

    /// Output of a builder that writes one text.
    fn classic(&mut self, text: &str, observer: &dyn BuildObserver) {
        CLASSIC.clone_into(&mut self.current);
        let step = self.steps.entry(CLASSIC.to_owned()).or_default();
        if text.starts_with("STEP ") || text.starts_with("Step ") {
            step.lines.clear();
            step.mark = None;
            step.name = short_name(text.trim_end());
            observer.step(&step.name);
        } else {
            step.add(text, observer);
        }
        if let Some(id) = text.trim().strip_prefix("Successfully built ") {
            self.id = Some(id.to_owned());
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.failed.is_some()
    }

    pub(super) fn failure(&mut self, error: EngineError) -> BuildFailure {
        match error {
            EngineError::DockerStreamError { error } => self.failure_of_step(error),
            other => BuildFailure::Engine(refused("build", other)),
        }
    }

    pub(super) fn failure_of_step(&mut self, message: String) -> BuildFailure {
        let digest = self.failed.clone().unwrap_or_else(|| self.current.clone());
        let step = self.steps.remove(&digest).unwrap_or_default();
        let mut output: Vec<String> = step.lines.into();
        if !step.partial.is_empty() {
            output.push(step.partial);
        }
        BuildFailure::Step {
            mark: step.mark,
            step: step.name,
            output,
            message,
        }
    }
}

/// Where the output of a builder without steps is kept.
const CLASSIC: &str = "classic";

impl StepLog {
    fn add(&mut self, text: &str, observer: &dyn BuildObserver) {
        self.partial.push_str(text);
        while let Some(end) = self.partial.find('\n') {
            let line: String = self.partial.drain(..=end).collect();
            let line = line.trim_end();
            // A progress bar writes over itself.
            let line = line.rsplit('\r').next().unwrap_or(line);
            if let Some(mark) = Mark::parse(line) {
                observer.step(&mark.to_string());
                self.mark = Some(mark);
                continue;
            }
            observer.output(line);
            if self.lines.len() == KEPT_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line.to_owned());
        }
        // A line without end cannot fill the memory.
        if self.partial.len() > 64 * 1024 {
            self.partial.clear();
        }
    }
}

/// The name of a step without the mounts that every step has.
pub(super) fn short_name(name: &str) -> String {
    let kept = name
        .split_whitespace()
        .filter(|word| !word.starts_with("--mount=") && *word != "\\");
    let text = kept.collect::<Vec<_>>().join(" ");
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl BuildObserver for Recorder {
        fn step(&self, step: &str) {
            self.0.lock().unwrap().push(format!("step {step}"));
        }
        fn output(&self, line: &str) {
            self.0.lock().unwrap().push(format!("line {line}"));
        }
    }

    fn message(text: &str) -> BuildInfo {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_classic_builder_is_understood() {
        let mut log = BuildLog::default();
        let recorder = Recorder::default();
        for text in [
            r#"{"stream":"STEP 2/5: RUN --mount=type=bind,source=a,target=/b bash /build/build.sh\n"}"#,
            r#"{"stream":"::ioc asyn make 0\n"}"#,
            r#"{"stream":"x.c:1: error: half"}"#,
            r#"{"stream":" a line\n"}"#,
        ] {
            assert_eq!(log.take(message(text), &recorder), None);
        }
        assert_eq!(
            *recorder.0.lock().unwrap(),
            [
                "step STEP 2/5: RUN bash /build/build.sh",
                "step asyn: make",
                "line x.c:1: error: half a line"
            ]
        );
        let failure = log.failure(EngineError::DockerStreamError {
            error: "exit 2".into(),
        });
        let BuildFailure::Step { mark, output, .. } = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(mark.unwrap().owner, "asyn");
        assert_eq!(output, ["x.c:1: error: half a line"]);
    }

    #[test]
    fn names_of_steps_are_shown_without_their_mounts() {
        assert_eq!(
            short_name(
                "[developer 3/9] RUN --mount=type=cache,target=/a --mount=type=bind,source=b bash /build/build.sh"
            ),
            "[developer 3/9] RUN bash /build/build.sh"
        );
    }
}
