use super::*;

fn limits() -> ConnectionLimits {
    ConnectionLimits {
        connections: 3,
        connections_per_address: 2,
        unauthenticated: 4,
        unauthenticated_per_address: 2,
        ..ConnectionLimits::default()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn strangers_are_counted_by_address_and_by_ipv6_network() {
    let admission = Admission::new(ConnectionLimits { unauthenticated: 100, ..limits() });
    let enter = |address: &str| admission.enter(Some(ip(address)));
    let first = enter("2001:db8::1").expect("room");
    let _second = enter("2001:db8::2").expect("room");
    assert_eq!(enter("2001:db8::3").err(), Some(NoRoom::UnauthenticatedPerAddress));
    assert!(enter("2001:db8:0:1::3").is_ok());
    let _mapped = (enter("::ffff:192.0.2.1").expect("room"), enter("192.0.2.1").expect("room"));
    assert!(enter("192.0.2.1").is_err());
    drop(first);
    assert!(enter("2001:db8::3").is_ok());
    assert_eq!(admission.occupancy().unauthenticated, 3);
}

#[test]
fn the_oldest_gives_way_unless_its_secret_is_being_verified() {
    let admission = Admission::new(limits());
    let held: Vec<Ticket> =
        (1..=4).map(|n| admission.enter(Some(ip(&format!("192.0.2.{n}")))).expect("room")).collect();
    let has_given_way = |n: usize| held[n].gives_way().is_cancelled();
    held[0].verifies(true);
    let newcomer = admission.enter(Some(ip("198.51.100.1"))).expect("the oldest gives way");
    assert_eq!((0..4).map(has_given_way).collect::<Vec<_>>(), [false, true, false, false]);
    held[0].verifies(false);
    let _another = admission.enter(Some(ip("198.51.100.2"))).expect("the oldest gives way");
    assert!(has_given_way(0) && !has_given_way(2));
    assert_eq!(admission.occupancy().unauthenticated, 4);
    // Who gave way has no place to leave, and none among the clients.
    let mut held = held;
    assert_eq!(held[0].promote(), Err(NoRoom::Unauthenticated));
    drop((held, newcomer));
    assert_eq!(admission.occupancy().unauthenticated, 1);
}

#[test]
fn who_has_most_gives_way_and_not_who_came_first() {
    let admission = Admission::new(ConnectionLimits { unauthenticated: 6, ..limits() });
    let client = admission.enter(Some(ip("192.0.2.1"))).expect("room");
    let unnamed = admission.enter(None).expect("room");
    // Two at once of each address, again and again; who gave way is not waited for.
    let few: Vec<_> = (0..100).map(|n| admission.enter(Some(ip(&format!("198.51.100.{}", n / 2 % 3))))).collect();
    assert!(few.iter().filter_map(|ticket| ticket.as_ref().ok()).any(|ticket| ticket.gives_way().is_cancelled()));
    // One of each address, of one network.
    for network in ["203.0.113.", "2001:db8:1:"] {
        let address = |n| if network.ends_with('.') { format!("{network}{n}") } else { format!("{network}{n:x}::1") };
        let near: Vec<_> = (1..=200).map(|n| admission.enter(Some(ip(&address(n)))).expect("room")).collect();
        assert_eq!(admission.occupancy().unauthenticated, 6);
        drop(near);
    }
    assert!(!client.gives_way().is_cancelled() && !unnamed.gives_way().is_cancelled());
    drop((client, unnamed, few));
    assert_eq!(admission.occupancy(), Occupancy::default());
}

#[test]
fn no_more_than_half_the_pool_waits_to_be_verified() {
    let admission = Admission::new(limits());
    let held: Vec<Ticket> =
        (1..=4).map(|n| admission.enter(Some(ip(&format!("192.0.2.{n}")))).expect("room")).collect();
    held.iter().for_each(Ticket::await_verification);
    assert_eq!(admission.occupancy().verifying, 2);
    assert!(admission.enter(Some(ip("198.51.100.1"))).is_ok(), "somebody could still give way");
    held.iter().for_each(|ticket| ticket.verifies(true));
    assert!(held[2].gives_way().is_cancelled());
}

#[test]
fn strangers_take_no_place_of_a_client() {
    let admission = Admission::new(limits());
    let mut client = admission.enter(Some(ip("192.0.2.1"))).expect("room");
    assert_eq!(client.promote(), Ok(()));
    let _strangers: Vec<_> = (1..=50).map(|n| admission.enter(Some(ip(&format!("198.51.100.{n}"))))).collect();
    let mut second = admission.enter(Some(ip("192.0.2.1"))).expect("room");
    assert_eq!(second.promote(), Ok(()));
    let mut third = admission.enter(Some(ip("192.0.2.1"))).expect("room");
    assert_eq!(third.promote(), Err(NoRoom::ConnectionsPerAddress));
    let mut other = admission.enter(Some(ip("192.0.2.2"))).expect("room");
    assert_eq!(other.promote(), Ok(()));
    let mut last = admission.enter(Some(ip("192.0.2.3"))).expect("room");
    assert_eq!(last.promote(), Err(NoRoom::Connections));
    drop(client);
    assert_eq!(last.promote(), Ok(()));
    assert!(!last.gives_way().is_cancelled());
    drop((_strangers, second, third, other, last));
    assert_eq!(admission.occupancy(), Occupancy::default());
}

#[tokio::test]
async fn an_address_has_one_login_in_the_line_for_a_slot() {
    use futures_like::poll_once;
    let slots = HashSlots::new(2);
    let first = slots.turn(ip("2001:db8::1")).await.expect("its turn");
    let first = first.slot().await.expect("a slot");
    let mut second = Box::pin(slots.turn(ip("2001:db8::2")));
    assert!(poll_once(second.as_mut()).await.is_none(), "the same /64 waits");
    let other = slots.turn(ip("192.0.2.1")).await.expect("its turn").slot().await.expect("the other slot");
    assert_eq!(slots.free(), (0, 2));
    drop(first);
    let second = poll_once(second.as_mut()).await.flatten().expect("its turn now");
    let abandoned = slots.turn(ip("198.51.100.1")).await.expect("its turn");
    drop(second.slot().await.expect("a slot"));
    drop((other, abandoned));
    assert_eq!(slots.free(), (2, 0), "nothing is left behind");
}

mod futures_like {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::Poll;

    /// What a future has at once.
    pub(super) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}

#[test]
fn behind_a_proxy_a_connection_counts_for_nobody_until_its_header_is_read() {
    let admission = Admission::new(ConnectionLimits { unauthenticated: 100, ..limits() });
    let mut unnamed: Vec<Ticket> = (0..5).map(|_| admission.enter(None).expect("room")).collect();
    let counted: Vec<_> = unnamed.iter_mut().map(|ticket| ticket.count_for(ip("192.0.2.1"))).collect();
    let full = Err(NoRoom::UnauthenticatedPerAddress);
    assert_eq!(counted, [Ok(()), Ok(()), full, full, full]);
    assert_eq!(unnamed[2].count_for(ip("192.0.2.2")), Ok(()));
    assert_eq!(unnamed[0].promote(), Ok(()));
    assert_eq!(admission.occupancy().connections, 1);
    drop(unnamed);
    assert_eq!(admission.occupancy(), Occupancy::default());
}
