"use strict";
(() => {
  const reports = JSON.parse(document.getElementById("data").textContent);

  // In the order of how much they say that something is wrong.
  const STATES = [
    ["fail", "✗"], ["pass-unexpected", "!"], ["harness-error", "!"], ["indeterminate", "?"],
    ["fail-expected", "x"], ["untestable", "–"], ["unsupported", "–"], ["pass", "✓"],
  ];
  const SIGN = new Map(STATES);
  const RANK = new Map(STATES.map(([state], index) => [state, index]));
  const ACCEPTABLE = new Set(["pass", "fail-expected", "unsupported", "untestable"]);
  const DIVERGES = new Set(["fail", "fail-expected", "pass-unexpected"]);
  const FILTERS = ["state", "level", "risk", "suite"];
  // Comparing more words than that takes longer than a reader waits; what differs is then marked as a whole.
  const MAX_WORDS = 1500;

  const $ = (id) => document.getElementById(id);

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== undefined && child !== ""));
    return element;
  }

  // What the reports say, by case and by requirement.
  const cases = new Map();
  const requirements = new Map();
  reports.forEach((report, column) => {
    for (const { id, text, keyword, source } of report.requirements) {
      if (!requirements.has(id)) requirements.set(id, { id, title: text, keyword, source, cases: [] });
    }
    for (const outcome of report.results) {
      const id = outcome.check;
      if (!cases.has(id)) {
        cases.set(id, {
          id, title: outcome.title, level: outcome.level || "", risk: outcome.risk, suite: id.split(".")[0],
          requirements: outcome.requirements, outcomes: reports.map(() => undefined),
        });
      }
      cases.get(id).outcomes[column] = outcome;
    }
  });
  for (const one of cases.values()) {
    for (const id of one.requirements) {
      if (!requirements.has(id)) requirements.set(id, { id, title: "", source: "", cases: [] });
      requirements.get(id).cases.push(one);
    }
    const there = one.outcomes.filter(Boolean);
    one.states = there.map((outcome) => outcome.state);
    one.differs = one.states.some((state) => DIVERGES.has(state) || !ACCEPTABLE.has(state));
    one.words = [one.id, one.title, ...one.requirements.flatMap((id) => [id, requirements.get(id).title]),
      ...there.map((outcome) => outcome.message || "")].join("\n").toLowerCase();
  }

  const letter = (column) => String.fromCharCode(65 + column % 26) + (column >= 26 ? Math.floor(column / 26) : "");
  const isOne = reports.length === 1;

  function title(report) {
    const { kind, version, scheme } = report.target;
    return `${kind}${version ? " " + version : ""} over ${scheme}${report.role === "client" ? ", client" : ""}`;
  }

  function percent({ count, of }) {
    if (of === 0) return "–";
    const value = 100 * count / of;
    return (count === 0 || count === of ? value : Math.min(99.9, Math.max(0.1, value))).toFixed(1) + " %";
  }

  function seconds(milliseconds) {
    return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
  }

  function stateMark(state, more) {
    if (!state) return make("span", { class: "state absent", "data-sign": "·", title: "not in this report" });
    const mark = make("span", { class: `state ${state}`, "data-sign": SIGN.get(state), title: state },
      make("span", { class: "word" }, state));
    if (more) mark.append(" ", make("span", { class: "more" }, more));
    return mark;
  }

  function isGood(report) {
    return report.summary.pass > 0 && report.results.every((outcome) => ACCEPTABLE.has(outcome.state));
  }

  function figure(name, value, tone) {
    return make("div", { class: `figure ${tone}` }, make("b", {}, percent(value)),
      make("span", {}, `${name}: ${value.count} of ${value.of}`));
  }

  function card(report, column) {
    const { divergence, coverage } = report.figures;
    const counts = STATES.map(([state]) => [state, report.summary[state]]).filter(([, count]) => count > 0);
    // What went well comes first: the eye looks for what is not like the rest.
    counts.sort(([one], [other]) => RANK.get(other) - RANK.get(one));
    const bar = make("div", { class: "bar", "aria-hidden": "true" });
    const legend = make("div", { class: "legend" });
    for (const [state, count] of counts) {
      const piece = make("i", { class: state, title: `${count} ${state}` });
      piece.style.flex = `${count} 0 0`;
      bar.append(piece);
      const button = make("button", { type: "button" }, stateMark(state, String(count)));
      button.addEventListener("click", () => go({ view: "cases", state }));
      legend.append(button);
    }
    const { run, suite, target } = report;
    const facts = [
      ["target", `${target.kind} ${target.name}`], ["nvflare", target.version || "not told"], ["scheme", target.scheme],
      ["role", report.role], ["suite", suite.version + (suite.commit ? ` (${suite.commit})` : "")],
      ["started", run.started], ["took", seconds(report.summary.duration_ms)], ["jobs", run.jobs],
      ["seed", run.seed], ["shard", run.shard && `${run.shard.index}/${run.shard.count}`],
      ["allowed", run.allowed.join(", ")], ["manifest", run.manifest], ["selected", run.selected && run.selected.join(" ")],
    ].filter(([, value]) => value !== undefined && value !== "");
    const list = make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
    return make("article", { class: "card" },
      make("h2", {}, isOne ? "" : make("span", { class: "letter" }, letter(column)), title(report),
        make("span", { class: "when" }, `${run.started.replace("T", " ").replace("Z", " UTC")}, ${seconds(report.summary.duration_ms)}`)),
      make("div", { class: "figures" },
        figure("divergence", divergence, divergence.count > 0 ? "bad" : divergence.of > 0 ? "good" : ""),
        figure("coverage", coverage, "")),
      bar, legend, make("details", { class: "facts" }, make("summary", {}, "The run"), list));
  }

  function verdict() {
    const differing = [...cases.values()].filter((one) => one.differs);
    const wrong = differing.filter((one) => one.states.some((state) => !ACCEPTABLE.has(state)));
    const good = reports.length > 0 && reports.every(isGood);
    const across = isOne ? "" : ` on ${reports.length} targets`;
    let text = `${wrong.length} of ${cases.size} cases ended in a way that is not acceptable${across}.`;
    const spoken = [...cases.values()].filter((one) => one.states.includes("pass")).length;
    if (good && differing.length === 0) text = `Nothing differs: ${spoken} of ${cases.size} cases gave a verdict${across}, and none diverges.`;
    else if (good) text = `Nothing unexpected: ${differing.length} of ${cases.size} cases fail as the known-failing list says${across}.`;
    else if (wrong.length === 0) text = `Nothing was tested${across}.`;
    $("verdict").textContent = text;
    $("verdict").className = good ? "good" : "bad";
    document.title = `${good ? "✓" : "✗"} FLARE conformance`;

    differing.sort((one, other) => worstRank(one) - worstRank(other));
    for (const one of differing) {
      const shown = one.outcomes.map((outcome, column) => [outcome, column])
        .filter(([outcome]) => outcome && (DIVERGES.has(outcome.state) || !ACCEPTABLE.has(outcome.state)));
      const states = make("span", { class: "states" }, ...shown.map(([outcome, column]) => stateMark(outcome.state, isOne ? "" : letter(column))));
      const found = shown.map(([outcome]) => outcome.message || one.title)[0];
      $("differing").append(make("li", {}, make("a", { href: "#" + address({ view: "cases", open: one.id }) },
        states, make("span", { class: "id" }, one.id), make("span", { class: "found" }, found))));
    }
    $("differences").hidden = differing.length === 0;
  }

  function worstOf(states) {
    return states.reduce((worst, state) => worst === undefined || RANK.get(state) < RANK.get(worst) ? state : worst, undefined);
  }

  function worstRank(one) {
    return RANK.get(worstOf(one.states));
  }

  // The address holds what is chosen, so that a view can be sent to somebody.
  let chosen = {};

  function address(choice) {
    const entries = Object.entries(choice).filter(([name, value]) => value && !(name === "view" && value === "cases"));
    return new URLSearchParams(entries).toString();
  }

  function go(choice) {
    const next = address(choice);
    if (location.hash.slice(1) === next) show();
    else location.hash = next;
  }

  function change(part) {
    const choice = { ...chosen, ...part, open: "" };
    history.replaceState(null, "", "#" + address(choice));
    show();
  }

  function matches(one) {
    if (chosen.q && !chosen.q.toLowerCase().split(/\s+/).every((word) => one.words.includes(word))) return false;
    if (chosen.level && one.level !== chosen.level) return false;
    if (chosen.risk && one.risk !== chosen.risk) return false;
    if (chosen.suite && one.suite !== chosen.suite) return false;
    if (chosen.state === "differs") return one.differs;
    if (chosen.state === "targets") return new Set(one.outcomes.map((outcome) => outcome && outcome.state)).size > 1;
    return !chosen.state || one.states.includes(chosen.state);
  }

  function show() {
    const query = new URLSearchParams(location.hash.slice(1));
    chosen = { view: query.get("view") === "requirements" ? "requirements" : "cases", open: query.get("open") || "" };
    for (const name of ["q", ...FILTERS]) chosen[name] = query.get(name) || "";
    if ($("q").value !== chosen.q) $("q").value = chosen.q;
    for (const name of FILTERS) {
      $(name).value = chosen[name];
      $(name).classList.toggle("set", chosen[name] !== "");
    }
    for (const button of document.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === chosen.view));
    }
    const matching = [...cases.values()].filter(matches);
    const isCases = chosen.view === "cases";
    const named = new Set(matching);
    const rows = isCases ? matching
      : [...requirements.values()].filter((requirement) => requirement.cases.some((one) => named.has(one)))
        .sort((one, other) => one.id < other.id ? -1 : 1);
    const total = isCases ? cases.size : requirements.size;
    const body = $("matrix").tBodies[0];
    body.replaceChildren(...rows.map((one) => isCases ? caseRow(one) : requirementRow(one, named)));
    $("matrix").tHead.replaceChildren(heading(isCases));
    $("nothing").hidden = rows.length > 0;
    $("shown").textContent = `${rows.length} of ${total} ${isCases ? "cases" : "requirements"}`;
    document.body.dataset.rows = String(rows.length);
    if (chosen.open) {
      const row = [...body.children].find((candidate) => candidate.dataset.id === chosen.open);
      if (row) {
        unfold(row);
        row.scrollIntoView({ block: "start" });
      }
    }
  }

  function heading(isCases) {
    const targets = reports.map((report, column) => make("th", { class: "target", scope: "col", title: title(report) },
      isOne ? "State" : letter(column)));
    return make("tr", {}, make("th", { scope: "col" }, isCases ? "Case" : "Requirement"), make("th", { class: "tags" }),
      ...targets);
  }

  function row(one, tags, marks, detail) {
    const button = make("button", { type: "button", "aria-expanded": "false", class: "id" }, one.id);
    const element = make("tr", { class: "row", "data-id": one.id },
      make("td", {}, make("div", { class: "name" }, button, make("span", { class: "title" }, one.title))),
      make("td", { class: "tags" }, ...tags.filter(Boolean).map((tag) => make("span", { class: "tag" }, tag))),
      ...marks.map((mark) => make("td", { class: "target" }, mark)));
    element.detail = detail;
    element.addEventListener("click", () => element.nextElementSibling?.classList.contains("detail") ? fold(element) : unfold(element));
    return element;
  }

  function unfold(element) {
    if (element.nextElementSibling?.classList.contains("detail")) return;
    element.querySelector("button").setAttribute("aria-expanded", "true");
    element.after(make("tr", { class: "detail" }, make("td", { colspan: reports.length + 2 }, ...element.detail())));
  }

  function fold(element) {
    element.querySelector("button").setAttribute("aria-expanded", "false");
    element.nextElementSibling.remove();
  }

  function caseRow(one) {
    const marks = one.outcomes.map((outcome) => stateMark(outcome && outcome.state));
    return row(one, [one.level, one.risk === "read" ? "" : one.risk], marks, () => caseDetail(one));
  }

  function requirementRow(requirement, named) {
    const marks = reports.map((_, column) => {
      const states = requirement.cases.map((one) => one.outcomes[column]).filter(Boolean).map((outcome) => outcome.state);
      const passed = states.filter((state) => state === "pass").length;
      return stateMark(worstOf(states), states.length > 1 ? `${passed}/${states.length}` : "");
    });
    return row(requirement, [requirement.keyword], marks, () => requirementDetail(requirement, named));
  }

  function requirementDetail(requirement, named) {
    const entries = requirement.cases.map((one) => make("li", {},
      make("a", { class: "id", href: "#" + address({ view: "cases", open: one.id }) }, one.id), " ",
      ...one.outcomes.map((outcome) => stateMark(outcome && outcome.state)), " ", one.title,
      named.has(one) ? "" : " (not in the filter)"));
    return [make("p", {}, requirement.title), make("p", {}, `Source: ${requirement.source}`),
      make("h4", {}, "Cases"), make("ul", {}, ...entries)];
  }

  function caseDetail(one) {
    const links = one.requirements.map((id) => make("li", {},
      make("a", { class: "id", href: "#" + address({ view: "requirements", open: id }) }, id), " ", requirements.get(id).title));
    const parts = [];
    if (links.length > 0) parts.push(make("h4", {}, "Requires"), make("ul", {}, ...links));
    one.outcomes.forEach((outcome, column) => {
      if (outcome) parts.push(...outcomeDetail(outcome, column));
    });
    return parts;
  }

  function outcomeDetail(outcome, column) {
    const parts = [make("h3", {}, isOne ? "" : `${letter(column)}: ${title(reports[column])}`, stateMark(outcome.state),
      make("span", { class: "when" }, seconds(outcome.duration_ms)))];
    if (outcome.known) parts.push(make("p", {}, make("strong", {}, "Listed as failing: "), outcome.known));
    const isCompared = outcome.expected !== undefined && outcome.observed !== undefined;
    // The message repeats what stands side by side below it.
    const what = isCompared ? outcome.message?.split(": expected ")[0] : outcome.message;
    if (what) parts.push(make("h4", {}, "Found"), make("pre", {}, what));
    if (isCompared) parts.push(comparison(outcome.expected, outcome.observed));
    if (outcome.transcript) parts.push(make("h4", {}, "On the wire"), wire(outcome.transcript));
    return parts;
  }

  function comparison(expected, observed) {
    const [left, right] = compared(words(expected), words(observed));
    const side = (name, pieces) => make("div", { class: name }, make("h4", {}, name), make("pre", {},
      ...pieces.map(([text, differs]) => differs ? make("mark", {}, text) : text)));
    return make("div", { class: "compare" }, side("expected", left), side("observed", right));
  }

  function words(text) {
    return text.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) || [];
  }

  // Both lists with what is in one only marked: a longest common subsequence between equal ends.
  function compared(one, other) {
    let start = 0;
    while (start < one.length && start < other.length && one[start] === other[start]) start += 1;
    let end = 0;
    while (end < Math.min(one.length, other.length) - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
    const a = one.slice(start, one.length - end);
    const b = other.slice(start, other.length - end);
    const inBoth = a.length > MAX_WORDS || b.length > MAX_WORDS ? [new Set(), new Set()] : common(a, b);
    const side = (all, middle, kept) => joined([
      ...all.slice(0, start).map((word) => [word, false]),
      ...middle.map((word, index) => [word, !kept.has(index)]),
      ...all.slice(all.length - end).map((word) => [word, false]),
    ]);
    return [side(one, a, inBoth[0]), side(other, b, inBoth[1])];
  }

  function common(a, b) {
    const width = b.length + 1;
    const length = new Uint16Array((a.length + 1) * width);
    for (let i = a.length - 1; i >= 0; i -= 1) {
      for (let j = b.length - 1; j >= 0; j -= 1) {
        length[i * width + j] = a[i] === b[j] ? length[(i + 1) * width + j + 1] + 1
          : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
      }
    }
    const kept = [new Set(), new Set()];
    for (let i = 0, j = 0; i < a.length && j < b.length;) {
      if (a[i] === b[j]) {
        kept[0].add(i);
        kept[1].add(j);
        i += 1;
        j += 1;
      } else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i += 1;
      else j += 1;
    }
    return kept;
  }

  function joined(pieces) {
    const result = [];
    for (const [text, differs] of pieces) {
      if (result.length > 0 && result.at(-1)[1] === differs) result.at(-1)[0] += text;
      else result.push([text, differs]);
    }
    return result;
  }

  function wire(transcript) {
    const ways = { sent: "→", received: "←", event: "·" };
    return make("div", { class: "wire" }, ...transcript.map((exchange) => {
      const line = [
        make("span", { class: "at" }, `${exchange.at_ms.toFixed(1)} ms`),
        make("span", { class: "way", title: exchange.direction }, ways[exchange.direction]),
        make("span", { class: "who", title: exchange.connection }, exchange.connection),
        make("span", { class: "what" }, exchange.what),
      ];
      const more = {};
      if (exchange.headers) more.headers = exchange.headers;
      if (exchange.body !== undefined) more.body = exchange.body;
      if (Object.keys(more).length === 0) return make("p", { class: exchange.direction }, ...line);
      return make("details", { class: exchange.direction }, make("summary", {}, ...line),
        make("pre", {}, JSON.stringify(more, null, 2)));
    }));
  }

  function fill(id, name, values) {
    $(id).append(make("option", { value: "" }, name), ...values.map(([value, text]) => make("option", { value }, text)));
    $(id).hidden = values.length < 2;
    $(id).addEventListener("change", () => change({ [id]: $(id).value }));
  }

  function step(by) {
    const buttons = [...document.querySelectorAll("#matrix tr.row button")];
    const at = buttons.indexOf(document.activeElement);
    const next = buttons[at < 0 ? 0 : Math.min(buttons.length - 1, Math.max(0, at + by))];
    if (next) next.focus();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      change({ q: "", state: "", level: "", risk: "", suite: "" });
      return;
    }
    if (event.target.matches("input, select")) return;
    if (event.key === "/") {
      event.preventDefault();
      $("q").focus();
    } else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  }

  const all = [...cases.values()];
  const found = (of) => [...new Set(all.flatMap(of))].filter(Boolean).sort().map((value) => [value, value]);
  const states = STATES.map(([state]) => [state, all.filter((one) => one.states.includes(state)).length])
    .filter(([, count]) => count > 0).map(([state, count]) => [state, `${state} (${count})`]);
  fill("state", "any state", [["differs", "what differs"], ...(isOne ? [] : [["targets", "targets disagree"]]), ...states]);
  fill("level", "any level", found((one) => one.level));
  fill("risk", "any risk", found((one) => one.risk));
  fill("suite", "any suite", found((one) => one.suite));
  $("matrix").classList.toggle("many", !isOne);
  $("cards").append(...reports.map(card));
  verdict();
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => change({ view: button.dataset.view }));
  }
  $("q").addEventListener("input", () => change({ q: $("q").value }));
  $("clear").addEventListener("click", () => change({ q: "", state: "", level: "", risk: "", suite: "" }));
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", show);
  show();
})();
