//! Variables of a container and what `$(NAME)` in its command, arguments and variables stands for.
//!
//! The rules are those of Kubernetes (`expansion` in its API documentation): a reference to a variable that was
//! defined before is replaced, `$$(NAME)` stands for `$(NAME)`, anything else stays as it is.

/// Replaces `$(NAME)` by what `lookup` knows.
pub fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut output = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        output.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            output.push('$');
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
        {
            match lookup(name) {
                Some(value) => output.push_str(value),
                None => output.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            output.push('$');
        }
    }
    output.push_str(rest);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_as_in_kubernetes() {
        let lookup = |name: &str| (name == "A").then_some("1");
        for (text, expected) in [
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$$(A)", "$(A)"),
            ("$(B)", "$(B)"),
            ("$A", "$A"),
            ("$(A", "$(A"),
            ("$", "$"),
            ("$$", "$"),
            ("µ$(A)µ", "µ1µ"),
        ] {
            assert_eq!(expand(text, lookup), expected, "{text}");
        }
    }
}
