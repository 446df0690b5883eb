//! Figures by hand: text, lines, areas and panels with axes, as SVG. The same drawing gives the same bytes. Colours are classes, so
//! that a figure can be read on a light page and on a dark one.

use std::fmt::Write;

/// Colours of a light page and a dark one: background, text, muted text, rules, the band of an outage.
const PAGE: [(&str, &str, &str); 5] = [
    (".page{fill:C}", "#ffffff", "#0d1117"),
    ("text{fill:C}", "#1f2328", "#e6edf3"),
    (".muted{fill:C}", "#59636e", "#9198a1"),
    (".rule{stroke:C}", "#d1d9e0", "#3d444d"),
    (".band{fill:C}", "#fde2e1", "#4a2024"),
];

/// Colours of what is drawn, told apart also by who sees no red or no green.
const INKS: [(&str, &str); 8] = [
    ("#0969da", "#58a6ff"),
    ("#bc4c00", "#f0883e"),
    ("#1a7f37", "#56d364"),
    ("#8250df", "#bc8cff"),
    ("#bf3989", "#ff7bcb"),
    ("#9a6700", "#e3b341"),
    ("#59636e", "#9198a1"),
    ("#0a7b83", "#39c5cf"),
];

/// A colour of [`Svg`], by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink(pub usize);

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// In one.
    Solid,
    /// In dashes.
    Dashed,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// To the right of its place.
    Start,
    /// Over its place.
    Middle,
    /// To the left of its place.
    End,
}

/// A drawing.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Svg {
    /// An empty one, of that size. The title is for those who cannot see it.
    pub fn new(width: f64, height: f64, title: &str) -> Svg {
        Svg { width, height, title: title.into(), body: String::new() }
    }

    /// A text; `class` is `""`, `muted` or `bold`.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        let _ =
            writeln!(self.body, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#);
    }

    /// A text that reads upwards, centred on its place.
    pub fn text_upwards(&mut self, (x, y): (f64, f64), text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.body,
            r#"<text transform="translate({x:.1} {y:.1}) rotate(-90)" text-anchor="middle" class="muted">{text}</text>"#
        );
    }

    /// A thin line of the frame's.
    fn rule(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(self.body, r#"<path class="rule" d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}"/>"#);
    }

    /// A line through those places.
    pub fn line(&mut self, ink: Ink, stroke: Stroke, places: &[(f64, f64)]) {
        let dashes = match stroke {
            Stroke::Solid => "",
            Stroke::Dashed => r#" stroke-dasharray="5 3""#,
        };
        let _ = writeln!(self.body, r#"<path class="line i{}"{dashes} d="{}"/>"#, ink.0, path(places));
    }

    /// The area between those places and the height `ground`.
    pub fn area(&mut self, ink: Ink, places: &[(f64, f64)], ground: f64) {
        if let ([(first, _), ..], [.., (last, _)]) = (places, places) {
            let _ = writeln!(
                self.body,
                r#"<path class="area a{}" d="{}L{last:.1} {ground:.1}L{first:.1} {ground:.1}Z"/>"#,
                ink.0,
                path(places)
            );
        }
    }

    fn band(&mut self, (x, y): (f64, f64), width: f64, height: f64) {
        let _ = writeln!(
            self.body,
            r#"<rect class="band" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        );
    }

    /// A legend in one row that begins there.
    pub fn legend(&mut self, (x, y): (f64, f64), entries: &[(Mark, &str)]) {
        let mut x = x;
        for (mark, text) in entries {
            match *mark {
                Mark::Line(ink, stroke) => self.line(ink, stroke, &[(x, y - 4.0), (x + 22.0, y - 4.0)]),
                Mark::Area(ink) => {
                    self.area(ink, &[(x, y - 9.0), (x + 22.0, y - 9.0)], y + 1.0);
                    self.line(ink, Stroke::Solid, &[(x, y - 9.0), (x + 22.0, y - 9.0)]);
                }
                Mark::Band => self.band((x, y - 10.0), 22.0, 12.0),
            }
            self.text((x + 28.0, y), Anchor::Start, "", text);
            x += 28.0 + 6.6 * text.chars().count() as f64 + 20.0;
        }
    }

    /// The file.
    pub fn finish(self) -> String {
        let Svg { width, height, title, body } = self;
        let (mut light, mut dark) = (String::new(), String::new());
        for (rule, on_light, on_dark) in PAGE {
            light.push_str(&rule.replace('C', on_light));
            dark.push_str(&rule.replace('C', on_dark));
        }
        for (ink, (on_light, on_dark)) in INKS.iter().enumerate() {
            let _ = write!(light, ".i{ink}{{stroke:{on_light}}}.a{ink}{{fill:{on_light}}}");
            let _ = write!(dark, ".i{ink}{{stroke:{on_dark}}}.a{ink}{{fill:{on_dark}}}");
        }
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>{title}</title>
<style>
text{{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}}
.bold{{font-weight:600;font-size:13px}}.muted{{font-size:11px}}
.rule{{stroke-width:1;fill:none}}.line{{stroke-width:1.8;fill:none;stroke-linejoin:round}}.area{{fill-opacity:.28}}
{light}
@media (prefers-color-scheme:dark){{{dark}}}
</style>
<rect class="page" width="{width}" height="{height}"/>
{body}</svg>
"##,
            title = escaped(&title)
        )
    }
}

/// How something is shown in a legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As a line.
    Line(Ink, Stroke),
    /// As an area.
    Area(Ink),
    /// As the band of an outage.
    Band,
}

