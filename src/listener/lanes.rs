//! [`Lanes`]: the threads that serve connections, each with a runtime of its own. A connection stays with one thread: all
//! that wakes it comes from there, so that no thread has to wake another one for each packet, and what was ready at the same
//! time is done together.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use crate::audit::Audit;

/// Up to here a thread takes all that comes: 64 connections, what brings their records to the log, and what says that it lives.
const TASKS_FEW: usize = 64 + 2;
/// How often a thread says that it has its turns. Shorter than any time that is waited for something: a timer that ends before
/// all others of its thread wakes the thread that sets it, which is awake, and now there is always one that ends before.
const BEAT: Duration = Duration::from_secs(1);
/// Who has said nothing for so long is at a disk that hangs, or at something else.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Threads to serve connections with. They end when nobody has this any more. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lanes {
    lanes: Arc<[Lane]>,
}

#[derive(Debug)]
struct Lane {
    handle: Handle,
    /// When it last had a turn.
    beat: Arc<Mutex<Instant>>,
    /// Dropped, it ends the thread.
    _alive: oneshot::Sender<()>,
}

impl Lanes {
    /// One thread for each processor, of sessions that are recorded there. At least two: one may wait for a disk that hangs.
    ///
    /// # Errors
    /// If a thread or its runtime cannot be had.
    pub fn start(audit: &Audit) -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(2, |processors| processors.get().max(2));
        let lanes: io::Result<Vec<Lane>> = (0..count).map(|number| Lane::start(number, audit)).collect();
        Ok(Self { lanes: lanes?.into() })
    }

    /// The runtime of who calls, and no thread: for tests in which it matters what happens first.
    #[cfg(test)]
    pub(crate) fn of_caller() -> Self {
        let beat = Arc::new(Mutex::new(Instant::now()));
        Self { lanes: [Lane { handle: Handle::current(), beat, _alive: oneshot::channel().0 }].into() }
    }

    /// Returns when each of the threads has had a turn.
    pub async fn turn(&self) {
        for lane in &*self.lanes {
            lane.handle.spawn(std::future::ready(())).await.unwrap_or_default();
        }
    }

    /// The first that has not much to do, or that with the least: together they are served with less, and wait for the disk
    /// together. One that hangs only if all do. None if there is no thread, which cannot be.
    pub(super) fn pick(&self) -> Option<&Handle> {
        let tasks = |lane: &&Lane| lane.handle.metrics().num_alive_tasks();
        let living = self.lanes.iter().filter(|lane| !lane.hangs());
        let best = living.clone().find(|lane| tasks(lane) < TASKS_FEW).or_else(|| living.min_by_key(tasks));
        best.or_else(|| self.lanes.iter().min_by_key(tasks)).map(|lane| &lane.handle)
    }
}

impl Lane {
    fn start(number: usize, audit: &Audit) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        handle.spawn(audit.gather());
        let beat = Arc::new(Mutex::new(Instant::now()));
        handle.spawn(keep_beating(beat.clone()));
        let (alive, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name(format!("sessions-{number}")).spawn(move || {
            // Nobody says anything there; the end of it is what is waited for.
            runtime.block_on(ended).unwrap_or_default();
        })?;
        Ok(Self { handle, beat, _alive: alive })
    }

    fn hangs(&self) -> bool {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > SILENCE_MAX
    }
}

async fn keep_beating(beat: Arc<Mutex<Instant>>) {
    let mut interval = interval(BEAT);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        *beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditConfig;

    #[test]
    fn the_next_thread_is_for_those_for_whom_the_first_has_no_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let lanes = Lanes::start(&Audit::open(&AuditConfig::new(folder.path())).expect("a log")).expect("threads");
        let picked = || {
            let picked = lanes.pick().expect("a thread").id();
            lanes.lanes.iter().position(|lane| lane.handle.id() == picked).expect("one of them")
        };
        let crowd = |lane: usize, tasks: usize| {
            let handle = &lanes.lanes[lane].handle;
            (0..tasks).map(|_| handle.spawn(std::future::pending::<()>())).collect::<Vec<_>>()
        };
        assert_eq!(picked(), 0);
        let first = crowd(0, TASKS_FEW);
        assert_eq!(picked(), 1);
        let _others: Vec<_> = (1..lanes.lanes.len()).map(|lane| crowd(lane, TASKS_FEW + 8)).collect();
        assert_eq!(picked(), 0, "it has the least");
        drop(lanes);
        drop(first);
    }

    #[tokio::test]
    async fn a_thread_that_hangs_has_no_turn() {
        let folder = tempfile::tempdir().expect("a folder");
        let lanes = Lanes::start(&Audit::open(&AuditConfig::new(folder.path())).expect("a log")).expect("threads");
        lanes.turn().await;
        let (release, released) = std::sync::mpsc::channel::<()>();
        let hanging = lanes.lanes[1].handle.spawn(async move { released.recv().is_err() });
        let turn = async {
            lanes.turn().await;
            hanging.is_finished()
        };
        // Behind the turn of the other one.
        let other = async {
            lanes.lanes[0].handle.spawn(std::future::ready(())).await.expect("no panic");
            drop(release);
        };
        let (has_ended, ()) = tokio::join!(turn, other);
        assert!(has_ended, "it has its turn when it hangs no more");
    }

    #[tokio::test]
    async fn a_thread_that_hangs_gets_nobody_new() {
        let folder = tempfile::tempdir().expect("a folder");
        let lanes = Lanes::start(&Audit::open(&AuditConfig::new(folder.path())).expect("a log")).expect("threads");
        // All of them, so that what each has said last is what the test says.
        let mut held = Vec::new();
        for lane in &*lanes.lanes {
            let (release, released) = std::sync::mpsc::channel::<()>();
            let (hanging, hangs) = oneshot::channel();
            lane.handle.spawn(async move {
                hanging.send(()).expect("it is waited for");
                released.recv().is_err()
            });
            hangs.await.expect("it has begun");
            held.push(release);
        }
        *lanes.lanes[0].beat.lock().expect("no panic") -= SILENCE_MAX + BEAT;
        assert_eq!(lanes.pick().expect("a thread").id(), lanes.lanes[1].handle.id());
        lanes.lanes.iter().for_each(|lane| *lane.beat.lock().expect("no panic") -= SILENCE_MAX + BEAT);
        assert_eq!(lanes.pick().expect("a thread").id(), lanes.lanes[0].handle.id(), "rather than nobody");
        drop(held);
    }

    #[test]
    fn a_thread_ends_with_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit::open(&AuditConfig::new(folder.path())).expect("a log");
        let lane = Lane::start(0, &audit).expect("a thread");
        let (held, ended) = std::sync::mpsc::channel::<()>();
        lane.handle.spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(lane);
        let told = ended.recv_timeout(Duration::from_secs(30));
        assert_eq!(told, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }
}
