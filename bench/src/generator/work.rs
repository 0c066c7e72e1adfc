//! What the generator does: one kind of work on some connections at once for some time, with the time of each piece.
//!
//! Every piece is checked for its length: a server that sends or lists less is not fast, but wrong.
//!
//! Not inside: which work is a row; that is [`crate::rows`].

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::control::{Control, Target, connect};
use super::data::{Buffer, Taken};

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Downloads, each whole.
    Retrieve { files: Files, taken: Taken },
    /// Uploads under new names.
    Store { bytes: u64 },
    /// Connect, log in, QUIT.
    Login,
    /// `LIST` or `MLSD` of a directory.
    List { verb: &'static str, directory: &'static str, entries: u64 },
}

/// Files that are there, all of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// Directory and beginning of the name.
    pub(crate) prefix: &'static str,
    /// How many; a number is at the end of each name.
    pub(crate) count: usize,
    pub(crate) bytes: u64,
}

impl Files {
    pub(crate) fn name(&self, number: usize) -> String {
        format!("{}{number:04}", self.prefix)
    }
}

/// Some work, on how many connections, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    pub(crate) work: Work,
    pub(crate) connections: usize,
    /// No piece begins later; each connection does one at least.
    pub(crate) duration: Duration,
    /// No connection does more pieces.
    pub(crate) most_per_connection: u64,
    /// Directory for what is stored.
    pub(crate) store_into: &'a str,
    /// What is served, where uploads of large files are removed.
    pub(crate) served: &'a Path,
}

/// What was done in which time.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) operations: u64,
    pub(crate) bytes: u64,
    /// The time that the busiest connection worked.
    pub(crate) elapsed: Duration,
    /// Processor time of the server meanwhile, where it can be told.
    pub(crate) server: Option<Duration>,
    /// Processor time of the generator meanwhile.
    pub(crate) generator: Duration,
    /// The time of each operation, shortest first.
    pub(crate) times: Vec<Duration>,
    /// Logins that failed and answers that there is no port, after which it was tried again: some servers lose one now
    /// and then.
    pub(crate) failed: u64,
    /// Version and cipher of TLS.
    pub(crate) agreed: Option<String>,
}

/// What one connection did.
struct Done {
    // Open until the server's processor time is read: the end of a session is not part of the work.
    _control: Option<Control>,
    agreed: Option<String>,
    bytes: u64,
    times: Vec<Duration>,
    failed: u64,
    /// From the beginning to the end, less what was not the server's work.
    busy: Duration,
    /// Processor time of the generator that was not for the server.
    aside: Duration,
}

/// Uploads from this size on are removed as soon as they are stored: the pages of one become those of the next, and
/// nobody pays for what others left. One of them is done before the clocks are read.
const LARGE_BYTES: u64 = 1 << 24;

/// Logins that may fail in a row, and answers to EPSV that there is no port.
const PATIENCE: u64 = 10;

/// Does it. `server` tells the processor time that the server has used so far.
pub(crate) fn run(
    target: Target<'_>,
    task: &Task<'_>,
    server: &dyn Fn() -> Option<Duration>,
) -> Result<Outcome, String> {
    let gate = Barrier::new(task.connections + 1);
    thread::scope(|scope| {
        let gate = &gate;
        let workers: Vec<_> = (0..task.connections)
            .map(|number| {
                scope.spawn(move || {
                    let worker = Worker::prepare(target, task, number);
                    // Everybody is ready, then the clocks are read, then all begin.
                    gate.wait();
                    gate.wait();
                    worker.and_then(Worker::work)
                })
            })
            .collect();
        gate.wait();
        let (server_before, generator_before) = (server(), time_of(ClockId::ProcessCPUTime));
        gate.wait();
        let ended: Vec<_> =
            workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect();
        let generator = time_of(ClockId::ProcessCPUTime).saturating_sub(generator_before);
        let server = server().zip(server_before).map(|(after, before)| after.saturating_sub(before));
        let done = ended.into_iter().collect::<Result<Vec<Done>, String>>()?;
        let mut times: Vec<Duration> = done.iter().flat_map(|done| done.times.iter().copied()).collect();
        times.sort_unstable();
        Ok(Outcome {
            operations: times.len() as u64,
            bytes: done.iter().map(|done| done.bytes).sum(),
            elapsed: done.iter().map(|done| done.busy).max().unwrap_or_default(),
            server,
            generator: generator.saturating_sub(done.iter().map(|done| done.aside).sum()),
            times,
            failed: done.iter().map(|done| done.failed).sum(),
            agreed: done.into_iter().find_map(|done| done.agreed),
        })
    })
}

/// Opens sessions that then say nothing.
pub(crate) fn hold(target: Target<'_>, sessions: usize, threads: usize) -> Result<Vec<Control>, String> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let mine = sessions / threads + usize::from(number < sessions % threads);
                scope.spawn(move || (0..mine).map(|_| log_in(target)).collect::<Result<Vec<_>, _>>())
            })
            .collect();
        let mut held = Vec::with_capacity(sessions);
        for worker in workers {
            held.extend(worker.join().expect("no worker panics")?);
        }
        Ok(held)
    })
}

/// Logs in, and tries again where a server loses one.
fn log_in(target: Target<'_>) -> Result<Control, String> {
    let mut tries = (0..PATIENCE).map(|_| Control::log_in(target, true));
    let first = tries.next().expect("there is patience for one");
    first.or_else(|why| tries.find_map(Result::ok).ok_or(why))
}

/// Connects to a passive port, which is asked for again where the server has none at the moment.
fn data_connection(control: &mut Control, retried: &mut u64) -> Result<TcpStream, String> {
    for _ in 0..PATIENCE {
        match control.passive()? {
            Some(address) => return connect(address).map_err(|error| format!("data connection: {error}")),
            None => *retried += 1,
        }
    }
    Err(format!("EPSV was answered with 425 {PATIENCE} times"))
}

