//! Whose connection a reservation gets, and which connections it refuses.

mod common;

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{
    Ends, Ports, State, V6, connect_from, our_end_is, poll_once, read_to_end, receive_all, taken, until,
    until_our_end_is, v4, within, write_all,
};
use longshore_net::{DataSocket, PassivePool, PeerRule, Reservation, Take};
use rustix::io::FdFlags;
use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

fn pool(ports: &Ports) -> PassivePool {
    PassivePool::new(ports.range()).expect("a valid range")
}

#[track_caller]
fn reserve(pool: &PassivePool, peer: IpAddr) -> Reservation {
    let local = if peer.is_ipv4() { v4(1) } else { V6 };
    pool.reserve(local, PeerRule::Exactly(peer)).expect("a port is free")
}

async fn connect(peer: IpAddr, reservation: &Reservation) -> TcpStream {
    let local = if peer.is_ipv4() { v4(1) } else { V6 };
    connect_from(peer, local, reservation.port()).await
}

#[track_caller]
fn not_yet(reservation: &mut Reservation) {
    assert!(matches!(reservation.try_take(), Take::NotYet));
}

/// A refused connection is closed; whether by FIN or by a reset depends on what was in flight.
async fn refused(client: &TcpStream) {
    let (received, _) = read_to_end(client).await;
    assert!(received.is_empty());
}

#[tokio::test]
async fn a_standing_connection_is_taken_at_once() {
    for peer in [v4(1), v4(2), V6] {
        let ports = Ports::claim(1);
        let pool = pool(&ports);
        let mut reservation = reserve(&pool, peer);
        not_yet(&mut reservation);
        let client = connect(peer, &reservation).await;
        let socket = taken(&mut reservation).await;
        assert_eq!(socket.peer(), client.local_addr().expect("connected"));
        assert_eq!(socket.local(), client.peer_addr().expect("connected"));
        assert!(sockopt::tcp_nodelay(&socket).expect("option"));
        assert!(rustix::io::fcntl_getfd(&socket).expect("open").contains(FdFlags::CLOEXEC));
        let status = rustix::fs::fcntl_getfl(&socket).expect("open");
        assert!(status.contains(rustix::fs::OFlags::NONBLOCK));
        assert_eq!((reservation.strangers(), reservation.surplus()), (0, 0));
    }
}

#[tokio::test]
async fn one_reservation_gives_one_connection() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let mut reservation = reserve(&pool, v4(1));
    let _first = connect(v4(1), &reservation).await;
    let _socket = taken(&mut reservation).await;
    let error = reservation.take().await.expect_err("given already");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);

    let second = connect(v4(1), &reservation).await;
    until(|| {
        not_yet(&mut reservation);
        (reservation.surplus() == 1).then_some(())
    })
    .await;
    refused(&second).await;
    // One that nobody asked about is closed with the reservation.
    let third = connect(v4(1), &reservation).await;
    drop(reservation);
    refused(&third).await;
}

#[tokio::test]
async fn strangers_are_closed_while_the_wait_goes_on() {
    for (peer, strange) in [(v4(1), v4(2)), (v4(2), v4(1))] {
        let ports = Ports::claim(1);
        let pool = pool(&ports);
        let mut reservation = reserve(&pool, peer);
        let port = reservation.port();
        let clients = async {
            for _ in 0..3 {
                let stranger = connect_from(strange, v4(1), port).await;
                refused(&stranger).await;
            }
            connect_from(peer, v4(1), port).await
        };
        let (socket, client) = within(async { tokio::join!(reservation.take(), clients) }).await;
        assert_eq!(socket.expect("a connection").peer(), client.local_addr().expect("connected"));
        assert_eq!(reservation.strangers(), 3);
    }
}

#[tokio::test]
async fn strangers_before_the_mark_are_closed_and_counted() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let mut reservation = reserve(&pool, v4(1));
    let stranger = connect(v4(2), &reservation).await;
    until(|| {
        not_yet(&mut reservation);
        (reservation.strangers() == 1).then_some(())
    })
    .await;
    refused(&stranger).await;
    let _client = connect(v4(1), &reservation).await;
    taken(&mut reservation).await;
}

#[tokio::test]
async fn anyone_takes_whoever_comes_first() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let mut reservation = pool.reserve(v4(1), PeerRule::Anyone).expect("free");
    let first = connect(v4(7), &reservation).await;
    until_our_end_is(&Ends::of(&first), State::Established).await;
    let second = connect(v4(1), &reservation).await;
    let socket = within(reservation.take()).await.expect("a connection");
    assert_eq!(socket.peer(), first.local_addr().expect("connected"));
    until(|| {
        not_yet(&mut reservation);
        (reservation.surplus() == 1).then_some(())
    })
    .await;
    refused(&second).await;
}

