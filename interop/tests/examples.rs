//! The worked configurations of `examples/`: the commands of each README work as they stand there and show what it
//! promises, and whatever else it claims is true.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use longshore_interop::{
    Control, Example, Namespaces, assert_same_bytes, is_peer_here, pattern, shipped, wait_for,
};

const BOUND: Duration = Duration::from_secs(60);
/// What holds for clients by their address holds for this machine's own ones then, too.
const NOBODY_EXEMPT: (&str, &str) = ("LONGSHORE_LIMITS_EXEMPT_NETWORKS", "[]");

/// Whether the programs are here that a README calls.
#[track_caller]
fn are_here(programs: &[&str]) -> bool {
    programs.iter().all(|program| is_peer_here(program))
}

#[track_caller]
fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    metadata.permissions().mode() & 0o7777
}

/// The names in a folder, sorted.
#[track_caller]
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("the folder can be read"))).collect();
    names.sort();
    names
}

/// The first line that a server says.
fn greeting(example: &Example) -> String {
    let stream = TcpStream::connect(example.address()).expect("the server listens");
    stream.set_read_timeout(Some(BOUND)).expect("a bound that is not zero");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("a greeting");
    line
}

#[test]
fn configurations_are_good_as_they_are() {
    let examples = ["anonymous-mirror", "behind-nat", "camera-drop-box", "partner-exchange", "web-hosting"];
    for name in examples {
        let mut example = Example::open(name);
        let text = shipped(name, "longshore.toml");
        fs::write(example.path("shipped.toml"), text).expect("a file within our own folder");
        // Folders, and perhaps port 21, are not those of this machine: that is all that may be wrong.
        let said = example.also("longshore check shipped.toml 2>&1 || true");
        let good = said.contains("no mistakes") || said.contains("the file itself reads well");
        assert!(good, "{name}: {said}");
    }
}

#[test]
fn cameras_have_a_drop_box() {
    if !are_here(&["curl", "lftp", "diff"]) {
        return;
    }
    let mut example = Example::open("camera-drop-box");
    example.run("install");
    example.run("hash-password");
    example.serve("longshore serve");
    example.run("MODE S");
    let day = example.path("/srv/cameras/gate/2026-08-01");
    assert_eq!((mode(&day), mode(&day.join("snapshot.jpg"))), (0o2770, 0o660));
    example.refuse("curl -sS ftp:");
    example.refuse("-T snapshot.jpg");
    half_a_picture_has_no_name(&mut example);
    example.run("take-away");
    assert_eq!(names(&day), [""; 0], "what was taken away is gone");
    example.look("grep");
    pictures_are_taken_away_at_once(&mut example);
    example.not("curl -sS --interface 127.0.1.1 ftp://yard:example-yard@ftp.example.com/");
    example.wait_for_line("/var/log/longshore/cameras.log", &["login refused for yard", ": network ("]);
    example.end();
}

fn half_a_picture_has_no_name(example: &mut Example) {
    let mut camera = Control::login(example.address(), "yard", "example-yard");
    let half = pattern(300_000, 1);
    let data = camera.begin_upload("clip.mp4", &half);
    let folder = example.path("/srv/cameras/yard");
    let part = wait_for("the part of the upload", BOUND, || {
        let [name] = &names(&folder)[..] else { return None };
        fs::metadata(folder.join(name)).is_ok_and(|part| part.len() > 0).then(|| name.clone())
    });
    assert!(part.starts_with(".clip.mp4.") && part.ends_with(".longshore-part"), "{part}");
    example.also("sh take-away.sh");
    assert_eq!(names(&folder), [part], "a consumer leaves it alone");
    Control::reset(data);
    assert_eq!(camera.reply().code, 426);
    let texts = ["yard@127.0.0.1 did not store", "/clip.mp4: transfer.upload-reset"];
    example.wait_for_line("/var/log/longshore/cameras.log", &texts);
    assert!(names(&folder).iter().all(|name| name.starts_with('.')), "{:?}", names(&folder));
}

