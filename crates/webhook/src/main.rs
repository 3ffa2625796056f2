//! `kruise-webhook`: see the library of this crate. Flags: `args.rs`. What runs: `app.rs`.

use clap::Parser;
use kruise_webhook::{app, args::Args};
use runtime::{shutdown, telemetry};

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::init(&args.log)?;
    // As many as the manager has: memory must not grow with the cores of a node.
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = threads.block_on(async { app::run(args, shutdown::on_signal()).await });
    // A large conversion that nobody waits for any more must not hold up the end (IN-54).
    threads.shutdown_background();
    ended
}
