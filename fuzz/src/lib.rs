//! The fuzz targets' bodies, which are those of `tests/differential/`: what a target asserts, the tests assert too.

#[path = "../../tests/differential/backward.rs"]
mod backward;
#[path = "../../tests/differential/forward.rs"]
mod forward;
#[path = "../../tests/differential/oracle.rs"]
mod oracle;
#[path = "../../tests/differential/random.rs"]
mod random;
#[path = "../../tests/differential/reader.rs"]
mod reader;
#[path = "../../tests/differential/scoped.rs"]
mod scoped;
#[path = "../../tests/differential/targets.rs"]
mod targets;
#[path = "../../tests/differential/targets_log.rs"]
mod targets_log;
#[path = "../../tests/differential/targets_policy.rs"]
mod targets_policy;

/// Runs the target of that name.
///
/// # Panics
/// If its property does not hold.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = targets::TARGETS.iter().find(|(target, _)| *target == name).expect("a target");
    target(data);
}
