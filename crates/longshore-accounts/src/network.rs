//! Networks that an account may come from. No sockets and no names: addresses are compared, nothing is looked up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// Addresses with a common beginning: `192.0.2.0/24`, `2001:db8::/32`, or a single one.
///
/// IPv4 addresses that are written as IPv6 (`::ffff:192.0.2.1`) are IPv4 here, in the network as well as in what is
/// asked about: a socket for both families reports the same peer either way. `::/0` therefore is all of IPv6 and
/// nothing of IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    network: IpNet,
}

/// Why a text is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// What stands before the slash is no address.
    #[error(
        "{0:?} is no IPv4 or IPv6 address; expected an address such as 192.0.2.1 or 2001:db8::1, \
             or a network such as 192.0.2.0/24"
    )]
    Address(String),
    /// What stands behind the slash is no length for this family.
    #[error("{prefix:?} is no length of a prefix; expected a number from 0 to {most}")]
    Prefix {
        /// What stands there.
        prefix: String,
        /// The longest prefix of the family in bits.
        most: u8,
    },
    /// Bits are set behind the prefix: one address may be meant, or its network.
    #[error(
        "{given} has bits set behind its prefix; write {network} for the network or {address} for the one \
             address"
    )]
    BitsBehindPrefix {
        /// What was written.
        given: String,
        /// The network that it lies in.
        network: Network,
        /// The address alone.
        address: IpAddr,
    },
}

impl Network {
    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.network.contains(&address.to_canonical())
    }

    /// The loopback of both families.
    pub fn loopback() -> Vec<Network> {
        let of = |address: IpAddr, bits| Network::truncated(address, bits);
        [of(Ipv4Addr::LOCALHOST.into(), 8), of(Ipv6Addr::LOCALHOST.into(), 128)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// What stands for the one client at an address: an IPv4 address alone; of IPv6 the 64 bits that name a network,
    /// because whoever has one address of it has them all (RFC 4291, section 2.5.4).
    pub fn of_client(address: IpAddr) -> Network {
        match address.to_canonical() {
            address @ IpAddr::V4(_) => Network::from(address),
            address @ IpAddr::V6(_) => Network::truncated(address, 64).unwrap_or(Network::from(address)),
        }
    }

    /// The network of an address that is canonical already.
    fn truncated(address: IpAddr, bits: u8) -> Option<Network> {
        IpNet::new(address, bits).ok().map(|network| Network { network: network.trunc() })
    }
}

/// An address alone is a network of itself.
impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Network {
        Network { network: IpNet::from(address.to_canonical()) }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| NetworkError::Address(address.to_owned()))?;
        let Some(prefix) = prefix else { return Ok(Network::from(written)) };
        let most = if written.is_ipv4() { 32 } else { 128 };
        let bits = decimal(prefix)
            .filter(|&bits| bits <= most)
            .ok_or_else(|| NetworkError::Prefix { prefix: prefix.to_owned(), most })?;
        // An IPv4 network in the dress of IPv6 has its own prefix behind the 96 bits of the dress. A shorter one
        // reaches beyond IPv4 and stays what it is.
        let (address, bits) = match (written.to_canonical(), bits) {
            (canonical @ IpAddr::V4(_), 96..) if written.is_ipv6() => (canonical, bits - 96),
            _ => (written, bits),
        };
        let network = Network::truncated(address, bits).expect("a prefix that its family has");
        if network.network.addr() != address {
            return Err(NetworkError::BitsBehindPrefix { given: text.to_owned(), network, address });
        }
        Ok(network)
    }
}

/// Up to three digits in their one form.
fn decimal(text: &str) -> Option<u8> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    canonical.then(|| text.parse().ok())?
}

