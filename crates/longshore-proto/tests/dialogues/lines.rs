//! Lines that are no commands, and those of other protocols.

use longshore_proto::limits::LINE_LIMIT_BYTES;
use longshore_proto::line::Line;

use crate::common::{Scene, World, check, check_logged_in};

#[test]
fn unknown_commands() {
    check(&[
        ("send", "XYZZY"),
        ("expect", "500 command.unknown XYZZY is not an FTP command"),
        ("send", ""),
        ("expect", "500 command.unknown"),
        ("send", "    "),
        ("expect", "500 command.unknown"),
        ("bytes", "\\xE9\\xFF\\xFF x\\r\\n"),
        ("expect", "500 command.unknown"),
        ("send", "noop"),
        ("expect", "200"),
        ("bytes", "NOOP\\n"),
        ("expect", "200"),
    ]);
}

#[test]
fn known_and_not_offered() {
    for verb in [
        "AUTH TLS", "PBSZ 0", "PROT P", "CCC", "ADAT x", "HOST x", "LANG", "SMNT x", "LPRT x", "LPSV",
        "HASH x",
    ] {
        check(&[("send", verb), ("expect", "502 command.not-offered")]);
        check_logged_in(&[("send", verb), ("expect", "502 command.not-offered")]);
    }
}

#[test]
fn over_long_lines_are_eaten_to_their_end() {
    let longest = format!("NOOP {}", "x".repeat(LINE_LIMIT_BYTES - 5));
    let longer = format!("{longest}x");
    check(&[
        ("send", &longest),
        ("expect", "200 noop.done"),
        ("send", &longer),
        ("expect", "500 line.too-long The line was longer than 4096 bytes"),
        ("bytes", &longer),
        ("nothing", ""),
        ("bytes", &longer),
        ("nothing", ""),
        ("bytes", "\\r\\nNOOP\\r\\n"),
        ("expect", "500 line.too-long"),
        ("expect", "200 noop.done"),
    ]);
}

#[test]
fn nul_and_telnet() {
    check(&[
        ("bytes", "USER a\\0b\\r\\n"),
        ("expect", "501 line.nul"),
        ("bytes", "\\xFF\\xF4\\xFF\\xF2NOOP\\r\\n"),
        ("expect", "200"),
        ("bytes", "NO\\xFF\\xFB\\x01OP\\r\\n"),
        ("expect", "200"),
    ]);
    check_logged_in(&[
        ("bytes", "MKD a\\xFF\\xFFb\\r\\n"),
        ("expect", "257"),
        ("bytes", "MKD a\\xFFb\\r\\n"),
        ("expect", "550 file.exists"),
    ]);
}

#[test]
fn other_protocols_are_told_and_left() {
    for line in [
        "GET / HTTP/1.1",
        "POST /x HTTP/1.0",
        "HEAD / HTTP/1.1",
        "PUT /x HTTP/1.1",
        "DELETE /x HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT x:1 HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        check(&[
            ("bytes", &format!("{line}\\r\\nUSER x\\r\\n")),
            ("expect", "421 session.not-ftp"),
            ("closed", ""),
        ]);
    }
    for line in ["EHLO there", "HELO there", "ehlo x", "LHLO x"] {
        check(&[("send", line), ("expect", "421 session.not-ftp This is an FTP server"), ("closed", "")]);
    }
    // Only the first line decides, whatever it was.
    for first in ["NOOP", "", "XYZZY", "USER x"] {
        check(&[
            ("send", first),
            ("expect", ""),
            ("send", "GET / HTTP/1.1"),
            ("expect", "500 command.unknown"),
            ("open", ""),
        ]);
    }
    // FTP's own words are no others'.
    for line in ["HELP", "STAT", "QUIT x"] {
        check(&[("send", line), ("expect", "")]);
    }
}

#[test]
fn arguments_are_not_cut() {
    check_logged_in(&[
        ("send", "MKD  two  spaces "),
        ("expect", "257 directory.made \"/ two  spaces \""),
        ("send", "MKD a\tb"),
        ("expect", "550 name.impossible"),
        ("bytes", "MKD a\\r\\0b\\r\\n"),
        ("expect", "550 name.impossible"),
        ("send", &format!("MKD {}", "n".repeat(255))),
        ("expect", "257"),
        ("send", &format!("MKD {}", "n".repeat(256))),
        ("expect", "550 name.impossible"),
    ]);
}

#[test]
fn lines_may_be_handed_in_without_a_buffer() {
    let mut scene = Scene::new(World::over_ipv4());
    scene.world.hand_in_line(Line::TooLong);
    scene.world.hand_in_line(Line::Nul);
    scene.world.hand_in_line(Line::Command(b""));
    scene.play(&[
        ("expect", "220"),
        ("expect", "500 line.too-long"),
        ("expect", "501 line.nul"),
        ("expect", "500"),
    ]);
    scene.end();
}
