//! Sprig: URLs, split and joined as Go's `net/url` does.

use std::fmt::Write as _;

use super::arguments::{fail, map, string};
use super::{Called, Function, Type, function};
use crate::go::quote::quote;
use crate::go::text::Text;
use crate::go::value::{Entries, Value};
use crate::template::error::ExecError;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("urlParse", &[Type::Str], url_parse),
    function("urlJoin", &[Type::Map], url_join),
];

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let high = char::from(high).to_digit(16)?;
    let low = char::from(low).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let byte = match bytes.get(at + 1..at + 3) {
            Some(&[high, low]) => hex_byte(high, low),
            _ => None,
        };
        let Some(byte) = byte else {
            let bad = &text[at..];
            let short: String = bad.chars().take(3).collect();
            return Err(format!("invalid URL escape {}", quote(&short.into())));
        };
        out.push(byte);
        at += 3;
    }
    Ok(out)
}

fn escape(bytes: &[u8], keep: impl Fn(u8) -> bool, plus_for_space: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') || keep(byte) {
            out.push(char::from(byte));
        } else if byte == b' ' && plus_for_space {
            out.push('+');
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `url.QueryEscape`.
pub(super) fn query_escape(bytes: &[u8]) -> String {
    escape(bytes, |_| false, true)
}

fn path_escape(bytes: &[u8]) -> String {
    escape(bytes, |byte| b"$&+,/:;=@".contains(&byte), false)
}

fn userinfo_escape(bytes: &[u8]) -> String {
    escape(bytes, |byte| b"$&+,;=".contains(&byte), false)
}

/// The scheme and what follows its colon.
fn split_scheme(text: &str) -> Result<(String, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((text[..at].to_lowercase(), &text[at + 1..])),
            _ => break,
        }
    }
    Ok((String::new(), text))
}

#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    userinfo: String,
    host: String,
    path: Vec<u8>,
    query: String,
    fragment: Vec<u8>,
}

impl Url {
    fn parse(text: &str) -> Result<Self, String> {
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = split_scheme(text)?;
        let mut url = Self {
            scheme,
            fragment: unescape(fragment)?,
            ..Self::default()
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        query.clone_into(&mut url.query);
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                rest.clone_into(&mut url.opaque);
                return Ok(url);
            }
            if rest.split('/').next().unwrap_or("").contains(':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        let has_authority =
            (!url.scheme.is_empty() || !rest.starts_with("///")) && rest.starts_with("//");
        let path = if has_authority {
            let authority_and_path = &rest[2..];
            let end = authority_and_path
                .find('/')
                .unwrap_or(authority_and_path.len());
            url.authority(&authority_and_path[..end])?;
            &authority_and_path[end..]
        } else {
            rest
        };
        url.path = unescape(path)?;
        Ok(url)
    }

    fn authority(&mut self, authority: &str) -> Result<(), String> {
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (userinfo, host),
            None => ("", authority),
        };
        if !userinfo.is_empty() {
            self.userinfo = match userinfo.split_once(':') {
                Some((name, password)) => format!(
                    "{}:{}",
                    userinfo_escape(&unescape(name)?),
                    userinfo_escape(&unescape(password)?)
                ),
                None => userinfo_escape(&unescape(userinfo)?),
            };
        }
        if host.starts_with('[') && !host.contains(']') {
            return Err("missing ']' in host".to_owned());
        }
        let after_bracket = host.rfind(']').map_or(0, |bracket| bracket + 1);
        if let Some((_, port)) = host[after_bracket..].rsplit_once(':')
            && !port.bytes().all(|byte| byte.is_ascii_digit())
        {
            let port = quote(&format!(":{port}").into());
            return Err(format!("invalid port {port} after host"));
        }
        if host.contains(' ') {
            return Err("invalid character \" \" in host name".to_owned());
        }
        self.host = String::from_utf8_lossy(&unescape(host)?).into_owned();
        Ok(())
    }

    fn hostname(&self) -> &str {
        if let Some(inner) = self.host.strip_prefix('[') {
            return inner.split(']').next().unwrap_or(inner);
        }
        self.host
            .rsplit_once(':')
            .map_or(self.host.as_str(), |(name, _)| name)
    }
}

fn url_parse(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let text = string(arguments, 0);
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(why) => {
            let text = quote(&text.as_ref().into());
            return fail(format!("unable to parse url: parse {text}: {why}"));
        }
    };
    let entry = |key: &str, text: Text| (Text::from(key), Value::Str(text));
    let hostname = url.hostname().to_owned();
    Ok(Value::map(Entries::from([
        entry("scheme", url.scheme.into()),
        entry("host", url.host.into()),
        entry("hostname", hostname.into()),
        entry("path", Text::from_bytes(url.path)),
        entry("query", url.query.into()),
        entry("opaque", url.opaque.into()),
        entry("fragment", Text::from_bytes(url.fragment)),
        entry("userinfo", url.userinfo.into()),
    ])))
}

fn url_join(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let Some(parts) = map(arguments, 0) else {
        return Ok(Value::str(""));
    };
    let part = |key: &str| -> Result<String, ExecError> {
        match parts.get(key) {
            None => Ok(String::new()),
            Some(Value::Str(text)) => Ok(text.lossy().into_owned()),
            Some(Value::Nil) => fail(super::arguments::NIL_POINTER),
            Some(other) => fail(format!(
                "unable to parse {key} key, must be of type string, but {} found",
                other.kind().name()
            )),
        }
    };
    let (scheme, host, path) = (part("scheme")?, part("host")?, part("path")?);
    let (query, opaque, fragment) = (part("query")?, part("opaque")?, part("fragment")?);
    let userinfo = match part("userinfo")?.as_str() {
        "" => String::new(),
        text => match Url::parse(&format!("proto://{text}@host")) {
            Ok(url) => url.userinfo,
            Err(why) => return fail(format!("unable to parse userinfo in dict: {why}")),
        },
    };
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(&scheme);
        out.push(':');
    }
    if opaque.is_empty() {
        let has_authority = !host.is_empty() || !userinfo.is_empty();
        if has_authority || (!scheme.is_empty() && path.starts_with("//")) {
            out.push_str("//");
            if !userinfo.is_empty() {
                out.push_str(&userinfo);
                out.push('@');
            }
            out.push_str(&escape(
                host.as_bytes(),
                |byte| b"!$&'()*+,;=:[]<>\"".contains(&byte),
                false,
            ));
        }
        let escaped = path_escape(path.as_bytes());
        if !escaped.is_empty() && !escaped.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        if out.is_empty() && escaped.split('/').next().unwrap_or("").contains(':') {
            out.push_str("./");
        }
        out.push_str(&escaped);
    } else {
        out.push_str(&opaque);
    }
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query);
    }
    if !fragment.is_empty() {
        out.push('#');
        let keep = |byte: u8| b"!$&'()*+,/:;=?@".contains(&byte);
        out.push_str(&escape(fragment.as_bytes(), keep, false));
    }
    Ok(Value::str(out))
}
