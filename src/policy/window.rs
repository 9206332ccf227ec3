//! Hours of the week at which a price list differs, by the clock on the provider's wall.
//!
//! Whether a window is open is a question to the civil date and time in its zone, nothing else: an hour that the clocks
//! show twice is in it twice, one that they skip never. A window that runs over midnight belongs to the day on which it
//! began; a day that is excepted is closed from midnight to midnight, whenever the window began.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The days of a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days(u8);

/// Hours of some days.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hours {
    /// Whose clock.
    pub(crate) zone: TimeZone,
    /// On which days it opens.
    pub(crate) days: Days,
    /// When it opens.
    pub(crate) from: Time,
    /// When it closes; not after `from` is on the next day, so that equal is a whole day.
    pub(crate) to: Time,
    /// On which days it is closed, in order.
    pub(crate) except: Vec<Date>,
}

impl Days {
    /// Names as people write them, Monday first.
    pub(crate) const NAMES: [(&'static str, Weekday); 7] = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    /// Every day.
    pub(crate) const ALL: Self = Self(0b111_1111);
    /// No day.
    const NONE: Self = Self(0);

    /// The days by their numbers: 1 is Monday, 7 is Sunday; others are no days.
    pub(crate) fn of(numbers: &[u8]) -> Self {
        Self(numbers.iter().filter(|day| (1..=7).contains(*day)).fold(0, |days, day| days | 1 << (day - 1)))
    }

    const fn bit(day: Weekday) -> u8 {
        1 << day.to_monday_zero_offset()
    }

    fn has(self, day: Weekday) -> bool {
        self.0 & Self::bit(day) != 0
    }

    /// `mon-fri`, `sat, sun`, `fri-mon`, in any case; `None` if it is none of these.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let day = |name: &str| {
            let name = name.trim();
            Self::NAMES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, day)| day)
        };
        text.split(',').try_fold(Self::NONE, |all, part| {
            let (first, last) = part.split_once('-').map_or((part, part), |(first, last)| (first, last));
            let (mut at, last) = (day(first)?, day(last)?);
            let mut days = all.0 | Self::bit(at);
            while at != last {
                at = at.next();
                days |= Self::bit(at);
            }
            Some(Self(days))
        })
    }
}

