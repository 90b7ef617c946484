// Draws cost by time, as bars or lines, once the page can be read. The same numbers stand in the table beneath.
"use strict";

const GRID_LINES = 3;
const LABEL_WIDTH = 60;

const totals = data.days.map((_, day) => data.series.reduce((sum, series) => sum + Number(series.amounts[day]), 0));

// What is expected of days that are not over; null where there is none of it.
const isAhead = (day) => Boolean(data.forecast) && data.forecast.expected[day] !== null;

// A day's name among the bars, with what it costs in all: the head of the label that a pointer calls up.
const names = data.labels.map((label, day) => (data.adds_up === false || isAhead(day) ? label : `${label}: ${describe(totals[day])}`));

// A later `from` and `to` in an address choose the days of one bar.
const linkDays = (series) => data.days.map((day, i) => series.link && `${series.link}&from=${day}&to=${data.ends?.[i] ?? day}`);

const isLine = data.kind === "lines";

const makeTrace = (series, paper) => (isLine ? makeLine(series) : makeBars(series, paper));

const makeLine = (series) => {
  const values = series.amounts.map((amount) => (amount === null ? null : Number(amount)));
  return {
    type: "scatter",
    mode: values.length < 3 ? "lines+markers" : "lines",
    name: series.name,
    x: names,
    y: values,
    customdata: linkDays(series),
    text: values.map((value) => value !== null && describe(value)),
    hovertemplate: "%{text} %{fullData.name}<extra></extra>",
    line: { color: readColor(series.color), width: 2, dash: series.color === "none" ? "dot" : "solid" },
    connectgaps: false,
  };
};

const makeBars = (series, paper) => {
  const color = readColor(series.color);
  const values = series.amounts.map((amount) => Number(amount) || null); // a bar of nothing would still have an outline
  const hatch = { shape: "/", fgcolor: color, bgcolor: paper, size: 5, solidity: 0.35 };
  return {
    type: "bar",
    name: series.name,
    x: names,
    y: values,
    customdata: linkDays(series),
    text: values.map((value) => value && describe(value)),
    textposition: "none",
    hovertemplate: "%{text} %{fullData.name}<extra></extra>",
    marker: {
      color: series.color === "none" ? paper : color,
      pattern: series.color === "none" ? hatch : {},
      line: { color: series.color === "none" ? color : paper, width: 1 },
    },
  };
};

// Two ends, as a band or, where bars stand in it, as dashes; and the path of what is expected between them.
const makeForecast = () => {
  const read = (end) => data.forecast[end].map((amount) => (amount === null ? null : Number(amount)));
  const dashes = { width: 1, dash: "dot", shape: "hvh", color: readColor("ink") };
  const end = { type: "scatter", mode: "lines", x: names, line: data.is_range ? dashes : { width: 0 }, hoverinfo: "skip" };
  const fill = data.is_range ? {} : { fill: "tonexty", fillcolor: readColor("other") };
  const expected = read("expected");
  return [
    { ...end, y: read("low") },
    { ...end, ...fill, y: read("high") },
    {
      type: "scatter",
      mode: data.is_range ? "none" : "lines+markers",
      name: "expected",
      x: names,
      y: expected,
      text: expected.map((value, day) => value !== null && `${describe(value)} expected, ${describe(Number(data.forecast.low[day]))} to ${describe(Number(data.forecast.high[day]))}`),
      hovertemplate: "%{text}<extra></extra>",
      line: { color: readColor("ink"), width: 1.5 },
      marker: { color: readColor("ink"), size: 4 },
    },
  ];
};

// Labels that stand clear of each other, and of the chart's two edges.
const thinTicks = () => {
  const room = Math.max(1, Math.floor(chart.clientWidth / LABEL_WIDTH));
  const step = Math.ceil(data.ticks.length / room);
  const edge = (data.days.length * LABEL_WIDTH) / 2 / chart.clientWidth;
  const clear = data.ticks.filter((tick) => tick.index + 0.5 >= edge && tick.index + 0.5 <= data.days.length - edge);
  return clear.filter((_, i) => i % step === 0);
};

// Round steps, and no label at the zero line, which the base of the bars shows.
const chooseTicks = () => {
  if (data.kind === "share") return [25, 50, 75, 100];
  const tops = isLine ? data.series.flatMap((series) => series.amounts.map(Number)) : [...totals, ...(data.forecast?.high ?? []).map(Number)];
  const rough = Math.max(...tops, 1e-12) / GRID_LINES;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.8);
  return Array.from({ length: GRID_LINES + 1 }, (_, i) => (i + 1) * step);
};

const makeLayout = (paper) => {
  const label = makeLabel();
  const ticks = thinTicks();
  return {
    barmode: "relative",
    barnorm: data.kind === "share" ? "percent" : "",
    bargap: 0.22,
    showlegend: false,
    margin: { l: 0, r: 0, t: 18, b: 22 },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: label,
    hovermode: "x unified",
    hoverlabel: { bgcolor: paper, bordercolor: readColor("cast"), font: { ...label, color: readColor("ink") } },
    dragmode: false,
    xaxis: {
      type: "category",
      categoryorder: "array",
      categoryarray: names,
      tickmode: "array",
      range: [-0.5, names.length - 0.5],
      tickvals: ticks.map((tick) => names[tick.index]),
      ticktext: ticks.map((tick) => tick.label),
      tickangle: 0,
      fixedrange: true,
      showgrid: false,
      zeroline: false,
      showline: true,
      linecolor: readColor("cast"),
    },
    yaxis: {
      side: data.is_range ? "left" : "right", // an episode's bars stand on the right
      fixedrange: true,
      tickmode: "array",
      tickvals: chooseTicks(),
      tickformat: ",~r",
      tickfont: label,
      ticklabelposition: "inside top",
      gridcolor: readColor("grid"),
      zeroline: true,
      zerolinecolor: readColor("cast"),
      automargin: false,
      rangemode: "tozero",
    },
  };
};

const draw = () => {
  const paper = readColor("paper");
  const traces = [...data.series.map((series) => makeTrace(series, paper)), ...(data.forecast ? makeForecast() : [])];
  Plotly.react(chart, traces, makeLayout(paper), { displayModeBar: false, responsive: true, showTips: false });
};

drawWhenReadable(draw, () => {
  chart.on("plotly_click", (event) => {
    const link = event.points[event.points.length - 1]?.customdata;
    if (link) location.assign(link);
  });
});
