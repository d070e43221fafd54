//! Which names and paths may stand in an image definition or a recipe. Pure.
//!
//! They end up in image references, file names, makefiles and shell scripts, so each is held to the smallest
//! set of characters that does its job.

/// Why a name cannot be the name of an image or of a module; `None` when it can.
///
/// Image names become parts of image references and of Kubernetes names: DNS labels (RFC 1123) that leave
/// room for `-developer`.
pub fn problem_of_name(name: &str) -> Option<&'static str> {
    const LONGEST: usize = 50;
    let allowed = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
    };
    if name.is_empty() {
        Some("a name is needed")
    } else if name.len() > LONGEST {
        Some("a name has at most 50 characters")
    } else if !name.chars().all(allowed) {
        Some("a name has lower-case letters, digits and `-` only")
    } else if name.starts_with('-') || name.ends_with('-') {
        Some("a name begins and ends with a letter or a digit")
    } else if name == "os" {
        Some("`os` stands for the operating-system image")
    } else {
        None
    }
}

/// Whether this is the name of a Debian package (Debian Policy 5.6.7), optionally with `=version`.
pub fn is_package(text: &str) -> bool {
    let (name, version) = text.split_once('=').unwrap_or((text, "0"));
    let in_name = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || "+-.".contains(character)
    };
    let in_version =
        |character: char| character.is_ascii_alphanumeric() || "+-.:~".contains(character);
    name.len() > 1
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.chars().all(in_name)
        && !version.is_empty()
        && version.chars().all(in_version)
}

/// Whether this can be a makefile macro of a `RELEASE` file or an environment variable.
pub fn is_macro(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Whether this can be a file name of a dbd, library or database, which makefiles and scripts get unquoted;
/// `$(MACRO)` is let through for makefiles.
pub fn is_makefile_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "_-+.$()/".contains(character))
}

/// Whether this is a relative path without `..` that is safe in a shell script; `*` only when `pattern`.
pub fn is_inner_path(text: &str, pattern: bool) -> bool {
    !text.is_empty()
        && !text.starts_with(['/', '-'])
        && text.split('/').all(|part| !matches!(part, ".." | ""))
        && text.chars().all(|character| {
            character.is_ascii_alphanumeric()
                || "_-+./@,".contains(character)
                || (pattern && character == '*')
        })
}

/// Whether this is an absolute path without `..` that is safe in a shell script.
pub fn is_image_path(text: &str) -> bool {
    text.strip_prefix('/')
        .is_some_and(|rest| is_inner_path(rest, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "ioc-sim", "epics-base", "4dax", &"x".repeat(50)] {
            assert_eq!(problem_of_name(good), None, "{good}");
        }
        for bad in [
            "",
            "IOC",
            "a_b",
            "-a",
            "a-",
            "a b",
            "a/b",
            "a.b",
            "os",
            "ü",
            &"x".repeat(51),
        ] {
            assert!(problem_of_name(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn packages() {
        for good in [
            "gcc",
            "libreadline8t64",
            "g++",
            "libc6=2.41-12",
            "libstdc++6",
        ] {
            assert!(is_package(good), "{good}");
        }
        for bad in [
            "", "a", "Gcc", "a b", "gcc;id", "-gcc", "$(id)", "gcc=", "gcc=a b",
        ] {
            assert!(!is_package(bad), "{bad}");
        }
    }

    #[test]
    fn paths() {
        for good in ["db", "a/b.db", "iocBoot/x", "a-b_c.d"] {
            assert!(is_inner_path(good, false), "{good}");
        }
        for bad in [
            "", "/a", "..", "a/../b", "a//b", "a b", "$(id)", "a;b", "-rf", "*",
        ] {
            assert!(!is_inner_path(bad, false), "{bad}");
        }
        assert!(is_inner_path("configure/*.local", true));
        assert!(is_image_path("/epics/support/asyn"));
        assert!(!is_image_path("/epics/../etc"));
        assert!(!is_image_path("epics"));
    }
}
