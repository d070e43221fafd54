//! Mistakes with the alarm server and its clients, with the whole answer; nothing is changed by them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use super::bed::Process;
use crate::context::TestContext;

fn context() -> TestContext {
    TestContext::new()
        .env("EPICS_CA_ADDR_LIST", "127.0.0.1")
        .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
        .env("EPICS_CA_SERVER_PORT", crate::port::free_port().to_string())
        .env("IOC_LOG", "warn")
        .env("TZ", "UTC")
}

#[test]
fn no_server_runs() {
    let context = context();
    insta::assert_snapshot!(context.refuse(&["alarm", "ls"]), @r"
    exit code: 14
    ----- stderr -----
    error: no alarm server runs on this machine with the bus in `[ROOT]/state/alarm-bus`
    hint: `ioc alarm serve --config NAME` starts one
    hint: `--server URL` asks one on another machine
    ");
    insta::assert_snapshot!(context.refuse(&["alarm", "ack", "a", "--config", "X", "--kafka", "b:9092"]), @r"
    exit code: 14
    ----- stderr -----
    error: no alarm server of `X` runs on this machine with Kafka at `b:9092`
    hint: `ioc alarm serve --config X --kafka b:9092` starts one
    hint: `--server URL` asks one on another machine
    ");
    insta::assert_snapshot!(context.refuse(&["alarm", "watch", "--server", "http://127.0.0.1:1"]), @r"
    exit code: 14
    ----- stderr -----
    error: no alarm server answers at `http://127.0.0.1:1`
      cause: Connection refused (os error 111)
    hint: `ioc alarm serve --config NAME` starts one
    ");
}

#[test]
fn an_address_that_is_none() {
    let context = context();
    insta::assert_snapshot!(context.refuse(&["alarm", "ls", "--server", "ftp://x"]), @r"
    exit code: 2
    ----- stderr -----
    error: `ftp://x` is no address of an alarm server: it begins with `http://` or `https://`
    hint: such as `--server http://127.0.0.1:4730`
    ");
    insta::assert_snapshot!(context.refuse(&["alarm", "ls", "--server", "http://me:secret@far"]), @r"
    exit code: 2
    ----- stderr -----
    error: `http://…@far` is no address of an alarm server: a token stands in a file, not in the address
    hint: such as `--server http://127.0.0.1:4730`
    ");
}

#[test]
fn somebody_else_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 4096];
            if client.read(&mut request).is_err() {
                continue;
            }
            client
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                .ok();
        }
    });
    let context = context().shown_as(&address, "[ADDRESS]");
    insta::assert_snapshot!(context.refuse(&["alarm", "ls", "--server", &address]), @r"
    exit code: 14
    ----- stderr -----
    error: what answers at `[ADDRESS]` is no alarm server: expected value at line 1 column 1
    hint: `ioc alarm serve` prints the address of its control API when it starts
    ");
}

#[test]
fn times_that_are_none() {
    let context = context();
    let shelve = |more: &[&str]| {
        let words = [
            &["alarm", "shelve", "a", "--server", "http://127.0.0.1:1"],
            more,
        ]
        .concat();
        context.refuse(&words)
    };
    // what the client sends first: nothing goes out with a wrong time
    insta::assert_snapshot!(shelve(&["--for", "8"]), @r"
    exit code: 2
    ----- stderr -----
    error: `8` is no time span
    hint: a number with s, m, h or d: `--for 8h`
    ");
    insta::assert_snapshot!(shelve(&["--until", "2001-01-01T00:00:00"]), @r"
    exit code: 2
    ----- stderr -----
    error: `2001-01-01T00:00:00` is over already
    ");
    insta::assert_snapshot!(shelve(&["--until", "soon"]), @r"
    exit code: 2
    ----- stderr -----
    error: `soon` is no time
    hint: a time of day (`06:30`), a date and time (`2031-12-03T10:15:30`), or one with a zone (`2031-12-03T10:15:30Z`)
    ");
}

#[test]
fn a_server_that_is_set_up_wrongly() {
    let context = context();
    let serve = |more: &[&str]| context.refuse(&[&["alarm", "serve"], more].concat());
    insta::assert_snapshot!(serve(&[]), @r#"
    exit code: 2
    ----- stderr -----
    error: nothing says which configuration
    hint: `--config NAME`, or `config = "NAME"` below `[alarm]` in `ioc.toml`
    "#);
    insta::assert_snapshot!(serve(&["--config", "X", "--nag-period", "15"]), @r"
    exit code: 2
    ----- stderr -----
    error: `15` is no period of reminders
    hint: hours, minutes, seconds: `--nag-period 0:15:00`; `0:00:00` for never
    ");
    insta::assert_snapshot!(serve(&["--config", "X", "--log", "x=y=z"]), @r#"
    exit code: 2
    ----- stderr -----
    error: `x=y=z` says not what to log: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
    hint: such as `--log info,ca=debug`
    "#);
    context.write("client.properties", "securty.protocol=SSL\n");
    insta::assert_snapshot!(serve(&["--config", "X", "--kafka", "127.0.0.1:1", "--kafka-properties", "client.properties"]), @r"
    exit code: 3
    ----- stderr -----
    error: Kafka's client has no setting `securty.protocol`
     --> client.properties:1:1
      |
    1 | securty.protocol=SSL
      | ^
    hint: did you mean `security.protocol`?
    ");
}

/// These are found only after the bus was opened, which makes its files.
#[test]
fn an_api_that_cannot_be_opened() {
    let context = context();
    let serve = |more: &[&str]| context.run(&[&["alarm", "serve", "--config", "X"], more].concat());
    insta::assert_snapshot!(serve(&["--listen", "0.0.0.0:0"]), @r#"
    exit code: 3
    ----- stderr -----
    error: the control API on `0.0.0.0:0` needs a file with tokens, because it is not a loopback address
    hint: umask 077; echo "admin $USER $(head -c 24 /dev/urandom | base64)" > alarm-tokens
    "#);
    let tokens = context.write("tokens", "operator a b\n");
    let mode =
        |mode| std::fs::set_permissions(&tokens, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    insta::assert_snapshot!(serve(&["--token-file", "tokens"]), @r"
    exit code: 3
    ----- stderr -----
    error: `tokens` holds secrets, but its mode 644 lets others read it
    hint: chmod 600 tokens
    ");
    mode(0o600);
    insta::assert_snapshot!(serve(&["--token-file", "tokens"]), @r"
    exit code: 3
    ----- stderr -----
    error: `tokens`: line 1: the token has fewer than 16 characters
    ");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let report = serve(&["--listen", &address]).replace(&address, "[ADDRESS]");
    insta::assert_snapshot!(report, @r"
    exit code: 5
    ----- stderr -----
    error: failed to listen on `[ADDRESS]` for the control API
      cause: Address already in use (os error 98)
    hint: `--listen 127.0.0.1:0` lets the system choose a port
    ");
    insta::assert_snapshot!(context.run(&["alarm", "serve", "--config", "a b"]), @r"
    exit code: 2
    ----- stderr -----
    error: `a b` cannot be the name of a configuration: a topic cannot have that name
    hint: letters, digits, `.`, `_` and `-`
    ");
}

#[test]
fn brokers_that_do_not_answer() {
    let report = context().refuse(&["alarm", "serve", "--config", "X", "--kafka", "127.0.0.1:1"]);
    insta::assert_snapshot!(report, @r"
    exit code: 14
    ----- stderr -----
    error: Kafka at `127.0.0.1:1` cannot be used
      cause: connecting to Kafka `127.0.0.1:1`: 127.0.0.1:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused
    hint: nc -vz 127.0.0.1 1
    ");
}

#[test]
fn what_a_server_does_not_know() {
    let context = context();
    context.write(
        "alarms.yaml",
        "configuration: X\ngroups:\n  Area:\n    pvs:\n      first: {}\n",
    );
    context.succeed(&["alarm", "config", "apply", "alarms.yaml", "--yes"]);
    let mut server = Process::start(&mut context.command(&["alarm", "serve", "--config", "X"]));
    let address = server.line(&["control API: "]);
    let address = address.rsplit(' ').next().unwrap();
    server.line(&["ready:"]);
    insta::assert_snapshot!(context.run(&["alarm", "ack", "frist"]), @r"
    exit code: 4
    ----- stderr -----
    error: there is no item `frist`
    hint: did you mean `/X/Area/first`?
    ");
    insta::assert_snapshot!(context.run(&["alarm", "ls", "/X/Are"]), @r"
    exit code: 4
    ----- stderr -----
    error: there is no item `/X/Are`
    hint: did you mean `/X/Area`?
    ");
    insta::assert_snapshot!(context.run(&["alarm", "ls", "--severity", "BAD"]), @r"
    exit code: 2
    ----- stderr -----
    error: `BAD` is not a severity
    hint: such as MAJOR or MINOR_ACK
    ");
    let report = context.run(&["alarm", "serve", "--config", "X"]);
    assert!(report.starts_with("exit code: 5\n"), "{report}");
    let words = "error: an alarm server of `X` runs already: process ";
    assert!(report.contains(words), "{report}");

    // the file of a server that was killed is still there
    server.end(Signal::KILL);
    let report = context.run(&["alarm", "ls"]).replace(address, "[ADDRESS]");
    insta::assert_snapshot!(report, @r"
    exit code: 14
    ----- stderr -----
    error: no alarm server answers at `[ADDRESS]`
      cause: Connection refused (os error 111)
    hint: `[ROOT]/state/alarm-bus/servers/X.json` says that it is there; it was killed, or has not ended in order
    hint: `ioc alarm serve --config X` starts one
    ");
}
