//! Data connections over sockets: bytes in both directions, and each way in which they may end.

#![expect(clippy::print_stdout, reason = "a measurement is there to be read")]

mod common;

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream as ClientSocket};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use common::{NAME, Pair, VERSIONS, client, server};
use longshore_net::{DataSocket, PassivePool, PeerRule};
use longshore_tls::{ControlSession, Direction, Drained, Fresh, Resumption, Socket, TlsError, TlsStream};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio::net::{TcpListener, TcpStream};

type Client = StreamOwned<ClientConnection, ClientSocket>;

/// The server's own data sockets, as TLS uses them.
struct Wire(DataSocket);

impl Socket for Wire {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        self.0.read(buffer).await
    }
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).await
    }
    async fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

/// Fails a test that hangs. Not a measure of anything.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the test hangs")
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8).collect()
}

/// A control session whose client is `config`.
fn session(config: &ClientConfig) -> ControlSession {
    let (session, connection) = server().accept_control().expect("a configuration");
    drop(Pair::new(connection, config).connect());
    session
}

/// Runs the client's side on a thread of its own.
fn client_side<T: Send + 'static>(
    to: SocketAddr,
    config: &ClientConfig,
    side: impl FnOnce(Client) -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    let config = Arc::new(config.clone());
    tokio::task::spawn_blocking(move || {
        let socket = ClientSocket::connect(to).expect("it listens");
        let connection = ClientConnection::new(config, ServerName::try_from(NAME).expect("a name"));
        side(StreamOwned::new(connection.expect("a configuration"), socket))
    })
}

/// A socket of tokio's and what its client comes to.
async fn accept<T: Send + 'static>(
    config: &ClientConfig,
    side: impl FnOnce(Client) -> T + Send + 'static,
) -> (TcpStream, tokio::task::JoinHandle<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("any port will do");
    let joined = client_side(listener.local_addr().expect("bound"), config, side);
    (within(listener.accept()).await.expect("it has connected").0, joined)
}

/// A connection whose handshake is done.
async fn stream<T: Send + 'static>(
    session: &ControlSession,
    direction: Direction,
    config: &ClientConfig,
    side: impl FnOnce(Client) -> T + Send + 'static,
) -> (TlsStream<TcpStream>, tokio::task::JoinHandle<T>) {
    let (socket, joined) = accept(config, side).await;
    let acceptor = session.data_acceptor(direction).expect("a configuration");
    (within(acceptor.accept(socket)).await.expect("both sides agree"), joined)
}

/// All that comes, and what ended it.
async fn receive<S: Socket>(stream: &mut TlsStream<S>) -> (Vec<u8>, Result<(), TlsError>) {
    let (mut all, mut buffer) = (Vec::new(), Vec::with_capacity(256 * 1024));
    loop {
        buffer.clear();
        match within(stream.read(&mut buffer)).await {
            Ok(0) => return (all, Ok(())),
            Ok(count) => {
                assert_eq!(count, buffer.len());
                all.extend_from_slice(&buffer);
            }
            Err(error) => return (all, Err(error)),
        }
    }
}

#[tokio::test]
async fn an_upload_ends_with_close_notify() {
    for version in VERSIONS {
        let config = client(version);
        let session = session(&config);
        for length in [0, 1, 5000, 3_000_017] {
            let (mut stream, joined) = stream(&session, Direction::Upload, &config, move |mut client| {
                // The handshake first, or an empty file would be a goodbye without a hello.
                client.flush()?;
                client.write_all(&pattern(length))?;
                client.conn.send_close_notify();
                client.flush()?;
                // A client that wants to be sure waits for our close_notify.
                client.read(&mut [0; 8])
            })
            .await;
            assert_eq!(stream.resumption(), Some(&Resumption::Resumed));
            let (all, end) = receive(&mut stream).await;
            end.expect("clean");
            assert!(all == pattern(length));
            assert_eq!(within(stream.read(&mut Vec::with_capacity(1))).await.expect("the end stays"), 0);
            within(stream.close_notify()).await.expect("it listens");
            assert_eq!(joined.await.expect("no panic").expect("clean"), 0);
        }
    }
}

#[tokio::test]
async fn the_end_without_close_notify_is_told_apart() {
    for version in VERSIONS {
        let config = client(version);
        let session = session(&config);
        let (mut stream, joined) = stream(&session, Direction::Upload, &config, |mut client| {
            client.write_all(&pattern(100_000)).expect("room");
            client.flush().expect("room");
            // Out with it, in order, but not a word of TLS.
            client.sock.shutdown(Shutdown::Write).expect("connected");
            client
        })
        .await;
        let (all, end) = receive(&mut stream).await;
        assert!(all == pattern(100_000));
        assert!(matches!(end, Err(TlsError::EndWithoutCloseNotify)), "{end:?}");
        drop(joined.await);
    }
}