fn path(places: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (at, (x, y)) in places.iter().enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
    }
    path
}

/// A part of a drawing with axes of its own, both from 0.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// The upper left corner.
    pub at: (f64, f64),
    /// Its size.
    pub size: (f64, f64),
    /// What its right and upper edges stand for.
    pub most: (f64, f64),
}

impl Panel {
    /// Where that is in the drawing. What is beyond the edges is drawn at them.
    pub fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (left, top) = self.at;
        let (width, height) = self.size;
        let across = (x / self.most.0).clamp(0.0, 1.0);
        let up = (y / self.most.1).clamp(0.0, 1.0);
        (left + width * across, top + height * (1.0 - up))
    }

    /// Where all those are.
    pub fn places(&self, points: impl IntoIterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
        points.into_iter().map(|point| self.place(point)).collect()
    }

    /// The height of zero.
    pub fn ground(&self) -> f64 {
        self.at.1 + self.size.1
    }

    /// The band of a time from one end to the other.
    pub fn band(&self, svg: &mut Svg, from: f64, to: f64) {
        let ((left, top), (right, _)) = (self.place((from, self.most.1)), self.place((to, 0.0)));
        svg.band((left, top), right - left, self.size.1);
    }

    /// The rules at these heights, with their numbers when asked for.
    pub fn heights(&self, svg: &mut Svg, ticks: &[f64], numbered: bool) {
        for &tick in ticks {
            let (x, y) = self.place((0.0, tick));
            svg.rule((x, y), (x + self.size.0, y));
            if numbered {
                svg.text((x - 6.0, y + 4.0), Anchor::End, "muted", &super::report::number(tick));
            }
        }
    }

    /// The numbers along the lower edge.
    pub fn widths(&self, svg: &mut Svg, ticks: &[f64]) {
        for &tick in ticks {
            let (x, y) = self.place((tick, 0.0));
            svg.rule((x, y), (x, y + 4.0));
            svg.text((x, y + 17.0), Anchor::Middle, "muted", &super::report::number(tick));
        }
    }
}

/// Round numbers from 0 to at least `most`, about so many; the last is the axis's end.
pub fn ticks(most: f64, about: u32) -> Vec<f64> {
    let raw = (most / f64::from(about)).max(1e-9);
    let decade = 10_f64.powi(raw.log10().floor() as i32);
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|times| times * decade).find(|step| *step >= raw);
    let step = step.unwrap_or(10.0 * decade);
    (0..=(most / step - 1e-9).ceil() as u32).map(|at| f64::from(at) * step).collect()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            // No XML 1.0 document may hold it, not even escaped.
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_end() {
        for (most, about, expected) in [
            (100.0, 4, vec![0.0, 25.0, 50.0, 75.0, 100.0]),
            (6700.0, 3, vec![0.0, 2500.0, 5000.0, 7500.0]),
            (3.0, 3, vec![0.0, 1.0, 2.0, 3.0]),
            (0.9, 2, vec![0.0, 0.5, 1.0]),
        ] {
            assert_eq!(ticks(most, about), expected, "{most}");
        }
    }

    #[test]
    fn what_is_beyond_a_panel_is_drawn_at_its_edge() {
        let panel = Panel { at: (10.0, 20.0), size: (100.0, 50.0), most: (2.0, 5.0) };
        assert_eq!(panel.place((1.0, 0.0)), (60.0, 70.0));
        assert_eq!(panel.place((9.0, 9.0)), (110.0, 20.0));
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("<a & \"b\">\u{7}"), "&lt;a &amp; &quot;b&quot;&gt; ");
    }
}
