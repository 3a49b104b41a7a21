//! A short visit to an Asterisk, before there is a policy in force: is it there, does it let an account in, what does it say
//! of itself? Nothing of a client's is in it, and it asks only for what changes nothing.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::ami::{Banner, BannerError, Decoder, Message, Reply, ReplyKind};
use crate::secret::Secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Asterisk takes a second to say no.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Packets between a question and its answer.
const PACKETS_MAX: usize = 10_000;

/// What came of the visit.
#[derive(Debug)]
pub(super) enum Contact {
    /// It cannot be reached.
    Unreachable(io::Error),
    /// What answers is no Asterisk, or one that is too old.
    NoAsterisk(BannerError),
    /// It closed the connection, or did not answer.
    Silent(io::Error),
    /// It greets; no account was tried.
    Greets(Banner),
    /// It does not let the account in; its words.
    Refused(String),
    /// The account is let in.
    In(Box<Settings>),
}

/// What Asterisk says of itself (`CoreSettings`).
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Why it says nothing: its own words.
    pub(super) refusal: Option<String>,
    /// `22.5.2`.
    pub(super) version: Option<String>,
    /// The user that it runs as.
    pub(super) user: Option<String>,
    /// Whether its HTTP server runs.
    pub(super) has_http: Option<bool>,
}

