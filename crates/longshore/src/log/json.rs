//! One JSON object per line for each event: docs/log.md lists the fields.
//!
//! Fields stand in one order, for those who read them with regular expressions. Text of peers is escaped as
//! [`display`] does it before it becomes JSON: nothing is lost, and every line is UTF-8.

use std::fmt::Write;

use jiff::Timestamp;
use longshore_path::display;
use longshore_server::reply::Situation;
use longshore_server::verbs::Direction;
use longshore_server::{Ending, Event, EventKind, Protection, Representation, Speaker};
use serde_json::Value;

/// An object that is being written.
struct Object(String);

impl Object {
    fn new(now: Timestamp, event: &str) -> Object {
        let mut object = Object("{".to_owned());
        object.put("time", format!("{now:.3}"));
        object.put("event", event);
        object
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a String does not fail.
        let _ = write!(self.0, "{comma}\"{name}\":{}", value.into());
    }

    fn put_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.put(name, display(bytes).to_string());
    }

    fn put_situation(&mut self, situation: Situation) {
        self.put("situation", situation.id());
        self.put("code", situation.code());
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Something that is no event of the server.
pub(super) fn notice(now: Timestamp, message: &str) -> String {
    let mut object = Object::new(now, "notice");
    object.put("message", message);
    object.end()
}

pub(super) fn object(now: Timestamp, event: &Event) -> Option<String> {
    let mut object = Object::new(now, name(&event.kind)?);
    if let Some(session) = &event.session {
        object.put("session", session.number);
        object.put("peer", session.peer.ip().to_string());
        object.put("peer_port", session.peer.port());
        if let Some(account) = &session.account {
            object.put_bytes("account", account.as_bytes());
        }
    }
    put_fields(&mut object, &event.kind);
    Some(object.end())
}

/// `None` for events that this version of the log does not know.
fn name(kind: &EventKind) -> Option<&'static str> {
    Some(match kind {
        EventKind::Connected => "connected",
        EventKind::Started { .. } => "started",
        EventKind::Reloaded => "reloaded",
        EventKind::ReloadRefused { .. } => "reload-refused",
        EventKind::Draining { .. } => "draining",
        EventKind::Stopped { .. } => "stopped",
        EventKind::SentAway { .. } => "sent-away",
        EventKind::Secured { .. } => "secured",
        EventKind::TlsFailed { .. } => "tls-failed",
        EventKind::DataNotProved { .. } => "data-not-proved",
        EventKind::NoCloseNotify { .. } => "upload.no-close-notify",
        EventKind::LoggedIn => "logged-in",
        EventKind::LoginRefused { .. } => "login-refused",
        EventKind::Banned { .. } => "banned",
        EventKind::Dialogue { .. } => "dialogue",
        EventKind::ClientNamed { .. } => "client-named",
        EventKind::Transfer { .. } => "transfer",
        EventKind::Changed { .. } => "changed",
        EventKind::StorageFailed { .. } => "storage-failed",
        EventKind::NetworkFailed { .. } => "network-failed",
        EventKind::Ended { .. } => "ended",
        EventKind::Fault { .. } => "fault",
        _ => return None,
    })
}

fn put_fields(object: &mut Object, kind: &EventKind) {
    match kind {
        EventKind::Started { addresses } => {
            object.put("version", env!("CARGO_PKG_VERSION"));
            object.put("addresses", addresses.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        EventKind::ReloadRefused { why } => object.put("why", why.as_str()),
        EventKind::Draining { sessions, grace } => {
            object.put("sessions", *sessions);
            object.put("grace_seconds", grace.as_secs());
        }
        EventKind::Stopped { cut, unproved } => {
            object.put("cut", *cut);
            object.put("unproved", *unproved);
        }
        EventKind::Secured { version, cipher_suite, server_name, certificate } => {
            object.put("version", *version);
            object.put("cipher_suite", cipher_suite.as_str());
            if let Some(name) = server_name {
                object.put("server_name", name.as_str());
            }
            if let Some(certificate) = certificate {
                object.put("certificate", certificate.as_str());
            }
        }
        EventKind::TlsFailed { why } | EventKind::DataNotProved { why } => object.put("why", why.as_str()),
        EventKind::SentAway { situation } => object.put_situation(*situation),
        EventKind::LoginRefused { user, reason, situation } => {
            object.put_bytes("user", user);
            object.put("reason", reason.map_or(situation.id(), |reason| reason.id()));
            object.put_situation(*situation);
        }
        EventKind::Banned { address, duration } => {
            object.put("address", address.to_string());
            object.put("seconds", duration.as_secs());
        }
        EventKind::Dialogue { speaker, line } => {
            let speaker = match speaker {
                Speaker::Client => "client",
                Speaker::Server => "server",
            };
            object.put("speaker", speaker);
            object.put_bytes("line", line);
        }
        EventKind::NoCloseNotify { path } => object.put_bytes("path", path.as_bytes()),
        EventKind::ClientNamed { name } => object.put_bytes("name", name),
        EventKind::Transfer { .. } => put_transfer(object, kind),
        EventKind::Changed { verb, path, to } => {
            object.put("verb", verb.name());
            object.put_bytes("path", path.as_bytes());
            if let Some(to) = to {
                object.put_bytes("to", to.as_bytes());
            }
        }
        EventKind::StorageFailed { cause } | EventKind::NetworkFailed { cause } => {
            object.put("cause", cause.as_str());
        }
        EventKind::Ended { why } => match why {
            Ending::Quit => object.put("why", "quit"),
            Ending::Closed => object.put("why", "closed"),
            Ending::Reset => object.put("why", "reset"),
            Ending::TlsFailed => object.put("why", "tls-failed"),
            Ending::Said(situation) => {
                object.put("why", "said");
                object.put_situation(*situation);
            }
        },
        EventKind::Fault { message } => object.put("message", message.as_str()),
        _ => {}
    }
}

fn put_transfer(object: &mut Object, kind: &EventKind) {
    let EventKind::Transfer {
        verb,
        direction,
        path,
        representation,
        protection,
        offset,
        bytes,
        duration,
        situation,
        cause,
    } = kind
    else {
        return;
    };
    object.put("verb", verb.name());
    let direction = match direction {
        Direction::Send => "send",
        Direction::Receive => "receive",
    };
    object.put("direction", direction);
    object.put_bytes("path", path.as_bytes());
    let representation = match representation {
        Representation::Ascii => "ascii",
        Representation::Image => "image",
    };
    object.put("type", representation);
    object.put("offset", *offset);
    object.put("bytes", *bytes);
    object.put("seconds", duration.as_millis() as f64 / 1000.0);
    object.put_situation(*situation);
    if let Some(cause) = cause {
        object.put("cause", cause.as_str());
    }
    object.put("protected", *protection == Protection::Private);
}
