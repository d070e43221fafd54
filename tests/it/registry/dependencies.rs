//! `ioc chart dependency` against real helm: the same lock, the same archives, the same table.

use super::{Bed, bytes};

fn prepare(name: &str) -> Option<Bed> {
    let bed = Bed::new(name)?;
    for version in ["0.1.0", "0.2.0", "1.0.0"] {
        bed.chart("lib", version);
        bed.helm_succeeds(&["package", "lib"]);
        bed.context.succeed(&[
            "chart",
            "push",
            &format!("lib-{version}.tgz"),
            &bed.remote(),
        ]);
    }
    bed.chart("near", "1.5.0");
    for app in ["ours", "theirs"] {
        bed.chart(app, "1.0.0");
        bed.context.write(
            &format!("{app}/charts/loose/Chart.yaml"),
            "apiVersion: v2\nname: loose\nversion: 3.0.0\n",
        );
        bed.context.append(
            &format!("{app}/Chart.yaml"),
            &format!(
                "dependencies:\n- {{name: near, version: '>=1.0 <2', repository: 'file://../near', alias: other, import-values: [data, {{child: a, parent: b}}]}}\n- {{name: lib, version: 0.x, repository: '{}', condition: lib.on, tags: [t]}}\n- {{name: loose, version: 3.x}}\n",
                bed.remote()
            ),
        );
    }
    Some(bed)
}

/// A lock without the time when it was written.
fn lock(bed: &Bed, app: &str) -> String {
    let text = String::from_utf8(bytes(&bed.path(app).join("Chart.lock"))).unwrap();
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("generated: "))
        .collect();
    assert_eq!(kept.len() + 1, text.lines().count(), "{text}");
    kept.join("\n")
}

#[test]
fn update_build_and_list_do_what_helm_does() {
    let Some(bed) = prepare("dependency") else {
        return;
    };
    let table = |app| bed.context.succeed(&["chart", "dependency", "list", app]);
    assert_eq!(
        table("ours"),
        bed.helm_succeeds(&["dependency", "list", "theirs"])
    );

    bed.context
        .succeed(&["chart", "dependency", "update", "ours"]);
    bed.helm_succeeds(&["dependency", "update", "theirs", "--plain-http"]);
    assert_eq!(lock(&bed, "ours"), lock(&bed, "theirs"));
    assert_eq!(
        bytes(&bed.path("ours/charts/lib-0.2.0.tgz")),
        bytes(&bed.path("theirs/charts/lib-0.2.0.tgz"))
    );
    assert!(bed.path("ours/charts/near-1.5.0.tgz").exists());
    assert!(bed.path("ours/charts/loose/Chart.yaml").exists());
    assert_eq!(
        table("ours"),
        bed.helm_succeeds(&["dependency", "list", "ours"])
    );

    // helm accepts our lock, and we accept that of helm
    bed.helm_succeeds(&["dependency", "build", "ours", "--plain-http"]);
    bed.context
        .succeed(&["chart", "dependency", "build", "theirs"]);

    // an unchanged lock is not written again
    let before = bytes(&bed.path("ours/Chart.lock"));
    bed.context
        .succeed(&["chart", "dependency", "update", "ours"]);
    assert_eq!(bytes(&bed.path("ours/Chart.lock")), before);

    // another range: the lock is refused by build, and update removes what nothing needs
    bed.context
        .replace("ours/Chart.yaml", "version: 0.x", "version: 1.x");
    let report = bed
        .context
        .refuse(&["chart", "dependency", "build", "ours"]);
    assert!(
        report.contains("`Chart.lock` does not fit `Chart.yaml`"),
        "{report}"
    );
    bed.context
        .succeed(&["chart", "dependency", "update", "ours"]);
    assert!(!bed.path("ours/charts/lib-0.2.0.tgz").exists());
    assert!(bed.path("ours/charts/lib-1.0.0.tgz").exists());
}

#[test]
fn a_dependency_that_cannot_be_had_changes_nothing() {
    let Some(bed) = prepare("missing") else {
        return;
    };
    bed.context
        .replace("ours/Chart.yaml", "version: 0.x", "version: 7.x");
    let report = bed.context.refuse(&["chart", "package", "ours", "-u"]);
    assert!(report.starts_with("exit code: 4"), "{report}");
    assert!(
        report.contains("the dependency `lib` cannot be had"),
        "{report}"
    );
    assert!(report.contains("--> ours/Chart.yaml:"), "{report}");
    assert!(
        report.contains("`lib` has no version that fits `7.x`"),
        "{report}"
    );
    assert!(report.contains("nothing was changed"), "{report}");
}
