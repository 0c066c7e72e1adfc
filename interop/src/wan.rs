//! A wide-area network on one machine: two network namespaces joined by a link with delay, rate, loss and a queue.
//!
//! ```text
//! end A 10.77.0.1 ==== delay, rate, loss, queue ==== end B 10.77.0.2
//! ```
//!
//! Packets are carried, not streams: a reset, a half-closed connection or a lost segment arrives as it was sent. The
//! ends speak VXLAN (RFC 7348) to a third namespace between them, where this process passes datagrams from one to the
//! other, each when it is due. So neither the traffic shaping of the kernel nor a device driver of our own is needed.
//!
//! Not inside: how long a packet waits and which is lost, which is in `carrier`; what the packets are, in `packet`.

mod carrier;
mod packet;

use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use carrier::Carrier;

/// The port of VXLAN (RFC 7348 section 5).
const VXLAN_PORT: u16 = 4789;
/// What VXLAN puts around a packet, in bytes: Ethernet, VXLAN, UDP and IPv4 headers, with some room.
const OVERHEAD_BYTES: u32 = 100;

/// What lies between the ends. Both directions have the same of it, each for itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// From one end to the other and back, without waiting in a queue.
    pub round_trip: Duration,
    /// What passes, in bits of IP packets per second; more than zero.
    pub rate_bits_per_second: f64,
    /// The share of packets that is lost, from 0 to 1; which ones is the same in every run.
    pub loss: f64,
    /// How much may wait to be sent, in bytes; a packet that would make it more is lost.
    pub queue_bytes: usize,
    /// The longest IP packet, in bytes, from 576 to 9000.
    pub mtu_bytes: u32,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            round_trip: Duration::from_millis(50),
            rate_bits_per_second: 1e9,
            loss: 0.0,
            queue_bytes: 4 << 20,
            mtu_bytes: 1500,
        }
    }
}

/// One of the two machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where tests let the server run.
    A,
    /// Where tests let the clients run.
    B,
}

/// The network; it is gone with this value. Its end is also that of the namespaces when the process is killed.
#[derive(Debug)]
pub struct Wan {
    name: String,
    // Dropped in this order: nothing is carried any more when the namespaces go.
    _carrier: Carrier,
    _guard: Guard,
}

impl Wan {
    /// Makes a network whose names no other has. Where none can be made it says why, and there is none.
    ///
    /// # Panics
    /// When the namespaces can be made, but not joined.
    #[track_caller]
    pub fn make(link: Link) -> Option<Wan> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        match Wan::named(&format!("longshore-wan-{}-{number}", std::process::id()), link) {
            Ok(wan) => Some(wan),
            Err(Failure::NoNamespaces(why)) => {
                eprintln!("not run: no network namespaces can be made here: {why}");
                None
            }
            Err(Failure::NoVxlan(why)) => {
                eprintln!("not run: the kernel has no VXLAN here: {why}");
                None
            }
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Makes a network whose namespaces are called `NAME-a`, `NAME-b` and, between them, `NAME-m`. What an earlier one
    /// of this name left is removed.
    ///
    /// # Errors
    /// When it cannot be made; nothing is left then.
    pub fn named(name: &str, link: Link) -> Result<Wan, Failure> {
        let guard = Guard::start(name)?;
        let names = namespaces(name);
        for namespace in &names {
            // Fails for those that are not there.
            let _ = ip(&format!("netns delete {namespace}"));
            ip(&format!("netns add {namespace}")).map_err(Failure::NoNamespaces)?;
            ip(&format!("-n {namespace} link set lo up")).map_err(Failure::NoNamespaces)?;
        }
        let [.., middle] = &names;
        for end in [End::A, End::B] {
            join(end, &names[end as usize], middle, link.mtu_bytes)?;
        }
        let sockets = within(middle, || [End::A, End::B].map(|end| UdpSocket::bind(end.middle())))
            .map_err(Failure::NotJoined)?;
        let [a, b] = sockets;
        let bound = |socket: std::io::Result<UdpSocket>| {
            socket.map_err(|error| Failure::NotJoined(format!("the middle of the link: {error}")))
        };
        let carrier = Carrier::start([bound(a)?, bound(b)?], [End::A, End::B].map(End::outer), link)
            .map_err(|error| Failure::NotJoined(error.to_string()))?;
        Ok(Wan { name: name.to_owned(), _carrier: carrier, _guard: guard })
    }

    /// The name of an end's namespace, as `ip netns exec` takes it.
    pub fn namespace(&self, end: End) -> String {
        let [a, b, _] = namespaces(&self.name);
        match end {
            End::A => a,
            End::B => b,
        }
    }

    /// Does something at one end: sockets are made there, and programs that it starts run there. It runs on a thread
    /// of its own.
    ///
    /// # Panics
    /// When it does, or the namespace is gone.
    #[track_caller]
    pub fn at<T: Send>(&self, end: End, action: impl FnOnce() -> T + Send) -> T {
        within(&self.namespace(end), action).unwrap_or_else(|why| panic!("{why}"))
    }
}

impl End {
    /// Its address on the link.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, 1 + self as u8)
    }

