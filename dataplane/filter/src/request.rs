//! Requests: what may be asked, and what the broker is asked then.
//!
//! Whatever is not known is refused. What goes to the broker is written anew from what was understood, under a context that
//! the selection lists, so that both read the same.

use policy_plan::{Member, Refusal, Stretch};

use crate::condition::Conditions;
use crate::head::{accept, context_link, contexts};
use crate::names::{Names, is_core};
use crate::narrow;
use crate::rules::Filter;
use crate::scan::Halt;
use crate::search::{self, Denied};
use crate::stream::Representation;
use crate::upstream::{Paged, Upstream};

/// The core context that is asked for when the selection lists no context.
pub(crate) const CORE: &str = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";
/// Most entities that are given at once where we count them.
const MAX_LIMIT: u64 = 1000;
/// A pattern that every id fits, which some clients always send.
const ALL_IDS: &str = ".*";

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path below the source's base, percent-encoded.
    pub path: &'a str,
    /// The query, percent-encoded.
    pub query: Option<&'a str>,
    /// The `Accept` header; several are joined by commas.
    pub accept: Option<&'a str>,
    /// The `Link` header; several are joined by commas.
    pub link: Option<&'a str>,
    /// The present moment in milliseconds since the epoch.
    pub now_ms: i64,
}

/// What is being found out about a request.
struct Reading<'f> {
    filter: &'f Filter,
    names: std::sync::Arc<Names>,
    single: bool,
    temporal: bool,
    representation: Representation,
    count: bool,
    typed: bool,
    identified: bool,
    geo_query: bool,
    geo_property: Option<String>,
    geometry_property: Option<String>,
    time_query: bool,
    time_property: Option<String>,
}

impl Filter {
    /// Checks a request and writes it anew.
    ///
    /// # Errors
    /// A [`Refusal`] with one of the codes `method_not_admitted`, `path_not_safe`, `path_not_admitted`, `query_not_safe`,
    /// `query_not_admitted`, `query_repeated`, `name_not_admitted`, `context_not_admitted`, `representation_not_admitted`,
    /// `no_such_entity`. It says nothing about what the source holds.
    pub fn request(&self, asked: &Asked<'_>) -> Result<Upstream, Refusal> {
        if asked.method != "GET" {
            return Err(refusal(
                "method_not_admitted",
                "only GET is admitted where an agreement selects what is shown",
            ));
        }
        let (temporal, id) = place(asked.path)?;
        self.question(asked, temporal, id.as_deref(), policy_plan::query_pairs(asked.query.unwrap_or_default())?)
    }

    /// Checks what is asked for by these parameters, of which no name may come twice, and writes it anew.
    pub(crate) fn question(
        &self,
        asked: &Asked<'_>,
        temporal: bool,
        id: Option<&str>,
        mut query: Vec<(String, String)>,
    ) -> Result<Upstream, Refusal> {
        let context = self.asked_context(asked.link)?;
        let names = self.asked_names(&context)?;
        if let Some(id) = id {
            self.check_id(id)?;
        }
        let mut reading = Reading {
            filter: self,
            names,
            single: id.is_some(),
            temporal,
            representation: Representation::Normalized,
            count: false,
            typed: false,
            identified: id.is_some(),
            geo_query: false,
            geo_property: None,
            geometry_property: None,
            time_query: false,
            time_property: None,
        };
        for (place, (name, value)) in query.iter().enumerate() {
            if query.iter().take(place).any(|(before, _)| before == name) {
                return Err(refusal("query_repeated", &format!("the query parameter `{}` is repeated", shown(name))));
            }
            reading.parameter(name, value)?;
        }
        reading.settle()?;
        // It stands for all, and would hide ours.
        query.retain(|(name, value)| name != "idPattern" || value != ALL_IDS);
        if let (true, Some((_, options))) = (temporal, query.iter_mut().find(|(name, _)| name == "options")) {
            let known: Vec<&str> = options.split(',').filter(|option| *option != "count").collect();
            *options = known.join(",");
        }
        query.retain(|(name, value)| name != "options" || !value.is_empty());
        let accept = accept(asked.accept, temporal, id.is_some(), self.csv_reads())?;
        let listed = !temporal && !reading.single && accept.ends_with("json") && !accept.ends_with("ndjson");
        let paged = if listed && self.removes_entities() { Some(paged(&mut query, reading.count)?) } else { None };
        if reading.count && paged.is_none() && self.removes_entities() {
            return Err(not_admitted("count"));
        }
        if !reading.single && !reading.typed {
            query.push(("type".to_owned(), self.selection.types.join(",")));
        }
        if let (false, false, Some(ids)) = (reading.single, reading.identified, &self.selection.ids) {
            query.push(("idPattern".to_owned(), id_pattern(ids)));
        }
        let given = query.clone();
        narrow::by_conditions(self, &reading.names, reading.single, &mut query)?;
        let moments = if temporal { narrow::by_moments(self, asked.now_ms, &mut query)? } else { Stretch::ALWAYS };
        let place = reading.geometry_property.as_deref().unwrap_or("location");
        let geometry = search::searchable(self, &reading.names, place).is_ok();
        Ok(Upstream {
            changed: narrow::changed(&given, &query),
            whole: self.selection.time.as_ref().is_some_and(|time| time.resolution_seconds.is_some()),
            complete: self.conditions.as_ref().is_some_and(Conditions::trusts_absence),
            asked: moments,
            query,
            accept,
            link: context_link(&context),
            body: None,
            single: reading.single,
            count: reading.count && paged.is_none(),
            paged,
            representation: reading.representation,
            temporal,
            geometry,
        })
    }

