//! What a control connection may carry that is no command, or no whole one: one clear reply each, and the session
//! lives.

use longshore_server::storage::memory::Memory;

use crate::common::ground::Bystander;
use crate::common::{Client, HERE, SHORT, Server, Setup, Situation, octets};

#[track_caller]
fn check(client: &mut Client, bytes: &[u8], expected: Situation) {
    client.send_raw(bytes);
    client.expect(expected);
    client.command("NOOP", 200);
}

#[test]
fn bytes_that_are_no_command() {
    let server = Server::of(Memory::new());
    let bystander = Bystander::begin(&server);
    let mut client = server.anna();
    check(&mut client, b"\r\n", Situation::LineEmpty);
    check(&mut client, b"XYZZY plugh\r\n", Situation::Unknown);
    check(&mut client, b"\x80\x81\x82\r\n", Situation::Unknown);
    check(&mut client, b"MKD a\0b\r\n", Situation::LineNul);
    check(&mut client, b"\0\0\0\n", Situation::LineNul);
    check(&mut client, b"NOOP\0\r\n", Situation::LineNul);
    // A line of its own is a line of its own, whatever ends it.
    check(&mut client, b"NOOP\n", Situation::Noop);
    check(&mut client, b"noop\r\n", Situation::Noop);
    check(&mut client, b" NOOP\r\n", Situation::Noop);
    // A CR within a name, and any other control character.
    for line in [&b"MKD a\rb\r\n"[..], b"MKD a\r\0b\r\n", b"MKD a\x1Bb\r\n", b"MKD \x7F\r\n", b"CWD a\tb\r\n"]
    {
        check(&mut client, line, Situation::NameImpossible);
    }
    check(&mut client, b"RNFR a\rb\r\n", Situation::NameImpossible);
    client.passive();
    check(&mut client, b"STOR a\rb\r\n", Situation::TargetName);
    // Telnet sequences vanish, wherever they stand.
    check(&mut client, b"\xFF\xF4\xFF\xF2NOOP\r\n", Situation::Noop);
    check(&mut client, b"NO\xFF\xF1OP\r\n", Situation::Noop);
    check(&mut client, b"\xFF\xFB\x01NOOP\r\n", Situation::Noop);
    check(&mut client, b"NOOP\xFF\r\n", Situation::Unknown);
    assert_eq!(client.names("NLST"), ["bystander"][..0], "nothing of all this was made");
    bystander.finish();
}

#[test]
fn lines_at_and_beyond_the_limit() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    let line = |length: usize| [b"NOOP ".as_slice(), &vec![b'x'; length - 5], b"\r\n"].concat();
    check(&mut client, &line(4096), Situation::Noop);
    check(&mut client, &line(4097), Situation::LineTooLong);
    check(&mut client, &line(1_000_000), Situation::LineTooLong);
    // What follows in the same segment is a line again, also when it looks like part of the long one.
    client.send_raw([line(70_000), b"PWD\r\n".to_vec(), line(9_000), b"PWD\r\n".to_vec()].concat());
    for expected in [Situation::LineTooLong, Situation::CurrentDirectory].repeat(2) {
        client.expect(expected);
    }
    // A long line between RNFR and RNTO is a line between them.
    client.store("STOR a", b"");
    client.command("RNFR a", 350);
    client.send_raw(line(5_000));
    client.expect(Situation::LineTooLong);
    client.command("RNTO b", Situation::RntoWithoutRnfr);
}

#[test]
fn lines_in_pieces() {
    let server = Server::of(Memory::new());
    let mut client = server.client();
    let dialogue = b"USER anonymous\r\nPASS x@y\r\nPWD\r\nTYPE I\r\nNO\xFF\xFFP\r\nNOOP\r\n";
    for byte in dialogue {
        client.send_raw([*byte]);
    }
    for code in [331, 230, 257, 200, 500, 200_u16] {
        client.expect(code);
    }
}

#[test]
fn half_a_line_is_not_carried_out() {
    let memory = Memory::new();
    let server = Server::of(memory);
    let mut client = server.anna();
    client.send_raw("MKD whole\r\nMKD half");
    client.expect(257);
    client.end_output();
    client.expect_end();
    assert_eq!(server.anna().names("NLST"), ["whole"]);
}

#[test]
fn a_line_that_never_ends_is_not_waited_for_for_ever() {
    let server = Setup::of(Memory::new()).with(|config| config.policy.login_timeout = SHORT).start();
    let mut client = server.client();
    client.send_raw("USER ann");
    client.expect(Situation::LoginTimeout);
    client.expect_end();
    let mut client = server.client();
    client.send_raw(vec![b'x'; 100_000]);
    client.expect(Situation::LoginTimeout);
    client.expect_end();
}

