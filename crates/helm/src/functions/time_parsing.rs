//! Times out of texts, by Go's layouts (`time.Parse`), with the messages that it has.

use std::fmt::Write as _;

use jiff::tz::{Offset, TimeZone};
use jiff::{Zoned, civil};

use super::layouts::{DAYS, MONTHS, Part, next_part};

/// What a text says, as far as it has been read; `None` where it says nothing.
#[derive(Default)]
struct Fields {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    afternoon: Option<bool>,
    offset: Option<Offset>,
    zone: Option<String>,
}

/// Why a part cannot be read.
enum Fault {
    /// It does not look like that part.
    Form,
    /// It does, but there is no such month, hour and so on.
    Range(&'static str),
}

type Read<'t> = Result<&'t str, Fault>;

/// Reads a time by a layout; where the text names no zone, the one given.
pub(super) fn parse(layout: &str, text: &str, zone: &TimeZone) -> Result<Zoned, String> {
    let failed = |element: &str, at: &str| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(text),
            quote(layout),
            quote(at),
            quote(element)
        )
    };
    let wrong = |why: &str| format!("parsing time {}: {why}", quote(text));
    let mut fields = Fields::default();
    let mut rest = text;
    let mut layout_rest = layout;
    loop {
        let (before, part, after) = next_part(layout_rest);
        rest = rest
            .strip_prefix(before)
            .ok_or_else(|| failed(before, rest))?;
        let Some(part) = part else { break };
        let element = &layout_rest[before.len()..layout_rest.len() - after.len()];
        rest = match parse_part(part, rest, &mut fields) {
            Ok(after) => after,
            Err(Fault::Form) => return Err(failed(element, rest)),
            Err(Fault::Range(what)) => return Err(wrong(&format!("{what} out of range"))),
        };
        // A fraction may follow the seconds although the layout has none.
        if matches!(part, Part::Second | Part::ZeroSecond)
            && starts_fraction(rest)
            && !matches!(next_part(after), (_, Some(Part::Fraction { .. }), _))
        {
            rest = fraction(rest, &mut fields);
        }
        layout_rest = after;
    }
    if !rest.is_empty() {
        return Err(wrong(&format!("extra text: {}", quote(rest))));
    }
    fields.to_zoned(zone).map_err(|why| wrong(&why))
}

/// A text in a message of Go's `time`: what is not ASCII byte by byte.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='\x7f' => quoted.push(character),
            _ => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(quoted, "\\x{byte:02x}");
                }
            }
        }
    }
    quoted + "\""
}

impl Fields {
    fn to_zoned(&self, zone: &TimeZone) -> Result<Zoned, String> {
        let out_of_range = |what: &str| format!("{what} out of range");
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = self.date()?;
        let moment = civil::Time::new(hour, self.minute, self.second, self.nanosecond)
            .map(|time| date.to_datetime(time))
            .map_err(|_| out_of_range("hour"))?;
        let zone = self.time_zone(zone);
        // What a zone by name says is the clock of UTC to Go, unless it knows the zone.
        let clock = match (&self.zone, self.offset) {
            (Some(_), None) => TimeZone::UTC,
            _ => zone.clone(),
        };
        moment
            .to_zoned(clock)
            .map(|moment| moment.with_time_zone(zone))
            .map_err(|_| out_of_range("year"))
    }

    fn date(&self) -> Result<civil::Date, String> {
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        let plain = civil::Date::new(self.year, month, day);
        let Some(year_day) = self.year_day else {
            return plain.map_err(|_| "day out of range".to_owned());
        };
        let date = civil::Date::new(self.year, 1, 1)
            .and_then(|first| first.with().day_of_year(year_day).build())
            .map_err(|_| "day-of-year out of range".to_owned())?;
        if self.month.is_some_and(|month| month != date.month()) {
            return Err("day-of-year does not match month".to_owned());
        }
        if self.day.is_some_and(|day| day != date.day()) {
            return Err("day-of-year does not match day".to_owned());
        }
        Ok(date)
    }

