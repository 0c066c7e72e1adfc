//! Strangers on a passive port under TLS: whatever they try, before the client connects and after, not one octet of a
//! file reaches them, not one of theirs is stored, and the client's transfer succeeds.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use longshore_server::accounts::{DataPeer, DataSession, TlsRules};
use longshore_server::limits::HANDSHAKES_AT_ONCE;
use longshore_server::storage::memory::Memory;
use rustls::ClientConfig;

use crate::common::client::{Expected, Reply, connect_from};
use crate::common::tls::{REQUIRE, VERSIONS, Version, client};
use crate::common::wire::Wire;
use crate::common::{Client, Data, ELSEWHERE, HERE, Random, Server, Setup, Situation, check_octets, octets};

/// Longer than whatever a handshake says, so that no piece of it passes for one.
const CONTENTS_BYTES: usize = 40_000;

pub(super) fn contents() -> Vec<u8> {
    octets(CONTENTS_BYTES, 42)
}

pub(super) fn setup() -> Setup {
    let memory = Memory::new();
    memory.insert("/file", contents());
    Setup::of(memory).ports(16)
}

/// What a stranger does when he has connected.
#[derive(Clone, Debug)]
pub(super) enum Trick {
    /// Waits for what may come.
    Silent,
    /// Closes at once.
    Leaves,
    /// Breaks the connection at once.
    Breaks,
    /// Sends a file in clear.
    Clear,
    /// Sends what is no TLS, but looks like it.
    Garbage,
    /// Begins a handshake and does not go on.
    Half(Arc<ClientConfig>),
    /// Sends a hello that the client itself has sent before.
    Replay(Arc<[u8]>),
    /// Does a whole handshake with what he knows: nothing, a session of his own, or what an earlier handshake on a data
    /// port has left.
    Handshake(Arc<ClientConfig>),
}

/// Connects to a passive port and tries it; what was got out of it in clear.
pub(super) fn stranger(trick: Trick, from: IpAddr, to: SocketAddr) -> JoinHandle<Vec<u8>> {
    let socket = connect_from(from, to, None);
    let mut wire = socket.map(Wire::clear).ok();
    let mut begin = || -> Option<()> {
        let wire = wire.as_mut()?;
        match &trick {
            Trick::Silent | Trick::Leaves | Trick::Breaks => {}
            Trick::Clear => wire.socket.write_all(&[b'x'; 3000]).ok()?,
            Trick::Garbage => wire.socket.write_all(&[&[22, 3, 1, 0, 9][..], &[b'x'; 3000]].concat()).ok()?,
            Trick::Replay(hello) => wire.socket.write_all(hello).ok()?,
            Trick::Half(config) => {
                wire.protect(config);
                let hello = wire.take_unsent();
                wire.tls = None;
                wire.socket.write_all(&hello[..hello.len() - 3]).ok()?;
            }
            // Its hello goes out here, so that it stands there when the client comes.
            Trick::Handshake(config) => {
                wire.protect(config);
                let hello = wire.take_unsent();
                wire.socket.write_all(&hello).ok()?;
            }
        }
        Some(())
    };
    let _ = begin();
    if let Trick::Breaks = trick
        && let Some(wire) = wire.take()
    {
        wire.reset();
    }
    std::thread::spawn(move || {
        let mut found = Vec::new();
        let Some(mut wire) = wire else { return found };
        match trick {
            Trick::Leaves | Trick::Breaks => {}
            Trick::Handshake(_) => {
                if wire.handshake().is_ok() {
                    let _ = wire.write_all(&[b'x'; 3000]).and_then(|()| wire.flush());
                    let _ = wire.read_to_end(&mut found);
                }
            }
            Trick::Silent | Trick::Clear | Trick::Garbage | Trick::Half(_) | Trick::Replay(_) => {
                let _ = wire.read_to_end(&mut found);
                // What a handshake says is nobody's secret; a file would begin with its first octets.
                if found.first().is_some_and(|first| [20, 21, 22].contains(first)) {
                    let first = &contents()[..16];
                    assert!(!found.windows(16).any(|window| window == first));
                    found.clear();
                }
            }
        }
        found
    })
}

/// That he has got nothing.
#[track_caller]
pub(super) fn check_stranger(stranger: JoinHandle<Vec<u8>>) {
    let found = stranger.join().expect("he only tries");
    assert!(found.is_empty(), "{} octets have reached a stranger", found.len());
}

