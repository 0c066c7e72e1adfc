//! Files that become longer or shorter while they are sent: what SIZE said goes out, or nothing that could be taken for
//! it. In clear and inside TLS, through the kernel and by copies, in stream and in blocks.

use std::fs::File;
use std::io::{Read, Write};

use longshore_server::accounts::TlsRules;

use crate::common::formed::{BLOCKS, COMPRESSED, Formed, IMAGE};
use crate::common::ground::Scratch;
use crate::common::tls::TLS13;
use crate::common::{Client, MORE_THAN_BUFFERS_BYTES, Setup, Situation, check_octets, octets};

/// Begins a download of the octets, changes the file, and then looks at what comes.
fn with_each_way(change: impl Fn(&mut File), look: impl Fn(&mut Client, &mut Formed, &[u8])) {
    let scratch = Scratch::new();
    let path = scratch.path().join("big");
    let before = octets(MORE_THAN_BUFFERS_BYTES, 3);
    let server = Setup::of(scratch.local()).tls(TlsRules::default()).start();
    for protected in [false, true] {
        for form in [IMAGE, BLOCKS, COMPRESSED] {
            std::fs::write(&path, &before).expect("the directory is ours");
            let mut client = if protected { server.secured(TLS13) } else { server.anna() };
            let mut formed = Formed::connected(&mut client, form);
            assert_eq!(client.command("SIZE big", 213).text(), MORE_THAN_BUFFERS_BYTES.to_string());
            // Nobody reads yet, so not all of it can have been sent.
            client.command("RETR big", 125);
            change(&mut File::options().append(true).open(&path).expect("it is ours"));
            look(&mut client, &mut formed, &before);
            client.command("NOOP", 200);
        }
    }
}

#[test]
fn a_file_that_grows() {
    let grow = |file: &mut File| file.write_all(&[b'x'; 300_000]).expect("it is ours");
    with_each_way(grow, |client, formed, before| {
        check_octets(&formed.receive(), before);
        let kept = formed.form.keeps_connection();
        client.expect(if kept { Situation::SentKept } else { Situation::Sent });
    });
}

#[test]
fn a_file_that_shrinks() {
    let shrink = |file: &mut File| file.set_len(1000).expect("it is ours");
    with_each_way(shrink, |client, formed, _| {
        let mut octets = vec![0; 64 * 1024];
        loop {
            match formed.data().wire().read(&mut octets) {
                Ok(0) => panic!("an orderly end in the middle of the file"),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        client.expect(Situation::FileShrank);
    });
}
