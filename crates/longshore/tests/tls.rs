//! Certificates of the program from the outside: where they come from, how they are exchanged, what is said of them.
//!
//! Not inside: clients that speak TLS, which are in `interop/`.

mod common;

use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Directory, PASSWORD, STATE, Server, USER, run, run_with, serve};

/// A certificate and its key, as a server has made them for itself.
struct Pair {
    certificate: String,
    key: String,
    fingerprint: String,
}

impl Pair {
    fn make(ports: &str) -> Pair {
        let directory = Directory::new("pair");
        let server = start(&directory, ports, &[]);
        let both = std::fs::read_to_string(directory.file("state/self-signed.pem")).expect("it is kept");
        let (key, certificate) = both.split_at(both.find("-----BEGIN CERTIFICATE").expect("both are in it"));
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        Pair { certificate, key, fingerprint: fingerprint(&server.announcement) }
    }

    /// Puts them there, each file replaced as a whole.
    fn put(&self, directory: &Directory) {
        for (name, text) in [("chain.pem", &self.certificate), ("key.pem", &self.key)] {
            put(directory, name, text);
        }
    }
}

fn put(directory: &Directory, name: &str, text: &str) {
    let new = directory.file("new");
    std::fs::write(&new, text).expect("a file");
    std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600)).expect("it is ours");
    std::fs::rename(new, directory.file(name)).expect("it is ours");
}

/// A server of this directory that keeps what it makes in `state` in it.
fn start(directory: &Directory, ports: &str, arguments: &[&str]) -> Server {
    let root = directory.path().to_str().expect("directories of tests are ASCII");
    let own = [root, "--user", USER, "--listen", "127.0.0.1:0", "--passive-ports", ports];
    let mut command = serve(&[&own, arguments].concat());
    command.env(STATE, directory.file("state"));
    Server::launch(command)
}

/// The line of the announcement that has nothing else in it.
#[track_caller]
fn fingerprint(announcement: &str) -> String {
    let is_one = |line: &&str| line.len() == 95 && line.bytes().all(|b| b == b':' || b.is_ascii_hexdigit());
    let found = announcement.lines().map(str::trim).find(is_one);
    found.unwrap_or_else(|| panic!("no fingerprint is in:\n{announcement}")).to_owned()
}

/// A configuration with the pair in this directory.
fn configuration(directory: &Directory, ports: &str, rest: &str) -> String {
    let file = directory.file("longshore.toml");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\npassive_ports = \"{ports}\"\n{rest}\n\
         [anonymous]\nroot = {:?}\n[tls]\ncertificate = {:?}\nkey = {:?}\n",
        directory.path().display().to_string(),
        directory.file("chain.pem"),
        directory.file("key.pem"),
    );
    std::fs::write(&file, text).expect("a configuration");
    file
}

#[test]
fn a_server_without_a_certificate_makes_one_and_keeps_it() {
    let directory = Directory::new("own");
    let first = start(&directory, "28420-28424", &[]);
    let shown = first.announcement.clone();
    assert!(shown.contains("tls        offered, with the self-signed "), "{shown}");
    assert!(
        shown.contains("curl --ssl-reqd --cacert ") && shown.contains("/state/certificate.pem"),
        "{shown}"
    );
    let own = directory.path().join("state/self-signed.pem");
    assert_eq!(own.metadata().expect("it is kept").mode() & 0o777, 0o600);
    drop(first);
    let second = start(&directory, "28420-28424", &[]);
    assert_eq!(fingerprint(&second.announcement), fingerprint(&shown));
    drop(second);
    // In a log that people read elsewhere, too.
    let root = directory.path().to_str().expect("directories of tests are ASCII");
    let mut command = serve(&[root, "--listen", "127.0.0.1:0", "--passive-ports", "28420-28424"]);
    command.args(["--read-only"]).env(STATE, directory.file("state"));
    command.env("LONGSHORE_LOG_FILE", directory.file("log"));
    let (_, ended_well) = Server::launch(command).interrupt();
    let log = std::fs::read_to_string(directory.file("log")).expect("it is there");
    assert!(ended_well && log.contains("self-signed certificate: CN="), "{log}");
    assert!(log.contains(&fingerprint(&shown)), "{log}");
}

