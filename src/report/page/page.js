// Search and filter of the users: makes table rows from the compact text in the page. The filter is
// in the address (#outcome=failed&q=user_2ab), so that a filtered view can be shared.
(() => {
  "use strict";
  const N_SHOWN = 200;
  const N_MORE = 1000;
  const element = (id) => document.getElementById(id);
  const query = element("query");
  const outcome = element("outcome");
  const table = element("users");
  const body = table.tBodies[0];
  const columns = [...table.tHead.rows[0].cells].map((cell) => ({
    kind: cell.dataset.kind,
    name: cell.className,
  }));
  const outcomeAt = columns.findIndex((column) => column.name === "outcome");
  const lines = element("rows").textContent.split("\n");
  const texts = lines[0].split("\t");
  const dots = new Map([...document.querySelectorAll("[data-outcome]")].map((cell) =>
    [cell.dataset.outcome, cell.parentElement.querySelector(".dot").className]));

  const time = (seconds) =>
    seconds === "" ? "" : new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
  const shown = (cell, { kind }) => {
    if (kind === "text-of") {
      return cell === "" ? "" : texts[cell];
    }
    return kind === "time" ? time(cell) : cell;
  };
  const rows = lines.slice(1, -1).map((line) => {
    const cells = line.split("\t");
    const searched = columns.map((column, at) =>
      column.kind === "text" || column.kind === "text-of" ? shown(cells[at], column) : "");
    return { cells, outcome: texts[cells[outcomeAt]], text: searched.join("\t").toLowerCase() };
  });

  const tableRow = ({ cells }) => {
    const row = document.createElement("tr");
    columns.forEach((column, at) => {
      const cell = row.insertCell();
      const text = shown(cells[at], column);
      cell.className = column.name;
      if (at === outcomeAt) {
        const dot = document.createElement("span");
        dot.className = dots.get(text);
        cell.append(dot);
      }
      const isolated = document.createElement("bdi");
      isolated.textContent = text;
      cell.append(isolated);
    });
    return row;
  };

  let found = rows;
  const number = (n) => n.toLocaleString("en");
  const show = (limit) => {
    const n = Math.min(limit, found.length);
    body.replaceChildren(...found.slice(0, n).map(tableRow));
    const part = n < found.length ? `, first ${number(n)} shown` : "";
    element("found").value = `${number(found.length)} of ${number(rows.length)} rows${part}`;
    element("more").hidden = n === found.length;
  };

  const filter = () => {
    const wanted = query.value.trim().toLowerCase();
    const isFound = (row) =>
      (outcome.value === "" || row.outcome === outcome.value) && row.text.includes(wanted);
    found = rows.filter(isFound);
    show(N_SHOWN);
  };

  const fromAddress = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    query.value = asked.get("q") ?? "";
    outcome.value = asked.get("outcome") ?? "";
    if (outcome.selectedIndex < 0) {
      outcome.value = "";
    }
    filter();
  };

  const toAddress = () => {
    const asked = new URLSearchParams();
    if (outcome.value !== "") {
      asked.set("outcome", outcome.value);
    }
    if (query.value.trim() !== "") {
      asked.set("q", query.value.trim());
    }
    history.replaceState(null, "", `#${asked}`);
    filter();
  };

  query.addEventListener("input", toAddress);
  outcome.addEventListener("change", toAddress);
  element("more").addEventListener("click", () => show(body.rows.length + N_MORE));
  element("print").addEventListener("change", (event) =>
    document.body.classList.toggle("with-users", event.target.checked));
  addEventListener("beforeprint", () => element("print").checked && show(found.length));
  addEventListener("hashchange", () => {
    fromAddress();
    table.closest("section").scrollIntoView();
  });
  element("without-script")?.remove();
  element("tools").hidden = false;
  fromAddress();
})();