    /// Where its VXLAN datagrams come from and go to.
    fn outer(self) -> SocketAddr {
        (Ipv4Addr::new(10, 78, self as u8, 1), VXLAN_PORT).into()
    }

    /// Where it sends its VXLAN datagrams.
    fn middle(self) -> SocketAddr {
        (Ipv4Addr::new(10, 78, self as u8, 2), VXLAN_PORT).into()
    }
}

/// Why there is no network.
#[derive(Debug)]
pub enum Failure {
    /// Namespaces cannot be made here.
    NoNamespaces(String),
    /// The kernel has no VXLAN.
    NoVxlan(String),
    /// The namespaces are there, but something between them went wrong.
    NotJoined(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoNamespaces(why) => {
                write!(f, "no network namespaces can be made: {why}; root is needed, and iproute2")
            }
            Failure::NoVxlan(why) => {
                write!(f, "the kernel makes no VXLAN device: {why}; CONFIG_VXLAN is needed")
            }
            Failure::NotJoined(why) => write!(f, "the ends cannot be joined: {why}"),
        }
    }
}

impl std::error::Error for Failure {}

fn namespaces(name: &str) -> [String; 3] {
    ["a", "b", "m"].map(|end| format!("{name}-{end}"))
}

/// Gives an end its cable to the middle, and its device on the link.
fn join(end: End, namespace: &str, middle: &str, mtu_bytes: u32) -> Result<(), Failure> {
    let (outer, inner) = (end.outer().ip(), end.middle().ip());
    let outer_mtu_bytes = mtu_bytes + OVERHEAD_BYTES;
    let cable = format!("cable-{}", end as u8);
    let not_joined = |words: &str| ip(words).map_err(|why| Failure::NotJoined(format!("ip {words}: {why}")));
    not_joined(&format!("-n {middle} link add {cable} type veth peer name cable netns {namespace}"))?;
    for (side, device, address) in [(middle, cable.as_str(), inner), (namespace, "cable", outer)] {
        not_joined(&format!("-n {side} addr add {address}/24 dev {device}"))?;
        not_joined(&format!("-n {side} link set {device} mtu {outer_mtu_bytes} txqueuelen 10000 up"))?;
    }
    let vxlan = format!(
        "link add link0 type vxlan id 77 remote {inner} dstport {VXLAN_PORT} dev cable nolearning noudpcsum"
    );
    ip(&format!("-n {namespace} {vxlan}")).map_err(Failure::NoVxlan)?;
    // One packet is one datagram: the kernel cuts long ones before the cable. Told of the device above it, TCP itself would
    // have to, and there Linux 6.18 loses the rest of a last segment that is longer than one packet.
    not_joined(&format!("-n {namespace} link set cable gso_max_segs 1"))?;
    not_joined(&format!("-n {namespace} link set link0 mtu {mtu_bytes} txqueuelen 10000 up"))?;
    not_joined(&format!("-n {namespace} addr add {}/24 dev link0", end.address()))
}

/// Runs something on a thread that has moved into a namespace.
fn within<T: Send>(namespace: &str, action: impl FnOnce() -> T + Send) -> Result<T, String> {
    let path = format!("/run/netns/{namespace}");
    thread::scope(|scope| {
        let moved = scope.spawn(|| {
            let file = File::open(&path).map_err(|error| format!("{path}: {error}"))?;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|error| format!("{path} cannot be entered: {error}"))?;
            Ok(action())
        });
        moved.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// A process that removes the namespaces as soon as nobody holds its standard input any more: also when ours is killed.
#[derive(Debug)]
struct Guard {
    child: Child,
}

impl Guard {
    fn start(name: &str) -> Result<Guard, Failure> {
        let script = "read -r line; for name in \"$@\"; do ip netns delete \"$name\" 2>/dev/null; done";
        let mut command = Command::new("sh");
        command.args(["-c", script, "guard"]).args(namespaces(name));
        // A group of its own: Ctrl-C ends the others, and this only then.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let child = command.spawn().map_err(|error| Failure::NoNamespaces(format!("sh: {error}")))?;
        Ok(Guard { child })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends by itself, and what it could not remove is shown by the next `ip netns`.
        let _ = self.child.wait();
    }
}

/// Runs `ip` with these words; the error is what it said.
fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
