//! Tables between marks in a Markdown document: reading them, comparing them with what the code says, writing
//! them anew. `<!-- table:name -->` opens one, `<!-- /table -->` ends it.
//!
//! Not inside: what the rows are; that is [`super::tables`].

/// What a table has to say.
pub(super) struct Table {
    /// The name in its mark.
    pub(super) name: &'static str,
    /// The heads of the columns that the code decides; the first column is the key of a row.
    pub(super) columns: &'static [&'static str],
    /// The head of a last column that people write, where there is one.
    pub(super) notes: Option<&'static str>,
    pub(super) rows: Vec<Row>,
}

/// One row as the code knows it.
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    /// What the people's column says in a new row.
    pub(super) note: String,
}

/// What a cell may say.
pub(super) enum Cell {
    Exactly(String),
    /// Any of these, and the first where the document says none of them. Never empty.
    OneOf(Vec<String>),
}

impl Cell {
    fn allows(&self, text: &str) -> bool {
        match self {
            Cell::Exactly(expected) => expected == text,
            Cell::OneOf(choices) => choices.iter().any(|choice| choice == text),
        }
    }

    /// What stands in the table: `present` where that is allowed.
    fn settle<'a>(&'a self, present: Option<&'a str>) -> &'a str {
        match (self, present) {
            (Cell::OneOf(choices), Some(present)) if choices.iter().any(|choice| choice == present) => {
                present
            }
            (Cell::OneOf(choices), _) => &choices[0],
            (Cell::Exactly(expected), _) => expected,
        }
    }
}

impl Row {
    fn key(&self) -> &str {
        self.cells[0].settle(None)
    }
}

/// A table as it stands in a document.
struct Present<'a> {
    before: &'a str,
    after: &'a str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Present<'_> {
    fn row(&self, key: &str) -> Option<&Vec<String>> {
        self.rows.iter().find(|row| row.first().is_some_and(|cell| cell == key))
    }
}

fn find<'a>(document: &'a str, name: &str) -> Result<Present<'a>, String> {
    let open = format!("<!-- table:{name} -->\n");
    let begin =
        document.find(&open).ok_or(format!("table {name}: the mark `{}` is missing", open.trim_end()))?;
    let begin = begin + open.len();
    let length = document[begin..].find("<!-- /table -->");
    let end = begin + length.ok_or(format!("table {name}: no `<!-- /table -->` ends it"))?;
    let mut lines = document[begin..end].lines().filter(|line| line.starts_with('|')).map(cells);
    let head = lines.next().unwrap_or_default();
    // The line of dashes below the head.
    let rows = lines.skip(1).collect();
    Ok(Present { before: &document[..begin], after: &document[end..], head, rows })
}

