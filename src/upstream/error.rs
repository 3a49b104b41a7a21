//! [`UpstreamError`]: why there is no session with Asterisk, and what to do about it.

use std::io;

use rustls::CertificateError;

use super::UpstreamConfig;
use crate::ami::BannerError;

/// Why there is no session with Asterisk.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The greeting is not Asterisk's.
    #[error("upstream `{name}` ({address}): {source}")]
    Banner {
        /// The upstream.
        name: String,
        /// Its address.
        address: String,
        /// What is wrong.
        source: BannerError,
    },
    /// It cannot be reached, or the connection broke.
    #[error("upstream `{name}` ({address}): {source}")]
    Io {
        /// The upstream.
        name: String,
        /// Its address.
        address: String,
        /// What happened.
        source: io::Error,
    },
    /// Asterisk refused amiwall's own credentials.
    #[error(
        "upstream `{name}` ({address}) refused the login of `{username}`: {answer}; compare the \
         secret of this upstream in the policy with the section [{username}] of manager.conf, and its permit and deny"
    )]
    Login {
        /// The upstream.
        name: String,
        /// Its address.
        address: String,
        /// The account.
        username: String,
        /// Asterisk's words.
        answer: String,
    },
    /// It took too long.
    #[error("upstream `{name}` ({address}) did not answer within {seconds} s{}", what_may_be_wrong(*is_tls))]
    Timeout {
        /// The upstream.
        name: String,
        /// Its address.
        address: String,
        /// The limit.
        seconds: u64,
        /// Whether TLS is spoken.
        is_tls: bool,
    },
    /// It is not spoken to: TLS did not show that it is the right one.
    #[error("upstream `{name}` ({address}): {}: {why}; {}", fault.words(), fault.help())]
    Tls {
        /// The upstream.
        name: String,
        /// Its address.
        address: String,
        /// What is wrong.
        fault: TlsFault,
        /// The same, as the TLS library says it.
        why: String,
    },
}

/// A port that waits for TLS says nothing to who does not speak it.
const fn what_may_be_wrong(is_tls: bool) -> &'static str {
    if is_tls { "" } else { "; if that is its TLS port (`tlsbindaddr`), the upstream needs `tls:`" }
}

/// What is wrong with the TLS of an Asterisk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// Its certificate has expired, or is not valid yet.
    Expired,
    /// Its certificate is for other names.
    Name,
    /// Something else, on either side.
    Other,
    /// It speaks something that is not TLS.
    Plaintext,
    /// Its certificate is of an authority that is not trusted.
    UnknownCa,
}

impl TlsFault {
    /// The code in the audit log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expired => "upstream.tls-expired",
            Self::Name => "upstream.tls-name",
            Self::Other => "upstream.tls",
            Self::Plaintext => "upstream.tls-plaintext",
            Self::UnknownCa => "upstream.tls-unknown-ca",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Expired => "its certificate is not valid today",
            Self::Name => "its certificate is for another name",
            Self::Other => "TLS failed",
            Self::Plaintext => "it does not speak TLS",
            Self::UnknownCa => "its certificate is not of the authority in `tls.ca`",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Expired => "give Asterisk a new one (`tlscertfile` in manager.conf), and look at both clocks",
            Self::Name => "set `tls.name` of the upstream to a name in it, or give Asterisk one for this name",
            Self::Other => {
                "look at Asterisk's log too; its certificate has to be one for servers, signed by the authority in `tls.ca`"
            }
            Self::Plaintext => {
                "give the port of `tlsbindaddr` (with `tlsenable = yes`); amiwall never falls back to plain text"
            }
            Self::UnknownCa => "put the authority that signed it into `tls.ca`, if this is the right Asterisk",
        }
    }

    fn of(error: &rustls::Error) -> Self {
        use CertificateError::{
            BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
            NotValidYetContext, UnknownIssuer,
        };
        #[expect(clippy::wildcard_enum_match_arm, reason = "the errors of another crate may grow")]
        match error {
            rustls::Error::InvalidMessage(_) => Self::Plaintext,
            rustls::Error::InvalidCertificate(why) => match why {
                Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => Self::Expired,
                NotValidForName | NotValidForNameContext { .. } => Self::Name,
                BadSignature | UnknownIssuer => Self::UnknownCa,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

impl UpstreamError {
    /// What kind of error it is, in a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Banner { .. } => "banner",
            Self::Io { .. } => "io",
            Self::Login { .. } => "login",
            Self::Timeout { .. } => "timeout",
            Self::Tls { .. } => "tls",
        }
    }

    /// The connection broke, or TLS did.
    pub(super) fn of_io(config: &UpstreamConfig, source: io::Error) -> Self {
        let (name, address) = (config.name.clone(), config.address.clone());
        match source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => Self::Tls { name, address, fault: TlsFault::of(error), why: error.to_string() },
            None => Self::Io { name, address, source },
        }
    }
}
