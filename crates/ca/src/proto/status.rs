//! Status codes of servers (`ECA_*` in `caerr.h`): the severity in the lowest three bits, the number above them.

use std::fmt;

/// A status code as it stands in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Eca(pub u32);

impl Eca {
    /// It worked.
    pub const NORMAL: Self = Self(1);

    /// A value is larger than the client accepts.
    pub const TOO_LARGE: Self = Self(72);

    /// The lowest bit says success.
    pub fn is_success(self) -> bool {
        self.0 & 1 != 0
    }

    /// Name in `caerr.h` without `ECA_`; `None` for a number that it does not define.
    pub fn name(self) -> Option<&'static str> {
        let number = usize::try_from(self.0 >> 3 & 0x1fff).ok()?;
        NAMES.get(number).copied()
    }

    /// What it means in plain words, where this client can meet it.
    fn meaning(self) -> Option<&'static str> {
        Some(match self.name()? {
            "ALLOCMEM" => "the server is out of memory",
            "TOLARGE" => "the value is too large",
            "BADTYPE" => "the data type is not supported",
            "INTERNAL" => "internal failure of the server",
            "GETFAIL" => "the server could not read the value",
            "PUTFAIL" => "the server refused the value",
            "BADCOUNT" => "wrong number of elements",
            "NORDACCESS" => "no read access",
            "NOWTACCESS" => "no write access",
            "NOCONVERT" => "the value cannot be converted to the type of the PV",
            "PUTCBINPROG" => "an earlier write to the PV has not finished",
            "BADCHID" => "the server does not know the channel",
            "UNAVAILINSERV" => "the server does not support this",
            "CHANDESTROY" => "the channel was closed",
            _ => return None,
        })
    }
}

impl fmt::Display for Eca {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.meaning(), self.name()) {
            (Some(meaning), Some(name)) => write!(formatter, "{meaning} (ECA_{name})"),
            (None, Some(name)) => write!(formatter, "ECA_{name}"),
            (_, None) => write!(formatter, "unknown status {}", self.0),
        }
    }
}

/// In the order of their numbers.
const NAMES: [&str; 61] = [
    "NORMAL",
    "MAXIOC",
    "UKNHOST",
    "UKNSERV",
    "SOCK",
    "CONN",
    "ALLOCMEM",
    "UKNCHAN",
    "UKNFIELD",
    "TOLARGE",
    "TIMEOUT",
    "NOSUPPORT",
    "STRTOBIG",
    "DISCONNCHID",
    "BADTYPE",
    "CHIDNOTFND",
    "CHIDRETRY",
    "INTERNAL",
    "DBLCLFAIL",
    "GETFAIL",
    "PUTFAIL",
    "ADDFAIL",
    "BADCOUNT",
    "BADSTR",
    "DISCONN",
    "DBLCHNL",
    "EVDISALLOW",
    "BUILDGET",
    "NEEDSFP",
    "OVEVFAIL",
    "BADMONID",
    "NEWADDR",
    "NEWCONN",
    "NOCACTX",
    "DEFUNCT",
    "EMPTYSTR",
    "NOREPEATER",
    "NOCHANMSG",
    "DLCKREST",
    "SERVBEHIND",
    "NOCAST",
    "BADMASK",
    "IODONE",
    "IOINPROGRESS",
    "BADSYNCGRP",
    "PUTCBINPROG",
    "NORDACCESS",
    "NOWTACCESS",
    "ANACHRONISM",
    "NOSEARCHADDR",
    "NOCONVERT",
    "BADCHID",
    "BADFUNCPTR",
    "ISATTACHED",
    "UNAVAILINSERV",
    "CHANDESTROY",
    "BADPRIORITY",
    "NOTTHREADED",
    "16KARRAYCLIENT",
    "CONNSEQTMO",
    "UNRESPTMO",
];
