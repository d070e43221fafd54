//! The local backend on a real container engine: what containers get, and what is left at every point at which a
//! command can be killed. Charts play no part here: manifests are written out.

mod bench;
mod killed;

use ioc::fleet::progress::Silent;
use ioc::ui::error::ErrorKind;
use tokio_util::sync::CancellationToken;

use self::bench::{Bench, FOREVER, IMAGE, deploy, desired, exec, manifests, options, statuses};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_gets_all_that_its_manifest_says() {
    let Some(bench) = Bench::new("gets") else {
        return;
    };
    let fleet = bench.fleet().await;
    let subject = bench.subject("a");
    let deployed = deploy(
        &fleet,
        &subject,
        &manifests("a", FOREVER, "one"),
        &options(false),
    )
    .await
    .unwrap();
    assert_eq!(deployed.revision, 1);
    let session = fleet.open(&subject, None).unwrap();
    let said = exec(
        &session,
        &bench.host,
        "id; cat /config/value; echo; echo $GREETING; touch /x; touch /config/x; echo d > /data/d && stat -c '%u %g' /data; touch /scratch/s && ls /scratch; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; grep CapEff /proc/1/status; grep NoNewPrivs /proc/1/status",
    )
    .await;
    insta::assert_snapshot!(said, @"
    uid=1234 gid=1235 groups=1235,1236
    one
    hello a
    touch: cannot touch '/x': Read-only file system
    touch: cannot touch '/config/x': Read-only file system
    1234 1236
    s
    67108864
    CapEff:	0000000000000000
    NoNewPrivs:	1
    ");
    assert_eq!(
        std::fs::read_to_string(bench.claims().join("a-data/deep/a/d")).unwrap(),
        "d\n"
    );
    let main = session.containers().await.unwrap().remove(0);
    let inspected = fleet
        .engine
        .docker()
        .inspect_container(
            &main.id,
            None::<bollard::query_parameters::InspectContainerOptions>,
        )
        .await
        .unwrap();
    let config = inspected.config.unwrap();
    assert_eq!((config.tty, config.open_stdin), (Some(true), Some(true)));
    let host = inspected.host_config.unwrap();
    assert_eq!(host.network_mode.as_deref(), Some("host"));
    assert_eq!(
        host.restart_policy.unwrap().name,
        Some(bollard::models::RestartPolicyNameEnum::UNLESS_STOPPED)
    );
    assert_eq!(inspected.name.unwrap(), format!("/{}_a", bench.namespace));
    assert_eq!(statuses(&session), ["1 deployed: Install complete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_rollback_stop_start_and_delete() {
    let Some(bench) = Bench::new("life") else {
        return;
    };
    let fleet = bench.fleet().await;
    let subject = bench.subject("a");
    let one = manifests("a", FOREVER, "one");
    let two = manifests("a", FOREVER, "two");
    deploy(&fleet, &subject, &one, &options(false))
        .await
        .unwrap();
    let session = fleet.open(&subject, None).unwrap();
    exec(&session, &bench.host, "echo saved > /data/positions.sav").await;
    // the same once more changes nothing
    let again = fleet
        .open(&subject, None)
        .unwrap()
        .plan(desired(&one))
        .await
        .unwrap();
    assert!(again.is_empty(), "{:?}", again.actions);
    deploy(&fleet, &subject, &two, &options(false))
        .await
        .unwrap();
    let session = fleet.open(&subject, None).unwrap();
    let read = "cat /config/value; echo; cat /data/positions.sav; ls /scratch";
    assert_eq!(exec(&session, &bench.host, read).await, "two\nsaved\n");
    // back to the first
    let mut session = fleet.open(&subject, Some("rolls back")).unwrap();
    let target = session.record(1).unwrap().clone();
    let plan = session
        .plan(ioc::fleet::deploy::desired_again(&target))
        .await
        .unwrap();
    session
        .carry_out(plan, &options(false), &Silent, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(exec(&session, &bench.host, read).await, "one\nsaved\n");
    assert_eq!(
        statuses(&session),
        [
            "1 superseded: Install complete",
            "2 superseded: Upgrade complete",
            "3 deployed: Rollback to 1"
        ]
    );
    drop(session);
    // stopped stays stopped through a deploy
    let mut session = fleet.open(&subject, Some("stops")).unwrap();
    session.stop(&Silent).await.unwrap();
    drop(session);
    deploy(&fleet, &subject, &two, &options(false))
        .await
        .unwrap();
    let session = fleet.open(&subject, None).unwrap();
    assert!(
        session
            .containers()
            .await
            .unwrap()
            .iter()
            .all(|one| !one.is_running)
    );
    assert_eq!(session.deployed().unwrap().version, 4);
    let row = |rows: Vec<ioc::fleet::overview::Row>| rows[0].state.name();
    let releases = ioc::fleet::overview::releases(&fleet.store, &[], None).unwrap();
    let (rows, _) = ioc::fleet::overview::rows(&fleet, &releases, jiff::Timestamp::now())
        .await
        .unwrap();
    assert_eq!(row(rows), "stopped");
    drop(session);
    let mut session = fleet.open(&subject, Some("starts")).unwrap();
    session
        .start(&options(false), &Silent, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(exec(&session, &bench.host, read).await, "two\nsaved\n");
    // a restart keeps the container
    let before = session.containers().await.unwrap()[0].id.clone();
    session
        .restart(&options(false), &Silent, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(session.containers().await.unwrap()[0].id, before);
    let deleted = session.delete(false, &Silent).await.unwrap();
    assert_eq!(deleted.kept, [bench.claims().join("a-data")]);
    assert!(session.containers().await.unwrap().is_empty());
    assert!(fleet.store.releases().unwrap().is_empty());
    assert!(bench.claims().join("a-data/deep/a/positions.sav").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_is_shown_with_its_last_lines_and_atomic_goes_back() {
    let Some(bench) = Bench::new("crash") else {
        return;
    };
    let fleet = bench.fleet().await;
    let subject = bench.subject("a");
    let good = manifests("a", FOREVER, "one");
    let bad = manifests("a", "echo cannot open port; exit 3", "two");
    deploy(&fleet, &subject, &good, &options(false))
        .await
        .unwrap();
    let error = deploy(&fleet, &subject, &bad, &options(true))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unhealthy);
    let shown = format!(
        "{error}\n{}\n{}",
        error.causes().join("\n"),
        error.hints().join("\n")
    );
    // how often it has ended before that is seen depends on the machine
    let mut lines: Vec<&str> = shown.lines().collect();
    lines.dedup();
    insta::assert_snapshot!(lines.join("\n"), @"
    `a` ends again and again (last exit: 3)
    its last lines were
        cannot open port
    revision 1 runs again, as revision 3 (`--atomic`)
    ");
    let session = fleet.open(&subject, None).unwrap();
    assert_eq!(
        exec(&session, &bench.host, "cat /config/value").await,
        "one"
    );
    insta::assert_snapshot!(statuses(&session).join("\n"), @r#"
    1 superseded: Install complete
    2 failed: Upgrade "a" failed: `a` ends again and again (last exit: 3)
    3 deployed: Rollback to 1
    "#);
    drop(session);
    // a first deploy that does not get through leaves nothing
    let other = bench.subject("b");
    let bad = manifests("b", "echo cannot open port; exit 3", "one");
    let error = deploy(&fleet, &other, &bad, &options(true))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unhealthy);
    let session = fleet.open(&other, None).unwrap();
    assert!(session.history().is_empty());
    assert!(session.containers().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_known_before_changes_nothing() {
    let Some(bench) = Bench::new("before") else {
        return;
    };
    let fleet = bench.fleet().await;
    let subject = bench.subject("a");
    let good = manifests("a", FOREVER, "one");
    let missing = good.replace(IMAGE, "localhost/ioc-not-built:latest");
    let error = deploy(&fleet, &subject, &missing, &options(false))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "there is no image `localhost/ioc-not-built:latest` on this machine"
    );
    assert_eq!(error.hints(), ["build it: `ioc build ioc-not-built`"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ports = good.replace(
        "stdin: true",
        &format!(
            "stdin: true\n          ports: [{{containerPort: {port}}}, {{containerPort: 5064}}]"
        ),
    );
    let error = deploy(&fleet, &subject, &ports, &options(false))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.diagnostics()[0].message,
        format!(
            "`StatefulSet a`: container `a` wants TCP port {port}, which is taken by a program of this machine"
        )
    );
    let device = good.replace(
        "- {name: scratch, emptyDir: {}}",
        "- {name: scratch, hostPath: {path: /dev/ttyNOT, type: CharDevice}}",
    );
    let error = deploy(&fleet, &subject, &device, &options(false))
        .await
        .unwrap_err();
    assert!(
        error.diagnostics()[0]
            .message
            .contains("there is no `/dev/ttyNOT`")
    );
    let session = fleet.open(&subject, None).unwrap();
    assert!(session.history().is_empty());
    assert!(session.containers().await.unwrap().is_empty());
    drop(session);
    // an engine that refuses a container while the old one runs: the old one is not touched
    deploy(&fleet, &subject, &good, &options(false))
        .await
        .unwrap();
    let before = fleet
        .open(&subject, None)
        .unwrap()
        .containers()
        .await
        .unwrap()[0]
        .id
        .clone();
    let refused = good
        .replace("cpu: 500m", "cpu: 5000")
        .replace("\"one\"", "\"two\"");
    let error = deploy(&fleet, &subject, &refused, &options(false))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    let session = fleet.open(&subject, None).unwrap();
    let containers = session.containers().await.unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0].id, before);
    assert!(containers[0].is_running);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deploys_at_once() {
    let Some(bench) = Bench::new("twice") else {
        return;
    };
    let fleet = bench.fleet().await;
    let subject = bench.subject("a");
    let first = fleet.open(&subject, Some("deploys")).unwrap();
    let error = fleet.open(&subject, Some("deploys")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.causes()[0].starts_with("tester@here since "),
        "{:?}",
        error.causes()
    );
    drop(first);
    assert!(fleet.open(&subject, Some("deploys")).is_ok());
}