/// A single address without its prefix, a network with it.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.network.prefix_len() == self.network.max_prefix_len() {
            fmt::Display::fmt(&self.network.addr(), f)
        } else {
            fmt::Display::fmt(&self.network, f)
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let network: Network = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(network.to_string(), expected, "{text}");
        assert_eq!(expected.parse(), Ok(network), "what is shown is read as the same");
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = text.parse::<Network>().expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[track_caller]
    fn holds(network: &str, address: &str, expected: bool) {
        let network: Network = network.parse().expect("a network");
        assert_eq!(network.contains(address.parse().expect("an address")), expected, "{network} {address}");
    }

    #[test]
    fn networks_and_addresses() {
        check("192.0.2.1", "192.0.2.1");
        check("192.0.2.0/24", "192.0.2.0/24");
        check("192.0.2.1/32", "192.0.2.1");
        check("0.0.0.0/0", "0.0.0.0/0");
        check("::/0", "::/0");
        check("::1", "::1");
        check("2001:db8::/32", "2001:db8::/32");
        check("2001:DB8:0::/32", "2001:db8::/32");
        check("2001:db8::1/128", "2001:db8::1");
        check("::ffff:192.0.2.1", "192.0.2.1");
        check("::ffff:192.0.2.0/120", "192.0.2.0/24");
        check("::ffff:0:0/96", "0.0.0.0/0");
        check("::/80", "::/80");
    }

    #[test]
    fn what_is_no_network() {
        refused("", "\"\" is no IPv4 or IPv6 address");
        refused("example.org", "\"example.org\" is no IPv4");
        refused("192.0.2", "is no IPv4");
        refused("192.0.2.256", "is no IPv4");
        refused("192.0.2.01", "is no IPv4");
        refused(" 192.0.2.1", "is no IPv4");
        refused("fe80::1%eth0", "is no IPv4");
        refused("192.0.2.0/", "\"\" is no length of a prefix; expected a number from 0 to 32");
        refused("192.0.2.0/33", "from 0 to 32");
        refused("192.0.2.0/024", "from 0 to 32");
        refused("192.0.2.0/+24", "from 0 to 32");
        refused("192.0.2.0/255.255.255.0", "from 0 to 32");
        refused("192.0.2.0/24/24", "from 0 to 32");
        refused("2001:db8::/129", "from 0 to 128");
        refused("2001:db8::/1000", "from 0 to 128");
        refused("10.0.0.5/8", "write 10.0.0.0/8 for the network or 10.0.0.5 for the one address");
        refused("2001:db8::1/32", "write 2001:db8::/32 for the network");
        refused("::ffff:10.0.0.5/104", "write 10.0.0.0/8 for the network or 10.0.0.5");
        refused("::ffff:0:0/95", "write ::fffe:0:0/95 for the network");
    }

    #[test]
    fn who_lies_in_them() {
        holds("192.0.2.0/24", "192.0.2.0", true);
        holds("192.0.2.0/24", "192.0.2.255", true);
        holds("192.0.2.0/24", "192.0.3.0", false);
        holds("192.0.2.0/24", "192.0.1.255", false);
        holds("192.0.2.0/24", "::ffff:192.0.2.7", true);
        holds("::ffff:192.0.2.0/120", "192.0.2.7", true);
        holds("192.0.2.7", "192.0.2.7", true);
        holds("192.0.2.7", "192.0.2.8", false);
        holds("0.0.0.0/0", "255.255.255.255", true);
        holds("0.0.0.0/0", "::ffff:1.2.3.4", true);
        holds("0.0.0.0/0", "2001:db8::1", false);
        holds("::/0", "2001:db8::1", true);
        holds("::/0", "192.0.2.7", false);
        holds("::/0", "::ffff:192.0.2.7", false);
        holds("2001:db8::/32", "2001:db8:ffff::", true);
        holds("2001:db8::/32", "2001:db9::", false);
        holds("::1", "::1", true);
        holds("::1", "127.0.0.1", false);
    }

    proptest! {
        #[test]
        fn bits_decide(address: u32, other: u32, bits in 0u8..=32) {
            let mask = if bits == 0 { 0 } else { u32::MAX << (32 - bits) };
            let text = format!("{}/{bits}", std::net::Ipv4Addr::from(address & mask));
            let network: Network = text.parse().expect("no bits behind the prefix");
            let asked = IpAddr::V4(other.into());
            prop_assert_eq!(network.contains(asked), other & mask == address & mask);
            prop_assert!(network.contains(IpAddr::V4(address.into())));
        }

        #[test]
        fn no_text_panics(text in "[0-9a-f:./%]{0,30}") {
            if let Ok(network) = text.parse::<Network>() {
                prop_assert_eq!(network.to_string().parse(), Ok(network));
            }
        }
    }
}
