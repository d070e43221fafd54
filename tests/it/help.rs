//! The help of every command, so that a change of the command line is seen.

use clap::CommandFactory;

use crate::context::TestContext;

#[test]
fn every_command_has_a_help_page_that_is_known() {
    for path in verbs(&ioc::cli::Cli::command(), &[]) {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("-h");
        let page = TestContext::new().run(&arguments);
        assert!(page.starts_with("exit code: 0"), "{page}");
        insta::assert_snapshot!(format!("ioc-{}", path.join("-")), page);
    }
}

#[test]
fn verbs_that_act_on_instances_show_examples() {
    for path in verbs(&ioc::cli::Cli::command(), &[]) {
        let is_a_group = matches!(
            path.last().map(String::as_str),
            Some("chart" | "dependency" | "image" | "new" | "import")
        );
        if is_a_group || path.is_empty() || path == ["image", "ls"] || path == ["image", "graph"] {
            continue;
        }
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let page = TestContext::new().run(&arguments);
        assert!(
            page.contains("Examples:"),
            "`ioc {}` has no examples:\n{page}",
            path.join(" ")
        );
    }
}

fn verbs(command: &clap::Command, above: &[String]) -> Vec<Vec<String>> {
    let mut all = vec![above.to_vec()];
    for verb in command.get_subcommands() {
        let mut path = above.to_vec();
        path.push(verb.get_name().to_owned());
        all.extend(verbs(verb, &path));
    }
    all
}

#[test]
fn the_version_is_printed() {
    insta::assert_snapshot!(TestContext::new().run(&["--version"]), @"
    exit code: 0
    ----- stdout -----
    ioc 0.1.0
    ");
}

#[test]
fn completion_knows_the_verbs() {
    let context = TestContext::new();
    let output = context
        .command(&["--", "ioc", "de"])
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        text.split_whitespace().collect::<Vec<_>>(),
        ["deploy", "delete"]
    );
}
