//! [`Woken`]: of several futures in one task, only those are polled that were woken. A packet concerns one or two of the
//! four that make a session, and to poll the others for nothing costs more than what is done with the packet.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A future with a waker of its own. Has to be awaited in one task only, beside others.
pub(super) struct Woken<'f, F> {
    future: Pin<&'f mut F>,
    signal: Arc<Signal>,
    /// Of the signal.
    waker: Waker,
}

/// Whether the future was woken since it was last polled.
struct Signal {
    is_set: AtomicBool,
    /// The task's.
    task: Mutex<Option<Waker>>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Who was woken before and not yet polled has woken the task already.
        if self.is_set.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.wake_by_ref();
        }
    }
}

impl<'f, F: Future> Woken<'f, F> {
    pub(super) fn new(future: Pin<&'f mut F>) -> Self {
        // The first poll is not waited for.
        let signal = Arc::new(Signal { is_set: AtomicBool::new(true), task: Mutex::new(None) });
        Self { future, waker: Waker::from(signal.clone()), signal }
    }
}

impl<F: Future> Future for Woken<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        {
            let mut task = this.signal.task.lock().unwrap_or_else(PoisonError::into_inner);
            if !task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                *task = Some(cx.waker().clone());
            }
        }
        if !this.signal.is_set.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        this.future.as_mut().poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn only_who_was_woken_is_polled() {
        let (left, right, polls) = (Notify::new(), Notify::new(), Cell::new([0, 0]));
        let counted = |which: usize, notify: &'static str| {
            let notify = if notify == "left" { &left } else { &right };
            let polls = &polls;
            async move {
                let mut notified = pin!(notify.notified());
                std::future::poll_fn(|cx| {
                    let mut counts = polls.get();
                    counts[which] += 1;
                    polls.set(counts);
                    notified.as_mut().poll(cx)
                })
                .await;
            }
        };
        let (mut first, mut second) = (pin!(counted(0, "left")), pin!(counted(1, "right")));
        let (mut first, mut second) = (Woken::new(first.as_mut()), Woken::new(second.as_mut()));
        let mut poll_both = async || {
            std::future::poll_fn(|cx| {
                Poll::Ready([Pin::new(&mut first).poll(cx).is_ready(), Pin::new(&mut second).poll(cx).is_ready()])
            })
            .await
        };
        assert_eq!((poll_both().await, polls.get()), ([false, false], [1, 1]));
        assert_eq!((poll_both().await, polls.get()), ([false, false], [1, 1]));
        right.notify_one();
        assert_eq!((poll_both().await, polls.get()), ([false, true], [1, 2]));
    }

    #[tokio::test]
    async fn its_task_is_woken_from_another_one() {
        let notify = Arc::new(Notify::new());
        let waiting = tokio::spawn({
            let notify = notify.clone();
            async move {
                let mut notified = pin!(notify.notified());
                Woken::new(notified.as_mut()).await;
            }
        });
        tokio::task::yield_now().await;
        notify.notify_one();
        waiting.await.expect("it ends");
    }
}
