//! The borders between the crates: which edges of the dependency graph may never exist.
//!
//! A crate is cut off where an edge has to be forbidden; this file is the list of those edges, held against
//! what cargo says the graph is. Transitive edges count: a leaf crate that pulls in a runtime is found too.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::process::{cargo, output};

/// What one crate of the workspace may reach.
struct Border {
    package: &'static str,
    /// Crates of this workspace that it may depend on, directly or not; every other one is forbidden.
    may_use: &'static [&'static str],
    /// Foreign crates that it may never reach; `*` is every crate at all.
    never: &'static [&'static str],
    why: &'static str,
}

const PATH: &str = "longshore-path";
const PROTO: &str = "longshore-proto";
const STORAGE: &str = "longshore-storage";
const ACCOUNTS: &str = "longshore-accounts";
const NET: &str = "longshore-net";
const TLS: &str = "longshore-tls";
const SERVER: &str = "longshore-server";
const CLIENT: &str = "longshore-client";

/// One row per package of the workspace, from the leaves to the binary.
const BORDERS: &[Border] = &[
    Border {
        package: PATH,
        may_use: &[],
        never: &["*"],
        why: "a path is a value; it needs std and nothing else",
    },
    Border {
        package: PROTO,
        may_use: &[PATH],
        never: &[
            "tokio",
            "mio",
            "async-io",
            "futures",
            "socket2",
            "rustix",
            "libc",
            "nix",
            "rustls",
            "tokio-rustls",
            "clap",
            "serde",
            "toml",
            "getrandom",
            "rpassword",
        ],
        why: "the protocol is values and state machines: no sockets, files, clocks, TLS, async, configuration",
    },
    Border {
        package: STORAGE,
        may_use: &[PATH],
        never: &["tokio", "mio", "socket2", "rustls", "clap", "serde", "toml", "rpassword"],
        why: "storage knows files, not the protocol, sessions, sockets or accounts",
    },
    Border {
        package: ACCOUNTS,
        may_use: &[PATH],
        never: &["tokio", "mio", "socket2", "rustix", "rustls", "clap", "rpassword"],
        why: "accounts say who may come in; they know no protocol, socket or file of a user",
    },
    Border {
        package: NET,
        may_use: &[],
        never: &["rustls", "tokio-rustls", "clap", "serde", "toml", "rpassword"],
        why: "the kernel edge knows no commands, users, configuration or TLS",
    },
    Border {
        package: TLS,
        may_use: &[],
        never: &["openssl-sys", "native-tls", "ring", "clap", "serde", "toml", "rpassword"],
        why: "TLS knows certificates and sessions, no commands, users or configuration, and one cryptographic library",
    },
    Border {
        package: SERVER,
        may_use: &[PATH, PROTO, STORAGE, ACCOUNTS, NET, TLS],
        never: &["clap", "serde", "toml", "rpassword", "hyper", "http", "axum"],
        why: "the server is a library: no HTTP, arguments, terminal or format of a configuration file",
    },
    Border {
        package: CLIENT,
        may_use: &[PATH, PROTO, NET, TLS],
        never: &["clap", "serde", "toml", "rpassword"],
        why: "the client is a library: no server, no accounts, no arguments or terminal",
    },
    Border {
        package: "longshore",
        may_use: &[PATH, PROTO, STORAGE, ACCOUNTS, NET, TLS, SERVER],
        never: &[],
        why: "the binary may use every library",
    },
    Border {
        package: "embed",
        may_use: &[PATH, PROTO, STORAGE, ACCOUNTS, NET, TLS, SERVER],
        never: &["clap"],
        why: "the example shows the library, not the binary",
    },
    Border {
        package: "longshore-interop",
        may_use: &[],
        never: &["tokio"],
        why: "foreign clients see the server from outside, as its users do",
    },
    Border {
        package: "longshore-bench",
        may_use: &[PATH, PROTO, NET, TLS, CLIENT, "longshore-interop"],
        never: &["clap", "serde"],
        why: "the benchmarks see servers from outside, through our client and foreign ones",
    },
    Border {
        package: "xtask",
        may_use: &[PATH, PROTO],
        never: &["tokio", "clap", "serde"],
        why: "the automation builds in seconds; it reads the protocol's tables and nothing more",
    },
];

/// An edge that is there and must not be: the crates from the package down to the forbidden one.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    chain: Vec<String>,
    why: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.chain.join(" -> "), self.why)
    }
}

