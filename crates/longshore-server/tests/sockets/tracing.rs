//! Dialogues that are told line by line, for as long as somebody wants to see them.

use longshore_server::storage::memory::Memory;
use longshore_server::{EventKind, Speaker, Trace};

use crate::common::{HERE, PASSWORD, Server, USER};

fn told(server: &Server) -> Vec<String> {
    let told = server.events().of_sessions();
    let line = |kind: &EventKind| match kind {
        EventKind::Dialogue { speaker, line } => {
            let mark = if *speaker == Speaker::Client { '>' } else { '<' };
            Some(format!("{mark} {}", String::from_utf8_lossy(line)))
        }
        _ => None,
    };
    told.iter().filter_map(|event| line(&event.kind)).collect()
}

#[test]
fn an_account_is_traced_without_its_password() {
    let server = Server::of(Memory::new());
    let mut other = server.client();
    server.control().trace(Trace { accounts: vec![USER.to_owned()], ..Trace::default() });
    other.log_in("anonymous", "me@example.org");
    let mut anna = server.client();
    anna.log_in(USER, PASSWORD);
    anna.command("PWD", 257);
    // Mistyped, sent alone, or by a convention of other servers: in neither direction it is shown.
    anna.command("PAS secret", 500);
    anna.command("hunter2", 500);
    anna.command("SITE hunter2 hunter2", 501);
    server.control().trace(Trace::default());
    anna.command("SYST", 215);
    anna.quit();
    let told = told(&server);
    let starts: Vec<String> = told.iter().map(|line| line.chars().take(8).collect()).collect();
    assert_eq!(
        starts,
        [
            "> USER a",
            "< 331 Se",
            "> PASS *",
            "< 230 Lo",
            "> PWD",
            "< 257 \"/",
            "> *** (n",
            "< 500 co",
            "> *** (n",
            "< 500 co",
            "> SITE *",
            "< 501 si"
        ]
        .map(str::to_owned)
    );
    for secret in [PASSWORD, "secret", "hunter2"] {
        assert!(!told.iter().any(|line| line.contains(secret)), "{told:?}");
    }
}

/// A session that runs already is traced from now on.
#[test]
fn an_address_is_traced_at_any_time() {
    let server = Server::of(Memory::new());
    let mut client = server.client();
    client.command("SYST", 215);
    server.control().trace(Trace { networks: vec![HERE.into()], ..Trace::default() });
    client.command("NOOP", 200);
    assert_eq!(told(&server), ["> NOOP", "< 200 Still here"]);
}
