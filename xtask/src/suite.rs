//! `cargo xtask test`: every check in order, each with its name, its time and the command that repeats it alone.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::peers::Install;
use crate::process::{cargo, run as run_command};
use crate::{Result, borders, fuzz, interop, licences, mutations, peers, system_calls, tidy};

struct Step {
    name: &'static str,
    action: Action,
}

enum Action {
    /// A cargo command, and what it finds in its environment.
    Cargo { arguments: &'static [&'static str], environment: &'static [(&'static str, &'static str)] },
    /// A command of this program that bears the name of the step.
    Own(fn(&Path) -> Result<()>),
    /// One that may install what it needs.
    Installing(fn(&Path, Install) -> Result<()>),
}

/// In the order of what is found fastest; nothing is built twice in different profiles.
const STEPS: &[Step] = &[
    Step { name: "format", action: cargo_step(&["fmt", "--all", "--check"]) },
    // A workspace of its own, which the others do not see.
    Step {
        name: "format of fuzz",
        action: cargo_step(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]),
    },
    Step { name: "tidy", action: Action::Own(|root| tidy::check(root, tidy::Mode::Check)) },
    Step { name: "borders", action: Action::Own(borders::check) },
    Step { name: "licences", action: Action::Own(licences::check) },
    Step {
        name: "clippy",
        action: cargo_step(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    Step {
        name: "documentation",
        action: Action::Cargo {
            arguments: &["doc", "--locked", "--workspace", "--no-deps"],
            environment: &[("RUSTDOCFLAGS", "-D warnings")],
        },
    },
    Step {
        name: "tests",
        action: Action::Cargo {
            arguments: &[
                "test",
                "--locked",
                "--workspace",
                "--exclude",
                "longshore-interop",
                "--no-fail-fast",
            ],
            environment: &[(REQUIRE_PEERS, "1")],
        },
    },
    Step { name: "system-calls", action: Action::Own(|root| system_calls::run(root, &[])) },
    Step { name: "mutations", action: Action::Own(|root| mutations::run(root, &[])) },
    Step { name: "fuzz", action: Action::Installing(fuzz::run_in_suite) },
    Step { name: "interop", action: Action::Own(|root| interop::run(root, interop::Mode::Check)) },
];

/// With this in the environment a test that lacks a foreign program fails; without it, it says so and passes.
pub(crate) const REQUIRE_PEERS: &str = "LONGSHORE_REQUIRE_PEERS";

const fn cargo_step(arguments: &'static [&'static str]) -> Action {
    Action::Cargo { arguments, environment: &[] }
}

impl Step {
    fn run(&self, root: &Path, install: Install) -> Result<()> {
        match &self.action {
            Action::Own(function) => function(root),
            Action::Installing(function) => function(root, install),
            Action::Cargo { arguments, environment } => {
                run_command(cargo(root).args(*arguments).envs(environment.iter().copied()))
            }
        }
    }

    /// What to type to repeat this step alone.
    fn command(&self) -> String {
        match &self.action {
            Action::Own(_) | Action::Installing(_) => format!("cargo xtask {}", self.name),
            Action::Cargo { arguments, environment } => {
                let assignments = environment.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
                let words = arguments.iter().map(|word| quoted(word));
                assignments.chain(["cargo".to_owned()]).chain(words).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// Runs the peers' step and then every other; stops at the first that fails.
pub(crate) fn run(root: &Path, install: Install) -> Result<()> {
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let count = STEPS.len() + 1;
    let begin = Instant::now();
    let mut timed = |name: &'static str, command: &str, action: &dyn Fn() -> Result<()>| -> Result<()> {
        let number = times.len() + 1;
        println!("\n==== step {number} of {count} begins: {name} ({command})");
        let start = Instant::now();
        let outcome = action();
        let taken = start.elapsed();
        times.push((name, taken));
        match outcome {
            Ok(()) => {
                println!("==== step {number} of {count} is done: {name}, {}", seconds(taken));
                Ok(())
            }
            Err(error) => Err(format!(
                "step {number} of {count} FAILED after {}: {name}\n{error}\nto repeat it alone: {command}",
                seconds(taken)
            )
            .into()),
        }
    };
    let peers_command =
        if install == Install::Never { "cargo xtask peers --no-install" } else { "cargo xtask peers" };
    timed("peers", peers_command, &|| peers::ensure(root, install))?;
    for step in STEPS {
        timed(step.name, &step.command(), &|| step.run(root, install))?;
    }
    println!("\nall {count} steps passed in {}:", seconds(begin.elapsed()));
    for (name, taken) in times {
        println!("  {name:<14} {:>8}", seconds(taken));
    }
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_can_be_repeated_alone() {
        for step in STEPS {
            assert!(step.command().contains("cargo "), "{}", step.name);
        }
        let command = |name: &str| STEPS.iter().find(|step| step.name == name).map(Step::command);
        assert_eq!(command("tidy").as_deref(), Some("cargo xtask tidy"));
        assert_eq!(
            command("clippy").as_deref(),
            Some("cargo clippy --locked --workspace --all-targets -- -D warnings")
        );
        let documentation = "RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps";
        assert_eq!(command("documentation").as_deref(), Some(documentation));
    }
}
