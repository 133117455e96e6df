//! The whole, as a table to be pasted.

use std::{fmt, fs};

use anyhow::{Context, Result};

use super::{Campaign, RATE, release::Row};

pub(crate) struct Summary {
    name: &'static str,
    /// The command that prints it, with the seed
    command: String,
    services: usize,
    rows: Vec<Row>,
    /// What is wrong with the whole
    wrong: Vec<String>,
}

impl Summary {
    pub(crate) fn new(campaign: &Campaign) -> Self {
        let Campaign { name, command, seed, .. } = campaign;
        let variable = format!("{}_SEED", name.to_uppercase());
        let command = format!("{variable}={seed} {command}");
        Self {
            name,
            command,
            services: campaign.services.len(),
            rows: Vec::new(),
            wrong: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
        self.rows.sort_by_key(|row| row.begun);
    }

    pub(crate) fn complain(&mut self, wrong: impl Iterator<Item = String>) {
        self.wrong.extend(wrong);
    }

    /// All that should not be, each with its release.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let of = |row: &Row| {
            let release = row.release.clone();
            row.complaints.clone().into_iter().map(move |text| format!("{release}: {text}"))
        };
        let all = self.rows.iter().flat_map(of).chain(self.wrong.clone());
        all.map(|text| format!("✘ {text}")).collect()
    }

    /// Keeps it as `target/soak/NAME.txt`; that of the soak itself is `summary.txt`.
    pub(crate) fn write(&self) -> Result<()> {
        let folder = demo::tree()?.join("target/soak");
        fs::create_dir_all(&folder).context("failed to make the folder of the summary")?;
        let name = if self.name == "soak" { "summary" } else { self.name };
        fs::write(folder.join(format!("{name}.txt")), self.to_string())
            .context("failed to write the summary")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}\n", self.command)?;
        writeln!(
            f,
            "{:<10} {:<8} {:<21} {:<32} {:<10} {:>7} {:>8} {:>6}  events",
            "release", "kind", "fault", "moment", "ended", "seconds", "requests", "errors"
        )?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        let sum = |of: fn(&Row) -> usize| self.rows.iter().map(of).sum::<usize>();
        writeln!(
            f,
            "\n{} releases of {} services under {RATE} requests/s; {} requests, {} of them answered by errors of the model released",
            self.rows.len(),
            self.services,
            sum(|row| row.requests),
            sum(|row| row.own_errors),
        )?;
        match &self.complaints()[..] {
            [] => {
                writeln!(
                    f,
                    "each service on one revision at 100 %, each end with its event, no other error"
                )
            }
            complaints => writeln!(f, "{}", complaints.join("\n")),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            release,
            plan,
            moment,
            ended,
            took,
            events,
            requests,
            own_errors,
            complaints,
            ..
        } = self;
        write!(
            f,
            "{release:<10} {:<8} {:<21} {moment:<32} {ended:<10} {:>7} {requests:>8} {own_errors:>6}  {}{}",
            plan.kind,
            plan.fault,
            took.as_secs(),
            events.join(" "),
            if complaints.is_empty() { "" } else { "  ✘" },
        )
    }
}
