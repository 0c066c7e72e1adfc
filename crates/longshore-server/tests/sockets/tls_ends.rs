//! How protected data connections end, and what is made of it: whole, cut, or broken.

use std::io::{Read, Write};

use longshore_server::EventKind;
use longshore_server::accounts::{DataSession, TlsRules, UploadEnd};
use longshore_server::storage::memory::Memory;

use crate::common::ground::{Bystander, Scratch};
use crate::common::tls::{REQUIRE, VERSIONS};
use crate::common::{Client, Data, MORE_THAN_BUFFERS_BYTES, Server, Setup, Situation, check_octets, octets};

fn rules(upload_end: UploadEnd) -> TlsRules {
    TlsRules { upload_end: Some(upload_end), data_session: Some(DataSession::Require), ..TlsRules::default() }
}

/// Runs a test on an empty store of each kind and in each version, under these rules.
fn each(rules: TlsRules, test: impl Fn(&Server, &mut Client)) {
    let scratch = Scratch::new();
    for local in [false, true] {
        let setup = if local { Setup::of(scratch.local()) } else { Setup::of(Memory::new()) };
        let server = setup.tls(rules).start();
        for version in VERSIONS {
            let mut client = server.secured(version);
            test(&server, &mut client);
            client.command("DELE file", 250);
            client.quit();
        }
    }
}

/// An upload that has brought these octets and goes on.
#[track_caller]
fn begin(client: &mut Client, line: &str, octets: &[u8]) -> Data {
    let mut data = client.data();
    client.command(line, 125);
    data.wire().handshake().expect("both sides agree");
    data.write(octets);
    client.wait_until_moved(octets.len() as u64);
    data
}

/// That nothing stands under the name of an upload of `whole` that was cut, and that it goes on where it was.
#[track_caller]
fn check_kept(client: &mut Client, whole: &[u8], kept: usize) {
    assert!(!client.names("NLST").contains(&"file".to_owned()));
    assert_eq!(client.command("SIZE file", 213).text(), kept.to_string());
    client.command(format!("REST {kept}"), 350);
    client.store("STOR file", &whole[kept..]);
    check_octets(&client.fetch("RETR file"), whole);
}

/// One that knows how long the file is and leaves when it has it, over our close_notify or before it was sent.
#[test]
fn a_client_that_does_not_read_the_end_of_a_download() {
    let memory = Memory::new();
    let contents = octets(200_000, 1);
    memory.insert("/file", contents.clone());
    let server = Setup::of(memory).tls(REQUIRE).start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        for round in 0..10 {
            let mut data = client.data();
            client.command("RETR file", 125);
            check_octets(&data.read(contents.len()), &contents);
            match round % 3 {
                0 => drop(data),
                1 => data.reset(),
                _ => data.finish(),
            }
            client.expect(Situation::Sent);
        }
    }
}

/// What the client says meanwhile must not lead to a reset under what it has not read yet.
#[test]
fn a_slow_reader_that_says_something_itself() {
    let memory = Memory::new();
    let contents = octets(150_000, 2);
    memory.insert("/file", contents.clone());
    let server = Setup::of(memory).tls(REQUIRE).start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        for said in ["nothing", "octets", "close_notify", "close_notify and FIN"] {
            let mut data = client.data();
            client.command("RETR file", 125);
            data.wire().handshake().expect("both sides agree");
            match said {
                "nothing" => {}
                "octets" => data.write(&octets(50_000, 3)),
                _ => data.wire().close_notify().expect("the server reads"),
            }
            if said.ends_with("FIN") {
                data.end_output();
            }
            client.expect(Situation::Sent);
            check_octets(&data.read_all(), &contents);
        }
    }
}

/// The server has heard all of it; what it says last is of no use to such a client.
#[test]
fn a_client_that_closes_as_soon_as_its_upload_is_sent() {
    each(REQUIRE, |_, client| {
        for size in [0, 1, 446, 60_000] {
            let mut data = client.data();
            client.command("STOR file", 125);
            data.wire().handshake().expect("both sides agree");
            data.write(&octets(size, 4));
            data.wire().close_notify().expect("the server reads");
            drop(data);
            client.expect(Situation::Stored);
            check_octets(&client.fetch("RETR file"), &octets(size, 4));
        }
    });
}

/// The client is told by close_notify, before the answer, that all of it was heard.
#[test]
fn an_upload_that_ends_with_close_notify() {
    each(rules(UploadEnd::Refuse), |server, client| {
        let bystander = Bystander::begin(server);
        for size in [0, 300_000] {
            let mut data = client.data();
            client.command("STOR file", 125);
            data.write(&octets(size, 4));
            data.wire().close_notify().expect("the server reads");
            assert_eq!(data.read_all(), b"");
            client.expect(Situation::Stored);
            check_octets(&client.fetch("RETR file"), &octets(size, 4));
        }
        bystander.finish();
        client.command("DELE bystander", 250);
    });
}

