//! The dialogue in ARCHITECTURE.md, played line by line: what stands there is what a server says, and the file that is
//! named decides it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use longshore_server::accounts::{Account, MemoryAccounts, Permissions};
use longshore_server::reply::Situation;
use longshore_server::storage::memory::Memory;
use longshore_server::verbs::{Failure, Failures, VERBS};
use longshore_server::{Config, Listeners, Policy, Trees, run};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A row of the table.
struct Row {
    client: String,
    code: u16,
    situation: Situation,
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, rest) = text.split_once("<!-- dialogue -->\n").expect("the dialogue's mark");
    let (table, _) = rest.split_once("<!-- /dialogue -->").expect("the dialogue's end");
    table.lines().skip(2).map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [client, server, file] = cells.as_slice() else { panic!("three columns are needed: {line}") };
    let file = Path::new(ROOT).join("crates").join(file.trim_matches('`'));
    let source = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{line}: {error}"));
    let (code, id) = server.split_once(' ').expect("a code and an id");
    let id = id.trim_matches('`');
    let situation = *Situation::ALL.iter().find(|situation| situation.id() == id).expect("a known situation");
    let code = code.parse().expect("a code");
    assert_eq!(situation.code(), code, "{line}");
    if file.ends_with("longshore-proto/src/verbs.rs") {
        assert!(is_in_the_table(client, situation), "{line}: no column of the command's row says so");
    } else {
        let name = format!("Situation::{situation:?}");
        let said = source.match_indices(&name).any(|(at, _)| {
            !source[at + name.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
        });
        assert!(said, "{line}: there is no {name} in that file");
    }
    Row { client: (*client).to_owned(), code, situation }
}

/// Whether the answer is read off the row of the command that the client says: what must come before it, or what it
/// makes of a failure of storage.
fn is_in_the_table(client: &str, situation: Situation) -> bool {
    let said = client.split('`').nth(1).and_then(|command| command.split(' ').next()).expect("a command");
    let row = VERBS.iter().find(|row| row.names.contains(&said)).expect("a known command");
    row.after.is_some_and(|(_, refusal)| refusal == situation)
        || row.failures != Failures::None
            && Failure::ALL.iter().any(|&failure| row.failures.situation(failure) == situation)
}

struct Client {
    control: BufReader<TcpStream>,
    data: Option<TcpStream>,
    passive: Option<SocketAddr>,
}

impl Client {
    fn play(&mut self, row: &Row) {
        for action in row.client.split(", ") {
            self.act(action);
        }
        let reply = self.reply();
        assert!(
            reply.starts_with(&row.code.to_string()),
            "{}: {} was expected: {reply}",
            row.client,
            row.code
        );
        // The longest fixed words of the situation's text: it is this one, not another of the same code.
        let text = row.situation.text();
        let words = text.split('}').filter_map(|part| part.split('{').next()).max_by_key(|part| part.len());
        assert!(reply.contains(words.unwrap_or_default()), "{}: {text:?} was expected: {reply}", row.client);
        if row.situation == Situation::Passive {
            let numbers: Vec<u16> = reply
                [reply.find('(').expect("a bracket") + 1..reply.rfind(')').expect("another")]
                .split(',')
                .map(|number| number.parse().expect("a number"))
                .collect();
            let host = self.control.get_ref().peer_addr().expect("connected").ip();
            self.passive = Some(SocketAddr::new(host, numbers[4] * 256 + numbers[5]));
        }
    }

    fn act(&mut self, action: &str) {
        match action {
            "connects" | "connects nothing" | "waits" => {}
            "connects the data connection" => {
                self.data = Some(TcpStream::connect(self.passive.expect("PASV before")).expect("it listens"));
            }
            "reads to the end" => {
                let mut contents = Vec::new();
                self.data.take().expect("a data connection").read_to_end(&mut contents).expect("the file");
                assert_eq!(contents, b"a few bytes");
            }
            "reads some" => {
                let mut some = [0; 1000];
                self.data.as_mut().expect("a data connection").read_exact(&mut some).expect("a part");
                assert_eq!(some, [b'x'; 1000]);
            }
            "resets the data connection" => {
                let data = socket2::Socket::from(self.data.take().expect("a data connection"));
                data.set_linger(Some(Duration::ZERO)).expect("linger, so that closing is a reset");
            }
            command => {
                let command =
                    command.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).expect("a command");
                self.control.get_mut().write_all(format!("{command}\r\n").as_bytes()).expect("it is read");
            }
        }
    }

    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            assert_ne!(self.control.read_line(&mut reply).expect("a reply"), 0, "the server closed: {reply}");
            if reply.as_bytes().get(start + 3) == Some(&b' ') && !reply[start..].starts_with(' ') {
                return reply;
            }
        }
    }
}

#[test]
fn what_architecture_says_is_what_the_server_says() {
    let rows = rows();
    assert!(rows.len() > 20, "the dialogue is there");
    let files = Memory::new();
    files.insert("/small", "a few bytes").insert("/large", vec![b'x'; 32 << 20]);
    let alice = Account { permissions: Permissions::ALL, ..Account::new("alice", "memory") };
    let accounts = MemoryAccounts::new().with_account(alice, "wonderland");
    let config = Config {
        policy: Policy { connect_timeout: Duration::from_millis(200), ..Policy::default() },
        passive_ports: 33000..=33099,
        ..Config::new(accounts, Trees::one("memory", files))
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (address, server) = {
        let _inside = runtime.enter();
        let mut listeners = Listeners::new();
        let address = listeners.listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let server = runtime.spawn(run(listeners, config, async {
            let _ = stopped.await;
        }));
        (address, server)
    };
    let control = TcpStream::connect(address).expect("it listens");
    control.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let mut client = Client { control: BufReader::new(control), data: None, passive: None };
    for row in &rows {
        client.play(row);
    }
    stop.send(()).expect("the server waits for it");
    runtime.block_on(server).expect("no panic").expect("it served");
}
