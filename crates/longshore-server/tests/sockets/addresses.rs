//! Arranging data connections: both ways, both families, and everybody who should not be let in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use longshore_server::storage::memory::Memory;
use socket2::{Domain, Socket, Type};

use crate::common::client::connect_from;
use crate::common::ground::Bystander;
use crate::common::{
    Client, Data, ELSEWHERE, HERE, HERE_V6, PASSWORD, Server, Setup, Situation, USER, octets,
};

fn tree() -> Memory {
    let memory = Memory::new();
    memory.insert("/file", "contents");
    memory
}

#[track_caller]
fn listen(at: IpAddr) -> (TcpListener, u16) {
    let listener = TcpListener::bind((at, 0)).expect("any port will do");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

fn port_command(port: u16) -> String {
    let [high, low] = port.to_be_bytes();
    format!("PORT 127,0,0,1,{high},{low}")
}

#[test]
fn passive_in_both_families() {
    let server = Server::of(tree());
    for at in [HERE, HERE_V6] {
        let mut client = server.anna_at(at);
        assert_eq!(client.fetch("RETR file"), b"contents");
        let to = client.extended_passive();
        assert!(server.ports().contains(&to.port()), "{to}");
        client.command("RETR file", 150);
        assert_eq!(Data::connect(to).read_all(), b"contents");
        client.expect(Situation::Sent);
        client.store("STOR new", b"new");
    }
    let mut client = server.anna_at(HERE_V6);
    client.command("PASV", Situation::PassiveNeedsIpv4);
    client.command("EPSV 1", Situation::FamilyNotOffered);
    client.command("EPSV 2", Situation::ExtendedPassive);
    client.command("EPSV 3", Situation::FamilyNotOffered);
    let mut client = server.anna();
    client.command("EPSV 2", Situation::FamilyNotOffered);
    client.command("EPSV 1", Situation::ExtendedPassive);
    client.command("EPSV ALL", Situation::EpsvAllAccepted);
    client.command("PASV", Situation::EpsvAll);
    client.command(port_command(2000), Situation::EpsvAll);
    client.command("EPRT |1|127.0.0.1|2000|", Situation::EpsvAll);
    client.command("EPSV", Situation::ExtendedPassive);
}

#[test]
fn active_in_both_families() {
    let server = Server::of(tree());
    for at in [HERE, HERE_V6] {
        let mut client = server.anna_at(at);
        let (listener, port) = listen(at);
        for line in [
            if at == HERE { port_command(port) } else { format!("EPRT |2|::1|{port}|") },
            format!("EPRT |{}|{at}|{port}|", if at == HERE { 1 } else { 2 }),
        ] {
            client.command(&line, Situation::Active);
            client.command("RETR file", Situation::MarkOpening);
            let mut data = Data::accept(&listener);
            // From the port beside the control connection's, where this process can have it.
            let beside = server.address(at).port() - 1;
            assert_eq!(data.peer().ip(), at);
            assert!(
                data.peer().port() == beside || TcpListener::bind((at, beside)).is_err(),
                "{}",
                data.peer()
            );
            assert_eq!(data.read_all(), b"contents");
            client.expect(Situation::Sent);
            client.command(&line, Situation::Active);
            client.command("STOR new", 150);
            let mut data = Data::accept(&listener);
            data.write(b"new");
            data.finish();
            client.expect(Situation::Stored);
        }
    }
}

#[test]
fn nobody_listens_at_the_active_port() {
    let server = Server::of(tree());
    let mut client = server.anna();
    let (listener, port) = listen(HERE);
    drop(listener);
    client.command(port_command(port), 200);
    client.command("RETR file", 150);
    client.expect(Situation::ActiveRefused);
    client.command("RETR file", Situation::NothingArranged);
    assert_eq!(client.fetch("RETR file"), b"contents");
}

#[test]
fn addresses_and_ports_that_are_refused() {
    let server = Server::of(tree());
    let mut client = server.anna();
    for (line, expected) in [
        ("PORT 127,0,0,1,0,21", Situation::LowPort),
        ("PORT 127,0,0,1,3,255", Situation::LowPort),
        ("PORT 127,0,0,1,4,0", Situation::Active),
        ("PORT 127,0,0,1,255,255", Situation::Active),
        ("PORT 127,0,0,1,256,1", Situation::BadArgument),
        ("PORT 127,0,0,1,4", Situation::BadArgument),
        ("PORT 127,0,0,1,4,1,1", Situation::BadArgument),
        ("PORT 127,0,0,1,-4,1", Situation::BadArgument),
        ("PORT", Situation::BadArgument),
        ("PORT 127,0,0,2,8,1", Situation::ForeignAddress),
        ("PORT 192,0,2,1,8,1", Situation::ForeignAddress),
        ("EPRT |1|127.0.0.1|0|", Situation::LowPort),
        ("EPRT |1|127.0.0.1|65536|", Situation::BadArgument),
        ("EPRT |1|127.0.0.1|1023|", Situation::LowPort),
        ("EPRT |1|127.0.0.1|1024|", Situation::Active),
        ("EPRT |1|127.0.0.1|65535|", Situation::Active),
        ("EPRT |1|192.0.2.1|2000|", Situation::ForeignAddress),
        ("EPRT |2|::1|2000|", Situation::FamilyNotOffered),
        ("EPRT |3|x|2000|", Situation::FamilyNotOffered),
        ("EPRT |1|127.0.0.1|2000", Situation::BadArgument),
        ("EPRT 127.0.0.1", Situation::BadArgument),
    ] {
        client.command(line, expected);
    }
    // A refused one leaves the one before as it was.
    let to = client.passive();
    client.command("PORT 127,0,0,1,0,21", Situation::LowPort);
    let mut data = Data::connect(to);
    client.command("RETR file", 125);
    assert_eq!(data.read_all(), b"contents");
    client.expect(226);
}

#[test]
fn strangers_are_closed_and_the_wait_goes_on() {
    let server = Server::of(tree());
    let bystander = Bystander::begin(&server);
    let mut client = server.anna();
    let to = client.passive();
    // Before the mark: no 125 for a stranger.
    let mut early = Data::connect_from(ELSEWHERE, to);
    client.command("STOR new", Situation::MarkOpening);
    early.expect_end();
    // While the server waits.
    for _ in 0..300 {
        Data::connect_from(ELSEWHERE, to).expect_end();
    }
    let mut data = Data::connect(to);
    data.write(b"from the right one");
    data.finish();
    client.expect(Situation::Stored);
    assert_eq!(client.fetch("RETR new"), b"from the right one");
    bystander.finish();
}

#[test]
fn only_strangers() {
    let server = Setup::of(tree()).on_one_thread().start();
    let mut client = server.anna();
    let to = client.passive();
    client.command("RETR file", 150);
    Data::connect_from(ELSEWHERE, to).expect_end();
    server.advance(Duration::from_secs(31));
    client.expect(Situation::OnlyStrangers);
    assert!(connect_from(HERE, to, None).is_err(), "the port is closed");
    client.command("RETR file", Situation::NothingArranged);
    assert_eq!(client.fetch("RETR file"), b"contents");
}

#[test]
fn a_second_arrangement_ends_the_first() {
    let server = Server::of(tree());
    let mut client = server.anna();
    let first = client.passive();
    let mut early = Data::connect(first);
    let second = client.passive();
    early.expect_end();
    if second != first {
        assert!(connect_from(HERE, first, None).is_err(), "the first port is closed");
    }
    let mut data = Data::connect(second);
    client.command("RETR file", 125);
    assert_eq!(data.read_all(), b"contents");
    client.expect(226);
    // An active one ends a passive one.
    let passive = client.passive();
    let (listener, port) = listen(HERE);
    client.command(port_command(port), 200);
    assert!(connect_from(HERE, passive, None).is_err(), "the port is closed");
    client.command("RETR file", 150);
    assert_eq!(Data::accept(&listener).read_all(), b"contents");
    client.expect(226);
    // And a passive one an active one: nobody connects to the listener.
    client.command(port_command(port), 200);
    assert_eq!(client.fetch("RETR file"), b"contents");
}

#[test]
fn a_connection_that_has_ended_already_is_not_used() {
    let memory = tree();
    let server = Server::of(memory.clone());
    let mut client = server.anna();
    for ending in [Data::finish, Data::reset] {
        let to = client.passive();
        ending(Data::connect(to));
        // Else it would be an empty file and 226.
        client.command("STOR new", Situation::MarkOpening);
        let mut data = Data::connect(to);
        data.write(b"new");
        data.finish();
        client.expect(Situation::Stored);
        assert_eq!(memory.contents("/new").as_deref(), Some(&b"new"[..]));
    }
    // One with bytes in it is one, though it has ended too.
    let to = client.passive();
    let mut data = Data::connect(to);
    data.write(b"all of it");
    data.finish();
    client.command("STOR new", Situation::MarkStanding);
    client.expect(Situation::Stored);
    assert_eq!(memory.contents("/new").as_deref(), Some(&b"all of it"[..]));
}

#[test]
fn a_port_that_is_not_used_expires() {
    let server = Setup::of(tree()).on_one_thread().start();
    let mut client = server.anna();
    let to = client.passive();
    server.advance(Duration::from_secs(61));
    client.command("RETR file", Situation::ArrangementExpired);
    assert!(connect_from(HERE, to, None).is_err(), "the port is closed");
    client.command("PASV", 227);
    client.command("RETR file", 150);
}

#[test]
fn all_passive_ports_are_in_use() {
    let server = Setup::of(tree()).ports(1).start();
    let (mut first, mut second) = (server.anna(), server.anna());
    let to = first.passive();
    second.command("PASV", Situation::NoPort);
    second.command("EPSV", Situation::NoPort);
    second.command("RETR file", Situation::NothingArranged);
    // Somebody from another address shares the port, and each gets its own connection.
    let mut other = Client::connect_from(ELSEWHERE, server.address(HERE));
    other.expect(220);
    other.log_in(USER, PASSWORD);
    other.command("TYPE I", 200);
    assert_eq!(other.passive(), to);
    let mut theirs = Data::connect_from(ELSEWHERE, to);
    let mut data = Data::connect(to);
    first.command("STOR first", 125);
    other.command("STOR other", 125);
    data.write(b"first");
    theirs.write(b"other");
    data.finish();
    theirs.finish();
    first.expect(226);
    other.expect(226);
    assert_eq!(first.fetch("RETR first"), b"first");
    // Active connections need none.
    first.passive();
    let (listener, port) = listen(HERE);
    second.command(port_command(port), 200);
    second.command("RETR other", 150);
    assert_eq!(Data::accept(&listener).read_all(), b"other");
    second.expect(226);
    // And there is one again when it is given back.
    first.quit();
    server.events().sessions_ended(1);
    assert_eq!(second.fetch("RETR file"), b"contents");
}

#[test]
fn a_directory_refreshed_many_times_needs_one_port() {
    let server = Setup::of(tree()).ports(1).start();
    let mut client = server.anna();
    for _ in 0..30 {
        assert_eq!(client.names("NLST"), ["file"]);
    }
}

/// Many transfers at once from one address: as many as there are ports.
#[test]
fn one_address_uses_the_whole_range() {
    let server = Setup::of(Memory::new()).ports(4).start();
    let mut clients: Vec<Client> = (0..4).map(|_| server.anna()).collect();
    let mut connections = Vec::new();
    for (number, client) in clients.iter_mut().enumerate() {
        let mut data = client.data();
        client.command(format!("STOR {number}"), 125);
        data.write(&octets(1000, number as u64));
        connections.push(data);
    }
    // A port is given back as soon as its connection stands.
    let mut fifth = server.anna();
    fifth.store("STOR fifth", b"x");
    for (data, client) in connections.into_iter().zip(&mut clients) {
        data.finish();
        client.expect(226);
    }
}

/// What 227 names: the public address, but not towards this machine itself.
#[test]
fn the_public_address() {
    let public = Ipv4Addr::new(203, 0, 113, 7);
    let own = ELSEWHERE;
    let server = Setup::of(tree())
        .with(move |config| {
            config.policy.public_address = Some(public);
            config.is_home = |address| address == HERE;
        })
        .listening(own)
        .start();
    assert_eq!(server.anna().old_passive().ip(), HERE);
    let mut client = server.client_at(own);
    client.log_in("anonymous", "x@y");
    let to = client.old_passive();
    assert_eq!(to.ip(), public);
    client.command("LIST", 150);
    Data::connect(SocketAddr::new(own, to.port())).read_all();
    client.expect(226);
}

/// Without a public address, 227 names the one that the client came to: with several interfaces or balancers there
/// is no other that surely works.
#[test]
fn pasv_names_the_address_that_the_client_came_to() {
    let own = ELSEWHERE;
    let server = Setup::of(tree()).listening(own).start();
    for at in [HERE, own] {
        let mut client = server.client_at(at);
        client.log_in("anonymous", "x@y");
        client.command("TYPE I", 200);
        let to = client.old_passive();
        assert_eq!(to.ip(), at);
        let mut data = Data::connect(to);
        client.command("RETR file", 125);
        assert_eq!(data.read_all(), b"contents");
        client.expect(226);
    }
}

/// Transfers between two servers, where the operator allows them.
#[test]
fn foreign_addresses_that_are_allowed() {
    let server = Setup::of(tree()).with(|config| config.policy.foreign_addresses = true).start();
    let (mut from, mut to) = (server.anna(), server.anna());
    let target = to.passive();
    let [high, low] = target.port().to_be_bytes();
    from.command(format!("PORT 127,0,0,1,{high},{low}"), 200);
    to.command("STOR copy", 150);
    from.command("RETR file", 150);
    from.expect(Situation::Sent);
    to.expect(Situation::Stored);
    assert_eq!(to.fetch("RETR copy"), b"contents");
    let target = from.passive();
    let mut data = Data::connect_from(ELSEWHERE, target);
    from.command("RETR file", 125);
    assert_eq!(data.read_all(), b"contents");
    from.expect(226);
    let (listener, port) = listen(ELSEWHERE);
    let [high, low] = port.to_be_bytes();
    from.command(format!("PORT 127,0,0,2,{high},{low}"), Situation::Active);
    from.command("RETR file", 150);
    assert_eq!(Data::accept(&listener).read_all(), b"contents");
    from.expect(226);
}

/// A firewall that swallows the connection: a listener whose queue is full does the same.
#[test]
fn an_active_connection_that_gets_no_answer() {
    let server = Setup::of(tree()).on_one_thread().start();
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free");
    listener.bind(&SocketAddr::new(HERE, 0).into()).expect("any port will do");
    listener.listen(0).expect("it is bound");
    let at = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
    let _fills_the_queue = Data::connect(at);
    let mut client = server.anna();
    client.command(port_command(at.port()), 200);
    client.command("RETR file", 150);
    server.advance(Duration::from_secs(31));
    client.expect(Situation::ActiveSilent);
    client.command(port_command(at.port()), 200);
    client.command("RETR file", 150);
    client.send("ABOR");
    client.expect(Situation::TransferAborted);
    client.expect(Situation::Aborted);
    assert_eq!(client.fetch("RETR file"), b"contents");
}

/// An old file stands until its successor has come, and nobody's data connection is part of that.
#[test]
fn an_upload_to_which_nobody_connects_changes_nothing() {
    let memory = tree();
    let server = Setup::of(memory.clone()).on_one_thread().start();
    let mut client = server.anna();
    for line in ["STOR file", "APPE file", "STOR new", "STOU file"] {
        client.passive();
        client.command(line, 150);
        server.advance(Duration::from_secs(31));
        client.expect(Situation::NoConnection);
    }
    assert_eq!(memory.contents("/file").as_deref(), Some(&b"contents"[..]));
    assert_eq!(client.names("NLST"), ["file"]);
    client.command("SIZE new", 550);
}