#[test]
fn two_that_start_at_once_have_the_same_certificate() {
    let directory = Directory::new("twins");
    let start = |ports: &str| fingerprint(&start(&directory, ports, &[]).announcement);
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| start("28425-28426"));
        (start("28427-28428"), one.join().expect("it starts"))
    });
    assert_eq!(one, other);
}

#[test]
fn a_certificate_that_is_replaced_is_used_without_a_restart() {
    let directory = Directory::new("exchange");
    let (first, second) = (Pair::make("28430-28431"), Pair::make("28430-28431"));
    first.put(&directory);
    let mut server = Server::start_with(&["--config", &configuration(&directory, "28432-28439", "")]);
    assert_eq!(fingerprint(&server.announcement), first.fingerprint);
    let mut session = server.connect();
    session.log_in("anonymous", common::GUEST, 230);

    second.put(&directory);
    let told = server.wait_for("certificate exchanged: ");
    assert!(told.contains(&second.fingerprint) && told.contains("chain.pem, valid until 2"), "{told}");
    session.say("NOOP", 200);

    put(&directory, "key.pem", &first.key);
    let told = server.wait_for("key.pem: ");
    assert!(
        told.contains("does not fit the certificate in") && told.contains("goes on being used"),
        "{told}"
    );
    // A reload is refused by the same, and so is a start.
    server.signal("HUP");
    server.wait_for("reload refused");
    assert!(server.wait_for("key.pem").contains("does not fit the certificate in"));
    session.say("NOOP", 200);

    put(&directory, "chain.pem", &first.certificate);
    server.signal("HUP");
    // Whoever sees it first says so: the reload or the look.
    let told = server.wait_for(&first.fingerprint);
    assert!(told.contains("certificate"), "{told}");
    session.say("QUIT", 221);
    let (log, ended_well) = server.interrupt();
    assert!(ended_well, "{log}");
}

