//! The long-lived client against a server that misbehaves: watches go on, and one PV does not pay for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ca::proto::Command;
use ca::{Configuration, Context, Event, Events, Mask, Update, WatchId};
use pretty_assertions::assert_eq;

use crate::fake::{Fake, Peer, answer, message};
use crate::port::free_port;
use crate::{DOUBLE, TIMEOUT, time_double};

/// One watch on a context of its own.
struct Watch {
    context: Context,
    events: Events,
    taken: std::collections::VecDeque<String>,
}

impl Watch {
    fn start(configuration: Configuration) -> Self {
        let (context, events) = Context::start(configuration);
        context.watch(WatchId(1), "PV".parse().unwrap(), Mask::default());
        Self {
            context,
            events,
            taken: std::collections::VecDeque::new(),
        }
    }

    /// The next event, in words.
    async fn next(&mut self) -> String {
        loop {
            if let Some(event) = self.taken.pop_front() {
                return event;
            }
            let events = tokio::time::timeout(TIMEOUT, self.events.next());
            let events = events.await.expect("no event").expect("closed");
            self.taken
                .extend(events.iter().map(|(_, event)| shown(event)));
        }
    }

    /// Waits for this event, past others, and says how many these were.
    async fn wait_for(&mut self, wanted: &str) -> usize {
        for before in 0..1000 {
            if self.next().await == wanted {
                return before;
            }
        }
        panic!("`{wanted}` never came");
    }
}

fn shown(event: &Event) -> String {
    match event {
        Event::Connected { .. } => "connected".to_owned(),
        Event::Value(Update { reading, .. }) => reading.value.to_string(),
        Event::AccessRights(rights) => format!("read {} write {}", rights.read, rights.write),
        Event::Disconnected => "disconnected".to_owned(),
        Event::Duplicate { servers } => format!("{} servers", servers.len()),
    }
}

/// Sends the value of the subscription that is asked for, and says its number.
async fn give_value(peer: &mut Peer, value: f64) -> u32 {
    let subscription = peer.receive(Command::EVENT_ADD).await.parameter2;
    update(peer, subscription, value).await;
    subscription
}

async fn update(peer: &mut Peer, subscription: u32, value: f64) {
    let fields = (20, 1, 1, subscription);
    peer.send(Command::EVENT_ADD, fields, &time_double(value))
        .await;
}

#[tokio::test]
async fn messages_in_single_bytes_are_understood() {
    let fake = Fake::answering(|_, peer| async move {
        let mut peer = peer.in_pieces(1);
        peer.give_channel(13, DOUBLE, 1).await;
        give_value(&mut peer, 1.5).await;
        peer.idle().await;
    })
    .await;
    let mut watch = Watch::start(fake.configuration());
    assert_eq!(watch.next().await, "connected");
    watch.wait_for("1.5").await;
}

#[tokio::test]
async fn searches_that_are_lost_and_answered_late_are_made_up_for() {
    let fake = Fake::start(
        |count, searches, tcp| {
            let from = if count < 3 { searches.len() } else { 0 };
            let answered = searches[from..].iter();
            // each twice, as from a network that doubles
            answered
                .flat_map(|&search| [answer(search, tcp), answer(search, tcp)])
                .collect()
        },
        |_, mut peer| async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            peer.give_channel(13, DOUBLE, 1).await;
            give_value(&mut peer, 2.5).await;
            peer.idle().await;
        },
    )
    .await;
    let mut watch = Watch::start(fake.configuration());
    assert_eq!(watch.next().await, "connected");
    watch.wait_for("2.5").await;
    let statistics = watch.context.statistics();
    assert_eq!((statistics.circuits, statistics.connected), (1, 1));
}

