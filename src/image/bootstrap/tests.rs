use super::*;
use crate::source::apt;

fn settings(files: &[(&str, &str)]) -> (tempfile::TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs_err::write(folder.path().join(name), text).unwrap();
    }
    let settings = Settings::for_test(folder.path());
    (folder, settings)
}

#[test]
fn names_are_checked() {
    for (text, expected) in [
        ("localhost/debian:trixie", true),
        ("debian:trixie", true),
        ("registry.site:5000/epics/debian:13.1", true),
        ("localhost/debian", false),
        ("Debian:trixie", false),
        ("localhost/debian:", false),
        ("localhost//debian:a", false),
        ("localhost:x/debian:a", false),
        ("a:b:c", false),
        ("-a:b", false),
        ("a b:c", false),
    ] {
        assert_eq!(is_image(text), expected, "{text}");
    }
    for (text, expected) in [
        ("trixie", true),
        ("stable", true),
        ("--help", false),
        ("../etc", false),
        ("Trixie", false),
        ("", false),
    ] {
        assert_eq!(is_suite(text), expected, "{text}");
    }
    for (text, expected) in [
        ("http://m/debian", true),
        ("https://user:pw@m:8080/debian", true),
        ("file:///srv/debian", true),
        ("file://", false),
        ("ftp://m/debian", false),
        ("http://", false),
        ("http://m/debian\nTrusted: yes", false),
        ("http://m/$(id)", false),
        ("-x", false),
    ] {
        assert_eq!(is_mirror(text), expected, "{text}");
    }
}

#[test]
fn the_mirror_is_the_given_one_or_that_of_the_settings_or_of_apt() {
    let (folder, mut settings) = settings(&[(
        "sources.list",
        "deb http://a/debian sid main\ndeb http://b/debian trixie main\n",
    )]);
    let mirror = |given: Option<&str>, settings: &Settings| {
        Plan::new("trixie", given, None, settings, folder.path())
            .unwrap()
            .mirror
    };
    assert_eq!(mirror(None, &settings), "http://b/debian");
    settings.fetch.debian_mirror = Some("http://c/debian/".to_owned());
    assert_eq!(mirror(None, &settings), "http://c/debian");
    assert_eq!(
        mirror(Some("http://d/debian"), &settings),
        "http://d/debian"
    );
    settings.fetch.mirrors.push(crate::project::Mirror {
        prefix: "http://d/".to_owned(),
        replace: "http://site/d/".to_owned(),
    });
    assert_eq!(
        mirror(Some("http://d/debian"), &settings),
        "http://site/d/debian"
    );
}

#[test]
fn what_cannot_be_right_is_refused() {
    let (folder, settings) = settings(&[]);
    let mut report = String::new();
    for (suite, mirror, image) in [
        ("Trixie", None, None),
        ("trixie", Some("ftp://m"), None),
        ("trixie", Some("http://user:secret@m/ x"), None),
        ("trixie", None, Some("Debian")),
        ("trixie", None, None),
    ] {
        let error = Plan::new(suite, mirror, image, &settings, folder.path()).unwrap_err();
        report += &format!(
            "{error} [{}]\n  {}\n",
            error.kind().code(),
            error.hints().join("\n  ")
        );
    }
    insta::assert_snapshot!(report, @r#"
    `Trixie` is not the name of a release [2]
      releases have names such as `trixie` or `bookworm`
    `ftp://m` is not the URL of a package mirror [2]
      write it as `http://packages.site/debian`
    `http://m/ x` is not the URL of a package mirror [2]
      write it as `http://packages.site/debian`
    `Debian` is not the name of an image [2]
      write it as `localhost/debian:trixie`: lower case, with a tag
    no mirror of Debian packages is known: apt's configuration of this machine names none [8]
      name one in `ioc.toml`: `[fetch]` `debian-mirror = "http://packages.site/debian"`, or set `IOC_DEBIAN_MIRROR`
    "#);
    assert_eq!(apt::mirrors(folder.path()).unwrap(), []);
}

#[test]
fn a_mount_in_the_folder_is_seen() {
    let text = "22 1 0:20 / / rw - ext4 /dev/a rw\n23 22 0:21 / /cache/bootstrap/system-1/root/proc rw - proc proc rw\n";
    let below = |path: &str| mounted_below(text, Path::new(path));
    assert_eq!(
        below("/cache/bootstrap/system-1").as_deref(),
        Some("/cache/bootstrap/system-1/root/proc")
    );
    assert_eq!(below("/cache/bootstrap/system-10"), None);
}
