//! Under TLS on every way of connecting: either family, either side connecting. The rest of what is asked under TLS goes
//! over one way, and stands in `tls/suite`.

use longshore_interop::{
    Case, Client, Mode, Policy, SecureClient, Server, Setup, Step, Version, assert_same_bytes, is_peer_here,
    pattern, recorded,
};

/// A file in each direction and a list, on each way that the client knows.
#[track_caller]
fn check(client: SecureClient) {
    if !client.client.is_here() || !is_peer_here("openssl") {
        return;
    }
    let server = Server::set_up(&Setup { policy: Some(Policy::Explicit), ..Setup::default() });
    for way in client.client.ways() {
        // curl (7.88) sends in clear where the server connects.
        if client.client == Client::Curl && matches!(way.mode, Mode::Port | Mode::Eprt) {
            continue;
        }
        recorded(client.client.name(), "up, down, list under TLS 1.3", &way.to_string(), || {
            let security = server.security(Version::Tls13, client.resumes);
            let case = Case::secured(&server, client.client, way, Some(security));
            let (up, down) = (pattern(50_000, 41), pattern(50_000, 42));
            case.prepare("up", &up);
            case.place("down", &down);
            case.does(&[Step::Put("up", "up"), Step::Get("down", "down")]);
            assert_same_bytes("up", &case.stored("up"), &up);
            assert_same_bytes("down", &case.received("down"), &down);
            assert_eq!(case.lists(&[""]), ["down", "up"]);
        });
    }
    server.stop();
}

#[test]
fn curl() {
    check(SecureClient::CURL);
}

#[test]
fn lftp() {
    check(SecureClient::LFTP);
}

#[test]
fn rclone() {
    check(SecureClient::RCLONE);
}

#[test]
fn ftplib() {
    check(SecureClient::FTPLIB);
}

#[test]
fn commons_net() {
    check(SecureClient::COMMONS_NET);
}

#[test]
fn basic_ftp() {
    check(SecureClient::BASIC_FTP);
}

#[test]
fn openssl() {
    check(SecureClient::OPENSSL);
}

#[test]
fn rustls() {
    check(SecureClient::RUSTLS);
}