#[tokio::test]
async fn a_record_that_is_cut_is_no_data() {
    for version in VERSIONS {
        let config = client(version);
        let session = session(&config);
        let (mut stream, joined) = stream(&session, Direction::Upload, &config, |mut client| {
            client.write_all(b"whole").expect("room");
            client.flush().expect("room");
            client.conn.writer().write_all(b"this record is cut").expect("room");
            let mut record = Vec::new();
            client.conn.write_tls(&mut record).expect("a buffer");
            client.sock.write_all(&record[..record.len() - 1]).expect("connected");
        })
        .await;
        joined.await.expect("no panic");
        let (all, end) = receive(&mut stream).await;
        assert_eq!(all, b"whole");
        // Told apart from an end between records, which some clients mean.
        assert!(matches!(end, Err(TlsError::Protocol(_))), "{end:?}");
    }
}

#[tokio::test]
async fn a_reset_is_an_error_of_the_network() {
    for version in VERSIONS {
        let config = client(version);
        let session = session(&config);
        let (mut stream, joined) = stream(&session, Direction::Upload, &config, |mut client| {
            client.write_all(b"some").expect("room");
            client.flush().expect("room");
            rustix::net::sockopt::set_socket_linger(&client.sock, Some(Duration::ZERO)).expect("a socket");
        })
        .await;
        joined.await.expect("no panic");
        let (_, end) = receive(&mut stream).await;
        let Err(TlsError::Io(error)) = end else { panic!("{end:?}") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_says_so() {
    for version in VERSIONS {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        let other = common::Authority::new("other");
        use rustls::pki_types::pem::PemObject;
        roots
            .add(rustls::pki_types::CertificateDer::from_pem_slice(other.pem.as_bytes()).expect("PEM"))
            .expect("good");
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (socket, joined) = accept(&config, |mut client| client.flush().map(|()| client)).await;
        let acceptor =
            session(&common::client(version)).data_acceptor(Direction::Download).expect("a configuration");
        let error = within(acceptor.accept(socket)).await.expect_err("it does not trust us");
        assert!(matches!(&error, TlsError::Alert { name } if name == "unknown_ca"), "{error}");
        assert!(io::Error::from(error).to_string().contains("it does not trust our certificate"));
        drop(joined.await);
    }
}

#[tokio::test]
async fn a_download_is_whole_and_then_drained() {
    for version in VERSIONS {
        let config = client(version);
        let session = session(&config);
        for length in [0, 1, 16 * 1024, 5_000_003] {
            let (mut stream, joined) = stream(&session, Direction::Download, &config, move |mut client| {
                let mut all = Vec::new();
                // It is an error if close_notify is missing.
                client.read_to_end(&mut all).expect("clean");
                client.conn.send_close_notify();
                client.flush().expect("room");
                all
            })
            .await;
            assert_eq!(stream.resumption(), Some(&Resumption::Resumed));
            within(stream.write_all(&pattern(length))).await.expect("it reads");
            within(stream.finish()).await.expect("it reads");
            assert!(matches!(within(stream.write(b"more")).await, Err(TlsError::Over)));
            assert_eq!(within(stream.drain(1000)).await.expect("in order"), Drained::ToTheEnd);
            assert!(joined.await.expect("no panic") == pattern(length));
        }
    }
}

#[tokio::test]
async fn draining_has_a_bound() {
    let config = client(&rustls::version::TLS13);
    let session = session(&config);
    let (mut stream, joined) = stream(&session, Direction::Download, &config, |mut client| {
        // A client that never stops.
        while client.write_all(&[0; 10_000]).is_ok() {}
    })
    .await;
    within(stream.finish()).await.expect("connected");
    assert_eq!(within(stream.drain(100_000)).await.expect("connected"), Drained::TooMuch);
    drop(stream);
    joined.await.expect("it ends when we are gone");
}

/// Nothing flows either way before the caller has seen the proof.
#[tokio::test]
async fn a_connection_without_proof_can_be_ended_before_a_byte_flows() {
    for version in VERSIONS {
        let session = session(&client(version));
        let (stream, joined) = stream(&session, Direction::Upload, &client(version), |mut client| {
            client.write_all(b"a stranger's bytes, sent along with the handshake")?;
            client.flush()?;
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).map(|_| heard)
        })
        .await;
        assert_eq!(stream.resumption(), Some(&Resumption::Fresh(Fresh::NothingOffered)));
        drop(stream.into_socket());
        let heard = joined.await.expect("no panic");
        assert!(!matches!(&heard, Ok(bytes) if !bytes.is_empty()), "{heard:?}");
    }
}

#[tokio::test]
async fn a_read_that_is_dropped_loses_nothing() {
    for version in VERSIONS {
        let config = client(version);
        let session = session(&config);
        let (mut stream, joined) = stream(&session, Direction::Upload, &config, |mut client| {
            for piece in pattern(60_000).chunks(777) {
                client.write_all(piece).expect("room");
                client.flush().expect("room");
            }
            client.conn.send_close_notify();
            client.flush().expect("room");
        })
        .await;
        let mut all = Vec::new();
        within(async {
            loop {
                // Smaller than any record, so that the rest of one waits for the next call.
                let mut buffer = Vec::with_capacity(100);
                let polled = {
                    let mut read = pin!(stream.read(&mut buffer));
                    poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await
                };
                match polled {
                    Poll::Ready(count) if count.as_ref().is_ok_and(|&count| count == 0) => break,
                    Poll::Ready(count) => {
                        assert!(count.expect("in order") <= 100);
                        all.extend_from_slice(&buffer);
                    }
                    Poll::Pending => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        assert!(all == pattern(60_000));
        joined.await.expect("no panic");
    }
}

#[tokio::test]
async fn a_full_buffer_is_a_mistake_of_the_caller() {
    let config = client(&rustls::version::TLS13);
    let session = session(&config);
    let (mut stream, _joined) =
        stream(&session, Direction::Upload, &config, |mut client| client.flush()).await;
    let Err(TlsError::Io(error)) = within(stream.read(&mut Vec::new())).await else {
        panic!("it has no room")
    };
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn clear_text_on_the_data_port_is_named() {
    let config = client(&rustls::version::TLS13);
    let session = session(&config);
    let (socket, joined) =
        accept(&config, |mut client| client.sock.write_all(b"<html> a file in clear").map(|()| client)).await;
    let acceptor = session.data_acceptor(Direction::Upload).expect("a configuration");
    let error = within(acceptor.accept(socket)).await.expect_err("it is not TLS");
    assert_eq!(
        error.to_string(),
        "the client does not speak TLS: it sent \"<html> a file in clear\" where a ClientHello was expected"
    );
    drop(joined.await);
}

#[tokio::test]
async fn a_handshake_may_be_dropped_halfway() {
    for version in VERSIONS {
        let config = client(version);
        let session = session(&config);
        let (socket, silent) = accept(&config, |client| client).await;
        let silent = silent.await.expect("no panic");
        {
            let acceptor = session.data_acceptor(Direction::Upload).expect("a configuration");
            let mut handshake = pin!(acceptor.accept(socket));
            let polled = poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await;
            assert!(polled.is_pending(), "the client has said nothing");
        }
        let mut silent = silent.sock;
        assert_eq!(silent.read(&mut [0; 8]).expect("closed in order"), 0);
        let (stream, joined) =
            stream(&session, Direction::Download, &config, |mut client| client.flush()).await;
        assert_eq!(stream.resumption(), Some(&Resumption::Resumed));
        joined.await.expect("no panic").expect("in order");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_handshake_is_named() {
    let config = client(&rustls::version::TLS13);
    let session = session(&config);
    let (socket, joined) = accept(&config, |mut client| {
        client.conn.write_tls(&mut client.sock).expect("connected");
        client.sock.shutdown(Shutdown::Write).expect("connected");
        client
    })
    .await;
    let acceptor = session.data_acceptor(Direction::Upload).expect("a configuration");
    let error = within(acceptor.accept(socket)).await.expect_err("it went away");
    assert!(matches!(error, TlsError::ClosedInHandshake), "{error}");
    drop(joined.await);
}

/// Counts how often it is read from.
struct Counting(TcpStream, usize);

impl Socket for Counting {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let before = buffer.len();
        let count = Socket::read(&mut self.0, buffer).await?;
        assert_eq!(buffer.len(), before + count);
        self.1 += 1;
        Ok(count)
    }
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).await
    }
    async fn shutdown(&mut self) -> io::Result<()> {
        Socket::shutdown(&mut self.0).await
    }
}

/// Chains of certificates and lists of protocols may be long; they are not read in crumbs.
#[tokio::test]
async fn a_long_hello_takes_few_reads() {
    let mut config = client(&rustls::version::TLS13);
    let session = session(&config);
    config.alpn_protocols = (0..120).map(|number| vec![b'a' + number % 26; 250]).collect();
    config.alpn_protocols.push(b"ftp-data".to_vec());
    let (socket, joined) = accept(&config, |mut client| client.flush().map(|()| client)).await;
    // All of it is there before the first read, so that the number is no matter of luck.
    within(async {
        let mut bytes = vec![0; 40_000];
        while socket.peek(&mut bytes).await.expect("connected") < 30_000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let acceptor = session.data_acceptor(Direction::Upload).expect("a configuration");
    let stream = within(acceptor.accept(Counting(socket, 0))).await.expect("both sides agree");
    assert_eq!(stream.facts().expect("complete").protocol.as_deref(), Some("ftp-data"));
    assert!(stream.socket().1 < 20, "{} reads", stream.socket().1);
    joined.await.expect("no panic").expect("in order");
}

/// Through the sockets that the server really uses, with the drain that it really uses.
#[tokio::test]
async fn it_goes_over_data_sockets() {
    let local = Ipv4Addr::LOCALHOST;
    let mut reservation = loop {
        let probe = std::net::TcpListener::bind((local, 0)).expect("any port will do");
        let port = probe.local_addr().expect("bound").port();
        drop(probe);
        let pool = PassivePool::new(port..=port).expect("a range");
        // Somebody else may have taken the port in between.
        if let Ok(reservation) = pool.reserve(local.into(), PeerRule::Exactly(local.into())) {
            break reservation;
        }
    };
    let config = client(&rustls::version::TLS13);
    let session = session(&config);
    let joined = client_side((local, reservation.port()).into(), &config, |mut client| {
        client.write_all(&pattern(1_000_000)).expect("room");
        client.conn.send_close_notify();
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("clean");
        all
    });
    let socket = within(reservation.take()).await.expect("it connects");
    let acceptor = session.data_acceptor(Direction::Upload).expect("a configuration");
    let mut stream = within(acceptor.accept(Wire(socket))).await.expect("both sides agree");
    let (all, end) = receive(&mut stream).await;
    end.expect("clean");
    assert!(all == pattern(1_000_000));
    within(stream.write_all(&all)).await.expect("it reads");
    within(stream.finish()).await.expect("it reads");
    stream.into_socket().0.discard_in_background();
    assert!(joined.await.expect("no panic") == all);
}

/// Much more than any buffer holds arrives whole, both ways. How fast is printed, not asserted: `cargo test --release
/// -p longshore-tls --test stream long_streams -- --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn long_streams() {
    const BYTES: usize = 1 << 26;
    for version in VERSIONS {
        let config = client(version);
        let session = session(&config);
        let block = pattern(256 * 1024);
        let (mut up, joined) = stream(&session, Direction::Upload, &config, |mut client| {
            client.conn.set_buffer_limit(Some(256 * 1024));
            let block = pattern(128 * 1024);
            for _ in 0..BYTES / block.len() {
                client.write_all(&block).expect("room");
            }
            client.conn.send_close_notify();
            client.flush().expect("room");
        })
        .await;
        let began = std::time::Instant::now();
        let mut buffer = Vec::with_capacity(256 * 1024);
        let (mut reads, mut received) = (0, 0);
        while up.read(&mut buffer).await.expect("in order") > 0 {
            received += buffer.len();
            buffer.clear();
            reads += 1;
        }
        assert_eq!(received, BYTES);
        let rate = BYTES as f64 / began.elapsed().as_secs_f64() / 1e6;
        println!("{version:?}: upload {rate:.0} MB/s in {reads} reads");
        joined.await.expect("no panic");

        let (mut down, joined) = stream(&session, Direction::Download, &config, |mut client| {
            client.flush().expect("room");
            let mut buffer = vec![0; 256 * 1024];
            // Away with it without decrypting: it is the server that is measured.
            while client.sock.read(&mut buffer).is_ok_and(|count| count > 0) {}
        })
        .await;
        let began = std::time::Instant::now();
        for _ in 0..BYTES / block.len() {
            let mut rest = &block[..];
            while !rest.is_empty() {
                let count = down.write(rest).await.expect("it reads");
                rest = &rest[count..];
            }
        }
        down.finish().await.expect("it reads");
        println!("{version:?}: download {:.0} MB/s", BYTES as f64 / began.elapsed().as_secs_f64() / 1e6);
        joined.await.expect("no panic");
    }
}