/// Everything that strangers try on the port of `client`.
fn tricks(server: &Server, client: &mut Client, version: Version) -> Vec<Trick> {
    // Another control connection of the same user, which goes on meanwhile.
    let other = crate::common::tls::client(version);
    let mut session = server.secured_with(&other);
    session.fetch("NLST");
    // A full handshake on this client's own data port.
    let returning = crate::common::tls::client(version);
    let mut data = Data::connect(client.passive()).protected(Some(&returning));
    client.command("RETR file", 125);
    data.wire().handshake().expect("it is complete before it is judged");
    data.expect_end();
    client.expect(Situation::DataNotResumed);
    // A hello that the client has sent, with a ticket or the name of its session.
    let mut data = client.data();
    client.command("RETR file", 125);
    let hello = data.wire().take_unsent();
    data.wire().socket.write_all(&hello).expect("the server reads");
    check_octets(&data.read_all(), &contents());
    client.expect(Situation::Sent);
    let fresh = || Arc::new(crate::common::tls::client(version));
    vec![
        Trick::Silent,
        Trick::Leaves,
        Trick::Breaks,
        Trick::Clear,
        Trick::Garbage,
        Trick::Half(fresh()),
        Trick::Replay(hello.into()),
        Trick::Handshake(fresh()),
        Trick::Handshake(Arc::new(other)),
        Trick::Handshake(Arc::new(returning)),
    ]
}

/// The transfer of a client whose connection stands already.
#[track_caller]
pub(super) fn transfer(client: &mut Client, mut data: Data, line: &str) {
    if line.starts_with("STOR") {
        data.write(&contents()[..30_000]);
        data.finish();
        client.expect(Situation::Stored);
        check_octets(&client.fetch("RETR new"), &contents()[..30_000]);
        client.command("DELE new", 250);
    } else {
        check_octets(&data.read_all(), &contents());
        client.expect(Situation::Sent);
    }
}

pub(super) const LINES: [&str; 2] = ["RETR file", "STOR new"];

#[test]
fn strangers_before_the_client_and_after_it() {
    let server = setup().tls(REQUIRE).start();
    for version in VERSIONS {
        let own = client(version);
        let mut client = server.secured_with(&own);
        for trick in tricks(&server, &mut client, version) {
            for line in LINES {
                for first in [true, false] {
                    let to = client.passive();
                    let before = first.then(|| stranger(trick.clone(), HERE, to));
                    let data = Data::connect(to).protected(Some(&own));
                    let after = (!first).then(|| stranger(trick.clone(), HERE, to));
                    client.command(line, Begins);
                    transfer(&mut client, data, line);
                    [before, after].into_iter().flatten().for_each(check_stranger);
                }
            }
        }
        client.quit();
    }
    assert_eq!(server.control().unproved(), 0);
}

/// Either mark.
#[derive(Debug)]
pub(super) struct Begins;

impl Expected for Begins {
    fn fits(&self, reply: &Reply) -> bool {
        [125, 150].contains(&reply.code)
    }
}

/// The client is not there at all: nobody else gets its transfer, and it is told why there was none.
#[test]
fn strangers_alone() {
    let server = setup().tls(REQUIRE).on_one_thread().start();
    for version in VERSIONS {
        let own = client(version);
        let mut client = server.secured_with(&own);
        for trick in tricks(&server, &mut client, version) {
            for line in LINES {
                let to = client.passive();
                let stranger = stranger(trick.clone(), HERE, to);
                client.command(line, Begins);
                let expected = match trick {
                    Trick::Silent | Trick::Half(_) | Trick::Replay(_) => {
                        client.command("NOOP", 200);
                        server.advance(Duration::from_secs(31));
                        Situation::DataTlsSilent
                    }
                    Trick::Clear => Situation::DataNotTls,
                    Trick::Garbage => Situation::DataTlsFailed,
                    Trick::Handshake(_) => Situation::DataNotResumed,
                    // One that has gone before it was looked at is none.
                    Trick::Leaves | Trick::Breaks => {
                        client.send("ABOR");
                        let reply = client.reply();
                        assert!([522, 426].contains(&reply.code), "{reply:?}");
                        client.expect(226);
                        check_stranger(stranger);
                        continue;
                    }
                };
                client.expect(expected);
                check_stranger(stranger);
                client.command("SIZE new", Situation::NotFound);
            }
        }
        client.quit();
    }
}

