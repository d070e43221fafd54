//! Go's layouts for times: a layout shows how the moment `Mon Jan 2 15:04:05 MST 2006` would look.

use jiff::Zoned;
use jiff::civil::Weekday;
use jiff::tz::Offset;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Part {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    Upper12,
    Lower12,
    Zone,
    /// An offset: `Z` for UTC or not, colons or not, how many of hours, minutes and seconds.
    Offset {
        iso: bool,
        colons: bool,
        parts: u8,
    },
    /// Digits of the second, after a point or comma; trailing zeros kept or not.
    Fraction {
        digits: usize,
        trim: bool,
        comma: bool,
    },
}

/// Longest first where one begins another.
const PARTS: &[(&str, Part)] = &[
    ("January", Part::LongMonth),
    ("Monday", Part::LongWeekday),
    ("Jan", Part::Month),
    ("Mon", Part::Weekday),
    ("MST", Part::Zone),
    ("002", Part::ZeroYearDay),
    ("01", Part::ZeroMonth),
    ("02", Part::ZeroDay),
    ("03", Part::ZeroHour12),
    ("04", Part::ZeroMinute),
    ("05", Part::ZeroSecond),
    ("06", Part::Year),
    ("15", Part::Hour),
    ("1", Part::NumMonth),
    ("2006", Part::LongYear),
    ("2", Part::Day),
    ("__2", Part::UnderYearDay),
    ("_2", Part::UnderDay),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    ("PM", Part::Upper12),
    ("pm", Part::Lower12),
    (
        "-07:00:00",
        Part::Offset {
            iso: false,
            colons: true,
            parts: 3,
        },
    ),
    (
        "-070000",
        Part::Offset {
            iso: false,
            colons: false,
            parts: 3,
        },
    ),
    (
        "-07:00",
        Part::Offset {
            iso: false,
            colons: true,
            parts: 2,
        },
    ),
    (
        "-0700",
        Part::Offset {
            iso: false,
            colons: false,
            parts: 2,
        },
    ),
    (
        "-07",
        Part::Offset {
            iso: false,
            colons: false,
            parts: 1,
        },
    ),
    (
        "Z07:00:00",
        Part::Offset {
            iso: true,
            colons: true,
            parts: 3,
        },
    ),
    (
        "Z070000",
        Part::Offset {
            iso: true,
            colons: false,
            parts: 3,
        },
    ),
    (
        "Z07:00",
        Part::Offset {
            iso: true,
            colons: true,
            parts: 2,
        },
    ),
    (
        "Z0700",
        Part::Offset {
            iso: true,
            colons: false,
            parts: 2,
        },
    ),
    (
        "Z07",
        Part::Offset {
            iso: true,
            colons: false,
            parts: 1,
        },
    ),
];

/// The next part of a layout: text before it, the part, and the rest.
pub(super) fn next_part(layout: &str) -> (&str, Option<Part>, &str) {
    for (at, character) in layout.char_indices() {
        let rest = &layout[at..];
        if let Some(after) = rest.strip_prefix("_2006") {
            // An underscore and a year, not a padded day.
            return (&layout[..=at], Some(Part::LongYear), after);
        }
        if matches!(character, '.' | ',') {
            let digits = rest[1..]
                .chars()
                .next()
                .filter(|digit| matches!(digit, '0' | '9'));
            if let Some(digit) = digits {
                let count = rest[1..].chars().take_while(|&next| next == digit).count();
                let after = &rest[1 + count..];
                if !after.starts_with(|c: char| c.is_ascii_digit()) {
                    let part = Part::Fraction {
                        digits: count,
                        trim: digit == '9',
                        comma: character == ',',
                    };
                    return (&layout[..at], Some(part), after);
                }
            }
        }
        let found = PARTS.iter().find(|(text, _)| rest.starts_with(text));
        if let Some((text, part)) = found {
            // `January` must not be found in a longer lower-case word that begins with `Jan`.
            let after = &rest[text.len()..];
            let inside_word =
                *part == Part::Month && after.starts_with(|c: char| c.is_ascii_lowercase());
            if !inside_word {
                return (&layout[..at], Some(*part), after);
            }
        }
    }
    (layout, None, "")
}

