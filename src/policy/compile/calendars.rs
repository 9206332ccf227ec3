//! Named lists of days, on which a window of a price list stays closed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::policy::diagnostic::{Diagnostic, Severity};
use crate::policy::nearest::advice;
use crate::policy::raw::config::Calendar;
use crate::policy::source::At;

use super::Context;

/// Calendars that are built in, as first and last days; one in a configuration replaces its namesake whole.
///
/// A day that is missing is billed as a working day, which is the dearer reading.
const BUILT_IN: [(&str, &[(&str, &str)]); 1] = [("cn-holidays", CHINA)];

/// Public holidays of mainland China in 2026, by the State Council's notice 国办发明电〔2025〕7号 of 4 November 2025. That
/// for 2027 was not to be had when this was written.
const CHINA: &[(&str, &str)] = &[
    ("2026-01-01", "2026-01-03"),
    ("2026-02-15", "2026-02-23"),
    ("2026-04-04", "2026-04-06"),
    ("2026-05-01", "2026-05-05"),
    ("2026-06-19", "2026-06-21"),
    ("2026-09-25", "2026-09-27"),
    ("2026-10-01", "2026-10-07"),
];

/// All known calendars.
pub(crate) struct Calendars {
    days: BTreeMap<String, Vec<Date>>,
    used: RefCell<BTreeSet<String>>,
}

impl Calendars {
    /// The built-in ones under those of a configuration.
    pub(crate) fn new(configured: &[Calendar]) -> Self {
        let mut calendars = BTreeMap::new();
        for (name, spans) in BUILT_IN {
            let days = spans.iter().flat_map(|(first, last)| days_between(first, last)).collect();
            calendars.insert(name.to_owned(), days);
        }
        for calendar in configured {
            let mut days = calendar.days.clone();
            days.sort_unstable();
            days.dedup();
            calendars.insert(calendar.name.clone(), days);
        }
        Self { days: calendars, used: RefCell::default() }
    }

    /// The days of the calendar called `name`, in order; `None` if there is none, which is reported.
    pub(super) fn days(&self, name: &At<String>, context: &Context<'_>) -> Option<Vec<Date>> {
        let found = self.days.get(&name.value).cloned();
        if found.is_none() {
            let known = self.days.keys().map(String::as_str).collect::<Vec<_>>();
            let add = || format!("add [calendars.{}] days = [\"2026-10-01\", …]", name.value);
            let hint = advice(&name.value, &known).unwrap_or_else(add);
            let message = format!("there is no calendar `{}`", name.value);
            context.report.push(Diagnostic::error(&name.place, message).hint(hint));
        }
        self.used.borrow_mut().insert(name.value.clone());
        found
    }

    /// Says which of the calendars that were needed have nothing to say of this year: its holidays are then billed as
    /// working days.
    pub(super) fn warn_of_past_years(&self, context: &Context<'_>) {
        let year = context.inputs.today().year();
        let used = self.used.borrow();
        for (name, last) in used.iter().filter_map(|name| Some((name, self.days.get(name)?.last()?))) {
            if last.year() < year {
                let message =
                    format!("the calendar `{name}` ends on {last}: later holidays are taken for working days");
                let hint = format!("set [calendars.{name}] days to those of {year}");
                context.report.push(Diagnostic::general(Severity::Warning, message).hint(hint));
            }
        }
    }
}

fn days_between(first: &str, last: &str) -> Vec<Date> {
    let (Ok(first), Ok(last)) = (first.parse::<Date>(), last.parse::<Date>()) else { return Vec::new() };
    first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_days_are_real_and_in_order() {
        let calendars = Calendars::new(&[]);
        for (name, spans) in BUILT_IN {
            let days = &calendars.days[name];
            assert!(days.len() > spans.len(), "{name}: a span could not be read");
            assert!(days.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
            assert!(spans.iter().all(|(first, last)| !days_between(first, last).is_empty()), "{name}");
        }
    }
}
