//! YAML files of the project read into types: the only module that knows the YAML library.
//!
//! A mistake becomes a [`Diagnostic`] with file, line, column, the line itself and, for a misspelt field,
//! the nearest one. Values of charts do not come through here: `crates/helm` has its own model with Helm's
//! rules.

pub mod tree;

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_saphyr::DeserializeError;

use crate::diagnostic::{Diagnostic, Place, nearest};

pub use serde_saphyr::Spanned;

/// Largest YAML file that is read, in bytes. Image definitions and recipes have a few kilobytes.
pub const LARGEST_FILE: usize = 4 * 1024 * 1024;

/// How much a file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes.
    pub bytes: usize,
    /// Lists, mappings and single values together.
    pub nodes: usize,
    /// How deep lists and mappings may be nested.
    pub depth: usize,
}

impl Bounds {
    /// Those of definitions that people write by hand.
    pub const DEFINITION: Self = Self {
        bytes: LARGEST_FILE,
        nodes: 250_000,
        depth: 64,
    };
}

/// Reads `source`, the text of the file `path`, into a type.
///
/// # Errors
///
/// A diagnostic that names the place and what was expected there; also for duplicate keys and for documents
/// whose aliases expand without bound.
pub fn from_str<T: DeserializeOwned>(path: &Path, source: &str) -> Result<T, Box<Diagnostic>> {
    from_str_within(path, source, Bounds::DEFINITION)
}

/// As [`from_str`], with other bounds.
///
/// # Errors
///
/// As [`from_str`].
pub fn from_str_within<T: DeserializeOwned>(
    path: &Path,
    source: &str,
    bounds: Bounds,
) -> Result<T, Box<Diagnostic>> {
    if source.len() > bounds.bytes {
        return Err(Box::new(
            Diagnostic::error(format!(
                "`{}` has {} bytes, more than the {} that a definition may have",
                path.display(),
                source.len(),
                bounds.bytes
            ))
            .in_file(path),
        ));
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: bounds.nodes,
            max_events: bounds.nodes.saturating_mul(4),
            max_depth: bounds.depth,
        },
    };
    serde_saphyr::from_str_with_options(source, options)
        .map_err(|error| Box::new(diagnose(path, source, &error)))
}

/// Reads one rendered document without a type of its own, with the scalars as Kubernetes reads them: `0644` is
/// octal. Aliases and merge keys are resolved.
///
/// # Errors
///
/// A diagnostic with line and column inside `source`.
pub fn document(path: &Path, source: &str) -> Result<serde_json::Value, Box<Diagnostic>> {
    let options = serde_saphyr::options! { with_snippet: false, legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(source, options)
        .map_err(|error| Box::new(diagnose(path, source, &error)))
}

/// A value as YAML text with a line end.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_saphyr::SerializeError> {
    serde_saphyr::to_string(&value)
}

/// Where a spanned value stands in its file.
pub fn place_of<T>(path: &Path, source: &str, spanned: &Spanned<T>) -> Place {
    place_at(path, source, &spanned.referenced)
}

/// Which bytes of its file a spanned value is; empty where the library does not know.
pub fn range_of<T>(source: &str, spanned: &Spanned<T>) -> std::ops::Range<usize> {
    let span = spanned.referenced.span();
    let at = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
    let begin = at(span.byte_offset()).unwrap_or(0).min(source.len());
    let end = begin
        .saturating_add(at(span.byte_len()).unwrap_or(0))
        .min(source.len());
    begin..end
}

fn place_at(path: &Path, source: &str, location: &serde_saphyr::Location) -> Place {
    let line = usize::try_from(location.line()).unwrap_or(0);
    let column = usize::try_from(location.column()).unwrap_or(0);
    let rest = line
        .checked_sub(1)
        .and_then(|index| source.lines().nth(index))
        .map_or(0, |text| {
            text.chars()
                .count()
                .saturating_sub(column.saturating_sub(1))
        });
    let length = match location.span().len() {
        0 => word_length(source, line, column),
        length => usize::try_from(length).unwrap_or(1),
    };
    Place::in_text(path, source, line, column, length.min(rest.max(1)))
}

/// The length of the word that starts at a place, for locations that name only a point.
fn word_length(source: &str, line: usize, column: usize) -> usize {
    let Some(text) = line
        .checked_sub(1)
        .and_then(|index| source.lines().nth(index))
    else {
        return 1;
    };
    text.chars()
        .skip(column.saturating_sub(1))
        .take_while(|character| !character.is_whitespace() && *character != ':')
        .count()
        .max(1)
}

