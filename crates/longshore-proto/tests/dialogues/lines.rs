//! Lines that are no commands, and those of other protocols.

use longshore_proto::limits::LINE_LIMIT_BYTES;
use longshore_proto::line::Line;

use crate::common::{Scene, World, check, check_logged_in};

#[test]
fn unknown_commands() {
    check(&[
        ("send", "XYZZY"),
        ("expect", "500 command.unknown XYZZY is not known here; HELP lists what is"),
        ("send", ""),
        ("expect", "500 line.empty The line was empty"),
        ("send", "    "),
        ("expect", "500 line.empty"),
        ("bytes", "\\n"),
        ("expect", "500 line.empty"),
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
    for verb in ["ADAT x", "CONF x", "ENC x", "MIC x", "HOST x", "LANG", "SMNT x", "LPRT x", "LPSV", "HASH x"]
    {
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
        ("send", "XYZZY"),
        ("expect", "500"),
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
fn an_over_long_line_before_any_command_ends_the_session() {
    let long = "x".repeat(LINE_LIMIT_BYTES + 1);
    let last = ("expect", "421 session.first-line-too-long The first line was longer than 4096 bytes");
    check(&[("bytes", &format!("{long}\\r\\nUSER x\\r\\n")), last, ("closed", "")]);
    for first in ["", "XYZZY", "a\0b"] {
        check(&[("send", first), ("expect", "50"), ("send", &long), last, ("closed", "")]);
    }
    // Behind a command it is a line like any other.
    for first in ["NOOP", "USER", "AUTH TLS"] {
        check(&[
            ("send", first),
            ("expect", ""),
            ("send", &long),
            ("expect", "500 line.too-long"),
            ("open", ""),
        ]);
    }
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
    // Whoever has spoken FTP once may mistype; an argument that is wrong is FTP as well.
    for first in ["NOOP", "USER x", "USER", "AUTH TLS", "LIST"] {
        check(&[
            ("send", first),
            ("expect", ""),
            ("send", "GET / HTTP/1.1"),
            ("expect", "500 command.unknown"),
            ("send", "EHLO there"),
            ("expect", "500 command.unknown"),
            ("open", ""),
        ]);
    }
    // What is no command of FTP may be the rest of another protocol's beginning.
    for first in ["", "XYZZY", "Host: x", "a\0b"] {
        for line in ["GET / HTTP/1.1", "EHLO there"] {
            check(&[
                ("send", first),
                ("expect", "50"),
                ("send", "XYZZY"),
                ("expect", "500 command.unknown"),
                ("send", line),
                ("expect", "421 session.not-ftp"),
                ("closed", ""),
            ]);
        }
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
    scene.world.hand_in_line(Line::Nul);
    scene.world.hand_in_line(Line::Command(b""));
    scene.world.hand_in_line(Line::Command(b"NOOP"));
    scene.world.hand_in_line(Line::TooLong);
    scene.play(&[
        ("expect", "220"),
        ("expect", "501 line.nul"),
        ("expect", "500 line.empty"),
        ("expect", "200"),
        ("expect", "500 line.too-long"),
    ]);
    scene.end();
    let mut scene = Scene::new(World::over_ipv4());
    scene.world.hand_in_line(Line::TooLong);
    scene.play(&[("expect", "220"), ("expect", "421 session.first-line-too-long"), ("closed", "")]);
    scene.end();
}