#[test]
fn an_upload_that_ends_without_close_notify_is_accepted() {
    for (rules, named) in [(rules(UploadEnd::Accept), true), (REQUIRE, false)] {
        assert_eq!(rules.upload_end.is_some(), named, "it is the default, too");
        each(rules, |server, client| {
            // It closes, or ends its direction only and hears close_notify and all.
            for (size, closes) in [(300_000, true), (0, false), (300_000, false)] {
                let mut data = client.data();
                client.command("STOR file", 125);
                data.wire().handshake().expect("both sides agree");
                data.write(&octets(size, 5));
                if closes {
                    drop(data);
                } else {
                    data.end_output();
                    assert_eq!(data.read_all(), b"");
                }
                client.expect(Situation::Stored);
                check_octets(&client.fetch("RETR file"), &octets(size, 5));
            }
            let paths = server.events().wait_for(3, |event| match &event.kind {
                EventKind::NoCloseNotify { path } => Some(path.to_string()),
                _ => None,
            });
            assert_eq!(paths, ["/file"; 3]);
        });
    }
}

#[test]
fn an_upload_that_ends_without_close_notify_is_refused() {
    each(rules(UploadEnd::Refuse), |_, client| {
        let whole = octets(300_000, 6);
        let mut data = begin(client, "STOR file", &whole[..200_000]);
        data.end_output();
        let text = client.expect(Situation::UploadNoCloseNotifyKept).text();
        assert!(text.contains(" 200000 bytes"), "{text}");
        data.expect_end();
        check_kept(client, &whole, 200_000);
        client.command("DELE file", 250);
        // Where nothing can be kept.
        let data = begin(client, "STOU file", b"some");
        data.end_output();
        client.expect(Situation::UploadNoCloseNotify);
        client.store("STOR file", b"");
    });
}

#[test]
fn an_upload_that_is_reset() {
    for upload_end in [UploadEnd::Accept, UploadEnd::Refuse] {
        each(rules(upload_end), |_, client| {
            let whole = octets(300_000, 7);
            begin(client, "STOR file", &whole[..200_000]).reset();
            client.expect(Situation::UploadResetKept);
            check_kept(client, &whole, 200_000);
        });
    }
}

/// Whoever can change bytes on the way changes no file: what came before stays good, the rest is not taken.
#[test]
fn an_upload_with_a_broken_record() {
    for upload_end in [UploadEnd::Accept, UploadEnd::Refuse] {
        each(rules(upload_end), |server, client| {
            let bystander = Bystander::begin(server);
            let whole = octets(200_000, 8);
            let mut data = begin(client, "STOR file", &whole[..100_000]);
            let wire = data.wire();
            let tls = wire.tls.as_mut().expect("TLS");
            tls.writer().write_all(&whole[100_000..110_000]).expect("room");
            let mut record = wire.take_unsent();
            // In the body of a record, whose tag does not fit any more.
            let middle = record.len() / 2;
            record[middle] ^= 1;
            wire.socket.write_all(&record).expect("the server reads");
            client.expect(Situation::UploadTlsBrokenKept);
            let error = data.wire().read(&mut [0; 1]).expect_err("the client is told, too");
            assert!(error.to_string().contains("BadRecordMac"), "{error}");
            check_kept(client, &whole, 100_000);
            bystander.finish();
            client.command("DELE bystander", 250);
        });
    }
}

/// A record that is replayed, left out, or put before another one.
#[test]
fn an_upload_with_records_out_of_order() {
    each(REQUIRE, |_, client| {
        for order in [[0, 0, 1], [1, 0, 2], [0, 2, 1]] {
            let mut data = begin(client, "STOR file", b"begin");
            let wire = data.wire();
            let records = [1, 2, 3].map(|seed| {
                let tls = wire.tls.as_mut().expect("TLS");
                tls.writer().write_all(&octets(1000, seed)).expect("room");
                wire.take_unsent()
            });
            for index in order {
                // The server may have seen the first wrong one by now.
                let _ = wire.socket.write_all(&records[index]);
            }
            client.expect(Situation::UploadTlsBrokenKept);
            client.command("DELE file", 550);
        }
        client.store("STOR file", b"");
    });
}

