//! One session that meets every turn of a transfer's life, in order.

use std::time::Duration;

use crate::common::{Client, Data, HERE, MORE_THAN_BUFFERS_BYTES, PASSWORD, Setup, Situation, USER, octets};
use longshore_server::storage::memory::Memory;

#[test]
fn the_whole_dialogue() {
    let memory = Memory::new();
    memory.insert("/small", "a few octets").insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    // One thread, so that the wait for a connection nobody makes need not be waited out.
    let server = Setup::of(memory.clone()).on_one_thread().start();
    let mut client = Client::connect(server.address(HERE));

    client.expect(Situation::Greeting);
    client.command(format!("PASS {PASSWORD}"), Situation::PassWithoutUser);
    client.command(format!("USER {USER}"), Situation::PasswordWanted);
    client.command(format!("PASS {PASSWORD}"), Situation::LoggedIn);
    client.command("TYPE I", Situation::TypeSet);
    client.command("RNTO new", Situation::RntoWithoutRnfr);
    client.command("RETR small", Situation::NothingArranged);

    // Connected before RETR.
    let mut data = client.data();
    client.command("RETR small", Situation::MarkStanding);
    assert_eq!(data.read_all(), b"a few octets");
    client.expect(Situation::Sent);

    // Connected after RETR.
    let to = client.passive();
    client.command("RETR small", Situation::MarkOpening);
    let mut data = Data::connect(to);
    assert_eq!(data.read_all(), b"a few octets");
    client.expect(Situation::Sent);

    // Nobody connects.
    let to = client.passive();
    client.command("RETR small", Situation::MarkOpening);
    server.advance(Duration::from_secs(31));
    let text = client.expect(Situation::NoConnection).text();
    assert!(text.contains(&to.port().to_string()) && text.contains(" 30 s"), "{text}");

    // ABOR, with STAT and NOOP while data flows.
    let data = client.data();
    client.command("RETR big", Situation::MarkStanding);
    client.wait_until_moved(100_000);
    client.command("NOOP", Situation::Noop);
    client.send("ABOR");
    client.expect(Situation::TransferAborted);
    client.expect(Situation::Aborted);
    drop(data);

    // The client resets.
    let mut data = client.data();
    client.command("RETR big", Situation::MarkStanding);
    data.read(100_000);
    data.reset();
    client.expect(Situation::PeerReset);

    // The transfer after a refused upload on an arrangement that the client has used already.
    let mut data = client.data();
    data.write(b"bytes for a file that is refused");
    client.command("STOR missing/file", Situation::TargetNoDirectory);
    client.command("STOR other", Situation::ClosedByRefusal);
    assert_eq!(memory.contents("/other"), None);
    client.quit();
}