/// A consumer that does nothing but look for files, and a camera that sends some hundreds.
fn pictures_are_taken_away_at_once(example: &mut Example) {
    let mut consumer = example.beside(&[]);
    consumer.run("while sh take-away.sh; do :; done &");
    example.also(
        "mkdir burst; for number in $(seq 300); do head -c 5000 /dev/urandom > burst/$number.jpg; done
         lftp -u yard,example-yard -e 'mput -P 3 burst/*.jpg && quit' ftp://ftp.example.com",
    );
    wait_for("the last picture at the recorder", BOUND, || {
        let arrived = example.path("/srv/recorder/yard");
        (arrived.exists() && names(&arrived).len() == 300).then_some(())
    });
    example.also("diff -r burst /srv/recorder/yard");
    let log = example.read("/var/log/longshore/cameras.log");
    assert_eq!(log.lines().filter(|line| line.contains(" stored (4.9 KiB")).count(), 300, "{log}");
}

#[test]
fn a_mirror_is_read_by_anybody() {
    if !are_here(&["curl"]) {
        return;
    }
    let mut example = Example::open("anonymous-mirror");
    example.run("install");
    example.serve("longshore serve");
    example.run("seq");
    example.run("-C -");
    example.refuse("-T large.iso");
    example.refuse("DELE");
    assert_eq!(names(&example.path("/srv/mirror")), ["large.iso", "pool"]);
    example.run("kill -HUP");
    example.wait_for_line("/var/log/longshore/mirror.log", &["reloaded"]);
    shares_are_even(&example.run("speed_download"));
    example.look("mirror.log");
    example.look("xferlog");
    an_old_file_is_sent_to_its_end(&mut example);
    // A download that has begun outlives the order to end.
    let begun = "curl -sS -o last.iso ftp://ftp.example.com/large.iso & one=$!
                 until test -s last.iso; do :; done";
    example.also(begun);
    example.end();
    example.also("wait \"$one\"; cmp last.iso /srv/mirror/large.iso");
}

/// Two downloads at once under one limit of 2 MB per second.
#[track_caller]
fn shares_are_even(said: &str) {
    let speed = |name: &str| -> f64 {
        let words = said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{said}"));
        words.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    };
    let (one, two) = (speed("one:"), speed("two:"));
    // One after the other they would have 1 and 2 MB per second; a slow machine changes both alike.
    assert!(one / two < 1.6 && two / one < 1.6, "the shares are uneven: {said}");
    assert!(one + two < 4_000_000.0, "nothing is limited: {said}");
}

fn an_old_file_is_sent_to_its_end(example: &mut Example) {
    example.also(
        "curl -sS -o old.iso ftp://ftp.example.com/large.iso & one=$!
         until test -s old.iso; do :; done
         head -c 4000000 /dev/urandom > /srv/mirror/.large.iso.new
         mv /srv/mirror/.large.iso.new /srv/mirror/large.iso
         wait \"$one\"
         cmp old.iso large.iso",
    );
}

#[test]
fn one_address_has_eight_sessions_of_a_mirror() {
    let mut example = Example::open_with("anonymous-mirror", &[NOBODY_EXEMPT]);
    example.run("install");
    example.serve("longshore serve");
    let login = |_| Control::login(example.address(), "anonymous", "reader@example.com");
    let readers: Vec<Control> = (0..8).map(login).collect();
    let ninth = greeting(&example);
    assert!(ninth.starts_with("421 All 8 sessions for 127.0.0.1 are in use"), "{ninth}");
    example.wait_for_line("/var/log/longshore/mirror.log", &["sent away: session.full-for-address (421)"]);
    drop(readers);
}

