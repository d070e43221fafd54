//! Clusters that cannot be reached, and kubeconfig files with mistakes.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::context::TestContext;

/// A kubeconfig with the context `site` for a server and the fields of its user.
fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: site\n\
         clusters:\n- name: c\n  cluster: {{server: \"{server}\"}}\n\
         contexts:\n- name: site\n  context: {{cluster: c, user: anna, namespace: t02}}\n\
         users:\n- name: anna\n  user: {user}\n"
    )
}

fn with(text: &str) -> TestContext {
    let context = TestContext::new();
    let path = context.root().join("kubeconfig");
    std::fs::write(&path, text).unwrap();
    context.env("KUBECONFIG", path.display().to_string())
}

pub(super) const HISTORY: &[&str] = &["history", "t02-ea-ioc-01", "-n", "t02"];

/// Answers every request with `status` and a body.
fn server(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|count| count > 0) {
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).ok();
            }
        }
    });
    format!("http://{address}")
}

#[test]
fn no_kubeconfig_at_all() {
    let context = TestContext::new();
    insta::assert_snapshot!(context.refuse(HISTORY), @"
    exit code: 4
    ----- stderr -----
    error: there is no kubeconfig: `[ROOT]/home/.kube/config` does not exist
    hint: `--kubeconfig FILE` or `KUBECONFIG` names the file that your cluster's administrators gave you
    ");
}

#[test]
fn a_kubeconfig_that_is_named_and_missing() {
    let context = TestContext::new();
    insta::assert_snapshot!(context.refuse(&[HISTORY, &["--kubeconfig", "absent.yaml"]].concat()), @"
    exit code: 4
    ----- stderr -----
    error: there is no file `absent.yaml`
    hint: `--kubeconfig` says that this file is the kubeconfig
    ");
}

#[test]
fn a_file_that_is_no_kubeconfig_is_not_printed() {
    let context = with("users:\n- name: anna\n  user: {token: geheim, token: [}\n");
    let report = context.refuse(HISTORY);
    assert!(!report.contains("geheim"), "{report}");
    insta::assert_snapshot!(report, @"
    exit code: 3
    ----- stderr -----
    error: `[ROOT]/kubeconfig` is not a kubeconfig
      cause: line 3, column 25: duplicate mapping key: token
    ");
}

#[test]
fn a_context_that_is_misspelt() {
    let context = with(&kubeconfig("https://127.0.0.1:1", "{token: geheim}"));
    insta::assert_snapshot!(context.refuse(&[HISTORY, &["--context", "sites"]].concat()), @"
    exit code: 4
    ----- stderr -----
    error: the kubeconfig has no context `sites`
    hint: did you mean `site`?
    ");
}

#[test]
fn a_context_whose_cluster_is_missing() {
    let text =
        kubeconfig("https://127.0.0.1:1", "{token: geheim}").replace("- name: c\n", "- name: d\n");
    insta::assert_snapshot!(with(&text).refuse(HISTORY), @"
    exit code: 3
    ----- stderr -----
    error: context `site` names the cluster `c`, which the kubeconfig does not have
      cause: failed to load the cluster of context: c
    ");
}

#[test]
fn an_api_server_that_is_not_there() {
    let context = with(&kubeconfig("https://127.0.0.1:1", "{token: geheim}"));
    insta::assert_snapshot!(context.refuse(HISTORY), @"
    exit code: 12
    ----- stderr -----
    error: the Kubernetes API at https://127.0.0.1:1 cannot be reached to ask for its version
      cause: Connection refused (os error 111)
    hint: context `site` of the kubeconfig leads to https://127.0.0.1:1; `--context` names another
    ");
}

/// Verbs that begin in different ways; all of them at once, because each waits.
#[test]
fn an_api_server_that_takes_connections_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let context = with(&kubeconfig(&address, "{token: geheim}")).shown_as(address, "[SERVER]");
    let verbs: [&[&str]; 4] = [
        HISTORY,
        &["ps", "-w", "-n", "t02"],
        &["logs", "-f", "t02-ea-ioc-01", "-n", "t02"],
        &["delete", "t02-ea-ioc-01", "-n", "t02", "--yes"],
    ];
    let begin = std::time::Instant::now();
    std::thread::scope(|scope| {
        let asked = verbs.map(|verb| scope.spawn(|| context.refuse(verb)));
        for report in asked.map(|thread| thread.join().unwrap()) {
            insta::allow_duplicates! {
                insta::assert_snapshot!(report, @"
                exit code: 12
                ----- stderr -----
                error: the Kubernetes API at [SERVER] cannot be reached to ask for its version
                  cause: it gave no answer in time
                hint: context `site` of the kubeconfig leads to [SERVER]; `--context` names another
                ");
            }
        }
    });
    assert!(begin.elapsed() < std::time::Duration::from_mins(1));
}

#[test]
fn an_address_where_something_else_answers() {
    let address = server("200 OK", "<html>");
    let context = with(&kubeconfig(&address, "{token: geheim}")).shown_as(address, "[SERVER]");
    insta::assert_snapshot!(context.refuse(HISTORY), @"
    exit code: 12
    ----- stderr -----
    error: failed to ask for its version: [SERVER] does not answer like a Kubernetes API
      cause: expected value at line 1 column 1
    hint: context `site` of the kubeconfig leads to [SERVER]; `--context` names another
    ");
}

#[test]
fn a_token_that_has_expired() {
    const BODY: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
    let address = server("401 Unauthorized", BODY);
    // {"exp":1700000000}
    let user = "{token: e30.eyJleHAiOjE3MDAwMDAwMDB9.sig}";
    let context = with(&kubeconfig(&address, user)).shown_as(address, "[SERVER]");
    insta::assert_snapshot!(context.refuse(HISTORY), @"
    exit code: 13
    ----- stderr -----
    error: [SERVER] does not accept the credentials of user `anna` in the kubeconfig
      cause: the token expired on 2023-11-14 22:13:20 UTC
    hint: get a new kubeconfig from your cluster's administrators, or log in again with the tool of your site
    ");
}

#[test]
fn a_credential_plugin_that_fails() {
    let user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, \"echo 'no ticket, run kinit' >&2; exit 3\"], interactiveMode: IfAvailable}}";
    let context = with(&kubeconfig("https://127.0.0.1:1", user));
    insta::assert_snapshot!(context.refuse(HISTORY), @"
    exit code: 13
    ----- stderr -----
    error: `sh`, which gives the credentials of user `anna`, failed
      cause: exit status: 3
             no ticket, run kinit
    hint: run `sh` by hand to see what is wrong
    ");
}

#[test]
fn a_credential_plugin_that_is_not_installed() {
    let user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: site-login, installHint: install it with the site tools, interactiveMode: IfAvailable}}";
    let context = with(&kubeconfig("https://127.0.0.1:1", user));
    insta::assert_snapshot!(context.refuse(HISTORY), @"
    exit code: 4
    ----- stderr -----
    error: `site-login`, which gives the credentials of user `anna`, is not installed
    hint: install it with the site tools
    ");
}

#[test]
fn a_credential_plugin_that_prints_something_else() {
    let user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: echo, args: [geheim], interactiveMode: Never}}";
    let report = with(&kubeconfig("https://127.0.0.1:1", user)).refuse(HISTORY);
    assert!(!report.contains("geheim"), "{report}");
    insta::assert_snapshot!(report, @"
    exit code: 13
    ----- stderr -----
    error: `echo`, which gives the credentials of user `anna`, did not print any
      cause: expected an `ExecCredential` with `status.token` or a certificate on standard output
    hint: run `echo` by hand to see what is wrong
    ");
}

#[test]
fn a_release_name_that_is_too_long() {
    let address = server(
        "200 OK",
        r#"{"major":"1","minor":"34","gitVersion":"v1.34.2","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#,
    );
    let context = with(&kubeconfig(&address, "{token: geheim}"));
    let name = "a".repeat(54);
    let report = context.refuse(&["history", &name, "-n", "t02"]);
    assert!(
        report.contains("exit code: 3")
            && report.contains("cannot be the name of a release")
            && report.contains("at most 53"),
        "{report}"
    );
}