/// Processor time of this process, or of this thread.
fn time_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// One connection, ready to begin.
struct Worker<'a> {
    target: Target<'a>,
    task: &'a Task<'a>,
    number: usize,
    control: Option<Control>,
    buffer: Buffer,
    /// The commands, made before the clock runs.
    lines: Vec<Vec<u8>>,
    line: Vec<u8>,
    /// Ports that were asked for again.
    retried: u64,
}

impl<'a> Worker<'a> {
    fn prepare(target: Target<'a>, task: &'a Task<'a>, number: usize) -> Result<Worker<'a>, String> {
        let control = match task.work {
            Work::Login => None,
            _ => {
                let mut control = Control::log_in(target, true)?;
                control.prepare()?;
                Some(control)
            }
        };
        let lines = match task.work {
            Work::Retrieve { files, .. } => {
                (0..files.count).map(|file| format!("RETR {}\r\n", files.name(file)).into_bytes()).collect()
            }
            Work::List { verb, directory, .. } => vec![format!("{verb} {directory}\r\n").into_bytes()],
            Work::Store { .. } | Work::Login => Vec::new(),
        };
        let (buffer, line) = (Buffer::new(), Vec::with_capacity(128));
        let mut worker = Worker { target, task, number, control, buffer, lines, line, retried: 0 };
        if worker.is_large_upload() {
            worker.piece(0)?;
            worker.remove(0)?;
        }
        Ok(worker)
    }

    fn is_large_upload(&self) -> bool {
        matches!(self.task.work, Work::Store { bytes } if bytes >= LARGE_BYTES)
    }

    /// Removes what was stored.
    fn remove(&self, done: usize) -> Result<(), String> {
        let path = self.task.served.join(self.task.store_into).join(format!("{}-{done}", self.number));
        std::fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn work(mut self) -> Result<Done, String> {
        let begin = Instant::now();
        let (mut bytes, mut times) = (0, Vec::with_capacity(1 << 16));
        let (mut failed, mut failed_in_a_row) = (0, 0);
        let (mut last, mut paused, mut aside) = (begin, Duration::ZERO, Duration::ZERO);
        while times.is_empty()
            || (last - begin < self.task.duration + paused
                && (times.len() as u64) < self.task.most_per_connection)
        {
            match self.piece(times.len()) {
                Ok(moved) => bytes += moved,
                Err(why) if self.task.work != Work::Login || failed_in_a_row >= PATIENCE => return Err(why),
                // The time that it took is part of the time of all, so a loss costs what it costs a client.
                Err(_) => {
                    (failed, failed_in_a_row) = (failed + 1, failed_in_a_row + 1);
                    last = Instant::now();
                    continue;
                }
            }
            failed_in_a_row = 0;
            let now = Instant::now();
            times.push(now - last);
            last = now;
            if self.is_large_upload() {
                let before = time_of(ClockId::ThreadCPUTime);
                self.remove(times.len() - 1)?;
                last = Instant::now();
                paused += last - now;
                aside += time_of(ClockId::ThreadCPUTime).saturating_sub(before);
            }
        }
        let agreed = self.control.as_ref().and_then(Control::agreed);
        let busy = last - begin - paused;
        failed += self.retried;
        Ok(Done { _control: self.control, agreed, bytes, times, failed, busy, aside })
    }

    /// One piece; the bytes that it moved.
    fn piece(&mut self, done: usize) -> Result<u64, String> {
        match self.task.work {
            Work::Login => {
                let mut control = Control::log_in(self.target, false)?;
                control.command(b"QUIT\r\n", &[221])?;
                // Known from the first one, which is enough.
                self.control.get_or_insert(control);
                Ok(0)
            }
            Work::Retrieve { files, taken } => {
                // Connections begin at different files, so that no two ask for the same one in step.
                let file = (done + self.number * files.count / self.task.connections) % files.count;
                let (bytes, _) = self.take(file, taken)?;
                match bytes == files.bytes {
                    true => Ok(bytes),
                    false => Err(format!("{} came with {bytes} of {} bytes", files.name(file), files.bytes)),
                }
            }
            Work::List { verb, directory, entries } => {
                let (bytes, lines) = self.take(0, Taken::Lines)?;
                match lines >= entries {
                    true => Ok(bytes),
                    false => Err(format!("{verb} {directory} has {lines} lines for {entries} entries")),
                }
            }
            Work::Store { bytes } => self.store(done, bytes),
        }
    }

    fn take(&mut self, line: usize, taken: Taken) -> Result<(u64, u64), String> {
        let control = self.control.as_mut().expect("transfers have a control connection");
        let socket = data_connection(control, &mut self.retried)?;
        control.command(&self.lines[line], &[125, 150])?;
        let came = self.buffer.take(socket, control.session.as_ref(), taken);
        let came = came.map_err(|error| format!("data connection: {error}"))?;
        control.expect("the end of the transfer", &[226])?;
        Ok((came.bytes, came.lines))
    }

    fn store(&mut self, done: usize, bytes: u64) -> Result<u64, String> {
        let control = self.control.as_mut().expect("transfers have a control connection");
        let socket = data_connection(control, &mut self.retried)?;
        self.line.clear();
        write!(self.line, "STOR {}/{}-{done}\r\n", self.task.store_into, self.number)
            .map_err(|error| error.to_string())?;
        control.command(&self.line, &[125, 150])?;
        self.buffer
            .give(socket, control.session.as_ref(), bytes)
            .map_err(|error| format!("data connection: {error}"))?;
        control.expect("the end of the transfer", &[226])?;
        Ok(bytes)
    }
}
