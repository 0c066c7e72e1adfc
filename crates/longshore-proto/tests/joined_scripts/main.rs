//! The client's dialogue with servers as they are: each line of a script is what the server does, or what the dialogue
//! must do next. Facts of servers: the tables of commands and replies that their sources hold.
//!
//! ```text
//! ask 0 …            a request (given beside the script, in order)
//! < 220 ready        the server says
//! ! connected 1      something happens to operation 1
//! > USER alice       the dialogue sends
//! = 0 …              a request is answered
//! * …                anything else that the dialogue wants
//! ```

#![allow(unreachable_pub, reason = "modules of one test")]

mod endings;
mod learning;
mod ordinary;
mod play;
mod settings;
mod sharing;
