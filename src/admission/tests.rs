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
    let held = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::3"].map(|address| enter(address).expect("room"));
    let _third = enter("2001:db8::3").expect("the oldest of that network gives way");
    let full = Some(NoRoom::UnauthenticatedPerAddress);
    assert_eq!(held.each_ref().map(|ticket| ticket.gives_way().why()), [full, None, None]);
    let mapped = ["::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"].map(|address| enter(address).expect("room"));
    assert_eq!(mapped.each_ref().map(|ticket| ticket.gives_way().why()), [full, None, None]);
    assert_eq!(admission.occupancy().unauthenticated, 5);
    drop((held, mapped));
    assert!(enter("2001:db8::3").is_ok());
    assert_eq!(admission.occupancy().unauthenticated, 1);
}

#[test]
fn who_is_silent_keeps_nobody_of_its_address_out() {
    let admission = Admission::new(limits());
    let enter = || admission.enter(Some(ip("192.0.2.1")));
    let elsewhere = admission.enter(Some(ip("192.0.2.2"))).expect("room");
    let mut held: Vec<Ticket> = (0..30).map(|_| enter().expect("room")).collect();
    assert_eq!((elsewhere.gives_way().why(), admission.occupancy().unauthenticated), (None, 3));
    // Whose secret is verified stays, and the next goes in its place.
    held[28].verifies(true);
    let good = enter().expect("room");
    let full = Some(NoRoom::UnauthenticatedPerAddress);
    assert_eq!((held[28].gives_way().why(), held[29].gives_way().why()), (None, full));
    good.verifies(true);
    assert_eq!(enter().err(), full);
    assert_eq!(held[28].promote(), Ok(()));
    assert!(enter().is_ok());
}

#[test]
fn who_waits_to_be_verified_does_not_close_its_address() {
    let admission = Admission::new(ConnectionLimits { unauthenticated: 100, ..limits() });
    let enter = |host| admission.enter(Some(ip(&format!("192.0.2.{host}")))).expect("room");
    let _others: Vec<Ticket> = (10..30).map(enter).collect();
    let held: Vec<Ticket> = (0..2).map(|_| enter(1)).collect();
    held.iter().for_each(Ticket::await_verification);
    let _newcomer = enter(1);
    let full = Some(NoRoom::UnauthenticatedPerAddress);
    assert_eq!((held[0].gives_way().why(), held[1].gives_way().why()), (None, full));
}

#[test]
fn the_oldest_gives_way_unless_its_secret_is_being_verified() {
    let admission = Admission::new(limits());
    let held: Vec<Ticket> =
        (1..=4).map(|n| admission.enter(Some(ip(&format!("192.0.2.{n}")))).expect("room")).collect();
    let has_given_way = |n: usize| held[n].gives_way().why() == Some(NoRoom::Unauthenticated);
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
    assert!(few.iter().filter_map(|ticket| ticket.as_ref().ok()).any(|ticket| ticket.gives_way().why().is_some()));
    // One of each address, of one network.
    for network in ["203.0.113.", "2001:db8:1:"] {
        let address = |n| if network.ends_with('.') { format!("{network}{n}") } else { format!("{network}{n:x}::1") };
        let near: Vec<_> = (1..=200).map(|n| admission.enter(Some(ip(&address(n)))).expect("room")).collect();
        assert_eq!(admission.occupancy().unauthenticated, 6);
        drop(near);
    }
    assert!(client.gives_way().why().is_none() && unnamed.gives_way().why().is_none());
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
    assert_eq!(held[2].gives_way().why(), Some(NoRoom::Unauthenticated));
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
    assert_eq!(last.gives_way().why(), None);
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
    for ticket in &mut unnamed[..3] {
        assert_eq!(ticket.count_for(ip("192.0.2.1")), Ok(()));
    }
    let full = NoRoom::UnauthenticatedPerAddress;
    let why: Vec<_> = unnamed.iter().map(|ticket| ticket.gives_way().why()).collect();
    assert_eq!(why, [Some(full), None, None, None, None]);
    unnamed[1].verifies(true);
    unnamed[2].verifies(true);
    assert_eq!(unnamed[3].count_for(ip("192.0.2.1")), Err(full));
    assert_eq!(unnamed[3].count_for(ip("192.0.2.2")), Ok(()));
    assert_eq!(unnamed[0].count_for(ip("192.0.2.2")), Err(NoRoom::Unauthenticated));
    assert_eq!(unnamed[1].promote(), Ok(()));
    assert_eq!(admission.occupancy().connections, 1);
    drop(unnamed);
    assert_eq!(admission.occupancy(), Occupancy::default());
}

#[tokio::test(start_paused = true)]
async fn who_gives_way_is_told_why_and_a_client_never_is() {
    let admission = Admission::new(limits());
    let enter = || admission.enter(Some(ip("192.0.2.1"))).expect("room");
    let (first, mut client) = (enter(), enter());
    let _third = enter();
    assert_eq!(first.gives_way().told().await, NoRoom::UnauthenticatedPerAddress);
    assert_eq!(client.promote(), Ok(()));
    let told = tokio::time::timeout(Duration::from_secs(600), async { client.gives_way().told().await });
    assert!(told.await.is_err());
}
