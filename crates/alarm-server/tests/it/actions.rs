//! Automated actions to the end: mail, a program, webhooks and PVs, with a mail server and a web server in this process.

use std::path::PathBuf;
use std::time::Duration;

use alarm::{Severity, Time};
use alarm_server::Settings;
use alarm_server::pvs::PutValue;
use alarm_server::settings::{CommandSettings, MailSettings, MailTls, WebhookSettings};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::context::{Running, small_bus, small_pvs, with_api};

/// A mail server that takes everything and gives the texts.
async fn mail_server() -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _peer)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                stream.write_all(b"220 mail\r\n").await.unwrap();
                let mut text = String::new();
                let mut is_data = false;
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                        return;
                    }
                    let answer: &[u8] = match line.trim_end() {
                        "." if is_data => {
                            is_data = false;
                            drop(sender.send(std::mem::take(&mut text)));
                            b"250 taken\r\n"
                        }
                        _ if is_data => {
                            text.push_str(&line);
                            continue;
                        }
                        "DATA" => {
                            is_data = true;
                            b"354 go on\r\n"
                        }
                        "QUIT" => b"221 bye\r\n",
                        command => {
                            if command.starts_with("RCPT") {
                                text.push_str(&line);
                            }
                            b"250 ok\r\n"
                        }
                    };
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    (port, receiver)
}

/// A web server that takes everything and gives the requests.
async fn web_server() -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _peer)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(stream.read_line(&mut head).await.unwrap(), 0, "{head}");
            }
            let lower = head.to_lowercase();
            let length = lower
                .split("content-length: ")
                .nth(1)
                .unwrap()
                .lines()
                .next()
                .unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            drop(sender.send(head + &String::from_utf8(body).unwrap()));
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
        }
    });
    (port, receiver)
}

