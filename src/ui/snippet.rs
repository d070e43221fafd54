//! Draws a diagnostic with its source line.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Severity};

/// Longest part of a source line that is shown, in characters; a minified or hostile file stays readable.
const LONGEST_LINE: usize = 400;

/// The diagnostic as text for the terminal, with colours that the writer may strip.
pub fn render(diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let place = diagnostic.place.as_ref();
    let path = place.map(|place| place.path.display().to_string());
    let line_text = place.and_then(|place| place.text.as_deref()).map(printable);
    let mut group = Group::with_title(level.primary_title(&diagnostic.message));
    if let (Some(place), Some(path), Some(text)) = (place, &path, &line_text) {
        let span = character_span(text, place.column, place.length);
        let mut annotation = AnnotationKind::Primary.span(span);
        if let Some(expected) = &diagnostic.expected {
            annotation = annotation.label(expected);
        }
        group = group.element(
            Snippet::source(text.as_str())
                .line_start(place.line)
                .path(path.as_str())
                .annotation(annotation),
        );
    }
    let mut output = Renderer::styled().render(&[group]);
    output.push('\n');
    if line_text.is_none() {
        if let Some(place) = place {
            output.push_str(&format!(" --> {place}\n"));
        }
        if let Some(expected) = &diagnostic.expected {
            output.push_str(&format!("  = {expected}\n"));
        }
    }
    if let Some(hint) = &diagnostic.hint {
        output.push_str(&format!("hint: {hint}\n"));
    }
    output
}

/// Tabs become one blank so that columns stay right; control characters of hostile input are not passed on.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .take(LONGEST_LINE)
        .map(|character| match character {
            '\t' => ' ',
            control if control.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// The byte range of `length` characters from `column` (from 1), kept inside the line.
fn character_span(text: &str, column: usize, length: usize) -> std::ops::Range<usize> {
    let mut boundaries = text
        .char_indices()
        .map(|(index, _)| index)
        .chain([text.len()]);
    let start = boundaries
        .clone()
        .nth(column.saturating_sub(1))
        .unwrap_or(text.len());
    let end = boundaries
        .nth(column.saturating_sub(1) + length)
        .unwrap_or(text.len());
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;

    fn plain(diagnostic: &Diagnostic) -> String {
        anstream::adapter::strip_str(&render(diagnostic)).to_string()
    }

    #[test]
    fn shows_the_line_and_marks_the_word() {
        let source = "name: sim\ndatabse: []\n";
        let diagnostic = Diagnostic::error("unknown field `databse`")
            .at(Place::in_text("image.yaml", source, 2, 1, 7))
            .expected("expected one of the fields of an image")
            .hint("did you mean `databases`?");
        insta::assert_snapshot!(plain(&diagnostic), @"
        error: unknown field `databse`
         --> image.yaml:2:1
          |
        2 | databse: []
          | ^^^^^^^ expected one of the fields of an image
        hint: did you mean `databases`?
        ");
    }

    #[test]
    fn a_place_without_a_line_names_the_file() {
        let diagnostic = Diagnostic::warning("no `config` folder").at(Place::file("services/x"));
        insta::assert_snapshot!(plain(&diagnostic), @"
        warning: no `config` folder
         --> services/x
        ");
    }

    #[test]
    fn terminal_control_of_hostile_input_is_not_passed_on() {
        let source = "a: \u{1b}[2Jboo";
        let diagnostic = Diagnostic::error("bad value").at(Place::in_text("f", source, 1, 90, 3));
        assert!(!plain(&diagnostic).contains('\u{1b}'));
    }
}
