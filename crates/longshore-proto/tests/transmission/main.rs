//! What forms look like on the wire, byte by byte. What holds for any bytes is in `tests/properties`.
//!
//! Bytes are written as in RFC 959: `FF 01` is an end of record in stream mode, `80 00 03` a block of three bytes that ends
//! a record, `00 80` the escape of compressed mode that says so of the string behind it.

#![allow(unreachable_pub, reason = "modules of one test")]

mod receiving;

use longshore_proto::limits::{MARKER_LIMIT_BYTES, PAGE_HOLES_LIMIT_BYTES, RECEIVE_LIMIT_BYTES};
use longshore_proto::transmission::*;

use receiving::{Outcome, comparable, forms, receive};

const fn form(representation: Representation, structure: Structure, mode: Mode) -> Form {
    Form { representation, structure, mode }
}

use Mode::{Block, Compressed, Deflate, Stream};
use Representation::{Ascii, Ebcdic, Image};
use Structure::{File, Page, Record};

fn send(form: Form, file: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut sender = Sender::new(form, 0);
    sender.send(file, &mut wire);
    sender.finish(&mut wire);
    wire
}

/// Receives in one piece, and makes sure that every other cut comes to the same.
#[track_caller]
fn received(form: Form, wire: &[u8]) -> Outcome {
    let whole = receive(form, wire, |rest| (rest, &[]));
    let expected = comparable(form, receive(form, wire, |rest| (rest, &[])));
    let same = |other: Outcome, how: &str| assert_eq!(comparable(form, other), expected, "{how}");
    same(receive(form, wire, |rest| rest.split_at(rest.len().min(1))), "byte by byte");
    if wire.len() < 400 {
        for cut in 0..wire.len() {
            let mut lengths = std::iter::once(cut).chain(std::iter::repeat(usize::MAX));
            same(
                receive(form, wire, |rest| {
                    rest.split_at(lengths.next().map_or(0, |length| length.min(rest.len())))
                }),
                "cut in two",
            );
        }
    }
    whole
}

/// What is sent of a file, and that it comes back.
#[track_caller]
fn check(form: Form, file: &[u8], wire: &[u8]) {
    assert_eq!(hex(&send(form, file)), hex(wire), "{form:?} sends");
    check_received(form, wire, file);
}

/// What is made of a complete transmission, with something behind it where its end is stated.
#[track_caller]
fn check_received(form: Form, wire: &[u8], file: &[u8]) {
    let mut behind = wire.to_vec();
    if form.states_its_end() {
        behind.extend_from_slice(b"\x00behind");
    }
    let outcome = received(form, &behind);
    assert_eq!(outcome.file.escape_ascii().to_string(), file.escape_ascii().to_string(), "{form:?} receives");
    assert_eq!(outcome.taken_bytes, wire.len(), "{form:?}");
    let ending = if form.states_its_end() { Ending::Stated } else { Ending::Connection };
    assert_eq!(outcome.result, Ok(ending), "{form:?}");
}

/// What is wrong with a transmission, and how many bytes are before it.
#[track_caller]
fn check_refused(form: Form, wire: &[u8], problem: Problem, offset_bytes: u64) {
    assert_eq!(received(form, wire).result, Err(Error { problem, offset_bytes }), "{form:?}");
}

#[track_caller]
fn check_cut(form: Form, wire: &[u8]) {
    check_refused(form, wire, Problem::Cut, wire.len() as u64);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X} ")).collect()
}

#[test]
fn the_identity_is_known() {
    let same: Vec<Form> = forms().filter(|form| form.is_identity()).collect();
    assert_eq!(same, [form(Image, File, Stream)]);
    let blocks: Vec<Form> = forms().filter(|form| form.last_block().is_some()).collect();
    assert_eq!(blocks, [form(Image, File, Block), form(Image, Record, Block)]);
    assert_eq!(forms().count(), 36);
    assert_eq!(Form::default(), form(Ascii, File, Stream));
}

