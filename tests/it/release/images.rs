//! Releases with images: built, compared and pushed by a real engine to a real registry.

use super::{registry, states};
use crate::context::TestContext;
use crate::engine::Engine;
use crate::versions::repository::GitRepository;

/// A project with one small image and one instance that runs it, at the tag 2026.1.1.
fn project(host: &str, engine: &Engine) -> (TestContext, GitRepository, String) {
    let context = TestContext::new().env("DOCKER_HOST", engine.host());
    let place = format!("{host}/it-images-{}", std::process::id());
    context.write(
        "ioc.toml",
        format!(
            "[images]\nregistry = \"{place}\"\n[release]\ncharts = \"oci://{place}/charts\"\n[registry]\nplain-http = [\"{host}\"]\n[beamline.t01]\nrepository = \".\"\n"
        ),
    );
    context.write(
        "generic-iocs/tiny/image.yaml",
        "description: tiny\nbase: os\n",
    );
    let repository = GitRepository::new(context.project());
    repository
        .write("services/x/Chart.yaml", "apiVersion: v2\nname: x\nversion: 0.1.0\n")
        .write("services/x/values.yaml", &format!("image: {place}/tiny-runtime:2026.1.1\n"))
        .write(
            "services/x/templates/x.yaml",
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: x, labels: {app: x}}\nspec:\n  serviceName: x\n  selector: {matchLabels: {app: x}}\n  template:\n    metadata: {labels: {app: x}}\n    spec:\n      containers: [{name: x, image: \"{{ .Values.image }}\", command: [sleep, infinity]}]\n",
        )
        .release("2026.1.1");
    (context, repository, place)
}

#[test]
fn images_are_built_pushed_once_and_never_replaced() {
    let (Some(host), Some(engine)) = (registry(), Engine::shared()) else {
        return;
    };
    let (context, repository, place) = project(&host, engine);
    let dry = context.json(&["release", "--dry-run"]);
    assert_eq!(states(&dry), ["to push", "to push", "to push"]);
    let first = context.json(&["release"]);
    assert_eq!(states(&first), ["pushed", "pushed", "pushed"]);
    assert_eq!(
        first["items"][0]["reference"],
        format!("{place}/tiny-developer:2026.1.1")
    );
    let again = context.json(&["release"]);
    assert_eq!(states(&again), ["there", "there", "there"]);
    assert_eq!(again["items"][1]["digest"], first["items"][1]["digest"]);

    // what would be built is not what the tag has
    let definition = "generic-iocs/tiny/image.yaml";
    repository.write(definition, "description: other\nbase: os\n");
    let report = context.refuse(&["release"]);
    assert!(
        report.contains("`generic-iocs/tiny/image.yaml` is not what the tag `2026.1.1` has"),
        "{report}"
    );
    repository.git(&["checkout", "--quiet", definition]);

    // an image of the project without the tag; one that was released before is good
    repository
        .write(
            "services/x/values.yaml",
            &format!("image: {place}/tiny-runtime:latest\n"),
        )
        .release("2026.2.1");
    let report = context.refuse(&["release"]);
    assert!(
        report.contains("which neither has the tag 2026.2.1 nor was released before"),
        "{report}"
    );
    repository
        .write(
            "services/x/values.yaml",
            &format!("image: {place}/tiny-runtime:2026.1.1\n"),
        )
        .release("2026.3.1");
    context.succeed(&["release"]);
}

#[test]
fn a_name_that_cannot_be_pushed_is_refused_before_anything_is_pushed() {
    let (Some(host), Some(engine)) = (registry(), Engine::shared()) else {
        return;
    };
    let (context, _repository, _place) = project(&host, engine);
    let context = context.env("IOC_IMAGE_REGISTRY", "localhost");
    let report = context.run(&["release"]);
    assert!(report.starts_with("exit code: 2\n"), "{report}");
    assert!(
        report.contains("has no registry to be pushed to"),
        "{report}"
    );
}
