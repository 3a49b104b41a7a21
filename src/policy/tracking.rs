//! What the calls at an upstream do, as [`Buckets`] is told it by who watches them there.

use governor::clock::Clock;

use super::buckets::Buckets;
use super::calls::LiveChannel;
use super::window::Millis;

/// When a list of channels was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked(Millis);

impl<C: Clock + Clone> Buckets<C> {
    /// The call with this `ChannelId` is on its way to Asterisk under this `ActionID` of amiwall's own.
    pub fn call_sent(&self, upstream: &str, channel_id: &[u8], action_id: &str) {
        self.lock().calls.sent(upstream, channel_id, action_id);
    }

    /// The call with this `ChannelId` was let through, but is not made after all.
    pub fn call_released(&self, upstream: &str, channel_id: &[u8]) {
        self.lock().calls.release(upstream, channel_id);
    }

    /// Asterisk says that the Originate with this `ActionID` of amiwall's own failed.
    pub fn call_failed(&self, upstream: &str, action_id: &[u8]) {
        self.lock().calls.failed(upstream, action_id);
    }

    /// There is a new channel.
    pub fn channel_is_new(&self, upstream: &str, channel: &LiveChannel) {
        let now = self.now();
        self.lock().calls.new_channel(upstream, channel, now);
    }

    /// A channel has hung up.
    pub fn channel_hung_up(&self, upstream: &str, unique_id: &[u8]) {
        self.lock().calls.hung_up(upstream, unique_id);
    }

    /// A list of all channels is about to be asked for.
    pub fn begin_listing(&self) -> Asked {
        Asked(self.now())
    }

    /// These are all channels that there are. From here on what happens to them is told.
    pub fn channels_are(&self, upstream: &str, channels: &[LiveChannel], asked: Asked) {
        self.lock().calls.prime(upstream, channels, asked.0);
    }

    /// Forgets the calls at upstreams that there are not any more.
    pub fn retain_upstreams(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().calls.retain(is_there);
    }

    /// What happens to channels is not told any more.
    pub fn lost_track(&self, upstream: &str) {
        self.lock().calls.lost_track(upstream);
    }
}
