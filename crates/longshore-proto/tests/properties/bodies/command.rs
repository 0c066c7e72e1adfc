//! Commands: what is read can be written and read again, and what is refused is refused as its row says.
//!
//! Not inside: whether a command is legal, and what it does.

use longshore_proto::address::{Eprt, EpsvArgument};
use longshore_proto::command::{
    AuthMechanism, Command, Options, Parsed, ProtectionLevel, Site, parse, split,
};
use longshore_proto::limits::{FILE_MODE_BITS, LINE_LIMIT_BYTES, USER_NAME_LIMIT_BYTES};
use longshore_proto::line::{Buffer, Line};
use longshore_proto::reply::Situation;
use longshore_proto::time::write_time_val;
use longshore_proto::verbs::{Legal, VERBS, Verb};

/// The bytes as a control connection brings them.
pub fn command(data: &[u8]) {
    let mut buffer = Buffer::new(LINE_LIMIT_BYTES);
    buffer.extend(data);
    buffer.extend(b"\n");
    while let Some(line) = buffer.next_line() {
        if let Line::Command(line) = line {
            one(line);
        }
    }
}

fn one(line: &[u8]) {
    let (word, argument) = split(line);
    let row =
        VERBS.iter().find(|row| row.names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word)));
    let parsed = parse(line);
    assert_eq!(parsed.as_ref().map(|parsed| parsed.verb), row.map(|row| row.verb));
    let (Some(Parsed { verb, command }), Some(row)) = (parsed, row) else { return };
    let again = |line: &[u8]| {
        let Parsed { verb: found, command } = parse(line).expect("the verb is known");
        assert_eq!(found, verb);
        command
    };
    let other_case: Vec<u8> = word.iter().map(|byte| byte ^ 0x20).collect();
    assert_eq!(again(&[b"\t ", &other_case[..], b" ", argument].concat()), command, "in another case");
    match &command {
        Ok(command) => {
            bounds(command, argument);
            assert_eq!(*command == Command::NotOffered, row.legal == Legal::NotOffered);
            if let Command::Pass(_) = command {
                assert_eq!(format!("{command:?}"), "Pass(Secret(..))", "a password is shown");
            }
            if let Some(text) = written(command) {
                let read = again(&[verb.name().as_bytes(), b" ", &text].concat());
                let twice = read.as_ref().map(written);
                assert_eq!(twice, Ok(Some(text)), "{command:?}");
                // Only the fraction of a second is not written.
                assert!(verb == Verb::Mfmt || read.as_ref() == Ok(command), "{command:?} becomes {read:?}");
            }
        }
        Err(error) => {
            let situation = error.situation();
            assert!(row.may_answer(situation), "{}: {error} is not in its row", verb.name());
            let code = if situation == Situation::ParameterNotOffered { 504 } else { 501 };
            assert_eq!(situation.code(), code);
            let text = error.to_string();
            assert!(!text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_control()));
        }
    }
}

/// No path is empty or more than was said, and no number beyond what it is for.
fn bounds(command: &Command, argument: &[u8]) {
    let is_said = |path: &[u8]| !path.is_empty() && argument.ends_with(path);
    match command {
        Command::User(name) => assert!((1..=USER_NAME_LIMIT_BYTES).contains(&name.len())),
        Command::Cwd(path)
        | Command::Mkd(path)
        | Command::Rmd(path)
        | Command::Retr(path)
        | Command::Stor(path)
        | Command::Appe(path)
        | Command::Rnfr(path)
        | Command::Rnto(path)
        | Command::Dele(path)
        | Command::Size(path)
        | Command::Mdtm(path) => assert_eq!(path, argument),
        Command::Stou(path) | Command::Mlsd(path) | Command::Mlst(path) => {
            assert_eq!(path.as_deref().unwrap_or_default(), argument);
            assert_ne!(path.as_deref(), Some(&b""[..]));
        }
        Command::List(Some(path)) | Command::Nlst(Some(path)) => assert!(is_said(path) && path[0] != b'-'),
        Command::Stat(Some(path)) => assert!(path == b"." || is_said(path)),
        Command::Mfmt(time, path) => assert!(is_said(path) && time.nanoseconds < 1_000_000_000),
        Command::Site(Site::Chmod(mode, path)) => assert!(is_said(path) && mode & !FILE_MODE_BITS == 0),
        Command::Stru(structure) => assert_letter(argument, structure.name()),
        Command::Mode(mode) => assert_letter(argument, mode.name()),
        Command::Type(representation, _) if !matches!(argument.trim_ascii().first(), Some(b'L' | b'l')) => {
            assert_letter(&argument.trim_ascii()[..1], representation.name());
        }
        Command::Prot(_) => {
            assert_letter(argument, &String::from_utf8_lossy(&written(command).expect("a level")))
        }
        Command::Rest(number) | Command::Allo(number) => assert!(i64::try_from(*number).is_ok()),
        _ => {}
    }
}