    fn time_zone(&self, local: &TimeZone) -> TimeZone {
        match (self.offset, &self.zone) {
            (Some(offset), _) if offset.is_zero() => TimeZone::UTC,
            (Some(offset), _) => TimeZone::fixed(offset),
            (None, Some(name)) if name == "UTC" => TimeZone::UTC,
            (None, Some(name)) => {
                // A zone that nobody knows has its name and no offset, but for `GMT+3`.
                let hours: i32 = name
                    .strip_prefix("GMT")
                    .map_or(0, |text| text.parse().unwrap_or(0));
                TimeZone::posix(&format!("<{name}>{}", -hours)).unwrap_or(TimeZone::UTC)
            }
            (None, None) => local.clone(),
        }
    }
}

/// A number of so many digits, and what follows.
fn number(text: &str, least: usize, most: usize) -> Result<(i16, &str), Fault> {
    let count = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    if count < least {
        return Err(Fault::Form);
    }
    let value = text[..count].parse().map_err(|_| Fault::Form)?;
    Ok((value, &text[count..]))
}

/// A number of one or two digits within bounds.
fn small<'t>(
    text: &'t str,
    least: usize,
    range: std::ops::RangeInclusive<i16>,
    what: &'static str,
) -> Result<(i8, &'t str), Fault> {
    let (value, rest) = number(text, least, 2)?;
    if !range.contains(&value) {
        return Err(Fault::Range(what));
    }
    let value = i8::try_from(value).map_err(|_| Fault::Range(what))?;
    Ok((value, rest))
}

fn named<'t>(text: &'t str, names: &[&str], length: usize) -> Result<(i8, &'t str), Fault> {
    let found = names.iter().zip(0..).find_map(|(name, position)| {
        let name = if length == 0 { name } else { &name[..length] };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name)
            .then(|| (position, &text[name.len()..]))
    });
    found.ok_or(Fault::Form)
}

fn starts_fraction(text: &str) -> bool {
    text.strip_prefix(['.', ','])
        .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))
}

/// The digits after a point or comma, of which nine count.
fn fraction<'t>(text: &'t str, fields: &mut Fields) -> &'t str {
    let digits = text[1..].bytes().take_while(u8::is_ascii_digit).count();
    let nine: String = text[1..=digits]
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    fields.nanosecond = nine.parse().unwrap_or(0);
    &text[1 + digits..]
}

fn parse_part<'t>(part: Part, text: &'t str, fields: &mut Fields) -> Read<'t> {
    let least = |padded: bool| if padded { 2 } else { 1 };
    Ok(match part {
        Part::LongMonth | Part::Month => {
            let length = if part == Part::Month { 3 } else { 0 };
            let (position, rest) = named(text, &MONTHS, length)?;
            fields.month = Some(position + 1);
            rest
        }
        Part::LongWeekday => named(text, &DAYS, 0)?.1,
        Part::Weekday => named(text, &DAYS, 3)?.1,
        Part::NumMonth | Part::ZeroMonth => {
            let (value, rest) = small(text, least(part == Part::ZeroMonth), 1..=12, "month")?;
            fields.month = Some(value);
            rest
        }
        Part::Day | Part::UnderDay | Part::ZeroDay => {
            let text = text
                .strip_prefix(' ')
                .filter(|_| part == Part::UnderDay)
                .unwrap_or(text);
            // Which days a month has is known at the end.
            let (value, rest) = small(text, least(part == Part::ZeroDay), 0..=99, "day")?;
            fields.day = Some(value);
            rest
        }
        Part::UnderYearDay | Part::ZeroYearDay => {
            let blanks = if part == Part::UnderYearDay {
                text.len() - text.trim_start_matches(' ').len()
            } else {
                0
            };
            let digits = 3usize.checked_sub(blanks).ok_or(Fault::Form)?;
            let (value, rest) = number(&text[blanks..], digits, digits)?;
            fields.year_day = Some(value);
            rest
        }
        Part::Hour => {
            let (value, rest) = small(text, 2, 0..=23, "hour")?;
            fields.hour = value;
            rest
        }
        Part::Hour12 | Part::ZeroHour12 => {
            let (value, rest) = small(text, least(part == Part::ZeroHour12), 0..=12, "hour")?;
            fields.hour = value;
            rest
        }
        Part::Minute | Part::ZeroMinute => {
            let (value, rest) = small(text, least(part == Part::ZeroMinute), 0..=59, "minute")?;
            fields.minute = value;
            rest
        }
        Part::Second | Part::ZeroSecond => {
            let (value, rest) = small(text, least(part == Part::ZeroSecond), 0..=59, "second")?;
            fields.second = value;
            rest
        }
        Part::LongYear => {
            let (value, rest) = number(text, 4, 4)?;
            fields.year = value;
            rest
        }
        Part::Year => {
            let (value, rest) = number(text, 2, 2)?;
            fields.year = value + if value >= 69 { 1900 } else { 2000 };
            rest
        }
        Part::Upper12 | Part::Lower12 => {
            let names = if part == Part::Upper12 {
                ["AM", "PM"]
            } else {
                ["am", "pm"]
            };
            let head = text.get(..2).ok_or(Fault::Form)?;
            let found = names.iter().position(|name| *name == head);
            fields.afternoon = Some(found.ok_or(Fault::Form)? == 1);
            &text[2..]
        }
        Part::Zone => {
            let length = zone_length(text).ok_or(Fault::Form)?;
            fields.zone = Some(text[..length].to_owned());
            &text[length..]
        }
        Part::Offset { iso, colons, parts } => {
            if iso && let Some(rest) = text.strip_prefix('Z') {
                fields.offset = Some(Offset::UTC);
                return Ok(rest);
            }
            offset(text, colons, parts, fields)?
        }
        Part::Fraction { trim: true, .. } if starts_fraction(text) => fraction(text, fields),
        Part::Fraction { trim: true, .. } => text,
        Part::Fraction { digits, .. } => {
            let head = text.get(..=digits).ok_or(Fault::Form)?;
            let all_digits = head[1..].bytes().all(|byte| byte.is_ascii_digit());
            if !head.starts_with(['.', ',']) || !all_digits {
                return Err(Fault::Form);
            }
            fraction(head, fields);
            &text[1 + digits..]
        }
    })
}

