//! Foreign TLS: OpenSSL's own client, and Python's ssl module, against our control and data connections.
//!
//! A client that is missing is named and passed over; with `LONGSHORE_REQUIRE_PEERS=1` that is a failure.

#![expect(clippy::print_stdout, reason = "a client that is missing is named")]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use common::{Folder, server_with};
use longshore_tls::{ControlSession, Direction, Fresh, Policy, Resumption, ServerTls, Stage, TlsConnection};

/// Whether this program runs.
fn is_there(program: &str, argument: &[&str]) -> bool {
    let there = Command::new(program)
        .args(argument)
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success());
    if !there {
        let required = std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_some_and(|value| value != "0");
        assert!(!required, "{program} is missing");
        println!("{program} is missing: nothing is tested");
    }
    there
}

/// What came of one connection.
#[derive(Debug)]
struct Served {
    facts: longshore_tls::Facts,
    received: Vec<u8>,
    /// The last thing that we saw: close_notify, or the end of the connection.
    clean: bool,
    version: String,
}

/// Serves one connection to its end: gives `send`, or what came back if it is empty, and says close_notify.
fn serve(mut socket: TcpStream, mut connection: TlsConnection, direction: Direction, send: &[u8]) -> Served {
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let (mut received, mut wire, mut buffer) = (Vec::new(), Vec::new(), vec![0; 64 * 1024]);
    let mut answered = false;
    loop {
        if connection.stage() == Stage::Open && direction == Direction::Download && !answered {
            answered = true;
            connection.send(send, &mut wire).expect("open");
            connection.close_notify(&mut wire).expect("open");
        }
        if connection.stage() == Stage::Ended && !answered {
            answered = true;
            // What came is whole: so is our answer.
            connection.close_notify(&mut wire).expect("open");
        }
        // A client that is gone hears nothing.
        let _ = socket.write_all(&std::mem::take(&mut wire));
        if connection.stage() == Stage::Ended {
            break;
        }
        match socket.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                connection.receive(&buffer[..count], &mut received, &mut wire).expect("good TLS");
            }
        }
    }
    let facts = connection.facts().expect("the handshake was complete").clone();
    let version = format!("{:?}", facts.version);
    Served { facts, received, clean: connection.stage() == Stage::Ended, version }
}

/// One control connection and then data connections as told, all on one port, on a thread of its own.
fn serve_all(
    server: ServerTls,
    data: Vec<(Direction, Vec<u8>)>,
) -> (u16, JoinHandle<(Served, ControlSession, Vec<Served>)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("any port will do");
    let port = listener.local_addr().expect("bound").port();
    let thread = std::thread::spawn(move || {
        let (session, connection) = server.accept_control().expect("a configuration");
        let (socket, _) = listener.accept().expect("it connects");
        let control = serve(socket, connection, Direction::Download, b"220 control\r\n");
        let mut served = Vec::new();
        for (direction, send) in data {
            let acceptor = session.data_acceptor(direction).expect("a configuration");
            let (socket, _) = listener.accept().expect("it connects");
            served.push(serve(socket, acceptor.into_connection(), direction, &send));
        }
        (control, session, served)
    });
    (port, thread)
}

const PAYLOAD: usize = 300_000;

fn payload() -> Vec<u8> {
    (0..PAYLOAD).map(|index| ((index * 7) >> 3) as u8).collect()
}

const SCRIPT: &str = r#"
import socket, ssl, sys

port, version = int(sys.argv[1]), sys.argv[2]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
payload = bytes((index * 7 >> 3) & 255 for index in range(300000))

def connect(session):
    raw = socket.create_connection(("127.0.0.1", port), 60)
    return context.wrap_socket(raw, server_hostname="ftp.example", session=session)

def read_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)

control = connect(None)
assert read_all(control) == b"220 control\r\n"
session = control.session
control.unwrap()
# ftplib and its users give each data connection the session of the control connection, the same one each time.
for number in range(3):
    upload = connect(session)
    assert upload.session_reused, "upload %d" % number
    upload.sendall(payload)
    upload.unwrap()
for number in range(3):
    download = connect(session)
    assert read_all(download) == payload
    assert download.session_reused, "download %d" % number
    later = download.session
    download.unwrap()
# Others take the newest.
newest = connect(later)
assert read_all(newest) == payload
assert newest.session_reused, "the session of a data connection"
newest.unwrap()
# And others none, or close without a word.
fresh = connect(None)
assert not fresh.session_reused
fresh.sendall(payload)
fresh.close()
"#;

#[test]
fn python_uses_one_session_again_and_again() {
    let python = "python3";
    if !is_there(python, &["-c", "import ssl; ssl.SSLSession"]) {
        return;
    }
    let folder = Folder::new();
    let script = folder.write("client.py", SCRIPT);
    for version in ["TLSv1_2", "TLSv1_3"] {
        let plan: Vec<(Direction, Vec<u8>)> = std::iter::repeat_n((Direction::Upload, Vec::new()), 3)
            .chain(std::iter::repeat_n((Direction::Download, payload()), 4))
            .chain([(Direction::Upload, Vec::new())])
            .collect();
        let (port, thread) = serve_all(server_with(&Policy::default()), plan);
        let output = Command::new(python).arg(&script).args([&port.to_string(), version]).output();
        let output = output.expect("it was there");
        assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stderr));
        let (control, _, served) = thread.join().expect("no panic");
        assert_eq!(control.version.to_lowercase(), version.replace("TLSv1_", "tls1"));
        for (number, served) in served.iter().enumerate() {
            let expected =
                if number < 7 { Resumption::Resumed } else { Resumption::Fresh(Fresh::NothingOffered) };
            assert_eq!(served.facts.resumption, Some(expected), "{version}, connection {number}");
            assert!(!(3..7).contains(&number) || served.received.is_empty());
            assert!(
                (3..7).contains(&number) || served.received == payload(),
                "{version}, connection {number}"
            );
            assert_eq!(served.clean, number < 7, "{version}, connection {number}");
        }
    }
}

/// A group that we do not know in front of one that we do makes OpenSSL's first hello useless.
#[test]
fn openssl_is_asked_to_try_again() {
    if !is_there("openssl", &["version"]) {
        return;
    }
    let folder = Folder::new();
    let kept = folder.0.join("session");
    let kept = kept.to_str().expect("a plain name");
    let (port, thread) =
        serve_all(server_with(&Policy::default()), vec![(Direction::Download, b"a listing\r\n".to_vec())]);
    let connect = |arguments: &[&str]| {
        let mut child = Command::new("openssl")
            .args([
                "s_client",
                "-connect",
                &format!("127.0.0.1:{port}"),
                "-servername",
                "ftp.example",
                "-tls1_3",
            ])
            .args(["-groups", "P-521:P-256", "-ign_eof", "-msg"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it was there");
        let mut shown = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut shown).expect("text");
        child.wait().expect("it ends with the connection");
        shown
    };
    let first = connect(&["-sess_out", kept]);
    assert_eq!(first.matches(", ClientHello").count(), 2, "{first}");
    assert!(first.contains("220 control"), "{first}");
    let second = connect(&["-sess_in", kept]);
    assert_eq!(second.matches(", ClientHello").count(), 2, "{second}");
    assert!(second.contains("a listing") && second.contains("Reused, TLSv1.3"), "{second}");
    let (_, _, served) = thread.join().expect("no panic");
    assert_eq!(served[0].facts.resumption, Some(Resumption::Resumed));
}
