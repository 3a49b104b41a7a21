//! What `amiwall top` shows. Whatever comes from a client is written without control characters.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table, TableState};

use super::app::App;
use crate::audit::LogState;
use crate::cli::admin::spelled;
use crate::cli::sessions::span;
use crate::cli::terminal::clean;
use crate::daemon::Overview;
use crate::session::{Recent, SessionInfo};

/// Below this height there are only sessions.
const REFUSALS_FROM_HEIGHT: u16 = 16;
/// Refusals that are shown at most.
const REFUSALS_MAX: u16 = 8;

const WRONG: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);
const MARKED: Style = Style::new().add_modifier(Modifier::REVERSED);

const HEADINGS: [&str; 11] =
    ["identity", "from", "for", "act/s", "ref/s", "ev/s", "KiB/s", "refused", "waiting", "queue", "last action"];

pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App) {
    let area = frame.area();
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(3), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    frame.render_widget(Paragraph::new(header(app)), head);
    if app.is_open {
        draw_session(frame, app, body);
    } else {
        draw_list(frame, app, body);
    }
    frame.render_widget(Paragraph::new(footer(app)), foot);
}

/// The text in one line, with nothing in it that a terminal obeys.
fn shown(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

fn tenths(rate: u64) -> String {
    if rate < 1_000 { format!("{}.{}", rate / 10, rate % 10) } else { (rate / 10).to_string() }
}

/// Time of day, UTC.
fn time_of(time_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default();
    time.to_string().chars().skip("2026-11-21T".len()).take("02:00:00".len()).collect()
}

fn header(app: &App) -> Vec<Line<'static>> {
    let Some(overview) = &app.overview else { return vec![Line::styled("amiwall: not reached yet", HEAD)] };
    let total = app.total();
    let first = format!(
        "amiwall {}  {} UTC  sessions {}  not logged in {}  actions/s {}  refused/s {}  KiB/s {}",
        shown(&overview.version),
        time_of(overview.time_ms),
        overview.sessions.len(),
        overview.unauthenticated,
        tenths(total.actions),
        tenths(total.refusals),
        total.bytes / 1_024,
    );
    vec![Line::styled(first, HEAD), health(overview), stopped(overview)]
}

/// The audit log and each Asterisk.
fn health(overview: &Overview) -> Line<'static> {
    let (text, style) = match overview.audit {
        LogState::Open => ("audit log open", Style::new()),
        LogState::Hangs => ("audit log: the disk does not answer", WRONG),
        LogState::Closed => ("audit log CLOSED: actions are refused", WRONG),
    };
    let mut spans = vec![Span::styled(text, style)];
    for (name, trouble) in &overview.upstreams {
        let count = overview.sessions.iter().filter(|session| session.upstream == *name).count();
        spans.push(match trouble {
            None => Span::raw(format!("  upstream {} ok ({count})", shown(name))),
            Some(why) => Span::styled(format!("  upstream {} ({count}): {}", shown(name), shown(why)), WRONG),
        });
    }
    Line::from(spans)
}

/// Who and what an administrator or a limit has stopped.
fn stopped(overview: &Overview) -> Line<'static> {
    let paused: Vec<String> = overview.paused.iter().map(spelled).collect();
    let lists = [("paused", &paused), ("locked", &overview.locked), ("suspended", &overview.suspended)];
    let texts = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let text: Vec<String> = texts.map(|(what, list)| format!("{what}: {}", shown(&list.join(", ")))).collect();
    Line::styled(text.join("  "), WRONG)
}

fn footer(app: &App) -> Line<'static> {
    if let Some(why) = &app.trouble {
        return Line::styled(format!("amiwall does not answer, trying again: {}", shown(why)), WRONG);
    }
    if app.is_filtering {
        return Line::raw(format!("/{}_   Enter: keep, Esc: show all", shown(&app.filter)));
    }
    if app.is_open {
        return Line::raw("Esc: back to the list  q: quit");
    }
    let filter = if app.filter.is_empty() { String::new() } else { format!("  only: {}", shown(&app.filter)) };
    Line::raw(format!("q: quit  Enter: one session  s: sort ({})  /: filter{filter}", app.sort.name()))
}

