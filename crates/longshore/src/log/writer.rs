//! Writes lines from a thread of its own, so that a slow terminal or disk never holds up a transfer.
//!
//! Lines that come close to each other are written together: a line waits for a few milliseconds at most, and a burst of
//! them wakes nobody. The queue is bounded; what does not fit, or cannot be written, is counted and said when writing
//! works again. Those who say something are tasks that must not wait, so what matters more has more of the queue instead.
//!
//! Not inside: what the lines say.

use std::fs::File;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limits::{
    LOG_QUEUE_BYTES, LOG_QUEUE_CHATTER_BYTES, LOG_QUEUE_ORDINARY_BYTES, LOG_QUEUE_URGENT_BYTES, LOG_REST,
};

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
    /// Lines with their ends, as they will be written.
    text: Vec<u8>,
    /// Lines that were not taken.
    refused: u64,
    closed: bool,
    reader: Reader,
}

/// What whoever writes is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reader {
    #[default]
    Writing,
    /// It lets some lines gather before it looks again.
    Resting,
    /// Nothing came while it rested: the next line wakes it.
    Waiting,
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
        let fits = state.text.is_empty() || state.text.len() + line.len() < weight.share_bytes();
        if !fits {
            state.refused += 1;
            return Ok(());
        }
        state.text.extend_from_slice(&line);
        state.text.push(b'\n');
        // Waking somebody for each line would cost more than all the rest of it.
        let wake = match state.reader {
            Reader::Writing => false,
            Reader::Resting => state.text.len() >= LOG_QUEUE_URGENT_BYTES,
            Reader::Waiting => true,
        };
        drop(state);
        if wake {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Takes the next lines, in place of those in `text`, and says how many were refused since; `None` at the end. A line
    /// that comes after a silence is taken at once, those that follow it after a rest.
    fn next(&self, text: &mut Vec<u8>) -> Option<u64> {
        text.clear();
        let mut state = self.state();
        if !text_is_due(&state) {
            state.reader = Reader::Resting;
            let rested = self.changed.wait_timeout_while(state, LOG_REST, |state| !text_is_due(state));
            state = rested.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.text.is_empty() && !state.closed {
            state.reader = Reader::Waiting;
            let waited = self.changed.wait_while(state, |state| state.text.is_empty() && !state.closed);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.reader = Reader::Writing;
        std::mem::swap(&mut state.text, text);
        let ended = text.is_empty() && state.refused == 0 && state.closed;
        (!ended).then(|| std::mem::take(&mut state.refused))
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }
}

/// Whether there is a reason not to rest.
fn text_is_due(state: &State) -> bool {
    state.closed || state.text.len() >= LOG_QUEUE_URGENT_BYTES
}

impl Writer {
    /// Begins to write.
    pub(super) fn start(sink: Sink, remark: Remark) -> Writer {
        let queue = Arc::new(Queue::default());
        let (done, ended) = sync_channel(1);
        let lines = queue.clone();
        std::thread::spawn(move || {
            let mut page = Page { sink, remark, torn: false, lost: None };
            let mut text = Vec::new();
            while let Some(refused) = lines.next(&mut text) {
                page.count(refused, "the output is too slow");
                page.write(&text);
                // A burst is over one day; its room need not stay.
                text.shrink_to(LOG_QUEUE_URGENT_BYTES);
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

    /// Writes lines, and before them that some were lost.
    fn write(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        match self.put_after_remark(text) {
            Ok(()) => {
                if let (Some(lost), Remark::Elsewhere(say)) = (self.lost.take(), &self.remark) {
                    say(&lost);
                }
            }
            Err(Unwritten { lines, error }) => self.count(lines, &error.to_string()),
        }
    }

    /// No line follows any more.
    fn end(&mut self) {
        if matches!(self.remark, Remark::Here(_)) && self.lost.is_some() && self.put_after_remark(b"").is_ok()
        {
            self.lost = None;
        }
    }

    fn put_after_remark(&mut self, text: &[u8]) -> Result<(), Unwritten> {
        let mut before = Vec::new();
        if self.torn {
            before.push(b'\n');
        }
        if let (Some(lost), Remark::Here(said)) = (&self.lost, &self.remark) {
            before.extend(said(lost));
            before.push(b'\n');
        }
        self.put(&before).map_err(|(_, error)| Unwritten { lines: lines(text), error })?;
        if matches!(self.remark, Remark::Here(_)) {
            self.lost = None;
        }
        self.put(text).map_err(|(written, error)| Unwritten { lines: lines(&text[written..]), error })
    }

    /// Writes all of it; how much of it was written, where that fails.
    fn put(&mut self, bytes: &[u8]) -> Result<(), (usize, std::io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            let rest = &bytes[written..];
            // Without the buffer of std, which would keep what could not be written and write it later.
            let count = match &self.sink {
                Sink::Console => rustix::io::write(std::io::stdout(), rest),
                Sink::File(file) => rustix::io::write(file, rest),
            };
            match count {
                Ok(0) => return Err((written, std::io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.torn = rest[count - 1] != b'\n';
                    written += count;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err((written, errno.into())),
            }
        }
        Ok(())
    }
}

/// Lines that are not there, or not whole, and why.
struct Unwritten {
    lines: u64,
    error: std::io::Error,
}

fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn what_matters_less_finds_the_queue_full_first() {
        let queue = Queue::default();
        // With its end it fills a sixteenth.
        let line = || vec![b'x'; LOG_QUEUE_BYTES / 16 - 1];
        let fill = |weight| (0..32).for_each(|_| queue.say(weight, line()).expect("it is open"));
        let filled = || queue.state().text.len();
        fill(Weight::Chatter);
        assert_eq!(filled(), LOG_QUEUE_CHATTER_BYTES);
        fill(Weight::Ordinary);
        assert_eq!(filled(), LOG_QUEUE_ORDINARY_BYTES);
        fill(Weight::Record);
        assert_eq!(filled(), LOG_QUEUE_BYTES);
        assert_eq!(queue.state().refused, 3 * 32 - 16);
        let mut text = Vec::new();
        assert_eq!(queue.next(&mut text), Some(3 * 32 - 16));
        assert_eq!((text.len(), lines(&text), filled()), (LOG_QUEUE_BYTES, 16, 0));
        // One that is larger than the whole queue is taken when there is nothing else.
        queue.say(Weight::Chatter, vec![b'x'; 2 * LOG_QUEUE_BYTES]).expect("it is open");
        queue.close();
        assert_eq!(queue.say(Weight::Record, line()), Err(line()));
        assert_eq!(queue.next(&mut text), Some(0));
        assert_eq!(lines(&text), 1);
        assert_eq!(queue.next(&mut text), None);
    }

    #[test]
    fn lines_come_in_order_and_none_twice() {
        let path = std::env::temp_dir().join(format!("longshore-writer-order-{}", std::process::id()));
        let sink = Sink::File(File::create(&path).expect("a file"));
        let remark = Remark::Here(Box::new(|lost| format!("{} lost", lost.lines).into_bytes()));
        let writer = Writer::start(sink, remark);
        let said: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
        for line in &said {
            writer.say(Weight::Record, line.clone().into_bytes()).expect("it is open");
        }
        assert_eq!(writer.finish(Duration::from_secs(60)), None);
        let written = std::fs::read_to_string(&path).expect("it can be read");
        std::fs::remove_file(&path).expect("it is ours");
        assert_eq!(written.lines().collect::<Vec<_>>(), said);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_said_later() {
        let path = std::env::temp_dir().join(format!("longshore-writer-{}", std::process::id()));
        let full = OpenOptions::new().append(true).open("/dev/full").expect("Linux has it");
        let remark = Remark::Here(Box::new(|lost| format!("{} lost: {}", lost.lines, lost.why).into_bytes()));
        let mut page = Page { sink: Sink::File(full), remark, torn: false, lost: None };
        page.write(b"one\nand a half\n");
        page.count(5, "the output is too slow");
        page.write(b"two\n");
        page.torn = true;
        page.sink = Sink::File(File::create(&path).expect("a file"));
        page.write(b"three\n");
        page.write(b"four\nfive\n");
        let written = std::fs::read_to_string(&path).expect("it can be read");
        std::fs::remove_file(&path).expect("it is ours");
        assert_eq!(written, "\n8 lost: No space left on device (os error 28)\nthree\nfour\nfive\n");
    }
}