    fn check_id(&self, id: &str) -> Result<(), Refusal> {
        if self.selection.pseudonymous_ids {
            return Err(refusal("query_not_admitted", "entities cannot be asked for by id while ids are pseudonyms"));
        }
        let legal =
            id.contains(':') && id.chars().all(|c| c.is_ascii_graphic() && !matches!(c, ',' | '"' | '<' | '>' | '\\'));
        if legal && self.admits_id(id.as_bytes()) {
            return Ok(());
        }
        Err(refusal("no_such_entity", "there is no such entity"))
    }

    /// The names under a context that was asked for.
    pub(crate) fn asked_names(&self, context: &str) -> Result<std::sync::Arc<Names>, Refusal> {
        match self.names(&[context.to_owned()]) {
            Ok(names) => Ok(names),
            Err(Halt::Fault(fault)) => Err(refusal("context_not_admitted", &fault.message)),
            Err(Halt::Incomplete) => Err(refusal("context_not_admitted", "the context is not listed")),
        }
    }

    /// The context under which the request is read: the caller's, when it is listed.
    pub(crate) fn asked_context(&self, link: Option<&str>) -> Result<String, Refusal> {
        let Some(link) = link else {
            let first = self.selection.contexts.first().map(|context| context.url.clone());
            return Ok(first.or_else(|| self.selection.assumed_context.clone()).unwrap_or_else(|| CORE.to_owned()));
        };
        let mut found = contexts(link);
        match (found.pop(), found.is_empty()) {
            (Some(url), true) if is_core(&url) || self.selection.contexts.iter().any(|context| context.url == url) => {
                Ok(url)
            }
            _ => {
                Err(refusal("context_not_admitted", "the `Link` header must name one context that the agreement lists"))
            }
        }
    }
}