/// The client finds that something is wrong, and says so.
#[test]
fn an_upload_that_ends_by_an_alert() {
    for upload_end in [UploadEnd::Accept, UploadEnd::Refuse] {
        each(rules(upload_end), |_, client| {
            let whole = octets(200_000, 9);
            let mut data = begin(client, "STOR file", &whole[..100_000]);
            let wire = data.wire();
            let tls = wire.tls.as_mut().expect("TLS");
            let nonsense = [&[23, 3, 3, 0, 40][..], &[7; 40]].concat();
            tls.read_tls(&mut &nonsense[..]).expect("a buffer");
            tls.process_new_packets().expect_err("it is nonsense");
            let alert = wire.take_unsent();
            wire.socket.write_all(&alert).expect("the server reads");
            client.expect(Situation::UploadTlsBrokenKept);
            data.expect_end();
            check_kept(client, &whole, 100_000);
        });
    }
    let told = |event: &longshore_server::Event| match &event.kind {
        EventKind::Transfer { cause, .. } => cause.clone(),
        _ => None,
    };
    let server = Setup::of(Memory::new()).tls(REQUIRE).start();
    let mut client = server.secured(VERSIONS[1]);
    let mut data = begin(&mut client, "STOR file", b"begin");
    data.wire().socket.write_all(&[23, 3, 3, 0, 20, 0, 0, 0, 0, 0]).expect("the server reads");
    data.wire().socket.write_all(&[0; 15]).expect("the server reads");
    client.expect(Situation::UploadTlsBrokenKept);
    assert!(server.events().wait_for(1, told)[0].starts_with("the client broke TLS"));
}

/// An end in the middle of a record is no end that anybody meant, whatever is made of one without close_notify.
#[test]
fn an_upload_that_ends_within_a_record() {
    for upload_end in [UploadEnd::Accept, UploadEnd::Refuse] {
        each(rules(upload_end), |_, client| {
            let whole = octets(200_000, 10);
            let mut data = begin(client, "STOR file", &whole[..100_000]);
            let wire = data.wire();
            let tls = wire.tls.as_mut().expect("TLS");
            tls.writer().write_all(&whole[100_000..110_000]).expect("room");
            let record = wire.take_unsent();
            wire.socket.write_all(&record[..record.len() - 1]).expect("the server reads");
            data.end_output();
            client.expect(Situation::UploadTlsBrokenKept);
            data.expect_end();
            check_kept(client, &whole, 100_000);
        });
    }
}

/// What stands behind close_notify is not the file's, and no reason to refuse it.
#[test]
fn octets_behind_the_end() {
    each(rules(UploadEnd::Refuse), |_, client| {
        for behind in [&b"in clear"[..], &[23, 3, 3, 0, 4, 1, 2, 3, 4], &[0; 300_000]] {
            let mut data = begin(client, "STOR file", b"all of it");
            let wire = data.wire();
            wire.tls.as_mut().expect("TLS").send_close_notify();
            let bytes = [wire.take_unsent(), behind.to_vec()].concat();
            wire.socket.write_all(&bytes).expect("the server hears it out");
            client.expect(Situation::Stored);
            data.end_output();
            assert_eq!(data.read_all(), b"");
            assert_eq!(client.fetch("RETR file"), b"all of it");
        }
    });
}

fn big() -> Memory {
    let memory = Memory::new();
    memory.insert("/big", octets(MORE_THAN_BUFFERS_BYTES, 1));
    memory
}

#[test]
fn a_download_that_the_client_cuts() {
    let server = Setup::of(big()).tls(REQUIRE).start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        for ending in [drop as fn(Data), Data::reset] {
            let mut data = client.data();
            client.command("RETR big", 125);
            data.read(100_000);
            ending(data);
            client.expect(Situation::PeerReset);
        }
        client.command("NOOP", 200);
    }
}

/// A download that we cut ends by a reset, never by anything that could be taken for its end.
#[test]
fn a_download_that_the_server_cuts() {
    let server = Setup::of(big()).tls(REQUIRE).start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        let mut data = client.data();
        client.command("RETR big", 125);
        data.read(100_000);
        drop(client);
        data.expect_reset();
    }
}

/// The handshake on the data connection ends before it is complete.
#[test]
fn data_connections_that_end_in_their_handshake() {
    let server = Setup::of(big()).tls(REQUIRE).start();
    for version in VERSIONS {
        for line in ["RETR big", "STOR new"] {
            // One for each, since each handshake that is begun takes a ticket from the client.
            let mut client = server.secured(version);
            for ending in ["close", "reset", "alert", "hello and close"] {
                let mut data = client.data();
                client.command(line, 125);
                let wire = data.wire();
                match ending {
                    "close" => drop(data),
                    "reset" => data.reset(),
                    "alert" => {
                        wire.socket.write_all(&[21, 3, 3, 0, 2, 2, 42]).expect("the server reads");
                        let mut rest = Vec::new();
                        let _ = wire.socket.read_to_end(&mut rest);
                    }
                    _ => {
                        let hello = wire.take_unsent();
                        wire.socket.write_all(&hello).expect("the server reads");
                        drop(data);
                    }
                }
                let text = client.expect(Situation::DataTlsFailed).text();
                assert_eq!(text.contains("bad_certificate"), ending == "alert", "{ending}: {text}");
                client.command("RETR big", Situation::NothingArranged);
            }
            assert_eq!(client.names("NLST"), ["big"]);
            client.quit();
        }
    }
}