#[test]
fn other_protocols_are_told_and_sent_away() {
    let server = Server::of(Memory::new());
    for line in ["GET / HTTP/1.1", "POST /x HTTP/1.0", "EHLO mail.example", "PRI * HTTP/2.0"] {
        let mut client = server.client();
        // With more behind it, which must not cost the client the answer.
        client.send_raw(format!("{line}\r\nHost: x\r\n\r\nUSER anna\r\n"));
        client.expect(Situation::NotFtp);
        client.expect_end();
    }
    // Only as the first line; a client of ours may well be wrong later.
    let mut client = server.client();
    client.command("NOOP", 200);
    client.command("GET / HTTP/1.1", 500);
    client.command("NOOP", 200);
}

/// Fields that pretend to be replies or further commands change nothing for anybody.
#[test]
fn what_is_echoed_cannot_end_a_line() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    let reply = client.command(b"RETR x\r226 done", Situation::NothingArranged);
    assert!(reply.lines.is_empty());
    client.command(b"HELP a\rb", Situation::HelpUnknown);
    client.command(b"SITE a\x1B[2J", Situation::SiteUnknown);
    client.command(b"CLNT \x1B\x07", 200);
    client.command("NOOP", 200);
}

/// Random bytes: the number of answers is the number of lines.
#[test]
fn noise_is_answered_line_by_line() {
    let server = Server::of(Memory::new());
    let bystander = Bystander::begin(&server);
    for seed in 0..20 {
        let mut client = Client::connect(server.address(HERE));
        client.expect(220);
        client.command("NOOP", 200);
        let mut noise = octets(3_000, seed);
        noise.push(b'\n');
        client.send_raw(&noise);
        // A line that begins with a verb is as unlikely as one of 4 KiB here.
        for _ in 0..noise.iter().filter(|&&byte| byte == b'\n').count() {
            let code = client.reply().code;
            assert!([500, 501].contains(&code), "{code}");
        }
        client.command("NOOP", 200);
    }
    bystander.finish();
}

#[test]
fn arguments_that_are_wrong() {
    let server = Server::of(Memory::new());
    let mut client = server.anna();
    for (line, expected) in [
        ("USER", Situation::BadArgument),
        ("CWD", Situation::BadArgument),
        ("TYPE", Situation::BadArgument),
        ("TYPE A X", Situation::BadArgument),
        ("TYPE L 7", Situation::ParameterNotOffered),
        ("STRU X", Situation::BadArgument),
        ("MODE E", Situation::ParameterNotOffered),
        ("MODE Z", Situation::ParameterNotOffered),
        ("REST -1", Situation::BadArgument),
        ("REST 9223372036854775808", Situation::BadArgument),
        ("REST 9223372036854775807", Situation::RestartAccepted),
        ("ALLO x", Situation::BadArgument),
        ("MFMT 2020 x", Situation::BadArgument),
        ("MFMT 20201332000000 x", Situation::BadArgument),
        ("OPTS UTF8 ON", Situation::NamesAreBytes),
        ("OPTS NOTHING", Situation::OptionUnknown),
        ("AUTH TLS", Situation::TlsNoCertificate),
        ("ADAT x", Situation::NotOffered),
        ("SMNT /", Situation::NotOffered),
        ("SITE XYZZY 777 x", Situation::SiteUnknown),
        ("HELP XYZZY", Situation::HelpUnknown),
    ] {
        client.command(line, expected);
    }
    // Every legal way to ask for what is the default anyway: devices send them.
    for line in [
        "TYPE I",
        "TYPE A",
        "TYPE A N",
        "type a n",
        "TYPE L 8",
        "TYPE L8",
        "MODE S",
        "mode s",
        "STRU F",
        "ALLO 0",
        "ALLO 100 R 10",
    ] {
        client.command(line, 200);
    }
    client.command("ACCT x", Situation::AccountSuperfluous);
}

/// A browser that is tricked into a POST chooses how long its first line is, and what stands behind it.
#[test]
fn no_page_in_a_browser_can_log_in() {
    let memory = Memory::new();
    memory.insert("/file", "contents");
    let server = Server::of(memory.clone());
    for first in [format!("POST /{} HTTP/1.1", "a".repeat(5000)), "POST / HTTP/1.1".to_owned()] {
        let mut client = server.client();
        client
            .send_raw(format!("{first}\r\nHost: x\r\n\r\nUSER anna\r\nPASS correct horse\r\nDELE file\r\n"));
        client.expect(421);
        client.expect_end();
    }
    assert!(memory.contents("/file").is_some());
}
