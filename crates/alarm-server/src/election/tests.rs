//! One server by a table, several with a bus between them by chance.

use std::collections::VecDeque;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn one_server() {
    let beat = |term| Event::Beat {
        term,
        farewell: false,
    };
    // moment, event, wish, whether it may act
    let rows = [
        (100, Event::Tick, None, false),
        (400, beat(1), None, false),
        (500, Event::Tick, None, false),
        (900, Event::Tick, None, false),
        // stopped for a second: nothing was heard because nobody listened
        (1950, Event::Tick, None, false),
        (2400, Event::Tick, None, false),
        (2800, Event::Tick, None, false),
        (3200, Event::Tick, None, false),
        (
            3450,
            Event::Tick,
            Some(Wish::Take(Why::Silence(ms(1500)))),
            false,
        ),
        (3460, Event::Gone, None, false),
        (3500, Event::NotTaken, None, false),
        (3510, beat(2), None, false),
        (
            3600,
            Event::Beat {
                term: 2,
                farewell: true,
            },
            Some(Wish::Take(Why::Farewell)),
            false,
        ),
        (3700, Event::Taken, Some(Wish::Read), false),
        (3800, Event::Read, Some(Wish::Speak), true),
        (3900, Event::Tick, None, true),
        (4300, Event::Tick, Some(Wish::Beat), true),
        (4310, Event::Confirmed(ms(4300)), None, true),
        // what is left of the leader before counts no more
        (4320, beat(2), None, true),
        (4800, Event::Tick, Some(Wish::Beat), true),
        // it cannot be heard: it stops before another begins
        (5500, Event::Tick, Some(Wish::Beat), false),
        (5600, Event::Confirmed(ms(5500)), None, true),
        (5700, Event::Fenced, Some(Wish::Yield), false),
        (9000, Event::Tick, None, false),
    ];
    let mut election = Election::new(Timing::default(), 1, ms(0));
    for (moment, event, wish, may_act) in rows {
        assert_eq!(election.handle(event, ms(moment)), wish, "{moment}");
        assert_eq!(election.may_act(ms(moment)), may_act, "{moment}");
    }
    assert_eq!(election.term(), 3);
}

#[test]
fn nobody_has_led() {
    let mut election = Election::new(Timing::default(), 0, ms(0));
    assert_eq!(
        election.handle(Event::Gone, ms(1)),
        Some(Wish::Take(Why::First))
    );
    let mut election = Election::new(Timing::default(), 4, ms(0));
    assert_eq!(
        election.handle(Event::Gone, ms(1)),
        Some(Wish::Take(Why::Ended))
    );
}

#[test]
fn others_go_first() {
    let beat = |term, farewell| Event::Beat { term, farewell };
    let mut election = Election::new(Timing::default(), 1, ms(0));
    election.let_go_first(1);
    let until = |election: &mut Election, from: u64, to: u64| {
        let moments = (from..=to).step_by(100);
        let mut wishes = moments.filter_map(|moment| {
            let wish = election.handle(Event::Tick, ms(moment))?;
            Some((moment, wish))
        });
        wishes.next()
    };
    assert_eq!(until(&mut election, 100, 2100), None);
    // the other one did
    assert_eq!(election.handle(beat(2, false), ms(2150)), None);
    assert_eq!(until(&mut election, 2200, 4100), None);
    // one that is about to
    assert_eq!(election.handle(Event::Written, ms(4150)), None);
    assert_eq!(election.handle(beat(2, true), ms(4200)), None);
    assert_eq!(until(&mut election, 4300, 4800), None);
    assert_eq!(election.handle(beat(3, true), ms(4850)), None);
    // the other one did not
    let took = until(&mut election, 4900, 6000);
    assert_eq!(took, Some((5600, Wish::Take(Why::Farewell))));
    let mut election = Election::new(Timing::default(), 1, ms(0));
    election.let_go_first(2);
    let took = until(&mut election, 100, 4000);
    assert_eq!(took, Some((2900, Wish::Take(Why::Silence(ms(2900))))));
}

#[test]
fn one_that_has_taken_the_right_gets_time_to_read() {
    let mut election = Election::new(Timing::default(), 1, ms(0));
    let beat = |term, farewell| Event::Beat { term, farewell };
    let until = |election: &mut Election, from: u64, to: u64| {
        let moments = (from..=to).step_by(100);
        let mut wishes = moments.filter_map(|moment| {
            let wish = election.handle(Event::Tick, ms(moment))?;
            Some((moment, wish))
        });
        wishes.next()
    };
    assert_eq!(until(&mut election, 100, 1400), None);
    assert_eq!(election.handle(Event::Begun, ms(1450)), None);
    assert_eq!(until(&mut election, 1500, 4400), None);
    assert_eq!(election.handle(beat(2, false), ms(4440)), None);
    // of one that leads no more is waited for than silence
    assert_eq!(election.handle(Event::Written, ms(4450)), None);
    assert_eq!(until(&mut election, 4500, 5900), None);
    let took = until(&mut election, 5950, 6100);
    assert_eq!(took, Some((5950, Wish::Take(Why::Silence(ms(1500))))));
    // it died before it spoke
    assert_eq!(election.handle(Event::NotTaken, ms(6000)), None);
    assert_eq!(election.handle(Event::Begun, ms(6000)), None);
    let took = until(&mut election, 6050, 9500);
    assert_eq!(took, Some((9050, Wish::Take(Why::Silence(ms(3050))))));
}

/// A record: who wrote it with which right, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    right: u64,
    term: u64,
    farewell: bool,
}

/// The bus: a right that is counted, and what was written with it.
#[derive(Debug, Default)]
struct Sea {
    right: u64,
    log: Vec<Written>,
}

