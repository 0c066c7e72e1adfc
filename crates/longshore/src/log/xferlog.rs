//! The log of transfers as wu-ftpd wrote it, for the programs that read that: `man 5 xferlog`.
//!
//! Not inside: listings, logins, changes: the format has no place for them.

use jiff::Timestamp;
use longshore_accounts::is_anonymous;
use longshore_server::verbs::{Direction, Verb};
use longshore_server::{Event, EventKind};

/// The line of an event, if it is the transfer of a file.
pub(super) fn line(now: Timestamp, event: &Event) -> Option<Vec<u8>> {
    let session = event.session.as_ref()?;
    let EventKind::Transfer { verb, direction, path, representation, bytes, duration, situation, .. } =
        &event.kind
    else {
        return None;
    };
    if matches!(verb, Verb::List | Verb::Nlst | Verb::Mlsd) {
        return None;
    }
    let account = session.account.as_deref().unwrap_or("?");
    let mut line = Vec::new();
    let mut put = |field: &[u8]| {
        line.extend_from_slice(field);
        line.push(b' ');
    };
    // As ctime(3) writes it, in UTC.
    put(now.strftime("%a %b %e %H:%M:%S %Y").to_string().as_bytes());
    // Whole seconds, and never none: readers divide by it.
    put(duration.as_secs().max(1).to_string().as_bytes());
    put(session.peer.ip().to_string().as_bytes());
    put(bytes.to_string().as_bytes());
    put(&without_gaps(path.as_bytes()));
    put(if representation.is_text() { b"a" } else { b"b" });
    // Neither compressed nor made into an archive.
    put(b"_");
    put(if *direction == Direction::Send { b"o" } else { b"i" });
    put(if is_anonymous(account.as_bytes()) { b"a" } else { b"r" });
    put(&without_gaps(account.as_bytes()));
    // Service, and no further authentication (RFC 1413).
    put(b"ftp 0 *");
    put(if situation.code() < 300 { b"c" } else { b"i" });
    line.pop();
    Some(line)
}

/// Fields end at a space and lines at their end: wu-ftpd writes both, and control characters, as `_`. Other bytes
/// stand as they are.
fn without_gaps(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let letter = if letter.is_whitespace() || letter.is_control() { '_' } else { letter };
            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        out.extend_from_slice(chunk.invalid());
    }
    out
}
