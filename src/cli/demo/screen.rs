//! Where the table appears: redrawn in place on a terminal, and as plain text now and then where lines are kept.

use std::io::{self, Write};
use std::time::Duration;

/// How output is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// By a person at a terminal, which can be redrawn.
    Live,
    /// Through a pipe or a file, which keeps every line.
    Kept,
}

/// The output, and how much of it can be redrawn.
pub(super) struct Screen<W> {
    out: W,
    watched: Watched,
    /// Lines of the table on a live terminal, below the cursor's starting point.
    drawn: usize,
}

impl<W: Write> Screen<W> {
    pub(super) fn new(out: W, watched: Watched) -> Self {
        Self { out, watched, drawn: 0 }
    }

    /// How often the table is worth drawing.
    pub(super) fn pace(&self) -> Duration {
        match self.watched {
            Watched::Live => Duration::from_millis(250),
            Watched::Kept => Duration::from_secs(5),
        }
    }

    /// Prints a line that stays, above the table.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        self.erase()?;
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Draws the table, over the previous one where that can be.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        self.erase()?;
        for line in lines {
            writeln!(self.out, "{line}")?;
        }
        match self.watched {
            Watched::Live => self.drawn = lines.len(),
            Watched::Kept => writeln!(self.out)?,
        }
        self.out.flush()
    }

    /// Leaves the table where it is.
    pub(super) fn keep(&mut self) {
        self.drawn = 0;
    }

    fn erase(&mut self) -> io::Result<()> {
        if self.drawn > 0 {
            // Up to the table's first line, and clear from there to the end of the screen.
            write!(self.out, "\x1b[{}A\x1b[J", self.drawn)?;
            self.drawn = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(watched: Watched) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, watched);
        let table = ["a".to_owned(), "b".to_owned()];
        screen.draw(&table).unwrap();
        screen.say("news").unwrap();
        screen.draw(&table).unwrap();
        screen.keep();
        screen.say("end").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn on_a_terminal_the_table_is_redrawn_below_the_news() {
        assert_eq!(shown(Watched::Live), "a\nb\n\x1b[2A\x1b[Jnews\na\nb\nend\n");
    }

    #[test]
    fn where_lines_are_kept_nothing_is_erased() {
        assert_eq!(shown(Watched::Kept), "a\nb\n\nnews\na\nb\n\nend\n");
    }
}