/// A server that copies within the kernel writes only the headers.
#[test]
fn blocks_may_be_written_by_hand() {
    for form in forms() {
        let Some(last) = form.last_block() else { continue };
        let blocks = [&block_header(Descriptor::NONE, 3)[..], b"abc", &block_header(last, 2), b"de"].concat();
        check_received(form, &blocks, b"abcde");
        let blocks = [&block_header(Descriptor::NONE, 3)[..], b"abc", &block_header(last, 0)].concat();
        check_received(form, &blocks, b"abc");
    }
    assert_eq!(block_header(Descriptor::MARKER, 6), [16, 0, 6]);
    assert_eq!(block_header(Descriptor::END_OF_RECORD | Descriptor::SUSPECT, 0x1234), [160, 0x12, 0x34]);
}

#[test]
fn stream_mode() {
    check(form(Image, File, Stream), b"", b"");
    check(form(Image, File, Stream), b"a\r\n\xFF\0", b"a\r\n\xFF\0");
    check(form(Ascii, File, Stream), b"a\nb", b"a\r\nb");
    check(form(Ebcdic, File, Stream), b"a b\n", b"\x81\x40\x82\x15");
    check_received(form(Ascii, File, Stream), b"a\r", b"a\r");
}

#[test]
fn stream_mode_with_records() {
    let text = form(Ascii, Record, Stream);
    check(text, b"", b"\xFF\x02");
    check(text, b"\n", b"\xFF\x01\xFF\x02");
    check(text, b"a\nb\n", b"a\xFF\x01b\xFF\x01\xFF\x02");
    check(text, b"a\nb", b"a\xFF\x01b\xFF\x02");
    check(text, b"\xFF\n\xFF\xFF", b"\xFF\xFF\xFF\x01\xFF\xFF\xFF\xFF\xFF\x02");
    check(text, b"dos\r\n", b"dos\r\xFF\x01\xFF\x02");
    check_received(text, b"a\xFF\x03", b"a\n");
    check(form(Ebcdic, Record, Stream), b"a\n\x9F", b"\x81\xFF\x01\xFF\xFF\xFF\x02");
    check(form(Image, Record, Stream), b"a\n\xFF", b"a\n\xFF\xFF\xFF\x03");
    check_received(form(Image, Record, Stream), b"a\xFF\x01b\xFF\x01\xFF\x02", b"ab");

    check_refused(text, b"ab\xFF\x00", Problem::Escape(0), 3);
    check_refused(text, b"ab\xFF\x04", Problem::Escape(4), 3);
    check_cut(text, b"a\xFF");
    // Records have an end of their own: without it, whatever came was cut.
    for wire in [&b""[..], b"a\xFF\x01b", b"a\xFF\x01", b"a"] {
        check_cut(text, wire);
    }
}

#[test]
fn block_mode() {
    let octets = form(Image, File, Block);
    check(octets, b"", b"\x40\0\0");
    check(octets, b"ab", b"\0\0\x02ab\x40\0\0");
    check(form(Ascii, File, Block), b"a\nb", b"\0\0\x04a\r\nb\x40\0\0");
    check(form(Ebcdic, File, Block), b"a\n", b"\0\0\x02\x81\x15\x40\0\0");
    let text = form(Ascii, Record, Block);
    check(text, b"", b"\x40\0\0");
    check(text, b"ab\n\nc", b"\x80\0\x02ab\x80\0\0\0\0\x01c\x40\0\0");
    check(form(Image, Record, Block), b"ab\n", b"\0\0\x03ab\n\xC0\0\0");
    check(form(Ebcdic, Record, Block), b"a\n", b"\x80\0\x01\x81\x40\0\0");

    // Ends on the data, empty blocks, and both ends at once.
    check_received(octets, b"\x40\0\x02ab", b"ab");
    check_received(octets, b"\0\0\0\0\0\x01a\0\0\0\x40\0\0", b"a");
    check_received(text, b"\xC0\0\x01a", b"a\n");
    check_received(text, b"\0\0\x01a\0\0\x01b\xC0\0\0", b"ab\n");
    // z/OS sends data sets so, in TYPE E and STRU F.
    check_received(form(Ebcdic, File, Block), b"\x80\0\x01\x81\x40\0\x01\x82", b"a\nb");
    check_received(form(Ascii, File, Block), b"\x80\0\x02a\r\x40\0\0", b"a\r\n");
    check_received(octets, b"\x80\0\x01a\x40\0\x01b", b"ab");

    check_refused(octets, b"\0\0\x01a\x08\0\0", Problem::Descriptor(8), 4);
    check_refused(octets, b"\x01", Problem::Descriptor(1), 0);
    for cut in [&b""[..], b"\x40", b"\x40\0", b"\x40\0\x01", b"\0\0\x01a", b"\x10\0\x01", b"\x10\0\x011"] {
        check_cut(octets, cut);
    }
}