#[test]
fn partners_exchange_files() {
    if !are_here(&["curl"]) {
        return;
    }
    let quick = ("LONGSHORE_LIMITS_CONNECTIONS_PER_SECOND_PER_ADDRESS", "1000");
    let mut example = Example::open_with("partner-exchange", &[NOBODY_EXEMPT, quick]);
    // The whole of the mail stands in its subject, too; it is read, or whoever writes it would fail.
    example.put_program("mail", "cat > /dev/null; echo \"$@\" >> mails");
    example.run("install");
    example.run("hash-password");
    example.serve("longshore serve");
    example.run("mail -s");
    example.run("invoice");
    assert_eq!(mode(&example.path("/srv/exchange/acme/inbox/order-1.xml")), 0o640);
    example.refuse("-T order-1.xml");
    example.refuse("inbox/order-1.xml");
    example.not("curl -sS -T order-1.xml ftp://acme:example-acme@ftp.example.com/outbox/");
    example.not("curl -sS ftp://acme:example-acme@ftp.example.com/../../borealis/");
    a_line_breaks_and_somebody_hears_of_it(&mut example);
    a_partner_has_two_sessions(&mut example);
    example.refuse("borealis");
    who_guesses_is_kept_out(&mut example);
    example.run("kill -HUP");
    example.wait_for_line("/var/log/longshore/exchange.json", &["\"reloaded\""]);
    example.refuse("acme");
    example.look("login-refused");
    example.look("notices.sh");
    example.end();
}

fn a_line_breaks_and_somebody_hears_of_it(example: &mut Example) {
    let order = pattern(1_000_000, 2);
    fs::write(example.path("order-2.xml"), &order).expect("a file within our own folder");
    let mut partner = Control::login(example.address(), "acme", "example-acme");
    let data = partner.begin_upload("/inbox/order-2.xml", &order[..600_000]);
    let inbox = example.path("/srv/exchange/acme/inbox");
    wait_for("the part of the upload", BOUND, || {
        let part = names(&inbox).into_iter().find(|name| name.ends_with(".longshore-part"))?;
        fs::metadata(inbox.join(part)).is_ok_and(|part| part.len() > 0).then_some(())
    });
    Control::reset(data);
    assert_eq!(partner.reply().code, 426);
    let texts = ["acme from 127.0.0.1: STOR /inbox/order-2.xml failed: transfer.upload-reset", "operator@"];
    example.wait_for_line("mails", &texts);
    drop(partner);
    example.also("curl -sS -C - -T order-2.xml ftp://acme:example-acme@ftp.example.com/inbox/");
    let stored = fs::read(inbox.join("order-2.xml")).expect("the order is there");
    assert_same_bytes("an order that was gone on with", &stored, &order);
}

fn a_partner_has_two_sessions(example: &mut Example) {
    let sessions = [(); 2].map(|()| {
        // Those before may be on their way out yet.
        wait_for("a free session", BOUND, || {
            let login = || Control::login(example.address(), "acme", "example-acme");
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(login)).ok()
        })
    });
    example.not("curl -sS ftp://acme:example-acme@ftp.example.com/");
    let texts = ["\"login-refused\"", "\"user\":\"acme\",\"reason\":\"sessions\""];
    example.wait_for_line("/var/log/longshore/exchange.json", &texts);
    drop(sessions);
}

/// The sixth wrong password bans an address, and only that one.
fn who_guesses_is_kept_out(example: &mut Example) {
    example.also(
        "for guess in 1 2 3 4 5 6; do
             curl -sS --interface 127.0.1.9 ftp://acme:$guess@ftp.example.com/ || true &
         done
         wait $(jobs -p | tail -n 6)",
    );
    example.wait_for_line("mails", &["127.0.1.9 is banned for 1800 s"]);
    let said = example.not("curl -sS -v --interface 127.0.1.9 ftp://acme:example-acme@ftp.example.com/");
    assert!(said.contains("< 421 Too many logins from 127.0.1.9 failed"), "{said}");
    example.also("curl -sS ftp://acme:example-acme@ftp.example.com/");
}

