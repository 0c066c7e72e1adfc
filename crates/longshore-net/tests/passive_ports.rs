//! Which port a reservation gets.

mod common;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;

use common::{Ports, V6, connect_from, poll_once, taken, try_connect_from, until, v4, within};
use longshore_net::{PassivePool, PeerRule, PoolError, Reservation, ReserveError, Take, limits};
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

fn pool(ports: &Ports) -> PassivePool {
    PassivePool::new(ports.range()).expect("a valid range")
}

#[track_caller]
fn reserve(pool: &PassivePool, peer: IpAddr) -> Reservation {
    let local = if peer.is_ipv4() { v4(1) } else { V6 };
    pool.reserve(local, PeerRule::Exactly(peer)).expect("a port is free")
}

#[track_caller]
fn refused(pool: &PassivePool, peer: PeerRule) -> ReserveError {
    pool.reserve(v4(1), peer).expect_err("nothing can be shared")
}

#[test]
fn ranges_are_checked() {
    #[track_caller]
    fn check(first: u16, last: u16, expected: impl FnOnce(RangeInclusive<u16>) -> Result<(), PoolError>) {
        let ports = RangeInclusive::new(first, last);
        assert_eq!(PassivePool::new(ports.clone()).map(drop), expected(ports));
    }
    check(1, 1, |_| Ok(()));
    check(65535, 65535, |_| Ok(()));
    check(1, 65535, |_| Ok(()));
    check(0, 0, |ports| Err(PoolError::Zero { ports }));
    check(0, 9, |ports| Err(PoolError::Zero { ports }));
    check(9, 8, |ports| Err(PoolError::Empty { ports }));
    check(1, 0, |ports| Err(PoolError::Empty { ports }));
    assert_eq!(PassivePool::new(7..=9).expect("valid").ports(), 7..=9);
}

#[test]
fn a_port_given_back_comes_last() {
    let ports = Ports::claim(3);
    let pool = pool(&ports);
    let [first, second, third] = [ports.nth(0), ports.nth(1), ports.nth(2)];
    for expected in [first, second, third, first, second, third, first] {
        assert_eq!(reserve(&pool, v4(1)).port(), expected);
    }
    // Now second is oldest. It is held for long, while the others come and go.
    let long = reserve(&pool, v4(1));
    assert_eq!(long.port(), second);
    for expected in [third, first, third, first] {
        assert_eq!(reserve(&pool, v4(1)).port(), expected);
    }
    drop(long);
    for expected in [third, first, second] {
        assert_eq!(reserve(&pool, v4(1)).port(), expected, "the one just given back comes last");
    }
}

/// The reservation of a peer that has connected, as it was told to, and is through.
async fn served(pool: &PassivePool, peer: IpAddr) -> u16 {
    let mut reservation = reserve(pool, peer);
    let _client = connect_from(peer, v4(1), reservation.port()).await;
    drop(taken(&mut reservation).await);
    reservation.port()
}

#[tokio::test]
async fn a_port_whose_peer_is_through_is_next() {
    let ports = Ports::claim(3);
    let pool = pool(&ports);
    let first = served(&pool, v4(2)).await;
    assert_eq!(first, ports.nth(0));
    // It has never ceased to listen. Whoever connects before it is promised anew is closed, and is nobody's connection.
    let mut early = connect_from(v4(3), v4(1), first).await;
    let mut reservation = reserve(&pool, v4(3));
    assert_eq!(reservation.port(), first, "another peer gets it as well");
    assert!(matches!(reservation.try_take(), Take::NotYet));
    let mut byte = [0];
    let end = within(tokio::io::AsyncReadExt::read(&mut early, &mut byte)).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    let own = connect_from(v4(3), v4(1), first).await;
    let socket = taken(&mut reservation).await;
    assert_eq!(socket.peer(), own.local_addr().expect("it is connected"));
    // Several at once have one each, the oldest first.
    let held: Vec<_> = (0..2).map(|_| reserve(&pool, v4(2))).collect();
    assert_eq!(held.iter().map(Reservation::port).collect::<Vec<_>>(), [ports.nth(1), ports.nth(2)]);
    drop(reservation);
    assert_eq!(reserve(&pool, v4(2)).port(), first);
    assert_eq!(
        reserve(&pool, v4(2)).port(),
        first,
        "it was not used, and so it was closed: it is the only one left"
    );
}

