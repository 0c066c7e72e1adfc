//! What is asked for and what goes wrong, as chance has it, from the login to the end.
//!
//! Not inside: how things come about ([`world`](super::world)), and what must hold afterwards ([`judge`](super::judge)).

use std::collections::BTreeMap;

use longshore_proto::client::{
    Ahead, Answer, FileForm, ListForm, ModeChoice, Options, Refusal, Request, RequestId, RouteChoice,
    StoreStart,
};
use longshore_proto::command::{Mode, Representation, Secret, Structure, split};
use longshore_proto::limits::LINE_LIMIT_BYTES;
use longshore_proto::verbs::Verb;

use super::chance::Chance;
use super::judge::{Seen, judge, judge_answers};
use super::world::World;

/// What peers may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// What a dialogue and a session say of themselves.
    Good,
    /// Also commands that the dialogue's user writes as he likes.
    Raw,
    /// Also lines that somebody in between makes up.
    Hostile,
}

/// What was chosen before anything was asked for.
struct Plan {
    options: Options,
    tls: bool,
    requests: usize,
    /// Failures of stores and networks in a thousand steps.
    faults: usize,
    cuts: usize,
    aborts: usize,
    waits: usize,
    /// Nothing goes wrong.
    calm: bool,
    /// Ends of the session before its time, in ten thousand steps.
    ends: usize,
}

fn plan(chance: &mut Chance) -> Plan {
    let mode = [
        ModeChoice::Stream,
        ModeChoice::Insist(Mode::Block),
        ModeChoice::Insist(Mode::Block),
        ModeChoice::Prefer(Mode::Compressed),
        ModeChoice::Prefer(Mode::Deflate),
        ModeChoice::Insist(Mode::Deflate),
    ][chance.below(6)];
    let route = match chance.below(3) {
        0 => RouteChoice::Active { address: None },
        _ => RouteChoice::Passive,
    };
    let commands = [1, 2, 5, 64][chance.below(4)];
    let options = Options {
        mode,
        route,
        ahead: Ahead { commands, bytes: 400, data: chance.per_mille(600) },
        ask_again_after_cut: chance.per_mille(800),
        urgent_abort: chance.per_mille(300),
        ..Options::default()
    };
    let calm = chance.per_mille(300);
    let some = |chance: &mut Chance, most: usize| if calm { 0 } else { chance.below(most) };
    Plan {
        options,
        tls: chance.per_mille(300),
        requests: 3 + chance.below(30),
        faults: some(chance, 40),
        cuts: some(chance, 8),
        aborts: some(chance, 12),
        waits: chance.below(40),
        ends: if !calm && chance.per_mille(200) { 30 } else { 0 },
        calm,
    }
}

/// A file that says of each of its parts whose it is.
fn content(chance: &mut Chance, label: &str) -> Vec<u8> {
    let length = [0, 1, 20, 200, 900][chance.below(5)];
    let text: String = (0..1 + length / 8).map(|part| format!("<{label}:{part:04}>")).collect();
    text.into_bytes()[..length].to_vec()
}

fn name(chance: &mut Chance) -> String {
    match chance.below(10) {
        0 => format!("locked{}", chance.below(3)),
        1 => format!("missing{}", chance.below(3)),
        _ => format!("file{}", chance.below(5)),
    }
}

fn request(chance: &mut Chance, world: &mut World, uploads: &mut BTreeMap<RequestId, Vec<u8>>) -> RequestId {
    let name = name(chance);
    let path = name.clone().into_bytes();
    let records = FileForm { representation: Representation::Image, structure: Structure::Record };
    let text = FileForm { representation: Representation::Ascii, structure: Structure::File };
    let form =
        [FileForm::default(), FileForm::default(), FileForm::default(), text, records][chance.below(5)];
    let request = match chance.below(24) {
        0 => Request::CurrentDirectory,
        1 => Request::Size(path),
        2 => Request::Modified(path),
        3 => Request::RemoveFile(format!("gone{}", chance.below(3)).into_bytes()),
        4 => Request::Rename { from: path, to: b"gone1".to_vec() },
        5 => Request::Noop,
        6 => Request::MakeDirectory(path),
        7 => Request::Raw(b"STAT".to_vec()),
        8 => Request::List { form: ListForm::Facts, path: Some(path) },
        9 => Request::List { form: ListForm::Names, path: Some(b"/".to_vec()) },
        10..16 => {
            let offset = if chance.per_mille(150) { 3 } else { 0 };
            Request::Retrieve { path, offset, form }
        }
        _ => {
            let start = match chance.below(8) {
                0 => StoreStart::Append,
                1 => StoreStart::At(3),
                _ => StoreStart::Replace,
            };
            let id = world.ask(Request::Store { path: path.clone(), start, form });
            let content = content(chance, &format!("{name}/{}", id.0));
            world.client.sources.insert(id, content);
            uploads.insert(id, [b"/", &path[..]].concat());
            return id;
        }
    };
    world.ask(request)
}

/// Commands as somebody types them. Those that change the directory are left out: the judge would not know what the
/// paths behind them mean.
fn raw_line(chance: &mut Chance) -> Vec<u8> {
    let line = match chance.below(RAW_LINES.len() + 2) {
        0 => chance.text(),
        1 => [b"SITE ".to_vec(), vec![b'x'; LINE_LIMIT_BYTES - 6 + chance.below(3)]].concat(),
        which => RAW_LINES[which - 2].as_bytes().to_vec(),
    };
    match Verb::find(split(&line).0) {
        Some(Verb::Cwd | Verb::Cdup) => b"PWD".to_vec(),
        _ => line,
    }
}