#[test]
fn web_sites_are_brought() {
    if !are_here(&["curl", "lftp", "diff"]) {
        return;
    }
    let mut example = Example::open("web-hosting");
    example.run("install");
    example.run("hash-password");
    // What the server was started with does not count.
    example.also("umask 077");
    example.serve("longshore serve");
    example.also("umask 022");
    example.run("lftp");
    an_account_has_ten_sessions(&mut example);
    example.run("SITE CHMOD");
    example.run("access.log");
    example.refuse("DELE");
    example.not("curl -sS -T site/index.html ftp://alice:example-alice@ftp.example.com//logs/");
    example.not("curl -sS ftp://alice:example-alice@ftp.example.com/../../bob/");
    example.refuse("large.bin");
    example.run("two.bin");
    example.refuse("three.bin");
    let trial = example.path("/srv/www/trial/htdocs");
    assert_eq!(names(&trial), ["one.bin", "two.bin"]);
    assert_eq!(mode(&trial.join("one.bin")), 0o644);
    example.run("kill -HUP");
    example.wait_for_line("/var/log/longshore/hosting.log", &["reloaded"]);
    example.refuse("bob");
    example.look("hosting.log");
    example.look("xferlog");
    example.end();
}

fn an_account_has_ten_sessions(example: &mut Example) {
    let login = |_| Control::login(example.address(), "bob", "example-bob");
    let sessions: Vec<Control> = (0..10).map(login).collect();
    example.not("curl -sS ftp://bob:example-bob@ftp.example.com/");
    let texts = ["login refused for bob", ": sessions ("];
    example.wait_for_line("/var/log/longshore/hosting.log", &texts);
    drop(sessions);
}

#[test]
fn clients_come_through_nat() {
    if !are_here(&["curl", "ip", "nft"]) {
        return;
    }
    let Some(machines) = Namespaces::make() else { return };
    let mut example = Example::open_on(&machines.launcher("server"), "behind-nat");
    let mut gateway = example.beside(&machines.launcher("gateway"));
    let mut client = example.beside(&machines.launcher("client"));
    example.run("install");
    example.serve("longshore serve");
    example.run_beside(&mut gateway, "nft");
    example.run_beside(&mut client, "across");
    example.run("kill -HUP");
    example.wait_for_line("server.json", &["\"reloaded\""]);
    example.run_beside(&mut client, "across");
    example.refuse_beside(&mut client, "--connect-timeout");
    example.look("transfer");
    example.end();
    // As in a container: the file names no address, and the environment does.
    example.also(
        "LONGSHORE_SERVER_PUBLIC_ADDRESS=203.0.113.7 LONGSHORE_SERVER_PASSIVE_PORTS=30000-30009 \
             longshore serve --config /etc/longshore/longshore.toml > container.json &
         server=$!",
    );
    example.wait_for_line("container.json", &["\"started\""]);
    let fetch = "curl -sS -v --disable-epsv --no-ftp-skip-pasv-ip ftp://203.0.113.7/across.txt";
    let said = client.run(fetch);
    let port = said.lines().find_map(|line| line.split("(203,0,113,7,117,").nth(1));
    let port =
        port.and_then(|port| port.trim_end().trim_end_matches(").").trim_end_matches(')').parse().ok());
    assert!(port.is_some_and(|port: u16| (48..58).contains(&port)), "{said}");
    example.end();
}

/// What no test can start is at least in agreement with what it can.
#[test]
fn all_that_stands_before_a_server_knows_its_ports() {
    let holds = |file: &str, text: &str| {
        assert!(shipped("behind-nat", file).contains(text), "{file} does not hold {text:?}");
    };
    holds("longshore.toml", "passive_ports = \"30000-30019\"");
    holds("gateway.nft", "tcp dport { 21, 30000-30019 }");
    holds("Dockerfile", "EXPOSE 21 30000-30019");
    holds("compose.yaml", "- \"30000-30019:30000-30019\"");
    holds("compose.yaml", "LONGSHORE_SERVER_PUBLIC_ADDRESS: ");
    holds("kubernetes.yaml", "LONGSHORE_SERVER_PUBLIC_ADDRESS, value: \"203.0.113.7\"");
    holds("kubernetes.yaml", "LONGSHORE_SERVER_PASSIVE_PORTS, value: \"30000-30009\"");
    for number in 0..10 {
        holds("kubernetes.yaml", &format!("{{ name: data-{number}, port: {} }}", 30_000 + number));
    }
}
