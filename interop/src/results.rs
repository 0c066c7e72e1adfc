//! What worked, one line each, for the table that `cargo xtask interop` prints.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

/// What a panic carries.
type Panic = Box<dyn std::any::Any + Send>;

/// The folder of the programs that are built in the same profile as ours: a test lies in its `deps`.
pub(crate) fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().expect("the system knows our own program");
    let folder = program.parent().expect("a program lies in a folder");
    let folder =
        if folder.ends_with("deps") { folder.parent().expect("deps lies in a folder") } else { folder };
    folder.to_path_buf()
}

/// The folder for what is neither built nor thrown away with a test: results, and what the peers brought.
pub(crate) fn shared_folder() -> PathBuf {
    profile_folder().with_file_name("interop")
}

/// Runs a test and writes down whether `client` could do `operation` when it connects this `way`.
///
/// # Panics
/// As the test does, after the line is written.
pub fn recorded(client: &str, operation: &str, way: &str, test: impl FnOnce()) {
    let outcome = attempt(client, operation, way, test);
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// As [`recorded`], but leaves the panic to the caller.
pub(crate) fn attempt(client: &str, operation: &str, way: &str, test: impl FnOnce()) -> Result<(), Panic> {
    let outcome = catch_unwind(AssertUnwindSafe(test));
    write_line(&format!("{client}\t{operation}\t{way}\t{}\n", if outcome.is_ok() { "ok" } else { "FAILED" }));
    outcome
}

/// One write, so that tests side by side do not mix their lines.
fn write_line(line: &str) {
    let folder = shared_folder();
    fs::create_dir_all(&folder).expect("a folder for the results");
    let file = OpenOptions::new().append(true).create(true).open(folder.join("results.tsv"));
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("a line for the results");
}
