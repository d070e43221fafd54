//! The client against a real C soft IOC on the loopback interface, with caproto as a second opinion on values.
//!
//! `tests/testbed/softioc.sh up` installs the IOC. Where it is missing these tests fail under `CI=true`, and elsewhere
//! say loudly that nothing was tested.

#[cfg(test)]
mod ioc;

use std::time::{Duration, Instant};

use pretty_assertions::assert_eq;

use ioc::start;

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_ioc_is_found_and_its_duplicate_reported() {
    let Some(ioc) = start() else { return };
    let client = ioc.client();
    let found = client.find("T:AI", TIMEOUT).await.unwrap();
    assert!(found.server.ip().is_loopback());
    assert_eq!(found.duplicates, []);

    // a second IOC with the same records on the same search port takes another TCP port
    let second = ioc.sibling();
    let deadline = Instant::now() + TIMEOUT;
    let both = loop {
        let both = client.find("T:AI", TIMEOUT).await.unwrap();
        if !both.duplicates.is_empty() {
            break both;
        }
        assert!(Instant::now() < deadline, "the second IOC was never seen");
    };
    assert_eq!(both.duplicates.len(), 1);
    let mut servers = vec![both.server, both.duplicates[0]];
    servers.sort_unstable();
    assert!(
        servers.contains(&found.server) && servers[0] != servers[1],
        "{servers:?}"
    );
    drop(second);
}

#[tokio::test]
async fn an_unknown_name_says_where_it_was_searched() {
    let Some(ioc) = start() else { return };
    let error = ioc
        .client()
        .find("T:NOT_THERE", Duration::from_millis(500))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no server answered for `T:NOT_THERE` within 0.5 s; searched 127.255.255.255:{}",
            ioc.port()
        )
    );
}
