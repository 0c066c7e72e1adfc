//! Rows of figures, with their median and spread.
//!
//! Not inside: what was measured.

/// One row: what was done, and a figure for each round.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) figures: Vec<f64>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>) -> Row {
        Row { name: name.into(), figures: Vec::new() }
    }

    pub(crate) fn median(&self) -> Option<f64> {
        median(&self.figures)
    }

    pub(crate) fn range(&self) -> Option<(f64, f64)> {
        range(&self.figures)
    }
}

/// The figure in the middle; of two, the mean. `None` without any.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The smallest and the largest figure.
pub(crate) fn range(figures: &[f64]) -> Option<(f64, f64)> {
    let least = figures.iter().copied().min_by(f64::total_cmp)?;
    let most = figures.iter().copied().max_by(f64::total_cmp)?;
    Some((least, most))
}

/// The figure that so many of a hundred do not exceed, of figures in order; `None` without any.
pub(crate) fn percentile<T: Copy>(ordered: &[T], percent: usize) -> Option<T> {
    let rank = (ordered.len() * percent).div_ceil(100).max(1);
    ordered.get(rank - 1).copied()
}

/// As a table of Markdown: median, range, and the ratio to a row.
pub(crate) fn print(unit: &str, rows: &[Row], against: Option<&str>) {
    let reference = against.and_then(|name| rows.iter().find(|row| row.name == name)).and_then(Row::median);
    let ratio_head = against.filter(|_| reference.is_some());
    match ratio_head {
        Some(name) => println!("| what | {unit}, median | range | against {name} |\n|---|---|---|---|"),
        None => println!("| what | {unit}, median | range |\n|---|---|---|"),
    }
    for row in rows {
        let (Some(median), Some((least, most))) = (row.median(), row.range()) else { continue };
        print!("| {} | {} | {} to {} |", row.name, shown(median), shown(least), shown(most));
        match (ratio_head, reference) {
            (Some(_), Some(reference)) => println!(" {:.3} |", median / reference),
            _ => println!(),
        }
    }
    println!();
}

/// Three digits that count, or all before the point.
pub(crate) fn shown(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges() {
        #[track_caller]
        fn check(figures: &[f64], median: Option<f64>, range: Option<(f64, f64)>) {
            let row = Row { name: String::new(), figures: figures.to_vec() };
            assert_eq!((row.median(), row.range()), (median, range));
        }
        check(&[], None, None);
        check(&[3.0], Some(3.0), Some((3.0, 3.0)));
        check(&[9.0, 1.0, 2.0], Some(2.0), Some((1.0, 9.0)));
        check(&[4.0, 1.0], Some(2.5), Some((1.0, 4.0)));
    }

    #[test]
    fn percentiles_are_figures_that_occurred() {
        let hundred: Vec<usize> = (1..=100).collect();
        assert_eq!([1, 50, 99, 100].map(|percent| percentile(&hundred, percent)), [1, 50, 99, 100].map(Some));
        assert_eq!(percentile(&[7, 8, 9], 50), Some(8));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile::<usize>(&[], 50), None);
    }

    #[test]
    fn figures_are_shown_with_the_digits_that_count() {
        assert_eq!([1234.5, 12.34, 1.234, 0.5].map(shown), ["1234", "12.3", "1.23", "0.50"]);
    }
}
