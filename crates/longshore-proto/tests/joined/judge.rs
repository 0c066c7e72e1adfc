//! What must hold when both sides have ended.
//!
//! Not inside: what happened, which is in the log of the [`world`](super::world).

use std::collections::BTreeMap;

use longshore_proto::client::{Answer, Fate, Refusal, Request, RequestId};

use super::server_side::listing;
use super::world::World;

/// What happened in all seeds together, so that none of it is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub whole: usize,
    pub replied: usize,
    pub cut: usize,
    pub aborted: usize,
    pub lost: usize,
    pub asked_again: usize,
    pub shared: usize,
    pub no_connection: usize,
}

/// Whatever peers say: each request is answered once, and in order.
pub fn judge_answers(world: &World, asked: &[RequestId]) {
    let answered: Vec<RequestId> = world.log.answers.iter().map(|(id, _)| *id).collect();
    assert_eq!(answered, asked, "each request is answered once, and in order");
}

/// Where peers say what ours do: files are whole, or known not to be, and none has a byte of another.
pub fn judge(world: &World, uploads: &BTreeMap<RequestId, Vec<u8>>, seen: &mut Seen) {
    assert_eq!(world.log.stalls, 0, "the two sides are not of one mind about who sends");
    assert!(!world.network.mixed, "the bytes of two files are mixed: no block begins so");
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
            Err(Refusal::Unsendable(_)) if matches!(world.log.requests[id], Request::Raw(_)) => {}
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
