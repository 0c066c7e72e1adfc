//! What is written down: the log, and beside it the xferlog where one is wished for.
//!
//! Not inside: which events there are, how each format writes them ([`text`], [`json`], [`xferlog`]), and the writing
//! itself ([`writer`]), which holds up no session.

mod json;
mod text;
mod writer;
mod xferlog;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use longshore_server::{Event, EventKind, Observer};

use crate::Failure;
use crate::cli::LogFormat;
use crate::config;
use crate::limits::{LOG_FILE_MODE, LOG_GRACE};
use writer::{Lost, Remark, Sink, Weight, Writer};

/// Prints what went wrong with the command itself.
pub(crate) fn complain(failure: &Failure) {
    print_error(&format!("longshore: {}\n", failure.what));
    if let Some(hint) = &failure.hint {
        print_error(&format!("\nhint: {hint}\n"));
    }
}

/// Prints what a command was asked for.
#[allow(clippy::print_stdout, reason = "the one place where a command answers")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

/// Prints what is for people and not for whoever reads standard output.
#[allow(clippy::print_stderr, reason = "the one place where the program complains")]
pub(crate) fn print_error(text: &str) {
    eprint!("{text}");
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// The files of a log, opened and not in use yet.
pub(crate) struct Opened {
    form: Form,
    /// Standard output where there is none.
    file: Option<(PathBuf, File)>,
    xferlog: Option<(PathBuf, File)>,
}

/// Where events go. Clones write to the same place.
#[derive(Clone)]
pub(crate) struct Log {
    outputs: Arc<RwLock<Arc<Outputs>>>,
}

struct Outputs {
    form: Form,
    /// Whether the log shares standard output with the announcement.
    on_console: bool,
    main: Arc<Writer>,
    xferlog: Option<Writer>,
}

impl Opened {
    /// Opens what is asked for, each file at its end.
    pub(crate) fn open(settings: &config::Log) -> Result<Opened, Failure> {
        let mut wrong = Vec::new();
        let mut open = |path: &Option<PathBuf>| -> Option<(PathBuf, File)> {
            let path = path.as_ref()?;
            match append_to(path) {
                Ok(file) => Some((path.clone(), file)),
                Err(error) => {
                    wrong.push(format!("the log file {} cannot be opened: {error}", path.display()));
                    None
                }
            }
        };
        let (file, xferlog) = (open(&settings.file), open(&settings.xferlog));
        if !wrong.is_empty() {
            return Err(Failure::new(wrong.join("\n"))
                .hint("make its directory, and let the user who serves write there"));
        }
        let on_terminal = file.is_none() && std::io::stdout().is_terminal();
        let form = match settings.format {
            LogFormat::Text => Form::Text,
            LogFormat::Json => Form::Json,
            LogFormat::Auto if on_terminal => Form::Text,
            LogFormat::Auto => Form::Json,
        };
        Ok(Opened { form, file, xferlog })
    }
}

fn append_to(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(LOG_FILE_MODE).open(path)
}

impl Outputs {
    /// `before` goes on where it writes to standard output, too.
    fn new(opened: Opened, before: Option<&Outputs>) -> Outputs {
        let Opened { form, file, xferlog } = opened;
        let on_console = file.is_none();
        let main = match (file, before) {
            (None, Some(before)) if before.on_console && before.form == form => before.main.clone(),
            (file, _) => {
                let sink = file.map_or(Sink::Console, |(_, file)| Sink::File(file));
                let said = move |lost: &Lost| remark(form, &lost_lines(lost, "this log"));
                Arc::new(Writer::start(sink, Remark::Here(Box::new(said))))
            }
        };
        let xferlog = xferlog.map(|(path, file)| {
            // Its format has no place for remarks.
            let (main, shown) = (main.clone(), path.display().to_string());
            let say = move |lost: &Lost| {
                // Refused only when the main log ends too: there is no other place for it.
                let _ = main.say(Weight::Record, remark(form, &lost_lines(lost, &shown)));
            };
            Writer::start(Sink::File(file), Remark::Elsewhere(Box::new(say)))
        });
        Outputs { form, on_console, main, xferlog }
    }

    fn main(&self) -> Option<&Writer> {
        Some(&self.main)
    }

    fn xferlog(&self) -> Option<&Writer> {
        self.xferlog.as_ref()
    }

    fn finish_xferlog(&self) {
        if let Some(lost) = self.xferlog.as_ref().and_then(|xferlog| xferlog.finish(LOG_GRACE)) {
            let _ = self.main.say(Weight::Record, remark(self.form, &lost_lines(&lost, "the xferlog")));
        }
    }
}

impl Log {
    pub(crate) fn start(opened: Opened) -> Log {
        Log { outputs: Arc::new(RwLock::new(Arc::new(Outputs::new(opened, None)))) }
    }

    fn outputs(&self) -> Arc<Outputs> {
        // Nothing panics while it is locked.
        self.outputs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes a line to what was in use a moment ago, or to what has taken its place meanwhile.
    fn put(
        &self,
        outputs: &Arc<Outputs>,
        to: fn(&Outputs) -> Option<&Writer>,
        weight: Weight,
        line: Vec<u8>,
    ) {
        let (mut outputs, mut line) = (outputs.clone(), line);
        while let Some(Err(back)) = to(&outputs).map(|writer| writer.say(weight, line)) {
            let newest = self.outputs();
            if Arc::ptr_eq(&newest, &outputs) {
                // The program ends.
                return;
            }
            (outputs, line) = (newest, back);
        }
    }

    /// Writes to these files from now on, and waits a little until those before are written.
    pub(crate) fn exchange(&self, opened: Opened) {
        let before = self.outputs();
        let outputs = Arc::new(Outputs::new(opened, Some(&before)));
        *self.outputs.write().unwrap_or_else(PoisonError::into_inner) = outputs.clone();
        before.finish_xferlog();
        if !Arc::ptr_eq(&before.main, &outputs.main)
            && let Some(lost) = before.main.finish(LOG_GRACE)
        {
            self.note(&lost_lines(&lost, "the log before"));
        }
    }

    /// Whether the announcement and the log are read in one place.
    pub(crate) fn is_announced(&self) -> bool {
        let outputs = self.outputs();
        outputs.on_console && outputs.form == Form::Text
    }

    /// Shows people what was started: on standard output, unless programs read that.
    pub(crate) fn announce(&self, text: &str) {
        let outputs = self.outputs();
        match (outputs.form, outputs.on_console) {
            // In order with the lines that follow.
            (Form::Text, true) => self.put(&outputs, Outputs::main, Weight::Record, text.as_bytes().to_vec()),
            (Form::Text, false) => print(&format!("{text}\n")),
            (Form::Json, _) => print_error(&format!("{text}\n")),
        }
    }

    /// Writes down something that is no event of the server.
    pub(crate) fn note(&self, what: &str) {
        let outputs = self.outputs();
        self.put(&outputs, Outputs::main, Weight::Record, remark(outputs.form, what));
    }

    /// Waits until all that was said is written, or nobody reads it any more.
    pub(crate) fn finish(self) {
        let outputs = self.outputs();
        outputs.finish_xferlog();
        // What could not be written by now has no other place to be said.
        let _ = outputs.main.finish(LOG_GRACE);
    }
}

impl Observer for Log {
    fn observe(&self, event: &Event) {
        let outputs = self.outputs();
        let now = Timestamp::now();
        let weight = weight(&event.kind);
        match outputs.form {
            Form::Json => {
                if let Some(object) = json::object(now, event) {
                    self.put(&outputs, Outputs::main, weight, object.into_bytes());
                }
            }
            Form::Text => {
                for line in text::lines(event, outputs.on_console) {
                    self.put(
                        &outputs,
                        Outputs::main,
                        weight,
                        format!("{} {line}", text::clock(now)).into_bytes(),
                    );
                }
            }
        }
        if let Some(line) = xferlog::line(now, event) {
            self.put(&outputs, Outputs::xferlog, Weight::Record, line);
        }
    }
}

/// What is given up first when lines come faster than they can be written.
fn weight(kind: &EventKind) -> Weight {
    match kind {
        EventKind::Dialogue { .. } => Weight::Chatter,
        EventKind::Connected
        | EventKind::SentAway { .. }
        | EventKind::ClientNamed { .. }
        | EventKind::Ended { .. } => Weight::Ordinary,
        _ => Weight::Record,
    }
}

fn remark(form: Form, what: &str) -> Vec<u8> {
    let now = Timestamp::now();
    let lines: Vec<String> = match form {
        Form::Text => what.lines().map(|line| format!("{} {}", text::clock(now), text::safe(line))).collect(),
        Form::Json => vec![json::notice(now, what)],
    };
    lines.join("\n").into_bytes()
}

fn lost_lines(lost: &Lost, of: &str) -> String {
    format!("{} lines of {of} were lost: {}", lost.lines, lost.why)
}
