//! Reads a text from left to right.

use super::{DEEPEST, Json, Unreadable};

/// Where in a text we are.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl Reader<'_> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) fn eat(&mut self, byte: u8) -> Result<(), Unreadable> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Unreadable)
        }
    }

    pub(super) fn value(&mut self, depth: usize) -> Result<Json, Unreadable> {
        if depth > DEEPEST {
            return Err(Unreadable);
        }
        self.space();
        match self.peek().ok_or(Unreadable)? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => Ok(Json::Text(self.string()?)),
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            _ => self.number(),
        }
    }

    pub(super) fn word(&mut self, word: &str, value: Json) -> Result<Json, Unreadable> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(Unreadable)
        }
    }

    pub(super) fn list(&mut self, depth: usize) -> Result<Json, Unreadable> {
        self.eat(b'[')?;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']').is_ok() {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.eat(b']').is_ok() {
                return Ok(Json::List(items));
            }
            self.eat(b',')?;
        }
    }

    pub(super) fn object(&mut self, depth: usize) -> Result<Json, Unreadable> {
        self.eat(b'{')?;
        let mut members = Vec::new();
        self.space();
        if self.eat(b'}').is_ok() {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.eat(b':')?;
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.eat(b'}').is_ok() {
                return Ok(Json::Object(members));
            }
            self.eat(b',')?;
        }
    }

    pub(super) fn digits(&mut self) -> Result<(), Unreadable> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > from { Ok(()) } else { Err(Unreadable) }
    }

    pub(super) fn number(&mut self) -> Result<Json, Unreadable> {
        let from = self.at;
        let _sign = self.eat(b'-');
        if self.eat(b'0').is_err() {
            self.digits()?;
        }
        if self.eat(b'.').is_ok() {
            self.digits()?;
        }
        if self.eat(b'e').is_ok() || self.eat(b'E').is_ok() {
            let _sign = self.eat(b'-').or_else(|_| self.eat(b'+'));
            self.digits()?;
        }
        Ok(Json::Number(self.text.get(from..self.at).unwrap_or_default().to_owned()))
    }

    pub(super) fn string(&mut self) -> Result<String, Unreadable> {
        self.eat(b'"')?;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..).ok_or(Unreadable)?;
            let c = rest.chars().next().ok_or(Unreadable)?;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escape()?),
                c if u32::from(c) < 0x20 => return Err(Unreadable),
                c => out.push(c),
            }
        }
    }

    pub(super) fn escape(&mut self) -> Result<char, Unreadable> {
        let byte = self.peek().ok_or(Unreadable)?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first).ok_or(Unreadable);
                }
                self.eat(b'\\')?;
                self.eat(b'u')?;
                let second = self.hex()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(Unreadable);
                }
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(Unreadable)?
            }
            _ => return Err(Unreadable),
        })
    }

    pub(super) fn hex(&mut self) -> Result<u32, Unreadable> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Unreadable)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Unreadable);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| Unreadable)
    }
}
