//! Sprig: dates and times, with Go's layouts (`2006-01-02T15:04:05Z07:00`).

use std::rc::Rc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::arguments::{fail, int, string, value};
use super::durations::{self, SECOND};
use super::methods::Method;
use super::{Called, Function, Signature, Type, function};
use crate::go::objects::Object;
use crate::go::value::{IntType, Value};
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("now", &[], |state, _| Ok(time(state.now().clone()))),
    function("date", &[Type::Str, Type::Any], |state, a| {
        Ok(Value::str(format(&at(state, value(a, 1)), &string(a, 0))))
    }),
    function(
        "dateInZone",
        &[Type::Str, Type::Any, Type::Str],
        date_in_zone,
    ),
    function(
        "date_in_zone",
        &[Type::Str, Type::Any, Type::Str],
        date_in_zone,
    ),
    function("htmlDate", &[Type::Any], |state, a| {
        Ok(Value::str(format(&at(state, value(a, 0)), "2006-01-02")))
    }),
    function("htmlDateInZone", &[Type::Any, Type::Str], |state, a| {
        let zoned = in_zone(&at(state, value(a, 0)), &string(a, 1), state);
        Ok(Value::str(format(&zoned, "2006-01-02")))
    }),
    function("dateModify", &[Type::Str, Type::Time], |_, a| {
        modify(a, false)
    }),
    function("date_modify", &[Type::Str, Type::Time], |_, a| {
        modify(a, false)
    }),
    function("mustDateModify", &[Type::Str, Type::Time], |_, a| {
        modify(a, true)
    }),
    function("must_date_modify", &[Type::Str, Type::Time], |_, a| {
        modify(a, true)
    }),
    function("ago", &[Type::Any], ago),
    function("duration", &[Type::Any], duration),
    function("durationRound", &[Type::Any], duration_round),
    function("unixEpoch", &[Type::Time], |_, a| match value(a, 0) {
        Value::Object(Object::Time(time)) => {
            Ok(Value::str(time.timestamp().as_second().to_string()))
        }
        _ => Ok(Value::str("")),
    }),
    function("toDate", &[Type::Str, Type::Str], |state, a| {
        let zero = Timestamp::from_second(-62_135_596_800).unwrap_or(Timestamp::UNIX_EPOCH);
        let parsed =
            super::time_parsing::parse(&string(a, 0), &string(a, 1), state.now().time_zone());
        Ok(time(
            parsed.unwrap_or_else(|_| zero.to_zoned(TimeZone::UTC)),
        ))
    }),
    function(
        "mustToDate",
        &[Type::Str, Type::Str],
        |state, a| match super::time_parsing::parse(
            &string(a, 0),
            &string(a, 1),
            state.now().time_zone(),
        ) {
            Ok(zoned) => Ok(time(zoned)),
            Err(message) => fail(message),
        },
    ),
];

const fn method(
    name: &'static str,
    fixed: &'static [Type],
    call: fn(&Value, &[Value]) -> Called,
) -> Method {
    Method {
        name,
        signature: Signature { fixed, rest: None },
        call,
    }
}

macro_rules! on_time {
    (|$time:ident, $arguments:ident| $body:expr) => {
        |receiver, $arguments| match receiver {
            Value::Object(Object::Time($time)) => $body,
            _ => Ok(Value::Nil),
        }
    };
}

pub(super) const METHODS: &[Method] = &[
    method(
        "Format",
        &[Type::Str],
        on_time!(|time, arguments| { Ok(Value::str(format(time, &string(arguments, 0)))) }),
    ),
    method(
        "String",
        &[],
        on_time!(|time, _arguments| Ok(Value::str(to_text(time)))),
    ),
    method(
        "Unix",
        &[],
        on_time!(|time, _arguments| { Ok(Value::int64(time.timestamp().as_second())) }),
    ),
    method(
        "UnixMilli",
        &[],
        on_time!(|time, _arguments| { Ok(Value::int64(time.timestamp().as_millisecond())) }),
    ),
    method(
        "UnixNano",
        &[],
        on_time!(|time, _arguments| {
            Ok(Value::int64(
                i64::try_from(time.timestamp().as_nanosecond()).unwrap_or(0),
            ))
        }),
    ),
    method(
        "Year",
        &[],
        on_time!(|time, _arguments| Ok(Value::int(i64::from(time.year())))),
    ),
    method(
        "Month",
        &[],
        on_time!(|time, _arguments| { Ok(Value::Int(i64::from(time.month()), IntType::Month)) }),
    ),
    method(
        "Weekday",
        &[],
        on_time!(|time, _arguments| {
            let day = time.weekday().to_sunday_zero_offset();
            Ok(Value::Int(i64::from(day), IntType::Weekday))
        }),
    ),
    method(
        "Day",
        &[],
        on_time!(|time, _arguments| Ok(Value::int(i64::from(time.day())))),
    ),
    method(
        "Hour",
        &[],
        on_time!(|time, _arguments| Ok(Value::int(i64::from(time.hour())))),
    ),
    method(
        "Minute",
        &[],
        on_time!(|time, _arguments| Ok(Value::int(i64::from(time.minute())))),
    ),
    method(
        "Second",
        &[],
        on_time!(|time, _arguments| Ok(Value::int(i64::from(time.second())))),
    ),
    method(
        "YearDay",
        &[],
        on_time!(|time, _arguments| { Ok(Value::int(i64::from(time.day_of_year()))) }),
    ),
    method(
        "UTC",
        &[],
        on_time!(|time, _arguments| { Ok(self::time(time.with_time_zone(TimeZone::UTC))) }),
    ),
    method(
        "AddDate",
        &[Type::Int, Type::Int, Type::Int],
        on_time!(|time, arguments| { add_date(time, arguments) }),
    ),
];

