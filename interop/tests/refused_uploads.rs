//! What a refused upload looks like on the data connection, where the client has made one ahead.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use longshore_interop::{Control, Family, Server};

/// Some clients connect before they send STOR, and look at both connections at once: a data connection that is reset
/// hides the reply, while one that ends is waited out.
#[test]
fn the_data_connection_of_a_refused_upload_ends_without_a_reset() {
    let server = Server::start();
    let address = server.address(Family::Ipv4);
    let mut control = Control::login(address, "anonymous", "someone@example.org");
    let port = control.passive_port();
    let mut data = TcpStream::connect(SocketAddr::new(address.ip(), port)).expect("the port is open");
    assert_eq!(control.say("STOR intruder").code, 553);
    let mut bytes = Vec::new();
    let end = data.read_to_end(&mut bytes);
    assert!(end.is_ok() && bytes.is_empty(), "{end:?} after {} bytes", bytes.len());
    assert_eq!(control.say("QUIT").code, 221);
    server.stop();
}
