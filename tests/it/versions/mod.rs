//! `ioc versions`, and `--version` of the verbs that render: against git repositories of many shapes.

mod deploying;
mod listing;
mod on_the_engine;
mod peer;
pub(crate) mod repository;

use repository::GitRepository;

use crate::context::TestContext;

/// A project whose beamline `t01` is a git repository `services`, with two instances of which one name begins with the
/// other: at the tags 2026.1.1 to 2026.5.1 something changed.
fn five_tags() -> (TestContext, GitRepository) {
    let context = TestContext::new().without_engine();
    let repository = GitRepository::new(context.project().join("services-t01"));
    repository
        .shared()
        .instance("x-0")
        .instance("x-01")
        .release("2026.1.1");
    repository
        .write("services/x-01/config/st.cmd", "iocInit\ndbl\n")
        .release("2026.2.1");
    repository
        .write("services/values.yaml", "shared: two\n")
        .release("2026.3.1b1");
    repository
        .write(".helm-shared/templates/NOTES.txt", "hello\n")
        .release("2026.04.1");
    repository
        .write("README.md", "# nothing that is deployed\n")
        .release("2026.5.1");
    context.write(
        "ioc.toml",
        "[beamline.t01]\nrepository = \"services-t01\"\n",
    );
    (context, repository)
}

/// The names of the versions in what `ioc versions -o json` prints.
fn names(versions: &serde_json::Value) -> Vec<String> {
    let all = versions.as_array().unwrap();
    all.iter()
        .map(|one| one["version"].as_str().unwrap().to_owned())
        .collect()
}
