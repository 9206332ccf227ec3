//! What was not taken over. A remark is one sentence and all that it is about: a hundred entries alike make one line, in
//! which the first few are named and the rest is counted.

use std::collections::BTreeSet;

use super::draft::printable;

/// How many names a list shows.
const SHOWN: usize = 10;

/// Remarks, in the order in which each was first made.
#[derive(Clone, Debug, Default)]
pub(super) struct Remarks(Vec<Remark>);

#[derive(Clone, Debug)]
struct Remark {
    what: String,
    subjects: Vec<String>,
    known: BTreeSet<String>,
}

impl Remarks {
    /// Notes `what` of `subject`, or of the whole file. The same is said once.
    pub(super) fn add(&mut self, subject: Option<String>, what: String) {
        let same = |one: &&mut Remark| one.what == what && one.subjects.is_empty() == subject.is_none();
        if let Some(remark) = self.0.iter_mut().find(same) {
            remark.about(subject);
            return;
        }
        let mut remark = Remark { what, subjects: Vec::new(), known: BTreeSet::new() };
        remark.about(subject);
        self.0.push(remark);
    }

    /// Takes in others, after these.
    pub(super) fn absorb(&mut self, others: Self) {
        for Remark { what, subjects, .. } in others.0 {
            if subjects.is_empty() {
                self.add(None, what);
            } else {
                for subject in subjects {
                    self.add(Some(subject), what.clone());
                }
            }
        }
    }

    /// One line for each.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |remark: &Remark| match remark.subjects.as_slice() {
            [] => remark.what.clone(),
            subjects => format!("{}: {}", listed(subjects), remark.what),
        };
        self.0.iter().map(|remark| printable(&line(remark))).collect()
    }
}

impl Remark {
    fn about(&mut self, subject: Option<String>) {
        if let Some(subject) = subject
            && self.known.insert(subject.clone())
        {
            self.subjects.push(subject);
        }
    }
}

/// Names in a row: the first few, and how many more there are.
pub(super) fn listed(names: &[impl AsRef<str>]) -> String {
    let shown = names.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_of_many_is_one_line_that_names_the_first_ten() {
        let mut remarks = Remarks::default();
        for number in (0..25).chain([3]) {
            remarks.add(Some(format!("channel {number}")), "it is off".to_owned());
        }
        remarks.add(Some("channel 1".to_owned()), "it is slow".to_owned());
        remarks.add(None, "no users".to_owned());
        remarks.add(None, "no users".to_owned());
        let ten = (0..10).map(|number| format!("channel {number}")).collect::<Vec<_>>().join(", ");
        let lines = [format!("{ten} and 15 more: it is off"), "channel 1: it is slow".into(), "no users".into()];
        assert_eq!(remarks.lines(), lines);
    }
}
