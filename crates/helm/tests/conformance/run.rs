//! One rendering, by this engine and by the real helm.

use std::path::Path;
use std::process::Command;

use helm::{
    Capabilities, Chart, KubeVersion, LoadOptions, ReleaseOptions, RenderOptions, TemplateOptions,
    Values, render_with,
};

use crate::case::Outcome;

/// What `helm template r chart ARGUMENTS` in a folder gives, by the library.
pub(crate) fn ours(arguments: &[String], folder: &Path) -> Outcome {
    let here = format!("{}/", folder.display());
    rendered(arguments, folder).map_err(|message| message.replace(&here, ""))
}

fn rendered(arguments: &[String], folder: &Path) -> Outcome {
    let mut release = ReleaseOptions::install("r", "default", jiff::Zoned::now());
    let mut capabilities = Capabilities::default();
    let mut values = Values::new();
    let mut options = RenderOptions::default();
    let mut output = TemplateOptions::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().unwrap().as_str();
        let read = |path: &str| fs_err::read_to_string(folder.join(path));
        let added = match argument.as_str() {
            "-f" => {
                let name = next();
                values.file(name, &read(name).unwrap())
            }
            "--set" => values.set(next()),
            "--set-string" => values.set_string(next()),
            "--set-json" => values.set_json(next()),
            "--set-literal" => values.set_literal(next()),
            "--set-file" => {
                values.set_file(next(), |path| read(path).map_err(|error| error.to_string()))
            }
            other => {
                match other {
                    "--namespace" => next().clone_into(&mut release.namespace),
                    "--is-upgrade" => release.is_upgrade = true,
                    "--include-crds" => output.include_crds = true,
                    "--skip-crds" => output.include_crds = false,
                    "--no-hooks" => output.no_hooks = true,
                    "--skip-tests" => output.skip_tests = true,
                    "--show-only" => output.show_only.push(next().to_owned()),
                    "--skip-schema-validation" => options.skip_schema_validation = true,
                    "--kube-version" => {
                        let text = next();
                        capabilities.kube_version = KubeVersion::parse(text).map_err(|error| {
                            format!("invalid kube version '{text}': {}", error.helm_text())
                        })?;
                    }
                    "--api-versions" => {
                        capabilities
                            .api_versions
                            .extend(next().split(',').map(str::to_owned));
                    }
                    unknown => panic!("the runner does not know `{unknown}`"),
                }
                Ok(values)
            }
        };
        values = added.map_err(|error| error.helm_text())?;
    }
    let chart = Chart::load(&folder.join("chart"), &LoadOptions::default())
        .map_err(|error| error.helm_text())?;
    let values = values.into_value();
    let rendered = render_with(&chart, &values, &release, &capabilities, &options)
        .map_err(|error| error.helm_text())?;
    rendered
        .template_output(&output)
        .map_err(|error| error.helm_text())
}

/// The real helm, when the test bed has it. Under `CI=true` it must.
pub(crate) fn binary() -> Option<String> {
    let binary = std::env::var("HELM_BINARY")
        .ok()
        .filter(|path| !path.is_empty());
    if binary.is_none() {
        let message = "HELM_BINARY is not set: compared with recorded output only \
                       (tests/testbed/helm.sh up; eval \"$(tests/testbed/helm.sh env)\")";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
        println!("{message}");
    }
    binary
}

/// What the real helm gives.
pub(crate) fn theirs(binary: &str, arguments: &[String], folder: &Path) -> Outcome {
    let output = Command::new(binary)
        .args(["template", "r", "chart"])
        .args(arguments)
        .current_dir(folder)
        .env("HELM_NAMESPACE", "default")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    let message = String::from_utf8(output.stderr).unwrap();
    // Warnings come before the error, each in one line of its own.
    let at = message.find("Error: ").map_or(0, |at| at + "Error: ".len());
    // Helm names the folder in which it runs.
    let here = format!("{}/", folder.display());
    Err(message[at..].trim_end().replace(&here, ""))
}
