//! The network between server and IOC is cut for a minute. Both run in network namespaces of their own, so that nothing of
//! it is seen on this machine's interfaces.

use std::io::{Write as _, stderr};
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::faults::{PVS, Server, configure, database};
use crate::ioc::{Ioc, Network};

/// Tells the test below that it is the process inside the server's namespace: names of both namespaces.
const INSIDE: &str = "ALARM_SERVER_INSIDE";
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const IOC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Name of either end of the line between the namespaces.
const LINE: &str = "line";

/// Obeyed by `ip`, or what it said.
fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip")
        .args(words.split(' '))
        .output()
        .map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {words}: {said}"))
}

/// Two namespaces with a line between them; they end with this.
struct Namespaces {
    server: String,
    ioc: String,
}

impl Namespaces {
    fn new() -> Result<Self, String> {
        remove_left();
        let name = |part| format!("ioc-cut-{}-{part}", std::process::id());
        let made = Self {
            server: name("server"),
            ioc: name("ioc"),
        };
        let Self { server, ioc } = &made;
        for step in [
            format!("netns add {server}"),
            format!("netns add {ioc}"),
            format!("-n {server} link add {LINE} type veth peer name {LINE} netns {ioc}"),
            format!("-n {server} address add {SERVER}/30 dev {LINE}"),
            format!("-n {ioc} address add {IOC}/30 dev {LINE}"),
            format!("-n {server} link set lo up"),
            format!("-n {ioc} link set lo up"),
            format!("-n {server} link set {LINE} up"),
            format!("-n {ioc} link set {LINE} up"),
        ] {
            ip(&step)?;
        }
        Ok(made)
    }
}

/// What a killed run left behind.
fn remove_left() {
    let Ok(folder) = fs_err::read_dir("/run/netns") else {
        return;
    };
    for entry in folder.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix("ioc-cut-")
            .and_then(|rest| rest.split('-').next());
        if let Some(process) = process
            && !std::path::Path::new("/proc").join(process).exists()
        {
            drop(ip(&format!("netns delete {name}")));
        }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.server, &self.ioc] {
            drop(ip(&format!("netns delete {name}")));
        }
    }
}

#[test]
fn what_changed_while_the_network_was_cut_for_a_minute_is_seen_soon_after() {
    let namespaces = match Namespaces::new() {
        Ok(namespaces) => namespaces,
        Err(error) => {
            let advice = format!("no network namespaces to test in: {error}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{advice}");
            stderr()
                .write_all(format!("\n*** NOT TESTED: {advice} ***\n").as_bytes())
                .unwrap();
            return;
        }
    };
    let Namespaces { server, ioc } = &namespaces;
    let output = Command::new("ip")
        .args(["netns", "exec", server])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "cut::inside", "--nocapture"])
        .env(INSIDE, format!("{server}|{ioc}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}

/// No test by itself: the one above, inside the server's namespace.
#[tokio::test(flavor = "multi_thread")]
async fn inside() {
    let Ok(names) = std::env::var(INSIDE) else {
        return;
    };
    let (_server, namespace) = names.split_once('|').unwrap();
    let network = Network {
        namespace: namespace.to_owned(),
        address: IOC,
        client: SERVER,
    };
    let Some(mut ioc) = tokio::task::block_in_place(|| Ioc::start_on(Some(network), &database()))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let options = bus::embedded::Options::default();
    let bus = bus::embedded::Embedded::open(folder.path(), options).unwrap();
    configure(&bus, true).await;
    let server = tokio::task::block_in_place(|| Server::start(folder.path(), &ioc));
    server.ready().await;
    ioc.put("k0", "2");
    server.until("k0", ("MAJOR", "MAJOR")).await;
    server.until("k1", ("OK", "OK")).await;

    ip(&format!("-n {namespace} link set {LINE} down")).unwrap();
    let cut = Instant::now();
    // one alarm comes, one is over, and nobody sees it
    ioc.put("k1", "1.5");
    ioc.put("k0", "0");
    // a silent server is asked after 30 s, and given up 5 s later
    tokio::time::sleep(Duration::from_secs(25).saturating_sub(cut.elapsed())).await;
    server.until("k2", ("UNDEFINED", "UNDEFINED")).await;
    tokio::time::sleep(Duration::from_mins(1).saturating_sub(cut.elapsed())).await;
    ip(&format!("-n {namespace} link set {LINE} up")).unwrap();

    // the next beacon, at most 15 s away, says that the way is back
    let back = Instant::now();
    server.until("k1", ("UNDEFINED", "MINOR")).await;
    server.until("k0", ("UNDEFINED", "OK")).await;
    for number in 2..PVS {
        server
            .until(&format!("k{number}"), ("UNDEFINED", "OK"))
            .await;
    }
    assert!(
        back.elapsed() < Duration::from_secs(17),
        "{:?}",
        back.elapsed()
    );
}