/// How long the abbreviation of a time zone at the beginning of a text is.
fn zone_length(text: &str) -> Option<usize> {
    if text.starts_with("UTC") || text.starts_with("ChST") || text.starts_with("MeST") {
        return Some(if text.starts_with("UTC") { 3 } else { 4 });
    }
    if let Some(after) = text.strip_prefix("GMT") {
        return Some(3 + hours_length(after));
    }
    if text.starts_with(['+', '-']) {
        return Some(hours_length(text)).filter(|&length| length > 0);
    }
    let capitals = text
        .bytes()
        .take(6)
        .take_while(u8::is_ascii_uppercase)
        .count();
    let plausible = match capitals {
        3 => true,
        4 => text[..4].ends_with('T') || text.starts_with("WITA"),
        5 => text[..5].ends_with('T'),
        _ => false,
    };
    plausible.then_some(capitals)
}

/// The length of a signed number of hours such as `+3`; 0 when there is none.
fn hours_length(text: &str) -> usize {
    if !text.starts_with(['+', '-']) {
        return 0;
    }
    let digits = text[1..].bytes().take_while(u8::is_ascii_digit).count();
    match text[1..=digits].parse::<u32>() {
        Ok(0..=23) => 1 + digits,
        _ => 0,
    }
}

fn offset<'t>(text: &'t str, colons: bool, parts: u8, fields: &mut Fields) -> Read<'t> {
    let sign = match text.bytes().next() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(Fault::Form),
    };
    // Some people write offsets of 24 hours or 60 minutes, and Go lets them.
    let units = [
        (3600, 24, "time zone offset hour"),
        (60, 60, "time zone offset minute"),
        (1, 60, "time zone offset second"),
    ];
    let mut rest = &text[1..];
    let mut seconds = 0;
    let mut beyond = None;
    for (position, (unit, most, what)) in units.iter().take(usize::from(parts)).enumerate() {
        if position > 0 && colons {
            rest = rest.strip_prefix(':').ok_or(Fault::Form)?;
        }
        let (value, after) = number(rest, 2, 2)?;
        if value > *most {
            beyond = Some(*what);
        }
        seconds += i32::from(value) * unit;
        rest = after;
    }
    if let Some(what) = beyond {
        return Err(Fault::Range(what));
    }
    fields.offset = Offset::from_seconds(sign * seconds).ok();
    Ok(rest)
}
