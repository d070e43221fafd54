//! A services repository as found in real life: anchors and merge keys, line ends of Windows, umlauts, a byte order
//! mark, skeletons, notes, schemas, locks of other tools, long files. Nothing of that is in the way.

use std::process::Command;

use crate::beamline::Beamline;
use crate::testbed;

#[test]
fn an_untidy_repository_is_checked_rendered_compared_and_deployed() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    let services = format!("beamlines/{}/services", beamline.name());
    let read = |path: &str| std::fs::read_to_string(beamline.project().join(path)).unwrap();

    let shared = format!("{services}/values.yaml");
    let merged = "\nshared: &shared\n  notes: &notes {contact: \"J\u{f6}rg <j@example.org>\"}\n  more:\n    <<: *notes\n";
    beamline.write(
        &shared,
        format!(
            "\u{feff}# Strahlf\u{fc}hrung, \u{b0}C, \u{5b9f}\u{9a13}\n{}{merged}",
            read(&shared)
        ),
    );
    let own = beamline.file(&instance, "values.yaml");
    let history = "# an entry of a long history, \u{b0}C\n".repeat(5000);
    beamline.write(
        &own,
        format!("{}{history}", read(&own)).replace('\n', "\r\n"),
    );
    let start_up = beamline.file(&instance, "config/st.cmd");
    beamline.write(&start_up, read(&start_up).replace('\n', "\r\n"));
    beamline.write(
        &beamline.file(&instance, "config/lookup.tab"),
        "0.1 \u{b0}C 2.3\n".repeat(60_000),
    );
    beamline.write(
        &beamline.file(&instance, "config/notes/2024/a.txt"),
        "not for the IOC\n",
    );
    beamline.write(
        &beamline.file(&instance, "runtime-lock.yaml"),
        "locked: true\n",
    );
    beamline.write(&beamline.file(&instance, "ioc.schema.json"), "{}");
    for (path, text) in [
        ("services/.ioc_template/values.yaml", "{{ cookiecutter: [\n"),
        (
            "services/.legacy_ioc_template/config/st.cmd",
            "dbLoadRecords(\n",
        ),
        ("services/README.md", "# What runs where\n"),
        ("services/drawings/stage.svg", "<svg/>\n"),
        ("ci_verify.sh", "#!/bin/sh\n"),
        (".ci_skip_checks", "\n"),
        ("renovate.json", "{}\n"),
    ] {
        beamline.write(&format!("beamlines/{}/{path}", beamline.name()), text);
    }

    let checked = beamline.run(&["check", beamline.name()]);
    assert!(checked.starts_with("exit code: 0\n"), "{checked}");
    assert!(
        checked.contains("1 instance, 23 records: 1 warning"),
        "{checked}"
    );
    assert!(
        checked.contains("the folder `notes` is not part"),
        "{checked}"
    );

    let rendered = beamline.succeed(&["render", &instance]);
    if let Some(helm) = testbed::part("helm.sh", "HELM_BINARY") {
        let folder = beamline.project().join(format!("{services}/{instance}"));
        let output = Command::new(helm)
            .args(["template", &instance, ".", "-n", beamline.name()])
            .args(["-f", "../values.yaml", "-f", "values.yaml"])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            rendered.as_bytes() == output.stdout,
            "helm renders otherwise"
        );
    }

    let diff = beamline.run(&["diff", &instance]);
    assert!(diff.contains("not deployed yet"), "{diff}");
    beamline.succeed(&["deploy", &instance, "--yes"]);
    Beamline::get(&instance, "UPTIME");
    let last = beamline.succeed(&[
        "exec",
        &instance,
        "--",
        "tail",
        "-n",
        "1",
        "/epics/ioc/config/lookup.tab",
    ]);
    assert_eq!(last, "0.1 \u{b0}C 2.3\n");
    // the same once more is the same
    let again = beamline.run(&["diff", &instance, "--exit-code"]);
    assert!(again.starts_with("exit code: 0\n"), "{again}");
}
