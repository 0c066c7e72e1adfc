//! Every client under TLS, every policy and version: `cargo test --test tls lftp` is one client's rows,
//! `… lftp::explicit_13` one cell's version. What is asked stands in `tls/suite`; what a client cannot do, in `tls/rows`.

use longshore_interop::{Policy, SecureClient, Version, check_secure, secure_cells};

macro_rules! cells {
    ($client:ident: $($name:ident $policy:ident $version:ident,)*) => {
        $(
            #[test]
            fn $name() {
                check_secure(SecureClient::$client, Policy::$policy, Version::$version);
            }
        )*

        #[test]
        fn no_cell_is_left_out() {
            assert!(secure_cells().eq([$((Policy::$policy, Version::$version)),*]));
        }
    };
}

macro_rules! clients {
    ($($module:ident $client:ident,)*) => {
        $(
            mod $module {
                use super::*;
                cells!($client:
                    explicit_12 Explicit Tls12,
                    explicit_13 Explicit Tls13,
                    implicit_12 Implicit Tls12,
                    implicit_13 Implicit Tls13,
                    session_required_12 Resumed Tls12,
                    session_required_13 Resumed Tls13,
                    tls_required_12 Required Tls12,
                    tls_required_13 Required Tls13,
                );
            }
        )*

        #[test]
        fn no_client_is_left_out() {
            assert_eq!([$(SecureClient::$client),*], SecureClient::ALL);
        }
    };
}

clients! {
    curl CURL,
    curl_fresh CURL_FRESH,
    lftp LFTP,
    lftp_fresh LFTP_FRESH,
    rclone RCLONE,
    ftplib FTPLIB,
    ftplib_resuming FTPLIB_RESUMING,
    commons_net COMMONS_NET,
    commons_net_resuming COMMONS_NET_RESUMING,
    basic_ftp BASIC_FTP,
    openssl OPENSSL,
    rustls RUSTLS,
}
