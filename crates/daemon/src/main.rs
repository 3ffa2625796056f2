//! `kruise-daemon`: the node agent. Flags: `args.rs`. What runs, and in which order: `app.rs`.

mod app;
mod args;
mod metrics;
mod runtimes;

use clap::Parser;

// One thread carries a node's work, and each further one would cost memory on every node (KD-32).
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = args::Args::parse();
    runtime::telemetry::init(&args.log)?;
    app::run(args, runtime::shutdown::on_signal()).await
}