const RAW_LINES: &[&str] = &[
    "TYPE A",
    "TYPE I",
    "TYPE E",
    "STRU R",
    "STRU F",
    "STRU P",
    "MODE S",
    "MODE B",
    "MODE C",
    "MODE Z",
    "MODE",
    "PBSZ 0",
    "PROT C",
    "PROT P",
    "OPTS MODE Z LEVEL 9",
    "OPTS MLST type;",
    "OPTS UTF8 ON",
    "FEAT",
    "HELP",
    "SYST",
    "STAT",
    "STAT /",
    "MLST file1",
    "ALLO 10",
    "DELE file1",
    "SITE CHMOD 644 file1",
    "CLNT x",
    "HOST h",
    "ACCT x",
    "SMNT /",
    // These have effects that only requests of their own keep track of: the dialogue sends none of them.
    "ABOR",
    "CCC",
    "PASV",
    "QUIT",
    "REST 3",
    "RETR file1",
    "RNFR file1",
    "USER x",
    "nothing",
    " ",
];

/// What a peer may say that is not ours.
fn hostile_line(chance: &mut Chance) -> Vec<u8> {
    let which = chance.below(HOSTILE_LINES.len() + RAW_LINES.len() + 1);
    match (HOSTILE_LINES.get(which), RAW_LINES.get(which.wrapping_sub(HOSTILE_LINES.len()))) {
        (Some(line), _) => line.to_vec(),
        (None, Some(line)) => [line.as_bytes(), b"\r\n"].concat(),
        (None, None) => chance.text(),
    }
}

const HOSTILE_LINES: &[&[u8]] = &[
    b"\r\n",
    b"\0\n",
    b"\xFF\xFB\x01",
    b"\xFF\xF4\xFF\xF2ABOR\r\n",
    b"USER alice\r\nPASS x\r\n",
    b"REIN\r\n",
    b"AUTH TLS\r\n",
    b"EPSV\r\n",
    b"EPSV ALL\r\n",
    b"EPRT |1|198.51.100.7|40001|\r\n",
    b"STOR file1\r\n",
    b"APPE file2\r\n",
    b"STOU\r\n",
    b"NLST\r\n",
    b"RNTO file4\r\n",
    b"110 MARK 3 = 3\r\n",
    b"120 soon\r\n",
    b"125 open\r\n",
    b"150 opening\r\n",
    b"200 done\r\n",
    b"211-a\r\n",
    b"211 End\r\n",
    b"220 again\r\n",
    b"221 bye\r\n",
    b"225 no transfer\r\n",
    b"226 done\r\n",
    b"227 (192,0,2,1,117,50)\r\n",
    b"229 (|||30002|)\r\n",
    b"230 in\r\n",
    b"234 tls\r\n",
    b"250 kept\r\n",
    b"331 password\r\n",
    b"350 go on\r\n",
    b"421 enough\r\n",
    b"425 no\r\n",
    b"426 cut\r\n",
    b"450 busy\r\n",
    b"500 what\r\n",
    b"530 out\r\n",
    b"550 no\r\n",
];

/// Plays what `chance` chooses to ask for, while `events` decides what comes of it. The world stays in its slot for
/// whoever wants to know how a failure came about.
pub fn play(
    mut chance: Chance,
    events: Chance,
    manners: Manners,
    seen: &mut Seen,
    world_slot: &mut Option<World>,
) {
    let plan = plan(&mut chance);
    let world = world_slot.insert(World::new(events, plan.options.clone(), plan.tls));
    world.cuts = plan.cuts;
    (world.server.faults, world.client.faults) = (plan.faults, plan.faults);
    for file in 0..5 {
        let text = content(&mut chance, &format!("file{file}/old"));
        world.server.put(format!("/file{file}").into_bytes(), text);
    }
    let mut uploads = BTreeMap::new();
    let mut asked: Vec<RequestId> = Vec::new();
    if plan.tls {
        asked.push(world.ask(Request::StartTls));
    }
    let password = Secret(b"wonderland".to_vec());
    asked.push(world.ask(Request::Login { user: b"alice".to_vec(), password, account: None }));
    let mut left = plan.requests;
    let mut has_asked = false;
    while left > 0 {
        if chance.per_mille(300) {
            asked.push(match manners {
                Manners::Good => request(&mut chance, world, &mut uploads),
                _ if chance.per_mille(800) => request(&mut chance, world, &mut uploads),
                _ => world.ask(Request::Raw(raw_line(&mut chance))),
            });
            left -= 1;
            has_asked = true;
        }
        if chance.per_mille(plan.aborts) {
            let id = asked[chance.below(asked.len())];
            world.abort(id);
        }
        if chance.per_mille(plan.waits) && std::mem::take(&mut has_asked) {
            // Mostly between requests: what the server keeps open for the next one expires.
            if plan.calm || chance.per_mille(950) {
                world.run_until_answered();
            }
            world.wait(70);
        }
        if manners == Manners::Hostile && chance.per_mille(20) {
            let line = hostile_line(&mut chance);
            world.inject(chance.per_mille(500), &line);
        }
        if chance.per_ten_thousand(plan.ends) {
            match chance.below(4) {
                0 => world.break_control(false),
                1 => world.break_control(true),
                2 => world.drain(),
                _ => world.shut_down(),
            }
        }
        world.step();
    }
    asked.push(world.ask(Request::Quit));
    world.run_to_the_end();
    judge_answers(world, &asked);
    if manners == Manners::Hostile {
        return;
    }
    judge(world, &uploads, seen);
    let refused = |result: &Result<Answer, Refusal>| match result {
        Ok(_) | Err(Refusal::Replied { .. } | Refusal::Unsendable(_)) => false,
        Err(_) => true,
    };
    if plan.calm
        && let Some((id, result)) = world.log.answers.iter().find(|(_, result)| refused(result))
    {
        panic!("{id} = {result:?}, and nothing was wrong");
    }
}
