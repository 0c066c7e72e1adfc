//! The one generator for all servers: blocking sockets, one thread per connection, EPSV before each transfer. It costs
//! less than any server: downloads in clear are discarded by the kernel, uploads come from one prepared buffer, and no
//! file makes it allocate anything in clear.
//!
//! Not inside: the servers, and what the figures are compared with.

mod control;
mod data;
mod tls;
mod work;

pub(crate) use control::{Control, Target};
pub(crate) use data::Taken;
pub(crate) use tls::Authority;
pub(crate) use work::{Files, Outcome, Task, Work, hold, run};
