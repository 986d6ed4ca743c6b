"use strict";
(() => {
  const { views, delta } = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const svg = document.querySelector("svg");
  const [forward, backward] = [find("forward"), find("backward")];
  const [stepBox, sampleBox, panel] = [find("step"), find("sample"), find("panel")];
  const units = [...svg.querySelectorAll(".unit")];
  const wires = [...svg.querySelectorAll(".wire")];
  const byId = new Map([...units, ...wires].map((one) => [one.dataset.id, one]));
  const hint = panel.innerHTML;
  let back = false; // whether deltas are shown
  let pinned = null; // what was chosen by a click or a key, beside what is pointed at

  views.forEach((view, k) => stepBox.add(new Option(view.label, k)));
  const view = () => views[stepBox.selectedIndex];
  const sample = () => view().samples[sampleBox ? sampleBox.selectedIndex : 0];
  const ends = (id) => {
    const [l, i, j] = id.split("-").map(Number);
    return [`${l - 1}-${i}`, `${l}-${j}`];
  };

  function paint(element, share) {
    element.classList.toggle("neg", share < 0);
    element.style.setProperty("--s", Math.abs(share));
  }

  function draw() {
    if (view().after) back = false;
    backward.disabled = view().after;
    forward.setAttribute("aria-pressed", !back);
    backward.setAttribute("aria-pressed", back);
    find("previous").disabled = stepBox.selectedIndex === 0;
    find("next").disabled = stepBox.selectedIndex === views.length - 1;
    find("meaning").textContent = back ? `units: ${delta}s; edges: gradients` : "units: values; edges: weights";
    find("loss").textContent = sample().loss;
    for (const unit of units) {
      const one = sample().units[unit.dataset.id];
      const value = back ? one.d : one.a;
      paint(unit, back ? one.ds : one.as);
      unit.querySelector(".value").textContent = value;
      const name = !back ? "value" : unit.dataset.l === "0" ? "gradient" : delta;
      unit.setAttribute("aria-label", `${unit.dataset.name}: ${name} ${value}`);
      const target = unit.querySelector(".target");
      if (target) target.textContent = one.y;
    }
    for (const wire of wires) {
      const one = view().wires[wire.dataset.id];
      paint(wire, back ? one.gs : one.ws);
    }
    choose(pinned);
  }

  function lines(pairs) {
    return pairs
      .map(([rule, line]) => {
        const above = rule ? `<p class="rule">${rule}</p>` : "";
        return `${above}<p class="calculation">${line}</p>`;
      })
      .join("");
  }

  // The edges of a unit that its numbers come through: into it forward, out of it backward.
  function near(id) {
    if (id.split("-").length === 3) return [id];
    const end = back ? 0 : 1;
    return wires.map((wire) => wire.dataset.id).filter((wire) => ends(wire)[end] === id);
  }

  function choose(id) {
    for (const one of byId.values()) one.classList.remove("chosen", "near");
    svg.classList.toggle("choosing", id !== null);
    if (id === null) {
      panel.innerHTML = hint;
      return;
    }
    byId.get(id).classList.add("chosen");
    for (const wire of near(id)) byId.get(wire).classList.add("near");
    const isWire = id.split("-").length === 3;
    const one = isWire ? view().wires[id] : sample().units[id];
    let title = byId.get(id).getAttribute("aria-label");
    if (isWire) {
      const [start, end] = ends(id).map((unit) => byId.get(unit).dataset.name);
      title = `edge from ${start} to ${end}`;
    }
    let text = `<h3>${title}</h3>${lines(back ? one.b : one.f)}`;
    if (!isWire && near(id).length) {
      const buttons = near(id).map((wire) => {
        const edge = view().wires[wire];
        return `<button type="button" data-id="${wire}">${edge.n} ${back ? edge.g : edge.w}</button>`;
      });
      text += `<div class="edges">${back ? "gradients" : "weights"}: ${buttons.join("")}</div>`;
    }
    panel.innerHTML = text;
  }

  function pin(id) {
    pinned = id;
    choose(id);
    for (const unit of units) unit.tabIndex = unit.dataset.id === id ? 0 : -1;
    if (!units.some((unit) => unit.tabIndex === 0)) units[0].tabIndex = 0;
  }

  // The unit next to one in a direction, among those that are drawn.
  function neighbour(unit, key) {
    const { l } = unit.dataset;
    const layers = [...new Set(units.map((one) => one.dataset.l))];
    const column = units.filter((one) => one.dataset.l === l);
    const row = column.indexOf(unit);
    if (key === "ArrowUp" || key === "ArrowDown") return column[row + (key === "ArrowUp" ? -1 : 1)];
    const to = layers[layers.indexOf(l) + (key === "ArrowLeft" ? -1 : 1)];
    const there = units.filter((one) => one.dataset.l === to);
    return there[Math.min(row, there.length - 1)];
  }

  for (const element of byId.values()) {
    const { id } = element.dataset;
    element.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && choose(id));
    element.addEventListener("pointerleave", () => choose(pinned));
    element.addEventListener("click", () => pin(pinned === id ? null : id));
  }
  for (const unit of units) {
    unit.addEventListener("focus", () => unit.matches(":focus-visible") && pin(unit.dataset.id));
    unit.addEventListener("keydown", (event) => {
      if (event.key === "Escape") pin(null);
      if (!event.key.startsWith("Arrow")) return;
      event.preventDefault();
      const next = neighbour(unit, event.key);
      if (next) next.focus();
    });
  }
  panel.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) pin(button.dataset.id);
  });
  forward.addEventListener("click", () => { back = false; draw(); });
  backward.addEventListener("click", () => { back = true; draw(); });
  stepBox.addEventListener("change", draw);
  if (sampleBox) sampleBox.addEventListener("change", draw);
  find("previous").addEventListener("click", () => { stepBox.selectedIndex -= 1; draw(); });
  find("next").addEventListener("click", () => { stepBox.selectedIndex += 1; draw(); });
  pin(null);
  draw();
})();
