//! What is taken over from ibek-support, and what is told.

use super::*;

const SAMPLE: &str = "\
module: asyn
version: R4-45
remove_macros: [SNCSEQ, IPAC]
dbds: [asyn.dbd]
libs: [asyn]
apt_developer:
  - libtirpc-dev
  - /tmp/hdf5.deb
patch_lines:
  - path: configure/CONFIG_SITE
    regexp: ^TIRPC=
    line: TIRPC=YES
  - path: Makefile
    regexp: ^DIRS.*test
    line: '# no tests'
  - path: '{{ local_path }}/x'
    line: y
comment_out:
  - path: Makefile
    regexp: iocBoot
make_options: -j4 -k
tasks:
  - name: something
colour: blue
";

fn import(text: &str) -> Result<Imported, Box<Diagnostic>> {
    let modules = BTreeMap::from([("SNCSEQ".to_owned(), "seq".to_owned())]);
    recipe(Path::new("asyn.install.yml"), text, &modules)
}

#[test]
fn keys_are_taken_over_and_the_rest_is_named_with_its_line() {
    let imported = import(SAMPLE).unwrap();
    insta::assert_snapshot!(imported.text, @r##"
    description: asyn (imported from ibek-support)
    source:
      git:
        tag: R4-45
        url: https://github.com/epics-modules/asyn
    depends:
    - epics-base
    uses:
    - seq
    packages:
      build:
      - libtirpc-dev
    config-site:
      TIRPC: "YES"
    edits:
    - comment: iocBoot
      file: Makefile
    - file: Makefile
      replace: ^DIRS.*test.*$
      with: "# no tests"
    make-options:
    - -k
    jobs: 4
    dbds:
    - asyn.dbd
    libraries:
    - asyn
    "##);
    let told: Vec<String> = imported
        .findings
        .iter()
        .map(|finding| {
            format!(
                "{}: {}",
                finding.place.as_ref().map_or(0, |place| place.line),
                finding.message
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    3: no recipe here is for `IPAC`: it stays out of RELEASE
    6: the packages of `apt_developer` are those of Ubuntu
    8: `/tmp/hdf5.deb` was not taken over: it is not the name of a package
    13: the expression for `Makefile` is Python's, ours is extended POSIX
    16: the change of `{{ local_path }}/x` was not taken over: it depends on the other build
    22: `tasks` was not taken over: it is code for another build
    24: `colour` was not taken over: this key is not known
    ");
    let again: crate::image::recipe::Recipe =
        yaml::from_str(Path::new("asyn.yaml"), &imported.text).unwrap();
    assert_eq!(again.libraries, ["asyn"]);
}

#[test]
fn another_kind_of_file_is_refused() {
    for text in [
        "modules: [a]\n",
        "module: asyn\n",
        "- a\n",
        "module: ../x\nversion: R1\n",
    ] {
        import(text).unwrap_err();
    }
}

#[test]
fn an_expression_is_widened_to_its_line() {
    for (regexp, whole) in [
        ("TIRPC", "^.*TIRPC.*$"),
        ("^TIRPC=", "^TIRPC=.*$"),
        ("^a$", "^a$"),
    ] {
        assert_eq!(whole_line(regexp), whole);
    }
}
