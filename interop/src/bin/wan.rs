//! Two network namespaces joined by a link with delay, rate and loss: a wide-area network on one machine.
//!
//! `wan [--name wan] [--rtt-ms 50] [--mbit 1000] [--loss 0.0] [--queue-kb 4096] [--mtu 1500] [-- COMMAND ...]` makes the
//! namespaces `NAME-a` (10.77.0.1) and `NAME-b` (10.77.0.2). It holds them until it is interrupted, or runs a command and
//! ends with its exit code. Elsewhere: `ip netns exec wan-a SERVER`, `ip netns exec wan-b CLIENT 10.77.0.1`. Needs root,
//! iproute2 and VXLAN in the kernel.

#![expect(clippy::print_stderr, reason = "a command-line tool speaks through its streams")]

use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use longshore_interop::{End, Link, Wan};

/// What the arguments ask for.
struct Request {
    name: String,
    link: Link,
    command: Vec<String>,
}

fn main() -> ExitCode {
    match read(std::env::args().skip(1)).and_then(run) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("wan: {error}");
            ExitCode::from(2)
        }
    }
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut request = Request { name: "wan".to_owned(), link: Link::default(), command: Vec::new() };
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            request.command = arguments.by_ref().collect();
            break;
        }
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number = |least: f64, most: f64| {
            let number = value.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| format!("{argument} takes a number from {least} to {most}, not {value:?}"))
        };
        let link = &mut request.link;
        match argument.as_str() {
            "--name" => request.name.clone_from(&value),
            "--rtt-ms" => link.round_trip = Duration::from_secs_f64(number(0.0, 60_000.0)? / 1e3),
            "--mbit" => link.rate_bits_per_second = number(0.001, 100_000.0)? * 1e6,
            "--loss" => link.loss = number(0.0, 1.0)?,
            "--queue-kb" => link.queue_bytes = number(1.0, 1e6)? as usize * 1024,
            "--mtu" => link.mtu_bytes = number(576.0, 9000.0)? as u32,
            _ => return Err(format!("{argument} is not known; the first lines of its source say what is")),
        }
    }
    Ok(request)
}

fn run(Request { name, link, command }: Request) -> Result<ExitCode, String> {
    let wan = Wan::named(&name, link).map_err(|failure| failure.to_string())?;
    eprintln!(
        "wan: {} {} <-> {} {}, round trip {:?}, {} Mbit/s, loss {}",
        wan.namespace(End::A),
        End::A.address(),
        wan.namespace(End::B),
        End::B.address(),
        link.round_trip,
        link.rate_bits_per_second / 1e6,
        link.loss,
    );
    let Some((program, arguments)) = command.split_first() else {
        loop {
            thread::park();
        }
    };
    let status = Command::new(program).args(arguments).status();
    let status = status.map_err(|error| format!("{program}: {error}"))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
