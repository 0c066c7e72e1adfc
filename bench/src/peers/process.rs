//! A server that runs: what it and all its children cost, and its end.
//!
//! Processor time is that of a control group of its own, so that children which lived for a moment are counted; memory is
//! the proportional set size, so that what processes share is counted once.
//!
//! Not inside: which server, and with which settings.

use std::fs::{self, File};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// From the start to the greeting, and from the signal to the end of all processes.
const BOUND: Duration = Duration::from_secs(30);
/// How the names of control groups begin; the process that made one and a number follow.
const GROUP: &str = "longshore-bench-";
/// How long to look away between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// A server with all its processes.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    group: Option<Group>,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts a command, and waits until a connection to `address` is greeted. What it says on standard error goes to a
    /// file, which is quoted when it fails.
    pub(crate) fn start(
        name: &str,
        command: Command,
        address: SocketAddr,
        errors: &Path,
    ) -> Result<Running, String> {
        let explain = |error: &dyn std::fmt::Display| format!("{name} does not start: {error}");
        let group = Group::make();
        let mut started = match &group {
            Some(group) => group.launch(&command),
            None => command,
        };
        let errors_file = File::create(errors).map_err(|error| explain(&error))?;
        started.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors_file);
        let child = started.spawn().map_err(|error| explain(&error))?;
        let mut running = Running { child, group, address };
        let greeted = poll(|| match running.child.try_wait() {
            Ok(Some(status)) => Some(Err(format!("it ended with {status}"))),
            _ => greets(address).then_some(Ok(())),
        });
        match greeted {
            Some(Ok(())) => Ok(running),
            other => {
                let why = match other {
                    Some(Err(why)) => why,
                    _ => format!("no greeting within {} s", BOUND.as_secs()),
                };
                let said = fs::read_to_string(errors).unwrap_or_default();
                let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
                Err(explain(&format!("{why}; it said: {last}")))
            }
        }
    }

    /// Processor time that all its processes have used; `None` where the system keeps no account.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        self.group.as_ref()?.processor_time()
    }

    /// Memory of all its processes in bytes: what several share is divided among them.
    pub(crate) fn memory_bytes(&self) -> Result<u64, String> {
        let mut sum = 0;
        for process in self.processes() {
            // A process that has ended meanwhile has none.
            let Ok(text) = fs::read_to_string(format!("/proc/{process}/smaps_rollup")) else { continue };
            sum += pss_bytes(&text).ok_or_else(|| format!("process {process} has no Pss in smaps_rollup"))?;
        }
        match sum {
            0 => Err("no process of the server can be looked at".to_owned()),
            _ => Ok(sum),
        }
    }

    fn processes(&self) -> Vec<u32> {
        match &self.group {
            Some(group) => group.processes(),
            None => descendants(self.child.id()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without a group, a child that was waited for may be a stranger's number already.
        let ended = kill_all(|| match self.child.try_wait() {
            Ok(Some(_)) if self.group.is_none() => Vec::new(),
            _ => self.processes(),
        });
        let _ = self.child.kill();
        let _ = self.child.wait();
        if ended.is_none() {
            eprintln!("process {} and its children do not end", self.child.id());
        }
    }
}

/// Ends the servers of comparisons that were killed, and could not do it themselves.
pub(crate) fn end_orphans() {
    for (place, is_unified) in Group::PLACES {
        let Ok(entries) = fs::read_dir(place) else { continue };
        for entry in entries.flatten() {
            let owner = owner_of(&entry.file_name().to_string_lossy());
            if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
                let group = Group { path: entry.path(), is_unified };
                kill_all(|| group.processes());
            }
        }
    }
}

/// The process that made a group of this name; `None` where it is not one of a comparison.
fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix(GROUP)?.split('-').next()?.parse().ok()
}

/// Kills what is listed, until nothing is: a fork between list and signal is caught by the next list.
fn kill_all(mut list: impl FnMut() -> Vec<u32>) -> Option<()> {
    poll(|| {
        let processes = list();
        for process in &processes {
            if let Some(process) = i32::try_from(*process).ok().and_then(Pid::from_raw) {
                // Fails when it has just ended.
                let _ = kill_process(process, Signal::KILL);
            }
        }
        processes.is_empty().then_some(())
    })
}

/// A control group of the kernel.
#[derive(Debug)]
struct Group {
    path: PathBuf,
    is_unified: bool,
}