#[test]
fn certificates_that_are_no_good_are_told_by_check_and_stop_the_start() {
    let directory = Directory::new("bad");
    let (first, second) = (Pair::make("28440-28441"), Pair::make("28440-28441"));
    first.put(&directory);
    let file = configuration(&directory, "28442-28445", "");
    let (said, complaint, succeeded) = run(&["check", &file], "");
    assert!(succeeded && !said.contains("warning"), "{said}{complaint}");
    let check_refused = |words: &str| {
        for arguments in [&["check", &file][..], &["serve", "--config", &file]] {
            let (_, complaint, succeeded) = run(arguments, "");
            assert!(!succeeded && complaint.contains(words), "{words:?} is not in:\n{complaint}");
        }
    };
    put(&directory, "key.pem", &second.key);
    check_refused("key.pem: this private key does not fit the certificate in");
    put(&directory, "key.pem", &first.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"));
    check_refused("key.pem: the private key is encrypted with a password");
    put(&directory, "key.pem", &first.key.replace("-----END", "-----FIN"));
    check_refused("key.pem: damaged");
    std::fs::remove_file(directory.file("key.pem")).expect("it is there");
    check_refused("key.pem: cannot be read: No such file or directory (os error 2); check the path");
    put(&directory, "key.pem", &first.key);
    std::fs::set_permissions(directory.file("key.pem"), PermissionsExt::from_mode(0o644))
        .expect("it is ours");
    let (said, _, succeeded) = run(&["check", &file], "");
    assert!(succeeded && said.contains("every user can read this private key: chmod 600"), "{said}");
}

#[test]
fn flags_and_variables_say_what_is_offered() {
    let directory = Directory::new("flags");
    let pair = Pair::make("28446-28447");
    pair.put(&directory);
    let (chain, key) = (directory.file("chain.pem"), directory.file("key.pem"));
    let server = start(&directory, "28448-28449", &["--certificate", &chain, "--key", &key]);
    assert_eq!(fingerprint(&server.announcement), pair.fingerprint);
    assert!(!Path::new(&directory.file("state")).exists(), "none is made where one is named");
    drop(server);
    let server =
        start(&directory, "28448-28449", &["--require-tls", "data", "--listen-implicit", "127.0.0.1:0"]);
    let shown = &server.announcement;
    assert!(
        shown.contains("  listening  ftps://127.0.0.1:") && shown.contains("tls        required"),
        "{shown}"
    );
    assert!(!shown.contains("curl ftp://"), "{shown}");
    drop(server);

    let root = directory.path().to_str().expect("directories of tests are ASCII");
    let own = [root, "--user", USER, "--listen", "127.0.0.1:0", "--passive-ports", "28448-28449"];
    let mut command = serve(&own);
    command.env("LONGSHORE_TLS_OFFER", "false");
    let server = Server::launch(command);
    assert!(!server.announcement.contains("tls"), "{}", server.announcement);
    drop(server);
    for (arguments, words) in [
        (&["--listen-implicit", "127.0.0.1:0"][..], "--listen-implicit asks for TLS, and tls.offer is false"),
        (&["--require-tls", "login"], "--require-tls asks for TLS, and tls.offer is false"),
        (&["--listen-implicit", "127.0.0.1"], "an IP address with a port is needed"),
        (&["--key", &key], "--certificate"),
    ] {
        let variables = [("LONGSHORE_TLS_OFFER", "false"), ("LONGSHORE_PASSWORD", PASSWORD)];
        let (_, complaint, succeeded) = run_with(&[&["serve", root], arguments].concat(), &variables);
        assert!(!succeeded && complaint.contains(words), "{words:?} is not in:\n{complaint}");
    }
}

#[test]
fn settings_of_tls_are_reloaded() {
    let directory = Directory::new("settings");
    let pair = Pair::make("28450-28451");
    pair.put(&directory);
    let file = configuration(&directory, "28452-28459", "");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let mut server = Server::start_with(&["--config", &file]);
    std::fs::write(&file, format!("{text}allow_ccc = true\n[[listener]]\naddress = \"127.0.0.1:5\"\n"))
        .expect("it is ours");
    server.signal("HUP");
    assert!(server.wait_for("takes a restart").contains("a [listener] has changed"));
    std::fs::write(&file, text.replace("[tls]", "[tls]\noffer = false")).expect("it is ours");
    server.signal("HUP");
    server.wait_for("reloaded: ");
    // From none to one made on the spot.
    let own = format!("state_directory = {:?}\n[anonymous]", directory.file("state"));
    let text = text.split("[tls]").next().expect("a part").replace("[anonymous]", &own);
    std::fs::write(&file, text).expect("it is ours");
    server.signal("HUP");
    server.wait_for("reloaded: ");
    server.wait_for("self-signed certificate: CN=");
}

#[test]
fn what_is_listened_to_for_tls_at_once_keeps_its_tls() {
    let directory = Directory::new("implicit");
    Pair::make("28470-28471").put(&directory);
    let implicit = "[[listener]]\naddress = \"127.0.0.2:0\"\ntls = \"implicit\"";
    let file = configuration(&directory, "28472-28475", implicit);
    let mut server = Server::start_with(&["--config", &file]);
    // The settings alone are in order.
    let text = std::fs::read_to_string(&file).expect("it was written");
    let text = text.replace(implicit, "").replace("[tls]", "[tls]\noffer = false");
    std::fs::write(&file, text).expect("it is ours");
    let (said, complaint, succeeded) = run(&["check", &file], "");
    assert!(succeeded, "{said}{complaint}");
    server.signal("HUP");
    server.wait_for("reload refused");
    server.wait_for("tls.offer is false, and 127.0.0.2:");
    let (log, ended_well) = server.interrupt();
    assert!(ended_well && !log.contains("takes a restart: the one before"), "{log}");
}

#[test]
fn one_listener_that_takes_passwords_in_clear_is_warned_of() {
    let directory = Directory::new("clear");
    Pair::make("28486-28487").put(&directory);
    for (listener, warned) in [
        ("address = \"0.0.0.0:0\"\nrequire = \"nothing\"", true),
        ("address = \"0.0.0.0:0\"", false),
        ("address = \"0.0.0.0:0\"\ntls = \"implicit\"\nrequire = \"nothing\"", false),
        ("address = \"127.0.0.2:0\"\nrequire = \"nothing\"", false),
    ] {
        let rest = format!("allow_clear_passwords = true\n[[listener]]\n{listener}");
        let file = configuration(&directory, "28488-28489", &rest);
        let text = std::fs::read_to_string(&file).expect("it was written");
        std::fs::write(&file, format!("{text}require = \"login\"\n")).expect("it is ours");
        let (said, complaint, succeeded) = run(&["check", &file], "");
        assert!(succeeded, "{listener}: {said}{complaint}");
        assert_eq!(
            said.contains("passwords in clear are taken from the network"),
            warned,
            "{listener}: {said}"
        );
    }
}

/// Whether a test may become somebody else.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[test]
#[allow(clippy::print_stderr, reason = "whoever reads the results must know")]
fn a_key_for_root_alone_is_read_before_root_is_given_up() {
    if !is_root() {
        eprintln!("not run: only root can become another user");
        return;
    }
    let directory = Directory::new("secret");
    let pair = Pair::make("28460-28461");
    pair.put(&directory);
    std::fs::set_permissions(directory.file("chain.pem"), PermissionsExt::from_mode(0o644)).expect("ours");
    let file = configuration(&directory, "28462-28465", "user = \"nobody\"");
    let (said, _, succeeded) = run(&["check", &file], "");
    assert!(succeeded && said.contains("key.pem can be read at the start only"), "{said}");
    let mut server = Server::start_with(&["--config", &file]);
    let note =
        "key.pem cannot be read as nobody (Permission denied (os error 13)): a renewed one will not be seen";
    assert!(server.announcement.contains(note), "{}", server.announcement);
    server.signal("HUP");
    server.wait_for("reloaded: ");
    assert!(server.wait_for("key.pem: cannot be read").contains("goes on being used"));
    drop(server);

    // What is made for that user is given to them.
    let text = std::fs::read_to_string(&file).expect("it was written");
    let text = text.split("[tls]").next().expect("a part");
    std::fs::write(&file, text).expect("it is ours");
    let mut command = serve(&["--config", &file]);
    command.env(STATE, directory.file("state"));
    let server = Server::launch(command);
    assert!(!server.announcement.contains("cannot be read"), "{}", server.announcement);
    let owner = |name: &str| std::fs::metadata(directory.file(name)).expect("it is there").uid();
    assert!(owner("state") != 0 && owner("state/self-signed.pem") == owner("state"));
}

#[test]
#[allow(clippy::print_stderr, reason = "whoever reads the results must know")]
fn the_certificate_of_its_own_stays_when_root_is_given_up() {
    if !is_root() {
        eprintln!("not run: only root can become another user");
        return;
    }
    let directory = Directory::new("given");
    let launch = |rest: &str| {
        let file = configuration(&directory, "28476-28479", rest);
        let text = std::fs::read_to_string(&file).expect("it was written");
        std::fs::write(&file, text.split("[tls]").next().expect("a part")).expect("it is ours");
        let mut command = serve(&["--config", &file]);
        command.env(STATE, directory.file("state"));
        command
    };
    // Made when root served.
    let first = fingerprint(&Server::launch(launch("")).announcement);
    let mut server = Server::launch(launch("user = \"nobody\""));
    assert_eq!(fingerprint(&server.announcement), first);
    let (state, own) = (directory.file("state"), directory.file("state/self-signed.pem"));
    let nobody = std::fs::metadata(&own).expect("it is there").uid();
    assert_ne!(nobody, 0);
    for (what, mode) in [(&own, 0o600), (&state, 0o700)] {
        std::os::unix::fs::chown(what, Some(0), Some(0)).expect("root may");
        std::fs::set_permissions(what, PermissionsExt::from_mode(mode)).expect("root may");
        server.signal("HUP");
        server.wait_for("reloaded: ");
        let told = server.wait_for("self-signed.pem: cannot be read");
        assert!(told.contains("goes on being used"), "{told}");
    }
    drop(server);
    // What was root's alone is given again, the directory too.
    let server = Server::launch(launch("user = \"nobody\""));
    assert_eq!(fingerprint(&server.announcement), first);
    drop(server);

    let owner = |what: &str| std::fs::metadata(what).expect("it is there").uid();
    assert_eq!((owner(&state), owner(&own)), (nobody, nobody));
    // Among things of the administrator's only the file is.
    std::fs::write(directory.file("state/notes"), "").expect("root may");
    for what in [&own, &state] {
        std::os::unix::fs::chown(what, Some(0), Some(0)).expect("root may");
    }
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o755)).expect("root may");
    let server = Server::launch(launch("user = \"nobody\""));
    assert_eq!(fingerprint(&server.announcement), first);
    assert_eq!((owner(&state), owner(&own)), (0, nobody));
    drop(server);

    // Whoever serves puts a link there to what only root can read.
    let secret = directory.file("secret.pem");
    std::fs::copy(&own, &secret).expect("a copy");
    std::os::unix::fs::chown(&secret, Some(0), Some(0)).expect("root may");
    std::fs::remove_file(&own).expect("root may");
    for (linked, words) in [(false, "it is a link"), (true, "cannot be read")] {
        if linked { std::fs::hard_link(&secret, &own) } else { std::os::unix::fs::symlink(&secret, &own) }
            .expect("root may");
        std::os::unix::fs::lchown(&state, Some(nobody), None).expect("root may");
        let output = launch("user = \"nobody\"").output().expect("it starts");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complaint.contains(words), "{complaint}");
        assert_eq!(std::fs::metadata(&secret).expect("it is there").uid(), 0);
        std::fs::remove_file(&own).expect("root may");
    }
}