/// Else a client that closes first would run out of ports of its own.
#[tokio::test]
async fn no_port_is_next_for_ever() {
    let ports = Ports::claim(3);
    let pool = pool(&ports);
    for turn in 0..3 {
        for _ in 0..limits::WARM_TIMES {
            assert_eq!(served(&pool, v4(2)).await, ports.nth(turn));
        }
    }
}

#[tokio::test]
async fn a_port_whose_peer_may_still_come_is_closed() {
    let ports = Ports::claim(3);
    let pool = pool(&ports);
    // Nobody has connected.
    let port = reserve(&pool, v4(2)).port();
    assert!(try_connect_from(v4(2), v4(1), port).await.is_err());
    // Two have.
    let mut reservation = reserve(&pool, v4(2));
    let port = reservation.port();
    let _clients = [connect_from(v4(2), v4(1), port).await, connect_from(v4(2), v4(1), port).await];
    let _socket = taken(&mut reservation).await;
    until(|| {
        let _ = reservation.try_take();
        (reservation.surplus() == 1).then_some(())
    })
    .await;
    drop(reservation);
    assert!(try_connect_from(v4(2), v4(1), port).await.is_err());
    // One has, and was not taken.
    let reservation = reserve(&pool, v4(2));
    let port = reservation.port();
    let _client = connect_from(v4(2), v4(1), port).await;
    drop(reservation);
    assert!(try_connect_from(v4(2), v4(1), port).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_port_that_nobody_wants_again_is_closed() {
    let ports = Ports::claim(3);
    let pool = pool(&ports);
    let port = served(&pool, v4(2)).await;
    let address = SocketAddr::new(v4(1), port);
    drop(std::net::TcpStream::connect(address).expect("it listens still"));
    tokio::time::sleep(limits::WARM_TIME * 2).await;
    assert!(poll_once(tokio::task::yield_now()).await.is_pending());
    until(|| std::net::TcpStream::connect(address).is_err().then_some(())).await;
    assert_eq!(reserve(&pool, v4(2)).port(), ports.nth(1), "it is the last one again");
    // The pool can be dropped while some are open.
    let port = served(&pool, v4(2)).await;
    drop(pool);
    assert!(std::net::TcpStream::connect(SocketAddr::new(v4(1), port)).is_err());
}

#[tokio::test]
async fn only_so_many_listen_for_nobody() {
    let most = u16::try_from(limits::WARM_LISTENERS).expect("a port each");
    let ports = Ports::claim(most + 1);
    let pool = pool(&ports);
    let mut held = Vec::new();
    let mut clients = Vec::new();
    for _ in ports.range() {
        let mut reservation = reserve(&pool, v4(2));
        clients.push(connect_from(v4(2), v4(1), reservation.port()).await);
        drop(taken(&mut reservation).await);
        held.push(reservation);
    }
    let order: Vec<_> = held.iter().map(Reservation::port).collect();
    drop(held);
    let listens = |port: &u16| std::net::TcpStream::connect(SocketAddr::new(v4(1), *port)).is_ok();
    assert_eq!(order.iter().filter(|port| listens(port)).count(), usize::from(most));
    assert!(!listens(&order[usize::from(most)]));
}

#[test]
fn unlistened_ports_come_before_shared_ones() {
    let ports = Ports::claim(3);
    let pool = pool(&ports);
    let held: Vec<_> = (1..=3).map(|peer| reserve(&pool, v4(peer))).collect();
    let distinct: HashSet<_> = held.iter().map(Reservation::port).collect();
    assert_eq!(distinct.len(), 3);
    // All are open now; a fourth peer shares the oldest.
    assert_eq!(reserve(&pool, v4(4)).port(), held[0].port());
}

#[test]
fn shared_ports_are_reused_oldest_first() {
    let ports = Ports::claim(3);
    let pool = pool(&ports);
    let _held: Vec<_> = (0..3).map(|_| reserve(&pool, v4(1))).collect();
    for expected in [0, 1, 2, 0, 1, 2] {
        assert_eq!(reserve(&pool, v4(2)).port(), ports.nth(expected));
    }
}

#[test]
fn one_peer_never_has_a_port_twice() {
    let ports = Ports::claim(2);
    let pool = pool(&ports);
    let _first = reserve(&pool, v4(2));
    let second = reserve(&pool, v4(2));
    let error = refused(&pool, PeerRule::Exactly(v4(2)));
    assert!(matches!(error, ReserveError::Exhausted { reserved: 2, busy: 0, .. }), "{error:?}");
    // The IPv4-mapped form is the same peer, on a local address in either form.
    let mapped = "::ffff:127.0.0.2".parse().expect("an address");
    let local = "::ffff:127.0.0.1".parse().expect("an address");
    refused(&pool, PeerRule::Exactly(mapped));
    pool.reserve(local, PeerRule::Exactly(mapped)).expect_err("the same peer at the same address");
    drop(second);
    let third = pool.reserve(local, PeerRule::Exactly(mapped)).expect("a port is free");
    assert_eq!(third.port(), ports.nth(1));
}

#[test]
fn anyone_does_not_share() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let anyone = pool.reserve(v4(1), PeerRule::Anyone).expect("free");
    refused(&pool, PeerRule::Exactly(v4(2)));
    refused(&pool, PeerRule::Anyone);
    drop(anyone);
    let exactly = reserve(&pool, v4(2));
    refused(&pool, PeerRule::Anyone);
    drop(exactly);
    pool.reserve(v4(1), PeerRule::Anyone).expect("free again");
}

#[test]
fn the_same_number_at_another_address_is_another_port() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let four = reserve(&pool, v4(1));
    let six = reserve(&pool, V6);
    let other = pool.reserve(v4(9), PeerRule::Exactly(v4(1))).expect("another address");
    assert_eq!([four.port(), six.port(), other.port()], [ports.nth(0); 3]);
    pool.reserve(V6, PeerRule::Exactly(V6)).expect_err("taken there too");
    drop(four);
    // The listeners at the other addresses live on.
    refused_at(&pool, V6);
    reserve(&pool, v4(1));
}

