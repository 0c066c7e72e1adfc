//! Data sockets: reading, writing, zero copy, and the ways to end.

mod common;

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use common::{
    Ends, State, V6, pair, pattern, poll_once, read_to_end, receive_all, until, until_our_end_is, v4, within,
    write_all,
};
use longshore_net::DataSocket;
use rustix::fs::OFlags;
use rustix::net::sockopt;

/// A file with `bytes` that has no name.
fn file_with(bytes: &[u8]) -> File {
    let directory = std::env::temp_dir();
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let descriptor = rustix::fs::open(&directory, flags, mode).expect("a file system with O_TMPFILE");
    let mut file = File::from(descriptor);
    file.write_all(bytes).expect("space");
    file
}

#[tokio::test]
async fn bytes_arrive_in_both_directions() {
    for local in [v4(1), V6] {
        let (mut socket, client) = pair(local).await;
        let sent = pattern(3 * 1024 * 1024 + 17);
        let (received, ()) = tokio::join!(
            async {
                let mut all = Vec::with_capacity(sent.len());
                while all.len() < sent.len() {
                    assert_ne!(within(socket.read(&mut all)).await.expect("alive"), 0);
                }
                all
            },
            write_all(&client, &sent)
        );
        assert!(received == sent);
        let ((received, end), ()) = tokio::join!(read_to_end(&client), async {
            within(socket.write_all(&sent)).await.expect("alive");
            socket.shutdown().await.expect("alive");
        });
        end.expect("an orderly end");
        assert!(received == sent);
        // Our direction is ended, the other is not.
        write_all(&client, b"late").await;
        drop(client);
        assert_eq!(receive_all(&mut socket).await.expect("an orderly end"), b"late");
    }
}

#[tokio::test]
async fn reads_fill_spare_capacity_only() {
    let (mut socket, client) = pair(v4(1)).await;
    write_all(&client, b"abcdef").await;
    let mut full = Vec::new();
    let error = socket.read(&mut full).await.expect_err("no room");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let mut buffer = Vec::with_capacity(64);
    buffer.resize(buffer.capacity() - 4, b'.');
    let before = buffer.len();
    let capacity = buffer.capacity();
    assert_eq!(within(socket.read(&mut buffer)).await.expect("alive"), 4);
    assert_eq!((&buffer[before..], buffer.capacity()), (&b"abcd"[..], capacity));
    socket.read(&mut buffer).await.expect_err("full now");
    buffer.clear();
    assert_eq!(within(socket.read(&mut buffer)).await.expect("alive"), 2);
    drop(client);
    assert_eq!(within(socket.read(&mut buffer)).await.expect("an orderly end"), 0);
    assert_eq!(within(socket.read(&mut buffer)).await.expect("the end stays"), 0);
    assert_eq!(buffer, b"ef");
}

