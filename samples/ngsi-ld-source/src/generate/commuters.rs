//! The CSV file: how many people cross the river, by hour, origin, destination and means of travel.

use std::io::{self, Write};

use time::OffsetDateTime;

use super::day::{hour_of, rush};
use super::earlier;
use crate::instant;
use crate::noise::Noise;

/// Statistical zones on each bank.
const ZONES: u32 = 12;
/// Means of travel, with their share of the people.
const MEANS: [(&str, f64); 4] = [("tram", 0.42), ("car", 0.31), ("bicycle", 0.17), ("foot", 0.1)];

/// Writes hour after hour, the newest first, until the file has at least so many bytes.
pub(super) fn write(out: &mut impl Write, seed: u64, end: OffsetDateTime, bytes: u64) -> io::Result<()> {
    let header = "hour,origin_zone,destination_zone,means,persons\n";
    out.write_all(header.as_bytes())?;
    let mut written = header.len() as u64;
    for hours_back in 1_i64.. {
        let at = earlier(end, hours_back * 60);
        let hour = instant::format(at);
        let mut noise = Noise::new(seed, &["commuters", &hour]);
        let people = 220.0 * rush(hour_of(at));
        for (origin, destination) in [("ARV", "BEL"), ("BEL", "ARV")] {
            for from in 1..=ZONES {
                for to in 1..=ZONES {
                    for (means, share) in MEANS {
                        if written >= bytes {
                            return Ok(());
                        }
                        let persons = people * share * noise.between(0.3, 1.7) / f64::from(from + to).sqrt();
                        let line = format!("{hour},{origin}-{from:02},{destination}-{to:02},{means},{persons:.0}\n");
                        out.write_all(line.as_bytes())?;
                        written += line.len() as u64;
                    }
                }
            }
        }
    }
    Ok(())
}
