//! Go's layouts for times: a layout shows how the moment `Mon Jan 2 15:04:05 MST 2006` would look.

use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};
use jiff::{Zoned, civil};

const MONTHS: [&str; 12] = [
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
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

#[derive(Clone, Copy, PartialEq, Debug)]
enum Part {
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
fn next_part(layout: &str) -> (&str, Option<Part>, &str) {
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

/// What a text says, as far as it has been read.
struct Fields {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    afternoon: Option<bool>,
    offset: Option<Offset>,
    utc: bool,
}

/// Reads a time by a layout; where the text names no zone, the one given.
pub(super) fn parse(layout: &str, text: &str, zone: &TimeZone) -> Result<Zoned, String> {
    let quoted = |text: &str| crate::go::quote::quote(&text.into());
    let failed = |element: &str, at: &str| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quoted(text),
            quoted(layout),
            quoted(at),
            quoted(element)
        )
    };
    let mut fields = Fields {
        year: 0,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        afternoon: None,
        offset: None,
        utc: false,
    };
    let mut rest = text;
    let mut layout_rest = layout;
    loop {
        let (before, part, after) = next_part(layout_rest);
        rest = rest
            .strip_prefix(before)
            .ok_or_else(|| failed(before, rest))?;
        let Some(part) = part else { break };
        let element = &layout_rest[before.len()..layout_rest.len() - after.len()];
        rest = parse_part(part, rest, &mut fields).ok_or_else(|| failed(element, rest))?;
        // A fraction may follow the seconds although the layout has none.
        if matches!(part, Part::Second | Part::ZeroSecond)
            && rest.starts_with(['.', ','])
            && !matches!(next_part(after), ("", Some(Part::Fraction { .. }), _))
        {
            rest = parse_fraction(rest, &mut fields).unwrap_or(rest);
        }
        layout_rest = after;
    }
    if !rest.is_empty() {
        return Err(format!(
            "parsing time {}: extra text: {}",
            quoted(text),
            quoted(rest)
        ));
    }
    fields.to_zoned(zone).ok_or_else(|| {
        let part = fields.out_of_range();
        format!("parsing time {}: {part} out of range", quoted(text))
    })
}

impl Fields {
    /// Which part makes the time impossible.
    fn out_of_range(&self) -> &'static str {
        if !(1..=12).contains(&self.month) {
            "month"
        } else if !(0..24).contains(&self.hour) {
            "hour"
        } else if !(0..60).contains(&self.minute) {
            "minute"
        } else if !(0..60).contains(&self.second) {
            "second"
        } else {
            "day"
        }
    }

    fn to_zoned(&self, zone: &TimeZone) -> Option<Zoned> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let moment = civil::DateTime::new(
            self.year,
            self.month,
            self.day,
            hour,
            self.minute,
            self.second,
            self.nanosecond,
        )
        .ok()?;
        let zone = match self.offset {
            Some(offset) if offset.seconds() != 0 => TimeZone::fixed(offset),
            Some(_) => TimeZone::UTC,
            None if self.utc => TimeZone::UTC,
            None => zone.clone(),
        };
        moment.to_zoned(zone).ok()
    }
}

/// A number of so many digits, and what follows.
fn number(text: &str, least: usize, most: usize) -> Option<(i32, &str)> {
    let count = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    (count >= least).then_some(())?;
    Some((text[..count].parse().ok()?, &text[count..]))
}

fn named<'t>(text: &'t str, names: &[&str], length: usize) -> Option<(i8, &'t str)> {
    names.iter().enumerate().find_map(|(position, name)| {
        let name = if length == 0 { name } else { &name[..length] };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| {
            i8::try_from(position)
                .ok()
                .map(|position| (position, &text[name.len()..]))
        })?
    })
}

fn parse_fraction<'t>(text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let digits = text[1..].bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then_some(())?;
    let nine: String = text[1..=digits]
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    fields.nanosecond = nine.parse().ok()?;
    Some(&text[1 + digits..])
}