#[tokio::test]
async fn a_dropped_read_loses_nothing() {
    let (mut socket, client) = pair(v4(1)).await;
    let mut buffer = Vec::with_capacity(1);
    let mut all = Vec::new();
    assert!(poll_once(socket.read(&mut buffer)).await.is_pending());
    let sent = pattern(500);
    write_all(&client, &sent).await;
    drop(client);
    // One byte at a time; each read is polled once and dropped if it has to wait.
    within(async {
        loop {
            buffer.clear();
            match poll_once(socket.read(&mut buffer)).await {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(result) => {
                    result.expect("alive");
                    all.extend_from_slice(&buffer);
                }
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(all, sent);
}

/// Sends until the peer's buffers are full: the next call would wait.
async fn fill(socket: &mut DataSocket, file: &File, offset: &mut u64) {
    until(|| {
        let before = *offset;
        let mut send = pin!(socket.send_file(file.as_fd(), offset, 256 * 1024));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::future::Future::poll(send.as_mut(), &mut context) {
            Poll::Ready(sent) => {
                assert_ne!(sent.expect("alive"), 0, "the file is larger than all buffers");
                None
            }
            Poll::Pending => Some(before),
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_reaches_a_reader_that_stops_and_goes_on() {
    for cork in [false, true] {
        let (mut socket, client) = pair(v4(1)).await;
        sockopt::set_socket_send_buffer_size(&socket, 64 * 1024).expect("option");
        sockopt::set_socket_recv_buffer_size(&client, 64 * 1024).expect("option");
        let content = pattern(8 * 1024 * 1024 + 5);
        let file = file_with(&content);
        let mut offset = 3;
        socket.set_cork(cork).expect("option");
        fill(&mut socket, &file, &mut offset).await;
        let blocked = offset;
        assert!(poll_once(socket.send_file(file.as_fd(), &mut offset, 1)).await.is_pending());
        assert_eq!(offset, blocked, "a dropped call has sent nothing");
        let ((received, end), total) = tokio::join!(read_to_end(&client), async {
            let mut total = blocked - 3;
            loop {
                let before = offset;
                let sent = within(socket.send_file(file.as_fd(), &mut offset, 1024 * 1024)).await;
                let sent = sent.expect("alive") as u64;
                assert_eq!(offset, before + sent);
                total += sent;
                if sent == 0 {
                    break;
                }
            }
            socket.set_cork(false).expect("option");
            socket.shutdown().await.expect("alive");
            total
        });
        end.expect("an orderly end");
        assert_eq!((received.len() as u64, total), (content.len() as u64 - 3, content.len() as u64 - 3));
        assert!(received == content[3..]);
    }
}

#[tokio::test]
async fn sending_a_file_has_its_borders() {
    let (mut socket, client) = pair(v4(1)).await;
    let file = file_with(b"0123456789");
    let mut offset = 0;
    let error = socket.send_file(file.as_fd(), &mut offset, 0).await.expect_err("nothing asked");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    for (from, count, expected) in [(0, 4, 4), (8, 100, 2), (10, 1, 0), (11, 1, 0)] {
        offset = from;
        assert_eq!(
            within(socket.send_file(file.as_fd(), &mut offset, count)).await.expect("alive"),
            expected
        );
        assert_eq!(offset, from + expected as u64);
    }
    // A pipe has no offsets, so the kernel cannot send from it.
    let (reader, _writer) = io::pipe().expect("descriptors");
    within(socket.send_file(reader.as_fd(), &mut offset, 1)).await.expect_err("not a file");
    drop(socket);
    let (received, end) = read_to_end(&client).await;
    end.expect("an orderly end");
    assert_eq!(received, b"012389");
}

#[tokio::test]
async fn life_and_unread_bytes_are_seen() {
    let (socket, client) = pair(v4(1)).await;
    let ends = Ends::of(&client);
    assert_eq!((socket.is_dead(), socket.unread()), (false, false));
    write_all(&client, b"x").await;
    until(|| socket.unread().then_some(())).await;
    assert!(!socket.is_dead());
    drop(client);
    until_our_end_is(&ends, State::CloseWait).await;
    assert_eq!((socket.is_dead(), socket.unread()), (false, true), "a byte precedes the end");

    let (socket, client) = pair(v4(1)).await;
    drop(client);
    until(|| socket.is_dead().then_some(())).await;
    assert!(!socket.unread());

    let (socket, client) = pair(v4(1)).await;
    sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("option");
    drop(client);
    until(|| socket.is_dead().then_some(())).await;
    assert!(!socket.unread());
}

#[tokio::test]
async fn an_aborted_transfer_is_a_reset_for_the_peer() {
    for (local, waits) in [(v4(1), false), (v4(1), true), (V6, true)] {
        let (mut socket, client) = pair(local).await;
        within(socket.write_all(b"half of a fi")).await.expect("alive");
        if waits {
            // Registered with the reactor by now.
            assert!(poll_once(socket.read(&mut Vec::with_capacity(1))).await.is_pending());
        }
        socket.abort();
        let (_, end) = read_to_end(&client).await;
        assert_eq!(end.expect_err("not a whole file").kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_dropped_socket_is_an_orderly_end() {
    let (mut socket, client) = pair(v4(1)).await;
    within(socket.write_all(b"whole")).await.expect("alive");
    drop(socket);
    let (received, end) = read_to_end(&client).await;
    end.expect("an orderly end");
    assert_eq!(received, b"whole");
}

#[tokio::test]
async fn a_reset_by_the_peer_ends_reads_and_writes() {
    let (mut socket, client) = pair(v4(1)).await;
    let mut buffer = Vec::with_capacity(16);
    let mut read = Box::pin(socket.read(&mut buffer));
    assert!(poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await.is_pending());
    sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("option");
    drop(client);
    let error = within(read).await.expect_err("reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = within(socket.write(b"x")).await.expect_err("gone");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let file = file_with(b"x");
    let error = within(socket.send_file(file.as_fd(), &mut 0, 1)).await.expect_err("gone");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let error = socket.shutdown().await.expect_err("gone");
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
}