#[test]
fn long_blocks() {
    let file = vec![7; 65_536 + 5];
    let wire = send(form(Image, File, Block), &file);
    assert_eq!(wire[..3], [0, 0xFF, 0xFF]);
    assert_eq!(wire[65_538..65_541], [0, 0, 6]);
    assert_eq!(wire[65_547..], [0x40, 0, 0]);
    assert_eq!(received(form(Image, File, Block), &wire).file, file);
    // A record that is as long as a block may be ends with that block.
    let record = [&vec![7; 65_535][..], b"\n"].concat();
    let wire = send(form(Ascii, Record, Block), &record);
    assert_eq!((wire.len(), wire[0]), (65_538 + 3, 0x80));
}

#[test]
fn suspected_errors_are_counted() {
    for (mode, wire) in [(Block, &b"\x20\0\x01a\xE0\0\x01b"[..]), (Compressed, b"\0\x20\x01a\0\xE0\x01b")] {
        let mut receiver = Receiver::new(form(Image, File, mode), 0);
        let mut file = Vec::new();
        let received = receiver.receive(wire, &mut file).expect("it is in order");
        assert_eq!(received, Received { taken_bytes: wire.len(), step: Step::End });
        assert_eq!((receiver.suspect_blocks(), &file[..]), (2, &b"ab"[..]));
    }
}

#[test]
fn compressed_mode() {
    let octets = form(Image, File, Compressed);
    check(octets, b"", b"\0\x40\xC0");
    check(octets, b"ab", b"\0\x40\x02ab");
    check(octets, b"abaaaa", b"\x02ab\0\x40\x84a");
    check(octets, b"aaa", b"\0\x40\x83a");
    check(octets, b"aabb", b"\0\x40\x04aabb");
    check(octets, b"\0", b"\0\x40\x01\0");
    check(octets, b"\0\0", b"\0\x40\xC2");
    check(octets, b"a\0\0\0b", b"\x01a\xC3\0\x40\x01b");
    check(octets, b"   ", b"\0\x40\x83 ");
    check(octets, &[b'a'; 63], b"\0\x40\xBFa");
    check(octets, &[b'a'; 64], b"\xBFa\0\x40\x01a");
    check(octets, &[b'a'; 126], b"\xBFa\0\x40\xBFa");
    let varied: Vec<u8> = (0..130).collect();
    check(octets, &varied, &[&[127][..], &varied[..127], b"\0\x40\x03", &varied[127..]].concat());
    check(octets, &varied[..127], &[b"\0\x40\x7F", &varied[..127]].concat());

    let text = form(Ascii, Record, Compressed);
    check(text, b"", b"\0\x40\xC0");
    check(text, b"\n", b"\0\x80\xC0\0\x40\xC0");
    check(text, b"a\nb", b"\0\x80\x01a\0\x40\x01b");
    check(text, b"a  \n", b"\x01a\0\x80\xC2\0\x40\xC0");
    check(form(Ascii, File, Compressed), b"a\n", b"\0\x40\x03a\r\n");
    check(form(Ebcdic, File, Compressed), b"  \n", b"\xC2\0\x40\x01\x15");
    check(form(Image, Record, Compressed), b"ab", b"\0\xC0\x02ab");

    // Strings of none, escapes that add up, and ones that say nothing.
    check_received(text, b"\x80a\0\x80\0\x40\x01a", b"a\n");
    check_received(octets, b"\0\0\xC0\0\0\x01a\0\x40\x80b", b"a");
    check_received(text, b"\0\xC0\x01a", b"a\n");

    check_refused(octets, b"\x01a\0\x01", Problem::Descriptor(1), 3);
    check_refused(octets, b"\0\x4F", Problem::Descriptor(0x4F), 1);
    for cut in [&b""[..], b"\0", b"\x02a", b"\x83", b"\x83a", b"\0\x40\x01", b"\0\x40\x83", b"\0\x50"] {
        check_cut(octets, cut);
    }
}

