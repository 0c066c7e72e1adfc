//! Draining closed connections. A test program of its own, because the number of drains is limited
//! for the whole process.

mod common;

use common::{pair, pattern, read_to_end, until, v4, within, write_all};
use longshore_net::{Closing, DataSocket, limits};
use rustix::net::sockopt;
use tokio::net::TcpStream;

/// A connection with a byte of the peer unread, and with our bytes on their way.
async fn with_unread() -> (DataSocket, TcpStream) {
    let (mut socket, client) = pair(v4(1)).await;
    within(socket.write_all(b"content")).await.expect("alive");
    write_all(&client, b"?").await;
    until(|| socket.unread().then_some(())).await;
    (socket, client)
}

async fn check_whole(client: &TcpStream, expected: &[u8]) {
    let (received, end) = read_to_end(client).await;
    end.expect("an orderly end");
    assert!(received == expected);
}

#[tokio::test]
async fn drains_keep_downloads_whole_and_are_bounded() {
    // Nothing unread: closed at once.
    let (mut socket, client) = pair(v4(1)).await;
    within(socket.write_all(b"content")).await.expect("alive");
    assert_eq!(socket.drain_in_background(), Closing::AtOnce);
    check_whole(&client, b"content").await;

    // What a plain close does when something is unread.
    let (socket, client) = with_unread().await;
    drop(socket);
    let (_, end) = read_to_end(&client).await;
    end.expect_err("reset");

    // The peer reads late, and has sent a lot that nobody wants.
    let (mut socket, client) = pair(v4(1)).await;
    let content = pattern(300 * 1024);
    sockopt::set_socket_send_buffer_size(&socket, 1024 * 1024).expect("option");
    within(socket.write_all(&content)).await.expect("alive");
    write_all(&client, b"?").await;
    until(|| socket.unread().then_some(())).await;
    assert_eq!(socket.drain_in_background(), Closing::Draining);
    write_all(&client, &pattern(3 * 1024 * 1024)).await;
    check_whole(&client, &content).await;
    drop(client);

    // As many as the limit permits, and one more.
    let mut clients = Vec::new();
    let refused = until_refused(&mut clients).await;
    assert!(clients.len() <= limits::DRAINS_AT_ONCE);
    // The drain of the connection before may hold a permit for a moment longer.
    assert!(clients.len() >= limits::DRAINS_AT_ONCE - 1);
    let (_, end) = read_to_end(&refused).await;
    end.expect_err("closed at once, with a byte unread");
    for client in &clients {
        check_whole(client, b"content").await;
    }
    // The end of a drain makes room.
    drop(clients);
    within(async {
        loop {
            let (socket, client) = with_unread().await;
            if socket.drain_in_background() == Closing::Draining {
                break check_whole(&client, b"content").await;
            }
        }
    })
    .await;
}

async fn until_refused(clients: &mut Vec<TcpStream>) -> TcpStream {
    loop {
        let (socket, client) = with_unread().await;
        match socket.drain_in_background() {
            Closing::Draining => clients.push(client),
            Closing::TooMany => return client,
            Closing::AtOnce => panic!("a byte is unread"),
        }
    }
}
