//! Active connections.

mod common;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as BlockingListener};

use common::{Ports, V6, poll_once, read_to_end, receive_all, v4, within, write_all};
use longshore_net::active::connect;
use rustix::net::sockopt;
use tokio::net::TcpListener;

async fn client(address: IpAddr) -> TcpListener {
    TcpListener::bind((address, 0)).await.expect("some port")
}

fn target(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("bound")
}

#[tokio::test]
async fn the_source_is_the_port_below_control() {
    for local in [v4(1), v4(5), V6] {
        let ports = Ports::claim(2);
        let control = SocketAddr::new(local, ports.nth(1));
        let listener = client(local).await;
        let (socket, accepted) =
            within(async { tokio::join!(connect(control, target(&listener)), listener.accept()) }).await;
        let (mut socket, (stream, source)) = (socket.expect("it listens"), accepted.expect("a connection"));
        assert_eq!(source, SocketAddr::new(local, ports.nth(0)));
        assert_eq!((socket.local(), socket.peer()), (source, target(&listener)));
        assert!(sockopt::tcp_nodelay(&socket).expect("option"));
        write_all(&stream, b"to the server").await;
        let mut buffer = Vec::with_capacity(64);
        within(socket.read(&mut buffer)).await.expect("alive");
        assert_eq!(buffer, b"to the server");
        within(socket.write_all(b"to the client")).await.expect("alive");
        drop(socket);
        let (received, end) = read_to_end(&stream).await;
        end.expect("an orderly end");
        assert_eq!(received, b"to the client");
    }
}

#[tokio::test]
async fn one_source_port_serves_several_transfers_at_once() {
    let ports = Ports::claim(2);
    let control = SocketAddr::new(v4(1), ports.nth(1));
    let (one, two) = (client(v4(1)).await, client(v4(2)).await);
    let _first = within(connect(control, target(&one))).await.expect("it listens");
    let second = within(connect(control, target(&two))).await.expect("it listens");
    assert_eq!(second.local().port(), ports.nth(0));
    // The same pair of ports is taken: another source port.
    let third = within(connect(control, target(&one))).await.expect("it listens");
    assert_ne!(third.local().port(), ports.nth(0));
    assert_eq!(third.local().ip(), v4(1));
}

#[tokio::test]
async fn a_pair_in_time_wait_is_no_obstacle() {
    let ports = Ports::claim(2);
    let control = SocketAddr::new(v4(1), ports.nth(1));
    let listener = client(v4(1)).await;
    // The first from L-1; then the kernel decides whether it lets the pair be used again.
    for round in 0..3 {
        let mut socket = within(connect(control, target(&listener))).await.expect("it listens");
        assert!(round > 0 || socket.local().port() == ports.nth(0));
        let (stream, _) = within(listener.accept()).await.expect("a connection");
        // Our end first: the pair stays in TIME_WAIT on our side.
        socket.shutdown().await.expect("alive");
        let (_, end) = read_to_end(&stream).await;
        end.expect("an orderly end");
        drop(stream);
        assert!(receive_all(&mut socket).await.expect("an orderly end").is_empty());
    }
}

#[tokio::test]
async fn a_source_port_that_cannot_be_had_is_replaced() {
    let ports = Ports::claim(2);
    let listener = client(v4(1)).await;
    let _held = BlockingListener::bind((v4(1), ports.nth(0))).expect("claimed");
    // Held by another program; no port below 1; no port below 0.
    for control_port in [ports.nth(1), 1, 0] {
        let control = SocketAddr::new(v4(1), control_port);
        let socket = within(connect(control, target(&listener))).await.expect("it listens");
        assert_ne!(socket.local().port(), ports.nth(0));
        assert_ne!(socket.local().port(), 0);
        assert_eq!(socket.local().ip(), v4(1));
    }
}

#[tokio::test]
async fn refusals_have_their_kinds() {
    async fn check(control: SocketAddr, to: SocketAddr, expected: io::ErrorKind) {
        let error = within(connect(control, to)).await.expect_err("nobody is there");
        assert_eq!(error.kind(), expected, "{control} to {to}: {error}");
    }
    let ports = Ports::claim(3);
    let [below, control, closed] = [ports.nth(0), ports.nth(1), ports.nth(2)];
    for local in [v4(1), V6] {
        let at = |port| SocketAddr::new(local, port);
        check(at(control), at(closed), io::ErrorKind::ConnectionRefused).await;
        // Nobody listens at our own source port; TCP would connect it to itself.
        check(at(control), at(below), io::ErrorKind::ConnectionRefused).await;
    }
    let (four, six) = (SocketAddr::new(v4(1), control), SocketAddr::new(V6, closed));
    check(four, six, io::ErrorKind::InvalidInput).await;
    check(six, four, io::ErrorKind::InvalidInput).await;
    // The local address is not of this machine.
    let foreign = SocketAddr::new("203.0.113.77".parse().expect("an address"), control);
    check(foreign, four, io::ErrorKind::AddrNotAvailable).await;
}

#[tokio::test]
async fn mapped_addresses_are_plain_ones() {
    let ports = Ports::claim(2);
    let listener = client(v4(1)).await;
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::from((ip.to_ipv6_mapped(), address.port())),
        IpAddr::V6(_) => address,
    };
    let control = mapped(SocketAddr::new(v4(1), ports.nth(1)));
    let socket = within(connect(control, mapped(target(&listener)))).await.expect("it listens");
    assert_eq!(socket.local(), SocketAddr::new(v4(1), ports.nth(0)));
    assert_eq!(socket.peer(), target(&listener));
}

#[tokio::test]
async fn a_dropped_attempt_is_closed() {
    let ports = Ports::claim(2);
    let control = SocketAddr::new(v4(1), ports.nth(1));
    let listener = client(v4(1)).await;
    let _ = poll_once(connect(control, target(&listener))).await;
    let (stream, _) = within(listener.accept()).await.expect("the handshake began");
    let _ = read_to_end(&stream).await;
}
