//! Random sequences against the invariants, and input cut at every byte.
//!
//! `PROPTEST_CASES` raises the number of sequences. The seed of one that fails is written to `random.seeds` beside
//! this file and tried first from then on; the smallest failing sequence is printed.
//!
//! Not inside: what single commands answer; the judge of `common` knows only what holds for all of them, and `broken`
//! holds that it does.

mod common;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

use common::{Client, Ended, Handshake, Kind, Work, World};
use longshore_proto::reply::Situation;
use longshore_proto::server::{
    ConnectFailure, Credential, DataEvent, DataEvent::NotEstablished, End, LoginOutcome, Policy, Protection,
    QuotaStatus, Route, StorageOp, StorageOutcome, TlsEvent, TlsNeed, TlsOffer, TlsPolicy,
};
use longshore_proto::transmission::{Error, Problem};
use longshore_proto::verbs::{Direction, Failure, VERBS};

/// The steps of the longest sequence.
const STEPS: usize = 200;

const QUOTA: QuotaStatus = QuotaStatus { bytes: 700, limit_bytes: Some(1000), files: 3, limit_files: None };

/// One thing that happens to a session.
#[derive(Clone, Debug)]
enum Step {
    Bytes(Bytes),
    /// Somebody logs in, behind this or in clear.
    Enter(Option<Handshake>),
    /// One of the operations under way comes to an end, somehow.
    Answer(Index, Index),
    /// An answer comes that was given already.
    Late(Index),
    Hold(u16),
    Client(Client),
    Transfer(Ended),
    Handshake(Handshake),
    Need(TlsNeed),
    Ports(bool),
    Advance(u64),
    Wake,
    Back(bool),
    Urgent,
    EndOfInput,
    Reset,
    Drain,
    Shutdown,
}

/// Bytes that are read as text when they are printed.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

const KINDS: [Kind; 9] = [
    Kind::Tls,
    Kind::Login,
    Kind::Storage,
    Kind::Commit,
    Kind::Abandon,
    Kind::Reserve,
    Kind::Probe,
    Kind::Establish,
    Kind::Move,
];