impl Hours {
    /// Whether it is open.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.holds_on_the_wall(self.zone.to_datetime(now))
    }

    fn holds_on_the_wall(&self, wall: DateTime) -> bool {
        let (today, time) = (wall.date(), wall.time());
        if self.except.binary_search(&today).is_ok() {
            return false;
        }
        let opens_today = self.days.has(today.weekday());
        if self.from < self.to {
            return opens_today && self.from <= time && time < self.to;
        }
        let opened_yesterday = self.days.has(today.weekday().previous());
        (opens_today && time >= self.from) || (opened_yesterday && time < self.to)
    }

    /// Instants after `now` at which it may open or close: if it does at all, it does so at one of these first. Without
    /// exceptions a week repeats itself, so three of them say it all, and another one after each exception.
    pub(crate) fn edges(&self, now: Timestamp, edges: &mut Vec<Timestamp>) {
        let today = self.zone.to_datetime(now).date();
        self.edges_of_days(today, -1, 22, edges);
        for day in self.except.iter().filter(|day| **day >= today) {
            self.edges_of_days(*day, -1, 10, edges);
        }
        let transitions =
            self.zone.following(now).take_while(|next| next.timestamp().duration_since(now).as_hours() < 24 * 22);
        edges.extend(transitions.map(|next| next.timestamp()));
        edges.retain(|edge| *edge > now);
    }

    fn edges_of_days(&self, day: Date, first: i64, last: i64, edges: &mut Vec<Timestamp>) {
        for offset in first..last {
            let date = day.saturating_add(offset.days());
            for time in [Time::midnight(), self.from, self.to] {
                let ambiguous = self.zone.to_ambiguous_timestamp(date.to_datetime(time));
                // Where the clocks show it twice it is met twice; out of jiff's range nothing is met.
                edges.extend(ambiguous.earlier().ok());
                edges.extend(ambiguous.later().ok());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(zone: &str, days: &str, from: (i8, i8), to: (i8, i8), except: &[Date]) -> Hours {
        Hours {
            zone: TimeZone::get(zone).unwrap(),
            days: Days::parse(days).unwrap(),
            from: Time::constant(from.0, from.1, 0, 0),
            to: Time::constant(to.0, to.1, 0, 0),
            except: except.to_vec(),
        }
    }

    fn open(hours: &Hours, instant: &str) -> bool {
        hours.holds(instant.parse().unwrap())
    }

    #[test]
    fn it_is_open_from_its_first_minute_until_just_before_its_last() {
        // Monday, 23 November 2026.
        let office = hours("Asia/Shanghai", "mon-fri", (9, 0), (18, 0), &[]);
        assert!(!open(&office, "2026-11-23T00:59:59.999Z"));
        assert!(open(&office, "2026-11-23T01:00:00Z"));
        assert!(open(&office, "2026-11-23T09:59:59Z"));
        assert!(!open(&office, "2026-11-23T10:00:00Z"));
        assert!(!open(&office, "2026-11-22T02:00:00Z"), "Sunday");
    }

    #[test]
    fn over_midnight_it_belongs_to_the_day_on_which_it_began() {
        let night = hours("UTC", "fri", (22, 0), (6, 0), &[]);
        assert!(open(&night, "2026-11-27T22:00:00Z"));
        assert!(open(&night, "2026-11-28T05:59:59Z"));
        assert!(!open(&night, "2026-11-28T06:00:00Z"));
        assert!(!open(&night, "2026-11-27T05:00:00Z"), "Thursday's night");
    }

    #[test]
    fn equal_ends_are_a_whole_day() {
        let saturday = hours("UTC", "sat", (0, 0), (0, 0), &[]);
        assert!(open(&saturday, "2026-11-28T00:00:00Z") && open(&saturday, "2026-11-28T23:59:59Z"));
        assert!(!open(&saturday, "2026-11-27T23:59:59Z") && !open(&saturday, "2026-11-29T00:00:00Z"));
    }

    #[test]
    fn an_excepted_day_is_a_day_of_its_own_zone() {
        let golden = Date::constant(2026, 10, 1);
        let office = hours("Asia/Shanghai", "mon-fri", (0, 0), (0, 0), &[golden]);
        assert!(open(&office, "2026-09-30T15:59:59Z"));
        assert!(!open(&office, "2026-09-30T16:00:00Z"));
        assert!(!open(&office, "2026-10-01T15:59:59Z"));
        assert!(open(&office, "2026-10-01T16:00:00Z"));
    }

    #[test]
    fn an_hour_shown_twice_is_in_it_twice_and_one_skipped_never() {
        let small = hours("America/New_York", "sun", (1, 30), (2, 30), &[]);
        // 1 November 2026: 1:30 to 2:00, then 1:00 again.
        assert!(open(&small, "2026-11-01T05:30:00Z") && !open(&small, "2026-11-01T06:00:00Z"));
        assert!(open(&small, "2026-11-01T06:30:00Z") && open(&small, "2026-11-01T07:29:59Z"));
        // 8 March 2026: from 2:00 straight to 3:00.
        assert!(open(&small, "2026-03-08T06:59:59Z") && !open(&small, "2026-03-08T07:00:00Z"));
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        assert_eq!(Days::parse("mon-sun"), Some(Days::ALL));
        assert_eq!(Days::parse("fri-mon"), Days::parse("Fri, Sat, SUN,mon"));
        for wrong in ["", "mon-", "mo-fr", "mon;tue", "monday"] {
            assert_eq!(Days::parse(wrong), None, "{wrong}");
        }
    }
}