fn draw_list(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let refusals = app.overview.as_ref().map(|overview| overview.refusals.as_slice()).unwrap_or_default();
    let count = u16::try_from(refusals.len()).unwrap_or(u16::MAX).min(REFUSALS_MAX);
    let height = if area.height < REFUSALS_FROM_HEIGHT || count == 0 { 0 } else { count + 1 };
    let [list, below] = Layout::vertical([Constraint::Fill(1), Constraint::Length(height)]).areas(area);
    let now = app.overview.as_ref().map_or(0, |overview| overview.time_ms);
    let sessions = app.shown();
    let rows = sessions.iter().map(|session| row(app, session, now));
    let widths = widths(list.width);
    let table = Table::new(rows, widths).header(Row::new(HEADINGS).style(HEAD)).row_highlight_style(MARKED);
    let mut state = TableState::new().with_selected((!sessions.is_empty()).then(|| app.marked_place()));
    frame.render_stateful_widget(table, list, &mut state);
    let mut lines = vec![Line::styled("refused last", HEAD)];
    lines.extend(refusals.iter().rev().take(usize::from(count)).map(|refusal| told(refusal, true)));
    frame.render_widget(Paragraph::new(lines), below);
}

/// Where there is little room, numbers stay whole.
fn widths(width: u16) -> [Constraint; 11] {
    let numbers = [6, 6, 6, 6, 6, 8, 7, 6];
    // One blank between columns.
    let rest = width.saturating_sub(numbers.iter().sum::<u16>() + 10);
    let identity = (rest / 2).min(16);
    let from = (rest - identity).min(21);
    let [age, actions, refusals, events, bytes, refused, waiting, queue] = numbers.map(Constraint::Length);
    let (identity, from, last) = (Constraint::Length(identity), Constraint::Length(from), Constraint::Fill(1));
    [identity, from, age, actions, refusals, events, bytes, refused, waiting, queue, last]
}

fn row(app: &App, session: &SessionInfo, now_ms: i64) -> Row<'static> {
    let rates = app.rates_of(&session.id);
    let last = session.last.as_ref();
    let last = last.map(|last| format!("{} {} ago", shown(&last.name), span((now_ms - last.time_ms) / 1_000)));
    let cells = [
        shown(&session.identity),
        shown(&session.peer),
        span(now_ms / 1_000 - session.since),
        tenths(rates.actions),
        tenths(rates.refusals),
        tenths(rates.events),
        (rates.bytes / 1_024).to_string(),
        (session.refused + session.limited).to_string(),
        session.outstanding.to_string(),
        session.queued.to_string(),
        last.unwrap_or_default(),
    ];
    Row::new(cells).style(if rates.refusals > 0 { Style::new().fg(Color::Red) } else { Style::new() })
}

/// What came of a packet: when, whose, what, why and by which rule.
fn told(recent: &Recent, is_of_many: bool) -> Line<'static> {
    let name = if recent.name.is_empty() { "(no action)" } else { &recent.name };
    let whose = if is_of_many { format!("{:<16} ", recent.identity) } else { String::new() };
    let rule = match (recent.rule.as_str(), recent.line) {
        ("", _) => String::new(),
        (rule, None) => format!("  by {rule}"),
        (rule, Some(line)) => format!("  by {rule}, line {line}"),
    };
    let outcome = if recent.reason.is_empty() { &recent.decision } else { &recent.reason };
    Line::raw(shown(&format!("{} {whose}{name:<18} {outcome}{rule}", time_of(recent.time_ms))))
}

fn draw_session(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let Some(session) = app.opened() else {
        frame.render_widget(Paragraph::new("this session is over"), area);
        return;
    };
    let now_ms = app.overview.as_ref().map_or(0, |overview| overview.time_ms);
    let rates = app.rates_of(&session.id);
    let proxy = if session.proxy.is_empty() { String::new() } else { format!(", by the proxy {}", session.proxy) };
    let facts = [
        format!("session   {}", session.id),
        format!("identity  {}", session.identity),
        format!("from      {}{proxy}, to {}, upstream {}", session.peer, session.listener, session.upstream),
        format!("for       {}", span(now_ms / 1_000 - session.since)),
        format!(
            "actions   {} forwarded, {} refused, {} limited; {}/s, refused {}/s; waiting for Asterisk: {}",
            session.forwarded,
            session.refused,
            session.limited,
            tenths(rates.actions),
            tenths(rates.refusals),
            session.outstanding
        ),
        format!(
            "packets   {} sent, {} of them events, {}/s; waiting for the client: {} ({} bytes)",
            session.sent,
            session.events,
            tenths(rates.events),
            session.queued,
            session.queued_bytes
        ),
        format!("bytes     {} in, {} out", session.bytes_in, session.bytes_out),
        String::new(),
    ];
    let mut lines: Vec<Line<'static>> = facts.iter().map(|fact| Line::raw(shown(fact))).collect();
    lines.push(Line::styled("last actions and refusals", HEAD));
    let recent = app.overview.iter().flat_map(|overview| overview.recent.iter().rev());
    lines.extend(recent.map(|recent| {
        let line = told(recent, false);
        if recent.decision == "allow" { line } else { line.style(Style::new().fg(Color::Red)) }
    }));
    frame.render_widget(Paragraph::new(lines), area);
}
