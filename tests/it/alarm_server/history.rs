//! The alarm logger and the history beside a real server and a real IOC.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::bed::{Bed, PATIENCE, Process};
use crate::context::TestContext;

impl Bed {
    fn logger(&self, more: &[&str]) -> Process {
        let words = [&["alarm", "logger"], more].concat();
        let mut logger = Process::start(&mut self.context.command(&words));
        logger.line(&["alarm logger of"]);
        logger
    }

    /// The history, once it has so many entries of what is asked for.
    fn history(&self, more: &[&str], entries: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let words = [&["alarm", "log"], more].concat();
        loop {
            let found = self.context.json(&words);
            let found = found.as_array().unwrap();
            if found.len() >= entries {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "{found:?}");
            // asks again; the logger writes when it has read
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

fn field<'a>(entries: &'a [Value], name: &str) -> Vec<&'a str> {
    let texts = entries
        .iter()
        .map(|entry| entry[name].as_str().unwrap_or(""));
    texts.collect()
}

#[test]
fn the_story_of_an_alarm_is_found_again_though_the_logger_is_killed() {
    let Some(bed) = Bed::new(&["a"]) else {
        return;
    };
    let name = "Story";
    let more = ["--config", name];
    // before there is any topic
    let mut logger = bed.logger(&more);
    bed.configure(name, &["a"], &[]);
    let mut server = bed.serve(name, &[]);
    bed.put("a", "90");
    bed.until(&more, |_pv, severity| severity == "MAJOR");
    bed.history(&["--changes", "--severity", "MAJOR"], 1);
    logger.end(Signal::KILL);
    bed.context
        .succeed(&["alarm", "ack", "a", "--config", name]);
    bed.put("a", "20");
    bed.until(&more, |_pv, severity| severity == "OK");
    let mut logger = bed.logger(&more);
    let changes = bed.history(&["--changes", "--at", "/Story/Area"], 4);
    assert_eq!(
        field(&changes, "severity"),
        ["OK", "MAJOR", "MAJOR_ACK", "OK"]
    );
    assert_eq!(changes[1]["value"], "90.0");
    // who did it, though it came by the control API
    let commands = bed.history(&["--commands", "--pv", "a"], 1);
    assert_eq!(field(&commands, "user"), ["tester"]);
    assert_eq!(field(&commands, "command"), ["acknowledge"]);
    assert_ne!(field(&commands, "host"), [""]);
    let configured = bed.history(&["--configuration", "--pv", "a"], 1);
    assert_eq!(field(&configured, "user"), ["tester"]);
    // for people, and as a table
    let shown = bed.context.succeed(&["alarm", "log", "--pv", "a"]);
    for words in ["MAJOR_ACK", "HIHI_ALARM 90.0", "configured", "by tester"] {
        assert!(shown.contains(words), "no `{words}` in:\n{shown}");
    }
    let table = bed
        .context
        .succeed(&["alarm", "log", "--csv", "--severity", "major_ack"]);
    assert_eq!(table.lines().count(), 2, "{table}");
    let figures = bed.context.json(&["alarm", "stats", "--since", "1h"]);
    assert_eq!(
        (&figures["alarms"], &figures["acknowledgement"]["count"]),
        (&Value::from(1), &Value::from(1))
    );
    // as it happens
    let mut follow =
        Process::start(&mut bed.context.command(&["alarm", "log", "-f", "-o", "json"]));
    follow.line(&["MAJOR_ACK"]);
    bed.put("a", "60");
    follow.line(&["\"severity\":\"MINOR\""]);
    assert_eq!(follow.end(Signal::INT), Some(0));
    assert_eq!(server.end(Signal::TERM), Some(0));
    assert_eq!(logger.end(Signal::TERM), Some(0));
}

#[test]
fn one_process_can_be_server_and_logger_with_both_apis() {
    let Some(bed) = Bed::new(&["a"]) else {
        return;
    };
    bed.configure("Both", &["a"], &[]);
    let mut server = bed.serve("Both", &["--with-logger"]);
    bed.put("a", "90");
    bed.history(&["--severity", "MAJOR"], 1);
    let announced = fs_err::read_to_string(bed.announcement("Both")).unwrap();
    let announced: Value = serde_json::from_str(&announced).unwrap();
    let address = announced["api"].as_str().unwrap().replace("http://", "");
    for (path, words) in [
        (
            "/search/alarm?pv=a&severity=MAJOR",
            "\"severity\":\"MAJOR\"",
        ),
        ("/v1/history?pv=a&severity=MAJOR", "\"severity\":\"MAJOR\""),
        ("/v1/logger", "\"missed\":0"),
        ("/v1/server", "\"configuration\""),
    ] {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(words),
            "{path}: {answer}"
        );
    }
    assert_eq!(server.end(Signal::TERM), Some(0));
}

#[test]
fn two_loggers_on_one_spool_and_other_mistakes() {
    let context = TestContext::new();
    let said = context.refuse(&["alarm", "log"]);
    assert!(said.contains("there is no `"), "{said}");
    assert!(said.contains("`ioc alarm logger` makes it"), "{said}");
    for (sink, words) in [
        (
            "alarms.db",
            "`alarms.db` does not say which kind of sink it is",
        ),
        ("mysql:x", "`mysql` is no kind of sink"),
    ] {
        let said = context.refuse(&["alarm", "logger", "--config", "X", "--sink", sink]);
        assert!(said.contains(words), "{said}");
    }
    context.write(
        "notes.txt",
        "a file that is something else, and longer than a header",
    );
    let said = context.refuse(&[
        "alarm",
        "logger",
        "--config",
        "X",
        "--sink",
        "sqlite:notes.txt",
    ]);
    assert!(said.contains("is no SQLite database"), "{said}");
    let words = ["alarm", "logger", "--config", "X"];
    let mut first = Process::start(&mut context.command(&words));
    first.line(&["alarm logger of `X`"]);
    // the first one is at work meanwhile
    let said = context.run(&words);
    assert!(said.starts_with("exit code: 5\n"), "{said}");
    assert!(
        said.contains("is in use by another logger, process "),
        "{said}"
    );
    assert_eq!(first.end(Signal::TERM), Some(0));
}

#[test]
fn old_histories_are_imported_and_a_copy_is_made() {
    let context = TestContext::new();
    context.write(
        "old.json",
        r#"{"_index":"accelerator_alarms_cmd_2026-11-01","_id":"a","_source":{"message_time":"2026-11-22 05:09:06.737","host":"labhost","config":"command:/Accelerator/A/t:ai1","user":"tester","command":"acknowledge"}}
{"_index":"accelerator_alarms_state_2026-11-01","_id":"b","_source":{"severity":"MAJOR","message_time":"2026-11-22 05:10:20.605","current_severity":"MAJOR","pv":"t:ai1","time":"2026-11-22 05:08:48.955","config":"state:/Accelerator/A/t:ai1"}}
"#,
    );
    context.succeed(&["alarm", "log", "import", "old.json"]);
    context.succeed(&["alarm", "log", "import", "old.json"]);
    let found = context.json(&["alarm", "log"]);
    assert_eq!(
        field(found.as_array().unwrap(), "kind"),
        ["command", "state"]
    );
    context.succeed(&["alarm", "log", "backup", "copy.db"]);
    let copied = context.json(&["alarm", "log", "--from", "sqlite:copy.db"]);
    assert_eq!(copied, found);
    context.write("wrong.json", "nothing\n");
    let said = context.refuse(&["alarm", "log", "import", "wrong.json"]);
    assert!(
        said.contains("this is neither an entry nor an exported document"),
        "{said}"
    );
}
