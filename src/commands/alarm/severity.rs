//! Severities for people: their order and their colours, and times and texts beside them.

use alarm::Severity;
use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, Zoned};

use crate::fleet::console::output::printable_line;

/// Place in the order of display, the worst first; what is no severity comes last.
pub(super) fn rank(severity: &str) -> u8 {
    severity.parse::<Severity>().map_or(u8::MAX, |severity| {
        Severity::Undefined.ordinal() - severity.ordinal()
    })
}

/// The colour of a severity; acknowledged ones are fainter.
fn style(severity: &str) -> Style {
    let (name, is_acknowledged) = match severity.strip_suffix("_ACK") {
        Some(name) => (name, true),
        None => (severity, false),
    };
    let colour = match name {
        "MAJOR" => AnsiColor::Red,
        "MINOR" => AnsiColor::Yellow,
        "INVALID" | "UNDEFINED" => AnsiColor::Magenta,
        "OK" => AnsiColor::Green,
        _ => return Style::new(),
    };
    let style = colour.on_default();
    if is_acknowledged {
        style.dimmed()
    } else if name == "OK" {
        style
    } else {
        style.bold()
    }
}

/// A severity in its colour, filled up with blanks.
pub(super) fn painted(severity: &str, width: usize) -> String {
    let style = style(severity);
    format!(
        "{style}{severity}{style:#}{:1$}",
        "",
        width.saturating_sub(severity.len())
    )
}

/// Lines that begin with a severity, with that in its colour.
pub(super) fn paint_lines(text: &str) -> String {
    let mut painted_text = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let end = line
            .find(|character: char| character.is_whitespace())
            .unwrap_or(line.len());
        let word = &line[..end];
        if word.parse::<Severity>().is_ok() {
            painted_text.push_str(&painted(word, 0));
            painted_text.push_str(&line[end..]);
        } else {
            painted_text.push_str(line);
        }
    }
    painted_text
}

/// A text with every word that is a severity in its colour.
pub(super) fn paint_words(text: &str) -> String {
    let mut painted_text = String::with_capacity(text.len());
    for word in text.split_inclusive([' ', '\n', ',']) {
        let end = word.trim_end_matches([' ', '\n', ',']).len();
        if word[..end].parse::<Severity>().is_ok() {
            painted_text.push_str(&painted(&word[..end], 0));
            painted_text.push_str(&word[end..]);
        } else {
            painted_text.push_str(word);
        }
    }
    painted_text
}

/// A moment (RFC 3339) as people here read it: the time of day, with the date if that is another than today's.
pub(super) fn moment(text: &str, now: &Zoned) -> String {
    let Ok(time) = text.parse::<Timestamp>() else {
        return printable_line(text);
    };
    zoned_moment(&time.to_zoned(now.time_zone().clone()), now)
}

/// As [`moment`], of a time that was understood already.
pub(super) fn zoned_moment(time: &Zoned, now: &Zoned) -> String {
    if time.date() == now.date() {
        time.strftime("%H:%M:%S").to_string()
    } else {
        time.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

/// A text of a PV or a person, fit for one cell.
pub(super) fn cell(text: &str) -> String {
    const WIDEST: usize = 60;
    let text = printable_line(&text.replace(['\n', '\t'], " "));
    if text.chars().count() <= WIDEST {
        return text;
    }
    let mut short: String = text.chars().take(WIDEST - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first() {
        let mut names = ["OK", "?", "MINOR", "MAJOR_ACK", "UNDEFINED", "MAJOR"];
        names.sort_by_key(|name| rank(name));
        assert_eq!(
            names,
            ["UNDEFINED", "MAJOR", "MINOR", "MAJOR_ACK", "OK", "?"]
        );
    }

    #[test]
    fn a_line_is_painted_by_its_first_word() {
        let text = paint_lines("MAJOR  /X/a\nOKAY\n\nOK\n");
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "MAJOR  /X/a\nOKAY\n\nOK\n");
        assert!(text.starts_with("\u{1b}["), "{text:?}");
        assert!(text.contains("OKAY\n"), "{text:?}");
    }

    #[test]
    fn times_have_a_date_if_it_is_another_day() {
        let now: Zoned = "2026-11-26T12:00:00+01:00[Europe/Paris]".parse().unwrap();
        assert_eq!(moment("2026-11-26T10:30:01.5Z", &now), "11:30:01");
        assert_eq!(moment("2026-11-25T23:30:00Z", &now), "00:30:00");
        assert_eq!(moment("2026-11-25T10:30:00Z", &now), "2026-11-25 11:30:00");
        assert_eq!(moment("never", &now), "never");
    }
}