fn diagnose(path: &Path, source: &str, error: &DeserializeError) -> Diagnostic {
    let place = error
        .location()
        .filter(|location| location.line() > 0)
        .map_or_else(
            || Place::file(path),
            |location| place_at(path, source, &location),
        );
    match error {
        DeserializeError::SerdeUnknownField {
            field, expected, ..
        } => misspelt("field", field, expected).at(place),
        DeserializeError::SerdeUnknownVariant {
            variant, expected, ..
        } => misspelt("value", variant, expected).at(place),
        DeserializeError::SerdeMissingField { field, .. } => {
            Diagnostic::error(format!("field `{field}` is missing"))
                .at(place)
                .expected(format!("`{field}:` belongs here"))
        }
        DeserializeError::DuplicateMappingKey { key: Some(key), .. } => {
            Diagnostic::error(format!("`{key}` stands here a second time"))
                .at(place)
                .hint("keep one of the two")
        }
        DeserializeError::Unexpected { expected, .. } => {
            let expected = in_plain_words(expected);
            Diagnostic::error("a value of another kind belongs here")
                .at(place)
                .expected(format!("expected {expected}"))
        }
        _ if source.trim().is_empty() => Diagnostic::error("the file is empty").in_file(path),
        other => Diagnostic::error(sentence(&without_place(&other.to_string()))).at(place),
    }
}

/// The library's sentences about its parser, where they tell a reader nothing.
fn sentence(message: &str) -> String {
    match message {
        "expected end of mapping after enum variant value" => {
            "only one of the keys that exclude each other may stand here".to_owned()
        }
        bound if bound.starts_with("budget breached") => {
            "the document grows beyond all measure here".to_owned()
        }
        other => other.to_owned(),
    }
}

/// The library names events of its parser; people know lists, keys and values.
fn in_plain_words(event: &str) -> &str {
    match event {
        "sequence start" => "a list, as `[a, b]` or lines that begin with `- `",
        "mapping start" => "keys with values, as `key: value`",
        "mapping end" => "the end of the keys",
        "string scalar" | "scalar" => "a single value, not a list or keys",
        other => other,
    }
}

fn misspelt(what: &str, word: &str, expected: &[&'static str]) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("unknown {what} `{word}`"))
        .expected(format!("expected one of {}", list(expected)));
    match nearest(word, expected.iter().copied()) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

/// Names in backticks, with commas.
fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The library puts the position into some messages; it is shown with the line instead.
fn without_place(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    let cut = first.find(" at line ").unwrap_or(first.len());
    first[..cut].to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only the parsing is tested")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only the parsing is tested")]
        modules: Vec<String>,
    }

    fn message(source: &str) -> String {
        let diagnostic =
            from_str::<Sample>(Path::new("image.yaml"), source).expect_err("must not parse");
        anstream::adapter::strip_str(&crate::ui::snippet::render(&diagnostic)).to_string()
    }

    #[test]
    fn a_misspelt_field_names_the_right_one() {
        insta::assert_snapshot!(message("name: a\nmodlues: [b]\n"), @"
        error: unknown field `modlues`
         --> image.yaml:2:1
          |
        2 | modlues: [b]
          | ^^^^^^^ expected one of `name`, `modules`
        hint: did you mean `modules`?
        ");
    }

    #[test]
    fn a_missing_field_is_named() {
        insta::assert_snapshot!(message("modules: [b]\n"), @"
        error: field `name` is missing
         --> image.yaml:1:1
          |
        1 | modules: [b]
          | ^^^^^^^ `name:` belongs here
        ");
    }

    #[test]
    fn a_wrong_type_shows_the_line() {
        insta::assert_snapshot!(message("name: a\nmodules: 5\n"), @"
        error: a value of another kind belongs here
         --> image.yaml:2:10
          |
        2 | modules: 5
          |          ^ expected a list, as `[a, b]` or lines that begin with `- `
        ");
    }

    #[test]
    fn a_duplicate_key_is_an_error() {
        insta::assert_snapshot!(message("name: a\nname: b\n"), @"
        error: `name` stands here a second time
         --> image.yaml:2:1
          |
        2 | name: b
          | ^^^^
        hint: keep one of the two
        ");
    }

    #[test]
    fn broken_yaml_shows_the_line() {
        insta::assert_snapshot!(message("name: [a\nmodules: }\n"), @"
        error: a value of another kind belongs here
         --> image.yaml:1:7
          |
        1 | name: [a
          |       ^ expected a single value, not a list or keys
        ");
    }

    #[test]
    fn aliases_that_expand_without_bound_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            let row = vec![before; 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{row}]\n"));
        }
        let result = from_str::<std::collections::BTreeMap<String, serde_json::Value>>(
            Path::new("bomb.yaml"),
            &bomb,
        );
        assert!(result.is_err());
    }
}
