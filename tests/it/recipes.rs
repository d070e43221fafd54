//! The shipped recipes and images, built from repositories of the same shape as the real ones
//! (`tests/testbed/modules.sh`): dependencies, packages, settings, edits, libraries and what the runtime image gets.

use std::path::Path;
use std::process::Command;

use ioc::engine::Engine;

use crate::context::{TestContext, repository};
use crate::testbed;

const TAG: &str = "it-recipes";

/// A project with the shipped images, whose sources come from the test bed.
fn project(host: &str, repositories: &str) -> TestContext {
    let context = TestContext::new().env("DOCKER_HOST", host);
    copy(
        &repository().join("generic-iocs"),
        &context.project().join("generic-iocs"),
    );
    context.write(
        "ioc.toml",
        format!(
            "[images]\ntag = \"{TAG}\"\n\n[[mirror]]\nprefix = \"https://github.com/\"\nreplace = \"file://{repositories}/\"\n"
        ),
    );
    context
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn the_shipped_images_are_built_from_their_recipes() {
    let Some(host) = testbed::part("engine.sh", "DOCKER_HOST") else {
        return;
    };
    let Some(repositories) = testbed::part("modules.sh", "MODULE_REPOSITORIES") else {
        return;
    };
    if let Some(engine) = crate::engine::Engine::shared() {
        crate::beamline::base_image(engine);
    }
    let context = project(&host, &repositories);
    context.succeed(&["build", "ioc-motorsim", "ioc-adsimdetector"]);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let labels = |image: &str| {
        runtime.block_on(async {
            let engine = Engine::connect_to(&host).await.unwrap();
            let reference = format!("localhost/{image}:{TAG}");
            let facts = engine.docker().inspect_image(&reference).await.unwrap();
            facts.config.unwrap().labels.unwrap()
        })
    };
    let motor = labels("ioc-motorsim-runtime");
    assert!(
        motor["ioc.module.motor"].starts_with("R7-3-1 "),
        "{motor:?}"
    );
    assert_eq!(motor["ioc.console"], "console --plain");
    assert!(!motor.contains_key("ioc.module.adcore"));
    let camera = labels("ioc-adsimdetector-runtime");
    for module in [
        "seq",
        "sscan",
        "calc",
        "asyn",
        "adsupport",
        "adcore",
        "adsimdetector",
    ] {
        assert!(
            camera.contains_key(&format!("ioc.module.{module}")),
            "{module}"
        );
    }

    // nothing to do the second time, and the sources are not asked again
    let again = context.env("IOC_OFFLINE", "true").succeed(&[
        "build",
        "ioc-motorsim",
        "ioc-adsimdetector",
        "-o",
        "json",
    ]);
    assert!(!again.contains("\"built\""), "{again}");
}
