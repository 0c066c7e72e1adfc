//! Control listeners, socket options of control connections, plain addresses.

mod common;

use std::net::SocketAddr;

use common::Ports;
use longshore_net::{ListenError, adopt_listener, control_listener, limits, normalise, prepare_control};
use rustix::io::FdFlags;
use rustix::net::sockopt;
use tokio::net::TcpStream;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn mapped_addresses_become_plain() {
    #[track_caller]
    fn check(given: &str, expected: &str) {
        assert_eq!(normalise(address(given)), address(expected));
        assert_eq!(longshore_net::normalise_ip(address(given).ip()), address(expected).ip());
    }
    check("192.0.2.1:21", "192.0.2.1:21");
    check("[::ffff:192.0.2.1]:21", "192.0.2.1:21");
    check("[::ffff:0.0.0.0]:0", "0.0.0.0:0");
    check("[::ffff:ffff:ffff]:65535", "255.255.255.255:65535");
    // IPv4-compatible, translated and ordinary addresses mean themselves.
    check("[::192.0.2.1]:21", "[::192.0.2.1]:21");
    check("[::fffe:192.0.2.1]:21", "[::fffe:192.0.2.1]:21");
    check("[64:ff9b::192.0.2.1]:21", "[64:ff9b::192.0.2.1]:21");
    check("[::1]:21", "[::1]:21");
    check("[fe80::1%7]:21", "[fe80::1%7]:21");
}

#[tokio::test]
async fn both_families_stand_side_by_side() {
    let ports = Ports::claim(1);
    let port = ports.nth(0);
    let six = control_listener(SocketAddr::new("::".parse().expect("any"), port)).expect("IPv6");
    let four = control_listener(SocketAddr::new("0.0.0.0".parse().expect("any"), port)).expect("IPv4");
    for (listener, target) in [(&six, common::V6), (&four, common::v4(1))] {
        let client = common::connect_from(target, target, port).await;
        let (_, peer) = common::within(listener.accept()).await.expect("a connection");
        assert_eq!(peer, client.local_addr().expect("connected"));
        let flags = rustix::io::fcntl_getfd(listener).expect("open");
        assert!(flags.contains(FdFlags::CLOEXEC));
    }
}

#[tokio::test]
async fn errors_name_address_cause_and_remedy() {
    #[track_caller]
    fn check(asked: SocketAddr, words: &[&str]) -> ListenError {
        let error = control_listener(asked).expect_err("this address cannot be had");
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{word:?} is missing in {text:?}");
        }
        assert!(!text.contains('\n'));
        error
    }
    let holder = control_listener(address("127.0.0.1:0")).expect("some port");
    let held = holder.local_addr().expect("bound");
    let error = check(held, &[&held.to_string(), "in use", "another port"]);
    assert!(matches!(error, ListenError::InUse { address } if address == held));

    let error = check(address("203.0.113.77:0"), &["203.0.113.77", "does not have", "0.0.0.0"]);
    assert!(matches!(error, ListenError::NotHere { .. }));
    check(address("[2001:db8::77]:0"), &["2001:db8::77", "does not have", "[::]"]);
}

#[tokio::test]
async fn a_control_connection_gets_its_options() {
    let listener = control_listener(address("127.0.0.1:0")).expect("some port");
    let target = listener.local_addr().expect("bound");
    let (accepted, _client) = tokio::join!(listener.accept(), TcpStream::connect(target));
    let (stream, _) = accepted.expect("a connection");
    prepare_control(&stream).expect("connected");
    assert!(sockopt::tcp_nodelay(&stream).expect("option"));
    assert!(sockopt::socket_oobinline(&stream).expect("option"));
    assert!(sockopt::socket_keepalive(&stream).expect("option"));
    assert_eq!(sockopt::tcp_keepidle(&stream).expect("option"), limits::KEEP_ALIVE_IDLE);
    assert_eq!(sockopt::tcp_keepintvl(&stream).expect("option"), limits::KEEP_ALIVE_INTERVAL);
    assert_eq!(sockopt::tcp_keepcnt(&stream).expect("option"), limits::KEEP_ALIVE_PROBES);
}

#[tokio::test]
async fn sockets_that_somebody_else_has_opened() {
    let listening = std::net::TcpListener::bind("127.0.0.1:0").expect("any port will do");
    let at = listening.local_addr().expect("it is bound");
    let adopted = adopt_listener(listening).expect("it listens");
    assert_eq!(adopted.local_addr().expect("it is bound"), at);
    let client = tokio::spawn(TcpStream::connect(at));
    adopted.accept().await.expect("somebody comes");
    client.await.expect("it does not panic").expect("it is accepted");
    // Bound only: accepting would fail without end.
    let family = rustix::net::AddressFamily::INET;
    let bound =
        rustix::net::socket(family, rustix::net::SocketType::STREAM, None).expect("a descriptor is free");
    rustix::net::bind(&bound, &address("127.0.0.1:0")).expect("any port will do");
    let error = adopt_listener(bound.into()).expect_err("nobody listens on it");
    assert!(
        matches!(error, ListenError::System { .. }) && error.to_string().contains("nobody listens"),
        "{error}"
    );
}