#[track_caller]
fn refused_at(pool: &PassivePool, local: IpAddr) {
    pool.reserve(local, PeerRule::Exactly(local)).expect_err("taken");
}

#[test]
fn exhaustion_names_range_and_remedy() {
    let ports = Ports::claim(2);
    let pool = pool(&ports);
    let _foreign = TcpListener::bind((v4(1), ports.nth(0))).expect("claimed");
    let _ours = reserve(&pool, v4(2));
    let text = refused(&pool, PeerRule::Exactly(v4(2))).to_string();
    let range = format!("{}-{}", ports.nth(0), ports.nth(1));
    for words in [range.as_str(), "127.0.0.1", "1 reserved", "1 used by other sockets", "widen the range"] {
        assert!(text.contains(words), "{words:?} is missing in {text:?}");
    }
    assert!(!text.contains('\n'));
}

#[test]
fn busy_ports_are_passed_over() {
    let ports = Ports::claim(3);
    let pool = pool(&ports);
    let here = TcpListener::bind((v4(1), ports.nth(0))).expect("claimed");
    let everywhere = TcpListener::bind(("0.0.0.0", ports.nth(1))).expect("claimed");
    let held = reserve(&pool, v4(1));
    assert_eq!(held.port(), ports.nth(2));
    refused(&pool, PeerRule::Exactly(v4(1)));
    drop(everywhere);
    let second = reserve(&pool, v4(1));
    assert_eq!(second.port(), ports.nth(1));
    drop(here);
    assert_eq!(reserve(&pool, v4(1)).port(), ports.nth(0));
}

