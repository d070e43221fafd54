//! Services repositories that are wrong: what `ioc check`, `ioc render` and `ioc deploy` say.

use crate::context::TestContext;

const FOLDER: &str = "beamlines/t02/services/t02-ea-ioc-01";

/// The answer to `ioc check` of a beamline with one change, without a container engine.
fn check(change: impl FnOnce(&TestContext)) -> String {
    let context = TestContext::with_beamline();
    change(&context);
    context.refuse(&["check", "t02", "--no-engine"])
}

/// The answer to `ioc render` of its instance with one change.
fn render(change: impl FnOnce(&TestContext)) -> String {
    let context = TestContext::with_beamline();
    change(&context);
    context.refuse(&["render", "t02-ea-ioc-01"])
}

/// Adds a line to the start-up script, where databases are loaded.
fn start_up(context: &TestContext, line: &str) {
    context.replace(
        &format!("{FOLDER}/config/st.cmd"),
        "\niocInit",
        &format!("\n{line}\niocInit"),
    );
}

fn values(context: &TestContext, text: &str) {
    context.write(&format!("{FOLDER}/values.yaml"), text);
}

#[test]
fn values_that_are_not_yaml() {
    let change =
        |context: &TestContext| values(context, "ioc-instance:\n  image: \"x\n  prefix: y\n");
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: invalid indentation in multiline quoted scalar
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:3:3
      |
    3 |   prefix: y
      |   ^
    ");
    insta::assert_snapshot!(render(change), @"
    exit code: 3
    ----- stderr -----
    error: found unexpected end of stream
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:4:1
    ");
}

#[test]
fn a_misspelt_value() {
    let change = |context: &TestContext| {
        context.replace(&format!("{FOLDER}/values.yaml"), "  prefix:", "  prefxi:");
    };
    insta::assert_snapshot!(check(change), @r#"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: unknown value `prefxi`
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:7:3
      |
    7 |   prefxi: "T02-EA-IOC-01"
      |   ^^^^^^
    hint: did you mean `prefix`?
    "#);
    insta::assert_snapshot!(render(change), @r#"
    exit code: 3
    ----- stderr -----
    error: unknown value `prefxi`
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:7:3
      |
    7 |   prefxi: "T02-EA-IOC-01"
      |   ^^^^^^
    hint: did you mean `prefix`?
    "#);
}

#[test]
fn a_value_of_the_wrong_type() {
    let change = |context: &TestContext| {
        context.append(
            &format!("{FOLDER}/values.yaml"),
            "  hostNetwork: \"perhaps\"\n",
        );
    };
    insta::assert_snapshot!(check(change), @r#"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `ioc-instance.hostNetwork` is a text
      --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:16:16
       |
    16 |   hostNetwork: "perhaps"
       |                ^^^^^^^^^ expected true or false
    "#);
}

#[test]
fn a_number_in_the_environment() {
    insta::assert_snapshot!(
        check(|context| context.append(
            &format!("{FOLDER}/values.yaml"),
            "  iocEnv:\n    - {name: EPICS_CAS_SERVER_PORT, value: 5064}\n",
        )), @r#"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `ioc-instance.iocEnv[0].value` is a number
      --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:17:44
       |
    17 |     - {name: EPICS_CAS_SERVER_PORT, value: 5064}
       |                                            ^^^^ expected a text
    hint: write it in quotes: "5064"
    "#);
}

#[test]
fn a_value_that_is_there_twice() {
    insta::assert_snapshot!(
        check(|context| context.append(&format!("{FOLDER}/values.yaml"), "  image: localhost/other:1\n")), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `image` stands here a second time
      --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:16:3
       |
    16 |   image: localhost/other:1
       |   ^^^^^
    hint: keep one of the two
    ");
}

#[test]
fn no_image() {
    let change = |context: &TestContext| values(context, "ioc-instance:\n  prefix: T02\n");
    insta::assert_snapshot!(check(change), @r#"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `image` is missing: set `ioc-instance.image` to the generic IOC image (called from beamlines/t02/.helm-shared/charts/ioc-instance/templates/_ioc-instance.tpl:6, beamlines/t02/.helm-shared/templates/ioc-instance.yaml:1)
      --> beamlines/t02/.helm-shared/charts/ioc-instance/templates/_ioc-instance.tpl:16:11
       |
    16 | {{- $_ := required "`image` is missing: set `ioc-instance.image` to the generic IOC image" $values.image -}}
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(render(change), @r#"
    exit code: 3
    ----- stderr -----
    error: `image` is missing: set `ioc-instance.image` to the generic IOC image (called from beamlines/t02/.helm-shared/charts/ioc-instance/templates/_ioc-instance.tpl:6, beamlines/t02/.helm-shared/templates/ioc-instance.yaml:1)
      --> beamlines/t02/.helm-shared/charts/ioc-instance/templates/_ioc-instance.tpl:16:11
       |
    16 | {{- $_ := required "`image` is missing: set `ioc-instance.image` to the generic IOC image" $values.image -}}
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn values_that_grow_without_end() {
    let mut bomb =
        "ioc-instance:\n  image: x\n  prefix: y\na: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    for pair in names.windows(2) {
        let items = vec![format!("*{}", pair[0]); 9].join(", ");
        bomb.push_str(&format!("{0}: &{0} [{items}]\n", pair[1]));
    }
    let change = |context: &TestContext| values(context, &bomb);
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the document grows beyond all measure here
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:9:16
      |
    9 | f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]
      |                ^^
    ");
    insta::assert_snapshot!(render(change), @"
    exit code: 3
    ----- stderr -----
    error: document contains excessive aliasing
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml
    ");
}

#[test]
fn a_link_that_leaves_the_repository() {
    let change = |context: &TestContext| {
        std::fs::write(context.root().join("secret.db"), "record(ai, \"X\") {}\n").unwrap();
        context.symlink(
            "../../../../../../secret.db",
            &format!("{FOLDER}/config/secret.db"),
        );
    };
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the symbolic link to `../../../../../../secret.db` leaves the services repository
     --> beamlines/t02/services/t02-ea-ioc-01/config/secret.db
      = a relative link that stays below `[ROOT]/project/beamlines/t02`
    hint: copy the file into the services repository
    ");
    insta::assert_snapshot!(render(change), @"
    exit code: 3
    ----- stderr -----
    error: the symbolic link to `../../../../../../secret.db` leaves the services repository
     --> beamlines/t02/services/t02-ea-ioc-01/config/secret.db
      = a relative link that stays below `[ROOT]/project/beamlines/t02`
    hint: copy the file into the services repository
    ");
}

#[test]
fn a_link_to_nothing() {
    let change = |context: &TestContext| {
        context.symlink("gone.db", &format!("{FOLDER}/config/stage.db"));
    };
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the symbolic link to `gone.db` leads nowhere
     --> beamlines/t02/services/t02-ea-ioc-01/config/stage.db
    hint: copy the file into the services repository
    ");
}

#[test]
fn a_link_to_itself() {
    let change = |context: &TestContext| context.symlink("..", &format!("{FOLDER}/config/up"));
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the symbolic link to `..` leads back to a folder that holds it
     --> beamlines/t02/services/t02-ea-ioc-01/config/up
    hint: remove the link
    ");
}

#[test]
fn a_configuration_of_more_than_a_mebibyte() {
    let change = |context: &TestContext| {
        context.write(
            &format!("{FOLDER}/config/large.db"),
            "# filler\n".repeat(120_000),
        );
    };
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the configuration has 1081 kB, and a ConfigMap holds at most 1048 kB
     --> beamlines/t02/services/t02-ea-ioc-01/config
      = the largest files are `large.db` 1080 kB, `st.cmd` 1 kB
    hint: put databases that all instances share into the image, or make them from a template with `ioc.subst`
    not checked: start-up of `t02-ea-ioc-01`, as long as its configuration has `large.db`
    ");
}

#[test]
fn a_binary_file_in_the_configuration() {
    let change = |context: &TestContext| {
        context.write(
            &format!("{FOLDER}/config/ioc"),
            [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0xff],
        );
    };
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `ioc` is not text in UTF-8
     --> beamlines/t02/services/t02-ea-ioc-01/config/ioc:1
      = expected text
    hint: move it to `config-binary/`, which the IOC sees in the same place; or convert text with `iconv -t utf-8`
    not checked: start-up of `t02-ea-ioc-01`, as long as its configuration has `ioc`
    not checked: whether the images exist, since no engine was asked: `localhost/ioc-sim-runtime:latest`
    not checked: record types, fields, databases and variables that come from the images that are not at hand: `localhost/ioc-sim-runtime:latest`
    ");
}

#[test]
fn no_start_up_script() {
    let change = |context: &TestContext| {
        std::fs::remove_file(context.project().join(FOLDER).join("config/st.cmd")).unwrap();
    };
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the instance has no configuration files
     --> beamlines/t02/services/t02-ea-ioc-01/config
      = expected a start-up file `st.cmd`, `ioc.yaml` or `start.sh`
    hint: `ioc new instance` writes a `config/st.cmd` that works
    not checked: whether the images exist, since no engine was asked: `localhost/ioc-sim-runtime:latest`
    not checked: record types, fields, databases and variables that come from the images that are not at hand: `localhost/ioc-sim-runtime:latest`
    ");
}

#[test]
fn a_macro_that_nobody_defined() {
    insta::assert_snapshot!(
        check(|context| {
            context.write(&format!("{FOLDER}/config/own.db"), "record(ai, \"$(P)$(R)VALUE\") {\n}\n");
            start_up(context, "dbLoadRecords(\"own.db\", \"P=T02:\")");
        }), @r#"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: macro `R` is not defined
     --> beamlines/t02/services/t02-ea-ioc-01/config/own.db:1:17
      |
    1 | record(ai, "$(P)$(R)VALUE") {
      |                 ^^^^
    hint: add `R=…` to the macros at beamlines/t02/services/t02-ea-ioc-01/config/st.cmd:18:1, or write `$(R=default)`
    not checked: whether the images exist, since no engine was asked: `localhost/ioc-sim-runtime:latest`
    not checked: record types, fields, databases and variables that come from the images that are not at hand: `localhost/ioc-sim-runtime:latest`
    "#);
}

#[test]
fn a_database_with_a_brace_too_few() {
    insta::assert_snapshot!(
        check(|context| {
            context.write(
                &format!("{FOLDER}/config/own.db"),
                "record(ai, \"T02:ONE\") {\n    field(SCAN, \"1 second\")\n\nrecord(ai, \"T02:TWO\") {\n}\n",
            );
            start_up(context, "dbLoadRecords(\"own.db\")");
        }), @r#"
    exit code: 1
    ----- stdout -----
    1 instance, 2 records: 1 error
    ----- stderr -----
    error: `record` is not expected here
     --> beamlines/t02/services/t02-ea-ioc-01/config/own.db:4:1
      |
    4 | record(ai, "T02:TWO") {
      | ^^^^^^ `field(…)`, `info(…)`, `alias(…)` or `}`
    hint: the IOC stops reading the file here and refuses it
    not checked: whether the images exist, since no engine was asked: `localhost/ioc-sim-runtime:latest`
    not checked: record types, fields, databases and variables that come from the images that are not at hand: `localhost/ioc-sim-runtime:latest`
    "#);
}

#[test]
fn an_instance_with_a_name_that_no_label_may_have() {
    insta::assert_snapshot!(
        check(|context| {
            let services = context.project().join("beamlines/t02/services");
            std::fs::rename(services.join("t02-ea-ioc-01"), services.join("t02_ea_ioc_01")).unwrap();
        }), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 2 errors
    ----- stderr -----
    error: `StatefulSet t02_ea_ioc_01`: `spec.template.spec.volumes[autosave].persistentVolumeClaim.claimName` is `t02_ea_ioc_01-autosave`, not a name: lower-case letters, digits and `-`
     --> beamlines/t02/.helm-shared/templates/ioc-instance.yaml
    error: an instance cannot be called `t02_ea_ioc_01`: `_` is not allowed: a name has lower-case letters, digits and `-`
     --> beamlines/t02/services/t02_ea_ioc_01
    hint: rename the folder
    ");
}

#[test]
fn two_instances_with_the_same_prefix() {
    insta::assert_snapshot!(
        check(|context| {
            context.succeed(&["new", "instance", "t02-ea-ioc-02", "--image", "localhost/ioc-sim-runtime:latest"]);
            context.replace(
                "beamlines/t02/services/t02-ea-ioc-02/values.yaml",
                "T02-EA-IOC-02",
                "T02-EA-IOC-01",
            );
        }), @r#"
    exit code: 1
    ----- stdout -----
    2 instances, 0 records: 1 error
    ----- stderr -----
    error: `t02-ea-ioc-01` and `t02-ea-ioc-02` have the same PV prefix `T02-EA-IOC-01`
     --> beamlines/t02/services/t02-ea-ioc-02/values.yaml:7:11
      |
    7 |   prefix: "T02-EA-IOC-01"
      |           ^^^^^^^^^^^^^^^
    hint: give each instance a prefix of its own: clients find one of the two at random
    not checked: whether the images exist, since no engine was asked: `localhost/ioc-sim-runtime:latest`
    not checked: record types, fields, databases and variables that come from the images that are not at hand: `localhost/ioc-sim-runtime:latest`
    "#);
}

#[test]
fn a_template_that_ends_too_early() {
    let change = |context: &TestContext| {
        context.write(
            "beamlines/t02/.helm-shared/templates/extra.yaml",
            "{{- if .Values.global.location }}\nkind: ConfigMap\n",
        );
    };
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: unexpected EOF
     --> beamlines/t02/.helm-shared/templates/extra.yaml:3:1
      |
    3 |
      | ^
    ");
    insta::assert_snapshot!(render(change), @"
    exit code: 3
    ----- stderr -----
    error: unexpected EOF
     --> beamlines/t02/.helm-shared/templates/extra.yaml:3:1
      |
    3 |
      | ^
    ");
}

#[test]
fn a_template_with_a_function_that_does_not_exist() {
    insta::assert_snapshot!(
        render(|context| {
            context.write(
                "beamlines/t02/.helm-shared/templates/extra.yaml",
                "kind: ConfigMap\nname: {{ .Release.Name | uper }}\n",
            );
        }), @r#"
    exit code: 3
    ----- stderr -----
    error: function "uper" not defined
     --> beamlines/t02/.helm-shared/templates/extra.yaml:2:1
      |
    2 | name: {{ .Release.Name | uper }}
      | ^
    "#);
}

#[test]
fn a_template_that_says_no() {
    insta::assert_snapshot!(
        render(|context| {
            context.write(
                "beamlines/t02/.helm-shared/templates/extra.yaml",
                "{{- define \"site.check\" }}\n{{- required \"every IOC needs a rack\" .Values.rack }}\n{{- end }}\n{{ include \"site.check\" . }}\n",
            );
        }), @r#"
    exit code: 3
    ----- stderr -----
    error: every IOC needs a rack (called from beamlines/t02/.helm-shared/templates/extra.yaml:4)
     --> beamlines/t02/.helm-shared/templates/extra.yaml:2:5
      |
    2 | {{- required "every IOC needs a rack" .Values.rack }}
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_template_that_gives_no_yaml() {
    insta::assert_snapshot!(
        render(|context| {
            context.write(
                "beamlines/t02/.helm-shared/templates/extra.yaml",
                "kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}\n",
            );
        }), @"
    exit code: 3
    ----- stderr -----
    error: a template wrote what is not YAML: did not find expected ',' or '}'
     --> ioc-service/templates/extra.yaml as rendered:3:1
    hint: the template is `beamlines/t02/.helm-shared/templates/extra.yaml`
    ");
}

#[test]
fn a_template_that_never_ends() {
    insta::assert_snapshot!(
        render(|context| {
            context.write(
                "beamlines/t02/.helm-shared/templates/extra.yaml",
                "{{- define \"round\" }}{{ include \"round\" . }}{{ end }}\n{{ include \"round\" . }}\n",
            );
        }), @r#"
    exit code: 3
    ----- stderr -----
    error: rendering template has a nested reference name: round: unable to execute template (called from beamlines/t02/.helm-shared/templates/extra.yaml:1, beamlines/t02/.helm-shared/templates/extra.yaml:2)
     --> beamlines/t02/.helm-shared/templates/extra.yaml:1:25
      |
    1 | {{- define "round" }}{{ include "round" . }}{{ end }}
      |                         ^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_chart_of_another_kind() {
    let change = |context: &TestContext| {
        context.write(
            "beamlines/t02/.helm-shared/Chart.yaml",
            "name: t02\nversion: one\n",
        );
    };
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `t02` is a chart of API version v1, which is not supported
     --> beamlines/t02/services/t02-ea-ioc-01
    hint: set `apiVersion: v2` in Chart.yaml and move `requirements.yaml` into its `dependencies`
    ");
    insta::assert_snapshot!(render(change), @"
    exit code: 3
    ----- stderr -----
    error: `t02` is a chart of API version v1, which is not supported
     --> beamlines/t02/services/t02-ea-ioc-01
    hint: set `apiVersion: v2` in Chart.yaml and move `requirements.yaml` into its `dependencies`
    ");
}

#[test]
fn a_chart_that_is_not_vendored() {
    insta::assert_snapshot!(
        render(|context| {
            std::fs::remove_dir_all(context.project().join("beamlines/t02/.helm-shared/charts")).unwrap();
        }), @"
    exit code: 3
    ----- stderr -----
    error: the symbolic link to `../../.helm-shared/charts` leads nowhere
     --> beamlines/t02/services/t02-ea-ioc-01/charts
    hint: the charts that it depends on are not there: `ioc chart dependency build FOLDER` of the chart fetches them
    ");
}

#[test]
fn a_repository_that_is_not_there() {
    insta::assert_snapshot!(TestContext::with_beamline().refuse(&["check", "beamlines/t03"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no services repository `beamlines/t03`
    hint: `repository` of the beamline in `ioc.toml` names the folder; clone it there
    ");
}

#[test]
fn a_beamline_that_is_not_there() {
    insta::assert_snapshot!(TestContext::with_beamline().refuse(&["check", "t03"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no beamline `t03`
    hint: did you mean `t02`?
    hint: an instance is checked by its name, or as `ioc check BEAMLINE INSTANCE`
    ");
}

#[test]
fn an_instance_to_check_that_is_not_there() {
    insta::assert_snapshot!(
        TestContext::with_beamline().refuse(&["check", "t02", "t02-ea-ioc-10", "--no-engine"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no IOC instance `t02-ea-ioc-10` in `beamlines/t02`
    hint: did you mean `t02-ea-ioc-01`?
    ");
}

#[test]
fn an_instance_to_render_that_is_not_there() {
    insta::assert_snapshot!(TestContext::with_beamline().refuse(&["render", "t02-ea-ioc-10"]), @"
    exit code: 4
    ----- stderr -----
    error: beamline `t02` has no IOC instance `t02-ea-ioc-10`
    hint: did you mean `t02-ea-ioc-01`?
    ");
}

#[test]
fn a_file_of_values_that_is_not_there() {
    insta::assert_snapshot!(
        TestContext::with_beamline().refuse(&["render", "t02-ea-ioc-01", "-f", "more.yaml"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no file `more.yaml`
    hint: `--values` names a file of values, relative to the current folder
    ");
}

#[test]
fn a_value_on_the_command_line_that_is_none() {
    insta::assert_snapshot!(
        TestContext::with_beamline().refuse(&["render", "t02-ea-ioc-01", "--set", "a[x]=1"]), @r#"
    exit code: 2
    ----- stderr -----
    error: `--set a[x]=1` cannot be read: error parsing index: strconv.Atoi: parsing "x": invalid syntax
    hint: write it as `a.b=value`, several with commas; `\,` is a comma inside a value
    "#);
    insta::assert_snapshot!(
        TestContext::with_beamline().refuse(&["render", "t02-ea-ioc-01", "--set-json", "a={"]), @r"
    exit code: 2
    ----- stderr -----
    error: `--set-json a={` cannot be read: not JSON: {
    hint: write it as `a.b=value`, several with commas; `\,` is a comma inside a value
    ");
}

#[test]
fn an_instance_is_checked_by_its_name_alone() {
    let context = TestContext::with_beamline();
    let by_name = context.run(&["check", "t02-ea-ioc-01", "--no-engine"]);
    let in_full = context.run(&["check", "t02", "t02-ea-ioc-01", "--no-engine"]);
    assert!(by_name.starts_with("exit code: 0\n"), "{by_name}");
    assert_eq!(by_name, in_full);
    insta::assert_snapshot!(context.refuse(&["check", "t02-ea-ioc-02", "--no-engine"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no beamline `t02-ea-ioc-02`
    hint: `ioc.toml` has t02
    hint: an instance is checked by its name, or as `ioc check BEAMLINE INSTANCE`
    ");
    insta::assert_snapshot!(context.refuse(&["check", "t02-ea-ioc-01", "t02-ea-ioc-02", "--no-engine"]), @"
    exit code: 4
    ----- stderr -----
    error: no beamline has an instance `t02-ea-ioc-02`
    ");
}

#[test]
fn values_that_are_a_folder() {
    let change = |context: &TestContext| {
        let file = context.project().join(FOLDER).join("values.yaml");
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
    };
    insta::assert_snapshot!(check(change), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `values.yaml` is a folder
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml
      = expected a file with the values of this instance
    ");
}

#[test]
fn a_chart_that_makes_nothing() {
    let context = TestContext::with_beamline();
    std::fs::remove_file(context.project().join(FOLDER).join("templates")).unwrap();
    insta::assert_snapshot!(context.run(&["check", "t02", "--no-engine"]), @"
    exit code: 0
    ----- stdout -----
    1 instance, 0 records: 1 warning
    ----- stderr -----
    warning: the chart of `t02-ea-ioc-01` makes no resources: nothing would run
     --> beamlines/t02/services/t02-ea-ioc-01
    hint: is `templates` missing, or has a value switched everything off?
    ");
}

#[test]
fn what_an_editor_left_behind() {
    insta::assert_snapshot!(check(|context| {
        context.write(&format!("{FOLDER}/config/.st.cmd.swp"), b"b0VIM \xff\x00".as_slice());
        context.write(&format!("{FOLDER}/config/gr\u{f6}\u{df}e.db"), "");
    }), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 2 errors
    ----- stderr -----
    error: `.st.cmd.swp` is not text in UTF-8
     --> beamlines/t02/services/t02-ea-ioc-01/config/.st.cmd.swp:1
      = expected text
    hint: was it left by an editor? remove it: hidden files reach the IOC, too
    error: the file name `größe.db` cannot be a key of a ConfigMap: `ö` is not allowed
     --> beamlines/t02/services/t02-ea-ioc-01/config/größe.db
    hint: use letters, digits, `-`, `_` and `.`; remove backup copies of editors
    not checked: start-up of `t02-ea-ioc-01`, as long as its configuration has `.st.cmd.swp`
    ");
}