/// Visits `host:port`, with an account if there is one.
pub(super) fn visit(address: &str, account: Option<(&str, &Secret)>) -> Contact {
    match connect(address) {
        Ok(stream) => talk(stream, account).unwrap_or_else(Contact::Silent),
        Err(error) => Contact::Unreachable(error),
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(READ_TIMEOUT))?;
                stream.set_write_timeout(Some(READ_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

struct Visit {
    stream: TcpStream,
    decoder: Decoder,
}

fn talk(mut stream: TcpStream, account: Option<(&str, &Secret)>) -> io::Result<Contact> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() <= Banner::LEN_MAX && line.last() != Some(&b'\n') {
        stream.read_exact(&mut byte)?;
        line.extend(byte);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let banner = match Banner::parse(line.strip_suffix(b"\r").unwrap_or(line)) {
        Ok(banner) => banner,
        Err(error) => return Ok(Contact::NoAsterisk(error)),
    };
    let Some((username, secret)) = account else { return Ok(Contact::Greets(banner)) };
    let mut visit = Visit { stream, decoder: Decoder::upstream() };
    let headers =
        [("Action", &b"Login"[..]), ("Username", username.as_bytes()), ("Secret", secret.expose()), ("Events", b"off")];
    let answer = visit.ask(&headers)?;
    if answer.name() != b"Success" {
        return Ok(Contact::Refused(text(&answer, "Message").unwrap_or_default()));
    }
    let answer = visit.ask(&[("Action", b"CoreSettings")])?;
    let is_answered = answer.name() == b"Success";
    let settings = Settings {
        refusal: (!is_answered).then(|| text(&answer, "Message").unwrap_or_default()),
        version: text(&answer, "AsteriskVersion"),
        user: text(&answer, "CoreRunUser"),
        has_http: text(&answer, "CoreHTTPenabled").map(|word| word.eq_ignore_ascii_case("yes")),
    };
    // It may have closed; all was said.
    visit.ask(&[("Action", b"Logoff")]).ok();
    Ok(Contact::In(Box::new(settings)))
}

fn text(reply: &Reply, name: &str) -> Option<String> {
    reply.message().get(name).map(|value| String::from_utf8_lossy(value).trim().to_owned())
}

impl Visit {
    /// Sends a packet and waits for its answer; events are passed over.
    fn ask(&mut self, headers: &[(&str, &[u8])]) -> io::Result<Reply> {
        let mut packet = Zeroizing::new(Vec::new());
        Message::compose(headers).encode(&mut packet);
        self.stream.write_all(&packet)?;
        for _ in 0..PACKETS_MAX {
            let reply = self.next()?;
            if reply.kind() == ReplyKind::Response {
                return Ok(reply);
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "no answer among the first packets"))
    }

    fn next(&mut self) -> io::Result<Reply> {
        let mut buffer = [0; 4_096];
        loop {
            if let Some(message) = self.decoder.next_message() {
                let too_long = |_| io::Error::new(io::ErrorKind::InvalidData, "a packet that is too long");
                return message.map(Reply::from).map_err(too_long);
            }
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => self.decoder.feed(buffer.get(..len).unwrap_or_default()),
            }
        }
    }
}

impl Contact {
    /// What is wrong, and how to mend it; none: nothing is.
    pub(super) fn problem(&self, address: &str, username: &str) -> Option<(String, String)> {
        let port = address.rsplit_once(':').map_or("5038", |(_, port)| port);
        Some(match self {
            Self::Greets(_) | Self::In(_) => return None,
            Self::Unreachable(error) => (
                format!("Asterisk cannot be reached at {address}: {error}"),
                format!(
                    "is it running, with `enabled = yes` and `port = {port}` under [general] of manager.conf? \
                     `asterisk -rx 'manager show settings'` tells"
                ),
            ),
            Self::NoAsterisk(error) => (
                format!("{address}: {error}"),
                "give the address of Asterisk's manager interface, in plain text".into(),
            ),
            Self::Silent(error) => (
                format!("Asterisk at {address} was reached, and did not go on: {error}"),
                "it drops connections beyond `authlimit`, and what comes by TLS has another port: look into its log"
                    .into(),
            ),
            Self::Refused(answer) => (
                format!("Asterisk at {address} does not let `{username}` in: {answer}"),
                format!(
                    "compare the secret with the section [{username}] of manager.conf, look at its permit and deny, and \
                     run: asterisk -rx 'manager reload'"
                ),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// An Asterisk that answers each packet with the next of these.
    fn asterisk(greeting: &'static str, answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("it connects");
            stream.write_all(greeting.as_bytes()).expect("written");
            for answer in answers {
                let mut packet = Vec::new();
                while !packet.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("read");
                    packet.extend(byte);
                }
                stream.write_all(answer.as_bytes()).expect("written");
            }
        });
        address
    }

    const BANNER: &str = "Asterisk Call Manager/11.0.0\r\n";

    fn secret() -> Secret {
        Secret::new(b"a-secret".to_vec())
    }

    #[test]
    fn it_tells_what_asterisk_is() {
        let answers = &[
            "Response: Success\r\nMessage: Authentication accepted\r\n\r\nEvent: FullyBooted\r\n\r\n",
            "Response: Success\r\nAsteriskVersion: 22.5.2\r\nCoreRunUser: asterisk\r\nCoreHTTPenabled: No\r\n\r\n",
            "Response: Goodbye\r\n\r\n",
        ];
        let Contact::In(settings) = visit(&asterisk(BANNER, answers), Some(("amiwall", &secret()))) else {
            panic!("it is let in");
        };
        assert_eq!((settings.version.as_deref(), settings.has_http), (Some("22.5.2"), Some(false)));
        assert!(settings.refusal.is_none());
    }

    #[test]
    fn each_way_to_fail_says_what_to_do() {
        let refused = &["Response: Error\r\nMessage: Authentication failed\r\n\r\n"];
        let cases = [
            (visit(&asterisk(BANNER, refused), Some(("amiwall", &secret()))), "compare the secret"),
            (visit(&asterisk("HTTP/1.1 400 Bad Request\r\n", &[]), None), "plain text"),
            (visit(&asterisk(BANNER, &[]), Some(("amiwall", &secret()))), "authlimit"),
        ];
        for (contact, wanted) in cases {
            let (found, help) = contact.problem("127.0.0.1:5038", "amiwall").expect("a problem");
            assert!(help.contains(wanted) && !found.contains("a-secret"), "{found}: {help}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        assert!(matches!(visit(&closed.to_string(), None), Contact::Unreachable(_)));
        assert!(matches!(visit(&asterisk(BANNER, &[]), None), Contact::Greets(_)));
    }
}
