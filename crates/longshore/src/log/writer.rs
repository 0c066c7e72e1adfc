//! Writes lines from a thread of its own, so that a slow terminal or disk never holds up a transfer.
//!
//! Not inside: what the lines say. The queue is bounded; what does not fit, or cannot be written, is counted and said
//! when writing works again. Those who say something are tasks that must not wait, so what matters more has more of
//! the queue instead.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limits::{LOG_QUEUE_BYTES, LOG_QUEUE_CHATTER_BYTES, LOG_QUEUE_ORDINARY_BYTES};

/// Where lines go.
pub(super) enum Sink {
    Console,
    File(File),
}

/// How much of the queue a line may find filled and still be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Traces.
    Chatter,
    /// Comings and goings.
    Ordinary,
    /// What somebody will look for: transfers, logins, changes.
    Record,
}

/// Lines that are missing, and what the last failure was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) lines: u64,
    pub(super) why: String,
}

/// How it is said that lines are missing.
pub(super) enum Remark {
    /// By a line among the others.
    Here(Saying<Vec<u8>>),
    /// Somewhere else, when writing works again.
    Elsewhere(Saying<()>),
}

type Saying<T> = Box<dyn Fn(&Lost) -> T + Send>;

/// A thread that writes. Dropped, it writes what is left and ends.
pub(super) struct Writer {
    queue: Arc<Queue>,
    /// Says at the end what was lost and could not be said.
    ended: Mutex<Receiver<Option<Lost>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that were not taken.
    refused: u64,
    closed: bool,
}

impl Weight {
    fn share_bytes(self) -> usize {
        match self {
            Weight::Chatter => LOG_QUEUE_CHATTER_BYTES,
            Weight::Ordinary => LOG_QUEUE_ORDINARY_BYTES,
            Weight::Record => LOG_QUEUE_BYTES,
        }
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, weight: Weight, line: Vec<u8>) -> Result<(), Vec<u8>> {
        let mut state = self.state();
        if state.closed {
            return Err(line);
        }
        let fits = state.lines.is_empty() || state.bytes + line.len() <= weight.share_bytes();
        if !fits {
            state.refused += 1;
            return Ok(());
        }
        state.bytes += line.len();
        state.lines.push_back(line);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next line, and how many were refused before it; `None` at the end.
    fn next(&self) -> (Option<Vec<u8>>, u64) {
        let mut state = self.state();
        while state.lines.is_empty() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let line = state.lines.pop_front();
        state.bytes -= line.as_ref().map_or(0, Vec::len);
        (line, std::mem::take(&mut state.refused))
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }
}

impl Writer {
    /// Begins to write.
    pub(super) fn start(sink: Sink, remark: Remark) -> Writer {
        let queue = Arc::new(Queue::default());
        let (done, ended) = sync_channel(1);
        let lines = queue.clone();
        std::thread::spawn(move || {
            let mut page = Page { sink, remark, torn: false, lost: None };
            loop {
                let (line, refused) = lines.next();
                page.count(refused, "the output is too slow");
                let Some(line) = line else { break };
                page.write(line);
            }
            page.end();
            // Whoever waited may have given up.
            let _ = done.try_send(page.lost);
        });
        Writer { queue, ended: Mutex::new(ended) }
    }

    /// Never waits. The end of the line is added. One that comes after [`finish`](Writer::finish) is given back.
    pub(super) fn say(&self, weight: Weight, line: Vec<u8>) -> Result<(), Vec<u8>> {
        self.queue.say(weight, line)
    }

    /// Writes what is left, but no longer than this: a pipe that nobody reads must not keep the program from
    /// ending. What was lost and never said comes back.
    pub(super) fn finish(&self, grace: Duration) -> Option<Lost> {
        self.queue.close();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(grace).ok().flatten()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// What is written to, and what is wrong with it.
struct Page {
    sink: Sink,
    remark: Remark,
    /// Whether the last line is there in part.
    torn: bool,
    lost: Option<Lost>,
}

impl Page {
    fn count(&mut self, lines: u64, why: &str) {
        if lines > 0 {
            let before = self.lost.take().map_or(0, |lost| lost.lines);
            self.lost = Some(Lost { lines: before + lines, why: why.to_owned() });
        }
    }

    /// Writes a line, and before it that some were lost.
    fn write(&mut self, line: Vec<u8>) {
        match self.put_after_remark(&[line, vec![b'\n']].concat()) {
            Ok(()) => {
                if let (Some(lost), Remark::Elsewhere(say)) = (self.lost.take(), &self.remark) {
                    say(&lost);
                }
            }
            Err(error) => self.count(1, &error.to_string()),
        }
    }

    /// No line follows any more.
    fn end(&mut self) {
        if matches!(self.remark, Remark::Here(_)) && self.lost.is_some() && self.put_after_remark(b"").is_ok()
        {
            self.lost = None;
        }
    }

    fn put_after_remark(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let mut bytes = Vec::with_capacity(lines.len());
        if self.torn {
            bytes.push(b'\n');
        }
        if let (Some(lost), Remark::Here(said)) = (&self.lost, &self.remark) {
            bytes.extend(said(lost));
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(lines);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            // Without the buffer of std, which would keep what could not be written and write it later.
            let written = match &self.sink {
                Sink::Console => rustix::io::write(std::io::stdout(), rest),
                Sink::File(file) => rustix::io::write(file, rest),
            };
            match written {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.torn = rest[count - 1] != b'\n';
                    rest = &rest[count..];
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn what_matters_less_finds_the_queue_full_first() {
        let queue = Queue::default();
        let line = || vec![b'x'; LOG_QUEUE_BYTES / 16];
        let fill = |weight| (0..32).for_each(|_| queue.say(weight, line()).expect("it is open"));
        fill(Weight::Chatter);
        assert_eq!(queue.state().bytes, LOG_QUEUE_CHATTER_BYTES);
        fill(Weight::Ordinary);
        assert_eq!(queue.state().bytes, LOG_QUEUE_ORDINARY_BYTES);
        fill(Weight::Record);
        assert_eq!(queue.state().bytes, LOG_QUEUE_BYTES);
        assert_eq!(queue.state().refused, 3 * 32 - 16);
        let (first, refused) = queue.next();
        assert_eq!((first, refused), (Some(line()), 3 * 32 - 16));
        assert_eq!(queue.next().1, 0);
        // One that is larger than the whole queue is taken when there is nothing else.
        let queue = Queue::default();
        queue.say(Weight::Chatter, vec![b'x'; 2 * LOG_QUEUE_BYTES]).expect("it is open");
        assert_eq!(queue.state().refused, 0);
        queue.close();
        assert_eq!(queue.say(Weight::Record, line()), Err(line()));
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_said_later() {
        let path = std::env::temp_dir().join(format!("longshore-writer-{}", std::process::id()));
        let full = OpenOptions::new().append(true).open("/dev/full").expect("Linux has it");
        let remark = Remark::Here(Box::new(|lost| format!("{} lost: {}", lost.lines, lost.why).into_bytes()));
        let mut page = Page { sink: Sink::File(full), remark, torn: false, lost: None };
        page.write(b"one".to_vec());
        page.count(5, "the output is too slow");
        page.write(b"two".to_vec());
        page.torn = true;
        page.sink = Sink::File(File::create(&path).expect("a file"));
        page.write(b"three".to_vec());
        page.write(b"four".to_vec());
        let written = std::fs::read_to_string(&path).expect("it can be read");
        std::fs::remove_file(&path).expect("it is ours");
        assert_eq!(written, "\n7 lost: No space left on device (os error 28)\nthree\nfour\n");
    }
}