impl Reading<'_> {
    fn parameter(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        match name {
            "type" => self.types(value),
            "id" => {
                self.identified = true;
                value.split(',').try_for_each(|id| self.filter.check_id(id))
            }
            "idPattern" if value == ALL_IDS => Ok(()),
            "idPattern" => {
                let ours = self.filter.selection.ids.as_deref().map(id_pattern);
                if self.filter.selection.pseudonymous_ids || ours.is_some_and(|ours| ours != value) {
                    return Err(not_admitted(name));
                }
                self.identified = true;
                Ok(())
            }
            "attrs" => value.split(',').try_for_each(|attribute| self.present(attribute)),
            "pick" => self.pick(value),
            "omit" => value.split([',', '|']).try_for_each(|item| match item {
                "scope" if self.filter.shows(Member::Scope) => Ok(()),
                item => self.attribute(item),
            }),
            "q" => search::check(self.filter, &self.names, value).map_err(|denied| self.denied("q", denied)),
            "orderBy" => value.split(',').try_for_each(|item| self.order(item)),
            "scopeQ" if self.filter.shows(Member::Scope) => plain(name, value, "/+#,|;()_-."),
            "georel" => {
                self.geo_query = true;
                plain(name, value, ";=.")
            }
            "geometry" => plain(name, value, ""),
            "coordinates" => plain(name, value, "[],.- +"),
            "geoproperty" => {
                self.geo_property = Some(value.to_owned());
                Ok(())
            }
            "geometryProperty" => {
                self.attribute(value)?;
                self.geometry_property = Some(value.to_owned());
                Ok(())
            }
            "limit" | "offset" | "lastN" if value.len() <= 9 && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(())
            }
            "count" | "local" if matches!(value, "true" | "false") => {
                self.count |= name == "count" && value == "true";
                Ok(())
            }
            "options" | "format" => value.split(',').try_for_each(|option| self.option(option)),
            "lang" => {
                let restricted = self.filter.rules.iter().any(|rule| !rule.admits_language(value.as_bytes()));
                if restricted { Err(not_admitted(name)) } else { plain(name, value, "-") }
            }
            "datasetId" => {
                let admits = |id: &str| self.filter.rules.iter().all(|rule| rule.admits_dataset(id.as_bytes()));
                if value.split(',').all(admits) { plain(name, value, ":,@/.#_-") } else { Err(not_admitted(name)) }
            }
            "timerel" if self.temporal => {
                self.time_query = true;
                plain(name, value, "")
            }
            "timeAt" | "endTimeAt" if self.temporal => plain(name, value, ":.-+"),
            "timeproperty" if self.temporal => {
                self.time_property = Some(value.to_owned());
                Ok(())
            }
            _ => Err(not_admitted(name)),
        }
    }

    /// What several parameters say together.
    fn settle(&mut self) -> Result<(), Refusal> {
        if self.geo_query || self.geo_property.is_some() {
            let name = self.geo_property.as_deref().unwrap_or("location");
            search::searchable(self.filter, &self.names, name).map_err(|denied| self.denied("geoproperty", denied))?;
            if self.filter.selection.coordinate_decimals.is_some() {
                return Err(refusal(
                    "query_not_admitted",
                    "entities cannot be asked for by place while coordinates are coarse",
                ));
            }
        }
        if self.time_query || self.time_property.is_some() {
            let name = self.time_property.as_deref().unwrap_or("observedAt");
            let time = match self.filter.selection.time {
                Some(_) => name == "observedAt",
                None => matches!(name, "observedAt" | "createdAt" | "modifiedAt" | "deletedAt"),
            };
            let shown = Member::named(name.as_bytes()).is_some_and(|member| self.filter.shows(member));
            if !time || !shown {
                return Err(not_admitted("timeproperty"));
            }
        }
        if self.representation == Representation::Simplified && self.filter.selection.pseudonymous_ids {
            return Err(refusal(
                "representation_not_admitted",
                "simplified answers do not tell ids from other texts, and ids are pseudonyms",
            ));
        }
        let time = self.filter.selection.time.as_ref();
        if self.representation == Representation::Simplified && time.is_some_and(|time| time.attribute.is_none()) {
            return Err(refusal(
                "representation_not_admitted",
                "simplified answers do not tell when something was observed, and only some moments are shown",
            ));
        }
        Ok(())
    }

    fn types(&mut self, value: &str) -> Result<(), Refusal> {
        self.typed = true;
        // A whole name may not hold these characters, so the expression can be read in one way only.
        for name in value.split([',', '|', ';', '(', ')']) {
            let admitted = self.names.number(name.as_bytes()).is_some_and(|number| self.filter.is_type(number));
            if !admitted && !name.is_empty() {
                return Err(self.hidden("type", name));
            }
        }
        if value.split([',', '|', ';', '(', ')']).all(str::is_empty) {
            return Err(not_admitted("type"));
        }
        Ok(())
    }

    fn attribute(&self, name: &str) -> Result<(), Refusal> {
        match self.names.number(name.as_bytes()).and_then(|number| self.filter.attribute(number)) {
            Some(_) => Ok(()),
            None => Err(self.hidden("attribute", name)),
        }
    }

    /// The same where entities without the attribute are left out, which would tell of instances that are not shown.
    fn present(&self, name: &str) -> Result<(), Refusal> {
        let number = self.names.number(name.as_bytes()).filter(|number| !self.filter.is_personal(*number));
        match number.and_then(|number| self.filter.attribute(number)) {
            Some(rule) if rule.languages.is_none() && rule.dataset_ids.is_none() => Ok(()),
            _ => Err(self.hidden("attribute", name)),
        }
    }

    fn pick(&self, value: &str) -> Result<(), Refusal> {
        let items: Vec<&str> = value.split([',', '|']).collect();
        for item in &items {
            match *item {
                "id" | "type" => {}
                "scope" if self.filter.shows(Member::Scope) => {}
                item => self.attribute(item)?,
            }
        }
        if items.contains(&"id") && items.contains(&"type") {
            return Ok(());
        }
        Err(refusal(
            "query_not_admitted",
            "`pick` must list `id` and `type`, by which the agreement's rules are applied",
        ))
    }

    fn order(&self, item: &str) -> Result<(), Refusal> {
        let (name, direction) = item.split_once(';').unwrap_or((item, "asc"));
        if !matches!(direction, "asc" | "desc") || name.contains(['[', '{']) {
            return Err(not_admitted("orderBy"));
        }
        search::path(self.filter, &self.names, name).map_err(|denied| self.denied("orderBy", denied))
    }

    fn option(&mut self, option: &str) -> Result<(), Refusal> {
        let times = self.filter.shows(Member::CreatedAt) || self.filter.shows(Member::ModifiedAt);
        let wanted = match option {
            "normalized" => Representation::Normalized,
            "concise" if !self.temporal => Representation::Concise,
            "simplified" | "keyValues" if !self.temporal => Representation::Simplified,
            "temporalValues" if self.temporal => Representation::Normalized,
            "sysAttrs" if times => return Ok(()),
            // As some clients ask for the number of results; none is told of a series.
            "count" if self.temporal => return Ok(()),
            _ => {
                let text = format!("the option `{}` is not admitted", shown(option));
                return Err(refusal("representation_not_admitted", &text));
            }
        };
        if self.representation != Representation::Normalized && self.representation != wanted {
            return Err(refusal("representation_not_admitted", "two representations are asked for"));
        }
        self.representation = wanted;
        Ok(())
    }

    fn hidden(&self, what: &str, name: &str) -> Refusal {
        refusal("name_not_admitted", &format!("the {what} `{}` is not part of the agreement", shown(name)))
    }

    fn denied(&self, parameter: &str, denied: Denied) -> Refusal {
        match denied {
            Denied::Hidden(name) => {
                let text =
                    format!("`{parameter}` asks about `{}`, which the agreement does not show as it is", shown(&name));
                refusal("name_not_admitted", &text)
            }
            Denied::Unreadable(why) => {
                refusal("query_not_admitted", &format!("`{parameter}` cannot be understood: {why}"))
            }
        }
    }
}

