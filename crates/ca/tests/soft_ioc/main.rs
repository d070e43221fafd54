//! The client against a real C soft IOC on the loopback interface, with caproto as a second opinion on values.
//!
//! `tests/testbed/softioc.sh up` installs the IOC. Where it is missing these tests fail under `CI=true`, and elsewhere
//! say loudly that nothing was tested.

#[cfg(test)]
mod ioc;
#[cfg(test)]
#[path = "../../../../tests/testbed/port.rs"]
mod port;
#[cfg(test)]
mod watch;

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use ca::{Array, Client, Configuration, Error, Reading, Severity, Timestamp, Value};
use pretty_assertions::assert_eq;

use ioc::{start, start_caproto};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_ioc_is_found_and_its_duplicate_reported() {
    let Some(ioc) = start() else { return };
    let client = ioc.client();
    let found = client.find("T:AI", TIMEOUT).await.unwrap();
    assert!(found.server.ip().is_loopback());
    assert_eq!(found.duplicates, []);

    // a second IOC with the same records on the same search port takes another TCP port
    let second = ioc.sibling();
    let deadline = Instant::now() + TIMEOUT;
    let both = loop {
        let both = client.find("T:AI", TIMEOUT).await.unwrap();
        if !both.duplicates.is_empty() {
            break both;
        }
        assert!(Instant::now() < deadline, "the second IOC was never seen");
    };
    assert_eq!(both.duplicates.len(), 1);
    let servers = [both.server, both.duplicates[0]];
    assert!(
        servers.contains(&found.server) && servers[0] != servers[1],
        "{servers:?}"
    );
    drop(second);
}

#[tokio::test]
async fn many_pvs_are_found_at_once_and_each_has_its_own_result() {
    let Some(ioc) = start() else { return };
    let client = ioc.client();
    client.find("T:AI", TIMEOUT).await.unwrap();
    // any field of any record can be searched for
    let mut names: Vec<_> = (0..50)
        .map(|number| format!("T:WF.{}", ["VAL", "NELM", "DESC"][number % 3]))
        .collect();
    names[7] = "T:NOT_THERE".to_owned();
    names[9] = String::new();
    let results = client.find_many(&names, Duration::from_secs(3)).await;
    assert_eq!(results.len(), 50);
    for (name, result) in names.iter().zip(&results) {
        match (name.as_str(), result) {
            ("", Err(Error::Name(_))) | ("T:NOT_THERE", Err(Error::NotFound { .. })) => {}
            (_, Ok(found)) => assert_eq!(found.server.port(), ioc.port(), "{name}"),
            (_, Err(error)) => panic!("{name}: {error}"),
        }
    }
    assert!(results[7].is_err() && results[9].is_err());
}

#[tokio::test]
async fn an_unknown_name_says_where_it_was_searched() {
    let Some(ioc) = start() else { return };
    let error = ioc
        .client()
        .find("T:NOT_THERE", Duration::from_millis(500))
        .await
        .unwrap_err();
    let port = ioc.port();
    assert_eq!(
        error.to_string(),
        format!(
            "no server answered for `T:NOT_THERE` within 0.5 s; searched 127.255.255.255:{port}"
        )
    );
}

#[tokio::test]
async fn a_name_server_is_searched_over_tcp() {
    let Some(ioc) = start() else { return };
    // the IOC itself answers searches over TCP; it takes a moment until it accepts connections
    let configuration = Configuration {
        name_servers: vec![
            format!("127.0.0.1:{}", ioc.port())
                .parse::<std::net::SocketAddrV4>()
                .unwrap()
                .into(),
        ],
        ..Configuration::for_addresses([])
    };
    let client = Client::new(configuration);
    let found = client.find("T:AI", TIMEOUT).await.unwrap();
    assert_eq!(found.server.port(), ioc.port());
    let error = client
        .find("T:NOT_THERE", Duration::from_millis(500))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with(&format!("searched name server 127.0.0.1:{}", ioc.port())),
        "{error}"
    );
}

