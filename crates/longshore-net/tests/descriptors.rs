//! No descriptor is left behind. A test program of its own with one test, since it counts the
//! descriptors of the whole process.

mod common;

use std::net::SocketAddr;

use common::{Ports, V6, connect_from, poll_once, read_to_end, taken, until, v4, within, write_all};
use longshore_net::{PassivePool, PeerRule, active, control_listener, wait_urgent};
use tokio::net::TcpStream;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc is mounted").count()
}

async fn everything(ports: &Ports) {
    let pool = PassivePool::new(ports.range()).expect("a valid range");
    for local in [v4(1), V6] {
        // Never asked; asked; waited for; connected and never taken; taken in both ways.
        drop(pool.reserve(local, PeerRule::Anyone).expect("free"));
        let mut reservation = pool.reserve(local, PeerRule::Exactly(local)).expect("free");
        reservation.try_take();
        assert!(poll_once(reservation.take()).await.is_pending());
        let client = connect_from(local, local, reservation.port()).await;
        drop(reservation);
        drop(client);
        let mut reservation = pool.reserve(local, PeerRule::Exactly(local)).expect("free");
        let client = connect_from(local, local, reservation.port()).await;
        let mut socket = taken(&mut reservation).await;
        assert!(poll_once(socket.read(&mut Vec::with_capacity(1))).await.is_pending());
        socket.abort();
        drop(client);
        let mut reservation = pool.reserve(local, PeerRule::Exactly(local)).expect("free");
        let client = connect_from(local, local, reservation.port()).await;
        let mut socket = within(reservation.take()).await.expect("a connection");
        within(socket.write_all(b"x")).await.expect("alive");
        write_all(&client, b"?").await;
        until(|| socket.unread().then_some(())).await;
        socket.drain_in_background();
        let _ = read_to_end(&client).await;
    }
    // A mailbox that nobody empties, and strangers.
    let held: Vec<_> =
        ports.range().map(|_| pool.reserve(v4(1), PeerRule::Exactly(v4(1))).expect("free")).collect();
    let mut shared = pool.reserve(v4(1), PeerRule::Exactly(v4(3))).expect("shared");
    let clients = [
        connect_from(v4(1), v4(1), shared.port()).await,
        connect_from(v4(2), v4(1), shared.port()).await,
        connect_from(v4(3), v4(1), shared.port()).await,
    ];
    taken(&mut shared).await;
    drop((held, shared, clients));

    let control = SocketAddr::new(v4(1), ports.nth(1));
    active::connect(control, SocketAddr::new(v4(1), ports.nth(2))).await.expect_err("refused");
    let listener = control_listener(SocketAddr::new(v4(1), 0)).expect("some port");
    let target = listener.local_addr().expect("bound");
    let _ = poll_once(active::connect(control, target)).await;
    let socket = within(active::connect(control, target)).await.expect("it listens");
    drop(socket);
    let client = within(TcpStream::connect(target)).await.expect("it listens");
    assert!(poll_once(wait_urgent(&client)).await.is_pending());
}

#[test]
fn descriptors_are_closed() {
    // What a process opens once and keeps for all its runtimes is opened before counting.
    drop(tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
    let before = open_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let ports = Ports::claim(3);
        everything(&ports).await;
        let steady = open_descriptors();
        for _ in 0..20 {
            everything(&ports).await;
        }
        // Drains end when their task sees the end of a client that is gone.
        until(|| (open_descriptors() <= steady).then_some(())).await;
    });
    drop(runtime);
    assert_eq!(open_descriptors(), before);
}
