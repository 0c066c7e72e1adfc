//! Many small files over distance and on the loopback: by our client through one control and one data connection, where
//! everything is asked for ahead, and by lftp with ten connections, each file with its own data connection.
//!
//! All runs of a round use the same server, started with its defaults (`durability data`), and the same files. The time
//! is from connecting to the last answer, TLS and login among it; what came is compared with what was sent.
//!
//! Not inside: the network between the ends, which is `longshore_interop::Wan`.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use longshore_client::{
    Ahead, Authorities, Client, ClientTls, Content, Memory, Mode, ModeChoice, Options, Setup, Trust, Version,
};
use longshore_interop::{
    self as interop, Case, End, Family, Link, PASSWORD, Policy, Server, USER, Wan, Way, Who, is_peer_here,
    pattern, run as run_command,
};

use crate::table::{Row, print};

/// What nothing may take longer than.
const BOUND: Duration = Duration::from_secs(900);
/// Commands that our client sends before it is answered.
const AHEAD: usize = 1024;

/// What the arguments ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    files: usize,
    bytes: usize,
    rounds: usize,
    link: Link,
    lftp: bool,
}

impl Request {
    /// 2,000 files of 4 KiB over 50 ms.
    pub(crate) fn usual(rounds: usize, lftp: bool) -> Request {
        Request { files: 2000, bytes: 4096, rounds, link: Link::default(), lftp }
    }

    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
        let mut request = Request::usual(3, true);
        while let Some(argument) = arguments.next() {
            if argument == "--no-lftp" {
                request.lftp = false;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            let number = |least: usize, most: usize| {
                let number = value.parse().ok().filter(|number| (least..=most).contains(number));
                number
                    .ok_or_else(|| format!("{argument} takes a number from {least} to {most}, not {value:?}"))
            };
            match argument.as_str() {
                "--files" => request.files = number(1, 100_000)?,
                "--bytes" => request.bytes = number(0, 1 << 20)?,
                "--rounds" => request.rounds = number(1, 100)?,
                "--rtt-ms" => request.link.round_trip = Duration::from_millis(number(0, 10_000)? as u64),
                "--mbit" => request.link.rate_bits_per_second = number(1, 100_000)? as f64 * 1e6,
                _ => {
                    return Err(format!(
                        "{argument} is not known; the first lines of bench/src/main.rs say what is"
                    ));
                }
            }
        }
        Ok(request)
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        (0..self.files).map(|number| format!("{prefix}/{number:06}")).collect()
    }

    fn content(&self, number: usize) -> Vec<u8> {
        pattern(self.bytes, number as u32)
    }
}

/// Which way the files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Down,
    Up,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Down => "down",
            Direction::Up => "up",
        }
    }
}

pub(crate) fn run(request: Request) -> Result<(), String> {
    let Request { files, bytes, rounds, link, lftp } = request;
    if lftp && !is_peer_here("lftp") {
        return Err("lftp is not installed; `cargo xtask peers` installs it, or use --no-lftp".to_owned());
    }
    let over_distance = distance(&request)?;
    let here = loopback(&request)?;
    println!(
        "{files} files of {bytes} bytes, round trip {:?}, {} Mbit/s, {rounds} rounds\n",
        link.round_trip,
        link.rate_bits_per_second / 1e6
    );
    // lftp's time is that of a whole program, with the listing of the folder.
    for direction in [Direction::Down, Direction::Up] {
        let word = format!(", {}", direction.name());
        let rows: Vec<Row> = over_distance.iter().filter(|row| row.name.contains(&word)).cloned().collect();
        let theirs = format!("lftp with 10 connections{word}");
        print("seconds", &rows, lftp.then_some(&theirs));
    }
    println!("on the loopback, one connection\n");
    print("files per second", &here, None);
    Ok(())
}

/// Over the link, the server at one end and the clients at the other.
pub(crate) fn distance(request: &Request) -> Result<Vec<Row>, String> {
    let name = format!("longshore-bench-{}", std::process::id());
    let wan = Wan::named(&name, request.link).map_err(|failure| failure.to_string())?;
    let hosts = [End::A.address().into()];
    let setup = interop::Setup {
        arguments: &["--allow-clear-passwords"],
        policy: Some(Policy::Resumed),
        hosts: &hosts,
        ..interop::Setup::default()
    };
    let server = wan.at(End::A, || Server::set_up(&setup));
    fill(&server, request, "down");
    let way = Way { family: Family::Ipv4, mode: interop::Mode::Epsv };
    let case = Case::new(&server, interop::Client::Lftp, way);
    let mut rows = Vec::new();
    let mut measure = |name: String, seconds: f64| {
        eprintln!("{name}: {seconds:.2} s");
        match rows.iter_mut().find(|row: &&mut Row| row.name == name) {
            Some(row) => row.figures.push(seconds),
            None => {
                let mut row = Row::new(name);
                row.figures.push(seconds);
                rows.push(row);
            }
        }
    };
    for round in 0..request.rounds {
        for secured in [false, true] {
            for direction in [Direction::Down, Direction::Up] {
                let folder = format!("ours-{secured}-{round}");
                let seconds = wan.at(End::B, || ours(request, &server, direction, secured, &folder))?;
                let tls = if secured { ", TLS" } else { "" };
                measure(format!("longshore, {}{tls}", direction.name()), seconds);
                check_uploads(request, &server, direction, &folder)?;
            }
        }
        if request.lftp {
            for direction in [Direction::Down, Direction::Up] {
                let seconds = wan.at(End::B, || theirs(&case, direction, round));
                measure(format!("lftp with 10 connections, {}", direction.name()), seconds);
            }
            check_folder(request, &case.outside(format!("got-{round}")))?;
            check_folder(request, &case.inside(format!("up-{round}")))?;
        }
    }
    server.stop();
    Ok(rows)
}