#[test]
fn a_port_bound_but_not_listening_is_busy_too() {
    let ports = Ports::claim(2);
    let pool = pool(&ports);
    // Bound with SO_REUSEADDR, because the port may have connections in TIME_WAIT, then without.
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("option");
    bind(&socket, &SocketAddr::new(v4(1), ports.nth(0))).expect("claimed");
    sockopt::set_socket_reuseaddr(&socket, false).expect("option");
    assert_eq!(reserve(&pool, v4(1)).port(), ports.nth(1));
}

#[test]
fn an_address_that_is_not_here_is_named() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let foreign: IpAddr = "203.0.113.77".parse().expect("an address");
    let error = pool.reserve(foreign, PeerRule::Anyone).expect_err("not on this machine");
    assert!(matches!(error, ReserveError::NotHere { local } if local == foreign), "{error:?}");
    assert!(error.to_string().contains("203.0.113.77"));
    // Nothing is lost by the failure.
    assert_eq!(reserve(&pool, v4(1)).port(), ports.nth(0));
}

/// Random reservations and releases against a model that knows only the promises.
#[test]
fn promises_hold_in_random_sequences() {
    let ports = Ports::claim(4);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let pool = pool(&ports);
    let peers: Vec<PeerRule> =
        (1..=5).map(|peer| PeerRule::Exactly(v4(peer))).chain([PeerRule::Anyone]).collect();
    let mut living: Vec<(PeerRule, Reservation)> = Vec::new();
    // Ports in the order of their last use, the oldest first.
    let mut order: Vec<u16> = ports.range().collect();
    for step in 0..4000 {
        if living.len() > 12 || (random(2) == 0 && !living.is_empty()) {
            let (_, ended) = living.swap_remove(random(living.len()));
            order.retain(|port| *port != ended.port());
            order.push(ended.port());
            continue;
        }
        let peer = peers[random(peers.len())];
        let users = |port: u16| -> Vec<PeerRule> {
            living.iter().filter(|(_, held)| held.port() == port).map(|(rule, _)| *rule).collect()
        };
        let fresh = order.iter().copied().find(|port| users(*port).is_empty());
        let shared = order.iter().copied().find(|port| {
            let users = users(*port);
            peer != PeerRule::Anyone && !users.contains(&peer) && !users.contains(&PeerRule::Anyone)
        });
        let expected = fresh.or(shared);
        let reserved = pool.reserve(v4(1), peer);
        assert_eq!(reserved.as_ref().ok().map(Reservation::port), expected, "step {step}, {peer:?}");
        if let Ok(reserved) = reserved {
            order.retain(|port| *port != reserved.port());
            order.push(reserved.port());
            living.push((peer, reserved));
        }
    }
}

#[test]
fn a_listener_closes_with_its_last_reservation() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let first = reserve(&pool, v4(1));
    let second = reserve(&pool, v4(2));
    drop(first);
    std::net::TcpStream::connect((v4(1), ports.nth(0))).expect("the second still listens");
    drop(second);
    let error = std::net::TcpStream::connect((v4(1), ports.nth(0))).expect_err("closed");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// A port that is given back is closed before anybody else can try it.
#[test]
fn threads_do_not_find_their_own_ports_busy() {
    let ports = Ports::claim(2);
    let pool = pool(&ports);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    match pool.reserve(v4(1), PeerRule::Exactly(v4(1))) {
                        Ok(reservation) => assert!(ports.range().contains(&reservation.port())),
                        Err(ReserveError::Exhausted { reserved, busy, .. }) => {
                            assert_eq!((reserved, busy), (2, 0));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
}
