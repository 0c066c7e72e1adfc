//! `system-calls`: how many system calls longshore makes for one download, upload, login, listing, held against the
//! bounds in `bench/system-calls.txt`. Figures that no machine makes slower and no neighbour disturbs: strace counts what a
//! session asks of the kernel while a plain client does one thing again and again.
//!
//! Not inside: how long any of it takes.

mod bounds;
mod scenarios;
mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use longshore_interop::{Family, Folder, PASSWORD, Server, USER, wait_for};

use self::bounds::{Bounds, FILE};
use self::scenarios::Scenario;
use self::trace::Counts;
use crate::generator::Target;
use crate::ground::explained;

/// How often each thing is done before it is counted: jobs are known to be quick then, and threads are there.
const WARM_UP: usize = 50;
/// How often it is done while it is counted.
const UNITS: usize = 200;
/// How often all is counted before bounds are recorded, and again to see whether they hold.
const RECORDED_ROUNDS: usize = 3;
/// From the end of the server to the end of its trace.
const BOUND: Duration = Duration::from_secs(30);
/// Two threads on every machine: how often they wake each other depends on how many there are.
const THREADS: &str = "TOKIO_WORKER_THREADS=2";

/// Counts, and holds the counts against the bounds; with `--record`, makes bounds of them.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let records = match arguments {
        [] => false,
        [word] if word == "--record" => true,
        _ => return Err(format!("system-calls takes --record or nothing, not {}", arguments.join(" "))),
    };
    let path = Path::new(FILE);
    let mut bounds = Bounds::parse(&explained(path, fs::read_to_string(path))?)?;
    if records {
        let recorded = bounds.recorded(&rounds()?, UNITS);
        explained(path, fs::write(path, recorded.to_string()))?;
        println!("{FILE} is written; see whether its reasons still hold, then `cargo xtask tidy --fix`");
        println!("{}", recorded.changes(&bounds));
        println!("whether it holds is counted anew");
        bounds = recorded;
    }
    let repeated = if records { rounds()? } else { vec![measure()?] };
    let mut complaints = Vec::new();
    for (scenario, counts) in repeated.iter().flatten() {
        complaints.extend(bounds.complaints(scenario, counts, UNITS));
    }
    println!("{}", bounds::summary(&repeated, UNITS));
    complaints.sort();
    complaints.dedup();
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\n\nThe bounds stand in {FILE}. If more calls are needed for a reason, `cargo xtask system-calls --record` \
         writes new bounds; give the reason there.",
        complaints.join("\n")
    ))
}

/// What each scenario called.
type Measured = BTreeMap<&'static str, Counts>;

fn rounds() -> Result<Vec<Measured>, String> {
    (0..RECORDED_ROUNDS).map(|_| measure()).collect()
}

/// All scenarios on one server.
fn measure() -> Result<Measured, String> {
    let folder = Folder::new("system-calls");
    let trace = folder.path().join("trace");
    let trace_name = trace.to_str().ok_or("the folder for temporary files has a name that is not UTF-8")?;
    // -D makes the server our child, so that its end is seen.
    let strace = ["strace", "-D", "-f", "-s", "32", "-e", "signal=none", "-o", trace_name];
    let launcher = [&["env", THREADS, "LONGSHORE_TLS_OFFER=false"][..], &strace].concat();
    let server = Server::start_with(&launcher, &["--durability", "none"]);
    scenarios::prepare(server.served())?;
    let address = server.address(Family::Ipv4);
    let target = Target { address, user: USER, password: PASSWORD, authority: None };
    for scenario in Scenario::ALL {
        scenarios::perform(scenario, target, WARM_UP, UNITS)
            .map_err(|error| format!("{}: {error}", scenario.name()))?;
    }
    let process = server.process().to_string();
    server.stop();
    // strace writes the end of the server behind everything else.
    let text = wait_for("the end of the trace", BOUND, || {
        let text = fs::read_to_string(&trace).ok()?;
        let is_end = |line: &str| {
            line.split_once(' ')
                .is_some_and(|(thread, rest)| thread == process && rest.contains("+++ exited"))
        };
        text.lines().next_back().is_some_and(is_end).then_some(text)
    });
    Scenario::ALL
        .iter()
        .map(|scenario| Ok((scenario.name(), trace::between(&text, scenario.name())?)))
        .collect()
}
