//! A server by a configuration file, from the outside.

mod common;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use common::{Client, Directory, GUEST, Server, account, run, run_with};

/// A file with two accounts of the password "pass word", each in a directory of its own, and a public directory.
fn write_configuration(directory: &Directory) -> String {
    let (hash, complaint, hashed) = run(&["hash-password"], "pass word\n");
    assert!(hashed && hash.starts_with("$argon2id$"), "{complaint}");
    let root = directory.path().display();
    for name in ["anna", "away", "pub"] {
        std::fs::create_dir(directory.path().join(name)).expect("a directory");
    }
    std::fs::write(directory.path().join("pub/readme"), "hello").expect("a file");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\npassive_ports = \"32600-32699\"\n\n\
         [anonymous]\nroot = \"{root}/pub\"\n\n\
         [[account]]\nname = \"anna\"\npassword = \"{hash}\"\nroot = \"{root}/{{user}}\"\n\
         permissions = [\"read\", \"list\", \"write\"]\n\n\
         [[account]]\nname = \"away\"\npassword = \"{hash}\"\nroot = \"{root}/{{user}}\"\n\
         networks = [\"192.0.2.0/24\"]\n",
        hash = hash.trim()
    );
    let file = directory.path().join("longshore.toml");
    std::fs::write(&file, text).expect("a configuration");
    file.display().to_string()
}

fn log_in(server: &Server, user: &str, password: &str, code: u16) -> Client {
    let mut client = server.connect();
    client.log_in(user, password, code);
    client
}

#[test]
fn accounts_see_their_own_directories_and_do_what_they_may() {
    let directory = Directory::new("config");
    let file = write_configuration(&directory);
    let (said, complaint, succeeded) = run(&["check", &file], "");
    assert!(succeeded && said.contains("no mistakes, 2 accounts"), "{said}{complaint}");
    let server = Server::start_with(&["--config", &file]);
    assert!(server.announcement.contains(&format!("serves by {file}")), "{}", server.announcement);

    let mut anna = log_in(&server, "anna", "pass word", 230);
    anna.say("TYPE I", 200);
    assert!(anna.upload("file", b"of anna"));
    // Neither overwriting nor removing is among her permissions.
    assert!(!anna.upload("file", b"another"));
    anna.say("DELE file", 550);
    anna.say("SIZE file", 213);
    assert_eq!(std::fs::read(directory.path().join("anna/file")).expect("it is there"), b"of anna");

    let mut anonymous = log_in(&server, "anonymous", GUEST, 230);
    anonymous.say("TYPE I", 200);
    assert!(anonymous.say("SIZE readme", 213).contains(" 5"));
    anonymous.say("CWD ../anna", 550);
    anonymous.say("MKD x", 550);

    let mut refused = log_in(&server, "away", "pass word", 530);
    refused.log_in("anna", "hunter2", 530);
    drop(refused);
    let (log, ended_well) = server.interrupt();
    assert!(ended_well, "{log}");
    let refusals = [
        "127.0.0.1 login refused for away from 127.0.0.1: network (the account may not come in from this address)",
        "127.0.0.1 login refused for anna from 127.0.0.1: wrong-password (wrong password)",
    ];
    assert!(refusals.iter().all(|line| log.lines().any(|logged| logged.ends_with(line))), "{log}");
}

#[test]
fn a_file_with_mistakes_is_not_served_and_all_of_them_are_told() {
    let directory = Directory::new("mistakes");
    let file = directory.path().join("bad.toml").display().to_string();
    std::fs::write(&file, "[server]\nlisten = 5\n[limits]\nsesions = 3\n").expect("a file");
    for arguments in [&["check", &file][..], &["serve", "--config", &file]] {
        let (_, complaint, succeeded) = run(arguments, "");
        assert!(!succeeded);
        assert!(complaint.contains(&format!("{file}:2: server.listen is 5; expected a list")), "{complaint}");
        assert!(
            complaint.contains(&format!("{file}:4: [limits] has no key sesions; did you mean sessions?")),
            "{complaint}"
        );
        assert!(complaint.contains("hint: 2 to mend"), "{complaint}");
    }
}

