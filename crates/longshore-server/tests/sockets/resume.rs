//! Going on after a cut, the way curl, lftp and WinSCP do it.

use longshore_server::storage::memory::Memory;

use crate::common::ground::with_each_store;
use crate::common::{Client, Data, Server, Situation, check_octets, octets};

const WHOLE_BYTES: usize = 700_000;
const CUT_BYTES: usize = 300_000;

/// Sends the first octets and breaks the connection.
#[track_caller]
fn cut(client: &mut Client, line: &str, octets: &[u8]) {
    cut_as(client, line, octets, Situation::UploadResetKept);
}

#[track_caller]
fn cut_as(client: &mut Client, line: &str, octets: &[u8], expected: Situation) {
    let mut data = client.data();
    client.command(line, 125);
    data.write(octets);
    client.wait_until_moved(octets.len() as u64);
    data.reset();
    client.expect(expected);
}

#[test]
fn an_upload_goes_on_where_size_says() {
    with_each_store(|server| {
        let whole = octets(WHOLE_BYTES, 9);
        for line in ["STOR", "APPE"] {
            let mut client = server.anna();
            cut(&mut client, &format!("{line} file"), &whole[..CUT_BYTES]);
            // The same account from another session, as after a crash.
            let mut client = server.anna();
            let kept = client.command("SIZE file", 213).text();
            assert_eq!(kept, CUT_BYTES.to_string());
            client.command("MDTM file", 213);
            client.command(format!("REST {kept}"), Situation::RestartAccepted);
            client.store(format!("{line} file"), &whole[CUT_BYTES..]);
            check_octets(&client.fetch("RETR file"), &whole);
            client.command("DELE file", 250);
            client.command("SIZE file", Situation::NotFound);
        }
    });
}

#[test]
fn an_upload_goes_on_with_appe_alone() {
    with_each_store(|server| {
        let whole = octets(WHOLE_BYTES, 9);
        let mut client = server.anna();
        cut(&mut client, "STOR file", &whole[..CUT_BYTES]);
        cut(&mut client, "APPE file", &whole[CUT_BYTES..CUT_BYTES + 50_000]);
        client.store("APPE file", &whole[CUT_BYTES + 50_000..]);
        check_octets(&client.fetch("RETR file"), &whole);
    });
}

#[test]
fn where_an_upload_cannot_go_on() {
    with_each_store(|server| {
        let mut client = server.anna();
        cut(&mut client, "STOR file", b"0123456789");
        for offset in [11_u64, i64::MAX as u64] {
            client.command(format!("REST {offset}"), 350);
            let mut data = client.data();
            client.command("STOR file", Situation::RestartBeyondEnd);
            data.expect_end();
        }
        // Before its end is fine: it is cut back.
        client.command("REST 5", 350);
        client.store("STOR file", b"!");
        assert_eq!(client.fetch("RETR file"), b"01234!");
        // Within and at the end of a finished file, and never beyond.
        client.command("REST 2", 350);
        client.store("STOR file", b"x");
        assert_eq!(client.fetch("RETR file"), b"01x");
        client.command("REST 3", 350);
        client.store("STOR file", b"yz");
        assert_eq!(client.fetch("RETR file"), b"01xyz");
        client.command("REST 6", 350);
        client.passive();
        client.command("STOR file", Situation::RestartBeyondEnd);
        // REST 0 begins anew, also over a kept part.
        cut(&mut client, "STOR other", b"0123456789");
        client.command("REST 0", 350);
        client.store("STOR other", b"new");
        assert_eq!(client.fetch("RETR other"), b"new");
        // What is kept is nobody else's.
        cut(&mut client, "STOR mine", b"0123456789");
        let mut guest = server.client();
        guest.log_in("anonymous", "x@y");
        guest.command("TYPE I", 200);
        guest.command("SIZE mine", Situation::NotFound);
    });
}

/// A file that stands is untouched until its successor is whole.
#[test]
fn the_old_file_stands_while_its_successor_is_cut_and_goes_on() {
    with_each_store(|server| {
        let mut client = server.anna();
        client.store("STOR file", b"the old one");
        // SIZE and REST speak of the old file, so nobody is told to go on.
        cut_as(&mut client, "STOR file", b"the new ", Situation::UploadReset);
        assert_eq!(client.command("SIZE file", 213).text(), "11");
        assert_eq!(client.fetch("RETR file"), b"the old one");
        client.command("REST 4", 350);
        cut_as(&mut client, "STOR file", b"young", Situation::UploadReset);
        assert_eq!(client.fetch("RETR file"), b"the old one");
        client.store("STOR file", b"the newest");
        assert_eq!(client.fetch("RETR file"), b"the newest");
    });
}

#[test]
fn a_download_goes_on_where_the_client_says() {
    with_each_store(|server| {
        let whole = octets(WHOLE_BYTES, 9);
        let mut client = server.anna();
        client.store("STOR file", &whole);
        for offset in [1, CUT_BYTES, WHOLE_BYTES - 1, WHOLE_BYTES] {
            client.command(format!("REST {offset}"), 350);
            // What may come between REST and its transfer.
            client.command("TYPE I", 200);
            check_octets(&client.fetch("RETR file"), &whole[offset..]);
        }
        check_octets(&client.fetch("RETR file"), &whole);
        client.command(format!("REST {}", WHOLE_BYTES + 1), 350);
        let mut data = client.data();
        client.command("RETR file", Situation::RestartBeyondEnd);
        // A refused download leaves the arrangement, and the REST is used up.
        client.command("RETR file", 125);
        check_octets(&data.read_all(), &whole);
        client.expect(226);
        // Something between that may mean another file.
        client.command("REST 5", 350);
        client.command("CWD /", 250);
        let mut data = client.data();
        client.command("RETR file", Situation::RestNotFollowed);
        client.command("RETR file", 125);
        check_octets(&data.read_all(), &whole);
        client.expect(226);
        client.command("TYPE A", 200);
        client.command("REST 5", 350);
        client.passive();
        client.command("RETR file", Situation::RestartInText);
    });
}

/// With real cuts: each time the client has a little more, until it has all.
#[test]
fn a_download_in_many_attempts() {
    let memory = Memory::new();
    let whole = octets(8_000_000, 3);
    memory.insert("/file", whole.clone());
    let server = Server::of(memory);
    let mut received = Vec::new();
    while received.len() + 1_000_000 < whole.len() {
        let mut client = server.anna();
        client.command(format!("REST {}", received.len()), 350);
        let to = client.passive();
        let mut data = Data::connect_small(to, 4096);
        client.command("RETR file", 125);
        received.extend(data.read(1_000_000));
        data.reset();
        client.reset();
    }
    let mut client = server.anna();
    client.command(format!("REST {}", received.len()), 350);
    received.extend(client.fetch("RETR file"));
    check_octets(&received, &whole);
}
