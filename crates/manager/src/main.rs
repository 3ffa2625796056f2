//! `kruise-manager`: every controller behind one leader lease. Flags: `args.rs`. What runs: `app.rs`.

mod admission;
mod app;
mod args;
mod features;
mod removal;
mod start;

use args::{Args, Command};
use clap::Parser as _;
use runtime::{shutdown, telemetry};

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::init(&args.log)?;
    match args.command {
        Some(Command::PreDeleteCheck) => removal::check_and_release(&args.client).await,
        None => app::run(args, shutdown::on_signal()).await,
    }
}
