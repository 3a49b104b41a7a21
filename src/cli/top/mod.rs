//! `amiwall top`: who is logged in and what they do, live. One thread asks amiwall, so that keys are taken at once while it
//! does not answer.

mod app;
mod draw;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::admin::Place;
use super::{Exit, Failure};
use crate::daemon::{Answer, Overview, Request, Verb, ask};
use app::{App, Next};

/// How often amiwall is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a key is waited for before something else is looked at.
const KEY_WAIT: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
}

/// What comes from the thread that asks.
enum Message {
    Seen(Box<Overview>),
    /// There was no answer, and why.
    Lost(String),
    /// Somebody has told this process to end.
    End,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::incomplete(format!("cannot use this terminal: {error}"));
    let socket = args.place.socket()?;
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let message =
            "`amiwall top` needs a terminal; for programs there is `amiwall sessions --format json`".to_owned();
        return Err(Failure { exit: Exit::Usage, message });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Before the terminal is changed: whoever ends this process gets it back as it was.
    let signals = {
        let _inside = runtime.enter();
        [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(signal)
    };
    let (wanted, wants) = watch::channel(String::new());
    let (sender, messages) = channel();
    let watching = move || watch_amiwall(&runtime, &socket, signals, wants, &sender);
    std::thread::Builder::new().name("asks".to_owned()).spawn(watching).map_err(failed)?;
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let shown = show(&mut terminal, &wanted, &messages);
    ratatui::restore();
    shown.map(|()| Exit::Ok).map_err(failed)
}

/// Draws and takes keys until somebody has enough of it.
fn show(
    terminal: &mut DefaultTerminal,
    wanted: &watch::Sender<String>,
    messages: &Receiver<Message>,
) -> io::Result<()> {
    let mut app = App::default();
    loop {
        terminal.draw(|frame| draw::draw(frame, &mut app))?;
        if event::poll(KEY_WAIT)?
            && let Event::Key(key) = event::read()?
            && app.press(key) == Next::End
        {
            return Ok(());
        }
        let session = app.session().to_owned();
        wanted.send_if_modified(|wanted| std::mem::replace(wanted, session) != *app.session());
        loop {
            match messages.try_recv() {
                Ok(Message::Seen(overview)) => app.see(*overview),
                Ok(Message::Lost(why)) => app.lose(why),
                Ok(Message::End) => return Ok(()),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    return Err(io::Error::other("the thread that asks amiwall has ended"));
                }
            }
        }
    }
}

/// Asks once a second, and whenever another session is wanted.
fn watch_amiwall(
    runtime: &Runtime,
    socket: &Path,
    signals: [io::Result<Signal>; 3],
    mut wants: watch::Receiver<String>,
    sender: &Sender<Message>,
) {
    runtime.block_on(async {
        for mut signal in signals.into_iter().flatten() {
            let sender = sender.clone();
            tokio::spawn(async move {
                signal.recv().await;
                sender.send(Message::End)
            });
        }
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                changed = wants.changed() => if changed.is_err() { return },
            }
            let request = Request { session: wants.borrow_and_update().clone(), ..Request::new(Verb::Overview) };
            let socket = socket.to_owned();
            let asked = tokio::task::spawn_blocking(move || {
                ask(&socket, &request).map_err(|error| format!("{}: {error}", socket.display()))
            });
            let message = match asked.await {
                Ok(Ok(Answer::Overview(overview))) => Message::Seen(overview),
                Ok(Ok(Answer::Refused { message } | Answer::Failed { message })) => Message::Lost(message),
                Ok(Ok(_)) => Message::Lost(super::admin::not_understood().message),
                Ok(Err(why)) => Message::Lost(why),
                Err(error) => Message::Lost(error.to_string()),
            };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests;
