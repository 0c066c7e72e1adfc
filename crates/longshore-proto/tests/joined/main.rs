//! The client's dialogue and the server's session talk to each other, in memory and under virtual time, while data
//! connections are cut, stores fail, and everything comes in whatever order. What must hold:
//!
//! - each request is answered once, and in order;
//! - a file that is reported whole is whole, and one of which nothing was stored is reported not to be;
//! - no byte of a file ever stands under another name, not even where the transfer was cut;
//! - uploads take effect in the order in which they were asked for.

#![allow(unreachable_pub, reason = "modules of one test")]

mod client_side;
mod network;
mod server_side;
mod world;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use longshore_proto::client::{
    Ahead, Answer, Fate, FileForm, ListForm, ModeChoice, Options, Refusal, Request, RequestId, RouteChoice,
    StoreStart,
};
use longshore_proto::command::{Mode, Representation, Secret, Structure};

use network::Chance;
use server_side::listing;
use world::World;

/// What a seed stands for.
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

/// What happened in all seeds together, so that none of it is missing.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    whole: usize,
    replied: usize,
    cut: usize,
    aborted: usize,
    lost: usize,
    asked_again: usize,
    shared: usize,
    no_connection: usize,
}

fn play(seed: u64, seen: &mut Seen, world_slot: &mut Option<World>) {
    let mut chance = Chance(seed.wrapping_mul(0x1234_5679));
    let plan = plan(&mut chance);
    let world = world_slot.insert(World::new(seed, plan.options.clone(), plan.tls));
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
            asked.push(request(&mut chance, world, &mut uploads));
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
        if chance.below(10_000) < plan.ends {
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
    judge(world, &asked, &uploads, seen);
    let refused = |result: &Result<Answer, Refusal>| match result {
        Ok(_) | Err(Refusal::Replied { .. }) => false,
        Err(_) => true,
    };
    if plan.calm
        && let Some((id, result)) = world.log.answers.iter().find(|(_, result)| refused(result))
    {
        panic!("{id} = {result:?}, and nothing was wrong");
    }
}

fn judge(world: &World, asked: &[RequestId], uploads: &BTreeMap<RequestId, Vec<u8>>, seen: &mut Seen) {
    let answered: Vec<RequestId> = world.log.answers.iter().map(|(id, _)| *id).collect();
    assert_eq!(answered, asked, "each request is answered once, and in order");
    let content_of = |id: &RequestId| &world.client.sources[id];

    // What is stored is whole, and stands under the name that it was sent for; what was cut is the beginning of that.
    let mut order = Vec::new();
    for stored in &world.server.stored {
        let id = uploads
            .iter()
            .filter(|(id, path)| {
                **path == stored.path && **content_of(id) == *stored.bytes && !order.contains(*id)
            })
            .map(|(id, _)| *id)
            .min_by_key(|id| (order.last().is_some_and(|last| last > id), *id));
        let shown = String::from_utf8_lossy(&stored.bytes);
        let path = String::from_utf8_lossy(&stored.path);
        order.push(id.unwrap_or_else(|| panic!("{path} holds what nobody sent for it: {shown}")));
    }
    assert!(order.is_sorted(), "uploads take effect in order: {order:?}");
    for cut in &world.server.cut {
        let fits =
            uploads.iter().any(|(id, path)| *path == cut.path && content_of(id).starts_with(&cut.bytes));
        assert!(fits, "of {} came what nobody sent for it", String::from_utf8_lossy(&cut.path));
    }

    for (id, result) in &world.log.answers {
        match result {
            Ok(Answer::Moved { .. }) => seen.whole += 1,
            Ok(_) => {}
            Err(Refusal::Replied { .. }) => seen.replied += 1,
            Err(Refusal::Cut { .. }) => seen.cut += 1,
            Err(Refusal::Aborted { .. }) => seen.aborted += 1,
            Err(Refusal::Lost { .. }) => seen.lost += 1,
            Err(Refusal::NoDataConnection { .. }) => seen.no_connection += 1,
            Err(other) => panic!("{id}: {other}"),
        }
        if uploads.contains_key(id) {
            let times = order.iter().filter(|stored| *stored == id).count();
            // Those of the same name and content cannot be told apart.
            let twins = uploads
                .iter()
                .filter(|(twin, path)| **path == uploads[id] && content_of(twin) == content_of(id))
                .count();
            match result {
                _ if twins > 1 => {}
                Ok(_) => assert_eq!(times, 1, "{id} is reported whole"),
                Err(Refusal::Lost { fate: Fate::Unknown, .. }) => assert!(times <= 1),
                Err(Refusal::Aborted { reply, .. }) => {
                    let taken = reply.as_ref().is_none_or(|reply| reply.code / 100 == 2);
                    assert!(times == 0 || taken, "{id} is stored, and the reply says so");
                }
                Err(Refusal::Cut { reply: Some(reply), .. }) if reply.code / 100 == 2 => assert!(times <= 1),
                Err(refusal) => assert_eq!(times, 0, "{id} is reported not stored: {refusal}"),
            }
        }
    }
    seen.asked_again += world.log.asked_again;
    seen.shared += world.jobs().values().filter(|jobs| jobs.len() > 1).count();
    for jobs in world.jobs().values() {
        assert!(jobs.is_sorted(), "the jobs of a connection run in the order of their requests");
    }
    judge_downloads(world);
}

/// What came is what the server had under that name at some time, or of what was cut, the beginning of it.
fn judge_downloads(world: &World) {
    for (id, received) in &world.client.received {
        let result = &world.log.answers.iter().find(|(answered, _)| answered == id).expect("answered").1;
        let whole = result.is_ok();
        let (path, offset, list) = world.log.download(*id);
        let mut candidates: Vec<Vec<u8>> = if list {
            vec![listing(&path)]
        } else {
            let had = world.server.had.iter().filter(|(had, _)| *had == path).map(|(_, content)| content);
            had.filter_map(|content| Some(content.get(offset..)?.to_vec())).collect()
        };
        candidates.retain(
            |candidate| {
                if whole { candidate == received } else { candidate.starts_with(received) }
            },
        );
        let shown = String::from_utf8_lossy(received);
        assert!(
            !candidates.is_empty() || received.is_empty(),
            "{id} received what is not of its name: {shown}"
        );
    }
}

/// Seeds of the everyday run. `LONGSHORE_JOINED_SEEDS=from-to` at build time plays others.
fn seeds() -> std::ops::Range<u64> {
    let Some(text) = option_env!("LONGSHORE_JOINED_SEEDS") else { return 0..3000 };
    let (from, to) = text.split_once('-').expect("from-to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn whatever_happens() {
    let mut seen = Seen::default();
    for seed in seeds() {
        let mut world = None;
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| play(seed, &mut seen, &mut world)));
        if let Err(panic) = outcome {
            let lines = world.map(|world| world.log.lines).unwrap_or_default();
            let tail = &lines[lines.len().saturating_sub(150)..];
            let text = tail.join("\n");
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("seed {seed}: {why}\n{text}");
        }
    }
    let Seen { whole, replied, cut, aborted, lost, asked_again, shared, no_connection } = seen;
    let rare = [whole, replied, cut, aborted, lost, asked_again, shared, no_connection].into_iter().min();
    assert!(rare > Some(20) || seeds() != (0..3000), "something was not seen often enough: {seen:?}");
}