fn time(zoned: Zoned) -> Value {
    Object::Time(Rc::new(zoned)).into()
}

/// The moment that a value stands for: a time, seconds since 1970, else now.
fn at(state: &State<'_>, value: &Value) -> Zoned {
    let local = state.now().time_zone().clone();
    match value {
        Value::Object(Object::Time(time)) => time.with_time_zone(local),
        Value::Int(seconds, IntType::Int | IntType::Int64) => Timestamp::from_second(*seconds)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_zoned(local),
        _ => state.now().clone(),
    }
}

fn in_zone(zoned: &Zoned, zone: &str, state: &State<'_>) -> Zoned {
    let zone = match zone {
        "" | "UTC" => TimeZone::UTC,
        "Local" => state.now().time_zone().clone(),
        name => TimeZone::get(name).unwrap_or(TimeZone::UTC),
    };
    zoned.with_time_zone(zone)
}

fn date_in_zone(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let zoned = in_zone(
        &at(state, value(arguments, 1)),
        &string(arguments, 2),
        state,
    );
    Ok(Value::str(format(&zoned, &string(arguments, 0))))
}

fn modify(arguments: &[Value], must: bool) -> Called {
    let Value::Object(Object::Time(zoned)) = value(arguments, 1) else {
        return Ok(Value::Nil);
    };
    let text = string(arguments, 0);
    let nanoseconds = match durations::parse(&text) {
        Ok(nanoseconds) => nanoseconds,
        Err(message) if must => return fail(message),
        Err(_) => return Ok(value(arguments, 1).clone()),
    };
    let moved = zoned.checked_add(SignedDuration::from_nanos(nanoseconds));
    Ok(time(moved.unwrap_or_else(|_| zoned.as_ref().clone())))
}

fn add_date(zoned: &Zoned, arguments: &[Value]) -> Called {
    let span = jiff::Span::new()
        .try_years(int(arguments, 0))
        .and_then(|span| span.try_months(int(arguments, 1)))
        .and_then(|span| span.try_days(int(arguments, 2)));
    match span.and_then(|span| zoned.checked_add(span)) {
        Ok(moved) => Ok(time(moved)),
        Err(error) => fail(error.to_string()),
    }
}

fn since(state: &State<'_>, then: Timestamp) -> i64 {
    let nanoseconds = state.now().timestamp().as_nanosecond() - then.as_nanosecond();
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}

fn ago(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let then = match value(arguments, 0) {
        Value::Object(Object::Time(time)) => time.timestamp(),
        Value::Int(seconds, IntType::Int | IntType::Int64) => {
            Timestamp::from_second(*seconds).unwrap_or(Timestamp::UNIX_EPOCH)
        }
        _ => state.now().timestamp(),
    };
    Ok(Value::str(durations::to_text(durations::round(
        since(state, then),
        SECOND,
    ))))
}

fn duration(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let seconds = match value(arguments, 0) {
        Value::Str(text) => text.lossy().parse().unwrap_or(0),
        Value::Int(seconds, IntType::Int64) => *seconds,
        _ => 0,
    };
    Ok(Value::str(durations::to_text(seconds.wrapping_mul(SECOND))))
}

fn duration_round(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let nanoseconds = match value(arguments, 0) {
        Value::Str(text) => durations::parse(&text.lossy()).unwrap_or(0),
        Value::Int(nanoseconds, IntType::Int64) => *nanoseconds,
        Value::Object(Object::Time(time)) => since(state, time.timestamp()),
        _ => 0,
    };
    let magnitude = nanoseconds.unsigned_abs();
    let second = SECOND.unsigned_abs();
    let units = [
        (365 * 24 * 3600, "y"),
        (30 * 24 * 3600, "mo"),
        (24 * 3600, "d"),
        (3600, "h"),
        (60, "m"),
        (1, "s"),
    ];
    let found = units
        .iter()
        .find(|(seconds, _)| magnitude > seconds * second);
    Ok(Value::str(
        found.map_or("0s".to_owned(), |(seconds, unit)| {
            format!("{}{unit}", magnitude / (seconds * second))
        }),
    ))
}

/// A time by a Go layout.
pub(crate) fn format(zoned: &Zoned, layout: &str) -> String {
    super::layouts::format(zoned, layout)
}

/// Go's `Time.String`.
pub(crate) fn to_text(zoned: &Zoned) -> String {
    format(zoned, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// RFC 3339 with as many digits of the second as there are, Go's JSON form.
pub(crate) fn rfc3339(zoned: &Zoned) -> String {
    format(zoned, "2006-01-02T15:04:05.999999999Z07:00")
}