/// A line as `read.py` prints it.
fn line(pv: &str, reading: &Reading) -> String {
    fn elements<T>(elements: &[T], bytes: fn(&T) -> Vec<u8>) -> String {
        let hexadecimal = |element| {
            bytes(element)
                .iter()
                .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
        };
        elements
            .iter()
            .map(hexadecimal)
            .collect::<Vec<_>>()
            .join(",")
    }
    let array = match reading.value.clone() {
        Value::String(text) => Array::String(vec![text]),
        Value::Short(number) => Array::Short(vec![number]),
        Value::Float(number) => Array::Float(vec![number]),
        Value::Enum { index, .. } => Array::Enum(vec![index]),
        Value::Char(number) => Array::Char(vec![number]),
        Value::Long(number) => Array::Long(vec![number]),
        Value::Double(number) => Array::Double(vec![number]),
        Value::Array(array) => array,
    };
    let (kind, elements) = match &array {
        Array::String(texts) => ("STRING", elements(texts, |text| text.as_bytes().to_vec())),
        Array::Short(numbers) => (
            "SHORT",
            elements(numbers, |number| number.to_be_bytes().to_vec()),
        ),
        Array::Float(numbers) => (
            "FLOAT",
            elements(numbers, |number| number.to_be_bytes().to_vec()),
        ),
        Array::Enum(numbers) => (
            "ENUM",
            elements(numbers, |number| number.to_be_bytes().to_vec()),
        ),
        Array::Char(numbers) => ("CHAR", elements(numbers, |number| vec![*number])),
        Array::Long(numbers) => (
            "LONG",
            elements(numbers, |number| number.to_be_bytes().to_vec()),
        ),
        Array::Double(numbers) => (
            "DOUBLE",
            elements(numbers, |number| number.to_be_bytes().to_vec()),
        ),
    };
    let label = match &reading.value {
        Value::Enum {
            label: Some(label), ..
        } => label,
        _ => "-",
    };
    let Reading {
        severity,
        status,
        timestamp: Timestamp {
            seconds,
            nanoseconds,
        },
        ..
    } = reading;
    format!("{pv}|{kind}|{severity}|{status}|{seconds}|{nanoseconds}|{label}|{elements}\n")
}

#[tokio::test]
async fn values_agree_with_caproto() {
    let Some(ioc) = start() else { return };
    let client = ioc.client();
    let pvs = [
        "T:AI",
        "T:AO",
        "T:LONG",
        "T:BO",
        "T:MBBO",
        "T:STRING",
        "T:TEXT",
        "T:WF",
        "T:FLOATS",
        "T:SHORTS",
        "T:STRINGS",
        "T:STATES",
        "T:EMPTY",
        "T:BIG",
        "T:UNDEFINED",
        "T:INT64",
        "T:LONG_STRING",
        "T:LONG_STRING.VAL$",
        "T:AI.DESC",
        "T:AI.PREC",
        "T:AI.SCAN",
        "T:AI.TPRO",
        "T:WF.{\"arr\":{\"s\":1,\"e\":2}}",
    ];
    client
        .put(
            "T:TEXT",
            "a text longer than thirty-nine bytes, as file names often are",
            TIMEOUT,
        )
        .await
        .unwrap();
    client.put("T:BIG", "4711", TIMEOUT).await.unwrap();
    let mut ours = String::new();
    for pv in pvs {
        let reading = client.get(pv, TIMEOUT).await.unwrap();
        write!(ours, "{}", line(pv, &reading)).unwrap();
    }
    assert_eq!(ours, ioc.read_by_caproto(&pvs));
}

#[tokio::test]
async fn readings_say_what_the_operator_sees() {
    let Some(ioc) = start() else { return };
    let client = ioc.client();
    let reading = client.get("T:AI", TIMEOUT).await.unwrap();
    assert_eq!(reading.value, Value::Double(21.5));
    assert_eq!(
        (reading.severity, reading.status.to_string()),
        (Severity::Minor, "HIGH".to_owned())
    );
    let age = SystemTime::now()
        .duration_since(reading.timestamp.to_system_time())
        .unwrap();
    assert!(age < Duration::from_mins(1), "{age:?}");

    let undefined = client.get("T:UNDEFINED", TIMEOUT).await.unwrap();
    assert_eq!(
        (undefined.severity, undefined.status.to_string()),
        (Severity::Invalid, "UDF".to_owned())
    );
    let fault = client.get("T:MBBO", TIMEOUT).await.unwrap();
    assert_eq!(
        (fault.value.to_string(), fault.severity),
        ("Fault".to_owned(), Severity::Major)
    );
}

