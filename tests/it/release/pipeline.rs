//! The pipeline files: read as YAML, and their commands run in the same order in a shell, against a git repository and a
//! registry. What only the forge can do (check out, publish) is done by a stand-in that records what it was asked.

use std::collections::BTreeMap;

use super::{registry, services};
use crate::context::TestContext;

/// Runs scripts as a runner does, each in a shell of its own that stops at the first failure.
struct Runner<'a> {
    context: &'a TestContext,
    variables: BTreeMap<String, String>,
}

impl<'a> Runner<'a> {
    fn new(context: &'a TestContext, host: &str) -> Self {
        let bin = context.program("gh", "echo \"$@\" >>\"$RUNNER_TEMP/gh\"\n");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ioc"), bin.join("ioc")).unwrap();
        let temporary = context.root().join("runner");
        std::fs::create_dir_all(&temporary).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let registry = format!(
            "{host}/it-pipeline-{}-{}",
            std::process::id(),
            context
                .root()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .to_lowercase()
        );
        let variables = [
            ("PATH", path),
            ("IOC_REGISTRY", registry),
            ("REGISTRY_USER", "somebody".to_owned()),
            ("REGISTRY_PASSWORD", "secret".to_owned()),
            ("RUNNER_TEMP", temporary.display().to_string()),
            ("GITHUB_ENV", temporary.join("env").display().to_string()),
            ("GITHUB_REF_NAME", "2026.1.1".to_owned()),
            ("CI_COMMIT_TAG", "2026.1.1".to_owned()),
            ("CI_PROJECT_DIR", context.project().display().to_string()),
        ];
        Self {
            context,
            variables: variables
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        }
    }

    /// Variables of a pipeline file; what the forge would fill in is filled in.
    fn set(&mut self, table: &serde_json::Value) {
        for (key, value) in table.as_object().into_iter().flatten() {
            let registry = self.variables["IOC_REGISTRY"].clone();
            let value = value
                .as_str()
                .unwrap()
                .replace("${{ vars.IOC_REGISTRY }}", &registry)
                .replace("$IOC_REGISTRY", &registry);
            if !value.contains("${{") {
                self.variables.insert(key.clone(), value);
            }
        }
    }

    fn run(&mut self, script: &str) {
        let hermetic = self.context.command(&[]);
        let hermetic = hermetic
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?)));
        let output = std::process::Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", script])
            .current_dir(self.context.project())
            .env_clear()
            .envs(hermetic)
            .envs(&self.variables)
            .output()
            .unwrap();
        let said = self.context.report(&output);
        assert!(output.status.success(), "{script}\n{said}");
        assert!(!said.contains("secret"), "{said}");
        let env = std::fs::read_to_string(&self.variables["GITHUB_ENV"]).unwrap_or_default();
        for line in env.lines() {
            let (key, value) = line.split_once('=').unwrap();
            self.variables.insert(key.to_owned(), value.to_owned());
        }
    }
}

fn pipeline(context: &TestContext, kind: &str, path: &str) -> serde_json::Value {
    insta::allow_duplicates! {
        insta::assert_snapshot!(context.run(&["new", "--ci", kind, "--dry-run"]).replace(path, "[FILE]"), @"
        exit code: 0
        ----- stdout -----
        [FILE]
        ");
    }
    context.succeed(&["new", "--ci", kind]);
    let text = std::fs::read_to_string(context.project().join(path)).unwrap();
    let report = context.refuse(&["new", "--ci", kind]);
    assert!(
        report.contains(&format!("error: `{path}` exists already")),
        "{report}"
    );
    ioc::yaml::document(path.as_ref(), &text).unwrap()
}

/// A project at a tag, with the registry as plain HTTP.
fn project(host: &str) -> TestContext {
    let context = TestContext::new().without_engine();
    context.write(
        "ioc.toml",
        format!("[registry]\nplain-http = [\"{host}\"]\n[beamline.t01]\nrepository = \".\"\n"),
    );
    services(&context);
    context
}

#[test]
fn the_workflow_of_github_checks_and_releases() {
    let Some(host) = registry() else {
        return;
    };
    let context = project(&host);
    let workflow = pipeline(&context, "github", ".github/workflows/ioc.yml");
    let mut runner = Runner::new(&context, &host);
    runner.set(&workflow["env"]);
    let mut ran = Vec::new();
    for job in ["check", "release"] {
        runner.set(&workflow["jobs"][job]["env"]);
        for step in workflow["jobs"][job]["steps"].as_array().unwrap() {
            match (step["run"].as_str(), step["uses"].as_str()) {
                (Some(script), None) => {
                    runner.run(script);
                    ran.push(step["name"].as_str().unwrap());
                }
                (None, Some(action)) => {
                    assert_eq!(action.split('@').next(), Some("actions/checkout"));
                }
                _ => panic!("{step}"),
            }
        }
    }
    assert_eq!(
        ran,
        [
            "Which ioc",
            "Check",
            "Log in to the registry",
            "What would be released",
            "Release",
            "Publish the notes"
        ]
    );
    let published = std::fs::read_to_string(context.root().join("runner/gh")).unwrap();
    assert!(
        published.starts_with("release create 2026.1.1 --verify-tag --notes-file "),
        "{published}"
    );
    let notes = std::fs::read_to_string(context.root().join("runner/notes.md")).unwrap();
    assert!(notes.starts_with("# 2026.1.1\n"), "{notes}");
}

#[test]
fn the_pipeline_of_gitlab_checks_and_releases() {
    let Some(host) = registry() else {
        return;
    };
    let context = project(&host);
    let pipeline = pipeline(&context, "gitlab", ".gitlab-ci.yml");
    let mut runner = Runner::new(&context, &host);
    runner.set(&pipeline["variables"]);
    for stage in pipeline["stages"].as_array().unwrap() {
        let job = &pipeline[stage.as_str().unwrap()];
        assert_eq!(&job["stage"], stage);
        // the lines of a job share one shell
        let lines: Vec<&str> = job["script"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap())
            .collect();
        // there is no server to fetch from
        let lines: Vec<&str> = lines
            .into_iter()
            .filter(|line| !line.starts_with("git fetch"))
            .collect();
        runner.run(&lines.join("\n"));
    }
    let notes = std::fs::read_to_string(context.project().join("notes.md")).unwrap();
    assert!(notes.starts_with("# 2026.1.1\n"), "{notes}");
    for line in pipeline["release"]["after_script"].as_array().unwrap() {
        runner.run(line.as_str().unwrap());
    }
    assert!(
        !context
            .root()
            .join("project.tmp/ioc-login/config.json")
            .exists()
    );
}
