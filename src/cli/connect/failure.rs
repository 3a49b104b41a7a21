//! Why amiwall was not reached, in words for who looks after the client: what happened, and what to do.

use std::io;
use std::net::IpAddr;

use rustls::{AlertDescription, CertificateError};

/// More names of a certificate are not shown.
const NAMES_SHOWN: usize = 6;

/// Why amiwall was not reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotReached {
    /// The name leads nowhere.
    #[error("its address cannot be found ({0}); look at the name, and at this machine's DNS")]
    Address(io::Error),
    /// It hung up between the handshake and the greeting.
    #[error(
        "it closed the connection without a greeting; the audit log of that amiwall says why (too many connections, or it \
         is about to stop)"
    )]
    Closed,
    /// No connection.
    #[error(
        "nobody answers there ({0}); does amiwall run, has its listener this address and port, is a packet filter between?"
    )]
    Nobody(io::Error),
    /// TLS, and then nothing.
    #[error("it speaks TLS and did not greet within {seconds} s; is that an amiwall, or another service?")]
    NoGreeting {
        /// The limit.
        seconds: u64,
    },
    /// No TLS, or nothing at all.
    #[error(
        "it did not answer in TLS within {seconds} s; is that port amiwall's listener with TLS? (amiwall accepts nobody before \
         it has reached its Asterisk once)"
    )]
    Silent {
        /// The limit.
        seconds: u64,
    },
    /// TLS did not come about.
    #[error("{0}")]
    Tls(String),
}

impl NotReached {
    /// The handshake failed, or what came instead of a greeting.
    pub(super) fn of_tls(error: &io::Error, has_certificate: bool) -> Self {
        Self::Tls(match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => of_rustls(error, has_certificate),
            None if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                "it closed the connection before TLS was agreed on; it lets nobody in from this address (`networks` of the \
                 listener: its audit log says so), or it speaks no TLS"
                    .to_owned()
            }
            None => format!("the connection broke: {error}"),
        })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of another crate may grow")]
fn of_rustls(error: &rustls::Error, has_certificate: bool) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => {
            "it speaks no TLS; is that a listener with `plaintext`, or Asterisk's own port?".to_owned()
        }
        rustls::Error::InvalidCertificate(why) => of_certificate(why),
        rustls::Error::AlertReceived(alert) => of_alert(*alert, has_certificate),
        rustls::Error::PeerIncompatible(why) => format!("it speaks no TLS that this amiwall knows ({why:?})"),
        other => format!("TLS failed: {other}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of another crate may grow")]
fn of_certificate(error: &CertificateError) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext, NotValidForName,
        NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    match error {
        UnknownIssuer | BadSignature => {
            "its certificate is not of the authority in --ca; give the `ca.crt` that it was issued with, if this is the right \
             amiwall"
                .to_owned()
        }
        NotValidForNameContext { expected, presented } => format!(
            "its certificate is for {}, and not for `{}`; connect by a name that is in it, give that one with --name, or have \
             it issued for this one too",
            names(presented),
            expected.to_str()
        ),
        NotValidForName => "its certificate is for another name; give the one that is in it with --name".to_owned(),
        Expired | ExpiredContext { .. } => {
            "its certificate has expired; issue a new one there (`amiwall certs --force`), or set this machine's clock".to_owned()
        }
        NotValidYet | NotValidYetContext { .. } => {
            "its certificate is not valid yet; look at both machines' clocks".to_owned()
        }
        InvalidPurpose | InvalidPurposeContext { .. } => {
            "its certificate is none for a server; is a client's certificate in its policy?".to_owned()
        }
        other => format!("its certificate cannot be accepted: {other}"),
    }
}

/// The names of a certificate, which come as `DnsName("pbx.example.net")` and `IpAddress(0::1)`.
fn names(presented: &[String]) -> String {
    let inner = |name: &String| {
        let name = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name).trim_matches('"');
        name.parse().map_or_else(|_| name.to_owned(), |address: IpAddr| address.to_string())
    };
    let mut names: Vec<String> = presented.iter().take(NAMES_SHOWN).map(|name| format!("`{}`", inner(name))).collect();
    if presented.len() > NAMES_SHOWN {
        names.push("others".to_owned());
    }
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the alerts of another crate may grow")]
fn of_alert(alert: AlertDescription, has_certificate: bool) -> String {
    let refused = |why: &str| format!("it refused this client's certificate: {why}");
    match alert {
        AlertDescription::CertificateRequired if !has_certificate => {
            "it asks for a client certificate; give one with --certificate and --key".to_owned()
        }
        AlertDescription::CertificateExpired => {
            refused("it has expired there; look at both machines' clocks, or issue a new one")
        }
        AlertDescription::CertificateRevoked => {
            refused("it is revoked; issue a new one (`amiwall certs --client NAME`)")
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => refused(
            "it is not of an authority in the listener's `client_ca`, or the revocation list there is out of date",
        ),
        AlertDescription::BadCertificate
        | AlertDescription::CertificateRequired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => refused("its audit log says why (`tls.…`)"),
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
            format!("it speaks no TLS that this amiwall knows ({alert:?})")
        }
        other => format!("it ended TLS: {other:?}; its audit log says why"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_are_written() {
        let of = |names_in: &[&str]| names(&names_in.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["DnsName(\"pbx\")", "IpAddress(0::1)", "odd"]), "`pbx`, `::1`, `odd`");
        assert_eq!(of(&[]), "no name at all");
        assert!(of(&["DnsName(\"a\")"; 7]).ends_with("`a`, others"));
    }

    #[test]
    fn an_alert_says_whose_fault_it_is() {
        let of =
            |alert, has| NotReached::of_tls(&io::Error::other(rustls::Error::AlertReceived(alert)), has).to_string();
        assert!(of(AlertDescription::CertificateRequired, false).contains("--certificate"));
        assert!(of(AlertDescription::CertificateRevoked, true).contains("is revoked"));
        assert!(of(AlertDescription::CertificateExpired, true).contains("has expired there"));
        assert!(of(AlertDescription::UnknownCA, true).contains("client_ca"));
        assert!(of(AlertDescription::ProtocolVersion, false).contains("no TLS that this amiwall knows"));
        assert!(of(AlertDescription::InternalError, false).contains("audit log"));
    }

    #[test]
    fn what_is_wrong_with_a_certificate_says_what_to_do() {
        let of = |why| NotReached::of_tls(&io::Error::other(rustls::Error::InvalidCertificate(why)), false).to_string();
        assert!(of(CertificateError::BadSignature).contains("--ca"));
        assert!(of(CertificateError::NotValidYet).contains("clocks"));
        assert!(of(CertificateError::InvalidPurpose).contains("none for a server"));
        assert!(of(CertificateError::NotValidForName).contains("--name"));
        assert!(of(CertificateError::Revoked).contains("cannot be accepted"));
    }
}
