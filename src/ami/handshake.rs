//! What is said before a session is authenticated: the banner and the MD5 challenge.

use md5::{Digest, Md5};

/// Asterisk's greeting, one line: `Asterisk Call Manager/11.0.0` (manager.c, `session_do`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner(String);

/// Why a greeting is not one that amiwall can stand behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BannerError {
    /// The greeting does not begin as Asterisk's does.
    #[error("the peer does not greet as Asterisk's manager interface does")]
    NotAsterisk,
    /// AMI 1 and 2 (Asterisk 13 and older) frame the answer to `Command` in a way that cannot be told from packets.
    #[error("AMI version `{0}` is older than 3.0 (Asterisk 14), which amiwall needs")]
    TooOld(String),
}

impl Banner {
    /// The longest greeting that is read.
    pub const LEN_MAX: usize = 128;

    /// Reads a greeting, without its line end.
    ///
    /// # Errors
    /// If it is not Asterisk's, or of a version that is too old.
    pub fn parse(line: &[u8]) -> Result<Self, BannerError> {
        let text = std::str::from_utf8(line).map_err(|_| BannerError::NotAsterisk)?;
        let version = text.strip_prefix("Asterisk Call Manager/").ok_or(BannerError::NotAsterisk)?;
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if text.len() > Self::LEN_MAX || !version.split('.').all(digits) {
            return Err(BannerError::NotAsterisk);
        }
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < 3) {
            return Err(BannerError::TooOld(version.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The greeting as it is sent: one line with CR LF, no empty line behind it.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        format!("{}\r\n", self.0).into_bytes()
    }

    /// The greeting without its line end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The challenge of one connection: a decimal number, at most 9 digits, as Asterisk's (manager.c, `action_challenge`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// A challenge from random bits.
    #[must_use]
    pub fn from_random(bits: u32) -> Self {
        Self((bits % 1_000_000_000).to_string())
    }

    /// The digits.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The `Key` that proves `secret`: lower-case hex of MD5(challenge, secret) (manager.c, `authenticate`).
    #[must_use]
    pub fn key(&self, secret: &[u8]) -> String {
        let digest = Md5::new().chain_update(self.0.as_bytes()).chain_update(secret).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_is_asterisks_own() {
        let banner = Banner::parse(b"Asterisk Call Manager/11.0.0").expect("a banner");
        assert_eq!(banner.line(), b"Asterisk Call Manager/11.0.0\r\n");
        for other in [
            &b"Asterisk Call Manager Proxy/1.0"[..],
            b"220 smtp",
            b"Asterisk Call Manager/11.x",
            b"Asterisk Call Manager/",
        ] {
            assert_eq!(Banner::parse(other), Err(BannerError::NotAsterisk));
        }
        assert_eq!(Banner::parse(b"Asterisk Call Manager/2.10.6"), Err(BannerError::TooOld("2.10.6".into())));
    }

    #[test]
    fn the_key_is_md5_of_challenge_and_secret() {
        assert_eq!(Challenge::from_random(1_000_000_123).text(), "123");
        // md5("123" + "secret")
        assert_eq!(Challenge::from_random(123).key(b"secret"), "ad4f596c85c6fd9fad1cbd30efb611c2");
    }
}
