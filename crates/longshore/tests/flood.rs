//! More clients than there is room for, and clients that do next to nothing: whoever is served stays served, whoever
//! is not is told why, and the server comes back to itself.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use common::{Client, Directory, Server};

const DESCRIPTORS: usize = 1000;
const CONNECTS: usize = 20_000;
/// As many as are held at once; the test itself has a bounded number of descriptors, too.
const HELD: usize = 4000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The code of the greeting, or of what stands in its place.
fn greeted(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        match stream.read(&mut byte) {
            Ok(1) => line.push(byte[0]),
            other => panic!(
                "neither greeted nor told why not: {other:?} after {:?}",
                String::from_utf8_lossy(&line)
            ),
        }
    }
    String::from_utf8_lossy(&line[..3]).into_owned()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

/// Logs in and transfers, there and back.
fn transfer(client: &mut Client, name: &str) {
    assert!(client.upload(name, b"contents"), "{name} is not stored");
    assert!(client.say(&format!("SIZE {name}"), 213).contains(" 8"));
}

#[test]
fn twenty_thousand_connects_on_a_thousand_descriptors() {
    let directory = Directory::new("flood");
    let limit = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"");
    let arguments = ["--passive-ports", "32400-32449"];
    let server = Server::start_through(&["sh", "-c", &limit], directory.path(), &arguments);
    let mut served = server.connect();
    served.login();
    transfer(&mut served, "before");
    let (mut greetings, mut refusals) = (0, 0);
    for round in 0..CONNECTS / HELD {
        let mut held: Vec<TcpStream> = (0..HELD).map(|_| connect(server.address)).collect();
        for stream in &mut held {
            match greeted(stream).as_str() {
                "220" => greetings += 1,
                "421" => refusals += 1,
                other => panic!("{other} as a greeting"),
            }
        }
        // Those who are in are served as if nobody stood outside: the reserve is theirs.
        transfer(&mut served, &format!("during-{round}"));
        drop(held);
        // When the crowd has gone there is room again.
        let limit = Instant::now() + PATIENCE;
        while greeted(&mut connect(server.address)) != "220" {
            assert!(Instant::now() < limit, "the places are never given back");
            std::thread::yield_now();
        }
    }
    assert_eq!(greetings + refusals, CONNECTS / HELD * HELD);
    assert!(refusals > 0 && greetings > 0, "{greetings} greeted, {refusals} refused");
    let (log, succeeded) = server.interrupt();
    assert!(succeeded, "{log}");
    assert!(log.contains("session.full"), "the log tells of those who were sent away:\n{log}");
}

/// Two thousand that say nothing and two thousand that send a byte from time to time hold up nobody, and are told to
/// go when their time for a login is over, however busy they look.
#[test]
fn slow_and_silent_clients_by_thousands() {
    let directory = Directory::new("slow");
    let file = directory.path().join("longshore.toml");
    let root = directory.path().join("root");
    std::fs::create_dir(&root).expect("a directory");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\npassive_ports = \"32450-32459\"\n\
         [limits]\nlogin_timeout_seconds = 5\n[anonymous]\nroot = {root:?}\npermissions = [\"all\"]\n"
    );
    std::fs::write(&file, text).expect("a configuration");
    let server = Server::start_with(&["--config", &file.display().to_string()]);
    let mut slow: Vec<TcpStream> = (0..4000).map(|_| connect(server.address)).collect();
    for stream in &mut slow {
        assert_eq!(greeted(stream), "220");
    }
    let mut served = server.connect();
    served.say("USER anonymous", 331);
    served.say("PASS someone@example.org", 230);
    served.say("TYPE I", 200);
    // A command byte by byte, over all rounds together: it never becomes a line.
    for round in 0..10 {
        for stream in slow.iter_mut().skip(2000) {
            // Whoever was told to go already cannot be written to.
            let _ = stream.write_all(b"U");
        }
        transfer(&mut served, &format!("file-{round}"));
    }
    for stream in &mut slow {
        let mut rest = String::new();
        // A client that wrote behind the 421 may find a reset behind it.
        let _ = stream.read_to_string(&mut rest);
        assert!(rest.is_empty() || rest.starts_with("421 "), "{rest}");
    }
    let mut told = connect(server.address);
    assert_eq!(greeted(&mut told), "220");
    assert_eq!(greeted(&mut told), "421", "a silent client is told why it has to go");
    transfer(&mut served, "after");
}