/// Two peers at one port: each gets its own connection, whoever connects first, whoever is asked
/// first, and whether it waits or not.
#[tokio::test]
async fn two_peers_share_one_port() {
    for reversed in [false, true] {
        for first_waits in [false, true] {
            let ports = Ports::claim(1);
            let pool = pool(&ports);
            let mut one = reserve(&pool, v4(1));
            let mut three = reserve(&pool, v4(3));
            assert_eq!(one.port(), three.port());
            if first_waits {
                assert!(poll_once(one.take()).await.is_pending());
            }
            let (client_one, client_three);
            if reversed {
                client_three = connect(v4(3), &three).await;
                client_one = connect(v4(1), &one).await;
            } else {
                client_one = connect(v4(1), &one).await;
                client_three = connect(v4(3), &three).await;
            }
            // This round also meets the connection of the other and must keep it.
            let socket_three = taken(&mut three).await;
            let socket_one = within(one.take()).await.expect("a connection");
            assert_eq!(socket_one.peer(), client_one.local_addr().expect("connected"));
            assert_eq!(socket_three.peer(), client_three.local_addr().expect("connected"));
            assert_eq!([one.strangers(), three.strangers()], [0, 0]);
            assert_eq!([one.surplus(), three.surplus()], [0, 0]);
        }
    }
}

/// Waits in a task of its own, which is polled only when it is woken. The counter tells how often;
/// the first time has been.
async fn wait_in_task(
    mut reservation: Reservation,
) -> (JoinHandle<io::Result<DataSocket>>, Arc<AtomicUsize>) {
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&polls);
    let task = tokio::spawn(async move {
        let mut take = pin!(reservation.take());
        poll_fn(|context| {
            counter.fetch_add(1, Ordering::Relaxed);
            take.as_mut().poll(context)
        })
        .await
    });
    until(|| (polls.load(Ordering::Relaxed) > 0).then_some(())).await;
    (task, polls)
}

/// A connection that another reservation's round has accepted wakes the task that waits for it. The
/// reactor cannot do that: by the time it looks, nothing is pending any more.
#[tokio::test]
async fn a_filled_mailbox_wakes_its_owner() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let one = reserve(&pool, v4(1));
    let mut three = reserve(&pool, v4(3));
    let (waiting, _) = wait_in_task(one).await;
    // From here to the round of `three` the reactor has no turn.
    let target = SocketAddr::new(v4(1), three.port());
    let client = std::net::TcpStream::connect(target).expect("the port listens");
    let source = client.local_addr().expect("connected");
    while !our_end_is(&Ends { source, target }, State::Established) {
        std::thread::yield_now();
    }
    not_yet(&mut three);
    let socket = within(waiting).await.expect("no panic").expect("a connection");
    assert_eq!(socket.peer(), source);
}

#[tokio::test]
async fn a_wait_does_not_spin_after_strangers() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let reservation = reserve(&pool, v4(1));
    let port = reservation.port();
    let (waiting, polls) = wait_in_task(reservation).await;
    let stranger = connect_from(v4(2), v4(1), port).await;
    refused(&stranger).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    // The first poll, one for the stranger, and a few to spare.
    assert!(polls.load(Ordering::Relaxed) < 10);
    let _client = connect_from(v4(1), v4(1), port).await;
    within(waiting).await.expect("no panic").expect("a connection");
}

#[tokio::test]
async fn a_stranger_counts_for_everybody_at_the_port() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let mut one = reserve(&pool, v4(1));
    let three = reserve(&pool, v4(3));
    let stranger = connect(v4(2), &one).await;
    until(|| {
        not_yet(&mut one);
        (one.strangers() == 1).then_some(())
    })
    .await;
    refused(&stranger).await;
    assert_eq!(three.strangers(), 1);
    // Somebody who comes later has not seen that one.
    assert_eq!(reserve(&pool, v4(4)).strangers(), 0);
}

#[tokio::test]
async fn what_was_pending_before_the_reservation_is_not_for_it() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let one = reserve(&pool, v4(1));
    let early = connect(v4(3), &one).await;
    let own = connect(v4(1), &one).await;
    until_our_end_is(&Ends::of(&early), State::Established).await;
    until_our_end_is(&Ends::of(&own), State::Established).await;
    let mut three = reserve(&pool, v4(3));
    assert_eq!(three.port(), one.port());
    not_yet(&mut three);
    refused(&early).await;
    assert_eq!((one.strangers(), three.strangers()), (1, 0));
    // The first reservation's own connection has survived that.
    let mut one = one;
    let socket = within(one.take()).await.expect("a connection");
    assert_eq!(socket.peer(), own.local_addr().expect("connected"));
    let late = connect(v4(3), &three).await;
    assert_eq!(taken(&mut three).await.peer(), late.local_addr().expect("connected"));
}

#[tokio::test]
async fn a_connection_for_a_reservation_that_has_ended_is_not_delivered_later() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let mut one = reserve(&pool, v4(1));
    let three = reserve(&pool, v4(3));
    let old = connect(v4(3), &three).await;
    until_our_end_is(&Ends::of(&old), State::Established).await;
    // It lies in the mailbox of a reservation that ends without taking it.
    not_yet(&mut one);
    drop(three);
    refused(&old).await;
    let mut again = reserve(&pool, v4(3));
    not_yet(&mut again);
    assert_eq!((one.strangers(), again.strangers()), (0, 0));
}

