// What every chart shares: its figures, the colours of the page, and the bundle, loaded once the page can be read.
"use strict";

const chart = document.getElementById("chart");
const data = JSON.parse(document.getElementById("chart-data").textContent);
const probe = document.getElementById("chart-probe");
// The bundle carries a map library that puts its styles into every page, unless an element has this id. No map is drawn.
const MAP_STYLES_ID = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";

const cents = data.whole ? 0 : 2; // tokens and calls have none
const amount = new Intl.NumberFormat("en-US", { minimumFractionDigits: cents, maximumFractionDigits: cents });

// A custom property reads back as the text light-dark(…), so colours are read off elements that wear them.
const readColor = (name) => getComputedStyle(probe.querySelector(`[data-series="${name}"]`)).color;

const describe = (value) => (value === 0 || Math.abs(value) >= 0.1 ? amount.format(value) : Number(value.toPrecision(3)).toString());

const makeLabel = () => ({ family: getComputedStyle(document.body).fontFamily, size: 11, color: readColor("label") });

// Draws now, and again when the theme changes. The same numbers stand in the table beneath.
const drawWhenReadable = (draw, begin = () => {}) => {
  addEventListener("load", () => {
    const stand = document.createElement("meta");
    stand.id = MAP_STYLES_ID;
    document.head.append(stand);
    const script = document.createElement("script");
    script.src = chart.dataset.plotly;
    script.addEventListener("load", () => {
      draw();
      begin();
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    });
    script.addEventListener("error", () => { chart.hidden = true; });
    document.head.append(script);
  });
};
