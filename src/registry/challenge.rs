//! What a registry answers when it wants a login: the `WWW-Authenticate` header (RFC 7235), with `Basic` or with
//! the `Bearer` of Docker's token services.

/// How a registry wants to be told who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token that a service gives out.
    Bearer {
        /// URL of the service.
        realm: String,
        /// What the service calls the registry.
        service: Option<String>,
        /// What the token has to allow, when the registry says so.
        scope: Option<String>,
    },
}

/// Reads the headers of one answer; a token is preferred. `None` when neither is offered.
pub(super) fn read<'h>(headers: impl Iterator<Item = &'h str>) -> Option<Challenge> {
    let mut basic = None;
    for header in headers {
        for (scheme, parameters) in challenges(header) {
            let parameter = |name: &str| {
                parameters
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                return Some(Challenge::Bearer {
                    realm,
                    service: parameter("service"),
                    scope: parameter("scope"),
                });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    basic
}

type Parameters = Vec<(String, String)>;

/// The challenges of a header: a scheme, then `key=value` or `key="value"` with commas between them.
fn challenges(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest
            .find(|character: char| !is_token(character))
            .unwrap_or(rest.len());
        if end == 0 {
            return found;
        }
        let (word, after) = rest.split_at(end);
        if let Some(value) = after.trim_start().strip_prefix('=') {
            let (value, after) = value_of(value.trim_start());
            if let Some((_, parameters)) = found.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = after;
        } else {
            found.push((word.to_owned(), Parameters::new()));
            rest = after;
        }
    }
}

fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, quoted.get(index + 1..).unwrap_or_default()),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn headers_of_registries_are_read() {
        for (headers, expected) in [
            (vec!["Basic realm=\"Registry\""], Some(Challenge::Basic)),
            (
                vec![
                    "Bearer realm=\"https://a/token\",service=\"r.io\",scope=\"repository:a:pull\"",
                ],
                Some(bearer(
                    "https://a/token",
                    Some("r.io"),
                    Some("repository:a:pull"),
                )),
            ),
            (
                vec!["Basic realm=\"x\", Bearer realm=\"https://a/t\""],
                Some(bearer("https://a/t", None, None)),
            ),
            (
                vec![
                    "Basic realm=x",
                    "bearer Realm=https://a/t , service = \"a\\\"b\"",
                ],
                Some(bearer("https://a/t", Some("a\"b"), None)),
            ),
            (vec!["Negotiate"], None),
            (vec!["Bearer service=\"no realm\""], None),
            (vec!["", "=", "\"", "Basic,"], Some(Challenge::Basic)),
        ] {
            assert_eq!(read(headers.iter().copied()), expected, "{headers:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read(header in "\\PC{0,60}") {
            let _ = read(std::iter::once(header.as_str()));
        }
    }
}