fn name() -> impl Strategy<Value = Vec<u8>> {
    let known: &[&[u8]] = &[
        b"a",
        b"d",
        b"d/x",
        b"none",
        b"none/x",
        b"*",
        b"d/*",
        b"[a]",
        b"/",
        b"..",
        b"a\tb",
        b"\xFF\xFF",
        b"-l",
        b" ",
        b"",
    ];
    prop_oneof![
        8 => select(known).prop_map(<[u8]>::to_vec),
        1 => Just(vec![b'n'; 300]),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

const TRANSFERS: &[&str] = &["RETR", "STOR", "APPE", "STOU", "LIST", "NLST", "MLSD"];
const ARRANGEMENTS: &[&str] = &[
    "PASV",
    "PASV",
    "PASV",
    "EPSV",
    "EPSV 1",
    "EPSV 2",
    "PORT 192,0,2,7,20,1",
    "PORT 192,0,2,8,20,1",
    "EPRT |1|192.0.2.7|5000|",
    "EPRT |2|2001:db8::7|5000|",
    "EPRT |2|::|5000|",
];
const LOGINS: &[&str] =
    &["USER longshore", "USER anonymous", "PASS secret", "PASS secret", "PASS wrong", "USER", "REIN"];
const FILES: &[&str] =
    &["RNFR", "RNTO", "DELE", "SIZE", "MDTM", "MKD", "RMD", "CWD", "MLST", "STAT", "MFMT 20261120130405"];
/// Behind the second and third a data connection stays, which only many transfers in a row make use of.
const MODES: &[&str] = &["MODE S", "MODE B", "MODE C", "MODE B", "MODE C", "MODE Z", "OPTS MODE Z KEEP 1"];
/// Words separated by commas, for they are many.
const PLAIN: &str = "NOOP,NOOP,STAT,STAT,ABOR,ABOR,ABOR,REST 0,REST 5,REST 1000,REST x,TYPE I,TYPE I,TYPE A,TYPE E,FEAT,\
    SYST,HELP,PWD,CDUP,ALLO 5,OPTS MLST size;,MODE S,STRU F,STRU R,STRU P,MODE Z,OPTS MODE Z KEEP 0,SITE HELP,SITE QUOTA,SITE CHMOD 644 a,XYZZY,,";
const TLS: &[&str] = &[
    "PBSZ 0", "PBSZ 0", "PBSZ x", "PROT P", "PROT P", "PROT P", "PROT C", "PROT C", "PROT S", "PROT X", "CCC",
];
/// Behind these nobody is logged in.
const AUTHS: &[&str] = &["AUTH TLS", "AUTH TLS-P", "AUTH SSL", "AUTH XYZZY", "AUTH TLS\r\nNOOP", "REIN"];
/// Behind most of these little more happens.
const RARE: &[&str] = &["QUIT", "EPSV ALL", "EPSV ALL", "GET / HTTP/1.1"];

/// What clients send together.
const DIALOGUES: &[&str] = &[
    "USER longshore\r\nPASS secret",
    "USER longshore\r\nPASS secret",
    "USER longshore\r\nPASS secret",
    "PBSZ 0\r\nPROT P",
    "PROT P\r\nPASV\r\nSTOR /d/new",
    "TYPE I\r\nREST 5\r\nPROT C\r\nPASV\r\nRETR a",
    "PASV\r\nRETR a",
    "EPSV\r\nSTOR a",
    "EPRT |2|2001:db8::7|5000|\r\nAPPE a",
    "PASV\r\nSTOR /d/new",
    "PASV\r\nAPPE a",
    "EPSV\r\nLIST",
    "PASV\r\nSTOU d/x",
    "PORT 192,0,2,7,20,1\r\nRETR a",
    "PORT 192,0,2,7,20,1\r\nSTOR a",
    "TYPE I\r\nREST 5\r\nPASV\r\nRETR a",
    "TYPE I\r\nPASV\r\nREST 5\r\nSTOR a",
    "REST 5\r\nCWD /\r\nPASV\r\nRETR a",
    "RNFR a\r\nRNTO b\r\nRNFR b\r\nRNTO a",
    "PASV\r\nSTOR d\r\nRETR a",
    "PASV\r\nRETR a\r\nABOR",
    "PASV\r\nSTOR /d/new\r\nABOR",
    "PASV\r\nRETR a\r\nPASV\r\nRETR a\r\nABOR",
    // Queues of transfers, on one connection where MODE keeps it.
    "MODE B\r\nPASV\r\nRETR a\r\nRETR a\r\nRETR none\r\nRETR a",
    "MODE B\r\nPASV\r\nSTOR /d/new\r\nSTOR /d\r\nSTOR /d/other\r\nRETR a",
    "MODE C\r\nEPSV\r\nSTOR /d/new\r\nAPPE /d/new\r\nSTOU d/x\r\nLIST",
    "MODE C\r\nPORT 192,0,2,7,20,1\r\nRETR a\r\nSTOR /d/new\r\nNLST\r\nRETR a",
    "MODE B\r\nPASV\r\nRETR a\r\nRETR a\r\nRETR a\r\nABOR\r\nRETR a",
    "MODE B\r\nPASV\r\nRETR a\r\nMODE S\r\nRETR a\r\nMODE C",
    "MODE B\r\nPASV\r\nRETR a\r\nPROT P\r\nRETR a\r\nPROT C\r\nRETR a",
    "MODE C\r\nPASV\r\nRETR a\r\nPASV\r\nRETR a\r\nPORT 192,0,2,7,20,1\r\nRETR a",
    "MODE B\r\nPASV\r\nREST 5\r\nRETR a\r\nREST 5\r\nSTOR a",
    "OPTS MODE Z KEEP 1\r\nMODE Z\r\nPASV\r\nRETR a\r\nSTOR /d/new\r\nRETR a",
    "MODE Z\r\nOPTS MODE Z KEEP 1\r\nEPSV\r\nSTOR /d/new\r\nSTOR /d\r\nOPTS MODE Z KEEP 0\r\nRETR a",
    "RETR a\r\nRETR a\r\nRETR a",
    "STOR /d/new\r\nSTOR /d/new",
    "STRU R\r\nTYPE A\r\nRETR a",
    "STRU P\r\nREST 5\r\nRETR a",
    "STRU F\r\nREST 5\r\nSTOR a",
];

fn with_name(verbs: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    (select(verbs), name()).prop_map(|(verb, name)| [verb.as_bytes(), b" ", name.as_slice()].concat())
}

fn as_it_stands(lines: Vec<&'static str>) -> impl Strategy<Value = Vec<u8>> {
    select(lines).prop_map(|line| line.as_bytes().to_vec())
}

/// Commands as clients send them, and as they should not.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let any_verb: Vec<&str> = VERBS.iter().map(|row| row.name()).filter(|name| *name != "QUIT").collect();
    let any_verb = (select(any_verb), name());
    prop_oneof![
        100 => with_name(TRANSFERS),
        90 => as_it_stands(ARRANGEMENTS.to_vec()),
        5 => as_it_stands(LOGINS.to_vec()),
        30 => as_it_stands(TLS.to_vec()),
        40 => as_it_stands(MODES.to_vec()),
        5 => as_it_stands(AUTHS.to_vec()),
        100 => as_it_stands(PLAIN.split(',').collect()),
        60 => with_name(FILES),
        250 => as_it_stands(DIALOGUES.to_vec()),
        10 => any_verb.prop_map(|(verb, name)| [verb.as_bytes(), b" ", name.as_slice()].concat()),
        10 => prop::collection::vec(any::<u8>(), 0..40),
        1 => as_it_stands(RARE.to_vec()),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let end: &[&[u8]] = &[b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b""];
    prop_oneof![
        60 => (command(), select(end)).prop_map(|(line, end)| [line.as_slice(), end].concat()),
        1 => Just(b"\xFF\xF4\xFF\xF2ABOR\r\n".to_vec()),
        1 => Just([vec![b'x'; 5000], b"\r\n".to_vec()].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

/// Markers of ours and of others, of which some would spoil a line.
const MARKERS: [&[u8]; 6] = [b"5", b"block=3", b"", b"two words", b"1\r\n226 Done", b"\xF1"];

const PROBLEMS: [Problem; 4] =
    [Problem::Cut, Problem::PageType(9), Problem::Descriptor(1), Problem::Escape(7)];

fn malformed(problem: Problem) -> End {
    End::Malformed(Error { problem, offset_bytes: 7 })
}

fn handshake() -> impl Strategy<Value = Handshake> {
    prop_oneof![
        10 => any::<bool>().prop_map(|certificate| Handshake::Succeeds { certificate }),
        1 => Just(Handshake::Fails),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let client = prop_oneof![
        Just(Client::Follows),
        Just(Client::Stands),
        (0_u32..3).prop_map(|strangers| Client::StaysAway { strangers }),
        Just(Client::Refuses),
        Just(Client::Leaves),
        Just(Client::Unreachable),
        Just(Client::StaysSilent),
        Just(Client::SpeaksClear),
        Just(Client::BreaksTls),
        Just(Client::ComesAnew),
    ];
    let transfer = prop_oneof![
        (0_u64..2000).prop_map(Ended::Complete),
        (0_u64..2000).prop_map(Ended::GoesOn),
        (0_u64..2000).prop_map(|bytes| Ended::Early(bytes, End::Reset)),
        (0_u64..2000).prop_map(|bytes| Ended::Early(bytes, End::Stalled)),
        (0_u64..2000).prop_map(|bytes| Ended::Early(bytes, End::Storage(Failure::NoSpace))),
        (0_u64..2000).prop_map(|bytes| Ended::Early(bytes, End::TlsBroken)),
        (0_u64..2000).prop_map(|bytes| Ended::Early(bytes, End::NoCloseNotify)),
        (0_u64..2000).prop_map(|bytes| Ended::Early(bytes, End::TlsUnexpected)),
        (0_u64..2000, select(PROBLEMS.to_vec()))
            .prop_map(|(bytes, problem)| Ended::Early(bytes, malformed(problem))),
    ];
    prop_oneof![
        400 => bytes().prop_map(|bytes| Step::Bytes(Bytes(bytes))),
        15 => prop::option::weighted(0.8, handshake()).prop_map(Step::Enter),
        350 => (any::<Index>(), any::<Index>()).prop_map(|(which, how)| Step::Answer(which, how)),
        20 => any::<Index>().prop_map(Step::Late),
        40 => any::<u16>().prop_map(Step::Hold),
        30 => client.prop_map(Step::Client),
        30 => transfer.prop_map(Step::Transfer),
        10 => handshake().prop_map(Step::Handshake),
        10 => select(NEEDS.to_vec()).prop_map(Step::Need),
        10 => prop::bool::weighted(0.8).prop_map(Step::Ports),
        30 => (0_u64..3000).prop_map(Step::Advance),
        10 => (0_u64..70_000).prop_map(Step::Advance),
        10 => Just(Step::Wake),
        20 => prop::bool::weighted(0.3).prop_map(Step::Back),
        10 => Just(Step::Urgent),
        1 => Just(Step::EndOfInput),
        1 => Just(Step::Reset),
        1 => Just(Step::Drain),
        1 => Just(Step::Shutdown),
        1 => (290_000_u64..310_000).prop_map(Step::Advance),
    ]
}

const NEEDS: [TlsNeed; 3] = [TlsNeed::Nothing, TlsNeed::Login, TlsNeed::Data];

/// Most have TLS, and where it must be there, somebody can mostly begin it.
fn policy() -> impl Strategy<Value = Policy> {
    let offer = prop_oneof![
        2 => Just(TlsOffer::NoCertificate),
        1 => Just(TlsOffer::Off),
        6 => Just(TlsOffer::Explicit),
        3 => Just(TlsOffer::Implicit),
    ];
    let need = select(NEEDS.to_vec());
    (offer, need, any::<bool>(), prop::bool::weighted(0.8), any::<bool>()).prop_map(
        |(offer, need, allow_ccc, clear_passwords, deflate)| {
            let tls = matches!(offer, TlsOffer::Explicit | TlsOffer::Implicit);
            let need = if tls || !clear_passwords { need } else { TlsNeed::Nothing };
            Policy {
                tls: TlsPolicy { offer, need, allow_ccc },
                clear_passwords,
                deflate,
                ..Policy::default()
            }
        },
    )
}

/// Some sequences end as servers do: one that wants to end waits for a while.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop::option::weighted(0.3, (any::<Index>(), 0_usize..20));
    (prop::collection::vec(step(), 1..=STEPS), end).prop_map(|(mut steps, end)| {
        if let Some((drain, patience)) = end {
            let drain = drain.index(steps.len());
            let shutdown = (drain + patience).min(steps.len());
            steps.insert(shutdown, Step::Shutdown);
            steps.insert(drain, Step::Drain);
        }
        steps
    })
}

/// Ends an operation in one of the ways in which it can end.
fn answer(world: &mut World, kind: Kind, how: &Index) {
    let failure = *how.get(Failure::ALL);
    let cancelled = world.is_cancelled(kind);
    let work = world.work(kind).expect("it is under way").clone();
    match work {
        Work::Tls { .. } if how.index(10) == 0 => world.answer_tls(TlsEvent::Failed),
        Work::Tls { .. } => world.answer_tls(World::tls_up(how.index(2) == 0)),
        Work::Login(_) if how.index(20) == 0 => {
            world.answer_login(LoginOutcome::Banned { seconds: how.index(1000) as u64 });
        }
        Work::Login(request) if request.credential == Credential::Certificate && how.index(2) == 0 => {
            world.answer_login(LoginOutcome::Rejected { earlier: 0 });
        }
        Work::Login(_) if how.index(3) == 0 => {
            world.answer_login(LoginOutcome::Rejected { earlier: how.index(12) as u32 });
        }
        Work::Storage(StorageOp::Abandon) => world.let_go(kind),
        Work::Storage(_) if how.index(2) == 0 => world.answer_storage(kind, StorageOutcome::Failed(failure)),
        Work::Reserve if how.index(8) == 0 => world.answer_data(kind, DataEvent::NoPort),
        Work::Reserve if how.index(8) == 1 => world.answer_data(kind, DataEvent::NoResources),
        Work::Probe => {
            world.answer_data(kind, if how.index(2) == 0 { DataEvent::Standing } else { DataEvent::NotYet });
        }
        Work::Establish(_) if world.on_kept => world.answer_data(kind, DataEvent::Established),
        Work::Establish(channel) => {
            let strangers = how.index(3) as u32;
            let private = channel.protection == Protection::Private;
            let event = match (channel.route, how.index(8)) {
                (_, 0) if cancelled => NotEstablished(ConnectFailure::Cancelled { strangers }),
                (_, 1) if cancelled && private => NotEstablished(ConnectFailure::HandshakeCancelled),
                (Route::Active { .. }, 2) => NotEstablished(ConnectFailure::Refused),
                (Route::Active { .. }, 3) => NotEstablished(ConnectFailure::Unreachable),
                (_, 4) if private => NotEstablished(ConnectFailure::NotTls),
                (_, 5) if private => NotEstablished(ConnectFailure::HandshakeFailed("why\r\n".to_owned())),
                (_, 6) if private => NotEstablished(ConnectFailure::NotResumed("why".to_owned())),
                _ => DataEvent::Established,
            };
            world.answer_data(kind, event);
        }
        Work::Move(job)
            if job.direction == Direction::Receive && job.mode.has_markers() && how.index(3) == 0 =>
        {
            world.marker(MARKERS[how.index(MARKERS.len())], how.index(2000) as u64);
        }
        Work::Move(job) => {
            let end = match how.index(24) {
                0 => End::Reset,
                1 => End::Stalled,
                2 => End::Storage(failure),
                3 if job.verb.name() == "RETR" => End::Shrank,
                4..=6 if cancelled => End::Cancelled,
                7 => World::possible(End::TlsBroken, &job),
                8 => World::possible(End::NoCloseNotify, &job),
                9 => World::possible(End::TlsUnexpected, &job),
                10..=13 => World::possible(malformed(*how.get(&PROBLEMS)), &job),
                _ => End::Complete,
            };
            // The client may have ended its direction of a connection that might have stayed.
            let kept = how.index(9) != 8 && World::may_keep(end, &job);
            world.answer_data(kind, DataEvent::Finished { bytes: how.index(2000) as u64, end, kept });
        }
        _ => world.let_go(kind),
    }
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Bytes(bytes) => world.send(&bytes.0),
        Step::Enter(handshake) => enter(world, *handshake),
        Step::Answer(which, how) => {
            let under_way = world.under_way();
            if !under_way.is_empty() {
                answer(world, *which.get(&under_way), how);
            }
        }
        Step::Late(which) => {
            let answered = world.answered();
            if !answered.is_empty() {
                world.answer_late(*which.get(&answered));
            }
        }
        Step::Hold(bits) => {
            world.held =
                (0..KINDS.len()).filter(|bit| bits & (1 << bit) != 0).map(|bit| KINDS[bit]).collect();
            world.settle();
        }
        Step::Client(client) => {
            world.client = *client;
            world.settle();
        }
        Step::Transfer(transfer) => {
            world.transfer = *transfer;
            world.settle();
        }
        Step::Handshake(handshake) => {
            world.handshake = *handshake;
            world.settle();
        }
        Step::Need(need) => world.need = *need,
        Step::Ports(free) => world.ports_free = *free,
        Step::Advance(milliseconds) => world.advance(Duration::from_millis(*milliseconds)),
        Step::Wake => world.wake(),
        Step::Back(held) => world.hold_back(*held),
        Step::Urgent => world.urgent(),
        Step::EndOfInput => world.end_of_input(),
        Step::Reset => world.reset(),
        Step::Drain => world.drain(),
        Step::Shutdown => world.shut_down(),
    }
}

/// As clients begin.
fn enter(world: &mut World, handshake: Option<Handshake>) {
    if let Some(handshake) = handshake {
        world.handshake = handshake;
        world.send(b"AUTH TLS\r\n");
        world.send(b"PBSZ 0\r\nPROT P\r\n");
    }
    world.send(b"USER longshore\r\nPASS secret\r\n");
}

fn world(logged_in: bool, ipv6: bool) -> World {
    world_with(Policy::default(), logged_in, ipv6, None)
}

fn world_with(policy: Policy, logged_in: bool, ipv6: bool, quota: Option<QuotaStatus>) -> World {
    let connection = match ipv6 {
        true => World::connection("[2001:db8::1]:2121", "[2001:db8::7]:40000"),
        false => World::connection("192.0.2.1:2121", "192.0.2.7:40000"),
    };
    // Where a login needs TLS, or a coin says so, it comes first.
    let must = policy.tls.need != TlsNeed::Nothing || !policy.clear_passwords;
    let tls = policy.tls.offer == TlsOffer::Explicit && (must || policy.tls.allow_ccc);
    let mut world = World::new(policy, connection);
    world.files.quota = quota;
    world.files.add_file(b"/a", 100);
    world.files.add_directory(b"/d");
    world.files.add_file(b"/d/x", 7);
    if logged_in {
        enter(&mut world, tls.then_some(Handshake::Succeeds { certificate: false }));
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("seeds"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_invariants_hold(
        policy in policy(),
        logged_in in prop::bool::weighted(0.9),
        ipv6 in prop::bool::weighted(0.2),
        quota in prop::bool::ANY,
        steps in steps(),
    ) {
        let mut world = world_with(policy, logged_in, ipv6, quota.then_some(QUOTA));
        for step in &steps {
            take(&mut world, step);
        }
        world.finish();
    }

    #[test]
    fn any_bytes_are_answered(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let mut world = world(true, false);
        for piece in &pieces {
            world.send(piece);
        }
        world.finish();
    }
}

/// Sequences that only ever hear refusals would prove little.
#[test]
fn the_sequences_reach_what_matters() {
    let mut runner = TestRunner::deterministic();
    let sequences = (policy(), prop::collection::vec(step(), STEPS));
    let mut said = HashMap::new();
    for _ in 0..240 {
        let (policy, steps) = sequences.new_tree(&mut runner).expect("nothing is filtered").current();
        let mut world = world_with(policy, true, false, None);
        for step in &steps {
            take(&mut world, step);
        }
        world.finish();
        for one in &world.said {
            *said.entry(one.situation).or_insert(0_u32) += 1;
        }
    }
    let often = [
        Situation::MarkStanding,
        Situation::MarkOpening,
        Situation::Sent,
        Situation::Stored,
        Situation::TransferAborted,
        Situation::NotBegun,
        Situation::Aborted,
        Situation::ClosedByRefusal,
        Situation::RestNotFollowed,
        Situation::Renamed,
        Situation::Noop,
        Situation::Status,
        Situation::Shutdown,
        Situation::TlsBegins,
        Situation::BytesBehindAuth,
        Situation::TlsNeeded,
        Situation::LoggedInByCertificate,
        Situation::ProtPrivate,
        Situation::ProtClear,
        Situation::ProtClearRefused,
        Situation::ControlClear,
        Situation::CccRefused,
        Situation::ProtectionNeeded,
        Situation::DataNotTls,
        Situation::DataTlsFailed,
        Situation::DataNotResumed,
        Situation::SentKept,
        Situation::StoredKept,
        Situation::ConnectionCut,
        Situation::RestartInPages,
        Situation::RestartMarker,
        Situation::UploadMalformed,
        Situation::PageType,
    ];
    for situation in often {
        let times = said.get(&situation).copied().unwrap_or(0);
        assert!(times >= 5, "{} was said {times} times", situation.id());
    }
    assert!(said.len() >= 80, "{} situations", said.len());
}

/// What a session says to a script, however it arrives.
fn answers(pieces: &[&[u8]]) -> Vec<(Situation, String)> {
    let mut world = world(false, false);
    world.transfer = Ended::Complete(12);
    for piece in pieces {
        world.send(piece);
    }
    world.said.iter().map(|said| (said.situation, format!("{:?}", said.reply))).collect()
}

#[test]
fn input_cut_at_every_byte_is_answered_alike() {
    let mut script = b"NOOP\r\nUSER longshore\r\nPASS secret\r\nTYPE I\r\nPASV\r\nRETR a\r\n\
        EPSV\nSTOR new\r\nSIZE new\r\nREST 4\r\nPASV\r\nRETR a\r\nRNFR new\r\nRNTO \xC3\xA9\xFF\xFF\r\n\
        \xFF\xFB\x01NO\xFF\xF1OP\r\nMKD a\r\0b\r\nMKD \"q\"\r\nCWD \"q\"\r\nPWD\r\nSTAT\r\nSTAT /\r\n\
        \xFF\xF4\xFF\xF2ABOR\r\nLIST\r\nPASV\r\nNLST /\r\nPASV\r\nLIST *\r\nNUL\0\r\n\r\nXYZZY \r\n\
        PORT 192,0,2,7,20,1\r\nAPPE /a\r\nPASV\r\nSTOR /\r\nRETR /a\r\nMLST /a\r\nFEAT\r\nHELP\r\n"
        .to_vec();
    script.extend_from_slice(&[b'x'; 4200]);
    script.extend_from_slice(b"\r\nREIN\r\nUSER x\r\nQUIT\r\nNOOP\r\n");
    let whole = answers(&[&script]);
    assert_eq!(whole.first().map(|said| said.0), Some(Situation::Greeting));
    assert_eq!(whole.last().map(|said| said.0), Some(Situation::Goodbye));
    assert!(whole.len() > 45, "{} answers", whole.len());
    for cut in 0..script.len() {
        // In the middle of the over-long line one cut is as good as another.
        if script[cut.saturating_sub(20)..(cut + 20).min(script.len())].iter().all(|&byte| byte == b'x')
            && cut % 64 != 0
        {
            continue;
        }
        let (head, tail) = script.split_at(cut);
        assert_eq!(answers(&[head, tail]), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = script.chunks(1).collect();
    assert_eq!(answers(&bytes), whole, "byte by byte");
}