/// The cells of a line; `\|` is a bar within a cell.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut characters = line.trim().trim_start_matches('|').chars().peekable();
    while let Some(character) = characters.next() {
        let last = cells.last_mut().expect("there is always a last cell");
        match character {
            '\\' if characters.peek() == Some(&'|') => last.extend(characters.next()),
            '|' if characters.peek().is_none() => {}
            '|' => cells.push(String::new()),
            other => last.push(other),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

fn write_line<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for cell in cells {
        out.push_str("| ");
        out.push_str(&cell.replace('|', "\\|"));
        out.push(' ');
    }
    out.push_str("|\n");
}

/// What is wrong with the table in the document, row by row.
pub(super) fn compare(document: &str, table: &Table) -> Vec<String> {
    let name = table.name;
    let present = match find(document, name) {
        Ok(present) => present,
        Err(complaint) => return vec![complaint],
    };
    let mut complaints = Vec::new();
    let head: Vec<&str> = table.columns.iter().copied().chain(table.notes).collect();
    if present.head != head {
        complaints.push(format!("table {name}: its columns are {:?}, they should be {head:?}", present.head));
        return complaints;
    }
    for row in &table.rows {
        let key = row.key();
        let Some(there) = present.row(key) else {
            complaints.push(format!("table {name}: the row {key} is missing"));
            continue;
        };
        for (index, cell) in row.cells.iter().enumerate() {
            let text = there.get(index).map_or("", String::as_str);
            if !cell.allows(text) {
                let column = table.columns[index];
                let expected = cell.settle(None);
                complaints.push(format!(
                    "table {name}: row {key}, {column}: says {text:?}, the code says {expected:?}"
                ));
            }
        }
        if let Some(notes) = table.notes
            && there.get(row.cells.len()).is_none_or(|note| note.is_empty())
        {
            complaints.push(format!("table {name}: row {key} has no {notes:?}"));
        }
    }
    for there in &present.rows {
        let key = there.first().map_or("", String::as_str);
        if !table.rows.iter().any(|row| row.key() == key) {
            complaints.push(format!("table {name}: the row {key} names what does not exist"));
        }
    }
    let order = |keys: Vec<&str>| keys.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let present_order =
        order(present.rows.iter().filter_map(|row| row.first()).map(String::as_str).collect());
    if complaints.is_empty() && present_order != order(table.rows.iter().map(Row::key).collect()) {
        complaints.push(format!("table {name}: its rows stand in another order than in the code, or twice"));
    }
    complaints
}

/// The document with the table written anew; what people wrote into its last column stays.
pub(super) fn rewrite(document: &str, table: &Table) -> Result<String, String> {
    let present = find(document, table.name)?;
    let mut out = present.before.to_owned();
    let head: Vec<&str> = table.columns.iter().copied().chain(table.notes).collect();
    write_line(&mut out, head.iter().copied());
    out.push_str(&"|---".repeat(head.len()));
    out.push_str("|\n");
    for row in &table.rows {
        let there = present.row(row.key());
        let cell = |index: usize| there.and_then(|row| row.get(index)).map(String::as_str);
        let settled = row.cells.iter().enumerate().map(|(index, own)| own.settle(cell(index)));
        let kept = cell(row.cells.len()).filter(|note| !note.is_empty() && present.head.len() == head.len());
        let note = table.notes.map(|_| kept.unwrap_or(&row.note));
        write_line(&mut out, settled.chain(note));
    }
    out.push_str(present.after);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
before
<!-- table:things -->
| thing | place | notes |
|---|---|---|
| `a` | one | the \\| first |
| `b` | two | the second |
<!-- /table -->
after
";

    fn table(rows: &[(&str, &[&str])]) -> Table {
        let row = |(key, places): &(&str, &[&str])| Row {
            cells: vec![
                Cell::Exactly((*key).to_owned()),
                Cell::OneOf(places.iter().map(|place| (*place).to_owned()).collect()),
            ],
            note: "new".to_owned(),
        };
        Table {
            name: "things",
            columns: &["thing", "place"],
            notes: Some("notes"),
            rows: rows.iter().map(row).collect(),
        }
    }

    #[track_caller]
    fn check(rows: &[(&str, &[&str])], complaints: &[&str]) {
        let table = table(rows);
        assert_eq!(compare(DOCUMENT, &table), complaints);
        let written = rewrite(DOCUMENT, &table).unwrap();
        assert_eq!(compare(&written, &table), Vec::<String>::new(), "{written}");
        assert!(written.starts_with("before\n") && written.ends_with("<!-- /table -->\nafter\n"));
        if complaints.is_empty() {
            assert_eq!(written, DOCUMENT);
        }
    }

    #[test]
    fn a_table_that_agrees_stays_as_it_is() {
        check(&[("`a`", &["one"]), ("`b`", &["two"])], &[]);
        check(&[("`a`", &["elsewhere", "one"]), ("`b`", &["two"])], &[]);
    }

    #[test]
    fn missing_extra_and_differing_rows_are_named() {
        check(
            &[("`a`", &["one"]), ("`b`", &["two"]), ("`c`", &["x"])],
            &["table things: the row `c` is missing"],
        );
        check(&[("`a`", &["one"])], &["table things: the row `b` names what does not exist"]);
        check(
            &[("`a`", &["uno"]), ("`b`", &["two"])],
            &["table things: row `a`, place: says \"one\", the code says \"uno\""],
        );
        check(
            &[("`b`", &["two"]), ("`a`", &["one"])],
            &["table things: its rows stand in another order than in the code, or twice"],
        );
    }

    #[test]
    fn what_people_wrote_is_kept() {
        let written = rewrite(DOCUMENT, &table(&[("`c`", &["x"]), ("`a`", &["uno"])])).unwrap();
        assert!(written.contains("| `a` | uno | the \\| first |\n"), "{written}");
        assert!(written.contains("| `c` | x | new |\n"), "{written}");
        assert!(!written.contains("second"), "{written}");
    }

    #[test]
    fn marks_must_be_there() {
        let table = table(&[]);
        assert_eq!(compare("nothing", &table), ["table things: the mark `<!-- table:things -->` is missing"]);
        assert_eq!(
            compare("<!-- table:things -->\n", &table),
            ["table things: no `<!-- /table -->` ends it"]
        );
        assert!(rewrite("nothing", &table).is_err());
    }
}
