//! The two cities. They do not exist; their coordinates lie in the open Baltic Sea, where no city is.

/// An invented city.
pub(super) struct City {
    /// The name for people.
    pub name: &'static str,
    /// The name in files and ids.
    pub key: &'static str,
    /// An invented country code of the user-assigned range of ISO 3166.
    pub country: &'static str,
    /// Longitude and latitude of the centre.
    pub centre: (f64, f64),
    /// Streets from the bridge outward.
    pub streets: [&'static str; 12],
}

/// West bank and east bank.
pub(super) const CITIES: [City; 2] = [
    City {
        name: "Arvenna",
        key: "arvenna",
        country: "XA",
        centre: (18.585, 56.002),
        streets: [
            "West Bridge Road",
            "Tanners' Quay",
            "Harbour Street",
            "Old Customs Road",
            "Linden Avenue",
            "Market Street",
            "Mill Lane",
            "Station Road",
            "University Street",
            "Hospital Road",
            "Vineyard Way",
            "Airport Road",
        ],
    },
    City {
        name: "Belmark",
        key: "belmark",
        country: "XB",
        centre: (18.635, 56.001),
        streets: [
            "East Bridge Road",
            "Granary Quay",
            "Shipyard Street",
            "New Customs Road",
            "Chestnut Avenue",
            "Cathedral Street",
            "Weir Lane",
            "Tram Depot Road",
            "College Street",
            "Stadium Road",
            "Orchard Way",
            "Ring Road",
        ],
    },
];

impl City {
    /// The middle of a street: the first is at the river, each next one farther from it.
    pub(super) fn street_at(&self, street: usize) -> (f64, f64) {
        let (x, y) = self.centre;
        let (column, row) = (as_f64(street % 4), as_f64(street / 4));
        let away_from_river = if self.key == "arvenna" { -1.0 } else { 1.0 };
        (x + away_from_river * (column - 1.5) * 0.008, y + (row - 1.0) * 0.006)
    }
}

/// A small count as a number to compute with.
pub(super) fn as_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
