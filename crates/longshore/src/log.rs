//! One readable line per login and transfer.
//!
//! Not inside: which events there are. Lines go through a bounded queue to a thread of their own, so that a slow
//! terminal or disk never holds up a transfer; what does not fit is counted and said later.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use longshore_path::display;
use longshore_server::verbs::{Direction, Verb};
use longshore_server::{Event, EventKind, Observer};

use crate::Failure;
use crate::limits::{LOG_GRACE, LOG_QUEUE_LINES};

/// Prints what went wrong with the command itself.
#[allow(clippy::print_stderr, reason = "the one place where the program complains")]
pub(crate) fn complain(failure: &Failure) {
    eprintln!("longshore: {}", failure.what);
    if let Some(hint) = &failure.hint {
        eprintln!("\nhint: {hint}");
    }
}

/// Prints what a command was asked for.
#[allow(clippy::print_stdout, reason = "the one place where a command answers")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

/// Writes lines to standard output.
pub(crate) struct Log {
    lines: SyncSender<String>,
    lost: Arc<AtomicU64>,
}

/// The end of a log: waits until all that was said is written, or nobody reads it any more.
pub(crate) struct Writing(Receiver<()>);

impl Log {
    pub(crate) fn start() -> (Log, Writing) {
        let (lines, received) = sync_channel(LOG_QUEUE_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let thread_lost = lost.clone();
        let (done, written) = sync_channel(1);
        std::thread::spawn(move || {
            write_lines(received, &thread_lost);
            // Whoever waited may have given up.
            let _ = done.try_send(());
        });
        (Log { lines, lost }, Writing(written))
    }

    pub(crate) fn say(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Observer for Log {
    fn observe(&self, event: &Event) {
        if let Some(line) = line(event) {
            self.say(format!("{} {line}", clock()));
        }
    }
}

impl Writing {
    pub(crate) fn finish(self) {
        // A pipe that nobody reads must not keep the program from ending; a thread that is gone has nothing to write.
        let _ = self.0.recv_timeout(LOG_GRACE);
    }
}

fn write_lines(lines: Receiver<String>, lost: &AtomicU64) {
    let mut out = std::io::stdout().lock();
    let mut write = |text: &str| {
        // Nobody reads any more: serving goes on.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    };
    for line in lines {
        write(&line);
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                write(&format!("{} {count} lines of this log were lost: the output is too slow", clock()))
            }
        }
    }
}

/// The time of day in UTC.
fn clock() -> String {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() % 86_400);
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn line(event: &Event) -> Option<String> {
    let session = event.session.as_ref()?;
    let who = match &session.account {
        Some(account) => format!("{account}@{}", session.peer.ip()),
        None => session.peer.ip().to_string(),
    };
    let text = match &event.kind {
        EventKind::LoggedIn => "logged in".to_owned(),
        EventKind::LoginRefused { user, reason, situation } => {
            let reason = reason.map_or_else(|| situation.id().to_owned(), |reason| reason.to_string());
            format!("login refused for {}: {reason}", display(user))
        }
        EventKind::SentAway { situation } => format!("sent away: {} ({})", situation.id(), situation.code()),
        EventKind::Transfer { verb, direction, path, offset, bytes, duration, situation, cause, .. } => {
            let mut text = transfer(*verb, *direction, *bytes, *duration, situation.code());
            text.push_str(&path.to_string());
            if *offset > 0 {
                text.push_str(&format!(" from byte {offset}"));
            }
            if situation.code() >= 300 {
                text.push_str(&format!(": {} ({})", situation.id(), situation.code()));
            }
            if let Some(cause) = cause {
                text.push_str(&format!(": {cause}"));
            }
            text
        }
        EventKind::Changed { verb, path, to } => match (verb, to) {
            (Verb::Rnto, Some(to)) => format!("renamed {path} to {to}"),
            (Verb::Mkd, _) => format!("made directory {path}"),
            (Verb::Rmd, _) => format!("removed directory {path}"),
            (Verb::Dele, _) => format!("removed {path}"),
            // Mirroring clients set the time of every file right after its transfer, which has its own line.
            _ => return None,
        },
        EventKind::StorageFailed { cause } => format!("storage failed: {cause}"),
        EventKind::NetworkFailed { cause } => format!("no data connection: {cause}"),
        EventKind::Fault { message } => {
            format!("fault of this program, session ended: {}", display(message.as_bytes()))
        }
        _ => return None,
    };
    Some(format!("#{} {who} {text}", session.number))
}

fn transfer(verb: Verb, direction: Direction, bytes: u64, duration: Duration, code: u16) -> String {
    let done = code < 300;
    let what = match (verb, direction) {
        (Verb::List | Verb::Nlst | Verb::Mlsd, _) if done => "listed",
        (Verb::List | Verb::Nlst | Verb::Mlsd, _) => "did not list",
        (_, Direction::Send) if done => "sent",
        (_, Direction::Send) => "did not send all of",
        (_, Direction::Receive) if done => "stored",
        (_, Direction::Receive) => "did not store",
    };
    if bytes == 0 && !done {
        return format!("{what} ");
    }
    format!("{what} ({}, {}) ", size(bytes), time(duration))
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

#[cfg(test)]
mod tests {
    use longshore_path::VirtualPath;
    use longshore_server::reply::Situation;
    use longshore_server::{Representation, SessionName};

    use super::*;

    #[track_caller]
    fn check(kind: EventKind, expected: &str) {
        let account = Some("alice".into());
        let session = Some(SessionName { number: 7, peer: "192.0.2.1:5".parse().unwrap(), account });
        let event = Event { session, kind };
        assert_eq!(line(&event).as_deref(), Some(expected));
    }

    fn transferred(verb: Verb, direction: Direction, bytes: u64, situation: Situation) -> EventKind {
        let path = VirtualPath::new(b"/a b\n".strip_suffix(b"\n").unwrap()).unwrap();
        let duration = Duration::from_millis(1200);
        let representation = Representation::Image;
        EventKind::Transfer {
            verb,
            direction,
            path,
            representation,
            offset: 0,
            bytes,
            duration,
            situation,
            cause: None,
        }
    }

    #[test]
    fn lines() {
        check(EventKind::LoggedIn, "#7 alice@192.0.2.1 logged in");
        check(
            transferred(Verb::Retr, Direction::Send, 2048, Situation::Sent),
            "#7 alice@192.0.2.1 sent (2.0 KiB, 1200 ms) /a b",
        );
        check(
            transferred(Verb::Stor, Direction::Receive, 5, Situation::UploadReset),
            "#7 alice@192.0.2.1 did not store (5 B, 1200 ms) /a b: transfer.upload-reset (426)",
        );
        check(
            transferred(Verb::Stor, Direction::Receive, 0, Situation::TargetNoPermission),
            "#7 alice@192.0.2.1 did not store /a b: target.no-permission (553)",
        );
        let user = b"x\n00:00:00Z forged".to_vec();
        check(
            EventKind::LoginRefused { user, reason: None, situation: Situation::ClearRefused },
            "#7 alice@192.0.2.1 login refused for x\\x0A00:00:00Z forged: login.clear-refused",
        );
    }

    #[test]
    fn sizes() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(u64::MAX), "16384.0 PiB");
    }
}