#[test]
fn a_socket_that_is_called_ftps_is_for_tls_at_once() {
    let directory = Directory::new("handed");
    let root = directory.path().to_str().expect("directories of tests are ASCII");
    let listener = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (plain, tls) = (listener(), listener());
    let addresses = [&plain, &tls].map(|socket| socket.local_addr().expect("an address"));
    let longshore = serve(&[root, "--user", USER, "--passive-ports", "28466-28469"]);
    let mut command = Command::new("sh");
    let script = "exec 3<&0 4<&1 1>&2 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=ftp:ftps; \
                  exec \"$0\" \"$@\"";
    command.arg("-c").arg(script).arg(longshore.get_program()).args(longshore.get_args());
    command.env("LONGSHORE_PASSWORD", PASSWORD).env(STATE, directory.file("state"));
    // Both sockets come by the standard streams, so what it says goes to the third.
    command.stdin(Stdio::from(OwnedFd::from(plain))).stdout(Stdio::from(OwnedFd::from(tls)));
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = std::io::BufReader::new(child.stderr.take().expect("it is piped"));
    let mut text = String::new();
    while !text.contains("lftp ") {
        assert_ne!(std::io::BufRead::read_line(&mut said, &mut text).expect("a line"), 0, "{text}");
    }
    child.kill().expect("it is our child");
    child.wait().expect("it ends");
    for line in [format!("ftp://{}/", addresses[0]), format!("ftps://{}/", addresses[1])] {
        assert!(text.contains(&format!("  listening  {line}\n")), "{text}");
    }
}
