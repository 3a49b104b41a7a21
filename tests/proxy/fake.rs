//! Something that only looks like Asterisk.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

pub(crate) const BANNER: &[u8] = b"Asterisk Call Manager/11.0.0\r\n";

/// Serves each connection on a thread of its own; the first has the number 0. amiwall's probe is one of them.
pub(crate) fn asterisk(serve: impl Fn(usize, TcpStream) + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("it binds");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(number, stream));
        }
    });
    address
}

/// Greets, and lets in who comes.
pub(crate) fn let_in(stream: &mut TcpStream) {
    stream.write_all(BANNER).ok();
    packet(stream);
    stream.write_all(b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n").ok();
}

/// The lines of the next packet; none at the end.
pub(crate) fn packet(stream: &TcpStream) -> Vec<String> {
    let mut lines = Vec::new();
    // One byte at a time, so that nothing behind the packet is taken.
    let mut reader = BufReader::with_capacity(1, stream);
    loop {
        let mut line = String::new();
        let len = reader.read_line(&mut line).unwrap_or_default();
        let line = line.trim_end();
        if len == 0 || line.is_empty() {
            return lines;
        }
        lines.push(line.to_owned());
    }
}

/// The value of a header.
pub(crate) fn value(packet: &[String], name: &str) -> String {
    let value = packet.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_default().to_owned()
}

/// Answers each `Ping`, and nothing else, to the end.
pub(crate) fn answer_pings(stream: &mut TcpStream) {
    loop {
        let action = packet(stream);
        if action.is_empty() {
            return;
        }
        if value(&action, "Action") == "Ping" {
            pong(stream, &value(&action, "ActionID"));
        }
    }
}

pub(crate) fn pong(stream: &mut TcpStream, id: &str) {
    let answer = format!("Response: Success\r\nActionID: {id}\r\nPing: Pong\r\nTimestamp: 1.000000\r\n\r\n");
    stream.write_all(answer.as_bytes()).ok();
}
