//! What sessions hold that wait. A program of its own: the memory of other tests would be counted too.

#![expect(clippy::print_stdout, reason = "a measurement is there to be read")]

mod common;

use common::{Pair, VERSIONS, client, server};

/// What 2,000 sessions that wait hold, all together. The number is printed; the bound is the goal.
#[test]
fn idle_sessions_are_small() {
    const SESSIONS: usize = 2_000;
    const GOAL_BYTES: usize = 24 * 1024;
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
        let pages: usize = statm.split(' ').nth(1).expect("the second number").parse().expect("a number");
        pages * 4096
    }
    let server = server();
    // Nothing is given back before the end, or the next round would use it again.
    let mut all = Vec::new();
    for version in VERSIONS {
        let mut held = Vec::with_capacity(SESSIONS);
        // What the first ones need is needed once.
        let mut before = 0;
        for number in 0..SESSIONS + 100 {
            if number == 100 {
                held.clear();
                before = resident();
            }
            let config = client(version);
            let (session, connection) = server.accept_control().expect("a configuration");
            let mut pair = Pair::new(connection, &config).connect();
            pair.say(b"USER alice\r\n");
            pair.answer(b"331 And the password?\r\n");
            held.push((session, pair.server));
        }
        let each = resident().saturating_sub(before) / SESSIONS;
        println!("{version:?}: {each} bytes for each idle session");
        assert!(each <= GOAL_BYTES, "{each}");
        all.push(held);
    }
}
