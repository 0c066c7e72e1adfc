//! Files and listings in every TYPE, STRU and MODE, over real sockets and from each kind of store.
//!
//! Not inside: data connections that stay, beyond that they do ([`keeping`](crate::keeping)), and bytes that no sender
//! makes ([`malformed`](crate::malformed)).

use longshore_proto::transmission::{Form, Mode, Representation, Structure};
use longshore_server::limits::{MARKER_INTERVAL_BYTES, ZERO_COPY_BLOCKS_LEAST_BYTES};
use longshore_server::storage::memory::Memory;

use crate::common::formed::{BLOCKS, COMPRESSED, DEFLATED, Formed, IMAGE, KEEPING, contents, forms};
use crate::common::ground::Scratch;
use crate::common::tls::{REQUIRE, VERSIONS};
use crate::common::{Client, Server, Setup, Situation, check_octets};

const KIB: usize = 1024;

/// At and around the sizes of blocks, strings and buffers.
const SIZES: [usize; 10] = [0, 1, 254, 255, 256, 65_534, 65_535, 65_536, 65_537, 200 * KIB];

/// A server of each kind of store that offers every mode.
fn with_each_store(test: impl Fn(&Server)) {
    test(&Setup::of(Memory::new()).deflating().start());
    let scratch = Scratch::new();
    test(&Setup::of(scratch.local()).deflating().start());
}

/// Sends a file in a form and looks at it as octets, then the other way round.
#[track_caller]
fn both_ways(server: &Server, form: Form, sizes: &[usize]) {
    let mut client = server.anna();
    let formed = Formed::new(&mut client, form);
    both_ways_with(server, client, formed, sizes);
}

#[track_caller]
fn both_ways_with(server: &Server, mut client: Client, mut formed: Formed, sizes: &[usize]) {
    // The witness sees what lies in the store, without any form.
    let mut witness = server.anna();
    let form = formed.form;
    for &size in sizes {
        let file = contents(form, size, size as u64);
        formed.store(&mut client, "STOR file", &file);
        check_octets(&witness.fetch("RETR file"), &file);
        check_octets(&formed.fetch(&mut client, "RETR file"), &file);
        witness.store("STOR other", &file);
        check_octets(&formed.fetch(&mut client, "RETR other"), &file);
        formed.store(&mut client, "APPE other", &file);
        check_octets(&witness.fetch("RETR other"), &[file.as_slice(), &file].concat());
    }
    assert!(formed.is_drained());
    client.quit();
}

#[test]
fn every_form_both_ways() {
    with_each_store(|server| {
        for form in forms() {
            both_ways(server, form, &SIZES);
        }
    });
}

/// Files in MODE Z behind each other on one data connection, where the client asks for it: each has an end of its own.
#[test]
fn every_form_of_deflate_on_one_connection() {
    with_each_store(|server| {
        for form in forms().into_iter().filter(|form| form.mode == Mode::Deflate) {
            let mut client = server.anna();
            let formed = Formed::keeping(&mut client, form);
            both_ways_with(server, client, formed, &SIZES);
        }
    });
    let scratch = Scratch::new();
    let server = Setup::of(scratch.local()).tls(REQUIRE).deflating().start();
    for version in VERSIONS {
        let mut client = server.secured(version);
        let formed = Formed::keeping(&mut client, DEFLATED);
        both_ways_with(&server, client, formed, &[0, 255, 1024 * KIB]);
    }
}

/// A connection that stays is closed by whoever takes back what keeps it, and the next file has one of its own.
#[test]
fn deflate_closes_each_connection_again() {
    let server = Server::of_every_mode(Memory::new());
    let mut client = server.anna();
    let mut formed = Formed::keeping(&mut client, DEFLATED);
    formed.store(&mut client, "STOR file", b"one");
    client.command("OPTS MODE Z KEEP 0", Situation::DeflateCloses);
    formed.data().expect_end();
    client.command("RETR file", Situation::NothingArranged);
    let mut formed = Formed::new(&mut client, DEFLATED);
    assert_eq!(formed.fetch(&mut client, "RETR file"), b"one");
    formed.store(&mut client, "STOR file", b"two");
    assert_eq!(formed.fetch(&mut client, "RETR file"), b"two");
    client.quit();
}

#[test]
fn large_files_both_ways() {
    let least = ZERO_COPY_BLOCKS_LEAST_BYTES as usize;
    with_each_store(|server| {
        for form in [IMAGE, BLOCKS, COMPRESSED, Form { structure: Structure::Record, ..BLOCKS }] {
            both_ways(server, form, &[least - 1, least, least + 1, 5 * KIB * KIB]);
        }
    });
    let server = Setup::of(Memory::new()).deflating().start();
    both_ways(&server, Form { mode: Mode::Deflate, ..IMAGE }, &[1024 * KIB]);
    both_ways(&server, Form { representation: Representation::Ascii, ..BLOCKS }, &[5 * KIB * KIB]);
}