/// The last string may be missing where the connection ends, and then its escape is the end.
#[test]
fn an_escape_may_end_a_compressed_file() {
    for (wire, file) in [
        (&b"\0\x40"[..], &b""[..]),
        (b"\x01a\0\x40", b"a"),
        (b"\x01a\0\xC0", b"a\n"),
        (b"\x01a\0\x80\0\x40", b"a\n"),
    ] {
        let outcome = received(form(Ascii, Record, Compressed), wire);
        assert_eq!((outcome.result, &outcome.file[..]), (Ok(Ending::Connection), file), "{}", hex(wire));
    }
}

#[test]
fn compression_is_worth_it() {
    let octets = form(Image, File, Compressed);
    let zeros = send(octets, &[0; 63_000]);
    assert!(zeros.len() <= 1000 + 2, "{}", zeros.len());
    let repeated = send(octets, &[7; 63_000]);
    assert!(repeated.len() <= 2000 + 2, "{}", repeated.len());
    // Numbers without pattern: Knuth's multiplier, the high byte.
    let mut state = 1_u64;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(100_000)
    .collect();
    let sent = send(octets, &random);
    assert!(sent.len() < 101_000, "{}", sent.len());
}

#[test]
fn markers() {
    for (mode, wire) in [
        (Block, &b"\0\0\x02ab\x10\0\x012\0\0\x01c\x40\0\0"[..]),
        (Compressed, b"\x02ab\0\x10\x012\0\x40\x01c"),
    ] {
        let form = form(Image, File, mode);
        let mut sent = Vec::new();
        let mut sender = Sender::new(form, 0);
        sender.send(b"ab", &mut sent);
        assert_eq!(sender.mark(&mut sent), Some(2));
        sender.send(b"c", &mut sent);
        sender.finish(&mut sent);
        assert_eq!(hex(&sent), hex(wire));
        let outcome = received(form, wire);
        assert_eq!(outcome.markers, [(Marker::at(2), 2)]);
        assert_eq!(outcome.file, b"abc");

        // Again from there: offsets go on.
        let (mut wire, mut file) = (Vec::new(), b"ab".to_vec());
        let mut sender = Sender::new(form, 2);
        sender.send(b"c", &mut wire);
        assert_eq!(sender.mark(&mut wire), Some(3));
        sender.finish(&mut wire);
        let mut receiver = Receiver::new(form, 2);
        let marked = receiver.receive(&wire, &mut file).expect("it is in order");
        assert_eq!(marked.step, Step::Marker(Marker::at(3)));
        assert_eq!((receiver.offset_bytes(), &file[..]), (3, &b"abc"[..]));
    }
}

#[track_caller]
fn check_markers(mode: Mode, wire: &[u8], file: &[u8], markers: &[&[u8]]) {
    let outcome = received(form(Ascii, Record, mode), wire);
    let found: Vec<&[u8]> = outcome.markers.iter().map(|(marker, _)| marker.as_bytes()).collect();
    assert_eq!((outcome.result, &outcome.file[..], &found[..]), (Ok(Ending::Stated), file, markers));
}

/// Any marker is handed out as it came, at the end of a record, of the file, and twice in one place.
#[test]
fn markers_of_others() {
    check_markers(Block, b"\x90\0\x02M1\x40\0\0", b"\n", &[b"M1"]);
    check_markers(Block, b"\0\0\x01a\x50\0\x02M1", b"a", &[b"M1"]);
    check_markers(Block, b"\x10\0\x03\xF1\r\n\x10\0\0\x40\0\0", b"", &[b"\xF1\r\n", b""]);
    check_markers(Compressed, b"\0\x10\x83M\0\xD0\x02M1", b"\n", &[b"MMM", b"M1"]);
    check_markers(Compressed, b"\0\x10\xC2\0\x40\xC0", b"", &[b"  "]);
    check_markers(Compressed, b"\x01a\0\x50\xC0", b"a", &[b""]);
}

