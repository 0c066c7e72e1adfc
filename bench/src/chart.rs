//! The chart of a comparison: a picture in SVG that is readable on light and on dark pages.
//!
//! Not inside: figures.

use std::fmt::Write;

use crate::peers::Peer;

/// A row: its bars.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

/// A server beside the best peer.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) peer: Peer,
    /// 1 is the best peer; more is better.
    pub(crate) ratio: f64,
    /// The figure as it is.
    pub(crate) label: String,
}

/// Sizes in pixels.
const WIDTH: f64 = 900.0;
const LEFT: f64 = 120.0;
const RIGHT: f64 = 130.0;
const HEAD: f64 = 66.0;
const BAR: f64 = 11.0;
const NAME: f64 = 22.0;
const GAP: f64 = 14.0;
/// Longer bars are cut, and say so.
const MOST: f64 = 3.0;

/// The class of a server's bars, and their colours on light and on dark.
fn colours(peer: Peer) -> (&'static str, &'static str, &'static str) {
    match peer {
        Peer::Longshore => ("longshore", "#0b66c3", "#58a6ff"),
        Peer::Vsftpd => ("vsftpd", "#7d8590", "#8b949e"),
        Peer::Proftpd => ("proftpd", "#9a6b3f", "#c69a6d"),
        Peer::PureFtpd => ("pureftpd", "#4f8a5b", "#7fbf8e"),
        Peer::Pyftpdlib => ("pyftpdlib", "#a08a1c", "#d4bd4a"),
        Peer::Unftp => ("unftp", "#8a4f86", "#c48cc0"),
        Peer::Limit => ("limit", "#c9ced6", "#3d444d"),
    }
}

/// Draws groups below each other.
pub(crate) fn draw(groups: &[Group]) -> String {
    let height = HEAD + groups.iter().map(|group| NAME + BAR * group.bars.len() as f64 + GAP).sum::<f64>();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"Servers beside the best peer, row by row\">\n"
    );
    style(&mut svg);
    let _ = writeln!(
        svg,
        "<text class=\"head\" x=\"8\" y=\"20\">Each server beside the best peer of the row: longer is better</text>"
    );
    legend(&mut svg);
    let scale = (WIDTH - LEFT - RIGHT) / MOST;
    let one = LEFT + scale;
    let _ = writeln!(
        svg,
        "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{:.1}\" y2=\"{height:.1}\"/>\n\
         <text class=\"small\" x=\"{one:.1}\" y=\"{:.1}\" text-anchor=\"middle\">best peer</text>",
        HEAD - 6.0,
        HEAD - 10.0
    );
    let mut top = HEAD;
    for group in groups {
        top += NAME;
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"8\" y=\"{:.1}\">{}</text>",
            top - 6.0,
            escaped(&group.name)
        );
        for bar in &group.bars {
            let (class, ..) = colours(bar.peer);
            let shown = bar.ratio.clamp(0.0, MOST);
            let cut = if bar.ratio > MOST { format!(", {:.1} times", bar.ratio) } else { String::new() };
            let (width, base) = (shown * scale, top + BAR - 3.0);
            let _ = writeln!(
                svg,
                "<text class=\"small\" x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{}</text>\n\
                 <rect class=\"{class}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>\n\
                 <text class=\"small\" x=\"{:.1}\" y=\"{base:.1}\">{}{cut}</text>",
                LEFT - 6.0,
                bar.peer.name(),
                top + 1.0,
                BAR - 2.0,
                LEFT + width + 5.0,
                escaped(&bar.label),
            );
            top += BAR;
        }
        top += GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// The page's own scheme decides, not the browser's window.
fn style(svg: &mut String) {
    svg.push_str("<style>\ntext { font-family: sans-serif; fill: #1f2328; }\n");
    svg.push_str(
        ".head { font-size: 15px; font-weight: bold; }\n.name { font-size: 12px; font-weight: bold; }\n",
    );
    svg.push_str(".small { font-size: 9px; }\n.one { stroke: #59636e; stroke-dasharray: 3 3; }\n");
    for peer in Peer::ALL {
        let (class, light, _) = colours(peer);
        let _ = writeln!(svg, ".{class} {{ fill: {light}; }}");
    }
    svg.push_str(
        "@media (prefers-color-scheme: dark) {\ntext { fill: #e6edf3; }\n.one { stroke: #9198a1; }\n",
    );
    for peer in Peer::ALL {
        let (class, _, dark) = colours(peer);
        let _ = writeln!(svg, ".{class} {{ fill: {dark}; }}");
    }
    svg.push_str("}\n</style>\n");
}

fn legend(svg: &mut String) {
    for (index, peer) in Peer::ALL.into_iter().enumerate() {
        let (class, ..) = colours(peer);
        let left = 8.0 + 100.0 * index as f64;
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"32\" width=\"10\" height=\"10\"/>\n\
             <text class=\"small\" x=\"{:.1}\" y=\"41\">{}</text>",
            left + 14.0,
            peer.name()
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(peer: Peer, ratio: f64) -> Bar {
        Bar { peer, ratio, label: format!("{ratio} MB/s") }
    }

    #[test]
    fn bars_are_as_long_as_their_ratios_and_cut_ones_say_so() {
        let groups = [
            Group { name: "one".to_owned(), bars: vec![bar(Peer::Longshore, 2.0), bar(Peer::Vsftpd, 1.0)] },
            Group { name: "two".to_owned(), bars: vec![bar(Peer::Longshore, 20.0)] },
        ];
        let svg = draw(&groups);
        let widths: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<rect") && !line.contains("y=\"32\""))
            .map(|line| line.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(widths.len(), 3);
        assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{widths:?}");
        assert!((widths[2] / widths[1] - MOST).abs() < 0.01, "{widths:?}");
        assert!(svg.contains("20 MB/s, 20.0 times"));
        assert!(svg.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn every_element_is_closed_and_text_is_escaped() {
        let svg = draw(&[Group { name: "a < b & c".to_owned(), bars: vec![bar(Peer::Limit, 0.5)] }]);
        assert!(svg.contains("a &lt; b &amp; c"));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        let lone = svg.matches("<rect").count() + svg.matches("<line").count();
        assert_eq!(lone, svg.matches("/>").count());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