/// `time.Month.String`: 1 is January.
pub(super) fn month_name(number: i64) -> &'static str {
    MONTHS[usize::try_from(number - 1).unwrap_or(0) % 12]
}

/// `time.Weekday.String`: 0 is Sunday.
pub(super) fn weekday_name(number: i64) -> &'static str {
    DAYS[usize::try_from(number).unwrap_or(0) % 7]
}

fn weekday(day: Weekday) -> &'static str {
    weekday_name(i64::from(day.to_sunday_zero_offset()))
}

fn month(number: i8) -> &'static str {
    month_name(i64::from(number))
}

pub(super) fn format(zoned: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut layout = layout;
    loop {
        let (before, part, rest) = next_part(layout);
        out.push_str(before);
        let Some(part) = part else { return out };
        out.push_str(&format_part(zoned, part));
        layout = rest;
    }
}

fn format_part(zoned: &Zoned, part: Part) -> String {
    let hour12 = match zoned.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match part {
        Part::LongMonth => month(zoned.month()).to_owned(),
        Part::Month => month(zoned.month())[..3].to_owned(),
        Part::NumMonth => zoned.month().to_string(),
        Part::ZeroMonth => format!("{:02}", zoned.month()),
        Part::LongWeekday => weekday(zoned.weekday()).to_owned(),
        Part::Weekday => weekday(zoned.weekday())[..3].to_owned(),
        Part::Day => zoned.day().to_string(),
        Part::UnderDay => format!("{:2}", zoned.day()),
        Part::ZeroDay => format!("{:02}", zoned.day()),
        Part::UnderYearDay => format!("{:3}", zoned.day_of_year()),
        Part::ZeroYearDay => format!("{:03}", zoned.day_of_year()),
        Part::Hour => format!("{:02}", zoned.hour()),
        Part::Hour12 => hour12.to_string(),
        Part::ZeroHour12 => format!("{hour12:02}"),
        Part::Minute => zoned.minute().to_string(),
        Part::ZeroMinute => format!("{:02}", zoned.minute()),
        Part::Second => zoned.second().to_string(),
        Part::ZeroSecond => format!("{:02}", zoned.second()),
        Part::LongYear => format!("{:04}", zoned.year()),
        Part::Year => format!("{:02}", zoned.year().rem_euclid(100)),
        Part::Upper12 => if zoned.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
        Part::Lower12 => if zoned.hour() >= 12 { "pm" } else { "am" }.to_owned(),
        Part::Zone => zone_name(zoned),
        Part::Offset { iso, colons, parts } => offset(zoned.offset(), iso, colons, parts),
        Part::Fraction {
            digits,
            trim,
            comma,
        } => {
            let nanoseconds = format!("{:09}", zoned.subsec_nanosecond());
            let kept = &nanoseconds[..digits.min(9)];
            let kept = if trim {
                kept.trim_end_matches('0')
            } else {
                kept
            };
            let point = if comma { "," } else { "." };
            if kept.is_empty() {
                String::new()
            } else {
                format!("{point}{kept}")
            }
        }
    }
}

fn zone_name(zoned: &Zoned) -> String {
    let info = zoned.time_zone().to_offset_info(zoned.timestamp());
    let name = info.abbreviation();
    // A zone that is no more than an offset has no name in Go.
    if name.is_empty() || name.starts_with(['+', '-']) && zoned.time_zone().iana_name().is_none() {
        offset(zoned.offset(), false, false, 2)
    } else {
        name.to_owned()
    }
}

fn offset(offset: Offset, iso: bool, colons: bool, parts: u8) -> String {
    let seconds = offset.seconds();
    if iso && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let numbers = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    let texts: Vec<String> = numbers
        .iter()
        .take(usize::from(parts))
        .map(|number| format!("{number:02}"))
        .collect();
    format!("{sign}{}", texts.join(if colons { ":" } else { "" }))
}
