//! Several logs as one, in order of time, with one line per log in memory.

use futures_util::stream::{BoxStream, StreamExt};

use crate::fleet::logs::line::LogLine;
use crate::ui::error::CommandResult;

/// Logs that are read side by side.
pub struct Merge {
    logs: Vec<Log>,
}

struct Log {
    lines: BoxStream<'static, CommandResult<LogLine>>,
    next: Option<LogLine>,
    ended: bool,
}

impl Merge {
    /// Logs in the order in which their numbers are given back.
    pub fn new(logs: Vec<BoxStream<'static, CommandResult<LogLine>>>) -> Self {
        Self {
            logs: logs
                .into_iter()
                .map(|lines| Log {
                    lines,
                    next: None,
                    ended: false,
                })
                .collect(),
        }
    }

    /// The oldest line that is left, with the number of its log; a line without a time comes at once.
    ///
    /// # Errors
    ///
    /// The first error of any log.
    pub async fn next(&mut self) -> CommandResult<Option<(usize, LogLine)>> {
        for log in &mut self.logs {
            if log.next.is_none() && !log.ended {
                log.next = log.lines.next().await.transpose()?;
                log.ended = log.next.is_none();
            }
        }
        let oldest = self
            .logs
            .iter()
            .enumerate()
            .filter_map(|(number, log)| Some((log.next.as_ref()?.time, number)))
            .min();
        Ok(oldest.and_then(|(_, number)| {
            let line = self.logs[number].next.take()?;
            Some((number, line))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[(&str, &str)]) -> BoxStream<'static, CommandResult<LogLine>> {
        let lines: Vec<CommandResult<LogLine>> = lines
            .iter()
            .map(|(time, text)| {
                Ok(LogLine {
                    time: Some(format!("2026-11-22T10:00:{time}Z").parse().unwrap()),
                    text: (*text).to_owned(),
                })
            })
            .collect();
        futures_util::stream::iter(lines).boxed()
    }

    #[tokio::test]
    async fn lines_come_in_order_of_time() {
        let mut merge = Merge::new(vec![
            log(&[("01", "a"), ("04", "d")]),
            log(&[("02", "b"), ("03", "c"), ("05", "e")]),
            log(&[]),
        ]);
        let mut seen = Vec::new();
        while let Some((number, line)) = merge.next().await.unwrap() {
            seen.push((number, line.text));
        }
        let expected = [(0, "a"), (1, "b"), (1, "c"), (0, "d"), (1, "e")];
        assert_eq!(
            seen,
            expected.map(|(number, text)| (number, text.to_owned()))
        );
    }
}
