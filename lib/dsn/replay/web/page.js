// SPDX-License-Identifier: Apache-2.0
// Draws every chart of the page's data under one another. Dragging over one zooms all to the same time, a double click
// shows everything again.
"use strict";
(function () {
  // Colours that people with colour blindness tell apart (Okabe and Ito 2008).
  const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777", "#000000"];
  const charts = JSON.parse(document.getElementById("data").textContent);
  const place = document.getElementById("charts");
  const plots = [];
  let moving = false;
  function follow(source) {
    if (moving) return;
    moving = true;
    for (const plot of plots) {
      if (plot !== source) plot.setScale("x", { min: source.scales.x.min, max: source.scales.x.max });
    }
    moving = false;
  }
  for (const chart of charts) {
    const title = document.createElement("h2");
    title.textContent = chart.title;
    place.appendChild(title);
    const box = document.createElement("div");
    place.appendChild(box);
    const stepped = uPlot.paths.stepped({ align: 1 });
    const series = [{ label: "s", value: (u, v) => (v === null ? "-" : v.toFixed(3)) }];
    for (const line of chart.series) {
      series.push({
        label: line.name,
        stroke: colours[line.colour % colours.length],
        dash: line.dashed ? [6, 4] : undefined,
        width: 1.5,
        paths: chart.stepped || line.dashed ? stepped : undefined,
        points: { show: !chart.stepped && !line.dashed, size: 3 },
        spanGaps: true,
        value: (u, v) => (v === null || v === undefined ? "-" : String(+v.toPrecision(4))),
      });
    }
    plots.push(new uPlot({
      width: Math.max(320, place.clientWidth),
      height: 220,
      scales: { x: { time: false } },
      axes: [{ label: "seconds" }, { label: chart.unit, size: 60 }],
      cursor: { sync: { key: "dsn" }, drag: { x: true, y: false } },
      series: series,
      hooks: { setScale: [(u, key) => { if (key === "x") follow(u); }] },
    }, [chart.x].concat(chart.series.map((line) => line.y)), box));
  }
  window.addEventListener("resize", () => {
    for (const plot of plots) plot.setSize({ width: Math.max(320, place.clientWidth), height: 220 });
  });
  document.body.dataset.drawn = String(plots.length);
})();
