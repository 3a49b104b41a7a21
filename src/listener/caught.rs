//! [`caught`]: a panic ends what it is in, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// As a task of its own would have it, and with less memory: a panic in it is an error here.
pub(super) async fn caught<F: Future>(mut future: Pin<Box<F>>) -> std::thread::Result<F::Output> {
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_its_session_is_dropped() {
        let (held, freed) = tokio::sync::oneshot::channel::<()>();
        let session = async move {
            tokio::task::yield_now().await;
            assert!(held.is_closed(), "somebody waits for it");
        };
        assert!(caught(Box::pin(session)).await.is_err());
        assert!(freed.await.is_err(), "nothing of it is left");
        assert_eq!(caught(Box::pin(async { 7 })).await.ok(), Some(7));
    }
}
