//! Bytes that no sender makes, and transmissions that are cut: an answer that says what is wrong, a session that goes
//! on, and nothing under the file's name.
//!
//! Not inside: every single fault of each form, which is tested where the codecs are.

use longshore_proto::transmission::{Form, Mode, Representation, Structure};
use longshore_server::storage::memory::Memory;

use crate::common::formed::{BLOCKS, COMPRESSED, DEFLATED, Formed, IMAGE, contents, encoded, forms};
use crate::common::ground::Bystander;
use crate::common::{Client, Server, Setup, Situation, check_octets, octets};

const RECORDS: Form = Form { structure: Structure::Record, ..IMAGE };
const PAGES: Form = Form { structure: Structure::Page, ..IMAGE };

fn server() -> Server {
    Setup::of(Memory::new()).deflating().start()
}

/// Sends these bytes as a file; the session must go on.
#[track_caller]
fn send(client: &mut Client, form: Form, wire: &[u8], expected: Situation) -> String {
    let mut formed = Formed::connected(client, form);
    client.command("STOR file", 125);
    formed.data().write(wire);
    let text = client.expect(expected).text();
    let situation =
        if form.mode == Mode::Stream { Situation::NothingArranged } else { Situation::ConnectionCut };
    client.command("RETR other", situation);
    let whole = octets(500, 1);
    let mut other = Formed::connected(client, form);
    other.store(client, "STOR other", &whole);
    check_octets(&other.fetch(client, "RETR other"), &whole);
    text
}

#[test]
fn what_breaks_the_rules_is_refused() {
    let server = server();
    let mut client = server.anna();
    let valid = |form: Form, behind: &[u8]| {
        let mut wire = encoded(form, &octets(3000, 1));
        // Without its end.
        wire.truncate(wire.len() / 2);
        wire.extend_from_slice(behind);
        wire
    };
    let table: [(Form, Vec<u8>, &str); 9] = [
        (BLOCKS, b"GET / HTTP/1.1\r\n".to_vec(), "a descriptor of 0x47"),
        (BLOCKS, vec![0x01, 0, 0], "a descriptor of 0x01"),
        (BLOCKS, [&[0x10, 1, 0][..], &[b'1'; 256]].concat(), "a restart marker of 256 bytes"),
        (COMPRESSED, vec![0, 0x01], "a descriptor of 0x01"),
        (COMPRESSED, vec![3, b'a', b'b', b'c', 0, 0x0F], "a descriptor of 0x0f"),
        (DEFLATED, octets(1000, 1), "not a zlib stream"),
        (DEFLATED, valid(DEFLATED, &[0xFF; 5000]), ""),
        (RECORDS, b"abc\xFF\x07def".to_vec(), "0xff before 0x07"),
        (PAGES, vec![3, 0, 0, 1], "a page header of 3 bytes"),
    ];
    for (form, wire, detail) in table {
        let text = send(&mut client, form, &wire, Situation::UploadMalformed);
        assert!(text.contains(detail), "{text}");
        // What came before it is not taken for the file.
        client.command("SIZE file", Situation::NotFound);
    }
    client.quit();
}

#[test]
fn a_page_of_an_unknown_type() {
    let server = server();
    let mut client = server.anna();
    for mode in [Mode::Stream, Mode::Block, Mode::Compressed] {
        let form = Form { mode, ..PAGES };
        let page = [4, 0, 0, 9];
        let wire = match mode {
            Mode::Stream => page.to_vec(),
            Mode::Block => [&[0, 0, 4][..], &page].concat(),
            _ => [&[4][..], &page].concat(),
        };
        send(&mut client, form, &wire, Situation::PageType);
    }
}

/// In the middle, in a header, and one byte before the end: never the file, and what can be taken up is.
#[test]
fn what_is_cut_is_no_file() {
    let server = server();
    let mut client = server.anna();
    for form in forms().into_iter().filter(|form| form.states_its_end()) {
        let file = contents(form, 80_000, 7);
        let whole = encoded(form, &file);
        // By octets, or by markers, which tell of octets.
        let goes_on =
            form.structure != Structure::Page && (!form.representation.is_text() || form.mode.has_markers());
        for cut in [0, 1, 2, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let mut formed = Formed::connected(&mut client, form);
            client.command("STOR file", 125);
            formed.data().write(&whole[..cut]);
            formed.data.take().expect("it stands").finish();
            let reply = client.reply();
            let fits = reply.is(Situation::UploadCut) || goes_on && reply.is(Situation::UploadCutKept);
            assert!(fits, "{form:?} cut at {cut}: {reply:?}");
            client.command("TYPE I", 200);
            client.passive();
            client.command("RETR file", Situation::NotFound);
            if reply.is(Situation::UploadCutKept) {
                let kept: usize = client.command("SIZE file", 213).text().parse().expect("octets");
                assert!(kept <= file.len(), "{form:?} cut at {cut}: {kept} octets are kept");
                let mut formed = Formed::keeping(&mut client, form);
                client.command(format!("REST {kept}"), Situation::RestartAccepted);
                formed.store(&mut client, "STOR file", &file[kept..]);
                check_octets(&formed.fetch(&mut client, "RETR file"), &file);
                client.command("DELE file", 250);
            }
        }
    }
}

/// A small stream of MODE Z that grows without end is stopped before it has filled anything.
#[test]
fn a_deflate_bomb_is_stopped() {
    // A block of dynamic codes in which every two zero bits are 258 zeros (RFC 1951 section 3.2.7).
    const HEAD: [u8; 17] =
        [0x78, 0xDA, 0xED, 0xC1, 0x01, 0x0D, 0, 0, 0, 0xC2, 0xA0, 0xF7, 0x4F, 0x6D, 0x0E, 0x37, 0xA0];
    let server = Setup::of(Memory::new()).deflating().start();
    let bystander = Bystander::begin(&server);
    let mut client = server.anna();
    let bomb = [&HEAD[..], &[0; 300_000]].concat();
    let text = send(&mut client, DEFLATED, &bomb, Situation::UploadMalformed);
    assert!(text.contains("expands to more than the limit"), "{text}");
    bystander.finish();
}

/// The whole of a text that is none of ours: records without end, and ends within.
#[test]
fn strange_but_sound() {
    let server = server();
    let mut client = server.anna();
    let text = Form { representation: Representation::Ascii, ..RECORDS };
    // Each block with its own descriptors: empty ones, records that end alone, a file that ends with its last record.
    let wire = [&[0, 0, 0][..], &[0, 0, 2, b'a', b'b'], &[128, 0, 0], &[128, 0, 0], &[128 | 64, 0, 1, b'c']]
        .concat();
    let form = Form { mode: Mode::Block, ..text };
    let mut formed = Formed::connected(&mut client, form);
    client.command("STOR file", 125);
    formed.data().write(&wire);
    client.expect(Situation::StoredKept);
    assert_eq!(formed.fetch(&mut client, "RETR file"), b"ab\n\nc\n");
    // Compressed mode whose end is told, and then the connection's.
    let mut formed = Formed::connected(&mut client, Form { mode: Mode::Compressed, ..text });
    client.command("STOR file", 125);
    formed.data().write(&[2, b'x', b'y', 0, 64]);
    formed.data.take().expect("it stands").finish();
    client.expect(250..=250);
    assert_eq!(Formed::connected(&mut client, text).fetch(&mut client, "RETR file"), b"xy");
}