/// Takes out what the parameters say of pages.
fn paged(query: &mut Vec<(String, String)>, count: bool) -> Result<Paged, Refusal> {
    let number = |wanted: &str| {
        query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.parse().map_err(|_| not_admitted(wanted)))
    };
    let paged =
        Paged { offset: number("offset").transpose()?.unwrap_or_default(), limit: number("limit").transpose()?, count };
    if paged.limit.is_some_and(|limit| limit > MAX_LIMIT || (limit == 0 && !count)) {
        return Err(not_admitted("limit"));
    }
    query.retain(|(name, _)| !matches!(name.as_str(), "limit" | "offset" | "count"));
    Ok(paged)
}

/// Whether the path is temporal, and the entity's id in it.
fn place(path: &str) -> Result<(bool, Option<String>), Refusal> {
    let segments = policy_plan::path_segments(path)?;
    let mut rest: Vec<&str> = segments.iter().map(String::as_str).collect();
    if rest.starts_with(&["ngsi-ld", "v1"]) {
        rest.drain(..2);
    }
    let (temporal, rest) = match rest.as_slice() {
        ["temporal", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    match rest {
        ["entities"] => Ok((temporal, None)),
        ["entities", id] if !id.is_empty() => Ok((temporal, Some((*id).to_owned()))),
        _ => Err(refusal("path_not_admitted", "only entities can be read where an agreement selects what is shown")),
    }
}

/// Patterns of ids, in which `*` stands for any characters, as one regular expression.
#[must_use]
pub fn id_pattern(patterns: &[String]) -> String {
    let parts: Vec<String> = patterns
        .iter()
        .map(|pattern| {
            let mut out = String::new();
            for c in pattern.chars() {
                match c {
                    '*' => out.push_str(".*"),
                    c if c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '/') || !c.is_ascii() => {
                        out.push(c)
                    }
                    c => out.extend(['[', c, ']']),
                }
            }
            out.replace("[^]", "\\^").replace("[\\]", "\\\\")
        })
        .collect();
    format!("^({})$", parts.join("|"))
}

/// A value of letters, digits and the characters of `more`.
fn plain(name: &str, value: &str, more: &str) -> Result<(), Refusal> {
    if value.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c)) {
        return Ok(());
    }
    Err(refusal("query_not_admitted", &format!("the query parameter `{name}` has a value that is not admitted")))
}

pub(crate) fn not_admitted(name: &str) -> Refusal {
    refusal("query_not_admitted", &format!("the query parameter `{}` is not admitted so", shown(name)))
}

pub(crate) fn refusal(code: &'static str, message: &str) -> Refusal {
    Refusal { code, message: message.to_owned(), rule: None, fact: None }
}

pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
