//! `kruise-manager`: see the library of this crate.

use clap::Parser as _;
use kruise_manager::args::{Args, Command};
use kruise_manager::{app, removal};
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
