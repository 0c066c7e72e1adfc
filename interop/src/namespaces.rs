//! Three machines in one: a client, a gateway and a server, each a network namespace of Linux.
//!
//! ```text
//! client 198.51.100.5 ---- 198.51.100.1 wan0 [gateway, also 203.0.113.7] lan0 192.168.10.1 ---- 192.168.10.2 server
//! ```
//!
//! Not inside: what the gateway lets through; that is for the test.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The three; they are gone with this value, and so are their addresses and rules.
#[derive(Debug)]
pub struct Namespaces {
    prefix: String,
}

const MACHINES: [&str; 3] = ["client", "gateway", "server"];

impl Namespaces {
    /// Makes them. Without the right to, or without NAT in the kernel, it says why, and there are none.
    ///
    /// # Panics
    /// When they can be made, but not joined.
    #[track_caller]
    pub fn make() -> Option<Namespaces> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let machines = Namespaces { prefix: format!("longshore-{}-{number}", std::process::id()) };
        // Dropped on each way out.
        for machine in MACHINES {
            let name = machines.name(machine);
            if let Err(why) =
                ip(&["netns", "add", &name]).and_then(|()| ip(&["-n", &name, "link", "set", "lo", "up"]))
            {
                eprintln!("not run: no network namespaces can be made here: {why}");
                return None;
            }
        }
        let [client, gateway, server] = MACHINES.map(|machine| machines.name(machine));
        let joined = [
            format!("-n {gateway} link add wan0 type veth peer name eth0 netns {client}"),
            format!("-n {gateway} link add lan0 type veth peer name eth0 netns {server}"),
            format!("-n {client} addr add 198.51.100.5/24 dev eth0"),
            format!("-n {gateway} addr add 198.51.100.1/24 dev wan0"),
            format!("-n {gateway} addr add 203.0.113.7/32 dev wan0"),
            format!("-n {gateway} addr add 192.168.10.1/24 dev lan0"),
            format!("-n {server} addr add 192.168.10.2/24 dev eth0"),
            format!("-n {client} link set eth0 up"),
            format!("-n {gateway} link set wan0 up"),
            format!("-n {gateway} link set lan0 up"),
            format!("-n {server} link set eth0 up"),
            format!("-n {client} route add default via 198.51.100.1"),
            format!("-n {server} route add default via 192.168.10.1"),
        ];
        for words in joined {
            let words: Vec<&str> = words.split(' ').collect();
            ip(&words).unwrap_or_else(|why| panic!("ip {}: {why}", words.join(" ")));
        }
        let nat = "add table ip probe; add chain ip probe it { type nat hook prerouting priority dstnat; }";
        if let Err(why) = ip(&["netns", "exec", &gateway, "nft", &format!("{nat}; delete table ip probe")]) {
            eprintln!("not run: the kernel translates no addresses here: {why}");
            return None;
        }
        Some(machines)
    }

    fn name(&self, machine: &str) -> String {
        format!("{}-{machine}", self.prefix)
    }

    /// The words that run a command on one of them: `client`, `gateway` or `server`.
    pub fn launcher(&self, machine: &str) -> Vec<String> {
        assert!(MACHINES.contains(&machine), "{machine}");
        ["ip", "netns", "exec"].map(str::to_owned).into_iter().chain([self.name(machine)]).collect()
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for machine in MACHINES {
            // Fails for those that were never made.
            let _ = ip(&["netns", "delete", &self.name(machine)]);
        }
    }
}

fn ip(words: &[&str]) -> Result<(), String> {
    let output =
        Command::new("ip").args(words).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