#[test]
fn markers_are_bounded() {
    let length = MARKER_LIMIT_BYTES as u8;
    let longest = [&[16, 0, length][..], &[b'1'; MARKER_LIMIT_BYTES], b"\x40\0\0"].concat();
    assert_eq!(received(form(Image, File, Block), &longest).markers.len(), 1);
    let mut wire = [16, 1, 0].to_vec();
    wire.extend([b'1'; 256]);
    check_refused(form(Image, File, Block), &wire, Problem::MarkerLength(256), 2);
}

/// Between a CR and what belongs to it nothing can begin again, so nobody marks that place.
#[test]
fn no_marker_splits_a_line_end() {
    let text = form(Ascii, File, Block);
    let mut wire = Vec::new();
    let mut sender = Sender::new(text, 0);
    sender.send(b"a\r", &mut wire);
    assert_eq!(sender.mark(&mut wire), None);
    sender.send(b"\n", &mut wire);
    assert_eq!(sender.mark(&mut wire), Some(3));
    let outcome = received(text, b"\0\0\x02a\r\x10\0\x01M\0\0\x01\n\x10\0\x01N\x40\0\0");
    assert_eq!(outcome.file, b"a\n");
    assert_eq!(outcome.markers, [(Marker::from_bytes(b"N").expect("it is short"), 2)]);
}

#[test]
fn pages() {
    let octets = form(Image, Page, Stream);
    check(octets, b"", b"\x04\0\0\0");
    check(octets, b"ab", b"\x04\0\x02\x01ab\x04\x01\0\0");
    check(form(Ascii, Page, Stream), b"a\n", b"\x04\0\x03\x01a\r\n\x04\x01\0\0");
    check(form(Image, Page, Block), b"a", b"\x40\0\x09\x04\0\x01\x01a\x04\x01\0\0");
    let file = vec![5; 255 * 2 + 1];
    let wire = send(octets, &file);
    assert_eq!(wire[..4], [4, 0, 255, 1]);
    assert_eq!(wire[259..263], [4, 1, 255, 1]);
    assert_eq!(wire[518..], [4, 2, 1, 1, 5, 4, 3, 0, 0]);
    check_received(octets, &wire, &file);

    // Descriptor pages, further fields, access words, trailing zeros that were left out, holes.
    check_received(octets, b"\x04\0\x03\x02fdb\x04\0\x01\x01a\x04\0\0\0", b"a");
    check_received(octets, b"\x06\0\x01\x01xya\x04\0\0\0", b"a");
    check_received(octets, b"\x05\0\x01\x03wa\x05\x01\x01\x03wb\x04\0\0\0", b"ab");
    check_received(octets, b"\x04\0\x02\x01ab\x04\x01\x01\x01c\x04\x02\x01\x01d\x04\0\0\0", b"abc\0d");
    check_received(octets, b"\x04\0\x02\x01ab\x04\x03\x01\x01c\x04\0\0\0", b"ab\0\0\0\0c");
    check_received(octets, b"\x04\x02\x02\x01ab\x04\x03\x01\x01c\x04\0\0\0", b"\0\0\0\0abc");
    check_received(octets, b"\x04\0\0\x01\x04\x01\x02\x01ab\x04\x02\0\x01\x04\0\0\0", b"\0\0ab");

    check_refused(octets, b"\x03\0\0\0", Problem::PageHeader(3), 3);
    check_refused(octets, b"\x04\0\x01\0", Problem::LastPage(1), 3);
    check_refused(octets, b"\x04\0\x01\x04", Problem::PageType(4), 3);
    check_refused(
        octets,
        b"\x04\0\x01\x01a\x04\x01\x02\x01",
        Problem::PageLength { found: 2, expected: 1 },
        8,
    );
    check_refused(octets, b"\x04\0\x01\x01a\x04\0\x01\x01", Problem::PageOrder { found: 0, expected: 1 }, 8);
    check_refused(octets, b"\x04\x02\x02\x01ab\x04\0\0\0", Problem::PageSize, 9);
    check_refused(octets, b"\x04\0\0\x01\x04\0\0\0", Problem::PageSize, 7);
    for cut in [&b""[..], b"\x04\0\0", b"\x04\0\x02\x01a", b"\x04\0\x01\x01a", b"\x05\0\x01\x01"] {
        check_cut(octets, cut);
    }
    // The mode says that the file has ended, and no last page has come; or data come behind it.
    check_refused(form(Image, Page, Block), b"\x40\0\x05\x04\0\x01\x01a", Problem::Cut, 8);
    check_refused(form(Image, Page, Block), b"\0\0\x05\x04\0\0\0x", Problem::BehindEnd, 7);
    check_refused(form(Image, Page, Compressed), b"\x05\x04\0\0\0x", Problem::BehindEnd, 5);
}

