//! What happens in the demo: who asks for what, and what the firewall says.

use std::net::{IpAddr, Ipv4Addr};

use super::client::{self, Client, header};
use super::{Cast, Stage};
use crate::cli::{Failure, out};

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// An address of this machine that the policy excepts.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));

/// One line of the story.
fn line(who: &str, what: &str, verdict: &str) {
    out(&format!("  {who:<11} {what:<58} {verdict}"));
}

/// What an answer says, in a few words.
fn verdict(answer: &str) -> String {
    let message = header(answer, "Message");
    match header(answer, "Response") {
        "Success" if message.is_empty() => "allowed".to_owned(),
        "Success" => format!("allowed: {message}"),
        _ => format!("REFUSED: {message}"),
    }
}

/// Plays all of it.
pub(super) async fn tell(stage: &Stage, cast: &Cast) -> Result<(), Failure> {
    line("who", "asks for", "and is told");
    line("---", "--------", "-----------");
    let mut wallboard = log_in(stage, "wallboard", &cast.wallboard).await?;
    let queues = wallboard.ask("Action: QueueStatus").await?;
    line("wallboard", "QueueStatus", &verdict(&queues));
    let originate = wallboard.ask(&call("1001")).await?;
    line("wallboard", "Originate (it may only look)", &verdict(&originate));

    let mut alice = log_in(stage, "alice", &cast.alice).await?;
    for (exten, what) in [
        ("1001", "Originate from her phone to 1001"),
        ("1002", "Originate from her phone to 1002"),
        ("1009", "Originate to 1009, which a deny rule names"),
        ("1003", "Originate from her phone to 1003"),
        ("1001", "Originate from her phone to 1001, the fourth at once"),
    ] {
        let answer = alice.ask(&call(exten)).await?;
        line("alice", what, &verdict(&answer));
    }
    let elsewhere = alice.ask(&call("1001").replace("Local/1000", "Local/1005")).await?;
    line("alice", "Originate from somebody else's phone", &verdict(&elsewhere));

    let mut crm = log_in(stage, "crm", &cast.crm).await?;
    for (packet, what) in [
        ("Action: Command\nCommand: core stop now".to_owned(), "Command: core stop now (its password was stolen)"),
        (
            "Action: Originate\nChannel: Local/1001@test\nApplication: System\nData: touch /tmp/x".to_owned(),
            "Originate with Application: System",
        ),
        ("Action: Ping\nAction: Command\nCommand: core stop now".to_owned(), "Ping with a Command hidden behind it"),
    ] {
        let answer = crm.ask(&packet).await?;
        line("crm", what, &verdict(&answer));
    }

    outsiders(stage).await?;
    watched(&mut wallboard).await
}

async fn log_in(stage: &Stage, name: &str, secret: &str) -> Result<Client, Failure> {
    let connected = client::connect(HOME, stage.front()?, &stage.client_tls).await?;
    let mut client = connected.ok_or_else(|| Failure::incomplete("a client of the demo was not let in"))?;
    client.banner().await?;
    let answer = client.ask(&format!("Action: Login\nUsername: {name}\nSecret: {secret}")).await?;
    line(name, "Login", &verdict(&answer));
    Ok(client)
}

/// A wrong password, and an address outside of the list.
async fn outsiders(stage: &Stage) -> Result<(), Failure> {
    if let Some(mut guess) = client::connect(HOME, stage.front()?, &stage.client_tls).await? {
        guess.banner().await?;
        let answer = guess.ask("Action: Login\nUsername: alice\nSecret: letmein").await?;
        line("somebody", "Login as alice with a guessed password", &verdict(&answer));
    }
    let connected = client::connect(ELSEWHERE, stage.front()?, &stage.client_tls).await?;
    let verdict = if connected.is_some() { "let in" } else { "REFUSED: closed without a word" };
    line("somebody", &format!("a connection from {ELSEWHERE}"), verdict);
    Ok(())
}

/// What the wallboard saw of the calls that were let through.
async fn watched(wallboard: &mut Client) -> Result<(), Failure> {
    let (mut begun, mut ended) = (0, 0);
    wallboard.send("Action: Ping").await?;
    while ended < begun || begun == 0 {
        let packet = wallboard.packet().await?;
        match header(&packet, "Event") {
            "Newchannel" => begun += 1,
            "Hangup" => ended += 1,
            _ => {}
        }
    }
    line("wallboard", &format!("watched the calls: {begun} channels came and went"), "shown, numbers masked");
    Ok(())
}

/// Alice's call from her phone to an extension.
fn call(exten: &str) -> String {
    format!(
        "Action: Originate\nActionID: call-{exten}\nChannel: Local/1000@test\nContext: test\nExten: {exten}\nPriority: 1\nAsync: true"
    )
}