#[tokio::test]
async fn a_connection_that_ends_is_made_again() {
    let fake = Fake::answering(|count, mut peer| async move {
        peer.give_channel(13, DOUBLE, 1).await;
        give_value(&mut peer, if count == 0 { 1.0 } else { 2.0 }).await;
        if count > 0 {
            peer.idle().await;
        }
    })
    .await;
    let mut watch = Watch::start(fake.configuration());
    watch.wait_for("1").await;
    watch.wait_for("disconnected").await;
    watch.wait_for("connected").await;
    watch.wait_for("2").await;
    assert_eq!(watch.context.statistics().disconnections, 1);
}

#[tokio::test]
async fn a_server_that_takes_the_channel_away_or_refuses_it_is_asked_again() {
    let fake = Fake::answering(|_, mut peer| async move {
        let channel = peer.give_channel(13, DOUBLE, 1).await;
        give_value(&mut peer, 1.0).await;
        peer.send(Command::SERVER_DISCONN, (0, 0, channel, 0), &[])
            .await;
        let again = peer.receive(Command::CREATE_CHAN).await.parameter1;
        peer.send(Command::CREATE_CH_FAIL, (0, 0, again, 0), &[])
            .await;
        let again = peer.receive(Command::CREATE_CHAN).await.parameter1;
        peer.send(Command::CREATE_CHAN, (DOUBLE, 1, again, 78), &[])
            .await;
        give_value(&mut peer, 2.0).await;
        peer.idle().await;
    })
    .await;
    let mut watch = Watch::start(fake.configuration());
    watch.wait_for("1").await;
    watch.wait_for("disconnected").await;
    watch.wait_for("2").await;
    let statistics = watch.context.statistics();
    assert_eq!((statistics.circuits, statistics.disconnections), (1, 1));
}

#[tokio::test]
async fn access_rights_that_change_are_told_and_obeyed() {
    let fake = Fake::answering(|_, mut peer| async move {
        let channel = peer.give_channel(13, DOUBLE, 1).await;
        give_value(&mut peer, 1.0).await;
        peer.send(Command::ACCESS_RIGHTS, (0, 0, channel, 1), &[])
            .await;
        peer.idle().await;
    })
    .await;
    let mut watch = Watch::start(fake.configuration());
    watch.wait_for("1").await;
    watch.wait_for("read true write false").await;
    let name = "PV".parse().unwrap();
    let error = watch
        .context
        .put(&name, ca::Value::Double(2.0), TIMEOUT)
        .await
        .unwrap_err();
    assert!(matches!(error, ca::Error::NoWriteAccess { .. }), "{error}");
}

#[tokio::test]
async fn a_value_of_enormous_size_costs_only_itself() {
    let fake = Fake::answering(|_, mut peer| async move {
        peer.give_channel(13, DOUBLE, u32::MAX).await;
        let subscription = peer.receive(Command::EVENT_ADD).await.parameter2;
        // more than this client takes, and it comes in full
        let huge = vec![0; (1 << 20) + 16];
        let fields = (20, 1 << 17, 1, subscription);
        peer.send(Command::EVENT_ADD, fields, &huge).await;
        update(&mut peer, subscription, 3.0).await;
        peer.idle().await;
    })
    .await;
    let mut watch = Watch::start(fake.configuration());
    watch.wait_for("[3]").await;
    assert_eq!(watch.context.statistics().disconnections, 0);
}

#[tokio::test]
async fn a_count_that_the_payload_does_not_hold_ends_the_circuit_only() {
    let fake = Fake::answering(|count, mut peer| async move {
        peer.give_channel(13, DOUBLE, 5).await;
        let subscription = peer.receive(Command::EVENT_ADD).await.parameter2;
        if count == 0 {
            let fields = (20, 4_000_000_000, 1, subscription);
            peer.send(Command::EVENT_ADD, fields, &time_double(1.0))
                .await;
        } else {
            update(&mut peer, subscription, 2.0).await;
        }
        peer.idle().await;
    })
    .await;
    let mut watch = Watch::start(fake.configuration());
    assert_eq!(watch.next().await, "connected");
    watch.wait_for("disconnected").await;
    watch.wait_for("[2]").await;
}

