//! Serves a tree that exists in memory only: anybody may read it, `alice` with the password `wonderland` may write.

use std::net::SocketAddr;

use longshore_server::accounts::{Account, MemoryAccounts, Permissions};
use longshore_server::storage::memory::Memory;
use longshore_server::{Config, Event, Listeners, Trees, run};

#[tokio::main]
#[allow(clippy::print_stdout, reason = "this is what the example shows")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = Memory::new();
    files.insert("/pub/readme.txt", "This file is in no file system.\n");

    let account = |name: &str, permissions| Account { permissions, ..Account::new(name, "memory") };
    let accounts = MemoryAccounts::new()
        .with_anonymous(account("anonymous", Permissions::READ_ONLY))
        .with_account(account("alice", Permissions::ALL), "wonderland");

    let mut listeners = Listeners::new();
    let address = listeners.listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    println!("curl ftp://{address}/pub/readme.txt");

    let mut config = Config::new(accounts, Trees::one("memory", files));
    config.observer = std::sync::Arc::new(|event: &Event| println!("{event:?}"));
    run(listeners, config, async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await?;
    Ok(())
}
