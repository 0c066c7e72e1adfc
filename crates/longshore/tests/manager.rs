//! What a service manager hands over and is told, played by the test.

mod common;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Directory, PASSWORD, PATIENCE, Server, USER, account, run, serve};

/// A socket that takes what is told.
struct Manager(UnixDatagram);

impl Manager {
    fn new(path: &str) -> Manager {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Manager(socket)
    }

    /// The next message that holds this line, or one that begins so where it ends with `=`.
    #[track_caller]
    fn wait_for(&self, line: &str) -> Vec<String> {
        let is_meant = |told: &String| told == line || (line.ends_with('=') && told.starts_with(line));
        loop {
            let message = self.next();
            if message.iter().any(is_meant) {
                return message;
            }
        }
    }

    #[track_caller]
    fn next(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("a message");
        let text = std::str::from_utf8(&buffer[..length]).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn it_is_told_of_readiness_reloads_sessions_and_the_end() {
    let directory = Directory::new("notify");
    let manager = Manager::new(&directory.file("notify"));
    let file = directory.file("longshore.toml");
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\npassive_ports = \"28200-28219\"\n".to_owned()
        + &account("anna", directory.path());
    std::fs::write(&file, &text).expect("a configuration");
    let mut command = serve(&["--config", &file]);
    command.env("NOTIFY_SOCKET", directory.file("notify")).env("WATCHDOG_USEC", "100000");
    let mut server = Server::launch(command);
    assert_eq!(manager.next(), ["READY=1", "STATUS=0 sessions"]);
    assert_eq!(manager.wait_for("WATCHDOG=1"), ["WATCHDOG=1", "STATUS=0 sessions"]);
    let mut anna = server.connect();
    anna.log_in("anna", PASSWORD, 230);
    manager.wait_for("STATUS=1 session");

    let microseconds = || {
        let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux has it");
        let seconds = uptime.split(' ').next().and_then(|text| text.parse::<f64>().ok());
        (seconds.expect("a number") * 1e6) as u64
    };
    let before = microseconds();
    server.signal("HUP");
    let reloading = manager.wait_for("RELOADING=1");
    let monotonic = reloading.iter().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).expect("the time");
    let monotonic: u64 = monotonic.parse().expect("a number");
    // The uptime counts in hundredths, and time asleep too.
    assert!(monotonic + 20_000 >= before.min(monotonic + 20_000) && monotonic <= microseconds() + 20_000);
    assert_eq!(manager.wait_for("READY=1"), ["READY=1", "STATUS=1 session"]);

    std::fs::write(&file, "server = 5\n").expect("a bad configuration");
    server.signal("HUP");
    manager.wait_for("RELOADING=1");
    let ready = manager.wait_for("READY=1");
    assert!(ready[1].contains("the last reload was refused"), "{ready:?}");

    server.signal("TERM");
    let stopping = manager.wait_for("STOPPING=1");
    // 30 s for transfers, 10 s for sessions, 5 s beyond.
    assert!(stopping.contains(&"EXTEND_TIMEOUT_USEC=45000000".to_owned()), "{stopping:?}");
    anna.expect(421);
    // From here on nobody reads what the manager is told, and nothing waits for it.
    assert!(server.ends_well());
}

/// Starts a server as a service manager does: with this descriptor as number 3.
fn hand_over(descriptor: OwnedFd, arguments: &[&str]) -> Command {
    let longshore = serve(arguments);
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";
    command.arg("-c").arg(script).arg(longshore.get_program()).args(longshore.get_args());
    command.env("LONGSHORE_PASSWORD", PASSWORD).stdin(Stdio::from(descriptor));
    command
}

#[test]
fn sockets_that_are_handed_over_take_the_place_of_listen() {
    let directory = Directory::new("activated");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let root = directory.path().to_str().expect("directories of tests are ASCII");
    // Nobody could listen there.
    let arguments = [root, "--user", USER, "--listen", "192.0.2.1:21", "--passive-ports", "28220-28239"];
    let server = Server::launch(hand_over(OwnedFd::from(listener), &arguments));
    assert_eq!(server.address, address);
    let mut client = server.connect();
    client.login();
    assert!(client.upload("a", b"four"));
    let (log, ended_well) = server.interrupt();
    assert!(ended_well, "{log}");
}

#[track_caller]
fn check_of_no_use(descriptor: OwnedFd) {
    let mut command = hand_over(descriptor, &["."]);
    let output = command.output().expect("it runs");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(complaint.contains("socket 0 of those that the service manager handed over"), "{complaint}");
    assert!(complaint.contains("Accept=no"), "{complaint}");
}

#[test]
fn what_is_no_listener_is_refused() {
    check_of_no_use(std::fs::File::open("/dev/null").expect("Linux has it").into());
    check_of_no_use(std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").into());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let connected = std::net::TcpStream::connect(listener.local_addr().expect("an address"));
    check_of_no_use(connected.expect("it listens").into());
}

/// The users and groups of a process, as /proc names them.
fn identity(process: u32, name: &str) -> Vec<u32> {
    let status = std::fs::File::open(format!("/proc/{process}/status")).expect("it runs");
    let lines = BufReader::new(status).lines().map(|line| line.expect("text"));
    let line = lines.into_iter().find(|line| line.starts_with(name)).expect("a line of that name");
    line.split_whitespace().skip(1).filter_map(|id| id.parse().ok()).collect()
}

/// A port below 1024, which only root may open.
fn low_port() -> SocketAddr {
    let free = (700..1024).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    free.and_then(|listener| listener.local_addr().ok()).expect("one of them is free")
}

#[test]
#[allow(clippy::print_stderr, reason = "whoever reads the results must know")]
fn root_becomes_the_user_that_is_named() {
    if !Path::new("/proc/self").exists() || identity(std::process::id(), "Uid:")[1] != 0 {
        eprintln!("not run: only root can become another user");
        return;
    }
    let directory = Directory::new("user");
    let (file, root) = (directory.file("longshore.toml"), directory.path().join("files"));
    std::fs::create_dir(&root).expect("a directory");
    let nobody = owner_of_nobody();
    std::os::unix::fs::chown(&root, Some(nobody), None).expect("root may");
    let address = low_port();
    let text = format!(
        "[server]\nlisten = [\"{address}\"]\npassive_ports = \"28240-28259\"\nuser = \"nobody\"\n{}",
        account("anna", &root)
    );
    std::fs::write(&file, &text).expect("a configuration");
    Command::new("chmod").args(["600", &file]).status().expect("chmod runs");
    let mut server = Server::start_with(&["--config", &file]);
    assert!(server.announcement.contains("cannot be read as nobody"), "{}", server.announcement);
    for name in ["Uid:", "Gid:"] {
        let ids = identity(server.id(), name);
        assert!(ids.iter().all(|&id| id != 0), "{name} {ids:?}");
    }
    assert!(!identity(server.id(), "Groups:").contains(&0));
    assert_eq!(identity(server.id(), "CapEff:"), [0]);
    let mut anna = server.connect();
    anna.log_in("anna", PASSWORD, 230);
    anna.say("TYPE I", 200);
    assert!(anna.upload("a", b"four"));
    let metadata = root.join("a").metadata().expect("it was stored");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&metadata), nobody);
    server.signal("HUP");
    server.wait_for("reload refused");
    server.wait_for("Permission denied");
    // Nor does it open what only root may open.
    drop(server);
    let secret = directory.file("secret");
    std::fs::create_dir(&secret).expect("a directory");
    Command::new("chmod").args(["700", &secret]).status().expect("chmod runs");
    std::fs::write(&file, text.replace(&root.display().to_string(), &secret)).expect("a configuration");
    let (_, complaint, succeeded) = run(&["serve", "--config", &file], "");
    assert!(!succeeded && complaint.contains(&format!("{secret} cannot be served")), "{complaint}");
}