async fn next(receiver: &mut mpsc::UnboundedReceiver<String>) -> String {
    tokio::time::timeout(Duration::from_secs(20), receiver.recv())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn an_alarm_sends_mail_starts_a_program_calls_a_webhook_and_writes_pvs() {
    // what `main` does in the binary; a second test may have done it already
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let (smtp, mut mails) = mail_server().await;
    let (web, mut calls) = web_server().await;
    let settings = Settings {
        mail: Some(MailSettings {
            server: "127.0.0.1".to_owned(),
            port: smtp,
            tls: MailTls::None,
            credentials: None,
            sender: "Alarms <alarms@example.org>".to_owned(),
            timeout: Duration::from_secs(10),
        }),
        commands: CommandSettings {
            allowed: vec![PathBuf::from("/usr/bin/touch")],
            directory: folder.path().to_owned(),
            ..CommandSettings::default()
        },
        webhooks: WebhookSettings {
            allowed_hosts: vec![format!("127.0.0.1:{web}")],
            ..WebhookSettings::default()
        },
        ..with_api()
    };
    let bus = small_bus();
    let actions = json!([
        {"title": "m", "details": "mailto:one@example.org,two@example.org", "delay": 0},
        {"title": "c", "details": "cmd:/usr/bin/touch raised", "delay": 0},
        {"title": "r", "details": "cmd:/usr/bin/rm -rf raised", "delay": 0},
        {"title": "w", "details": format!("webhook:http://127.0.0.1:{web}/alarms"), "delay": 0},
        {"title": "x", "details": "webhook:http://169.254.169.254/latest", "delay": 0},
        {"title": "i", "details": "infopv:info", "delay": 0},
    ]);
    let config = json!({"user": "u", "host": "h", "description": "first", "actions": actions});
    bus.append("X", Some("config:/X/area/a"), Some(&config.to_string()));
    let group = json!({"actions": [{"title": "s", "details": "sevrpv:sevr", "delay": 0}]});
    bus.append("X", Some("config:/X/area"), Some(&group.to_string()));
    let pvs = small_pvs();
    pvs.refuse_puts("sevr", 1);
    let server = Running::start(settings, bus, pvs).await;
    server.ready().await;
    server.until("X", "state:/X/area/a", "NO_ALARM").await;
    server
        .pvs
        .set_alarm("a", Severity::Major, "HIHI_ALARM", 95.0, Time::new(1001, 7));

    let mut both = [next(&mut mails).await, next(&mut mails).await];
    both.sort();
    for (mail, to) in both.iter().zip(["one", "two"]) {
        assert!(
            mail.contains(&format!("RCPT TO:<{to}@example.org>")),
            "{mail}"
        );
        assert!(mail.contains("Subject: MAJOR alarm: first\r\n"), "{mail}");
        assert!(mail.contains("HIHI_ALARM"), "{mail}");
    }
    let call = next(&mut calls).await;
    assert!(call.starts_with("POST /alarms HTTP/1.1\r\n"), "{call}");
    let body: serde_json::Value =
        serde_json::from_str(call.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["severity"], "MAJOR");
    let written = async {
        loop {
            let puts = server.pvs.puts();
            let has_number = puts.contains(&("sevr".to_owned(), PutValue::Number(6.0)));
            let has_text = puts
                .iter()
                .any(|(pv, value)| pv == "info" && value.to_string().contains("MAJOR"));
            if has_number && has_text && folder.path().join("raised").exists() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written)
        .await
        .unwrap();
    let counted = async {
        loop {
            let (_, text) = server.ask("GET", "/metrics", None).await;
            let text = text.as_str().unwrap().to_owned();
            let all = [
                r#"ioc_alarm_actions_total{kind="mailto",result="done"} 2"#,
                r#"ioc_alarm_actions_total{kind="cmd",result="done"} 1"#,
                r#"ioc_alarm_actions_total{kind="cmd",result="refused"} 1"#,
                r#"ioc_alarm_actions_total{kind="webhook",result="done"} 1"#,
                r#"ioc_alarm_actions_total{kind="webhook",result="refused"} 1"#,
            ];
            if all.iter().all(|line| text.lines().any(|one| one == *line)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted)
        .await
        .unwrap();
    // what refuses is still there
    assert!(folder.path().join("raised").exists());

    // acknowledging ends it: one more mail
    server
        .ask("POST", "/v1/acknowledge", Some(json!({"items": ["a"]})))
        .await;
    let mail = next(&mut mails).await;
    assert!(mail.contains("Subject: MAJOR_ACK alarm: first"), "{mail}");
    server.end().await;
}

#[tokio::test]
async fn an_alarm_is_told_to_slack_and_again_when_it_is_over() {
    use std::os::unix::fs::PermissionsExt as _;
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let (web, mut calls) = web_server().await;
    let secret = folder.path().join("slack");
    fs_err::write(
        &secret,
        format!("http://127.0.0.1:{web}/services/T0/B0/secret\n"),
    )
    .unwrap();
    fs_err::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let settings = Settings {
        webhooks: WebhookSettings {
            slack: [("control-room".to_owned(), secret)].into(),
            ..WebhookSettings::default()
        },
        ..with_api()
    };
    let bus = small_bus();
    let actions = json!([
        {"title": "s", "details": "slack:#control-room", "delay": 0},
        {"title": "n", "details": "slack:#nobody", "delay": 0},
        {"title": "f", "details": format!("slack:http://127.0.0.1:{web}/not/allowed"), "delay": 0},
    ]);
    let config = json!({"description": "first", "latching": false, "actions": actions});
    bus.append("X", Some("config:/X/area/a"), Some(&config.to_string()));
    let server = Running::start(settings, bus, small_pvs()).await;
    server.ready().await;
    server.until("X", "state:/X/area/a", "NO_ALARM").await;
    for (severity, message, words) in [
        (Severity::Major, "HIHI_ALARM", "MAJOR alarm: first"),
        (Severity::Ok, "NO_ALARM", "OK: first"),
    ] {
        server
            .pvs
            .set_alarm("a", severity, message, 95.0, Time::new(1001, 7));
        let call = next(&mut calls).await;
        assert!(
            call.starts_with("POST /services/T0/B0/secret HTTP/1.1\r\n"),
            "{call}"
        );
        let body = call.split("\r\n\r\n").nth(1).unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let text = body["text"].as_str().unwrap();
        assert!(text.contains(words), "no `{words}` in {text}");
    }
    let counted = async {
        loop {
            let (_, text) = server.ask("GET", "/metrics", None).await;
            let text = text.as_str().unwrap().to_owned();
            let all = [
                r#"ioc_alarm_actions_total{kind="slack",result="done"} 2"#,
                r#"ioc_alarm_actions_total{kind="slack",result="refused"} 4"#,
            ];
            if all.iter().all(|line| text.lines().any(|one| one == *line)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted)
        .await
        .unwrap();
    // nothing reached the address that is not allowed
    assert!(calls.try_recv().is_err());
    server.end().await;
}