#[tokio::test]
async fn writes_arrive_as_the_server_converts_them() {
    let Some(ioc) = start() else { return };
    let client = ioc.client();
    let long = "x".repeat(255);
    for (pv, text, expected) in [
        ("T:AO", "12.5", "12.5"),
        ("T:AO", "1000", "100"), // DRVH
        ("T:LONG", "42", "42"),
        ("T:BO", "Off", "Off"),
        ("T:MBBO", "Moving", "Moving"),
        ("T:MBBO", "0", "Idle"),
        ("T:STRING", "hello", "hello"),
        ("T:STRING", "", ""),
        ("T:TEXT", long.as_str(), long.as_str()),
        ("T:TEXT", "short", "short"),
        ("T:LONG_STRING.VAL$", "long string", "long string"),
        ("T:WF", "7", "[7]"),
    ] {
        client.put(pv, text, TIMEOUT).await.unwrap();
        let value = client.get(pv, TIMEOUT).await.unwrap().value;
        let shown = value.as_text().unwrap_or_else(|| value.to_string());
        assert_eq!(shown, expected, "{pv} {text}");
    }
}

#[tokio::test]
async fn refused_writes_say_why() {
    let Some(ioc) = start() else { return };
    let client = ioc.client();
    let server = client.find("T:AI", TIMEOUT).await.unwrap().server;
    let long = "x".repeat(256);
    for (pv, text, expected, cause) in [
        (
            "T:AO",
            "warm",
            format!("server {server} did not write `T:AO`"),
            "the server refused the value (ECA_PUTFAIL)",
        ),
        (
            "T:LOCKED",
            "1",
            format!("server {server} did not write `T:LOCKED`"),
            "the server refused the value (ECA_PUTFAIL)",
        ),
        (
            "T:READ_ONLY",
            "1",
            format!("server {server} does not allow this user and host to write `T:READ_ONLY`"),
            "",
        ),
        (
            "T:OPERATORS",
            "1",
            format!("server {server} does not allow this user and host to write `T:OPERATORS`"),
            "",
        ),
        (
            "T:STRING",
            &long[..40],
            "a text of 40 bytes cannot be written to `T:STRING`: at most 39 bytes, without zeros"
                .to_owned(),
            "",
        ),
        (
            "T:TEXT",
            &long,
            "a text of 256 bytes cannot be written to `T:TEXT`: at most 255 bytes, without zeros"
                .to_owned(),
            "",
        ),
    ] {
        let before = client.get(pv, TIMEOUT).await.unwrap().value;
        let error = client.put(pv, text, TIMEOUT).await.unwrap_err();
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        assert_eq!((error.to_string(), source.as_str()), (expected, cause));
        assert_eq!(
            client.get(pv, TIMEOUT).await.unwrap().value,
            before,
            "{pv} has changed"
        );
    }
    let hidden = client.get("T:HIDDEN", TIMEOUT).await.unwrap_err();
    assert_eq!(
        hidden.to_string(),
        format!("server {server} does not allow this user and host to read `T:HIDDEN`")
    );
}

#[tokio::test]
async fn access_security_sees_user_and_host() {
    let Some(ioc) = start() else { return };
    let operator = Configuration {
        user_name: Some("operator".to_owned()),
        host_name: Some("control-room-1".to_owned()),
        ..ioc.configuration()
    };
    Client::new(operator.clone())
        .put("T:OPERATORS", "5", TIMEOUT)
        .await
        .unwrap();
    assert_eq!(
        ioc.client()
            .get("T:OPERATORS", TIMEOUT)
            .await
            .unwrap()
            .value,
        Value::Double(5.0)
    );
    for other in [
        Configuration {
            user_name: Some("visitor".to_owned()),
            ..operator.clone()
        },
        Configuration {
            host_name: Some("office-1".to_owned()),
            ..operator
        },
    ] {
        let error = Client::new(other)
            .put("T:OPERATORS", "6", TIMEOUT)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NoWriteAccess { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_of_epics_base_can_be_used() {
    let Some(ioc) = start_caproto() else { return };
    let address = format!("127.0.0.1:{}", ioc.port()).parse().unwrap();
    let client = Client::new(Configuration::for_addresses([address]));
    let found = client.find("simple:A", TIMEOUT).await.unwrap();
    assert_eq!(
        (found.server.port(), found.duplicates.len()),
        (ioc.port(), 0)
    );
    client.put("simple:A", "17", TIMEOUT).await.unwrap();
    assert_eq!(
        client.get("simple:A", TIMEOUT).await.unwrap().value,
        Value::Long(17)
    );
    let array = client.get("simple:C", TIMEOUT).await.unwrap().value;
    assert_eq!(array, Value::Array(Array::Long(vec![1, 2, 3])));
}
