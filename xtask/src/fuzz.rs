//! `cargo xtask fuzz`: the fuzz targets of `fuzz/` on nightly, with the seeds that are checked in as the first corpus.
//!
//! What is found on the way is kept in `fuzz/corpus` and `fuzz/artifacts`, which git ignores; a failure becomes a seed
//! by hand, under a name that says what it shows.
//!
//! Not inside: the targets and what must hold; on stable, `cargo test -p longshore-proto --test properties` runs the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::peers::Install;
use crate::process::{cargo, find_program, run as run_command};

/// The version of cargo-fuzz that is installed where there is none.
const CARGO_FUZZ_VERSION: &str = "0.13.2";
/// Seconds for each target where nobody says how many.
const SECONDS: u64 = 60;
/// Seconds for each target within `cargo xtask test`.
const SECONDS_IN_SUITE: u64 = 5;
/// No input may take longer than this: an endless loop is a finding.
const INPUT_LIMIT_SECONDS: u64 = 20;
/// Lines of a fuzzer that are shown where it fails.
const SHOWN_LINES: usize = 60;

/// What is to be fuzzed, and for how long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// All where it is `None`.
    target: Option<String>,
    seconds: u64,
}

impl Options {
    /// Reads `[target] [--seconds n]`; an error names the word that is wrong.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Options> {
        let mut options = Options { target: None, seconds: SECONDS };
        let mut words = arguments.iter();
        while let Some(&word) = words.next() {
            match word {
                "--seconds" => {
                    let number = words.next().ok_or("--seconds needs a number behind it")?;
                    let seconds = number.parse().ok().filter(|&seconds| seconds > 0);
                    options.seconds =
                        seconds.ok_or_else(|| format!("--seconds {number}: not a number above 0"))?;
                }
                word if word.starts_with('-') => return Err(format!("fuzz has no option {word}").into()),
                word if options.target.is_some() => {
                    return Err(format!("{word}: fuzz takes one target, or none for all").into());
                }
                word => options.target = Some(word.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Fuzzes; an error where a property does not hold, and where there is nothing to fuzz with.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    if let Some(lack) = lack() {
        return Err(lack.into());
    }
    fuzz(root, options, Install::WhereAllowed)
}

/// A short run of every target, where the machine has what it takes; where not, one line says what is missing.
pub(crate) fn run_in_suite(root: &Path, install: Install) -> Result<()> {
    let lack = lack().or_else(|| {
        let missing = install == Install::Never && !has_cargo_fuzz();
        missing.then(|| format!("cargo-fuzz is not installed; {}", install_command().join(" ")))
    });
    match lack {
        Some(lack) => {
            println!("fuzz: nothing is fuzzed here: {lack}");
            Ok(())
        }
        None => fuzz(root, &Options { target: None, seconds: SECONDS_IN_SUITE }, install),
    }
}

/// What fuzzing needs and this program does not install.
fn lack() -> Option<String> {
    let succeeds = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !succeeds(nightly().args(["rustc", "--version"])) {
        return Some(
            "no nightly toolchain is installed; rustup toolchain install nightly --profile minimal"
                .to_owned(),
        );
    }
    if find_program("c++").is_none() {
        return Some(
            "there is no C++ compiler, which libFuzzer is built with; apt-get install g++".to_owned(),
        );
    }
    None
}

/// A command of the nightly toolchain.
fn nightly() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]);
    command
}