/// Holds the whole workspace against [`BORDERS`].
pub(crate) fn check(root: &Path) -> Result<()> {
    let members = members(root)?;
    let mut complaints = missing_rows(&members.iter().map(|(name, _)| name.as_str()).collect());
    for (name, folder) in &members {
        complaints.extend(lint_complaint(name, &fs::read_to_string(root.join(folder).join("Cargo.toml"))?));
    }
    if !forbids_unsafe(&fs::read_to_string(root.join("Cargo.toml"))?) {
        complaints
            .push("Cargo.toml: [workspace.lints.rust] does not say unsafe_code = \"forbid\"".to_owned());
    }
    for border in BORDERS.iter().filter(|border| members.iter().any(|(name, _)| name == border.package)) {
        let tree = tree(root, border.package)?;
        let violations = violations(border, &tree);
        let reached: BTreeSet<&str> =
            tree.lines().filter_map(package_name).skip(1).map(|(_, name)| name).collect();
        println!(
            "borders: {} reaches {} crates, {} forbidden",
            border.package,
            reached.len(),
            violations.len()
        );
        complaints.extend(violations.iter().map(Violation::to_string));
    }
    // A check that reads nothing would pass for ever: the edge that must exist has to be seen.
    let server = tree(root, SERVER)?;
    if !server.lines().any(|line| package_name(line).is_some_and(|(_, name)| name == PROTO)) {
        complaints
            .push(format!("{SERVER} is not seen to use {PROTO}; the output of cargo tree is not understood"));
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(format!("forbidden edges:\n  {}", complaints.join("\n  ")).into())
    }
}