/// As many as may try at once, less one place for the client.
#[test]
fn silent_strangers_leave_room_for_the_client() {
    let server = setup().tls(REQUIRE).start();
    for version in VERSIONS {
        let own = client(version);
        let mut client = server.secured_with(&own);
        for line in LINES {
            for standing in [true, false] {
                let to = client.passive();
                let silent: Vec<_> =
                    (1..HANDSHAKES_AT_ONCE).map(|_| stranger(Trick::Silent, HERE, to)).collect();
                let before = standing.then(|| Data::connect(to).protected(Some(&own)));
                client.command(line, 125);
                let data = before.unwrap_or_else(|| Data::connect(to).protected(Some(&own)));
                transfer(&mut client, data, line);
                silent.into_iter().for_each(check_stranger);
            }
        }
        client.quit();
    }
}

/// One more, and nobody is served any more: the transfer fails, and that is all they can do.
#[test]
fn silent_strangers_that_leave_no_room() {
    let server = setup().tls(REQUIRE).on_one_thread().start();
    for version in VERSIONS {
        let own = client(version);
        let mut client = server.secured_with(&own);
        for line in LINES {
            let to = client.passive();
            let silent: Vec<_> = (0..HANDSHAKES_AT_ONCE).map(|_| stranger(Trick::Silent, HERE, to)).collect();
            let mut data = Data::connect(to).protected(Some(&own));
            client.command(line, 125);
            client.command("NOOP", 200);
            server.advance(Duration::from_secs(31));
            client.expect(Situation::DataTlsSilent);
            silent.into_iter().for_each(check_stranger);
            data.expect_end();
            client.command("SIZE new", Situation::NotFound);
            let data = client.data();
            client.command(line, 125);
            transfer(&mut client, data, line);
        }
        client.quit();
    }
}

/// From another address nobody comes near, in no mode that goes by addresses.
#[test]
fn strangers_from_elsewhere() {
    for data_session in [DataSession::Require, DataSession::Prefer, DataSession::Off] {
        let rules = TlsRules { data_session: Some(data_session), ..TlsRules::default() };
        let server = setup().tls(rules).start();
        for version in VERSIONS {
            let own = client(version);
            let mut client = server.secured_with(&own);
            // The client's own session is no help from there.
            let with_proof = Trick::Handshake(Arc::new(own.clone()));
            for trick in [Trick::Silent, Trick::Clear, with_proof] {
                for line in LINES {
                    let to = client.passive();
                    let strangers: Vec<_> = (0..2 * HANDSHAKES_AT_ONCE)
                        .map(|_| match &trick {
                            Trick::Handshake(_) => stranger(Trick::Silent, ELSEWHERE, to),
                            trick => stranger(trick.clone(), ELSEWHERE, to),
                        })
                        .chain([stranger(trick.clone(), ELSEWHERE, to)])
                        .collect();
                    client.command(line, 150);
                    transfer(&mut client, Data::connect(to).protected(Some(&own)), line);
                    strangers.into_iter().for_each(check_stranger);
                }
            }
            client.quit();
        }
        assert_eq!(server.control().unproved(), 0);
    }
}

/// By address or by proof: the same client from another address, and nobody else from there.
#[test]
fn a_client_with_several_addresses() {
    for data_session in [DataSession::Require, DataSession::Prefer] {
        let rules = TlsRules {
            data_session: Some(data_session),
            data_peer: Some(DataPeer::AddressOrProof),
            ..TlsRules::default()
        };
        let server = setup().tls(rules).start();
        for version in VERSIONS {
            let own = client(version);
            let mut client = server.secured_with(&own);
            let tricks = match data_session {
                DataSession::Require => tricks(&server, &mut client, version),
                _ => vec![Trick::Silent, Trick::Clear, Trick::Handshake(Arc::new(client_of(version)))],
            };
            for line in LINES {
                for at in [HERE, ELSEWHERE] {
                    let to = client.passive();
                    let data = Data::connect_from(at, to).protected(Some(&own));
                    // What is from elsewhere is not spoken of before it has proved itself.
                    client.command(line, if at == HERE { 125 } else { 150 });
                    transfer(&mut client, data, line);
                }
                for trick in &tricks {
                    let to = client.passive();
                    let strangers: Vec<_> = (0..3).map(|_| stranger(trick.clone(), ELSEWHERE, to)).collect();
                    let data = Data::connect_from(ELSEWHERE, to).protected(Some(&own));
                    client.command(line, Begins);
                    transfer(&mut client, data, line);
                    strangers.into_iter().for_each(check_stranger);
                }
            }
            // In clear there is no proof.
            client.command("PROT C", Situation::ProtClear);
            let to = client.passive();
            let stranger = stranger(Trick::Clear, ELSEWHERE, to);
            client.command("STOR new", 150);
            Data::connect(to).write(b"the client's");
            client.expect(Situation::Stored);
            check_stranger(stranger);
            client.data_tls = None;
            assert_eq!(client.fetch("RETR new"), b"the client's");
            client.command("DELE new", 250);
            client.quit();
        }
        assert_eq!(server.control().unproved(), 0);
    }
}

