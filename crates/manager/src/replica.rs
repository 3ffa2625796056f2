//! What one replica runs, in order (platform section 2): election, and once it leads, caches and controllers.
//!
//! All that it takes from outside is in [`Replica`]: a simulation runs this very code with a clock, a seed and a network
//! of its own.

use controllers::{CONTROLLERS, Setup, caches::Caches, setup::KindFlags};
use runtime::{
    ambient::Ambient,
    client::Connection,
    events::Recorder,
    gates::Gates,
    leader::{self, Leadership},
    resync::Resync,
    shutdown::Shutdown,
};
use tracing::info;

use crate::{args::Args, start};

/// User agent of what every replica does; controllers add their name (PL-33).
pub const USER_AGENT: &str = "kruise-manager";

/// One process of the manager, without what serves its operators.
pub struct Replica {
    /// The flags.
    pub args: Args,
    /// What `--feature-gates` of them says.
    pub gates: Gates,
    /// The API server.
    pub connection: Connection,
    /// How it stands for election; `None` to lead without (`--enable-leader-election=false`).
    pub election: Option<leader::Config>,
    /// Time and chance.
    pub ambient: Ambient,
}

impl Replica {
    /// Runs until the end is asked for; controllers begin once `admitted` is over.
    ///
    /// # Errors
    /// Leadership is lost, or the controllers cannot start: the process must end.
    pub async fn run(self, admitted: impl Future<Output = ()>, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { args, gates, connection, election, ambient } = self;
        let client = connection.client(USER_AGENT);
        let recorder = Recorder::start(client.clone(), USER_AGENT, None, ambient.clone(), shutdown.clone());
        let leadership = match election {
            // A client of its own: a renewal must not wait behind events and lists.
            Some(config) => {
                leader::run(connection.client(USER_AGENT), config, &recorder, ambient.clone(), shutdown.clone())
            }
            None => Leadership::always(),
        };
        let setup = Setup {
            client_for: Box::new({
                let leadership = leadership.clone();
                move |controller| connection.guarded(&format!("{USER_AGENT}/{controller}"), &leadership)
            }),
            caches: Caches::default(),
            gates,
            rate_limit: args.rate_limit.rate_limit(),
            resync: Resync::from_flag(&args.cache.sync_period),
            expectation_timeout: args.controllers.expectation_timeout,
            flags: KindFlags {
                cloneset_workers: args.workers.cloneset_workers,
                cloneset_excludes_preparing_delete: args.controllers.cloneset_scaling_exclude_preparing_delete,
            },
            ambient,
            recorder,
        };
        let lead = async {
            if !leadership.acquired().await {
                return Ok(());
            }
            info!("lead");
            // A replica in waiting keeps no caches: they would cost as much as the leader's and be used by nobody.
            start::run(&client, CONTROLLERS, setup, &args.cache, admitted, &shutdown).await
        };
        tokio::select! {
            // First: whoever has lost must not go on, whatever else ends.
            biased;
            () = leadership.lost() => anyhow::bail!("leadership was lost"),
            ended = lead => ended?,
        }
        shutdown.requested().await;
        leadership.over().await;
        Ok(())
    }
}
