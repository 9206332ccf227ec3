//! From an export to its channels: a list, an answer with one in `data`, pages of one in `data.items`, or several of
//! these together. The API gives ten at a time unless it is asked for more, so what is missing is said.

use std::collections::BTreeMap;

use crate::cli::init::draft::{Draft, printable};
use crate::cli::init::fault::Fault;
use crate::cli::init::said::Said;

use super::types::Flavour;

/// How many channels a page has if nothing is said.
const USUAL_PAGE: usize = 10;

/// How to come by the rest.
const ALL: &str = "fetch every page and give them together, one after another in a file or as a list: one-api \
                   `/api/channel/?p=0`, `?p=1` …, new-api `/api/channel/?p=1&page_size=100`, `?p=2&page_size=100` …";

/// Fields that only new-api has.
const OF_NEW_API: [&str; 6] = ["channel_info", "auto_ban", "other_info", "setting", "settings", "tag"];

/// What makes two entries the same channel; the rest are counters, which move between two pages.
const IDENTITY: [&str; 8] = ["id", "type", "name", "key", "base_url", "models", "priority", "model_mapping"];

/// An export, read.
pub(super) struct Export<'v> {
    pub(super) channels: Vec<Said<'v>>,
    /// How many there are by its own word.
    total: Option<usize>,
    /// How many each page has.
    pages: Vec<usize>,
    flavour: Flavour,
}

impl<'v> Export<'v> {
    /// Reads all pages.
    pub(super) fn read(whole: &Said<'v>, draft: &mut Draft) -> Result<Self, Fault> {
        let mut export = Self { channels: Vec::new(), total: None, pages: Vec::new(), flavour: Flavour::OneApi };
        if whole.is_list() {
            export.list(&whole.called("channels".to_owned()))?;
        } else {
            let what = "a list of channels, or an answer with one";
            whole.table().map_err(|_| whole.called("the file".to_owned()).not(what))?;
            export.answer(whole)?;
        }
        export.count_once(draft);
        export.remark_missing(draft);
        Ok(export)
    }

    /// Whose channel types they are.
    pub(super) fn flavour(&self) -> Flavour {
        let is_new = |channel: &Said<'_>| OF_NEW_API.iter().any(|name| channel.field(name).is_some());
        if self.channels.iter().any(is_new) { Flavour::NewApi } else { self.flavour }
    }

    /// A list of channels, of pages, or of both.
    fn list(&mut self, list: &Said<'v>) -> Result<(), Fault> {
        let before = self.channels.len();
        let (pages, channels): (Vec<_>, Vec<_>) = list.list()?.into_iter().partition(is_page);
        self.channels.extend(channels);
        if self.channels.len() > before || pages.is_empty() {
            self.pages.push(self.channels.len() - before);
        }
        for page in pages {
            if page.is_list() { self.list(&page)? } else { self.answer(&page)? }
        }
        Ok(())
    }

    /// What the API answered, or one channel.
    fn answer(&mut self, answer: &Said<'v>) -> Result<(), Fault> {
        if is_channel(answer) {
            let place = if answer.place.is_empty() { "channel" } else { &answer.place };
            self.channels.push(answer.called(place.to_owned()));
            return Ok(());
        }
        let data = answer.field("data").or_else(|| answer.field("channels"));
        if let Some(message) = answer.field("message").filter(|said| !said.is_idle() && data.is_none()) {
            return Err(Fault::Refused { message: printable(message.text().unwrap_or_default()) });
        }
        let data = match data {
            Some(data) => data,
            None if answer.field("items").is_some() => answer.clone(),
            None => return Err(Fault::Missing { place: answer.at("data") }),
        };
        let total = data.field("total").or_else(|| answer.field("total"));
        let total = total.and_then(|total| usize::try_from(total.whole_number().ok()?).ok());
        self.total = self.total.max(total);
        match data.field("items") {
            Some(items) => {
                self.flavour = Flavour::NewApi;
                self.list(&items)
            }
            None if is_channel(&data) => self.answer(&data),
            None => self.list(&data),
        }
    }

    /// Pages that overlap, or that were fetched twice, hold a channel twice.
    fn count_once(&mut self, draft: &mut Draft) {
        let mut known: BTreeMap<i64, Vec<Said<'v>>> = BTreeMap::new();
        self.channels.retain(|channel| {
            let Some(id) = channel.field("id").and_then(|id| id.whole_number().ok()) else { return true };
            let namesakes = known.entry(id).or_default();
            let again = namesakes.iter().any(|one| is_same(one, channel));
            if again {
                draft.remark_on(format!("channel {id}"), "it is in the export more than once, and counts once");
            } else {
                namesakes.push(channel.clone());
            }
            !again
        });
    }

    fn remark_missing(&self, draft: &mut Draft) {
        let there = self.channels.len();
        match self.total {
            Some(total) if total > there => {
                draft.remark(format!(
                    "the export has {there} of {total} channels, and the others are missing here: {ALL}"
                ));
            }
            None if !self.pages.is_empty() && self.pages.iter().all(|page| *page == USUAL_PAGE) => {
                draft.remark(format!(
                    "the export has exactly {there} channels, and a page of it has {USUAL_PAGE} unless more are asked \
                     for, so others may be missing here: {ALL}"
                ));
            }
            Some(_) | None => {}
        }
    }
}

fn is_channel(said: &Said<'_>) -> bool {
    said.field("type").is_some() && said.field("models").is_some()
}

fn is_page(said: &Said<'_>) -> bool {
    let is_answer = || ["data", "items", "channels", "success"].iter().any(|name| said.field(name).is_some());
    said.is_list() || (!is_channel(said) && is_answer())
}

fn is_same(one: &Said<'_>, other: &Said<'_>) -> bool {
    IDENTITY.iter().all(|name| one.field(name).map(|said| said.value()) == other.field(name).map(|said| said.value()))
}
