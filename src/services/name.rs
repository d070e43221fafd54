//! Which names instances and beamlines may have. Pure.
//!
//! An instance's name becomes a release, a StatefulSet, a label, a container and part of folder names, so it
//! is a DNS label (RFC 1123) that leaves room for what Kubernetes appends.

/// Longest name of an instance. Helm takes releases of 53 characters, but a StatefulSet's pods carry the label
/// `controller-revision-hash` = name, `-` and ten characters, and a label value has at most 63.
pub const LONGEST_INSTANCE: usize = 52;

/// Longest name of a beamline: it is a label, a namespace and the beginning of instance names.
pub const LONGEST_BEAMLINE: usize = 30;

/// Why a name cannot be that of an instance; `None` when it can.
pub fn problem_of_instance(name: &str) -> Option<String> {
    problem_of_label(name, LONGEST_INSTANCE)
}

/// Why a name cannot be that of a beamline; `None` when it can.
pub fn problem_of_beamline(name: &str) -> Option<String> {
    problem_of_label(name, LONGEST_BEAMLINE)
}

/// Why a text cannot be a location; `None` when it can. It is the value of a Kubernetes label.
pub fn problem_of_location(location: &str) -> Option<&'static str> {
    const LONGEST: usize = 63;
    let at_the_ends = |character: char| character.is_ascii_alphanumeric();
    let inside = |character: char| at_the_ends(character) || "-_.".contains(character);
    if location.is_empty() || location.len() > LONGEST {
        Some("it has 1 to 63 characters")
    } else if !location.chars().all(inside) {
        Some("it has letters, digits, `-`, `_` and `.`")
    } else if !location.starts_with(at_the_ends) || !location.ends_with(at_the_ends) {
        Some("it begins and ends with a letter or a digit")
    } else {
        None
    }
}

/// Why a text cannot be the name of an object of a cluster, such as a node or a storage class; `None` when it can. It
/// is a DNS subdomain (RFC 1123).
pub fn problem_of_object(name: &str) -> Option<String> {
    const LONGEST: usize = 253;
    if name.len() > LONGEST {
        return Some(format!("a name has at most {LONGEST} characters"));
    }
    name.split('.').find_map(|part| problem_of_label(part, 63))
}

fn problem_of_label(name: &str, longest: usize) -> Option<String> {
    let allowed = |character: &char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || *character == '-'
    };
    if name.is_empty() {
        return Some("a name is needed".to_owned());
    }
    if let Some(wrong) = name.chars().find(|character| !allowed(character)) {
        return Some(format!(
            "`{}` is not allowed: a name has lower-case letters, digits and `-`",
            wrong.escape_default()
        ));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Some("a name begins and ends with a letter or a digit".to_owned());
    }
    (name.len() > longest).then(|| {
        format!(
            "it has {} characters, and a name has at most {longest}",
            name.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects() {
        for good in ["node-1", "node-1.site.example", "4"] {
            assert_eq!(problem_of_object(good), None, "{good}");
        }
        for bad in ["", "a..b", ".a", "a.", "A", "a'b", "a b", &"a.".repeat(127)] {
            assert!(problem_of_object(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn names_of_instances() {
        for good in ["a", "t01-ea-ioc-01", "4dax", &"x".repeat(52)] {
            assert_eq!(problem_of_instance(good), None, "{good}");
        }
        for bad in [
            "",
            "T01",
            "a_b",
            "-a",
            "a-",
            "a b",
            "a/b",
            "a.b",
            "ü",
            "..",
            &"x".repeat(53),
        ] {
            assert!(problem_of_instance(bad).is_some(), "{bad}");
        }
    }
}
