//! What several test programs share: claimed ports, clients with a chosen source address, and
//! waiting for facts instead of sleeping.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use longshore_net::{DataSocket, Reservation, Take};
use tokio::net::{TcpSocket, TcpStream};

pub(crate) const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// 127.0.0.`last`.
pub(crate) fn v4(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

/// Ports that no other test uses while this value lives.
///
/// They lie below the range from which the kernel takes the ports of outgoing connections. The
/// claim is a UDP socket on each port, which does not get in the way of TCP but is seen by tests in
/// other processes.
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    _claims: Vec<UdpSocket>,
}

impl Ports {
    pub(crate) fn claim(count: u16) -> Self {
        for start in (20_000..30_000 - count).step_by(usize::from(count)) {
            let range = start..=start + count - 1;
            let claims: io::Result<Vec<_>> =
                range.clone().map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port))).collect();
            let free = |port| {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
                    && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok()
            };
            if let Ok(claims) = claims
                && range.clone().all(free)
            {
                return Self { range, _claims: claims };
            }
        }
        panic!("no {count} free ports in a row between 20000 and 30000");
    }

    pub(crate) fn range(&self) -> RangeInclusive<u16> {
        self.range.clone()
    }

    pub(crate) fn nth(&self, index: u16) -> u16 {
        self.range.start() + index
    }
}

/// Fails a test that hangs. Not a measure of anything.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the test hangs")
}

/// Asks again, letting other tasks run, until there is an answer.
pub(crate) async fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    within(async {
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// Polls `future` once and drops it.
pub(crate) async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// Connects from `source` to `port` of `target`.
pub(crate) async fn connect_from(source: IpAddr, target: IpAddr, port: u16) -> TcpStream {
    try_connect_from(source, target, port).await.expect("the port listens")
}

pub(crate) async fn try_connect_from(source: IpAddr, target: IpAddr, port: u16) -> io::Result<TcpStream> {
    let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(source, 0))?;
    within(socket.connect(SocketAddr::new(target, port))).await
}

/// Calls `try_take` until the connection is there.
pub(crate) async fn taken(reservation: &mut Reservation) -> DataSocket {
    until(|| match reservation.try_take() {
        Take::Connected(socket) => Some(socket),
        Take::NotYet => None,
    })
    .await
}

/// A state of a TCP socket as `/proc/net/tcp` writes it.
#[derive(Clone, Copy)]
pub(crate) enum State {
    Established,
    CloseWait,
    Close,
}

/// Whether our end of `client` (the one at its target) is in `state`, IPv4 only.
///
/// `Close` is the state after a reset, in which the kernel shows the socket no more.
pub(crate) fn our_end_is(client: &Ends, state: State) -> bool {
    let hexadecimal = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()),
        IpAddr::V6(_) => panic!("IPv4 only"),
    };
    let pair = format!("{} {} ", hexadecimal(client.target), hexadecimal(client.source));
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("/proc is mounted");
    let found = table.split_once(&pair).map(|(_, rest)| &rest[..2]);
    match state {
        State::Established => found == Some("01"),
        State::CloseWait => found == Some("08"),
        State::Close => found.is_none(),
    }
}

/// Waits until our end of `client` is in `state`.
pub(crate) async fn until_our_end_is(client: &Ends, state: State) {
    until(|| our_end_is(client, state).then_some(())).await;
}

/// The two addresses of a client's connection.
pub(crate) struct Ends {
    pub(crate) source: SocketAddr,
    pub(crate) target: SocketAddr,
}

impl Ends {
    pub(crate) fn of(client: &TcpStream) -> Self {
        Self {
            source: client.local_addr().expect("connected"),
            target: client.peer_addr().expect("connected"),
        }
    }
}

/// What a client reads until the end or an error, without tokio's `AsyncReadExt`.
pub(crate) async fn read_to_end(client: &TcpStream) -> (Vec<u8>, io::Result<()>) {
    let mut all = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        within(client.readable()).await.expect("the runtime lives");
        match client.try_read(&mut buffer) {
            Ok(0) => return (all, Ok(())),
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return (all, Err(error)),
        }
    }
}

/// Writes everything from a client.
pub(crate) async fn write_all(client: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        within(client.writable()).await.expect("the runtime lives");
        match client.try_write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("writing: {error}"),
        }
    }
}

/// Everything that our end receives until the peer's end.
pub(crate) async fn receive_all(socket: &mut DataSocket) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        all.reserve(4096);
        if within(socket.read(&mut all)).await? == 0 {
            return Ok(all);
        }
    }
}

/// Bytes in which every position can be told from its neighbours.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8 ^ (index / 251 % 256) as u8).collect()
}

/// A connected pair: our end, as a passive reservation delivered it, and the client's.
pub(crate) async fn pair(local: IpAddr) -> (DataSocket, TcpStream) {
    let ports = Ports::claim(1);
    let pool = longshore_net::PassivePool::new(ports.range()).expect("a valid range");
    let mut reservation =
        pool.reserve(local, longshore_net::PeerRule::Exactly(local)).expect("the port was probed");
    let client = connect_from(local, local, reservation.port()).await;
    let socket = within(reservation.take()).await.expect("a connection");
    (socket, client)
}
