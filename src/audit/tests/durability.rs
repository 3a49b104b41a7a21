//! Who is answered when.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::super::verify;
use super::faulty::{faulty, hold};
use super::*;

fn is_pending<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
    matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

#[tokio::test]
async fn a_decision_is_recorded_only_after_the_sync() {
    let dir = directory();
    let (audit, plan) = faulty(dir.path());
    let hold = hold(&plan);
    let session = session();
    let mut recording = pin!(audit.record(&session, vec![("1.1".to_owned(), decision())]));
    assert!(is_pending(recording.as_mut()));
    hold.wait();
    // It is written by now, and still nobody may act on it.
    assert_eq!(kinds(dir.path()), ["start", "action"]);
    assert!(is_pending(recording.as_mut()));
    hold.release();
    let recorded = recording.await.expect("recorded");
    assert_eq!((&*recorded[0].0, recorded[0].1.get()), ("1.1", &decision()));
}

#[tokio::test]
async fn what_needs_no_sync_does_not_wait_for_one() {
    let dir = directory();
    let (audit, plan) = faulty(dir.path());
    let before = plan.lock().expect("the plan").syncs;
    assert_eq!(audit.append(vec![event("A"), event("B")]).await, Ok(2));
    assert_eq!(kinds(dir.path()), ["start", "event", "event"]);
    assert_eq!(plan.lock().expect("the plan").syncs, before);
}

#[tokio::test]
async fn those_who_come_during_a_sync_share_the_next_one() {
    let dir = directory();
    let (audit, plan) = faulty(dir.path());
    let before = plan.lock().expect("the plan").syncs;
    let hold = hold(&plan);
    let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(audit.commit(event("A")))).collect();
    assert!(is_pending(waiting[0].as_mut()));
    hold.wait();
    for commit in &mut waiting[1..] {
        assert!(is_pending(commit.as_mut()));
    }
    hold.release();
    hold.wait();
    assert!(is_pending(waiting[1].as_mut()));
    hold.release();
    for (index, commit) in waiting.into_iter().enumerate() {
        assert_eq!(commit.await, Ok(2 + u64::try_from(index).expect("small")));
    }
    assert_eq!(plan.lock().expect("the plan").syncs, before + 2);
}

#[tokio::test]
async fn records_are_in_the_order_of_the_calls() {
    let dir = directory();
    let audit = open(dir.path());
    for number in 0..50 {
        let names: Vec<Draft<'static>> = (0..3).map(|part| event(&format!("{number}.{part}"))).collect();
        assert_eq!(audit.append(names).await, Ok(2 + number * 3));
    }
    audit.close().await.expect("closed");
    let names = records(dir.path());
    let names: Vec<&str> = names.iter().filter_map(|record| record["name"].as_str()).collect();
    let expected: Vec<String> = (0..150).map(|n| format!("{}.{}", n / 3, n % 3)).collect();
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_make_one_chain() {
    let dir = directory();
    let config = AuditConfig { segment_size: 20_000, ..AuditConfig::new(dir.path()) };
    let audit = Audit::open(&config).expect("a log");
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let audit = audit.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    audit.record(&session(), vec![("1".to_owned(), decision())]).await.expect("recorded");
                    audit.append(vec![event("A")]).await.expect("written");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    audit.close().await.expect("closed");
    let summary = verify(dir.path()).expect("whole");
    assert_eq!(summary.records, 2 + 16 * 40);
    assert!(summary.segments > 5, "{summary:?}");
    assert_eq!(summary.last_kind, "stop");
}

#[tokio::test]
async fn a_closed_log_takes_nothing() {
    let dir = directory();
    let audit = open(dir.path());
    let clone = audit.clone();
    audit.close().await.expect("closed");
    assert_eq!(clone.append(vec![event("A")]).await, Err(super::super::AuditUnavailable));
    assert!(clone.record(&session(), vec![("1".to_owned(), decision())]).await.is_err());
    assert_eq!(kinds(dir.path()), ["start", "stop"]);
}

/// 200 callers that each wait for their own record to be durable. `cargo test --release --lib audit -- --ignored speed`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a check"]
async fn speed_of_durable_records() {
    let dir = directory();
    let audit = open(dir.path());
    let begin = std::time::Instant::now();
    let tasks = (0..200).map(|_| {
        let audit = audit.clone();
        tokio::spawn(async move {
            let session = session();
            for _ in 0..1_000 {
                audit.record(&session, vec![("1".to_owned(), decision())]).await.expect("recorded");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    let seconds = begin.elapsed().as_secs_f64();
    audit.close().await.expect("closed");
    let begin = std::time::Instant::now();
    let summary = verify(dir.path()).expect("whole");
    let report = format!(
        "{:.0} durable records/s; verify: {:.0} records/s, {:.0} MB/s",
        200_000.0 / seconds,
        f64::from(u32::try_from(summary.records).expect("small")) / begin.elapsed().as_secs_f64(),
        f64::from(u32::try_from(summary.bytes).expect("small")) / 1e6 / begin.elapsed().as_secs_f64(),
    );
    print(&report);
}