impl Group {
    /// A new one, where we may make one.
    fn make() -> Option<Group> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{GROUP}{}-{number}", std::process::id());
        Group::PLACES.into_iter().find_map(|(place, is_unified)| {
            let is_there = !is_unified || Path::new(place).join("cgroup.controllers").is_file();
            let path = Path::new(place).join(&name);
            (is_there && fs::create_dir(&path).is_ok()).then_some(Group { path, is_unified })
        })
    }

    /// Where groups can be, and whether that is the second version of them.
    const PLACES: [(&str, bool); 3] =
        [("/sys/fs/cgroup/unified", true), ("/sys/fs/cgroup", true), ("/sys/fs/cgroup/cpuacct", false)];

    /// The same command, which joins the group before it becomes the server.
    fn launch(&self, command: &Command) -> Command {
        let mut launched = Command::new("sh");
        launched.args(["-c", "echo $$ > \"$1\" && shift && exec \"$@\"", "sh"]);
        launched.arg(self.path.join("cgroup.procs")).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => launched.env(name, value),
                None => launched.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            launched.current_dir(folder);
        }
        launched
    }

    fn processor_time(&self) -> Option<Duration> {
        if self.is_unified {
            let text = fs::read_to_string(self.path.join("cpu.stat")).ok()?;
            return usage_in(&text);
        }
        let text = fs::read_to_string(self.path.join("cpuacct.usage")).ok()?;
        text.trim().parse().ok().map(Duration::from_nanos)
    }

    fn processes(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if poll(|| fs::remove_dir(&self.path).ok()).is_none() {
            eprintln!("{} stays", self.path.display());
        }
    }
}

/// `usage_usec` of a control group's `cpu.stat`.
fn usage_in(text: &str) -> Option<Duration> {
    let value = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    value.trim().parse().ok().map(Duration::from_micros)
}

/// `Pss` of `smaps_rollup`, in bytes.
fn pss_bytes(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// A process with its children and theirs.
fn descendants(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = vec![process];
    while let Some(process) = next.pop() {
        if !Path::new(&format!("/proc/{process}")).is_dir() {
            continue;
        }
        found.push(process);
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
        next.extend(
            children.unwrap_or_default().split_whitespace().filter_map(|child| child.parse::<u32>().ok()),
        );
    }
    found
}

fn greets(address: SocketAddr) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else { return false };
    let mut greeting = [0; 3];
    socket.set_read_timeout(Some(BOUND)).is_ok()
        && socket.read_exact(&mut greeting).is_ok()
        && greeting == *b"220"
}

/// Looks again and again, until there is a value or the bound has passed.
#[expect(clippy::disallowed_methods, reason = "a foreign process tells nobody when it is ready or gone")]
fn poll<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + BOUND;
    loop {
        let is_over = Instant::now() >= end;
        let value = look();
        if value.is_some() || is_over {
            return value;
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_the_kernel_are_read() {
        assert_eq!(usage_in("usage_usec 1500\nuser_usec 1\n"), Some(Duration::from_micros(1500)));
        assert_eq!(usage_in("user_usec 1\n"), None);
        assert_eq!(pss_bytes("Rss: 9 kB\nPss:                 12 kB\nPss_Dirty: 4 kB\n"), Some(12 * 1024));
        assert_eq!(pss_bytes("Rss: 9 kB\n"), None);
    }

    #[test]
    fn a_server_that_ends_at_once_is_told_of_with_what_it_said() {
        let errors = std::env::temp_dir().join(format!("longshore-bench-{}.errors", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such port >&2; exit 3"]);
        // Port 9 of an address that nobody has: nothing greets there.
        let address = SocketAddr::from(([127, 254, 254, 254], 9));
        let error = Running::start("thing", command, address, &errors).unwrap_err();
        fs::remove_file(&errors).unwrap();
        for part in ["thing does not start", "no such port", "3"] {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }

    #[test]
    fn a_group_names_the_process_that_made_it() {
        assert_eq!(owner_of("longshore-bench-123-4"), Some(123));
        assert_eq!(owner_of("longshore-bench-x"), None);
        assert_eq!(owner_of("user.slice"), None);
    }

    #[test]
    fn our_own_children_are_found() {
        assert!(descendants(std::process::id()).contains(&std::process::id()));
    }
}