fn has_cargo_fuzz() -> bool {
    let mut command = nightly();
    command.args(["cargo", "fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn install_command() -> [&'static str; 6] {
    ["cargo", "install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ_VERSION]
}

/// cargo-fuzz in the folder of the targets. There is no `unsafe` to be watched by a sanitizer, and without one a target
/// runs several times as many inputs.
fn cargo_fuzz(root: &Path, command: &str) -> Command {
    let mut words = nightly();
    words.current_dir(root.join("fuzz")).args(["cargo", "fuzz", command, "--sanitizer", "none"]);
    words.arg("--target-dir").arg(root.join("target/fuzz"));
    // A failure is understood on stable; here its first line is what matters.
    words.env("RUST_BACKTRACE", "0");
    words
}

fn fuzz(root: &Path, options: &Options, install: Install) -> Result<()> {
    let all = targets(root)?;
    let chosen: Vec<&str> = match &options.target {
        None => all.iter().map(String::as_str).collect(),
        Some(target) if all.contains(target) => vec![target],
        Some(target) => {
            return Err(format!("there is no target {target}; there are {}", all.join(", ")).into());
        }
    };
    if install == Install::WhereAllowed && !has_cargo_fuzz() {
        println!("fuzz: installing cargo-fuzz {CARGO_FUZZ_VERSION}");
        run_command(cargo(root).args(&install_command()[1..]))?;
    }
    // An outdated lock file would be written anew in silence.
    let locked = ["tree", "--locked", "--quiet", "--depth", "0", "--manifest-path", "fuzz/Cargo.toml"];
    run_command(cargo(root).args(locked).stdout(Stdio::null()))?;
    run_command(cargo_fuzz(root, "build").args(options.target.as_deref()))?;
    let mut failures = Vec::new();
    println!("fuzz: {} s for each target; new inputs are kept in fuzz/corpus", options.seconds);
    for target in chosen {
        if let Err(failure) = fuzz_target(root, target, options.seconds) {
            println!("fuzz: {failure}");
            failures.push(target);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(format!("fuzzing failed: {}", failures.join(", ")).into()) }
}

/// The names of the targets, sorted.
fn targets(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("fuzz/targets"))? {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn fuzz_target(root: &Path, target: &str, seconds: u64) -> Result<()> {
    let corpus = root.join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let mut command = cargo_fuzz(root, "run");
    command.arg(target).args([corpus, root.join("fuzz/seeds").join(target)]);
    command.args([
        "--",
        &format!("-max_total_time={seconds}"),
        &format!("-timeout={INPUT_LIMIT_SECONDS}"),
        "-print_final_stats=1",
    ]);
    let output = command.output().map_err(|error| format!("cargo fuzz did not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let report = Report::read(&text);
    if output.status.success() {
        println!("fuzz: {target:<11} {report}");
        return Ok(());
    }
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
    Err(format!("{tail}\n{target} FAILED after {report}\n{}", advice(root, target, &text)).into())
}

/// What to do with what a fuzzer has found.
fn advice(root: &Path, target: &str, output: &str) -> String {
    let Some(input) = written_input(output) else {
        return "it names no input; the lines above say why".to_owned();
    };
    let input = root.join("fuzz").join(input);
    let path = input.display();
    format!(
        "the input:             {path}\n\
         to repeat it, stable:  LONGSHORE_PROPERTY_INPUT={path} cargo test -p longshore-proto --test properties {target}\n\
         to make it smaller:    cd fuzz && cargo +nightly fuzz tmin --sanitizer none --target-dir ../target/fuzz {target} {path}\n\
         once it is understood: keep it as fuzz/seeds/{target}/ and a name that says what it shows"
    )
}

/// The file that holds the input that failed.
fn written_input(output: &str) -> Option<PathBuf> {
    let line = output.lines().rev().find(|line| line.contains("Test unit written to "))?;
    line.split("Test unit written to ").nth(1).map(|path| PathBuf::from(path.trim()))
}

/// What a fuzzer says of its run, where it does.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    executions: Option<u64>,
    /// Edges of the code that were reached.
    coverage: Option<u64>,
    new_inputs: Option<u64>,
}

impl Report {
    fn read(output: &str) -> Report {
        let number_behind = |mark: &str| {
            let line = output.lines().rev().find(|line| line.contains(mark))?;
            line.split(mark).nth(1)?.split_whitespace().next()?.parse().ok()
        };
        Report {
            executions: number_behind("stat::number_of_executed_units:"),
            coverage: number_behind(" cov: "),
            new_inputs: number_behind("stat::new_units_added:"),
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
        let (executions, coverage) = (shown(self.executions), shown(self.coverage));
        let new = shown(self.new_inputs);
        write!(f, "{executions:>9} executions, {coverage:>5} edges covered, {new:>4} new inputs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let parse = |words: &[&str]| Options::parse(words).map_err(|error| error.to_string());
        let options =
            |target: Option<&str>, seconds| Ok(Options { target: target.map(str::to_owned), seconds });
        assert_eq!(parse(&[]), options(None, SECONDS));
        assert_eq!(parse(&["line"]), options(Some("line"), SECONDS));
        assert_eq!(parse(&["--seconds", "7", "line"]), options(Some("line"), 7));
        for (words, part) in [
            (&["--seconds"][..], "needs a number"),
            (&["--seconds", "0"], "0: not a number above 0"),
            (&["--seconds", "x"], "x: not a number"),
            (&["--second", "1"], "no option --second"),
            (&["line", "reply"], "reply: fuzz takes one target"),
        ] {
            assert!(parse(words).unwrap_err().contains(part), "{words:?}");
        }
    }

    #[test]
    fn a_run_is_read_from_what_the_fuzzer_says() {
        let output = "#2\tINITED cov: 10 ft: 11 corp: 1/1b\n#512\tNEW    cov: 731 ft: 900 corp: 9/99b\n\
                      stat::number_of_executed_units: 13682\nstat::average_exec_per_sec:     912\n\
                      stat::new_units_added:          12\n";
        let report = Report::read(output);
        let expected = Report { executions: Some(13_682), coverage: Some(731), new_inputs: Some(12) };
        assert_eq!(report, expected);
        assert_eq!(report.to_string(), "    13682 executions,   731 edges covered,   12 new inputs");
        assert_eq!(Report::read("killed"), Report::default());
    }

    #[test]
    fn a_failure_names_its_input_and_how_to_repeat_it() {
        let output = "x\nartifact_prefix='a/'; Test unit written to artifacts/line/crash-12\nstat::x: 1\n";
        let text = advice(Path::new("/checkout"), "line", output);
        let path = "/checkout/fuzz/artifacts/line/crash-12";
        assert!(text.contains(&format!("LONGSHORE_PROPERTY_INPUT={path} cargo test")), "{text}");
        assert!(advice(Path::new("/checkout"), "line", "killed").contains("no input"));
    }
}
