//! Logs of one and of several instances.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::beamline::Beamline;

/// A command that goes on, and its lines.
struct Following {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Following {
    fn start(beamline: &Beamline, arguments: &[&str]) -> Self {
        let mut child = beamline
            .command(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    fn expect(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while let Ok(line) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            let found = line.contains(text);
            self.seen.push(line);
            if found {
                return;
            }
        }
        panic!("no line with `{text}` in {:#?}", self.seen);
    }

    /// Ctrl-C, and how it ended.
    fn interrupt(&mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn lines_of_several_instances_tell_whose_they_are() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let stage = beamline.deployed("ea-ioc-01");
    let motor = beamline.deployed("mo-ioc-01");
    let both = beamline.succeed(&["logs", &stage, &motor]);
    for instance in [&stage, &motor] {
        assert!(
            both.lines()
                .any(|line| line.starts_with(&format!("{instance} | "))),
            "{both}"
        );
    }
    assert!(
        both.lines().all(|line| line.contains("-ioc-01 | ")),
        "{both}"
    );
    let one = beamline.succeed(&["logs", &stage]);
    assert!(
        one.contains("iocRun: All initialization complete") && !one.contains(" | "),
        "{one}"
    );
}

#[test]
fn lines_are_chosen_by_number_time_and_pattern() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let all = beamline.succeed(&["logs", &instance]);
    let tail = beamline.succeed(&["logs", "--tail", "2", &instance]);
    assert_eq!(tail.lines().count(), 2, "{tail}");
    assert!(all.ends_with(&tail), "{tail}\nis not the end of\n{all}");

    let matching = beamline.succeed(&["logs", "--grep", "^dbLoadRecords", &instance]);
    let wanted: Vec<&str> = all
        .lines()
        .filter(|line| line.starts_with("dbLoadRecords"))
        .collect();
    assert!(!wanted.is_empty(), "{all}");
    assert_eq!(matching.lines().collect::<Vec<_>>(), wanted);

    let stamped = beamline.succeed(&["logs", "--timestamps", "--tail", "3", &instance]);
    for line in stamped.lines() {
        let time = line.split(' ').next().unwrap();
        let time: jiff::Timestamp = time
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {line}"));
        let age = jiff::Timestamp::now().duration_since(time);
        assert!((0..600).contains(&age.as_secs()), "{line}");
    }
    assert_eq!(beamline.succeed(&["logs", "--since", "1h", &instance]), all);
    let future = (jiff::Timestamp::now() + Duration::from_hours(1)).to_string();
    assert_eq!(
        beamline.succeed(&["logs", "--since", &future, &instance]),
        ""
    );

    let lines = beamline.succeed(&["-o", "json", "logs", "--tail", "1", &instance]);
    let line: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(line["instance"], instance.as_str());
}

#[test]
fn following_goes_on_through_a_restart_and_ends_with_ctrl_c() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let stage = beamline.deployed("ea-ioc-01");
    let motor = beamline.deployed("mo-ioc-01");
    let mut following = Following::start(&beamline, &["logs", "-f", "--tail", "1", &stage, &motor]);
    following.expect(&motor);
    beamline.succeed(&["restart", &stage, "--yes"]);
    following.expect("iocRun: All initialization complete");
    assert!(
        following.seen.last().unwrap().starts_with(&stage),
        "{:#?}",
        following.seen
    );
    // and through a new version, which is another container
    beamline.append(
        &beamline.file(&stage, "config/st.cmd"),
        "echo a new version\n",
    );
    beamline.succeed(&["deploy", &stage, "--yes"]);
    following.expect("a new version");
    assert_eq!(following.interrupt(), Some(0));
}

#[test]
fn what_was_said_before_the_last_restart() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    beamline.append(
        &beamline.file(&instance, "config/st.cmd"),
        "epicsEnvSet(\"ONCE\", \"first life\")\n",
    );
    beamline.succeed(&["deploy", &instance, "--yes"]);
    beamline.succeed(&[
        "exec",
        &instance,
        "--",
        "sh",
        "-c",
        "echo last words >/proc/1/fd/1; kill -9 $(pidof ioc)",
    ]);
    Beamline::until("started again", || beamline.row(&instance)["restarts"] == 1);
    Beamline::get(&instance, "UPTIME");
    let before = beamline.succeed(&["logs", "--previous", &instance]);
    assert!(before.contains("last words"), "{before}");
    assert_eq!(
        before
            .matches("iocRun: All initialization complete")
            .count(),
        1,
        "{before}"
    );
    let now = beamline.succeed(&["logs", "--tail", "5", &instance]);
    assert!(!now.contains("last words"), "{now}");
}