#[tokio::test]
async fn a_second_server_with_the_same_name_is_reported_and_not_used() {
    let first = Fake::answering(|_, mut peer| async move {
        peer.give_channel(13, DOUBLE, 1).await;
        give_value(&mut peer, 1.0).await;
        peer.idle().await;
    })
    .await;
    let used = first.tcp;
    let second =
        Fake::answering(|_, _| async move { panic!("the second server is not used") }).await;
    let other = second.tcp;
    // both answers come in one datagram, as through a gateway
    let both = Fake::start(
        move |_, searches, _| {
            let one = |&search| [answer(search, used), answer(search, other)].concat();
            searches.iter().map(one).collect()
        },
        |_, peer| peer.idle(),
    )
    .await;
    let mut watch = Watch::start(both.configuration());
    watch.wait_for("2 servers").await;
    watch.wait_for("1").await;
    assert_eq!(watch.context.statistics().circuits, 1);
}

#[tokio::test]
async fn a_name_server_is_searched_over_tcp_and_again_after_it_was_lost() {
    let ioc = Fake::answering(|_, mut peer| async move {
        peer.give_channel(13, DOUBLE, 1).await;
        give_value(&mut peer, 1.0).await;
        peer.idle().await;
    })
    .await;
    let server = ioc.tcp;
    // it ends the first connection before it has answered
    let name_server = Fake::answering(move |count, mut peer| async move {
        peer.greet(13).await;
        let search = peer.receive(Command::SEARCH).await.parameter2;
        if count > 0 {
            let fields = (server.port(), 0, 0x7f00_0001, search);
            peer.send_bytes(&message(Command::SEARCH, fields, &[0, 13]))
                .await;
            peer.idle().await;
        }
    })
    .await;
    let std::net::SocketAddr::V4(address) = name_server.tcp else {
        unreachable!()
    };
    let mut watch = Watch::start(Configuration {
        name_servers: vec![address.into()],
        ..Configuration::for_addresses([])
    });
    watch.wait_for("1").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_after_hours_is_there_within_a_second_of_its_beacon() {
    let works = Arc::new(AtomicBool::new(false));
    let searched = Arc::new(AtomicUsize::new(0));
    let (up, count) = (Arc::clone(&works), Arc::clone(&searched));
    let fake = Fake::start(
        move |_, searches, tcp| {
            count.fetch_add(1, Ordering::Relaxed);
            let answered = searches.iter().filter(|_| up.load(Ordering::Relaxed));
            answered.map(|&search| answer(search, tcp)).collect()
        },
        |_, mut peer| async move {
            peer.give_channel(13, DOUBLE, 1).await;
            give_value(&mut peer, 1.0).await;
            peer.idle().await;
        },
    )
    .await;
    let beacons = free_port();
    let mut watch = Watch::start(Configuration {
        repeater_port: Some(beacons),
        ..fake.configuration()
    });
    // the clock goes on by itself whenever nothing else is to be done
    tokio::time::sleep(Duration::from_hours(5)).await;
    let count = searched.load(Ordering::Relaxed);
    assert!((60..120).contains(&count), "{count} searches in five hours");
    // the rest takes real time: a clock that waits for nobody would run ahead of a busy kernel
    tokio::time::resume();
    works.store(true, Ordering::Relaxed);
    let began = tokio::time::Instant::now();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let fields = (13, u32::from(fake.tcp.port()), 0, 0x7f00_0001);
    let beacon = message(Command::RSRV_IS_UP, fields, &[]);
    socket
        .send_to(&beacon, ("127.0.0.1", beacons))
        .await
        .unwrap();
    watch.wait_for("1").await;
    let after = began.elapsed();
    assert!(after < Duration::from_secs(1), "{after:?}");
}