#[test]
fn check_looks_at_what_the_file_names() {
    let directory = Directory::new("check");
    let file = directory.path().join("file.toml").display().to_string();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let text = format!(
        "[server]\nlisten = [\"{address}\"]\npassive_ports = \"1024-65535\"\npublic_address = \"10.0.0.1\"\n\
         [anonymous]\nroot = \"/no/such/directory\"\n"
    );
    std::fs::write(&file, text).expect("a file");
    let (said, complaint, succeeded) = run(&["check", &file], "");
    assert!(!succeeded);
    for words in [&*format!("cannot listen on {address}"), "/no/such/directory cannot be served"] {
        assert!(complaint.contains(words), "{words:?} is not in:\n{complaint}");
    }
    for words in
        ["overlap with those of outgoing connections", "10.0.0.1 cannot be reached from the internet"]
    {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
}

#[test]
fn the_printed_default_can_be_served_once_somebody_may_come_in() {
    let (text, _, succeeded) = run(&["config"], "");
    assert!(succeeded);
    let directory = Directory::new("default");
    let root = directory.path().display().to_string();
    let file = directory.path().join("file.toml").display().to_string();
    std::fs::write(&file, &text).expect("a file");
    let (_, complaint, succeeded) = run(&["check", &file], "");
    assert!(!succeeded && complaint.contains("nobody could log in"), "{complaint}");
    std::fs::write(&file, format!("{text}\n[anonymous]\nroot = \"{root}\"\n")).expect("a file");
    let server =
        Server::start_with(&["--config", &file, "--listen", "127.0.0.1:0", "--passive-ports", "32700-32749"]);
    log_in(&server, "anonymous", GUEST, 230);
}

/// A configuration with an account of its own root, which nobody may write to.
fn write_read_only_root(directory: &Directory, rest: &str) -> String {
    let root = directory.path().join("closed");
    std::fs::create_dir_all(root.join("below")).expect("a directory");
    for path in [root.join("below"), root.clone()] {
        std::fs::set_permissions(path, Permissions::from_mode(0o555)).expect("it is ours");
    }
    let file = directory.file("file.toml");
    std::fs::write(&file, format!("{rest}{}", account("anna", &root))).expect("a file");
    file
}

#[test]
fn check_warns_of_what_can_be_served_and_hardly_meant() {
    let directory = Directory::new("warnings");
    let file = write_read_only_root(
        &directory,
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[limits]\nexempt_networks = [\"0.0.0.0/0\"]\n",
    );
    // Root may write everywhere, another user may not.
    let user = ("LONGSHORE_SERVER_USER", "nobody");
    let (said, complaint, succeeded) = run_with(&["check", &file], &[user]);
    assert!(succeeded, "{complaint}");
    for words in [
        "exempt_networks hold every IPv4 address",
        "the account anna may write, but can do so nowhere beneath",
    ] {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    std::fs::set_permissions(directory.path().join("closed/below"), Permissions::from_mode(0o777))
        .expect("it is ours");
    let (said, _, _) = run_with(&["check", &file], &[user]);
    assert!(!said.contains("nowhere beneath"), "{said}");
}

#[test]
fn check_looks_at_logs_users_and_addresses() {
    let directory = Directory::new("looks");
    let text = "[server]\nlisten = [\"192.0.2.1:21\"]\nuser = \"no-such-user\"\n\
                [log]\nfile = \"/no/such/directory/log\"\nxferlog = \"/dev\"\n";
    let file = write_read_only_root(&directory, text);
    let (_, complaint, succeeded) = run(&["check", &file], "");
    assert!(!succeeded);
    for words in [
        "this machine does not have the address 192.0.2.1",
        "this machine has no such user",
        "the log file /no/such/directory/log cannot be opened: it cannot be made in /no/such/directory",
        "the log file /dev cannot be opened: it is a directory",
    ] {
        assert!(complaint.contains(words), "{words:?} is not in:\n{complaint}");
    }
    // What is only looked at is not made.
    let log = directory.file("log");
    let text = format!("[server]\nlisten = [\"127.0.0.1:0\"]\n[log]\nfile = {log:?}\n");
    let (said, complaint, _) = run(&["check", &write_read_only_root(&directory, &text)], "");
    assert!(said.contains("no mistakes, 1 accounts"), "{complaint}");
    assert!(!std::path::Path::new(&log).exists());
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let directory = Directory::new("layers");
    let file = directory.file("file.toml");
    let text = "[server]\nlisten = [\"127.0.0.1:1\"]\n[limits]\nsessions = 9\nsessions_per_address = 9\n";
    let root = format!("[anonymous]\nroot = {:?}\n", directory.path().display().to_string());
    std::fs::write(&file, format!("{text}{root}")).expect("a file");
    let mut command =
        common::serve(&["--config", &file, "--passive-ports", "32750-32757", "--max-sessions", "1"]);
    command.env("LONGSHORE_SERVER_LISTEN", "[\"127.0.0.1:0\"]").env("LONGSHORE_LIMITS_SESSIONS", "5");
    let mut server = Server::launch(command);
    let full = |server: &Server| {
        let _first = server.connect();
        let second = std::net::TcpStream::connect(server.address).expect("it listens");
        let mut said = String::new();
        std::io::Read::read_to_string(&mut &second, &mut said).expect("it is told why");
        assert!(said.starts_with("421 ") && said.contains("1 sessions"), "{said}");
    };
    full(&server);
    // After a reload too. The seat of the first client may not be free yet.
    server.signal("HUP");
    server.wait_for("reloaded: ");
    while Client::try_connect(server.address).is_none_or(|mut client| !client.send("NOOP")) {}
    drop(server);

    let variables = [("LONGSHORE_LIMITS_SESSIONS", "many"), ("LONGSHORE_SERVER_LISTN", "x")];
    for arguments in [&["serve", "--config", &file][..], &["serve", "."], &["check", &file]] {
        let (_, complaint, succeeded) = run_with(arguments, &variables);
        assert!(!succeeded);
        for words in [
            "LONGSHORE_LIMITS_SESSIONS: limits.sessions is many; expected a whole number",
            "LONGSHORE_SERVER_LISTN: [server] has no such key; did you mean LONGSHORE_SERVER_LISTEN?",
        ] {
            assert!(complaint.contains(words), "{words:?} is not in:\n{complaint}");
        }
    }
}

#[test]
fn fewer_descriptors_than_sessions_are_said() {
    let directory = Directory::new("descriptors");
    let root = directory.path().to_str().expect("directories of tests are ASCII");
    let longshore = common::serve(&[root, "--listen", "127.0.0.1:0", "--passive-ports", "32758-32765"]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 200; exec \"$0\" \"$@\""]).arg(longshore.get_program());
    command.args(longshore.get_args());
    let server = Server::launch(command);
    let told = "the descriptor limit of 200 allows 136 sessions, not the 10000 configured";
    assert!(server.announcement.contains(told), "{}", server.announcement);
}
