//! [`Sim`]: the listening socket, and a task for each session.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::session::Session;
use super::world::{QUEUE_LEN_MAX, World};
use super::{SimConfig, SimHandle};

/// How long the listener rests after a failed accept (out of descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A simulated Asterisk, bound and not yet running.
pub struct Sim {
    listener: TcpListener,
    address: SocketAddr,
    world: Arc<World>,
}

impl Sim {
    /// Binds the port; connections wait in the backlog until [`Sim::run`].
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(address: impl ToSocketAddrs, config: SimConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, world: Arc::new(World::new(config, address)) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What observes and controls it.
    #[must_use]
    pub fn handle(&self) -> SimHandle {
        SimHandle::new(Arc::clone(&self.world))
    }

    /// Accepts and serves until `shutdown`, then closes all sessions and calls and waits for their tasks.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut id = 0;
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    id += 1;
                    self.serve(id, stream, peer);
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
        drop(self.listener);
        self.world.stop.cancel();
        self.world.tasks.close();
        self.world.tasks.wait().await;
    }

    fn serve(&self, id: u64, stream: TcpStream, peer: SocketAddr) {
        let (queue, queued) = mpsc::channel(QUEUE_LEN_MAX);
        // Beyond `authlimit` the connection is closed without a word.
        let Some(stop) = self.world.connect(id, queue) else { return };
        if let Some(len) = self.world.config.send_buffer {
            // A buffer of another size than asked for is still a buffer.
            drop(socket2::SockRef::from(&stream).set_send_buffer_size(len));
        }
        drop(stream.set_nodelay(true));
        let world = Arc::clone(&self.world);
        self.world.tasks.spawn(async move {
            let session = Session::new(id, Arc::clone(&world), stream, (peer, queued));
            // A peer that is gone and a session that ends are the same here.
            drop(stop.run_until_cancelled(session.run()).await);
            world.disconnect(id);
        });
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("address", &self.address).finish_non_exhaustive()
    }
}
