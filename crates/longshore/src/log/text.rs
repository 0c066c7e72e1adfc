//! One line for people for each thing that they would ask about.
//!
//! Not inside: the programs' form ([`json`](super::json)). Comings and goings have no lines here.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use longshore_path::display;
use longshore_server::verbs::{Direction, Verb};
use longshore_server::{Event, EventKind, Protection, SessionName, Speaker};

/// The time of day in UTC.
pub(super) fn clock(now: Timestamp) -> String {
    let second = now.as_second().rem_euclid(24 * 60 * 60);
    format!("{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Text that may hold what others wrote.
pub(super) fn safe(text: &str) -> String {
    display(text.as_bytes()).to_string()
}

/// A name as one word, so that nobody's name says anything beyond it.
fn word(name: &[u8]) -> String {
    let mut word = String::new();
    if name.iter().all(|byte| byte.is_ascii_alphanumeric()) {
        // Nearly all are.
        word.extend(name.iter().copied().map(char::from));
        return word;
    }
    for letter in display(name).to_string().chars() {
        if letter.is_whitespace() {
            let mut buffer = [0; 4];
            let escaped = letter.encode_utf8(&mut buffer).bytes().map(|byte| format!("\\x{byte:02X}"));
            word.extend(escaped);
        } else {
            word.push(letter);
        }
    }
    word
}

/// The lines of an event, without the time. `announced` says that people see the announcement in the same place.
pub(super) fn lines(event: &Event, announced: bool) -> Vec<String> {
    if let EventKind::ReloadRefused { why } = &event.kind {
        let mut lines = vec!["reload refused, the configuration before still holds:".to_owned()];
        lines.extend(why.lines().map(|line| format!("  {}", safe(line))));
        return lines;
    }
    let Some(text) = of_server(&event.kind, announced).or_else(|| of_session(event)) else {
        return Vec::new();
    };
    vec![match &event.session {
        Some(session) => format!("#{} {} {text}", session.number, who(session)),
        None => text,
    }]
}

fn who(session: &SessionName) -> String {
    match &session.account {
        Some(account) => format!("{}@{}", word(account.as_bytes()), session.peer.ip()),
        None => session.peer.ip().to_string(),
    }
}

fn of_server(kind: &EventKind, announced: bool) -> Option<String> {
    Some(match kind {
        EventKind::Started { addresses } if !announced => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("longshore {} listens on {}", env!("CARGO_PKG_VERSION"), addresses.join(", "))
        }
        EventKind::Reloaded => "reloaded: another configuration holds from now on".to_owned(),
        EventKind::Draining { sessions, grace } if *sessions > 0 || !announced => {
            format!("draining: {sessions} sessions, transfers have {}", time(*grace))
        }
        EventKind::Stopped { cut, unproved } if *cut > 0 || *unproved > 0 || !announced => {
            let mut text = format!("stopped: {cut} sessions were still there");
            if *unproved > 0 {
                text.push_str(&format!(
                    "; {unproved} protected data connections did not resume the session of their control connection"
                ));
            }
            text
        }
        _ => return None,
    })
}

fn of_session(event: &Event) -> Option<String> {
    Some(match &event.kind {
        EventKind::LoggedIn => "logged in".to_owned(),
        EventKind::TlsFailed { why } => format!("TLS failed: {}", safe(why)),
        EventKind::DataNotProved { why } => {
            format!(
                "a data connection is not proved, data_session = \"require\" would refuse it: {}",
                safe(why)
            )
        }
        EventKind::NoCloseNotify { path } => {
            format!("{path} ended without close_notify and is taken for whole")
        }
        EventKind::LoginRefused { user, reason, situation } => {
            let (id, words) = match reason {
                Some(reason) => (reason.id(), reason.to_string()),
                None => (situation.id(), format!("answered with {}", situation.code())),
            };
            // For fail2ban; docs/log.md has the expression.
            let address = event
                .session
                .as_ref()
                .map_or_else(|| "?".to_owned(), |session| session.peer.ip().to_string());
            format!("login refused for {} from {address}: {id} ({words})", word(user))
        }
        EventKind::Banned { address, duration } => banned(*address, *duration),
        EventKind::SentAway { situation } => format!("sent away: {} ({})", situation.id(), situation.code()),
        EventKind::Transfer { .. } => transfer(&event.kind)?,
        EventKind::Changed { verb, path, to } => match (verb, to) {
            (Verb::Rnto, Some(to)) => format!("renamed {path} to {to}"),
            (Verb::Mkd, _) => format!("made directory {path}"),
            (Verb::Rmd, _) => format!("removed directory {path}"),
            (Verb::Dele, _) => format!("removed {path}"),
            // Mirroring clients set the time of every file right after its transfer, which has its own line.
            _ => return None,
        },
        EventKind::Dialogue { speaker, line } => {
            let speaker = match speaker {
                Speaker::Client => ">",
                Speaker::Server => "<",
            };
            format!("{speaker} {}", display(line))
        }
        EventKind::StorageFailed { cause } => format!("storage failed: {}", safe(cause)),
        EventKind::NetworkFailed { cause } => format!("no data connection: {}", safe(cause)),
        EventKind::Fault { message } => format!("fault of this program, session ended: {}", safe(message)),
        _ => return None,
    })
}

fn banned(address: IpAddr, duration: Duration) -> String {
    format!("banned {address} for {} after too many failed logins", time(duration))
}

fn transfer(kind: &EventKind) -> Option<String> {
    let EventKind::Transfer {
        verb,
        direction,
        path,
        protection,
        offset,
        bytes,
        duration,
        situation,
        cause,
        ..
    } = kind
    else {
        return None;
    };
    let done = situation.code() < 300;
    let what = match (verb, direction) {
        (Verb::List | Verb::Nlst | Verb::Mlsd, _) if done => "listed",
        (Verb::List | Verb::Nlst | Verb::Mlsd, _) => "did not list",
        (_, Direction::Send) if done => "sent",
        (_, Direction::Send) => "did not send all of",
        (_, Direction::Receive) if done => "stored",
        (_, Direction::Receive) => "did not store",
    };
    let mut text = what.to_owned();
    if *bytes > 0 || done {
        let tls = if *protection == Protection::Private { ", TLS" } else { "" };
        text.push_str(&format!(" ({}, {}{tls})", size(*bytes), time(*duration)));
    }
    text.push_str(&format!(" {path}"));
    if *offset > 0 {
        text.push_str(&format!(" from byte {offset}"));
    }
    if !done {
        text.push_str(&format!(": {} ({})", situation.id(), situation.code()));
    }
    if let Some(cause) = cause {
        text.push_str(&format!(": {}", safe(cause)));
    }
    Some(text)
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

fn time(duration: Duration) -> String {
    match duration.as_millis() {
        0..10_000 => format!("{} ms", duration.as_millis()),
        _ => format!("{} s", duration.as_secs()),
    }
}
