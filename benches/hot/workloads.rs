//! The workloads: one step of the hot path each, over and over. What times them and what counts their instructions have
//! them from here. Nothing in them is random but the seeds of hash tables.

use std::hint::black_box;
use std::time::Instant;

use amiwall::ami::{Action, Decoder, EventMask, Limits, Message, Reply};
use amiwall::policy::spec::EventsSpec;
use amiwall::policy::{Decision, Followed};
use amiwall::upstream::{ActionIds, Correlation, IdPrefix, Routed, Sent};

use crate::packets::{EVENT, ORIGINATE, PING, action, reply};
use crate::rules::spanned;
use crate::{Failure, record, rules};

/// Does it so many times.
pub(crate) type Workload = Box<dyn FnMut(u64) -> Result<(), Failure>>;

/// Makes a workload, with all that it needs.
type Make = fn() -> Result<Workload, Failure>;

/// All workloads by name.
pub(crate) const ALL: [(&str, Make); 16] = [
    ("decode.ping", || Ok(decode_action(PING))),
    ("decode.originate", || Ok(decode_action(ORIGINATE))),
    ("decode.event", || Ok(decode_event())),
    ("decide.1-rule", || decide(1)),
    ("decide.100-rules", || decide(100)),
    ("decide.1000-rules", || decide(1_000)),
    ("encode.originate", encode_action),
    ("encode.event", encode_event),
    ("record.action", record::of_action),
    ("record.event", record::of_event),
    ("record.response", record::of_response),
    ("view.all", || view(EventsSpec { allow: vec![spanned("dialplan")], ..EventsSpec::default() })),
    ("view.masked", || {
        let mask = vec![(spanned("*CallerIDNum"), spanned("last4")), (spanned("*CallerIDName"), spanned("hide"))];
        view(EventsSpec { allow: vec![spanned("dialplan")], mask, ..EventsSpec::default() })
    }),
    ("view.where", || {
        let scope = vec![(spanned("Channel"), vec![spanned("PJSIP/1001-*")])];
        view(EventsSpec { allow: vec![spanned("dialplan")], scope, ..EventsSpec::default() })
    }),
    ("correlate.answer", || {
        let mut workload = correlate_answer();
        // From then on for each action that is remembered one is forgotten.
        workload(300)?;
        Ok(workload)
    }),
    ("correlate.event", correlate_event),
];

/// From bytes of a client to an action.
fn decode_action(bytes: &'static [u8]) -> Workload {
    let mut decoder = Decoder::client(Limits::CLIENT);
    Box::new(move |times| {
        for _ in 0..times {
            decoder.feed(black_box(bytes));
            while let Some(message) = decoder.next_message() {
                let message = message.map_err(|malformed| malformed.violation.message())?;
                black_box(Action::try_from(message).map_err(|(error, _)| error)?);
            }
        }
        Ok(())
    })
}

/// From bytes of Asterisk to a reply.
fn decode_event() -> Workload {
    let mut decoder = Decoder::upstream();
    Box::new(move |times| {
        for _ in 0..times {
            decoder.feed(black_box(EVENT));
            while let Some(message) = decoder.next_message() {
                let message = message.map_err(|malformed| malformed.violation.message())?;
                black_box(Reply::from(message));
            }
        }
        Ok(())
    })
}

/// Judges an Originate, which the last rule of so many allows.
fn decide(count: usize) -> Result<Workload, Failure> {
    let (policy, client) = (rules::of_rules(count)?, rules::client());
    let last = format!("roles.role.allow[{}]", count - 1);
    // The permit gives the action back, so that it is not copied for each.
    let mut judged = Some(action(ORIGINATE)?);
    Ok(Box::new(move |times| {
        for _ in 0..times {
            let action = judged.take().ok_or("the action is gone")?;
            let Decision::Allow(permit) = policy.decide(black_box(&client), action, "5e2b9c01-37.1") else {
                return Err("the action is not allowed".into());
            };
            if *permit.rule().path != *last {
                return Err("another rule than the last allows it".into());
            }
            judged = Some(permit.into_action());
        }
        Ok(())
    }))
}

/// All that the outlet does with an action, but for the socket.
fn encode_action() -> Result<Workload, Failure> {
    let (action, id) = (action(ORIGINATE)?, IdPrefix::from_random(9).id(1));
    Ok(Box::new(move |times| {
        for _ in 0..times {
            let mut out = Vec::new();
            action.encode(black_box(&id), &mut out);
            black_box(out);
        }
        Ok(())
    }))
}

/// What goes to the client.
fn encode_event() -> Result<Workload, Failure> {
    let event = reply(EVENT)?;
    Ok(Box::new(move |times| {
        for _ in 0..times {
            let mut out = Vec::new();
            black_box(event.message()).encode(&mut out);
            black_box(out);
        }
        Ok(())
    }))
}

/// What a client sees of an event.
fn view(events: EventsSpec) -> Result<Workload, Failure> {
    let view = rules::of_events(events)?.view(&rules::client());
    let (event, mut followed) = (reply(EVENT)?, Followed::default());
    Ok(Box::new(move |times| {
        for _ in 0..times {
            let shown = view.show(black_box(&event), false, EventMask::ALL, &mut followed);
            black_box(shown.ok_or("the event is not shown")?);
        }
        Ok(())
    }))
}

/// An action is sent and answered. The answer is composed too, for each has another id.
fn correlate_answer() -> Workload {
    let (mut correlation, ids) = (Correlation::new(IdPrefix::from_random(9)), ActionIds::default());
    let at = Instant::now();
    Box::new(move |times| {
        for _ in 0..times {
            let id = correlation.send(Sent {
                record_id: "5e2b9c01-37.1".to_owned(),
                client_id: Some(b"4711".to_vec()),
                key: "ping".to_owned(),
                is_blocking: false,
                is_unanswered: false,
                is_own: false,
                read_at: at,
                at,
            });
            let answer = [("Response", &b"Success"[..]), ("ActionID", id.as_bytes()), ("Ping", b"Pong")];
            let routed = correlation.route(Reply::from(Message::compose(&answer)), &ids);
            if !matches!(black_box(routed), Routed::Answer { .. }) {
                return Err("the answer does not find its action".into());
            }
        }
        Ok(())
    })
}

/// An event that is for everybody.
fn correlate_event() -> Result<Workload, Failure> {
    let (mut correlation, ids) = (Correlation::new(IdPrefix::from_random(9)), ActionIds::default());
    let mut event = Some(reply(EVENT)?);
    Ok(Box::new(move |times| {
        for _ in 0..times {
            let reply = event.take().ok_or("the event is gone")?;
            let Routed::Broadcast(reply) = correlation.route(black_box(reply), &ids) else {
                return Err("the event is taken for an answer".into());
            };
            event = Some(reply);
        }
        Ok(())
    }))
}
