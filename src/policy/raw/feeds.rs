//! The `[prices]` table: which price lists are fetched.

use std::time::Duration;

use crate::policy::feed::FeedFormat;
use crate::policy::fields::Fields;
use crate::policy::quantity::{QuantityError, duration, percentage};
use crate::policy::read::{Node, word};
use crate::policy::source::{At, Place};

/// `[prices]`.
#[derive(Debug, Default)]
pub(crate) struct Prices {
    /// Where the last good list of each feed is kept.
    pub(crate) keep: Option<At<String>>,
    pub(crate) feeds: Vec<Feed>,
}

/// One of `[[prices.feeds]]`.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) place: Place,
    pub(crate) name: Option<At<String>>,
    pub(crate) url: At<String>,
    pub(crate) format: FeedFormat,
    pub(crate) every: Option<Duration>,
    /// In thousandths.
    pub(crate) max_rise: Option<u32>,
    pub(crate) upstream: Option<At<String>>,
}

/// More often is no use to anybody, and a burden to who publishes it.
const OFTENEST: Duration = Duration::from_secs(10);

/// Reads `[prices]`.
pub(crate) fn prices(node: &Node<'_>) -> Option<Prices> {
    node.fields(|fields| Prices {
        keep: fields.at("keep", word),
        feeds: fields.get("feeds", |node| node.list(feed)).unwrap_or_default(),
    })
}

fn feed(node: &Node<'_>) -> Option<Feed> {
    node.fields(|fields: &Fields<'_>| {
        let url = fields.need("url", word);
        let format = fields.need("format", |node| node.choice(&FeedFormat::NAMED));
        let (name, every) = (fields.at("name", name), fields.get("every", |node| node.quantity(often)));
        let max_rise = fields.get("max_rise", |node| node.quantity(thousandths));
        let upstream = fields.at("upstream", word);
        Some(Feed { place: node.place.clone(), name, url: url?, format: format?.value, every, max_rise, upstream })
    })?
}

/// It is a label and a file's name.
fn name(node: &Node<'_>) -> Option<String> {
    let text = word(node)?;
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() > 64 || !text.chars().all(fit) || text.starts_with('.') {
        let hint = "use letters, digits, `-`, `_` and `.`, at most 64, and no `.` in front".to_owned();
        node.error(format!("`{text}` does not do as a feed's name"), Some(hint));
        return None;
    }
    Some(text)
}

fn often(text: &str) -> Result<Duration, QuantityError> {
    let every = duration(text)?;
    if every < OFTENEST {
        return Err(QuantityError::Range { found: text.to_owned(), fault: "too often: at least \"10s\" apart" });
    }
    Ok(every)
}

fn thousandths(text: &str) -> Result<u32, QuantityError> {
    let share = percentage(text)?;
    let thousandths = (share.0 * 1000.0).round();
    if !(0.0..=1_000_000.0).contains(&thousandths) {
        return Err(QuantityError::Range { found: text.to_owned(), fault: "too large: at most \"100000%\"" });
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range, as checked")]
    Ok(thousandths as u32)
}