/// What a letter is taken for bears its name.
#[track_caller]
fn assert_letter(argument: &[u8], name: &str) {
    assert_eq!(argument.trim_ascii().to_ascii_uppercase(), name.as_bytes());
}

/// The argument that asks for the same; `None` where there is none to be compared.
fn written(command: &Command) -> Option<Vec<u8>> {
    let optional = |value: &Option<Vec<u8>>| value.clone().unwrap_or_default();
    Some(match command {
        Command::User(name) => name.clone(),
        Command::Pass(secret) => secret.0.clone(),
        Command::Cwd(path)
        | Command::Mkd(path)
        | Command::Rmd(path)
        | Command::Retr(path)
        | Command::Stor(path)
        | Command::Appe(path)
        | Command::Rnfr(path)
        | Command::Rnto(path)
        | Command::Dele(path)
        | Command::Size(path)
        | Command::Mdtm(path) => path.clone(),
        Command::Stou(path)
        | Command::List(path)
        | Command::Nlst(path)
        | Command::Mlsd(path)
        | Command::Mlst(path)
        | Command::Stat(path)
        | Command::Help(path) => optional(path),
        Command::Type(representation, format) => format.name(*representation).into(),
        Command::Stru(structure) => structure.name().into(),
        Command::Mode(mode) => mode.name().into(),
        Command::Port(address) => {
            let [h1, h2, h3, h4] = address.ip().octets();
            let [p1, p2] = address.port().to_be_bytes();
            format!("{h1},{h2},{h3},{h4},{p1},{p2}").into()
        }
        Command::Eprt(Eprt::Address(address)) => {
            let protocol = if address.is_ipv4() { 1 } else { 2 };
            format!("|{protocol}|{}|{}|", address.ip(), address.port()).into()
        }
        Command::Eprt(Eprt::UnsupportedProtocol(protocol)) => format!("|{protocol}|||").into(),
        Command::Epsv(argument) => match argument {
            EpsvArgument::Any => String::new(),
            EpsvArgument::Ipv4 => "1".to_owned(),
            EpsvArgument::Ipv6 => "2".to_owned(),
            EpsvArgument::All => "ALL".to_owned(),
            EpsvArgument::UnsupportedProtocol(protocol) => protocol.to_string(),
        }
        .into(),
        Command::Allo(number) | Command::Rest(number) => number.to_string().into(),
        Command::Mfmt(time, path) => {
            let mut text = Vec::new();
            write_time_val(&mut text, *time);
            [&text[..], b" ", path].concat()
        }
        Command::Opts(Options::Utf8) => b"UTF8 ON".to_vec(),
        Command::Opts(Options::Mlst(facts)) => {
            let mut text = b"MLST ".to_vec();
            facts.write_enabled(&mut text);
            text
        }
        Command::Opts(Options::DeflateLevel(level)) => format!("MODE Z LEVEL {}", level.get()).into(),
        Command::Opts(Options::DeflateKeep(keep)) => format!("MODE Z KEEP {}", u8::from(*keep)).into(),
        Command::Opts(Options::Unknown(name)) => name.clone(),
        Command::Site(Site::Help) => b"HELP".to_vec(),
        Command::Site(Site::Quota) => b"QUOTA".to_vec(),
        Command::Site(Site::Chmod(mode, path)) => [format!("CHMOD {mode:o} ").as_bytes(), path].concat(),
        Command::Site(Site::Unknown(name)) => name.clone(),
        Command::Clnt(name) => name.clone(),
        Command::Auth(AuthMechanism::Tls) => b"TLS".to_vec(),
        Command::Auth(AuthMechanism::TlsPrivate) => b"SSL".to_vec(),
        Command::Prot(level) => match level {
            ProtectionLevel::Clear => b"C".to_vec(),
            ProtectionLevel::Safe => b"S".to_vec(),
            ProtectionLevel::Confidential => b"E".to_vec(),
            ProtectionLevel::Private => b"P".to_vec(),
        },
        // What takes no argument, and what has no form of its own here.
        _ => return None,
    })
}
