//! Urgent data, sent with `MSG_OOB` as old clients do.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{poll_once, until, within, write_all};
use longshore_net::{Urgency, control_listener, is_urgent, prepare_control, read_control, wait_urgent};
use rustix::net::{SendFlags, send, sockopt};
use tokio::net::TcpStream;

const IAC: u8 = 0xFF;
const IP: u8 = 0xF4;
const DM: u8 = 0xF2;

/// Our end and the client's end of a control connection.
async fn control() -> (TcpStream, TcpStream) {
    let listener = control_listener(SocketAddr::new(common::v4(1), 0)).expect("some port");
    let target = listener.local_addr().expect("bound");
    let (accepted, client) = tokio::join!(listener.accept(), TcpStream::connect(target));
    let (stream, _) = accepted.expect("a connection");
    prepare_control(&stream).expect("connected");
    let client = client.expect("it listens");
    client.set_nodelay(true).expect("option");
    (stream, client)
}

/// Sends `bytes`, the last of them marked as urgent.
fn send_urgent(client: &TcpStream, bytes: &[u8]) {
    assert_eq!(send(client, bytes, SendFlags::OOB).expect("room"), bytes.len());
}

/// IP and Synch before ABOR, in the three ways in which clients mark it.
const FORMS: [(&[u8], &[u8]); 3] = [
    (&[IAC, IP, IAC], &[DM, b'A', b'B', b'O', b'R', b'\r', b'\n']),
    (&[IAC, IP, IAC, DM], b"ABOR\r\n"),
    (b"ABOR\r\n", b""),
];

#[tokio::test]
async fn urgent_data_is_seen_while_nothing_is_read() {
    for (marked, rest) in FORMS {
        let (stream, client) = control().await;
        let before = b"NOOP\r\n".repeat(500);
        write_all(&client, &before).await;
        assert!(poll_once(wait_urgent(&stream)).await.is_pending());
        let sender = async {
            tokio::task::yield_now().await;
            send_urgent(&client, marked);
            write_all(&client, rest).await;
        };
        let (urgency, ()) = within(async { tokio::join!(wait_urgent(&stream), sender) }).await;
        assert_eq!(urgency.expect("descriptors"), Urgency::Urgent);
        // Not read yet: still urgent.
        assert_eq!(within(wait_urgent(&stream)).await.expect("descriptors"), Urgency::Urgent);

        let mut received = Vec::with_capacity(8192);
        while is_urgent(&stream).expect("memory") {
            within(read_control(&stream, &mut received)).await.expect("alive");
        }
        let to_mark = before.len() + marked.len();
        assert!(received.len() >= to_mark, "the marked byte is read");
        // The condition is used up; ordinary bytes do not raise it again.
        assert!(poll_once(wait_urgent(&stream)).await.is_pending());
        let expected = [&before, marked, rest].concat();
        while received.len() < expected.len() {
            within(read_control(&stream, &mut received)).await.expect("alive");
        }
        assert_eq!(received, expected, "no byte is lost");
        write_all(&client, b"NOOP\r\n").await;
        within(stream.readable()).await.expect("alive");
        assert!(poll_once(wait_urgent(&stream)).await.is_pending());
        // A second time.
        send_urgent(&client, b"!");
        assert_eq!(within(wait_urgent(&stream)).await.expect("descriptors"), Urgency::Urgent);
    }
}

/// The kernel ends a read before the marked byte. Whoever takes that for "nothing left" waits for
/// bytes that have long arrived.
#[tokio::test]
async fn a_mark_in_the_middle_does_not_hold_back_the_rest() {
    for (marked, rest) in FORMS {
        let (stream, client) = control().await;
        write_all(&client, b"STAT\r\n").await;
        send_urgent(&client, marked);
        write_all(&client, rest).await;
        let expected = [b"STAT\r\n", marked, rest].concat();
        until(|| {
            let arrived = rustix::io::ioctl_fionread(&stream).expect("option");
            (arrived == expected.len() as u64).then_some(())
        })
        .await;
        let mut received = Vec::with_capacity(8192);
        let mut reads = 0;
        while received.len() < expected.len() {
            within(read_control(&stream, &mut received)).await.expect("alive");
            reads += 1;
        }
        assert_eq!(received, expected);
        assert!(reads > 1, "the kernel stopped at the mark");
    }
}

#[tokio::test]
async fn a_reset_ends_the_wait() {
    let (stream, client) = control().await;
    write_all(&client, b"NOOP\r\n").await;
    assert!(poll_once(wait_urgent(&stream)).await.is_pending());
    sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("option");
    let (urgency, ()) = within(async {
        tokio::join!(wait_urgent(&stream), async {
            tokio::task::yield_now().await;
            drop(client);
        })
    })
    .await;
    assert_eq!(urgency.expect("descriptors"), Urgency::Closed);
}

#[tokio::test]
async fn reads_of_control_connections_have_their_borders() {
    let (stream, client) = control().await;
    let error = read_control(&stream, &mut Vec::new()).await.expect_err("no room");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    write_all(&client, b"QUIT\r\n").await;
    let mut buffer = Vec::with_capacity(64);
    assert_eq!(within(read_control(&stream, &mut buffer)).await.expect("alive"), 6);
    assert!(poll_once(read_control(&stream, &mut buffer)).await.is_pending());
    drop(client);
    assert_eq!(within(read_control(&stream, &mut buffer)).await.expect("an orderly end"), 0);
    assert_eq!(buffer, b"QUIT\r\n");
}
