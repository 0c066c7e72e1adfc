//! The program as a whole under load: two hundred sessions that transfer, fifty reloads of which every other is of a
//! broken file, and one SIGTERM. Nothing is cut and nothing stays unanswered.

mod common;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Client, Directory, Server, account};

const SESSIONS: usize = 200;
const RELOADS: usize = 50;
const PASSWORD: &str = common::PASSWORD;

/// Uploads one after the other, `true` for as long as each is answered with 226. The 421 of a server that drains may
/// stand in the place of any answer before the mark, and nowhere else.
fn upload(client: &mut Client, name: &str, contents: &[u8]) -> bool {
    let data = client.passive();
    let answered = client.send(&format!("STOR {name}"));
    match client.try_reply() {
        Some(mark) if mark.starts_with('1') => {
            let mut data = data.expect("the server has one");
            data.write_all(contents).expect("what has begun is received");
            drop(data);
            client.expect(226);
            true
        }
        Some(reply) => {
            assert!(reply.starts_with("421 "), "{reply}");
            false
        }
        // The 421 was heard in the place of EPSV's answer.
        None => {
            assert!(data.is_none() || !answered, "the server has gone without a word");
            false
        }
    }
}

#[test]
fn two_hundred_sessions_fifty_reloads_and_a_drain() {
    let directory = Directory::new("reloads");
    let root = directory.path().join("anna");
    std::fs::create_dir(&root).expect("a directory");
    let file = directory.path().join("longshore.toml");
    let good = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\npassive_ports = \"31500-31749\"\ndurability = \"none\"\n\
         [limits]\ndrain_grace_seconds = 60\n{}",
        account("anna", &root)
    );
    std::fs::write(&file, &good).expect("a configuration");
    let mut server = Server::start_with(&["--config", &file.display().to_string()]);
    let mut clients: Vec<Client> = (0..SESSIONS)
        .map(|_| {
            let mut client = server.connect();
            client.log_in("anna", PASSWORD, 230);
            client.say("TYPE I", 200);
            client
        })
        .collect();
    let (stored, reloaded) = (AtomicU64::new(0), AtomicBool::new(false));
    let last = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(number, client)| {
                let (stored, reloaded) = (&stored, &reloaded);
                scope.spawn(move || {
                    let contents = vec![b'x'; 10_000 + number];
                    while !reloaded.load(Ordering::Relaxed) {
                        assert!(upload(client, &format!("file-{number}"), &contents), "cut by a reload");
                        stored.fetch_add(1, Ordering::Relaxed);
                    }
                    // One more, of which half has come when the server is told to end.
                    let mut data = client.passive().expect("nobody drains yet");
                    client.say(&format!("STOR last-{number}"), 125);
                    data.write_all(b"half of it, ").expect("it is received");
                    data
                })
            })
            .collect();
        for number in 0..RELOADS {
            let before = stored.load(Ordering::Relaxed);
            let broken = number % 2 == 1;
            let text = if broken { good.replace("durability", "durabilty") } else { good.clone() };
            std::fs::write(&file, text).expect("a configuration");
            server.signal("HUP");
            server.wait_for(if broken { "reload refused" } else { "reloaded: " });
            while stored.load(Ordering::Relaxed) < before + 4 {
                std::thread::yield_now();
            }
        }
        reloaded.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no answer is lost")).collect::<Vec<_>>()
    });
    server.signal("TERM");
    server.wait_for("draining");
    for (client, mut data) in clients.iter_mut().zip(last) {
        data.write_all(b"and the rest").expect("it is received");
        drop(data);
        client.expect(226);
        client.expect(421);
        assert!(client.try_reply().is_none(), "nothing follows the 421");
    }
    assert!(server.ends_well());
    for number in 0..SESSIONS {
        let whole = std::fs::read(root.join(format!("last-{number}"))).expect("it is stored");
        assert_eq!(whole, b"half of it, and the rest");
    }
    assert!(stored.load(Ordering::Relaxed) >= (4 * RELOADS) as u64);
}
