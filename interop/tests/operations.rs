//! Every client, every operation: `cargo test --test operations tnftp` is one client's, `… tnftp::upload` one cell of
//! the table. What an operation is stands in `suite`; what a client cannot do, in `gaps`.

use longshore_interop::{Client, Operation, check};

macro_rules! operations {
    ($client:ident: $($name:ident $operation:ident,)*) => {
        $(
            #[test]
            fn $name() {
                check(Client::$client, Operation::$operation);
            }
        )*

        #[test]
        fn no_operation_is_left_out() {
            assert_eq!([$(Operation::$operation),*], Operation::ALL);
        }
    };
}

macro_rules! clients {
    ($($module:ident $client:ident,)*) => {
        $(
            mod $module {
                use super::*;
                operations!($client:
                    upload Upload,
                    replace Replace,
                    resume_upload ResumeUpload,
                    append Append,
                    download Download,
                    resume_download ResumeDownload,
                    several_files SeveralFiles,
                    text Text,
                    list List,
                    names Names,
                    names_with_outer_spaces NamesWithOuterSpaces,
                    names_with_signs NamesWithSigns,
                    folders Folders,
                    rename Rename,
                    delete Delete,
                    read_time ReadTime,
                    set_time SetTime,
                    mirror_up MirrorUp,
                    mirror_down MirrorDown,
                    wrong_password WrongPassword,
                    missing_file MissingFile,
                    anonymous Anonymous,
                    refused_upload RefusedUpload,
                );
            }
        )*

        #[test]
        fn no_client_is_left_out() {
            assert_eq!([$(Client::$client),*], Client::ALL);
        }
    };
}

clients! {
    curl Curl,
    lftp Lftp,
    ncftp Ncftp,
    tnftp Tnftp,
    wget Wget,
    rclone Rclone,
    ftplib Ftplib,
    net_ftp NetFtp,
    commons_net CommonsNet,
    basic_ftp BasicFtp,
}