#[test]
fn every_form_inside_tls() {
    for version in VERSIONS {
        let scratch = Scratch::new();
        let server = Setup::of(scratch.local()).tls(REQUIRE).deflating().start();
        let mut client = server.secured(version);
        for form in forms() {
            let mut formed = Formed::new(&mut client, form);
            for size in [0, 255, 200 * KIB] {
                let file = contents(form, size, size as u64);
                formed.store(&mut client, "STOR file", &file);
                check_octets(&formed.fetch(&mut client, "RETR file"), &file);
            }
        }
        assert_eq!(server.control().unproved(), 0);
    }
}

/// A new arrangement for each file instead of the connection that stays.
#[test]
fn each_file_on_a_connection_of_its_own() {
    with_each_store(|server| {
        let mut client = server.anna();
        for form in KEEPING {
            let mut formed = Formed::new(&mut client, form);
            for size in SIZES {
                let file = contents(form, size, 5);
                formed.connect(&mut client);
                formed.store(&mut client, "STOR file", &file);
                formed.connect(&mut client);
                check_octets(&formed.fetch(&mut client, "RETR file"), &file);
            }
        }
    });
}

/// REST counts octets of the file, in each mode that has them.
#[test]
fn files_go_on_at_an_octet() {
    with_each_store(|server| {
        let mut client = server.anna();
        let file = contents(IMAGE, 300 * KIB, 9);
        client.store("STOR file", &file);
        for mode in Mode::ALL {
            for structure in [Structure::File, Structure::Record] {
                let mut formed = Formed::new(&mut client, Form { mode, structure, ..IMAGE });
                for offset in [1, 65_535, 65_536, 200 * KIB, file.len() - 1, file.len()] {
                    client.command(format!("REST {offset}"), Situation::RestartAccepted);
                    let rest = formed.fetch_from(&mut client, "RETR file", offset as u64);
                    check_octets(&rest, &file[offset..]);
                    client.command("DELE copy", 0..=999);
                    formed.store(&mut client, "STOR copy", &file[..offset]);
                    client.command(format!("REST {offset}"), Situation::RestartAccepted);
                    formed.store(&mut client, "STOR copy", &file[offset..]);
                    check_octets(&formed.fetch(&mut client, "RETR copy"), &file);
                }
                client.command(format!("REST {}", file.len() + 1), Situation::RestartAccepted);
                formed.connect(&mut client);
                client.command("RETR file", Situation::RestartBeyondEnd);
            }
        }
    });
}

/// Markers stand in downloads of files that are long enough, and REST takes each of them up, in text as in octets.
#[test]
fn downloads_go_on_at_their_markers() {
    with_each_store(|server| {
        let mut client = server.anna();
        for (representation, mode) in [
            (Representation::Image, Mode::Block),
            (Representation::Image, Mode::Compressed),
            (Representation::Ascii, Mode::Block),
        ] {
            let form = Form { representation, mode, ..IMAGE };
            let file = contents(form, 9 * KIB * KIB, 3);
            client.command("TYPE I", 200);
            client.command("MODE S", 200);
            client.store("STOR file", &file);
            let mut formed = Formed::new(&mut client, form);
            check_octets(&formed.fetch(&mut client, "RETR file"), &file);
            let markers = formed.markers.clone();
            assert_eq!(markers.len() as u64, file.len() as u64 / MARKER_INTERVAL_BYTES, "{markers:?}");
            for marker in markers {
                client.command(format!("REST {marker}"), Situation::RestartAccepted);
                let rest = formed.fetch_from(&mut client, "RETR file", marker);
                check_octets(&rest, &file[marker as usize..]);
            }
        }
    });
}

/// What lies in a directory, in every form: text has the ends of lines of its form, octets have CR LF, or records' ends.
#[test]
fn listings_in_every_form() {
    let memory = Memory::new();
    let names: Vec<String> = (0..500).map(|number| format!("file {number:>04}")).collect();
    for name in &names {
        memory.insert(format!("/d/{name}"), "x");
    }
    let server = Setup::of(memory).deflating().start();
    let mut client = server.anna();
    for form in forms() {
        let mut formed = Formed::new(&mut client, form);
        for line in ["NLST d", "LIST d", "MLSD d"] {
            let listing = formed.fetch(&mut client, line);
            let listing = String::from_utf8(listing).expect("names of letters");
            let octets = form.representation == Representation::Image && form.structure == Structure::File;
            let end = if octets { "\r\n" } else { "\n" };
            let mut lines: Vec<&str> = listing.split_terminator(end).collect();
            lines.sort_unstable();
            let lines: Vec<&str> = lines.into_iter().filter(|line| line.contains("file ")).collect();
            assert_eq!(lines.len(), names.len(), "{line} in {form:?}");
            let mut found: Vec<&str> =
                lines.iter().map(|line| &line[line.find("file ").expect("just looked")..]).collect();
            found.sort_unstable();
            assert!(
                found.iter().zip(&names).all(|(found, name)| found == name),
                "{line} in {form:?}: {found:?}"
            );
        }
        formed.connect(&mut client);
        client.command("NLST none", 550);
        // Nothing, as a whole.
        client.command("MKD empty", 0..=999);
        assert_eq!(formed.fetch(&mut client, "NLST empty"), b"");
    }
}