/// An index has eight bits; a file may have any number of pages.
#[test]
fn page_indices_begin_anew() {
    let file: Vec<u8> = (0..255 * 600 + 17).map(|place: u32| (place / 255) as u8).collect();
    let wire = send(form(Image, Page, Stream), &file);
    assert_eq!(wire[259 * 256 + 1], 0);
    let outcome = receive(form(Image, Page, Stream), &wire, |rest| (rest, &[]));
    assert_eq!(outcome.result, Ok(Ending::Stated));
    assert!(outcome.file == file);
}

#[test]
fn holes_are_bounded() {
    let page = |index: u8| [&[4, index, 255, 1][..], &[7; 255]].concat();
    let mut wire = page(0);
    let mut zeros = 0;
    let mut index = 0_u8;
    while zeros <= PAGE_HOLES_LIMIT_BYTES {
        index = index.wrapping_add(128);
        wire.extend(page(index));
        zeros += 127 * 255;
    }
    let outcome = receive(form(Image, Page, Stream), &wire, |rest| (rest, &[]));
    assert_eq!(
        outcome.result,
        Err(Error { problem: Problem::PageHoles, offset_bytes: wire.len() as u64 - 256 })
    );
}

#[test]
fn deflate_mode() {
    for (form, file) in [
        (form(Image, File, Deflate), &b""[..]),
        (form(Image, File, Deflate), b"abc"),
        (form(Ascii, File, Deflate), b"a\nb"),
        (form(Ascii, Record, Deflate), b"a\n\xFFb"),
        (form(Image, Record, Deflate), b"a\xFFb"),
        (form(Ebcdic, Page, Deflate), b"a\nb"),
    ] {
        let wire = send(form, file);
        let plain = Form { mode: Stream, ..form };
        let inflated = miniz_oxide::inflate::decompress_to_vec_zlib(&wire).expect("it is a zlib stream");
        assert_eq!(hex(&inflated), hex(&send(plain, file)), "what stream mode would send: {form:?}");
        check_received(form, &wire, file);
        for length in 0..wire.len() {
            check_cut(form, &wire[..length]);
        }
    }
    let octets = form(Image, File, Deflate);
    // A stored block, as RFC 1950 and 1951 write it.
    check_received(octets, b"\x78\x01\x01\x01\0\xFE\xFFa\0\x62\0\x62", b"a");
    check_refused(octets, b"\x78\x01\x01\x01\0\xFE\xFFa\0\x62\0\x63", Problem::Checksum, 12);
    check_refused(octets, b"\x79\x01", Problem::Zlib, 2);
    // One that needs a dictionary, and one of another method.
    check_refused(octets, b"\x78\x20", Problem::Zlib, 2);
    check_refused(octets, b"\x77\x05", Problem::Zlib, 2);
}

fn zlib(data: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(data, 6)
}

