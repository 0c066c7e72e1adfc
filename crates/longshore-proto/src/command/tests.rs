//! Commands as they come, as they should and as they should not.

use super::*;

#[track_caller]
fn check(line: &str, expected: Command) {
    assert_eq!(parse(line.as_bytes()).expect("a known verb").command, Ok(expected), "{line}");
}

#[track_caller]
fn check_error(line: &str, expected: ArgumentError) {
    assert_eq!(parse(line.as_bytes()).expect("a known verb").command, Err(expected), "{line}");
}

fn path(path: &str) -> Vec<u8> {
    path.as_bytes().to_vec()
}

#[test]
fn arguments_begin_after_one_space() {
    check("RETR a", Command::Retr(path("a")));
    check("retr a b ", Command::Retr(path("a b ")));
    check("RETR  a", Command::Retr(path(" a")));
    check(" \tRETR a", Command::Retr(path("a")));
    check_error("RETR", ArgumentError::Missing);
    check_error("RETR ", ArgumentError::Missing);
    assert_eq!(parse(b"RETRX a"), None);
    assert_eq!(parse(b""), None);
    assert_eq!(parse(b"\xff\xf4ABOR"), None, "Telnet bytes are the line buffer's business");
}

#[test]
fn users_and_passwords() {
    check("USER x", Command::User(path("x")));
    check("USER a b", Command::User(path("a b")));
    check_error("USER", ArgumentError::Missing);
    check(&format!("USER {}", "u".repeat(255)), Command::User(path(&"u".repeat(255))));
    check_error(&format!("USER {}", "u".repeat(256)), ArgumentError::UserTooLong);
    check("PASS", Command::Pass(Secret(vec![])));
    check("PASS  x ", Command::Pass(Secret(path(" x "))));
    let shown = format!("{:?}", parse(b"PASS hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn types_in_all_legal_spellings() {
    for image in ["I", "i", "L 8", "L8", "l 8", "I N", "L  8"] {
        check(&format!("TYPE {image}"), Command::Type(Representation::Image, Format::NonPrint));
    }
    use Format::{CarriageControl, NonPrint, Telnet};
    let forms = [("", NonPrint), (" N", NonPrint), ("n", NonPrint), (" T", Telnet), ("  c", CarriageControl)];
    for (letter, text) in [("A", Representation::Ascii), ("e", Representation::Ebcdic)] {
        for (form, format) in forms {
            check(&format!("TYPE {letter}{form}"), Command::Type(text, format));
        }
        check_error(&format!("TYPE {letter} X"), ArgumentError::Unknown);
        check_error(&format!("TYPE {letter} N T"), ArgumentError::Unknown);
    }
    let size = ArgumentError::NotOffered { parameter: "this byte size", instead: "TYPE L 8" };
    check_error("TYPE L 7", size.clone());
    check_error("TYPE L 36", size);
    check_error("TYPE L", ArgumentError::Missing);
    check_error("TYPE", ArgumentError::Missing);
    check_error("TYPE X", ArgumentError::Unknown);
    check_error("TYPE I X", ArgumentError::Unknown);
    check_error("TYPE \u{fe}", ArgumentError::Unknown);
}

#[test]
fn modes_and_structures() {
    for (letter, mode) in
        [("S", Mode::Stream), ("b ", Mode::Block), ("C", Mode::Compressed), ("z", Mode::Deflate)]
    {
        check(&format!("MODE {letter}"), Command::Mode(mode));
    }
    let instead = "MODE S, MODE B or MODE C";
    check_error("MODE E", ArgumentError::NotOffered { parameter: "MODE E", instead });
    check_error("MODE", ArgumentError::Missing);
    check_error("MODE SS", ArgumentError::Unknown);
    for (letter, structure) in [("f", Structure::File), ("R", Structure::Record), (" p", Structure::Page)] {
        check(&format!("STRU {letter}"), Command::Stru(structure));
    }
    check_error("STRU X", ArgumentError::Unknown);
    check_error("STRU", ArgumentError::Missing);
}

#[test]
fn numbers() {
    check("REST 0", Command::Rest(0));
    check("REST 9223372036854775807", Command::Rest(i64::MAX as u64));
    check_error("REST 9223372036854775808", ArgumentError::Number);
    check_error("REST 18446744073709551616", ArgumentError::Number);
    for bad in ["-1", "+1", "1x", "0x10", "1 2", "\u{661}"] {
        check_error(&format!("REST {bad}"), ArgumentError::Number);
    }
    check_error("REST", ArgumentError::Missing);
    check("ALLO 5", Command::Allo(5));
    check("ALLO 5 R 10", Command::Allo(5));
    check("ALLO 5 r 10", Command::Allo(5));
    check_error("ALLO 5 X 10", ArgumentError::Unknown);
    check_error("ALLO 5 R", ArgumentError::Missing);
    check_error("ALLO R 5", ArgumentError::Number);
}

#[test]
fn options_of_ls_are_not_names() {
    check("LIST", Command::List(None));
    check("LIST -la", Command::List(None));
    check("LIST -a -l dir", Command::List(Some(path("dir"))));
    check("LIST -al a b", Command::List(Some(path("a b"))));
    check("LIST ./-x", Command::List(Some(path("./-x"))));
    check("NLST -1 *", Command::Nlst(Some(path("*"))));
    check("STAT", Command::Stat(None));
    check("STAT -l", Command::Stat(Some(path("."))));
    check("STAT -l x", Command::Stat(Some(path("x"))));
    check("MLSD -x", Command::Mlsd(Some(path("-x"))));
}

#[test]
fn addresses_and_times() {
    check("PORT 127,0,0,1,78,52", Command::Port("127.0.0.1:20020".parse().expect("an address")));
    assert!(parse(b"PORT 127,0,0,1,256,1").expect("PORT").command.is_err());
    assert!(parse(b"PORT 127,0,0,1").expect("PORT").command.is_err());
    assert!(matches!(parse(b"EPSV ALL").expect("EPSV").command, Ok(Command::Epsv(EpsvArgument::All))));
    assert!(matches!(
        parse(b"MFMT 20261120130405 a b").expect("MFMT").command,
        Ok(Command::Mfmt(UnixTime { seconds: 1_795_179_845, .. }, p)) if p == b"a b"
    ));
    check_error("MFMT 20261320130405 a", ArgumentError::Time);
    check_error("MFMT 20261120130405", ArgumentError::Missing);
    check_error("MFMT", ArgumentError::Time);
}

#[test]
fn options_and_site() {
    check("OPTS UTF8 ON", Command::Opts(Options::Utf8));
    check("OPTS utf8 off", Command::Opts(Options::Utf8));
    check("OPTS HASH x", Command::Opts(Options::Unknown(path("HASH"))));
    assert!(matches!(parse(b"OPTS MLST size;").expect("OPTS").command, Ok(Command::Opts(Options::Mlst(_)))));
    let level = Level::new(7).expect("a level");
    check("OPTS mode z level 7", Command::Opts(Options::DeflateLevel(level)));
    for other in ["Z LEVEL 0", "Z LEVEL 7 7", "Z", "B LEVEL 7"] {
        check(&format!("OPTS MODE {other}"), Command::Opts(Options::Unknown(path("MODE"))));
    }
    check_error("OPTS", ArgumentError::Missing);
    check("SITE help", Command::Site(Site::Help));
    check("SITE CHMOD 644 x y", Command::Site(Site::Chmod(0o644, path("x y"))));
    check("site chmod 2755 x", Command::Site(Site::Chmod(0o2755, path("x"))));
    check("SITE quota", Command::Site(Site::Quota));
    check("SITE XYZZY 644 x", Command::Site(Site::Unknown(path("XYZZY"))));
    check_error("SITE CHMOD", ArgumentError::Missing);
    check_error("SITE CHMOD 644", ArgumentError::Missing);
    for bad in ["4755", "00644", "888", "u+x", "-1", "+7"] {
        check_error(&format!("SITE CHMOD {bad} x"), ArgumentError::FileMode);
    }
    check_error("SITE", ArgumentError::Missing);
    check("ADAT TLS", Command::NotOffered);
}
