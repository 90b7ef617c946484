// Draws a price as it stood at each time: a line of steps per meter.
"use strict";

const times = [...data.starts, data.end];
const dearest = Math.max(...data.series.flatMap((series) => series.prices).map(Number)) || 1;

const makeLine = (series) => ({
  type: "scatter",
  mode: "lines",
  name: series.name,
  x: times,
  y: [...series.prices, series.prices[series.prices.length - 1]].map((price) => (price === null ? null : Number(price))),
  text: [...series.prices, series.prices[series.prices.length - 1]].map((price) => price ?? ""),
  line: { shape: "hv", color: readColor(series.color), width: 2 },
  connectgaps: false,
  hovertemplate: "%{text} %{fullData.name}<extra></extra>",
});

const makeLayout = () => {
  const label = makeLabel();
  return {
    showlegend: false,
    margin: { l: 0, r: 0, t: 18, b: 22 },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: label,
    hovermode: "x unified",
    hoverlabel: { bgcolor: readColor("paper"), bordercolor: readColor("cast"), font: { ...label, color: readColor("ink") } },
    dragmode: false,
    shapes: [{ type: "line", x0: data.now, x1: data.now, y0: 0, y1: 1, yref: "paper", line: { color: readColor("label"), width: 1, dash: "dash" } }],
    xaxis: { type: "date", range: [data.begin, data.end], fixedrange: true, showgrid: false, zeroline: false, showline: true, linecolor: readColor("cast"), tickangle: 0, nticks: chart.clientWidth < 500 ? 4 : 8, tickformatstops: [{ dtickrange: [null, 2419200000], value: "%-d %b %Y" }, { dtickrange: ["M1", null], value: "%b %Y" }], hoverformat: "%-d %b %Y %H:%M" },
    yaxis: { side: "right", fixedrange: true, nticks: 5, tickformat: ",~r", tickfont: label, ticklabelposition: "inside top", gridcolor: readColor("grid"), zeroline: true, zerolinecolor: readColor("cast"), automargin: false, range: [0, dearest * 1.08] },
  };
};

const draw = () => {
  Plotly.react(chart, data.series.map(makeLine), makeLayout(), { displayModeBar: false, responsive: true, showTips: false });
};

drawWhenReadable(draw);
