//! Image definitions and recipes that are wrong. All of it is seen before an engine is asked for anything.

use crate::context::TestContext;

const RECIPE: &str = "\
description: a module
source:
  path: thing
depends: []
";

/// A project with the image `base`, the image `top` on it, and the recipe `thing`; no container engine.
fn project() -> TestContext {
    let context = TestContext::new().without_engine();
    context.write("ioc.toml", "");
    context.write(
        "generic-iocs/base/image.yaml",
        "description: the base\nbase: os\nmodules: [thing]\n",
    );
    context.write(
        "generic-iocs/top/image.yaml",
        "description: on top of the base\nbase: base\n",
    );
    context.write("generic-iocs/modules/thing.yaml", RECIPE);
    context.write("generic-iocs/modules/thing/Makefile", "all:\n");
    context
}

/// The answer to `ioc build top` with another `top/image.yaml`.
fn definition(text: &str) -> String {
    let context = project();
    context.write("generic-iocs/top/image.yaml", text);
    context.refuse(&["build", "top"])
}

/// The answer to `ioc build base` with another recipe.
fn recipe(text: &str) -> String {
    let context = project();
    context.write("generic-iocs/modules/thing.yaml", text);
    context.refuse(&["build", "base"])
}

#[test]
fn a_missing_field() {
    insta::assert_snapshot!(definition("description: no base\n"), @"
    exit code: 3
    ----- stderr -----
    error: field `base` is missing
     --> generic-iocs/top/image.yaml:1:1
      |
    1 | description: no base
      | ^^^^^^^^^^^ `base:` belongs here
    ");
}

#[test]
fn a_misspelt_field() {
    insta::assert_snapshot!(
        definition("description: a typing mistake\nbase: base\nmodlues: [thing]\n"), @"
    exit code: 3
    ----- stderr -----
    error: unknown field `modlues`
     --> generic-iocs/top/image.yaml:3:1
      |
    3 | modlues: [thing]
      | ^^^^^^^ expected one of `description`, `base`, `provides`, `modules`, `application`, `developer`, `runtime`
    hint: did you mean `modules`?
    ");
}

#[test]
fn a_field_that_is_there_twice() {
    insta::assert_snapshot!(
        definition("description: one\nbase: base\ndescription: two\n"), @"
    exit code: 3
    ----- stderr -----
    error: `description` stands here a second time
     --> generic-iocs/top/image.yaml:3:1
      |
    3 | description: two
      | ^^^^^^^^^^^
    hint: keep one of the two
    ");
}

#[test]
fn a_list_where_a_name_is_wanted() {
    insta::assert_snapshot!(definition("description: x\nbase: [base, os]\n"), @"
    exit code: 3
    ----- stderr -----
    error: a value of another kind belongs here
     --> generic-iocs/top/image.yaml:2:7
      |
    2 | base: [base, os]
      |       ^ expected a single value, not a list or keys
    ");
}

#[test]
fn a_definition_that_is_not_yaml() {
    insta::assert_snapshot!(definition("description: x\nbase: \"base\nmodules: [\n"), @"
    exit code: 3
    ----- stderr -----
    error: invalid indentation in multiline quoted scalar
     --> generic-iocs/top/image.yaml:3:1
      |
    3 | modules: [
      | ^
    ");
}

#[test]
fn a_definition_that_is_empty() {
    insta::assert_snapshot!(definition(""), @"
    exit code: 3
    ----- stderr -----
    error: the file is empty
     --> generic-iocs/top/image.yaml
    ");
}

#[test]
fn a_definition_that_grows_without_end() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ["b", "c", "d", "e", "f", "g", "h", "i"]
        .iter()
        .zip(["a", "b", "c", "d", "e", "f", "g", "h"])
    {
        let items = vec![format!("*{of}"); 9].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{items}]\n"));
    }
    insta::assert_snapshot!(definition(&bomb), @"
    exit code: 3
    ----- stderr -----
    error: unknown field `a`
     --> generic-iocs/top/image.yaml:1:1
      |
    1 | a: &a [x, x, x, x, x, x, x, x, x]
      | ^ expected one of `description`, `base`, `provides`, `modules`, `application`, `developer`, `runtime`
    ");
}

#[test]
fn a_base_that_does_not_exist() {
    insta::assert_snapshot!(definition("description: x\nbase: bsae\n"), @"
    exit code: 3
    ----- stderr -----
    error: there is no image `bsae`
     --> generic-iocs/top/image.yaml:2:7
      |
    2 | base: bsae
      |       ^^^^
    hint: did you mean `base`?
    ");
}

#[test]
fn a_base_that_is_built_on_its_own_product() {
    let context = project();
    context.write(
        "generic-iocs/base/image.yaml",
        "description: the base\nbase: top\nmodules: [thing]\n",
    );
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @"
    exit code: 3
    ----- stderr -----
    error: the bases of these images form a cycle: base -> top -> base
     --> generic-iocs/base/image.yaml:2:7
      |
    2 | base: top
      |       ^^^
    hint: let one of them have another `base`
    ");
}

#[test]
fn a_module_without_a_recipe() {
    insta::assert_snapshot!(definition("description: x\nbase: base\nmodules: [thng]\n"), @"
    exit code: 3
    ----- stderr -----
    error: there is no recipe for a module `thng`
     --> generic-iocs/top/image.yaml:3:11
      |
    3 | modules: [thng]
      |           ^^^^
    hint: did you mean `thing`?
    ");
}

#[test]
fn a_module_that_the_base_has_already() {
    insta::assert_snapshot!(definition("description: x\nbase: base\nmodules: [thing]\n"), @"
    exit code: 3
    ----- stderr -----
    error: `thing` is already in an image below this one
     --> generic-iocs/top/image.yaml:3:11
      |
    3 | modules: [thing]
      |           ^^^^^
    hint: remove it here: images inherit the modules of their base
    ");
}

#[test]
fn an_application_with_a_module_that_the_image_lacks() {
    insta::assert_snapshot!(
        definition("description: x\nbase: base\napplication:\n  modules: [motor]\n"), @"
    exit code: 3
    ----- stderr -----
    error: there is no recipe for a module `motor`
     --> generic-iocs/top/image.yaml:4:13
      |
    4 |   modules: [motor]
      |             ^^^^^
    hint: write `modules/motor.yaml`, or read one with `ioc import recipe`
    ");
}

#[test]
fn sources_outside_of_the_images() {
    insta::assert_snapshot!(
        definition("description: x\nbase: base\napplication:\n  sources: ../../../home\n"), @"
    exit code: 3
    ----- stderr -----
    error: the sources folder `../../../home` leads to `[ROOT]/home`, outside the folder of the images
     --> generic-iocs/top/image.yaml:4:12
      |
    4 |   sources: ../../../home
      |            ^^^^^^^^^^^^^
    hint: copy what is needed into the folder: an image must build from its repository alone
    ");
}

#[test]
fn an_ioc_that_would_run_as_root() {
    insta::assert_snapshot!(
        definition("description: x\nbase: base\nruntime:\n  uid: 0\n"), @"
    exit code: 3
    ----- stderr -----
    error: the runtime image does not run as root
     --> generic-iocs/top/image.yaml:4:8
      |
    4 |   uid: 0
      |        ^
    hint: give a number above 0; a chart can still set another user
    ");
}

#[test]
fn an_image_with_a_name_that_no_registry_takes() {
    let context = project();
    context.write(
        "generic-iocs/IOC_Sim/image.yaml",
        "description: x\nbase: base\n",
    );
    insta::assert_snapshot!(context.refuse(&["build", "IOC_Sim"]), @"
    exit code: 3
    ----- stderr -----
    error: `IOC_Sim` cannot be the name of an image: a name has lower-case letters, digits and `-` only
     --> generic-iocs/IOC_Sim/image.yaml
    hint: rename its folder
    ");
}

#[test]
fn an_image_that_is_not_there() {
    insta::assert_snapshot!(project().refuse(&["build", "topp"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no image `topp`
    hint: did you mean `top`?
    ");
}

#[test]
fn a_project_without_images() {
    let context = TestContext::new().without_engine();
    context.write("ioc.toml", "");
    insta::assert_snapshot!(context.refuse(&["build", "--all"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no folder `[ROOT]/project/generic-iocs` with image definitions
    hint: `folder` in `[images]` of `ioc.toml` names it; `ioc new generic-ioc` begins one
    ");
}

#[test]
fn a_dockerfile_without_a_runtime_target() {
    let context = project();
    context.write(
        "generic-iocs/own/Dockerfile",
        "FROM localhost/base-developer AS developer\nRUN make\n",
    );
    insta::assert_snapshot!(context.refuse(&["build", "own"]), @"
    exit code: 3
    ----- stderr -----
    error: `generic-iocs/own/Dockerfile` has no stage `runtime`, so the image has no runtime target
     --> generic-iocs/own/Dockerfile
      = its stages are `developer`
    hint: name the stage: `FROM … AS runtime`
    error: `generic-iocs/own/Dockerfile` does not take its base as `ARG DEVELOPER`
     --> generic-iocs/own/Dockerfile
    hint: begin it with `ARG DEVELOPER=IMAGE` and `ARG RUNTIME=IMAGE`, and use them in `FROM ${DEVELOPER}`
    error: the image definitions have 2 mistakes
    ");
}

#[test]
fn locked_without_a_lock() {
    insta::assert_snapshot!(project().refuse(&["build", "top", "--locked"]), @"
    exit code: 6
    ----- stderr -----
    error: the container engine at `unix://[ROOT]/no-engine.sock` cannot be reached
      cause: No such file or directory (os error 2)
    hint: there is no such socket: start the engine, or name another with `--engine`
    ");
}

#[test]
fn a_lock_that_is_damaged() {
    let context = project();
    context.write("generic-iocs/image.lock", "version = 1\n[[source\n");
    insta::assert_snapshot!(context.refuse(&["build", "top", "--locked"]), @"
    exit code: 6
    ----- stderr -----
    error: the container engine at `unix://[ROOT]/no-engine.sock` cannot be reached
      cause: No such file or directory (os error 2)
    hint: there is no such socket: start the engine, or name another with `--engine`
    ");
}

#[test]
fn a_recipe_with_two_sources() {
    insta::assert_snapshot!(
        recipe("description: x\nsource:\n  path: thing\n  git: {url: https://example.org/thing, tag: R1}\n"), @"
    exit code: 3
    ----- stderr -----
    error: only one of the keys that exclude each other may stand here
     --> generic-iocs/modules/thing.yaml:4:3
      |
    4 |   git: {url: https://example.org/thing, tag: R1}
      |   ^^^
    ");
}

#[test]
fn a_recipe_without_a_source() {
    insta::assert_snapshot!(recipe("description: x\ndepends: []\n"), @"
    exit code: 3
    ----- stderr -----
    error: field `source` is missing
     --> generic-iocs/modules/thing.yaml:2:1
      |
    2 | depends: []
      | ^^^^^^^ `source:` belongs here
    ");
}

#[test]
fn a_checksum_that_is_too_short() {
    insta::assert_snapshot!(
        recipe("description: x\nsource:\n  archive:\n    url: https://example.org/thing.tar.gz\n    sha256: 1234abcd\n"), @"
    exit code: 3
    ----- stderr -----
    error: `1234abcd` is not a SHA-256 sum (64 lower-case hexadecimal digits)
     --> generic-iocs/modules/thing.yaml:5:13
      |
    5 |     sha256: 1234abcd
      |             ^^^^^^^^
    ");
}

#[test]
fn a_source_outside_of_the_project() {
    insta::assert_snapshot!(recipe("description: x\nsource:\n  path: ../../../home\n"), @"
    exit code: 3
    ----- stderr -----
    error: the source folder `../../../home` leads to `[ROOT]/home`, outside the folder of the images
     --> generic-iocs/modules/thing.yaml:3:3
      |
    3 |   path: ../../../home
      |   ^^^^
    hint: copy what is needed into the folder: an image must build from its repository alone
    ");
}

#[test]
fn a_source_that_is_not_there() {
    insta::assert_snapshot!(recipe("description: x\nsource:\n  path: nothing\n"), @"
    exit code: 3
    ----- stderr -----
    error: the source folder `nothing` does not exist
     --> generic-iocs/modules/thing.yaml:3:3
      |
    3 |   path: nothing
      |   ^^^^
    hint: paths here are relative to `generic-iocs/modules`
    ");
}

#[test]
fn a_patch_that_is_not_there() {
    insta::assert_snapshot!(recipe(&format!("{RECIPE}patches: [thing.patch]\n")), @"
    exit code: 3
    ----- stderr -----
    error: the patch `thing.patch` does not exist
     --> generic-iocs/modules/thing.yaml:5:11
      |
    5 | patches: [thing.patch]
      |           ^^^^^^^^^^^
    hint: paths here are relative to `generic-iocs/modules`
    ");
}

#[test]
fn recipes_that_need_each_other() {
    let context = project();
    context.write(
        "generic-iocs/modules/thing.yaml",
        RECIPE.replace("[]", "[other]"),
    );
    context.write(
        "generic-iocs/modules/other.yaml",
        "description: another\nsource:\n  path: thing\ndepends: [thing]\n",
    );
    context.write(
        "generic-iocs/base/image.yaml",
        "description: the base\nbase: os\nmodules: [thing, other]\n",
    );
    insta::assert_snapshot!(context.refuse(&["build", "base"]), @"
    exit code: 3
    ----- stderr -----
    error: `thing` and `other` need each other
     --> generic-iocs/modules/thing.yaml:4:11
      |
    4 | depends: [other]
      |           ^^^^^
    hint: neither can be built first: remove one of the two dependencies
    ");
}

#[test]
fn a_module_before_what_it_needs() {
    let context = project();
    context.write(
        "generic-iocs/modules/thing.yaml",
        RECIPE.replace("[]", "[other]"),
    );
    context.write(
        "generic-iocs/modules/other.yaml",
        "description: another\nsource:\n  path: thing\n",
    );
    context.write(
        "generic-iocs/base/image.yaml",
        "description: the base\nbase: os\nmodules: [thing, other]\n",
    );
    insta::assert_snapshot!(context.refuse(&["build", "base"]), @"
    exit code: 3
    ----- stderr -----
    error: `thing` needs `other`, which stands after it in `modules`
     --> generic-iocs/base/image.yaml:3:11
      |
    3 | modules: [thing, other]
      |           ^^^^^ `other` belongs before this line
    hint: modules are built in the order in which they stand
    ");
}

#[test]
fn an_edit_that_does_two_things() {
    insta::assert_snapshot!(
        recipe(&format!("{RECIPE}edits:\n  - {{file: Makefile, delete: test, append: more}}\n")), @"
    exit code: 3
    ----- stderr -----
    error: this edit says more than one thing to do: write one entry per change
     --> generic-iocs/modules/thing.yaml:6:5
      |
    6 |   - {file: Makefile, delete: test, append: more}
      |     ^
    hint: see `edits` in docs/images.md
    ");
}

#[test]
fn a_package_with_a_name_that_is_a_command() {
    insta::assert_snapshot!(
        recipe(&format!("{RECIPE}packages:\n  build: [gcc, \"make; rm -rf /\"]\n")), @r#"
    exit code: 3
    ----- stderr -----
    error: `make; rm -rf /` is not the name of a Debian package
     --> generic-iocs/modules/thing.yaml:6:16
      |
    6 |   build: [gcc, "make; rm -rf /"]
      |                ^^^^^^^^^^^^^^^^
    hint: lower-case letters, digits, `+`, `-` and `.`, with `=version` behind it if need be
    "#);
}

#[test]
fn a_target_that_does_not_exist() {
    insta::assert_snapshot!(project().refuse(&["build", "top", "--target", "debug"]), @"
    exit code: 2
    ----- stderr -----
    error: invalid value 'debug' for '--target <TARGET>'
      [possible values: all, developer, runtime]

    For more information, try '--help'.
    ");
}