fn owner_of_nobody() -> u32 {
    let users = std::fs::read_to_string("/etc/passwd").expect("it is there");
    let line = users.lines().find(|line| line.starts_with("nobody:")).expect("every machine has nobody");
    line.split(':').nth(2).and_then(|id| id.parse().ok()).expect("a number")
}

#[test]
fn users_that_are_not_there_are_named() {
    let directory = Directory::new("nouser");
    let file = directory.file("longshore.toml");
    let server = "[server]\nlisten = [\"127.0.0.1:0\"]\nuser = \"no-such-user\"\n";
    std::fs::write(&file, format!("{server}{}", account("anna", directory.path()))).expect("a file");
    for arguments in [&["serve", "--config", &file][..], &["check", &file]] {
        let (_, complaint, succeeded) = run(arguments, "");
        let told = "server.user is \"no-such-user\", and this machine has no such user";
        assert!(!succeeded && complaint.contains(told), "{complaint}");
    }
}

/// A file of `examples/systemd`.
fn example(name: &str) -> String {
    let path = format!("{}/../../examples/systemd/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_example_configuration_can_be_served() {
    let directory = Directory::new("example");
    std::fs::create_dir_all(directory.path().join("pub/incoming")).expect("a directory");
    let text = example("longshore.toml")
        .replace("\"0.0.0.0:21\", \"[::]:21\"", "\"127.0.0.1:0\"")
        .replace("/srv/ftp", &directory.file(""))
        .replace("/var/log/longshore", &directory.file(""));
    let file = directory.file("longshore.toml");
    std::fs::write(&file, text).expect("a file");
    let (said, complaint, succeeded) = run(&["check", &file], "");
    assert!(succeeded && said.ends_with("no mistakes, 0 accounts\n"), "{said}{complaint}");
    assert!(!said.contains("warning"), "{said}");
}

#[test]
#[allow(clippy::print_stderr, reason = "whoever reads the results must know")]
fn the_example_units_are_ones_that_systemd_takes() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        eprintln!("not run: there is no systemd-analyze");
        return;
    };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let version = version.split_whitespace().nth(1).and_then(|word| word.parse::<u32>().ok());
    let directory = Directory::new("units");
    let mut service =
        example("longshore.service").replace("/usr/bin/longshore", env!("CARGO_BIN_EXE_longshore"));
    if version.is_none_or(|version| version < 253) {
        // As its comment says.
        service = service.replace("Type=notify-reload", "Type=notify\nExecReload=/bin/kill -HUP $MAINPID");
    }
    let units = [("longshore.service", service), ("longshore.socket", example("longshore.socket"))];
    for (name, text) in &units {
        std::fs::write(directory.file(name), text).expect("a file");
    }
    let verified = Command::new("systemd-analyze")
        .args(["verify", &directory.file("longshore.service"), &directory.file("longshore.socket")])
        .output()
        .expect("it ran a moment ago");
    let complaint = String::from_utf8_lossy(&verified.stderr).into_owned();
    // It may complain about units of the machine itself.
    assert!(!complaint.contains("longshore"), "{complaint}");
}