/// One connection, nothing in between.
pub(crate) fn loopback(request: &Request) -> Result<Vec<Row>, String> {
    let setup = interop::Setup { policy: Some(Policy::Resumed), ..interop::Setup::default() };
    let server = Server::set_up(&setup);
    fill(&server, request, "down");
    let mut rows = Vec::new();
    for secured in [false, true] {
        for direction in [Direction::Down, Direction::Up] {
            let tls = if secured { ", TLS" } else { "" };
            let mut row = Row::new(format!("longshore, {}{tls}", direction.name()));
            for round in 0..request.rounds {
                let folder = format!("ours-{secured}-{round}");
                let seconds = ours(request, &server, direction, secured, &folder)?;
                check_uploads(request, &server, direction, &folder)?;
                row.figures.push(request.files as f64 / seconds);
            }
            rows.push(row);
        }
    }
    server.stop();
    Ok(rows)
}

/// Puts the files where the server serves them.
fn fill(server: &Server, request: &Request, folder: &str) {
    fs::create_dir(server.served().join(folder)).expect("the served folder takes folders");
    for (number, name) in request.names(folder).iter().enumerate() {
        fs::write(server.served().join(name), request.content(number))
            .expect("the served folder takes files");
    }
}

/// By our client; seconds.
fn ours(
    request: &Request,
    server: &Server,
    direction: Direction,
    secured: bool,
    folder: &str,
) -> Result<f64, String> {
    let address = server.address(Family::Ipv4);
    let tls = match secured {
        true => {
            let security = server.security(interop::Version::Tls13, true);
            let authorities = Authorities::load(&security.authority).map_err(|error| error.to_string())?;
            let tls = ClientTls::new(&Trust::Authorities(authorities), Version::Tls13);
            Some(tls.map_err(|error| error.to_string())?)
        }
        false => None,
    };
    let mut contents = Vec::new();
    if direction == Direction::Up {
        contents.extend((0..request.files).map(|number| Content::new(request.content(number))));
        fs::create_dir(server.served().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let outcome = runtime.block_on(async {
        let begin = Instant::now();
        let client = log_in(address, tls.as_ref()).await?;
        match direction {
            Direction::Down => {
                let names = request.names("down");
                let transfers: Vec<_> = names
                    .iter()
                    .map(|name| client.retrieve(name.as_str(), Memory::new(request.bytes)))
                    .collect();
                let mut came = Vec::with_capacity(transfers.len());
                for transfer in transfers {
                    came.push(transfer.await.map_err(|error| error.to_string())?.place.into_bytes());
                }
                let seconds = begin.elapsed().as_secs_f64();
                match (0..request.files).find(|&number| came[number] != request.content(number)) {
                    Some(number) => Err(format!("what came of {} is not what is there", names[number])),
                    None => Ok(seconds),
                }
            }
            Direction::Up => {
                let names = request.names(folder);
                let transfers: Vec<_> = names
                    .iter()
                    .zip(contents)
                    .map(|(name, content)| client.store(name.as_str(), content))
                    .collect();
                for transfer in transfers {
                    transfer.await.map_err(|error| error.to_string())?;
                }
                Ok(begin.elapsed().as_secs_f64())
            }
        }
    });
    outcome.map_err(|error: String| format!("our client, {}: {error}", direction.name()))
}

async fn log_in(address: SocketAddr, tls: Option<&ClientTls>) -> Result<Client, String> {
    let options = Options {
        mode: ModeChoice::Insist(Mode::Block),
        // longshore closes the data connection of an upload that it refuses.
        ahead: Ahead { commands: AHEAD, data: true, ..Ahead::default() },
        ..Options::default()
    };
    let session = tls.map(|tls| tls.session(&address.ip().to_string())).transpose();
    let session = session.map_err(|error| error.to_string())?;
    let setup = Setup { options, tls: session, ..Setup::default() };
    let (client, connection) =
        longshore_client::connect(address, setup).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection.run());
    if tls.is_some() {
        client.start_tls().await.map_err(|error| error.to_string())?;
    }
    client.login(USER, PASSWORD).await.map_err(|error| error.to_string())?;
    Ok(client)
}

/// By lftp with ten connections, as fast as it can be told to be; seconds.
fn theirs(case: &Case<'_>, direction: Direction, round: usize) -> f64 {
    let mirror = match direction {
        Direction::Down => format!("mirror --parallel=10 /down got-{round}"),
        Direction::Up => format!("mirror --reverse --parallel=10 got-{round} up-{round}"),
    };
    let settings = "set ftp:sync-mode off\nset net:connection-limit 10\nset mirror:set-permissions off";
    let begin = Instant::now();
    run_command(&mut case.lftp(Who::Account, format!("{settings}\n{mirror}")), BOUND).succeeded();
    begin.elapsed().as_secs_f64()
}

fn check_uploads(
    request: &Request,
    server: &Server,
    direction: Direction,
    folder: &str,
) -> Result<(), String> {
    if direction == Direction::Down {
        return Ok(());
    }
    // They stay to the end: a file system that discards blocks would do so during the next run.
    check_folder(request, &server.served().join(folder))
}

/// Whether a folder holds the files as they are.
fn check_folder(request: &Request, folder: &std::path::Path) -> Result<(), String> {
    for number in 0..request.files {
        let path = folder.join(format!("{number:06}"));
        let stored = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if stored != request.content(number) {
            return Err(format!("{} is not what was sent", path.display()));
        }
    }
    Ok(())
}
