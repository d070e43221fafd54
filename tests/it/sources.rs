//! Sources of support modules and the base image, as far as they need neither network nor engine.

use std::path::Path;

use serde::Deserialize;

use crate::context::{TestContext, repository};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    source: ioc::source::Source,
}

#[test]
fn every_source_in_the_documentation_is_read() {
    let page = std::fs::read_to_string(repository().join("docs/sources.md")).unwrap();
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    let mut kinds: Vec<String> = Vec::new();
    for example in examples {
        let recipe: Recipe = ioc::yaml::from_str(Path::new("docs/sources.md"), example)
            .unwrap_or_else(|error| panic!("{error:?}\n{example}"));
        let kind = format!("{:?}", recipe.source);
        kinds.push(kind.split('(').next().unwrap().to_owned());
    }
    assert_eq!(kinds, ["Git", "Archive", "Debian", "Path"]);
}

#[test]
fn a_base_image_needs_names_that_can_be_right() {
    let context = TestContext::new();
    insta::assert_snapshot!(context.run(&["image", "bootstrap", "--suite", "../etc"]), @"
    exit code: 2
    ----- stderr -----
    error: `../etc` is not the name of a release
    hint: releases have names such as `trixie` or `bookworm`
    ");
    insta::assert_snapshot!(
        context.run(&["image", "bootstrap", "--mirror", "http://m/debian", "--tag", "Debian"]), @"
    exit code: 2
    ----- stderr -----
    error: `Debian` is not the name of an image
    hint: write it as `localhost/debian:trixie`: lower case, with a tag
    ");
    insta::assert_snapshot!(context.run(&["image", "bootstrap", "--mirror", "ftp://m/debian"]), @"
    exit code: 2
    ----- stderr -----
    error: `ftp://m/debian` is not the URL of a package mirror
    hint: write it as `http://packages.site/debian`
    ");
}
