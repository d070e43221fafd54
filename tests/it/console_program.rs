//! The console program of the images (`generic-iocs/scripts/ioc-console.c`), compiled here and run with a shell
//! script in the place of an IOC.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::context::repository;

/// Answers each line that is typed, and ends on `exit` with status 7.
const SHELL: &str = r#"stty -echo; echo started; while read -r line; do
    [ "$line" = exit ] && { echo "orderly end"; exit 7; }
    echo "got $line"
done"#;

/// Longest wait for anything that is expected.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program, compiled once; `console` is the same under its other name.
fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let compiled = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(folder.path().join("ioc-console"))
            .arg(repository().join("generic-iocs/scripts/ioc-console.c"))
            .output()
            .unwrap();
        assert!(
            compiled.status.success(),
            "{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        std::os::unix::fs::symlink("ioc-console", folder.path().join("console")).unwrap();
        folder
    });
    folder.path().join(name)
}

/// A running console with a script instead of an IOC.
struct Console {
    folder: TempDir,
    process: Child,
}

impl Console {
    fn start(script: &str) -> Self {
        Self::start_with(script, "20")
    }

    /// `grace` is how many seconds the script has to end by itself.
    fn start_with(script: &str, grace: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new(program("ioc-console"))
            .args(["--", "bash", "-c", script])
            .env("IOC_CONSOLE_SOCKET", folder.path().join("console.sock"))
            .env("IOC_CONSOLE_GRACE", grace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { folder, process }
    }

    /// Joins, asking for the last `lines` lines.
    fn join(&self, read_only: bool, lines: u8) -> Client {
        let path = self.folder.path().join("console.sock");
        let until = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            std::thread::yield_now();
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client {
            stream,
            seen: String::new(),
        };
        client.frame(b'H', &[u8::from(read_only), 0, lines]);
        client
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    fn end(self) -> Output {
        self.process.wait_with_output().unwrap()
    }
}

struct Client {
    stream: UnixStream,
    seen: String,
}

impl Client {
    fn frame(&mut self, kind: u8, content: &[u8]) {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        self.stream
            .write_all(&[&[kind], &length[..], content].concat())
            .unwrap();
    }

    fn type_text(&mut self, text: &str) {
        self.frame(b'I', text.as_bytes());
    }

    /// Reads until the text was seen; fails if the connection ends or stays silent before that.
    fn expect(&mut self, text: &str) {
        let mut piece = [0; 4096];
        while !self.seen.contains(text) {
            let size = self.stream.read(&mut piece).unwrap();
            assert!(size > 0, "ended before `{text}` after:\n{}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&piece[..size]));
        }
    }
}

#[test]
fn everybody_sees_and_types_in_one_terminal() {
    let console = Console::start(SHELL);
    let mut first = console.join(false, 20);
    first.expect("started");
    first.type_text("one\r");
    first.expect("got one");
    let mut second = console.join(false, 1);
    second.expect("got one");
    assert!(
        !second.seen.contains("started"),
        "only the last line was asked for: {}",
        second.seen
    );
    second.type_text("two\r");
    first.expect("got two");
    second.expect("got two");
    second.type_text("exit\r");
    first.expect("orderly end");
    let output = console.end();
    assert_eq!(
        output.status.code(),
        Some(7),
        "the IOC's status is the container's"
    );
    // the log has what the IOC printed, with line feeds only
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "started\ngot one\ngot two\norderly end\nioc-console: the IOC ended with exit code 7\n"
    );
}

#[test]
fn whoever_only_looks_types_nothing() {
    let console = Console::start(SHELL);
    let mut onlooker = console.join(true, 20);
    onlooker.expect("started");
    onlooker.type_text("exit\r");
    let mut other = console.join(false, 0);
    other.type_text("still here\r");
    onlooker.expect("got still here");
    other.type_text("exit\r");
    onlooker.expect("orderly end");
    assert_eq!(console.end().status.code(), Some(7));
}

#[test]
fn a_request_to_stop_becomes_a_typed_exit() {
    let console = Console::start(SHELL);
    let mut client = console.join(false, 20);
    client.expect("started");
    client.type_text("half a comm");
    console.signal("TERM");
    client.expect("orderly end");
    assert_eq!(console.end().status.code(), Some(7));
}

#[test]
fn an_ioc_that_does_not_listen_is_ended() {
    for (trap, code) in [("", 128 + 15), ("trap '' TERM;", 128 + 9)] {
        let console = Console::start_with(
            &format!("{trap} echo started; while :; do sleep 1000; done"),
            "0.3",
        );
        console.join(false, 20).expect("started");
        console.signal("TERM");
        assert_eq!(console.end().status.code(), Some(code), "{trap}");
    }
}

#[test]
fn the_window_of_a_client_is_the_windows_size() {
    let console = Console::start("echo started; read -r line; stty size");
    let mut client = console.join(false, 20);
    client.expect("started");
    client.frame(b'W', &[0, 40, 0, 132]);
    client.type_text("go\r");
    client.expect("40 132");
    assert_eq!(console.end().status.code(), Some(0));
}

#[test]
fn many_lines_all_reach_the_log() {
    let console = Console::start("seq 1 200000");
    let output = console.end();
    let log = String::from_utf8(output.stdout).unwrap();
    // and the line about the end
    assert_eq!(log.lines().count(), 200_001);
    assert!(log.ends_with("\n200000\nioc-console: the IOC ended with exit code 0\n"));
}

#[test]
fn nonsense_on_the_socket_harms_nobody() {
    let console = Console::start(SHELL);
    let mut client = console.join(false, 20);
    client.expect("started");
    for nonsense in [
        &b"\xff\xff\xff"[..],
        b"",
        b"H",
        b"I\0\x05ab",
        b"W\0\x01a",
        b"Z\0\0I\0\x03abc",
    ] {
        let mut stream = UnixStream::connect(console.folder.path().join("console.sock")).unwrap();
        stream.write_all(nonsense).unwrap();
    }
    // more than it keeps: whoever was silent longest goes
    let crowd: Vec<Client> = (0..20).map(|_| console.join(false, 0)).collect();
    let mut last = console.join(false, 20);
    last.type_text("hello\r");
    last.expect("got hello");
    assert!(
        !last.seen.contains("abc"),
        "typed before saying hello: {}",
        last.seen
    );
    drop(crowd);
    last.type_text("exit\r");
    assert_eq!(console.end().status.code(), Some(7));
}

#[test]
fn the_client_program_carries_a_conversation() {
    let console = Console::start(SHELL);
    console.join(false, 20).expect("started");
    let client = |arguments: &[&str], typed: &str| {
        let mut client = Command::new(program("console"))
            .args(arguments)
            .env(
                "IOC_CONSOLE_SOCKET",
                console.folder.path().join("console.sock"),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = client.stdin.take().unwrap();
        stdin.write_all(typed.as_bytes()).unwrap();
        // the key that leaves; what came before it is delivered
        stdin.write_all(b"\x1d").unwrap();
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let mut witness = console.join(true, 0);
    assert_eq!(client(&["--plain"], "plain\r"), "");
    witness.expect("got plain");
    let told = client(&["--last", "1"], "\x03held\r");
    assert!(told.contains("Ctrl-C and Ctrl-D are held back"), "{told}");
    assert!(told.contains("left; the IOC goes on"), "{told}");
    witness.expect("got held");
    console.signal("TERM");
    witness.expect("orderly end");
    assert_eq!(console.end().status.code(), Some(7));
    let alone = Command::new(program("console"))
        .env("IOC_CONSOLE_SOCKET", "/nonexistent/console.sock")
        .output()
        .unwrap();
    assert_eq!(alone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&alone.stderr).contains("no IOC console in this container"));
}
