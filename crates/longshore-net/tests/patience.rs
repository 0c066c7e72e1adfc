//! Threads that may wait for a peer in the kernel.

mod common;

use std::future::Future;
use std::io::Write;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{pair, pattern, receive_all, v4, within, write_all};
use longshore_net::{is_patient, with_patience};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// Polls once, on this thread.
fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn it_holds_for_one_thread_and_for_the_time_of_a_call() {
    assert!(!is_patient());
    with_patience(LONG, || {
        assert!(is_patient());
        with_patience(LONG, || assert!(is_patient()));
        assert!(is_patient(), "an inner one ends alone");
        assert!(!std::thread::spawn(is_patient).join().expect("no panic"));
    });
    assert!(!is_patient());
    std::panic::catch_unwind(|| with_patience(LONG, || panic!("on purpose"))).expect_err("it panics");
    assert!(!is_patient(), "a panic ends it as well");
}

/// The peer sends, or reads, only when the call is under way: one poll is enough all the same.
#[tokio::test]
async fn calls_wait_for_their_peer() {
    let (mut socket, client) = pair(v4(1)).await;
    let mut peer = client.into_std().expect("a socket");
    peer.set_nonblocking(false).expect("a socket");
    let sent = pattern(32 * 1024 * 1024);
    let mut file = tempfile();
    file.write_all(&sent).expect("space");
    tokio::task::spawn_blocking(move || {
        // Registered with the reactor first, from which the wait takes it back.
        let mut buffer = Vec::with_capacity(64);
        assert!(poll(socket.read(&mut buffer)).is_pending());
        let (begin, begins) = mpsc::channel();
        let other = std::thread::spawn(move || {
            begins.recv().expect("somebody waits");
            peer.write_all(b"late").expect("alive");
            let mut received = Vec::new();
            std::io::Read::read_to_end(&mut peer, &mut received).expect("an orderly end");
            received
        });
        with_patience(LONG, || {
            begin.send(()).expect("somebody listens");
            let Poll::Ready(read) = poll(socket.read(&mut buffer)) else { panic!("it does not wait") };
            assert_eq!(read.expect("alive"), 4);
            assert_eq!(buffer, b"late");
            // Much more than both kernels hold, in turns of both kinds.
            let mut offset = 0;
            while offset < sent.len() as u64 {
                let piece = poll(socket.send_file(file.as_fd(), &mut offset, 3 * 1024 * 1024));
                let Poll::Ready(piece) = piece else { panic!("it does not wait") };
                piece.expect("alive");
                if offset < sent.len() as u64 {
                    let rest = &sent[usize::try_from(offset).expect("it fits")..];
                    let Poll::Ready(written) = poll(socket.write(&rest[..rest.len().min(1_000_000)])) else {
                        panic!("it does not wait")
                    };
                    offset += written.expect("alive") as u64;
                }
            }
        });
        drop(socket);
        assert!(other.join().expect("no panic") == pattern(32 * 1024 * 1024));
    })
    .await
    .expect("no panic");
}

fn tempfile() -> std::fs::File {
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let descriptor =
        rustix::fs::open(std::env::temp_dir(), flags, mode).expect("a file system with O_TMPFILE");
    descriptor.into()
}

/// A wait that is over without its peer goes on with the reactor, and nothing is lost on the way.
#[tokio::test]
async fn a_wait_that_was_too_long_goes_to_the_reactor() {
    let (mut socket, client) = pair(v4(1)).await;
    let mut buffer = Vec::with_capacity(64);
    for patience in [Duration::ZERO, Duration::from_millis(1)] {
        let read = with_patience(patience, || poll(socket.read(&mut buffer)));
        assert!(read.is_pending());
        buffer.clear();
        let read = async {
            within(socket.read(&mut buffer)).await.expect("alive");
        };
        tokio::join!(read, write_all(&client, b"more"));
        assert_eq!(buffer, b"more");
        buffer.clear();
    }
    drop(client);
    assert!(receive_all(&mut socket).await.expect("an orderly end").is_empty());
}

/// A connection that breaks ends a wait at once, with its error.
#[tokio::test]
async fn a_reset_ends_a_wait() {
    let (mut socket, client) = pair(v4(1)).await;
    let client = client.into_std().expect("a socket");
    let (begin, begins) = mpsc::channel();
    let other = std::thread::spawn(move || {
        begins.recv().expect("somebody waits");
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("a socket");
        drop(client);
    });
    let mut buffer = Vec::with_capacity(64);
    let read = with_patience(LONG, || {
        begin.send(()).expect("somebody listens");
        poll(socket.read(&mut buffer))
    });
    let Poll::Ready(read) = read else { panic!("it does not wait") };
    assert_eq!(read.expect_err("a reset").kind(), std::io::ErrorKind::ConnectionReset);
    other.join().expect("no panic");
}