/// The packages of the workspace with their folders, relative to the root.
pub(crate) fn members(root: &Path) -> Result<Vec<(String, String)>> {
    let mut folders = Vec::new();
    for pattern in member_patterns(&fs::read_to_string(root.join("Cargo.toml"))?) {
        let Some(parent) = pattern.strip_suffix("/*") else {
            folders.push(pattern);
            continue;
        };
        for entry in fs::read_dir(root.join(parent))? {
            let entry = entry?;
            if entry.path().join("Cargo.toml").is_file() {
                folders.push(format!("{parent}/{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    let mut members = Vec::new();
    for folder in folders {
        let manifest = fs::read_to_string(root.join(&folder).join("Cargo.toml"))?;
        let name =
            value_in_section(&manifest, "package", "name").ok_or(format!("{folder}: no package name"))?;
        members.push((name, folder));
    }
    members.sort();
    Ok(members)
}

/// What stands between the brackets of `members = [...]`.
fn member_patterns(manifest: &str) -> Vec<String> {
    let list =
        manifest.split_once("\nmembers = [").and_then(|(_, rest)| rest.split_once(']')).map(|(list, _)| list);
    let patterns = list.unwrap_or_default().split(',').map(|word| word.trim().trim_matches('"').to_owned());
    patterns.filter(|pattern| !pattern.is_empty()).collect()
}

fn tree(root: &Path, package: &str) -> Result<String> {
    output(
        cargo(root)
            .args(["tree", "--locked", "--edges", "normal,build", "--prefix", "depth", "--format", "{p}"])
            .args(["--all-features", "--package", package]),
    )
}

/// The depth and the name in one line of `cargo tree --prefix depth`: `2libc v0.2.1 (*)` is 2 and `libc`.
fn package_name(line: &str) -> Option<(usize, &str)> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let name = line[digits..].split(' ').next().filter(|name| !name.is_empty())?;
    Some((line[..digits].parse().ok()?, name))
}

/// The forbidden edges in the output of `cargo tree`, each name once.
fn violations(border: &Border, tree: &str) -> Vec<Violation> {
    let mut chain: Vec<&str> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (depth, name) in tree.lines().filter_map(package_name) {
        chain.truncate(depth);
        chain.push(name);
        if depth > 0 && is_forbidden(border, name) && seen.insert(name) {
            let chain = chain.iter().map(|&name| name.to_owned()).collect();
            found.push(Violation { chain, why: border.why });
        }
    }
    found
}

fn is_forbidden(border: &Border, name: &str) -> bool {
    let ours = BORDERS.iter().any(|border| border.package == name) || name.starts_with("longshore");
    (ours && !border.may_use.contains(&name))
        || border.never.iter().any(|never| *never == "*" || *never == name)
}

/// A package without a row has no border yet; a row without a package guards nothing.
fn missing_rows(packages: &BTreeSet<&str>) -> Vec<String> {
    let rows: BTreeSet<&str> = BORDERS.iter().map(|border| border.package).collect();
    let without_row =
        packages.difference(&rows).map(|name| format!("{name}: no row in xtask/src/borders.rs"));
    let without_package =
        rows.difference(packages).map(|name| format!("{name}: a border, but no such package"));
    without_row.chain(without_package).collect()
}

/// Whether the manifest takes its lints, and with them `unsafe_code = "forbid"`, from the workspace.
fn lint_complaint(package: &str, manifest: &str) -> Option<String> {
    let inherits = value_in_section(manifest, "lints", "workspace").is_some_and(|value| value == "true");
    (!inherits).then(|| format!("{package}: Cargo.toml lacks [lints] workspace = true"))
}

fn forbids_unsafe(manifest: &str) -> bool {
    value_in_section(manifest, "workspace.lints.rust", "unsafe_code").is_some_and(|value| value == "forbid")
}

/// The value of `key` in `[section]` of a manifest, without quotes. Our manifests are plain enough for that.
pub(crate) fn value_in_section(manifest: &str, section: &str, key: &str) -> Option<String> {
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            inside = header.strip_suffix(']') == Some(section);
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            return Some(value.trim().trim_matches('"').to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn border(package: &str) -> &'static Border {
        BORDERS.iter().find(|border| border.package == package).expect("a row for the package")
    }

    /// `expected` are the chains, with `>` between the names.
    #[track_caller]
    fn check(package: &str, tree: &str, expected: &[&str]) {
        let found: Vec<String> = violations(border(package), tree)
            .into_iter()
            .map(|violation| violation.chain.join(">"))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_made_up_tree_with_a_forbidden_edge_is_found() {
        check(PROTO, "0longshore-proto v0.1.0 (/x)\n1longshore-path v0.1.0 (/y)\n1memchr v2.8.3\n", &[]);
        check(
            PROTO,
            "0longshore-proto v0.1.0\n1tokio v1.54.1\n2mio v1.0.0\n",
            &["longshore-proto>tokio", "longshore-proto>tokio>mio"],
        );
        check(
            PROTO,
            "0longshore-proto v0.1.0\n1leaf v1.0.0\n2deep v1.0.0\n3rustix v1.1.6\n1memchr v2.8.3\n",
            &["longshore-proto>leaf>deep>rustix"],
        );
        check(
            PROTO,
            "0longshore-proto v0.1.0\n1leaf v1.0.0\n2other v1.0.0\n1socket2 v0.6.5 (*)\n",
            &["longshore-proto>socket2"],
        );
        check(PATH, "0longshore-path v0.1.0\n1memchr v2.8.3\n", &["longshore-path>memchr"]);
        check(
            STORAGE,
            "0longshore-storage v0.1.0\n1longshore-proto v0.1.0\n",
            &["longshore-storage>longshore-proto"],
        );
        check(
            NET,
            "0longshore-net v0.1.0\n1tokio v1.54.1\n1longshore-path v0.1.0\n",
            &["longshore-net>longshore-path"],
        );
        check(
            SERVER,
            "0longshore-server v0.1.0\n1longshore-proto v0.1.0\n1clap v4.6.7\n",
            &["longshore-server>clap"],
        );
        check(SERVER, "0longshore-server v0.1.0\n1longshore v0.1.0\n", &["longshore-server>longshore"]);
        check(
            SERVER,
            "0longshore-server v0.1.0\n1longshore-unheard-of v0.1.0\n",
            &["longshore-server>longshore-unheard-of"],
        );
    }

    #[test]
    fn a_name_counts_once_however_often_it_is_reached() {
        check(
            PROTO,
            "0longshore-proto v0.1.0\n1a v1.0.0\n2libc v0.2.0\n1b v1.0.0\n2libc v0.2.0 (*)\n",
            &["longshore-proto>a>libc"],
        );
    }

    #[test]
    fn every_package_has_a_row_and_the_reverse() {
        let all: BTreeSet<&str> = BORDERS.iter().map(|border| border.package).collect();
        assert_eq!(missing_rows(&all), Vec::<String>::new());
        let mut more = all.clone();
        more.insert("longshore-new");
        assert_eq!(missing_rows(&more), ["longshore-new: no row in xtask/src/borders.rs"]);
        let mut fewer = all;
        fewer.remove(NET);
        assert_eq!(missing_rows(&fewer), ["longshore-net: a border, but no such package"]);
    }

    #[test]
    fn members_are_read() {
        let manifest = "[workspace]\nmembers = [\"crates/*\", \"xtask\"]\ndefault-members = [\"x\"]\n";
        assert_eq!(member_patterns(manifest), ["crates/*", "xtask"]);
        assert_eq!(member_patterns("[workspace]\n"), Vec::<String>::new());
    }

    #[test]
    fn lints_are_inherited_or_missed() {
        assert_eq!(lint_complaint("x", "[package]\nname = \"x\"\n[lints]\nworkspace = true\n"), None);
        assert!(lint_complaint("x", "[package]\nname = \"x\"\n").is_some());
        assert!(lint_complaint("x", "[package]\nworkspace = true\n[lints.rust]\n").is_some());
        assert!(forbids_unsafe("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"));
        assert!(!forbids_unsafe("[workspace.lints.rust]\nunsafe_code = \"warn\"\n"));
        assert!(!forbids_unsafe("[workspace.lints.clippy]\nunsafe_code = \"forbid\"\n"));
    }
}