pub(super) fn client_of(version: Version) -> ClientConfig {
    client(version)
}

/// Strangers of all kinds at random around true transfers: what is fetched and stored is always the client's and whole.
#[test]
fn strangers_at_random() {
    const SEEDS: u64 = 40;
    const TRANSFERS: u64 = 8;
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                let server = setup().tls(REQUIRE).start();
                for seed in (half * SEEDS / 2)..((half + 1) * SEEDS / 2) {
                    let version = VERSIONS[(seed % 2) as usize];
                    let own = client(version);
                    let mut random = Random(seed);
                    let mut client = server.secured_with(&own);
                    let tricks = tricks(&server, &mut client, version);
                    for number in 0..TRANSFERS {
                        one_transfer(&mut client, &own, &tricks, &mut random, &format!("{seed}-{number}"));
                    }
                    client.quit();
                }
            });
        }
    });
}

fn one_transfer(client: &mut Client, own: &ClientConfig, tricks: &[Trick], random: &mut Random, name: &str) {
    let fetches = random.below(2) == 0;
    let sent = octets(random.below(100_000) as usize, random.next());
    let line = if fetches { "RETR file".to_owned() } else { format!("STOR {name}") };
    let to = client.passive();
    let mut strangers = Vec::new();
    // Those who wait may not be more than leave a place for the client.
    let mut come = |random: &mut Random, most: u64| {
        for _ in 0..random.below(most + 1) {
            let trick = tricks[random.below(tricks.len() as u64) as usize].clone();
            let from = if random.below(4) == 0 { ELSEWHERE } else { HERE };
            strangers.push(stranger(trick, from, to));
        }
    };
    come(random, 4);
    let data = Data::connect(to).protected(Some(own));
    come(random, 3);
    client.command(line, Begins);
    come(random, 3);
    let mut data = data;
    if fetches {
        check_octets(&data.read_all(), &contents());
        client.expect(Situation::Sent);
    } else {
        data.write(&sent);
        data.finish();
        client.expect(Situation::Stored);
        check_octets(&client.fetch(format!("RETR {name}")), &sent);
    }
    strangers.into_iter().for_each(check_stranger);
}

/// A port that clients of several addresses share, since no other is left: what is accepted for one must not be lost to
/// the other.
#[test]
fn a_stranger_on_a_shared_port() {
    let third = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));
    let server = setup().ports(1).tls(REQUIRE).start();
    for version in VERSIONS {
        let (own, others) = (client(version), client(version));
        let mut client = server.secured_with(&own);
        let mut other = Client::connect_from(third, server.address(HERE));
        other.expect(220);
        other.secure(&others);
        other.log_in(crate::common::USER, crate::common::PASSWORD);
        other.protect_data(&others);
        other.command("TYPE I", 200);
        for trick in [Trick::Silent, Trick::Clear] {
            let to = client.passive();
            assert_eq!(other.passive(), to);
            let stranger = stranger(trick, HERE, to);
            let data = Data::connect(to).protected(Some(&own));
            // Whoever looks for its own connection accepts those of others as well.
            let theirs = Data::connect_from(third, to).protected(Some(&others));
            other.command("RETR file", 125);
            transfer(&mut other, theirs, "RETR file");
            client.command("RETR file", 125);
            transfer(&mut client, data, "RETR file");
            check_stranger(stranger);
        }
    }
}

/// What the client is told is its own fault, not that of a connection which stands beside its own and says nothing.
#[test]
fn a_client_that_does_not_resume_beside_a_silent_stranger() {
    let server = setup().tls(REQUIRE).on_one_thread().start();
    for version in VERSIONS {
        let (own, fresh) = (client(version), client(version));
        let mut client = server.secured_with(&own);
        let to = client.passive();
        let silent = stranger(Trick::Silent, HERE, to);
        let mut data = Data::connect(to).protected(Some(&fresh));
        client.command("STOR new", 125);
        // Its handshake is over, and it is not what it must be.
        data.expect_end();
        client.command("NOOP", 200);
        server.advance(Duration::from_secs(31));
        client.expect(Situation::DataNotResumed);
        check_stranger(silent);
        client.command("SIZE new", Situation::NotFound);
        client.quit();
    }
}
