//! What Kubernetes says about the name of an object.

/// Why a kind of object cannot have a name, in the words of Kubernetes.
pub(super) fn problem(kind: &str, name: &str) -> Option<&'static str> {
    match kind.to_ascii_lowercase().as_str() {
        "certificatesigningrequest" => None,
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => path_segment(name),
        "service" => limited(name, 63).or_else(|| {
            let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
            (!starts || !is_label(name)).then_some(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                 character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
                 validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
            )
        }),
        "namespace" if name.contains('.') && name.split('.').all(is_label) => {
            Some("must not contain dots")
        }
        "namespace" => limited(name, 63).or_else(|| {
            (!is_label(name)).then_some(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            )
        }),
        _ => limited(name, 253).or_else(|| {
            (!name.split('.').all(is_label)).then_some(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
                 start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            )
        }),
    }
}

fn limited(name: &str, most: usize) -> Option<&'static str> {
    (name.len() > most).then_some(if most == 63 {
        "must be no more than 63 characters"
    } else {
        "must be no more than 253 characters"
    })
}

fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && !name.starts_with('-') && !name.ends_with('-') && name.bytes().all(inner)
}

fn path_segment(name: &str) -> Option<&'static str> {
    match name {
        "." => Some("may not be '.'"),
        ".." => Some("may not be '..'"),
        name if name.contains('/') => Some("may not contain '/'"),
        name if name.contains('%') => Some("may not contain '%'"),
        _ => None,
    }
}
