//! A container engine that is not there or refuses.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use crate::context::TestContext;

#[test]
fn no_socket() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["attach", "t02-ea-ioc-01"]), @"
    exit code: 6
    ----- stderr -----
    error: the container engine at `unix://[ROOT]/no-engine.sock` cannot be reached
      cause: No such file or directory (os error 2)
    hint: there is no such socket: start the engine, or name another with `--engine`
    ");
}

#[test]
fn a_socket_that_nobody_listens_on() {
    let context = TestContext::with_beamline();
    drop(UnixListener::bind(context.root().join("no-engine.sock")).unwrap());
    insta::assert_snapshot!(context.refuse(&["logs", "t02-ea-ioc-01"]), @"
    exit code: 6
    ----- stderr -----
    error: the container engine at `unix://[ROOT]/no-engine.sock` cannot be reached
      cause: Connection refused (os error 111)
    hint: start the engine (`systemctl start docker`), or name another with `--engine`
    ");
}

#[test]
fn a_socket_that_something_else_listens_on() {
    let context = TestContext::with_beamline();
    let listener = UnixListener::bind(context.root().join("no-engine.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|count| count > 0) {
                stream.write_all(b"220 mail.example.org ESMTP\r\n").ok();
            }
        }
    });
    insta::assert_snapshot!(context.refuse(&["logs", "t02-ea-ioc-01"]), @"
    exit code: 6
    ----- stderr -----
    error: the container engine at `unix://[ROOT]/no-engine.sock` does not answer
      cause: invalid HTTP version parsed
    hint: is it running? `--engine`, `DOCKER_HOST` and `ioc.toml` say which one is used
    ");
}

#[test]
fn a_url_of_another_kind() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(
        context.refuse(&["--engine", "ssh://beamline-server", "logs", "t02-ea-ioc-01"]), @"
    exit code: 6
    ----- stderr -----
    error: `ssh://beamline-server` is not the URL of a container engine
    hint: write it as `unix:///path/to.sock` or `tcp://host:port`
    ");
}

#[test]
fn a_port_that_nobody_listens_on() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(
        context.refuse(&["--engine", "tcp://127.0.0.1:1", "exec", "t02-ea-ioc-01", "--", "true"]), @"
    exit code: 6
    ----- stderr -----
    error: the container engine at `tcp://127.0.0.1:1` does not answer
      cause: Connection refused (os error 111)
    hint: is it running? `--engine`, `DOCKER_HOST` and `ioc.toml` say which one is used
    ");
}

#[test]
fn the_error_for_programs() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["-o", "json", "attach", "t02-ea-ioc-01"]), @r#"
    exit code: 6
    ----- stderr -----
    {
      "error": {
        "causes": [
          "No such file or directory (os error 2)"
        ],
        "diagnostics": [],
        "exit_code": 6,
        "hints": [
          "there is no such socket: start the engine, or name another with `--engine`"
        ],
        "kind": "engine",
        "message": "the container engine at `unix://[ROOT]/no-engine.sock` cannot be reached"
      }
    }
    "#);
}

#[test]
fn a_socket_that_one_may_not_use() {
    use std::os::unix::fs::PermissionsExt;
    let context = TestContext::with_beamline();
    let socket = context.root().join("no-engine.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root may use everything: without its capabilities it is a user like others.
    let ioc = context.command(&["logs", "t02-ea-ioc-01"]);
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--inh-caps=-all", "--bounding-set=-all", "--"]);
        command.arg(ioc.get_program());
        command
    } else {
        std::process::Command::new(ioc.get_program())
    };
    command
        .args(ioc.get_args())
        .current_dir(context.project())
        .env_clear()
        .envs(
            ioc.get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        );
    insta::assert_snapshot!(context.report(&command.output().unwrap()), @"
    exit code: 6
    ----- stderr -----
    error: the container engine at `unix://[ROOT]/no-engine.sock` cannot be reached
      cause: Permission denied (os error 13)
    hint: you may not use this socket: join its group (`usermod -aG docker $USER`, then log in again), use sudo, or use your own rootless Podman
    ");
}