fn parse_part<'t>(part: Part, text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let small = |(value, rest): (i32, &'t str)| i8::try_from(value).ok().map(|value| (value, rest));
    let rest = match part {
        Part::LongMonth | Part::Month => {
            let length = if part == Part::Month { 3 } else { 0 };
            let (position, rest) = named(text, &MONTHS, length)?;
            fields.month = position + 1;
            rest
        }
        Part::LongWeekday => named(text, &DAYS, 0)?.1,
        Part::Weekday => named(text, &DAYS, 3)?.1,
        Part::NumMonth | Part::ZeroMonth => {
            let least = if part == Part::ZeroMonth { 2 } else { 1 };
            let (value, rest) = small(number(text, least, 2)?)?;
            fields.month = value;
            rest
        }
        Part::Day | Part::UnderDay | Part::ZeroDay => {
            let text = text
                .strip_prefix(' ')
                .filter(|_| part == Part::UnderDay)
                .unwrap_or(text);
            let least = if part == Part::ZeroDay { 2 } else { 1 };
            let (value, rest) = small(number(text, least, 2)?)?;
            fields.day = value;
            rest
        }
        Part::Hour | Part::Hour12 | Part::ZeroHour12 => {
            let least = if part == Part::Hour12 { 1 } else { 2 };
            let (value, rest) = small(number(text, least, 2)?)?;
            fields.hour = value;
            rest
        }
        Part::Minute | Part::ZeroMinute => {
            let least = if part == Part::Minute { 1 } else { 2 };
            let (value, rest) = small(number(text, least, 2)?)?;
            fields.minute = value;
            rest
        }
        Part::Second | Part::ZeroSecond => {
            let least = if part == Part::Second { 1 } else { 2 };
            let (value, rest) = small(number(text, least, 2)?)?;
            fields.second = value;
            rest
        }
        Part::LongYear => {
            let (value, rest) = number(text, 4, 4)?;
            fields.year = i16::try_from(value).ok()?;
            rest
        }
        Part::Year => {
            let (value, rest) = number(text, 2, 2)?;
            let century = if value >= 69 { 1900 } else { 2000 };
            fields.year = i16::try_from(century + value).ok()?;
            rest
        }
        Part::Upper12 | Part::Lower12 => {
            let head = text.get(..2)?;
            let names = if part == Part::Upper12 {
                ["AM", "PM"]
            } else {
                ["am", "pm"]
            };
            fields.afternoon = Some(names.iter().position(|name| *name == head)? == 1);
            &text[2..]
        }
        Part::Zone => {
            let length = text.bytes().take_while(u8::is_ascii_uppercase).count();
            (length >= 3).then_some(())?;
            fields.utc = &text[..length] == "UTC";
            &text[length..]
        }
        Part::UnderYearDay | Part::ZeroYearDay => number(text.trim_start(), 1, 3)?.1,
        Part::Offset { iso, colons, parts } => {
            if iso && let Some(rest) = text.strip_prefix('Z') {
                fields.offset = Some(Offset::UTC);
                return Some(rest);
            }
            parse_offset(text, colons, parts, fields)?
        }
        Part::Fraction { .. } if text.starts_with(['.', ',']) => parse_fraction(text, fields)?,
        Part::Fraction { trim: true, .. } => text,
        Part::Fraction { .. } => return None,
    };
    Some(rest)
}

fn parse_offset<'t>(
    text: &'t str,
    colons: bool,
    parts: u8,
    fields: &mut Fields,
) -> Option<&'t str> {
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut rest = &text[1..];
    let mut seconds = 0;
    for (position, unit) in [3600, 60, 1].iter().take(usize::from(parts)).enumerate() {
        if position > 0 && colons {
            rest = rest.strip_prefix(':')?;
        }
        let (value, after) = number(rest, 2, 2)?;
        seconds += value * unit;
        rest = after;
    }
    fields.offset = Offset::from_seconds(sign * seconds).ok();
    Some(rest)
}
