//! A person at a terminal: a program behind a pseudo-terminal, what it shows, and keys for it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Ctrl-C.
pub(crate) const CTRL_C: &str = "\x03";
/// Ctrl-D.
pub(crate) const CTRL_D: &str = "\x04";
/// Ctrl-], which leaves the console.
pub(crate) const LEAVE: &str = "\x1d";

/// How long something may take to appear on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with one program on it.
pub(crate) struct Terminal {
    keys: File,
    child: Child,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not yet looked at.
    shown: String,
}

impl Terminal {
    /// Runs a command on a terminal of 24 lines and 80 columns.
    pub(crate) fn run(command: &Command) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = File::from(rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap());
        let keys = File::from(master);
        // setsid makes the terminal the controlling one, so that keys become signals and sizes are told.
        let mut on_terminal = Command::new("setsid");
        on_terminal
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(command.get_current_dir().unwrap())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .env("TERM", "xterm")
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .stderr(Stdio::from(slave));
        let mut output = keys.try_clone().unwrap();
        let mut terminal = {
            let (sender, screen) = channel();
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                // At the end of the program Linux answers with an error instead of an end.
                while let Ok(count @ 1..) = output.read(&mut piece) {
                    if sender.send(piece[..count].to_vec()).is_err() {
                        break;
                    }
                }
            });
            Self {
                keys,
                child: on_terminal.spawn().unwrap(),
                screen,
                shown: String::new(),
            }
        };
        // The parent's copies of the terminal would keep it open after the program has ended.
        drop(on_terminal);
        terminal.resize(80, 24);
        terminal
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Changes the size of the window.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.keys, size).unwrap();
    }

    /// Waits until `text` is shown and gives everything up to its end; what follows is kept for the next look.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let begin = Instant::now();
        loop {
            if let Some(at) = self.shown.find(text) {
                let rest = self.shown.split_off(at + text.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let left = PATIENCE.saturating_sub(begin.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("`{text}` was not shown, but:\n{}", self.shown)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!(
                        "the program ended before `{text}` was shown, but:\n{}",
                        self.shown
                    )
                }
            }
        }
    }

    /// What is shown within a time, for what must not be shown.
    pub(crate) fn look(&mut self, time: Duration) -> String {
        let end = Instant::now() + time;
        while let Ok(piece) = self
            .screen
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            self.shown.push_str(&String::from_utf8_lossy(&piece));
        }
        std::mem::take(&mut self.shown)
    }

    /// Waits for the end of the program and gives its exit status and what was shown last.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "the program did not end:\n{}",
                self.look(Duration::ZERO)
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        let last = self.look(Duration::from_millis(200));
        (status, last)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed leaves its program behind otherwise; one that has ended is no error.
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}
