//! `kruise-webhook`: see the library of this crate. Flags: `args.rs`. What runs: `app.rs`.

use clap::Parser;
use kruise_webhook::{app, args::Args};
use runtime::{shutdown, telemetry};

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::init(&args.log)?;
    app::run(args, shutdown::on_signal()).await
}