#[test]
fn what_deflate_wraps_must_end_with_it() {
    let records = form(Ascii, Record, Deflate);
    check_received(records, &zlib(b"a\xFF\x01\xFF\x02"), b"a\n");
    check_received(records, &zlib(b"a\xFF\x01"), b"a\n");
    let problem = |form, data: &[u8]| received(form, &zlib(data)).result.map_err(|error| error.problem);
    assert_eq!(problem(records, b"a\xFF"), Err(Problem::Cut));
    assert_eq!(problem(records, b"a\xFF\x02b"), Err(Problem::BehindEnd));
    assert_eq!(problem(form(Image, Page, Deflate), b"\x04\0\x01\x01a"), Err(Problem::Cut));
    assert_eq!(problem(form(Image, Page, Deflate), b"\x04\0\0\0a"), Err(Problem::BehindEnd));
}

#[test]
fn levels() {
    let text = b"all work and no play ".repeat(500);
    let mut lengths = Vec::new();
    for level in (1..=9).filter_map(Level::new) {
        let mut wire = Vec::new();
        let mut sender = Sender::new(form(Image, File, Deflate), 0).with_level(level);
        sender.send(&text, &mut wire);
        sender.finish(&mut wire);
        check_received(form(Image, File, Deflate), &wire, &text);
        lengths.push(wire.len());
    }
    assert_eq!(lengths.len(), 9);
    assert!(lengths.iter().all(|length| *length < text.len() / 20), "{lengths:?}");
    assert_eq!((Level::new(0), Level::new(10), Level::default().get()), (None, None, 6));
}

/// A stream that expands beyond measure ends soon after it passes the limit, with little in memory at any time.
#[test]
fn bombs() {
    let bomb = zlib(&vec![0; 8 * 1024 * 1024]);
    assert!(bomb.len() < 10_000);
    let take = |limit: ExpansionLimit| {
        let mut receiver = Receiver::new(form(Image, File, Deflate), 0).with_expansion_limit(limit);
        let mut output = Vec::new();
        let mut rest = &bomb[..];
        loop {
            output.clear();
            let received = receiver.receive(rest, &mut output);
            assert!(output.len() <= RECEIVE_LIMIT_BYTES);
            match received {
                Err(error) => return (receiver.offset_bytes(), Some(error.problem)),
                Ok(received) if received.step == Step::End => return (receiver.offset_bytes(), None),
                Ok(received) => rest = &rest[received.taken_bytes..],
            }
        }
    };
    let free_bytes = 1024 * 1024;
    let (expanded, problem) = take(ExpansionLimit { free_bytes, ratio: 100 });
    assert_eq!(problem, Some(Problem::Expansion));
    assert!(expanded <= free_bytes + 100 * 10_000, "{expanded}");
    for limit in [
        ExpansionLimit::NONE,
        ExpansionLimit::default(),
        ExpansionLimit { free_bytes: 0, ratio: 1100 },
        ExpansionLimit { free_bytes: 8 * 1024 * 1024, ratio: 0 },
    ] {
        assert_eq!(take(limit), (8 * 1024 * 1024, None), "{limit:?}");
    }
}

/// A byte that stands for many is put out over several calls.
#[test]
fn output_is_bounded() {
    let wire = [&[0xFF; 2 * RECEIVE_LIMIT_BYTES / 63 + 100][..], b"\0\x40\xC0"].concat();
    let mut receiver = Receiver::new(form(Image, File, Compressed), 0);
    let mut calls = 0;
    let mut output = Vec::new();
    let mut rest = &wire[..];
    loop {
        output.clear();
        let received = receiver.receive(rest, &mut output).expect("it is in order");
        assert!(output.len() <= RECEIVE_LIMIT_BYTES);
        calls += 1;
        rest = &rest[received.taken_bytes..];
        match received.step {
            Step::End => break,
            step => assert_eq!(step, Step::Full),
        }
    }
    assert_eq!(calls, 3);
    assert_eq!(receiver.offset_bytes(), 63 * (wire.len() as u64 - 3));
}

#[test]
fn errors_say_what_and_where() {
    let error = Error { problem: Problem::PageType(9), offset_bytes: 4711 };
    assert_eq!(error.to_string(), "page type 9; known are 0 to 3, at byte 4711 of the transmission");
}