#[tokio::test]
async fn a_dropped_wait_loses_nothing() {
    for peer in [v4(1), V6] {
        let ports = Ports::claim(1);
        let pool = pool(&ports);
        let mut reservation = reserve(&pool, peer);
        assert!(poll_once(reservation.take()).await.is_pending());
        let client = connect(peer, &reservation).await;
        // Polled once and dropped, over and over, while the connection arrives.
        let socket = within(async {
            loop {
                if let std::task::Poll::Ready(result) = poll_once(reservation.take()).await {
                    return result;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("a connection");
        assert_eq!(socket.peer(), client.local_addr().expect("connected"));
    }
}

#[tokio::test]
async fn a_dropped_wait_leaves_the_mailbox() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let mut one = reserve(&pool, v4(1));
    let mut three = reserve(&pool, v4(3));
    assert!(poll_once(one.take()).await.is_pending());
    let client = connect(v4(1), &one).await;
    until_our_end_is(&Ends::of(&client), State::Established).await;
    not_yet(&mut three);
    let Take::Connected(socket) = one.try_take() else { panic!("the round of the other found it") };
    assert_eq!(socket.peer(), client.local_addr().expect("connected"));
}

#[tokio::test]
async fn a_dead_standing_connection_is_discarded() {
    for reset in [false, true] {
        let ports = Ports::claim(1);
        let pool = pool(&ports);
        let mut reservation = reserve(&pool, v4(1));
        let dead = connect(v4(1), &reservation).await;
        let ends = Ends::of(&dead);
        until_our_end_is(&ends, State::Established).await;
        if reset {
            sockopt::set_socket_linger(&dead, Some(Duration::ZERO)).expect("option");
            drop(dead);
            until_our_end_is(&ends, State::Close).await;
        } else {
            drop(dead);
            until_our_end_is(&ends, State::CloseWait).await;
        }
        not_yet(&mut reservation);
        // The wait goes on, and a living connection is delivered.
        let living = connect(v4(1), &reservation).await;
        let socket = within(reservation.take()).await.expect("a connection");
        assert_eq!(socket.peer(), living.local_addr().expect("connected"));
        assert_eq!((reservation.strangers(), reservation.surplus()), (0, 0));
    }
}

#[tokio::test]
async fn a_living_connection_behind_dead_ones_is_found_in_one_call() {
    for shared in [false, true] {
        let ports = Ports::claim(1);
        let pool = pool(&ports);
        let mut reservation = reserve(&pool, v4(1));
        let _other = shared.then(|| reserve(&pool, v4(3)));
        for _ in 0..5 {
            let dead = connect(v4(1), &reservation).await;
            let ends = Ends::of(&dead);
            drop(dead);
            until_our_end_is(&ends, State::CloseWait).await;
        }
        let living = connect(v4(1), &reservation).await;
        until_our_end_is(&Ends::of(&living), State::Established).await;
        let Take::Connected(socket) = reservation.try_take() else { panic!("it stands") };
        assert_eq!(socket.peer(), living.local_addr().expect("connected"));
    }
}

#[tokio::test]
async fn data_before_the_end_keeps_a_standing_connection_alive() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let mut reservation = reserve(&pool, v4(1));
    let client = connect(v4(1), &reservation).await;
    let ends = Ends::of(&client);
    write_all(&client, b"x").await;
    drop(client);
    until_our_end_is(&ends, State::CloseWait).await;
    let Take::Connected(mut socket) = reservation.try_take() else { panic!("it stands") };
    assert_eq!(receive_all(&mut socket).await.expect("an orderly end"), b"x");
}

#[tokio::test]
async fn an_end_after_the_mark_is_delivered() {
    let ports = Ports::claim(1);
    let pool = pool(&ports);
    let mut reservation = reserve(&pool, v4(1));
    not_yet(&mut reservation);
    assert!(poll_once(reservation.take()).await.is_pending());
    let client = connect(v4(1), &reservation).await;
    let ends = Ends::of(&client);
    drop(client);
    until_our_end_is(&ends, State::CloseWait).await;
    let mut socket = within(reservation.take()).await.expect("a connection");
    assert!(receive_all(&mut socket).await.expect("an orderly end").is_empty());
}

/// Many peers at few ports, on several threads: everyone gets the bytes of their own peer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_peers_share_few_ports() {
    let ports = Ports::claim(3);
    let pool = pool(&ports);
    let sessions: Vec<_> = (1..=120_u8)
        .map(|peer| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for round in 0..10_u8 {
                    let mut reservation = reserve(&pool, v4(peer));
                    let port = reservation.port();
                    let client = tokio::spawn(async move {
                        let client = connect_from(v4(peer), v4(1), port).await;
                        write_all(&client, &[peer, round]).await;
                    });
                    let mut socket = match reservation.try_take() {
                        Take::Connected(socket) => socket,
                        Take::NotYet => within(reservation.take()).await.expect("a connection"),
                    };
                    drop(reservation);
                    let received = receive_all(&mut socket).await.expect("an orderly end");
                    assert_eq!(received, [peer, round]);
                    client.await.expect("no panic");
                }
            })
        })
        .collect();
    for session in sessions {
        session.await.expect("no panic");
    }
}
