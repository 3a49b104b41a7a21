//! How a stranger is told to give way, and why.

use tokio::sync::watch;

use super::NoRoom;

/// The pool's end: dropped without a word when the stranger has left the pool or is a client.
#[derive(Debug)]
pub(super) struct Telling(watch::Sender<Option<NoRoom>>);

/// The connection's end.
#[derive(Clone, Debug)]
pub struct GivesWay(watch::Receiver<Option<NoRoom>>);

pub(super) fn way() -> (Telling, GivesWay) {
    let (sender, receiver) = watch::channel(None);
    (Telling(sender), GivesWay(receiver))
}

impl Telling {
    pub(super) fn tell(self, why: NoRoom) {
        self.0.send_replace(Some(why));
    }
}

impl GivesWay {
    /// Waits until this connection has to give way, and says which limit wants it to; never after
    /// [`Ticket::promote`](super::Ticket::promote).
    pub async fn told(&mut self) -> NoRoom {
        let why = self.0.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        match why {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Why this connection has to give way, if it has to.
    #[must_use]
    pub fn why(&self) -> Option<NoRoom> {
        *self.0.borrow()
    }
}
