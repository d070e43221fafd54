//! Attaching to the IOC shell, as a script and as a person at a terminal.

use std::process::Stdio;
use std::time::Duration;

use crate::beamline::Beamline;
use crate::terminal::{CTRL_C, CTRL_D, LEAVE, Terminal};

/// `ioc attach` with lines on its standard input.
fn typed(beamline: &Beamline, instance: &str, lines: &str) -> String {
    let script = beamline.root().join("script");
    std::fs::write(&script, lines).unwrap();
    let output = beamline
        .command(&["attach", "--tail", "0", instance])
        .stdin(std::fs::File::open(&script).unwrap())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    beamline.report(&output)
}

#[test]
fn a_script_types_and_prints_the_answers() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let setpoint = Beamline::pv(&instance, "STAGE:SP");
    let report = typed(
        &beamline,
        &instance,
        &format!("dbpf {setpoint} 12.5\ndbgf {setpoint}\n"),
    );
    assert!(report.starts_with("exit code: 0\n"), "{report}");
    assert!(
        report.contains("DBF_DOUBLE:") && report.contains("12.5"),
        "{report}"
    );
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "12.5");

    // a script cannot end the IOC
    let report = typed(&beamline, &instance, "exit\n");
    assert!(report.starts_with("exit code: 2\n"), "{report}");
    Beamline::get(&instance, "UPTIME");
    assert_eq!(beamline.row(&instance)["restarts"], 0);
}

#[test]
fn keys_that_would_end_the_ioc_are_held_back() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let mut terminal = Terminal::run(&beamline.command(&["attach", &instance]));
    // the last lines come first, then how to leave
    terminal.expect("iocInit");
    terminal.expect("leave with Ctrl-]");
    terminal.press("dbl\r");
    terminal.expect(&Beamline::pv(&instance, "UPTIME"));
    terminal.press(CTRL_C);
    terminal.expect("held back");
    terminal.press(CTRL_D);
    terminal.expect("held back");
    terminal.press("exit\r");
    terminal.expect("ends the IOC");
    terminal.press("n");
    terminal.expect("not sent");
    terminal.press("dbgf ");
    terminal.press(&Beamline::pv(&instance, "UPTIME"));
    terminal.press("\r");
    terminal.expect("DBF_");
    terminal.press(LEAVE);
    terminal.expect("the IOC goes on");
    let (status, last) = terminal.end();
    assert_eq!(status.code(), Some(0), "{last}");
    assert_eq!(beamline.row(&instance)["restarts"], 0);
}

#[test]
fn a_transcript_keeps_what_person_and_script_saw() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let file = beamline.root().join("transcript.txt");
    let path = file.display().to_string();
    let mut terminal =
        Terminal::run(&beamline.command(&["attach", &instance, "--transcript", &path]));
    terminal.expect("leave with Ctrl-]");
    // a letter too much, taken back with the key for it
    terminal.press("dblx\u{7f}\r");
    terminal.expect(&Beamline::pv(&instance, "UPTIME"));
    terminal.press(LEAVE);
    terminal.expect("the IOC goes on");
    terminal.end();
    let kept = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = kept
        .lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert!(
        lines[0].ends_with(&format!(" attached to {instance}")),
        "{kept}"
    );
    assert!(
        lines.iter().any(|line| line.trim_end().ends_with("> dbl")),
        "{kept}"
    );
    assert!(
        lines.contains(&Beamline::pv(&instance, "UPTIME").as_str()),
        "{kept}"
    );
    assert_eq!(*lines.last().unwrap(), "--- left the console", "{kept}");

    let nowhere = beamline.run(&["attach", &instance, "--transcript", "/proc/none/x"]);
    assert!(
        nowhere.starts_with("exit code: 2") && nowhere.contains("/proc/none/x"),
        "{nowhere}"
    );
}

#[test]
fn a_container_beside_the_ioc_sees_its_processes_and_volumes() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let inside = |options: &[&str]| {
        let command = ["--", "sh", "-c", "cat /proc/1/comm; id -u; ls /autosave"];
        beamline.succeed(&[&["exec", &instance], options, &command[..]].concat())
    };
    let developer = "localhost/ioc-sim-developer:it";
    assert_eq!(inside(&["--debug-image", developer]), inside(&[]));
    let beside = |image: &str, script: &str| {
        let command = ["--debug-image", image, "--", "sh", "-c", script];
        beamline.run(&[&["exec", &instance], &command[..]].concat())
    };
    // what only that image has
    let compiler = beside(developer, "command -v g++");
    assert!(compiler.starts_with("exit code: 0\n"), "{compiler}");
    let code = beside(developer, "exit 7");
    assert!(code.starts_with("exit code: 7\n"), "{code}");
    let missing = beside("none:1", "true");
    assert!(
        missing.starts_with("exit code: 4\n") && missing.contains("`none:1`"),
        "{missing}"
    );
    assert_eq!(beamline.row(&instance)["restarts"], 0);
}

