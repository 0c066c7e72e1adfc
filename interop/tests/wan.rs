//! The wide-area link does what it says: it delays, bounds, loses, and carries packets as they are.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use longshore_interop::{Control, End, Link, Wan, pattern};

const BOUND: Duration = Duration::from_secs(30);

fn fast() -> Link {
    Link { round_trip: Duration::from_millis(4), rate_bits_per_second: 1e8, ..Link::default() }
}

fn listen(wan: &Wan) -> (TcpListener, SocketAddr) {
    let listener = wan.at(End::A, || TcpListener::bind((End::A.address(), 0))).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

fn connect(wan: &Wan, address: SocketAddr) -> TcpStream {
    let stream = wan.at(End::B, || TcpStream::connect(address)).expect("the link carries connections");
    stream.set_read_timeout(Some(BOUND)).expect("a bound that is not zero");
    stream
}

#[test]
fn a_datagram_takes_at_least_the_delay_each_way() {
    let round_trip = Duration::from_millis(80);
    let Some(wan) = Wan::make(Link { round_trip, ..fast() }) else { return };
    let bind = |end: End| {
        let socket = wan.at(end, || UdpSocket::bind((end.address(), 0))).expect("a free port");
        socket.set_read_timeout(Some(BOUND)).expect("a bound that is not zero");
        (socket.local_addr().expect("it is bound"), socket)
    };
    let ((address, a), (_, b)) = (bind(End::A), bind(End::B));
    let start = Instant::now();
    b.send_to(b"ping", address).expect("sent");
    let mut bytes = [0; 16];
    let (length, from) = a.recv_from(&mut bytes).expect("it arrives");
    a.send_to(&bytes[..length], from).expect("sent");
    assert_eq!(b.recv(&mut bytes).ok(), Some(4));
    assert!(start.elapsed() >= round_trip, "the answer was back after {:?}", start.elapsed());
    assert_eq!(&bytes[..4], b"ping");
}

#[test]
fn bytes_arrive_whole_and_no_faster_than_the_rate() {
    let Some(wan) = Wan::make(Link { rate_bits_per_second: 16e6, loss: 0.01, ..fast() }) else { return };
    let sent = pattern(1 << 20, 1);
    let (listener, address) = listen(&wan);
    let bytes = &sent;
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.write_all(bytes).expect("the link carries bytes");
        });
        let mut stream = connect(&wan, address);
        let start = Instant::now();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).expect("the link carries bytes");
        assert!(received == sent, "{} bytes of {} arrived", received.len(), sent.len());
        // What was under way when the clock was started is a few packets.
        let least = Duration::from_millis(450);
        assert!(start.elapsed() >= least, "8 Mbit over 16 Mbit/s took {:?}", start.elapsed());
    });
}

#[test]
fn a_share_of_the_packets_is_lost() {
    let Some(wan) = Wan::make(Link { loss: 0.3, ..fast() }) else { return };
    // Resolving the address may lose packets too, so the receiver greets until it is heard.
    let a = wan.at(End::A, || UdpSocket::bind((End::A.address(), 0))).expect("a free port");
    let b = wan.at(End::B, || UdpSocket::bind((End::B.address(), 0))).expect("a free port");
    for socket in [&a, &b] {
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a bound that is not zero");
    }
    let address = b.local_addr().expect("it is bound");
    let mut bytes = [0; 8];
    while b.recv(&mut bytes).is_err() {
        a.send_to(b"greeting", address).expect("sent");
    }
    let received = thread::scope(|scope| {
        let counted = scope.spawn(|| std::iter::from_fn(|| b.recv(&mut bytes).ok()).count());
        for _ in 0..500 {
            a.send_to(b"x", address).expect("sent");
        }
        counted.join().expect("counting does not panic")
    });
    assert!((250..450).contains(&received), "{received} of 500 arrived");
}

#[test]
fn a_half_closed_connection_and_a_reset_pass_as_they_are() {
    let Some(wan) = Wan::make(fast()) else { return };
    let (listener, address) = listen(&wan);
    let mut client = connect(&wan, address);
    let (mut server, _) = listener.accept().expect("a connection");
    server.set_read_timeout(Some(BOUND)).expect("a bound that is not zero");
    client.write_all(b"question").expect("sent");
    client.shutdown(Shutdown::Write).expect("it stands");
    let mut received = Vec::new();
    server.read_to_end(&mut received).expect("the end arrives");
    assert_eq!(received, b"question");
    server.write_all(b"answer").expect("the other half stands");
    let mut answer = [0; 6];
    client.read_exact(&mut answer).expect("the answer arrives");
    assert_eq!(&answer, b"answer");

    let mut client = connect(&wan, address);
    let (server, _) = listener.accept().expect("a connection");
    Control::reset(server);
    assert_eq!(client.read(&mut answer).map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
}

#[test]
fn the_namespaces_are_gone_with_it_also_after_a_panic() {
    let Some(wan) = Wan::make(fast()) else { return };
    let name = wan.namespace(End::A);
    let is_there = |name: &str| {
        let output = Command::new("ip").args(["netns", "list"]).output().expect("ip is here");
        String::from_utf8_lossy(&output.stdout).contains(name)
    };
    assert!(is_there(&name));
    let panicked = thread::spawn(move || {
        let _wan = wan;
        panic!("as a test does that fails");
    });
    assert!(panicked.join().is_err() && !is_there(&name));
}

#[test]
fn the_command_ends_with_the_code_of_what_it_ran() {
    if Wan::make(fast()).is_none() {
        return;
    }
    let name = format!("longshore-wan-command-{}", std::process::id());
    let run = |words: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_wan"))
            .args(["--name", &name])
            .args(words)
            .output()
            .expect("it starts")
    };
    let ended = run(&["--rtt-ms", "1", "--", "sh", "-c", &format!("ip netns exec {name}-b true && exit 7")]);
    assert_eq!(ended.status.code(), Some(7), "{}", String::from_utf8_lossy(&ended.stderr));
    let refused = run(&["--loss", "2", "--", "true"]);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("--loss takes a number from 0 to 1, not \"2\""), "{text}");
}
