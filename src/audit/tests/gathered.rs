//! What the sessions of one thread want on disk together.

use super::super::SessionCounts;
use super::faulty::{Hold, Plan, faulty, faulty_over, hold, hold_no_more};
use super::*;

/// Runs that in a thread that gathers.
fn gathering(audit: &Audit, test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.spawn(audit.gather());
    runtime.block_on(async {
        // It is there when it has had its turn.
        tokio::task::yield_now().await;
        test.await;
    });
}

/// Returns when a sync has begun.
async fn begun(hold: Hold) -> Hold {
    let waiting = tokio::task::spawn_blocking(move || {
        hold.wait();
        hold
    });
    waiting.await.expect("no panic")
}

/// How many requests wait for the writer, which is at the disk, when all that is ready has had its turn.
async fn requests(audit: &Audit) -> usize {
    while audit.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    audit.waiting()
}

/// Commits events of these names, each in a task of its own.
fn commit_all(
    audit: &Audit,
    names: &[&'static str],
) -> Vec<tokio::task::JoinHandle<Result<u64, super::super::AuditUnavailable>>> {
    let commit = |name: &&'static str| {
        let (audit, name) = (audit.clone(), *name);
        tokio::spawn(async move { audit.commit(event(name)).await })
    };
    names.iter().map(commit).collect()
}

#[test]
fn those_who_come_at_the_same_moment_share_a_request_and_keep_their_own_records() {
    let dir = directory();
    let (audit, plan) = faulty(dir.path());
    let hold = hold(&plan);
    gathering(&audit, async {
        let first = commit_all(&audit, &["first"]);
        let hold = begun(hold).await;
        let others = commit_all(&audit, &["a", "b", "c"]);
        assert_eq!(requests(&audit).await, 1);
        hold_no_more(&plan);
        hold.release();
        for (task, name) in first.into_iter().chain(others).zip(["first", "a", "b", "c"]) {
            let seq = task.await.expect("no panic").expect("recorded");
            let record = records(dir.path()).into_iter().find(|record| record["seq"] == seq).expect("a record");
            assert_eq!(record["name"], name);
        }
    });
}

#[test]
fn what_comes_while_the_disk_is_at_work_goes_together_and_waits_for_no_other_sync() {
    let dir = directory();
    let (audit, plan) = faulty(dir.path());
    let hold = hold(&plan);
    gathering(&audit, async {
        let spawn = |name: &'static str, count: usize| {
            let audit = audit.clone();
            tokio::spawn(async move { audit.append((0..count).map(|_| event(name))).await })
        };
        let synced = commit_all(&audit, &["synced"]);
        let hold = begun(hold).await;
        let written = [spawn("a", 2), spawn("b", 1)];
        assert_eq!(requests(&audit).await, 1);
        hold_no_more(&plan);
        hold.release();
        for synced in synced {
            assert_eq!(synced.await.expect("no panic"), Ok(2));
        }
        let [a, b] = written;
        assert_eq!((a.await.expect("no panic"), b.await.expect("no panic")), (Ok(3), Ok(5)));
    });
    let names: Vec<_> =
        records(dir.path()).iter().map(|record| record["name"].as_str().unwrap_or("").to_owned()).collect();
    assert_eq!(names, ["", "synced", "a", "a", "b"]);
}

#[test]
fn who_has_gone_when_his_record_is_on_disk_is_on_record() {
    let dir = directory();
    let (audit, plan) = faulty(dir.path());
    let hold = hold(&plan);
    gathering(&audit, async {
        let session = session();
        let recording = |id: &str| {
            let (audit, session, id) = (audit.clone(), session.clone(), id.to_owned());
            tokio::spawn(async move { audit.record(&session, vec![(id, decision())]).await.is_ok() })
        };
        let (gone, stays) = (recording("1.1"), recording("1.2"));
        let hold = begun(hold).await;
        gone.abort();
        hold_no_more(&plan);
        hold.release();
        assert!(stays.await.expect("no panic"));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(audit.close()).expect("closed");
    let told =
        records(dir.path()).into_iter().find(|record| !record["unconfirmed"].is_null()).expect("it is on record");
    assert_eq!(told["unconfirmed"], serde_json::json!([[2, 2]]));
}

#[test]
fn the_end_of_a_session_overtakes_nothing_of_it() {
    let dir = directory();
    let (audit, plan) = faulty_over(&AuditConfig::new(dir.path()), Plan { has_wal: true, ..Plan::default() });
    let hold = hold(&plan);
    gathering(&audit, async {
        let first = commit_all(&audit, &["first"]);
        let hold = begun(hold).await;
        let gone = commit_all(&audit, &["of one who goes"]);
        assert_eq!(requests(&audit).await, 1);
        gone.iter().for_each(tokio::task::JoinHandle::abort);
        let ending = {
            let audit = audit.clone();
            tokio::spawn(async move {
                audit.append([Draft::end(&session(), "client-closed", &SessionCounts::default())]).await
            })
        };
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        hold_no_more(&plan);
        hold.release();
        for task in first.into_iter().chain([ending]) {
            task.await.expect("no panic").expect("recorded");
        }
    });
    assert_eq!(kinds(dir.path()), ["start", "event", "event", "end"]);
}

#[test]
fn nobody_waits_for_what_is_not_recorded_and_nobody_gets_a_record_of_a_writer_that_is_gone() {
    let dir = directory();
    let config = AuditConfig { packets: super::super::Packets::Actions, ..AuditConfig::new(dir.path()) };
    let audit = Audit::open(&config).expect("a log");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert_eq!(runtime.block_on(audit.commit(event("A"))), Ok(0), "nor where nothing is gathered");
    gathering(&audit, async {
        assert_eq!(audit.commit(event("A")).await, Ok(0));
        audit.clone().close().await.expect("closed");
        let refused = audit.record(&session(), vec![("1.1".to_owned(), decision())]).await;
        assert!(refused.is_err());
    });
}
