//! What every client is asked under TLS: the same for each version and policy, with bytes compared on both sides.
//!
//! Not inside: how a client is asked, which is in `drivers`, and what it cannot do, which is in `rows` and `gaps`.

use std::fs;

use super::rows::{Outcome, SecureClient, secure_gap};
use super::{Policy, Version, cell_name};
use crate::case::Case;
use crate::clients::{Who, is_peer_here};
use crate::content::{assert_same_bytes, pattern};
use crate::gaps;
use crate::operations::Operation;
use crate::results::recorded;
use crate::server::{Server, Setup};
use crate::steps::{Refusal, Step};
use crate::way::{Family, Way};

/// What the results of these tests are about.
pub(crate) const TLS: &str = "TLS";
/// Transfers in one session.
const TRANSFERS: usize = 20;
/// Sizes at the edges of records, and one of many records; the rest of the transfers has odd ones.
const SIZES: [usize; 6] = [0, 1, 446, 16_384, 16_385, 20 << 20];
/// Bytes of a file whose transfer is resumed.
const RESUMED_BYTES: usize = 2 << 20;
/// Bytes of a file whose transfer is stopped.
const STOPPED_BYTES: usize = 64 << 20;

/// Tries all that is asked of a client under TLS, and writes down whether it went well.
///
/// # Panics
/// When it did not.
#[track_caller]
pub fn check_secure(client: SecureClient, policy: Policy, version: Version) {
    if !client.client.is_here() || !is_peer_here("openssl") {
        return;
    }
    let gap = secure_gap(client, policy, version).map(|gap| gap.outcome);
    recorded(client.name(), TLS, &cell_name(policy, version), || {
        let server = Server::set_up(&Setup { policy: Some(policy), ..Setup::default() });
        let mode = client.client.modes(Family::Ipv4).iter().rfind(|mode| mode.is_passive());
        let way = Way { family: Family::Ipv4, mode: *mode.expect("every client is passive on demand") };
        let security = server.security(version, client.resumes);
        let case = Case::secured(&server, client.client, way, Some(security));
        match gap {
            Some(Outcome::Refused) => is_refused(&case),
            Some(Outcome::Few) => down_and_up(&case),
            Some(Outcome::Unproved) | None => {
                transfers(&case);
                list(&case);
                stop(&case);
            }
        }
        let unproved = server.lines().into_iter().find(|line| line.contains("is not proved"));
        match unproved {
            Some(line) => assert!(gap.is_some() || !client.resumes, "did not resume: {line}"),
            // Else the gap were none.
            None => assert!(gap != Some(Outcome::Unproved), "every data connection was resumed"),
        }
        server.stop();
    });
}

/// The files of a session: their names and contents.
fn files() -> Vec<(String, Vec<u8>)> {
    let odd = (SIZES.len()..TRANSFERS).map(|number| number * number * 97);
    let sizes = SIZES.into_iter().chain(odd).enumerate();
    sizes.map(|(number, size)| (format!("file-{number}"), pattern(size, number as u32))).collect()
}

/// Twenty files up in one session and down in another, behind each of them a transfer that is resumed. Part and file
/// differ, so that what was not moved again is seen.
fn transfers(case: &Case<'_>) {
    let files = files();
    let (before, now) = (pattern(RESUMED_BYTES, 31), pattern(RESUMED_BYTES, 32));
    let mut puts: Vec<Step<'_>> = files.iter().map(|(name, _)| Step::Put(name, name)).collect();
    let mut gets: Vec<Step<'_>> = files.iter().map(|(name, _)| Step::Get(name, name)).collect();
    for (name, bytes) in &files {
        case.prepare(name, bytes);
    }
    let part = gaps::has(case.client, Operation::ResumeUpload).then(|| {
        puts.push(Step::ResumePut("up", "up"));
        case.prepare("up", &now);
        case.leave_a_part("up", &before)
    });
    case.does(&puts);
    for (name, bytes) in &files {
        assert_same_bytes(name, &case.stored(name), bytes);
        fs::remove_file(case.outside(name)).expect("the client's file is there");
    }
    if let Some(part) = part {
        assert_same_bytes("up", &case.stored("up"), &[&before[..part], &now[part..]].concat());
    }
    let stored = files.len() + usize::from(part.is_some());
    assert_eq!(case.names("").len(), stored, "nothing but the files: {:?}", case.names(""));

    let is_resumed = gaps::has(case.client, Operation::ResumeDownload);
    if is_resumed {
        gets.push(Step::ResumeGet("down", "down"));
        case.place("down", &now);
        case.prepare("down", &before[..RESUMED_BYTES / 3]);
    }
    case.does(&gets);
    for (name, bytes) in &files {
        assert_same_bytes(name, &case.received(name), bytes);
    }
    if is_resumed {
        let expected = [&before[..RESUMED_BYTES / 3], &now[RESUMED_BYTES / 3..]].concat();
        assert_same_bytes("down", &case.received("down"), &expected);
    }
    // The part was left by a session of its own.
    let logins = case.server.logins_behind(gets.len(), &case.remote(""));
    assert_eq!(logins, 2 + usize::from(part.is_some()), "one session for all files of a direction");
}

/// A full folder and an empty one, in one session where the client has more than one step in it.
fn list(case: &Case<'_>) {
    for folder in ["listed", "empty"] {
        fs::create_dir(case.inside(folder)).expect("a folder");
    }
    let mut expected: Vec<String> = (0..300).map(|number| format!("entry-{number}")).collect();
    for name in &expected {
        case.place(format!("listed/{name}"), name);
    }
    expected.sort();
    assert_eq!(case.lists(&["empty", "listed", "empty"]), expected);
}

/// A download is stopped, and what follows goes well.
fn stop(case: &Case<'_>) {
    let small = pattern(5000, 33);
    case.place("long", pattern(STOPPED_BYTES, 34));
    case.prepare("after", &small);
    case.does(&[Step::StopGet("long"), Step::Put("after", "after"), Step::Get("after", "again")]);
    assert_same_bytes("after", &case.stored("after"), &small);
    assert_same_bytes("again", &case.received("again"), &small);
}

/// One file in each direction; the download comes first.
fn down_and_up(case: &Case<'_>) {
    let (down, up) = (pattern(RESUMED_BYTES, 37), pattern(RESUMED_BYTES, 38));
    case.place("down", &down);
    case.prepare("up", &up);
    case.does(&[Step::Get("down", "down"), Step::Put("up", "up")]);
    assert_same_bytes("down", &case.received("down"), &down);
    assert_same_bytes("up", &case.stored("up"), &up);
}

/// Neither direction moves a byte, the client is told, and so says the server.
fn is_refused(case: &Case<'_>) {
    case.place("down", pattern(RESUMED_BYTES, 35));
    case.prepare("up", pattern(RESUMED_BYTES, 36));
    for step in [Step::Put("up", "up"), Step::Get("down", "down")] {
        case.is_refused(Who::Account, step, Refusal::NotResumed);
    }
    assert_eq!(case.names(""), ["down"], "nothing is stored");
    let received = fs::read(case.outside("down")).unwrap_or_default();
    assert!(received.is_empty(), "{} bytes were received", received.len());
    // A client may ask for a listing before it sends, and be refused there.
    case.server.wait_for_line_about("(522)");
}