#[test]
fn exit_with_a_yes_ends_the_ioc_and_it_is_started_again() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let mut terminal = Terminal::run(&beamline.command(&["attach", &instance]));
    terminal.expect("leave with Ctrl-]");
    terminal.press("exit\r");
    terminal.expect("ends the IOC");
    terminal.press("y");
    let (status, last) = terminal.end();
    assert_eq!(status.code(), Some(0), "{last}");
    Beamline::until("started again", || beamline.row(&instance)["restarts"] == 1);
    Beamline::get(&instance, "UPTIME");
}

#[test]
fn two_people_see_the_same_and_one_who_only_looks_types_nothing() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let setpoint = Beamline::pv(&instance, "STAGE:SP");
    let mut first = Terminal::run(&beamline.command(&["attach", &instance]));
    first.expect("leave with Ctrl-]");
    let mut second = Terminal::run(&beamline.command(&["attach", &instance]));
    second.expect("leave with Ctrl-]");
    let mut looking = Terminal::run(&beamline.command(&["attach", "--read-only", &instance]));
    looking.expect("looking only");

    // The console program inside joins a little later than it is started.
    let mut seen = String::new();
    Beamline::until("all are joined", || {
        first.press("epicsThreadSleep 0\r");
        seen.push_str(&looking.look(Duration::from_millis(300)));
        seen.contains("epicsThreadSleep 0")
    });
    first.press(&format!("dbpf {setpoint} 21\r"));
    for terminal in [&mut first, &mut second, &mut looking] {
        terminal.expect("DBF_DOUBLE:");
    }
    second.press(&format!("dbpf {setpoint} 22\r"));
    for terminal in [&mut first, &mut second, &mut looking] {
        terminal.expect("DBF_DOUBLE:");
    }
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "22");
    looking.press(&format!("dbpf {setpoint} 23\r"));
    looking.expect("nothing that is typed reaches the IOC");
    // The first one's next command is answered after whatever the third one could have sent.
    first.press(&format!("dbgf {setpoint}\r"));
    first.expect("DBF_DOUBLE:");
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "22");

    // one leaves, the others stay
    first.press(LEAVE);
    assert_eq!(first.end().0.code(), Some(0));
    second.press(&format!("dbpf {setpoint} 24\r"));
    looking.expect("24");
    second.press(LEAVE);
    looking.press(LEAVE);
    assert_eq!(second.end().0.code(), Some(0));
    assert_eq!(looking.end().0.code(), Some(0));
}

#[test]
fn the_size_of_the_window_reaches_the_container() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let mut terminal = Terminal::run(&beamline.command(&["exec", &instance, "--", "sh"]));
    terminal.press("stty size\r");
    terminal.expect("24 80");
    terminal.resize(111, 33);
    // The new size travels through two programs: ask until it has arrived.
    let mut shown = String::new();
    for _ in 0..50 {
        terminal.press("stty size\r");
        shown.push_str(&terminal.look(Duration::from_millis(200)));
        if shown.contains("33 111") {
            break;
        }
    }
    assert!(shown.contains("33 111"), "{shown}");
    terminal.press("exit 7\r");
    assert_eq!(terminal.end().0.code(), Some(7));
}

#[test]
fn attaching_to_an_ioc_that_was_stopped() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    beamline.succeed(&["stop", &instance, "--yes"]);
    insta::assert_snapshot!(beamline.refuse(&["attach", &instance]), @"
    exit code: 9
    ----- stderr -----
    error: `beamline-ea-ioc-01` does not run
    hint: `ioc logs beamline-ea-ioc-01` shows its last words, `ioc start beamline-ea-ioc-01` starts it
    ");
    insta::assert_snapshot!(beamline.refuse(&["exec", &instance, "--", "true"]), @"
    exit code: 9
    ----- stderr -----
    error: `beamline-ea-ioc-01` does not run, so nothing can be run inside it
    hint: `ioc logs beamline-ea-ioc-01` shows why, `ioc start beamline-ea-ioc-01` starts it
    ");
}