/// A server with what is under way to it and from it.
struct Node {
    election: Election,
    right: u64,
    /// Records on the way to the bus, with the moment at which they were sent.
    out: VecDeque<(Duration, Written)>,
    /// How far it has read, and how far it reads now.
    read: usize,
    is_taking: bool,
    /// Where the log ended when it had taken the right.
    until: Option<usize>,
    stopped_until: Duration,
    is_dead: bool,
    acted: Vec<u64>,
}

#[derive(Debug, Clone)]
enum Chance {
    /// Nothing special for so many milliseconds.
    Pass(u64),
    /// A server is stopped for so long.
    Stop(usize, u64),
    /// What a server sends and takes is held back for so long.
    Hold(usize, u64),
    Farewell(usize),
    Kill(usize),
}

fn chance() -> impl Strategy<Value = Chance> {
    let node = 0..3_usize;
    prop_oneof![
        3 => (1_u64..3000).prop_map(Chance::Pass),
        2 => (node.clone(), 1_u64..5000).prop_map(|(node, time)| Chance::Stop(node, time)),
        2 => (node.clone(), 1_u64..5000).prop_map(|(node, time)| Chance::Hold(node, time)),
        1 => node.clone().prop_map(Chance::Farewell),
        1 => node.prop_map(Chance::Kill),
    ]
}

fn wish(node: &mut Node, wish: Option<Wish>, sea: &Sea, now: Duration) {
    match wish {
        None | Some(Wish::Yield) => {}
        Some(Wish::Take(_)) => node.is_taking = true,
        Some(Wish::Read) => node.until = Some(sea.log.len()),
        Some(Wish::Speak | Wish::Beat) => {
            let written = Written {
                right: node.right,
                term: node.election.term(),
                farewell: false,
            };
            node.out.push_back((now, written));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn never_two(chances in prop::collection::vec(chance(), 1..30), ahead in prop::array::uniform3(0..3_u32)) {
        let mut sea = Sea::default();
        let mut nodes: Vec<Node> = ahead.iter().map(|ahead| Node {
            election: {
                let mut election = Election::new(Timing::default(), 0, ms(0));
                election.let_go_first(*ahead);
                election
            },
            right: 0,
            out: VecDeque::new(),
            read: 0,
            is_taking: false,
            until: None,
            stopped_until: ms(0),
            is_dead: false,
            acted: Vec::new(),
        }).collect();
        let mut held = [ms(0); 3];
        let mut now = ms(0);
        for chance in chances.iter().chain([&Chance::Pass(20_000)]) {
            let pass = match chance {
                Chance::Pass(time) => *time,
                Chance::Stop(node, time) => { nodes[*node].stopped_until = now + ms(*time); 1 }
                Chance::Hold(node, time) => { held[*node] = now + ms(*time); 1 }
                Chance::Farewell(node) => {
                    let node = &mut nodes[*node];
                    if node.election.is_leading() && node.stopped_until <= now && !node.is_dead {
                        let written = Written { right: node.right, term: node.election.term(), farewell: true };
                        node.out.push_back((now, written));
                        node.is_dead = true;
                    }
                    1
                }
                // one always stays
                Chance::Kill(node) if nodes.iter().filter(|node| !node.is_dead).count() > 1 => {
                    nodes[*node].is_dead = true;
                    nodes[*node].out.clear();
                    1
                }
                Chance::Kill(_) => 1,
            };
            let end = now + ms(pass);
            while now < end {
                now += ms(50);
                for (number, node) in nodes.iter_mut().enumerate() {
                    let is_held = held[number] > now;
                    if !is_held {
                        while let Some((sent, written)) = node.out.pop_front() {
                            if written.right == sea.right {
                                sea.log.push(written);
                                node.election.handle(Event::Confirmed(sent), now);
                            } else {
                                node.election.handle(Event::Fenced, now);
                            }
                        }
                    }
                    if node.is_dead || node.stopped_until > now {
                        continue;
                    }
                    if node.is_taking && !is_held {
                        node.is_taking = false;
                        sea.right += 1;
                        node.right = sea.right;
                        let then = node.election.handle(Event::Taken, now);
                        wish(node, then, &sea, now);
                    }
                    while !is_held && node.read < sea.log.len() {
                        let Written { term, farewell, .. } = sea.log[node.read];
                        node.read += 1;
                        let then = node.election.handle(Event::Beat { term, farewell }, now);
                        wish(node, then, &sea, now);
                    }
                    if node.until.is_some_and(|until| node.read >= until) {
                        node.until = None;
                        let then = node.election.handle(Event::Read, now);
                        wish(node, then, &sea, now);
                    }
                    let then = node.election.handle(Event::Tick, now);
                    wish(node, then, &sea, now);
                    if node.election.may_act(now) {
                        node.acted.push(node.right);
                    }
                }
            }
        }
        // whoever writes has the newest right, and nobody before writes after them
        for pair in sea.log.windows(2) {
            prop_assert!(pair[0].right <= pair[1].right, "{:?}", sea.log);
            prop_assert!(pair[0].term <= pair[1].term, "{:?}", sea.log);
        }
        // terms and rights mean the same leader
        for one in &sea.log {
            for other in &sea.log {
                prop_assert_eq!(one.term == other.term, one.right == other.right);
            }
        }
        // and in the end exactly one leads, if anybody is left
        let living = nodes.iter().filter(|node| !node.is_dead && node.election.is_leading()).count();
        let fenced = nodes.iter().filter(|node| !node.is_dead && node.election.role == Role::Fenced).count();
        let alive = nodes.iter().filter(|node| !node.is_dead).count();
        prop_assert!(living == 1 || fenced == alive, "{living} of {alive} lead");
    }
}
